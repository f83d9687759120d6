"""Who may import whom, read from the source."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.paths import ROOT

CORE = ROOT / "infra" / "slipway"
STORIES = {"environment": 180, "preview": 95}
"""Lines, at most, of the files that are read as a stack's architecture: plain code, one call for each component."""

FLOORS = [
    {"cli"},
    {"previews"},
    {"program", "graph", "pipeline"},
    {"components", "release"},
    {"config"},
]
"""The rooms of the package, top to bottom: each imports what is below it, and nothing beside it or above."""
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
                        ((name, f"slipway.{alias.name}") for alias in node.names)
                        if module == "slipway"
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
    assert [found for found in imports(ROOT / "app") if below(found[1], "slipway", "slipway_local")] == []
    assert [found for found in imports(ROOT / "infra") if below(found[1], "app")] == []


def test_every_room_imports_from_below_alone() -> None:
    height = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
    rooms = [path for path in CORE.iterdir() if path.is_dir() and path.name not in ("data", "__pycache__")]
    assert {room.name for room in rooms} == set(height)
    wrong = [
        f"{file} imports {module}"
        for room in rooms
        for file, module in imports(room)
        if (other := room_of(module)) and other != room.name and height[room.name] >= height[other]
    ]
    assert wrong == []


def room_of(module: str) -> str:
    """The room that a module is in; empty for one of another package."""
    first, _, rest = module.partition(".")
    return rest.partition(".")[0] if first == "slipway" else ""


def test_nothing_but_the_rooms_lies_flat_in_the_package() -> None:
    assert [path.name for path in CORE.glob("*.py")] == ["__init__.py"]


def test_components_take_flat_arguments_and_know_neither_settings_nor_app_yaml() -> None:
    """program/component_args maps both to arguments: so anybody's program may use a component."""
    components = sorted((CORE / "components").glob("*.py"))
    assert len(components) > 40
    forbidden = ("slipway.config.settings", "slipway.config.app_spec")
    assert [found for found in imports(*components) if below(found[1], *forbidden)] == []


def test_no_component_takes_another_as_an_argument() -> None:
    """They take facts, so that none knows who made what it stands on."""
    folder = CORE / "components"
    classes = {name for path in folder.glob("*.py") for name in component_classes(path)}
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


def test_the_core_imports_nothing_of_the_local_aws() -> None:
    found = list(imports(CORE))
    assert len(found) > 500
    assert [each for each in found if below(each[1], "slipway_local", "ministack")] == []


def test_the_account_and_the_hosts_of_the_local_aws_stand_in_its_interface_alone() -> None:
    names = re.compile(r"\b0{12}\b|ministack|\.localhost")
    found = [
        str(path.relative_to(CORE))
        for room in ("previews", "pipeline", "graph", "release", "program", "components", "cli")
        for path in sorted(_sources(CORE / room))
        if names.search(path.read_text())
    ]
    assert found == []


def test_a_file_of_components_tells_the_story_of_one() -> None:
    several = {
        path.name: names
        for path in sorted((CORE / "components").glob("*.py"))
        if len(names := component_classes(path)) > 1
    }
    assert several == {}


def component_classes(path: Path) -> set[str]:
    """The components that a file defines."""
    return {
        node.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef) and any("ComponentResource" in ast.unparse(base) for base in node.bases)
    }


def test_the_program_calls_aws_through_the_engine_alone() -> None:
    """So any provider can preview any stack; release/ runs in hooks, which a preview does not call."""
    assert [found for found in imports(CORE / "program", CORE / "components") if below(found[1], *AWS_CLIENTS)] == []


def test_what_is_read_as_the_architecture_fits_on_two_screens() -> None:
    files = {name: CORE / "program" / f"{name}.py" for name in STORIES}
    long = {name: len(file.read_text().splitlines()) for name, file in files.items()}
    assert {name: count for name, count in long.items() if count > STORIES[name]} == {}
