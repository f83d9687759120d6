"""Who may import whom, read from the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from infra.settings import ROOT

PROGRAM = [ROOT / "infra" / "__main__.py", ROOT / "infra" / "components"]
AWS_CLIENTS = {"boto3", "botocore"}


def imports(*places: Path) -> Iterator[tuple[str, str]]:
    """File and imported module, for every import below `places`, those inside functions too."""
    for place in places:
        for path in [place] if place.is_file() else sorted(p for p in place.rglob("*.py") if ".venv" not in p.parts):
            for node in ast.walk(ast.parse(path.read_text())):
                name = str(path.relative_to(ROOT))
                if isinstance(node, ast.Import):
                    yield from ((name, alias.name) for alias in node.names)
                elif isinstance(node, ast.ImportFrom):
                    yield name, node.module or ""


def below(module: str, *packages: str) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def test_app_and_infrastructure_know_each_other_by_environment_variables_alone() -> None:
    assert [found for found in imports(ROOT / "app") if below(found[1], "infra")] == []
    assert [found for found in imports(ROOT / "infra") if below(found[1], "app")] == []


def test_a_component_knows_neither_releases_nor_previews_nor_this_machine() -> None:
    beyond = ("infra.release", "infra.previews", "infra.local", "infra.cli")
    assert [found for found in imports(ROOT / "infra" / "components") if below(found[1], *beyond)] == []


def test_only_the_folder_local_knows_the_local_aws() -> None:
    files = [path for path in (ROOT / "infra").glob("*.py") if path.name != "cli.py"]
    outside = [*files, ROOT / "infra" / "components", ROOT / "infra" / "release"]
    assert [found for found in imports(*outside) if below(found[1], "infra.local", "ministack")] == []


def test_the_program_calls_aws_through_the_engine_alone() -> None:
    """So any provider can preview any stack; release/ runs in hooks, which a preview does not call."""
    assert [found for found in imports(*PROGRAM) if below(found[1], *AWS_CLIENTS)] == []


def test_the_program_fits_on_two_screens() -> None:
    assert len((ROOT / "infra" / "__main__.py").read_text().splitlines()) <= 100
