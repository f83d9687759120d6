"""Who may import whom, read from the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.settings import ROOT

PROGRAM = [path for path in (ROOT / "infra").glob("*.py") if path.name != "cli.py"] + [ROOT / "infra" / "components"]
STORIES = {"__main__": 40, "environment": 100, "preview": 60}
"""Lines, at most, of the files that are read as a stack's architecture."""

LAYERS = [
    {"cli", "__main__"},
    {"pipeline", "previews"},
    {"graph"},
    {"local"},
    {"environment", "preview"},
    {"deployers", "monitoring", "ground"},
    {"template"},
    {"processes", "guests", "exporters"},
    {"stores", "borrowed"},
    {"containers"},
    {"components", "release"},
    {"app_file"},
    {"app", "foundation", "tags", "pins"},
    {"settings"},
    {"app_process"},
    {"contract", "naming", "sizes"},
    {"asking", "consoles", "engine"},
    {"errors"},
]
"""The parts of infra/, top to bottom: each knows what stands below it, and nothing beside it or above."""
AWS_CLIENTS = {"boto3", "botocore"}


def imports(*places: Path) -> Iterator[tuple[str, str]]:
    """File and imported module, for every import below `places`, those inside functions too."""
    for place in places:
        for path in [place] if place.is_file() else sorted(_sources(place)):
            for node in ast.walk(ast.parse(path.read_text())):
                name = str(path.relative_to(ROOT))
                if isinstance(node, ast.Import):
                    yield from ((name, alias.name) for alias in node.names)
                elif isinstance(node, ast.ImportFrom):
                    module = node.module or ""
                    yield from (
                        ((name, f"infra.{alias.name}") for alias in node.names)
                        if module == "infra"
                        else [(name, module)]
                    )


def _sources(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.is_dir() and path.name != ".venv":
            yield from _sources(path)
        elif path.suffix == ".py":
            yield path


def below(module: str, *packages: str) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


@pytest.mark.skipif(not (ROOT / "tests" / "app").is_dir(), reason="the reference app was removed")
def test_app_and_infrastructure_know_each_other_by_environment_variables_alone() -> None:
    assert [found for found in imports(ROOT / "app") if below(found[1], "infra")] == []
    assert [found for found in imports(ROOT / "infra") if below(found[1], "app")] == []


def test_every_part_of_infra_imports_from_below_alone() -> None:
    height = {part: number for number, parts in enumerate(LAYERS) for part in parts}
    wrong = []
    for file, module in imports(ROOT / "infra"):
        own, other = part_of(file.removesuffix(".py").replace("/", ".")), part_of(module)
        if other and own and own != other and height[own] >= height[other]:
            wrong.append(f"{file} imports {module}")
    assert wrong == []


def part_of(module: str) -> str:
    """The part of infra/ that a module belongs to; empty for one of another package, or for infra itself."""
    first, _, rest = module.partition(".")
    return rest.partition(".")[0].removesuffix("__init__") if first == "infra" else ""


def test_no_component_takes_another_as_an_argument() -> None:
    """They take facts, so that none knows who made what it stands on."""
    folder = ROOT / "infra" / "components"
    classes = {
        node.name
        for path in folder.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef) and any("ComponentResource" in ast.unparse(base) for base in node.bases)
    }
    assert len(classes) > 20
    taken = [
        f"{path.name}: {argument.arg}: {ast.unparse(argument.annotation)}"
        for path in folder.glob("*.py")
        for function in ast.walk(ast.parse(path.read_text()))
        if isinstance(function, ast.FunctionDef)
        for argument in [*function.args.args, *function.args.kwonlyargs]
        if argument.annotation
        and {node.id for node in ast.walk(argument.annotation) if isinstance(node, ast.Name)} & classes
    ]
    fields = [
        f"{path.name}: {ast.unparse(node.target)}: {ast.unparse(node.annotation)}"
        for path in folder.glob("*.py")
        for owner in ast.walk(ast.parse(path.read_text()))
        if isinstance(owner, ast.ClassDef) and owner.name.endswith("Args")
        for node in owner.body
        if isinstance(node, ast.AnnAssign)
        and {name.id for name in ast.walk(node.annotation) if isinstance(name, ast.Name)} & classes
    ]
    assert taken + fields == []


def test_only_the_folder_local_knows_the_local_aws() -> None:
    files = [path for path in (ROOT / "infra").glob("*.py") if path.name != "cli.py"]
    outside = [*files, ROOT / "infra" / "components", ROOT / "infra" / "release"]
    assert [found for found in imports(*outside) if below(found[1], "infra.local", "ministack")] == []


def test_the_program_calls_aws_through_the_engine_alone() -> None:
    """So any provider can preview any stack; release/ runs in hooks, which a preview does not call."""
    assert [found for found in imports(*PROGRAM) if below(found[1], *AWS_CLIENTS)] == []


def test_what_is_read_as_the_architecture_fits_on_two_screens() -> None:
    lines = {name: ROOT / "infra" / f"{name}.py" for name in STORIES}
    long = {n: len(p.read_text().splitlines()) for n, p in lines.items() if p.exists()}
    assert {name: count for name, count in long.items() if count > STORIES[name]} == {}
