"""What init writes and, above all, what it leaves as it is."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

import pytest
import yaml

from slipway.cli.init.files import PlannedFile, compare, missing_lines, planned_text, workflow_files, write
from slipway.cli.init.project_name import project_name, slug
from slipway.cli.init.sources import SourceTree
from slipway.config.errors import SlipwayError
from tests.infra.init.apps import ROOT, Snapshot, copy_of, git_init, plan, repository

WRITTEN = [
    "Pulumi.yaml",
    "infra/__main__.py",
    "infra/pyproject.toml",
    "stacks/app.yaml",
    "stacks/Pulumi.local.yaml",
    "stacks/Pulumi.dev.yaml",
    "stacks/Pulumi.staging.yaml",
    "stacks/Pulumi.prod.yaml",
    ".gitignore",
    ".dockerignore",
]
APP = "from fastapi import FastAPI\napp = FastAPI()\n"


def test_the_files_of_a_deployment(tmp_path: Path) -> None:
    folder = copy_of("sync_orm", tmp_path)
    result = plan(folder)
    assert [str(file.path) for file in result.files] == WRITTEN
    assert [str(path) for path in write(folder, compare(folder, result.files))] == WRITTEN
    assert all((folder / name).is_file() for name in WRITTEN)


def test_pulumi_yaml_is_ten_lines_and_names_what_the_engine_needs(tmp_path: Path) -> None:
    text = next(file.text for file in plan(copy_of("bare", tmp_path)).files if str(file.path) == "Pulumi.yaml")
    assert len(text.splitlines()) == 10
    assert yaml.safe_load(text) == {
        "name": "bare",
        "description": "Bare on AWS, from the network to the running app",
        "runtime": {"name": "python", "options": {"toolchain": "uv"}},
        "requiredPulumiVersion": ">=3.245.0",
        "main": "infra",
        "stackConfigDir": "stacks",
    }


def test_the_program_is_the_same_in_every_project(tmp_path: Path) -> None:
    text = next(file.text for file in plan(copy_of("bare", tmp_path)).files if file.path.name == "__main__.py")
    assert [line for line in text.splitlines() if line and not line.startswith('"""')] == [
        "import slipway",
        "slipway.deploy()",
    ]


def test_what_is_there_is_never_overwritten(tmp_path: Path) -> None:
    folder = copy_of("sync_orm", tmp_path)
    for name in WRITTEN:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(f"mine: {name}\n")
    before = Snapshot.of(folder)
    results = compare(folder, plan(folder).files)
    write(folder, [result for result in results if result.state != "adds lines"])
    assert Snapshot.of(folder) == before


def test_a_file_that_appears_in_between_is_not_overwritten(tmp_path: Path) -> None:
    results = compare(tmp_path, [planned_text("a/b.yaml", "new")])
    repository(tmp_path, **{"a__b.yaml": "somebody else's"})
    with pytest.raises(SlipwayError, match=r"a/b\.yaml cannot be written: File exists"):
        write(tmp_path, results)
    assert (tmp_path / "a" / "b.yaml").read_text() == "somebody else's"


def test_a_second_run_says_what_differs(tmp_path: Path) -> None:
    folder = copy_of("sync_orm", tmp_path)
    write(folder, compare(folder, plan(folder).files))
    second = plan(folder)
    assert second.is_second_run
    assert {result.state for result in compare(folder, second.files)} == {"same"}
    app_file = folder / "stacks" / "app.yaml"
    app_file.write_text(app_file.read_text().replace("port: 8080", "port: 8081"))
    (folder / "stacks" / "Pulumi.dev.yaml").unlink()
    results = {str(result.file.path): result for result in compare(folder, plan(folder).files)}
    assert [name for name, result in results.items() if result.state == "new"] == ["stacks/Pulumi.dev.yaml"]
    diff = results["stacks/app.yaml"].diff.splitlines()
    assert diff[:2] == ["--- stacks/app.yaml (yours)", "+++ stacks/app.yaml (init would write)"]
    assert [line for line in diff[2:] if line[0] in "+-"] == ["-port: 8081", "+port: 8080"]


def test_a_second_run_of_a_monorepo_knows_the_app_by_its_file(tmp_path: Path) -> None:
    folder = copy_of("monorepo", tmp_path)
    write(folder, compare(folder, plan(folder, app="services/orders").files))
    second = plan(folder)
    assert second.app.candidate.reference == "orders.main:app"
    assert {result.state for result in compare(folder, second.files)} == {"same"}


def test_gitignore_is_given_only_the_lines_that_it_lacks(tmp_path: Path) -> None:
    folder = copy_of("bare", tmp_path)
    (folder / ".gitignore").write_text("*.log\n/.venv\n.env")
    write(folder, compare(folder, plan(folder).files))
    assert (folder / ".gitignore").read_text() == "*.log\n/.venv\n.env\n.slipway/\n"


@pytest.mark.parametrize(
    ("there", "missing"),
    [
        ("", [".slipway/", ".venv/"]),
        (".venv\n.slipway", []),
        ("# .venv/\n", [".slipway/", ".venv/"]),
        (" .venv/ \n", [".slipway/"]),
    ],
)
def test_missing_lines(there: str, missing: list[str]) -> None:
    assert missing_lines(there, ".slipway/\n.venv/\n") == missing


def test_a_dockerignore_of_the_teams_own_stays_and_what_it_lacks_is_said(tmp_path: Path) -> None:
    folder = copy_of("bare", tmp_path)
    (folder / ".dockerignore").write_text("stacks\n")
    result = plan(folder)
    assert ".dockerignore" not in [str(file.path) for file in result.files]
    assert [(item.place, item.code) for item in result.advice] == [(".dockerignore", "infra")]


def test_a_dockerignore_is_in_the_folder_that_the_image_is_built_from(tmp_path: Path) -> None:
    names = [str(file.path) for file in plan(copy_of("monorepo", tmp_path), app="services/orders").files]
    assert "services/orders/.dockerignore" in names


def test_a_folder_that_is_a_link_out_of_the_repository_is_not_written_to(tmp_path: Path) -> None:
    outside = repository(tmp_path / "outside")
    outside.mkdir()
    folder = repository(tmp_path / "shop", main_py=APP)
    (folder / "infra").symlink_to(outside)
    with pytest.raises(SlipwayError, match="infra is a link out of the repository"):
        write(folder, compare(folder, plan(folder).files))
    assert list(outside.iterdir()) == []


def test_what_cannot_be_written_is_named_with_what_is_written(tmp_path: Path) -> None:
    (tmp_path / "infra").write_text("a file, no folder")
    results = compare(tmp_path, [planned_text("a", "1"), planned_text("infra/b", "2")])
    with pytest.raises(SlipwayError, match=r"infra/b cannot be written: .*Written before it: a"):
        write(tmp_path, results)


def test_files_that_are_no_text_are_compared(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\xff\n")
    [result] = compare(tmp_path, [PlannedFile(PurePosixPath("a"), b"text\n")])
    assert (result.state, result.diff.splitlines()[-2:]) == ("differs", ["-ÿ", "+text"])


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Shop", "shop"),
        ("my_Shop.api", "my-shop-api"),
        ("--x--", "x"),
        ("42 things", "things"),
        ("preview-tool", "app-preview-tool"),
        ("a-very-long-name-of-a-project", "a-very-long-name"),
        ("日本", ""),
        ("fastapi-boilerplate", "fastapi-boilerplat"),
    ],
)
def test_names_of_projects(text: str, name: str) -> None:
    assert slug(text) == name


@pytest.mark.parametrize(
    ("package", "remote", "name"),
    [
        ("shop", "", "shop"),
        ("backend", "git@github.com:acme/market.git", "market"),
        ("app", "https://github.com/acme/market", "market"),
        ("app", "", "folder"),
    ],
)
def test_the_name_is_the_first_that_says_something(package: str, remote: str, name: str, tmp_path: Path) -> None:
    folder = repository(tmp_path / "folder", main_py=APP, **{"pyproject.toml": f'[project]\nname = "{package}"\n'})
    git_init(folder, remote)
    assert project_name(SourceTree(folder), PurePosixPath()) == name


def test_the_workflows_are_those_that_the_kit_ships() -> None:
    folder = ROOT / "infra" / "slipway" / "data" / "workflows"
    written = {file.path.name: file.text for file in workflow_files()}
    assert set(written) == {"ci.yml", "deploy.yml", "preview.yml", "reap.yml", "drift.yml"}
    assert written == {name: (folder / name).read_text() for name in written}


def test_with_workflows_there_are_previews(tmp_path: Path) -> None:
    folder = copy_of("bare", tmp_path)
    names = {str(file.path): file.text for file in plan(folder, workflows=True).files}
    assert {name for name in names if name.startswith(".github")} == {
        f".github/workflows/{name}.yml" for name in ("ci", "deploy", "preview", "reap", "drift")
    }
    assert yaml.safe_load(names["stacks/Pulumi.dev.yaml"])["config"]["previews"] is True
    assert yaml.safe_load(names["stacks/Pulumi.preview.yaml"])["config"]["kind"] == "preview"


def test_umask_decides_who_may_read_the_files(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write(tmp_path, compare(tmp_path, [planned_text("stacks/app.yaml", "a: 1\n")]))
    finally:
        os.umask(before)
    assert (tmp_path / "stacks" / "app.yaml").stat().st_mode & 0o777 == 0o640


def test_a_file_that_cannot_be_compared_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "Pulumi.yaml").write_text("name: shop\n")
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(SlipwayError) as failure:
        compare(tmp_path, [planned_text("Pulumi.yaml", "name: market\n")])
    assert failure.value.message == "Pulumi.yaml cannot be read: Permission denied"
    assert failure.value.fix == "Make it readable, then run init again."
