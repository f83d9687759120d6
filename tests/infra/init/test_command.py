"""The command as a person and as a program run it."""

from __future__ import annotations

import json
import shutil
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from slipway.cli.init import kit as kit_module
from slipway.cli.init import reference
from slipway.cli.init.command import init
from slipway.cli.init.notes import NOTES_FILE
from slipway.cli.init.questions import MOST_QUESTIONS, Questions
from slipway.config.errors import SlipwayError
from tests.infra.init.apps import ROOT, Snapshot, copy_of, repository

APP = "from fastapi import FastAPI\napp = FastAPI()\n"
WHEEL = "slipway_kit-0.4.0-py3-none-any.whl"


def run(*arguments: object, answers: str = "", at_terminal: bool = False) -> Result:
    """Runs the command; with `at_terminal` somebody sits there and types `answers`."""
    cli = typer.Typer()
    cli.command()(init)
    runner = CliRunner()
    original = Questions.for_terminal
    if at_terminal:
        Questions.for_terminal = classmethod(lambda cls, yes: cls(are_allowed=not yes))  # type: ignore[method-assign, assignment]
    try:
        return runner.invoke(cli, [str(argument) for argument in arguments], input=answers)
    finally:
        Questions.for_terminal = original  # type: ignore[method-assign]


def refusal(*arguments: object) -> SlipwayError:
    """The error that a run ends with."""
    error = run(*arguments).exception
    assert isinstance(error, SlipwayError), error
    return error


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """A wheel of the kit with nothing in it, which the packages of a lock can be resolved with offline."""
    path = tmp_path / WHEEL
    with zipfile.ZipFile(path, "w") as archive:
        folder = "slipway_kit-0.4.0.dist-info"
        archive.writestr("slipway/__init__.py", "")
        archive.writestr(
            f"{folder}/METADATA",
            "Metadata-Version: 2.1\nName: slipway-kit\nVersion: 0.4.0\nRequires-Python: >=3.11\n"
            "Provides-Extra: local\n",
        )
        archive.writestr(
            f"{folder}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{folder}/RECORD", "")
    return path


@pytest.fixture
def without_uv(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which uv is not installed."""
    monkeypatch.setattr(kit_module, "find_uv", lambda: "")


@pytest.fixture
def reference_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder of the reference app, as the wheel has it."""
    folder = tmp_path / "data"
    shutil.copytree(ROOT / "app", folder / "app", ignore=shutil.ignore_patterns(".venv", "__pycache__"))
    repository(folder, tests__app__test_users_py="def test_a(): ...\n")
    (folder / "stacks").mkdir()
    shutil.copy(ROOT / "stacks" / "app.yaml", folder / "stacks")
    monkeypatch.setattr(reference, "reference_app_folder", lambda: folder)
    return folder


def test_a_dry_run_shows_the_files_and_writes_none(tmp_path: Path) -> None:
    folder = copy_of("sync_orm", tmp_path)
    before = Snapshot.of(folder)
    result = run(folder, "--dry-run")
    assert result.exit_code == 0
    assert Snapshot.of(folder) == before
    assert "DATABASE_URL: database.url" in result.stdout
    assert "slipway.deploy()" in result.stdout
    assert "infra/uv.lock" in result.stdout


@pytest.mark.usefixtures("without_uv")
def test_text_that_is_piped_has_no_colours_and_json_is_all_there_is(tmp_path: Path) -> None:
    folder = copy_of("sync_orm", tmp_path)
    assert "\x1b" not in run(folder, "--dry-run").output
    data: dict[str, Any] = json.loads(run(folder, "--json").stdout)
    assert data["app"]["module"] == "notes.main:app"
    assert data["variables"] == {"DATABASE_URL": "database.url", "DB_POOL": "database.pool", "NOTES_KEY": "generated"}
    assert data["keep_their_default"] == ["TITLE"]
    assert len(data["files"]) == 10
    assert len(data["written"]) == 11  # and what init notes for upgrades
    assert "uv lock --project infra" in data["lock"]


def test_the_lock_is_written_from_a_wheel_and_the_apps_packages_stay_apart(tmp_path: Path, wheel: Path) -> None:
    folder = copy_of("poetry", tmp_path)
    before = Snapshot.of(folder)
    result = run(folder, "--yes", "--kit", wheel)
    assert result.exit_code == 0, result.output
    lock = tomllib.loads((folder / "infra" / "uv.lock").read_text())
    assert {package["name"] for package in lock["package"]} == {"accounts-infra", "slipway-kit"}
    project = tomllib.loads((folder / "infra" / "pyproject.toml").read_text())
    assert project["tool"]["uv"]["sources"]["slipway-kit"] == {"path": f"../../{wheel.name}"}
    after = Snapshot.of(folder).files
    assert {name: after[name] for name in before.files} == before.files


def test_the_lock_is_infras_own_inside_of_a_workspace_and_under_another_python(tmp_path: Path, wheel: Path) -> None:
    project = (
        '[project]\nname = "shop"\nversion = "0"\nrequires-python = ">=3.9"\n[tool.uv.workspace]\nmembers = ["*"]\n'
    )
    folder = repository(tmp_path / "shop", main_py=APP, **{"pyproject.toml": project, ".python-version": "3.9"})
    result = run(folder, "--yes", "--kit", wheel)
    assert result.exit_code == 0, result.output
    assert (folder / "infra" / "uv.lock").is_file()
    assert not (folder / "uv.lock").exists()
    assert 'exclude = ["infra"]' in result.stdout


def test_a_lock_that_cannot_be_made_is_an_error_after_the_files(tmp_path: Path) -> None:
    folder = copy_of("bare", tmp_path)
    broken = tmp_path / WHEEL
    broken.write_text("no wheel")
    error = refusal(folder, "--yes", "--kit", broken)
    assert error.message.startswith("The files are written, but `uv lock` failed")
    assert "uv lock --project infra" in error.fix
    assert (folder / "stacks" / "app.yaml").is_file()


@pytest.mark.usefixtures("without_uv")
def test_a_second_run_changes_nothing_and_missing_adds_what_is_not_there(tmp_path: Path) -> None:
    folder = copy_of("sync_orm", tmp_path)
    run(folder, "--yes")
    (folder / "stacks" / "Pulumi.prod.yaml").unlink()
    (folder / "stacks" / "Pulumi.dev.yaml").write_text("config: {tier: dev}\n")
    (folder / ".gitignore").write_text(".venv/\n")
    before = Snapshot.of(folder)
    second = run(folder, "--yes")
    assert Snapshot.of(folder) == before
    assert "-config: {tier: dev}" in second.stdout
    assert "Missing: stacks/Pulumi.prod.yaml" in second.stdout
    assert "Nothing was changed." in second.stdout
    run(folder, "--yes", "--missing", "--workflows")
    added = set(Snapshot.of(folder).files) - set(before.files)
    assert "stacks/Pulumi.prod.yaml" in added
    assert ".github/workflows/deploy.yml" in added
    kept = {name for name in before.files if name != str(NOTES_FILE)}
    assert {name: Snapshot.of(folder).files[name] for name in kept} == {name: before.files[name] for name in kept}


@pytest.mark.usefixtures("without_uv")
@pytest.mark.parametrize(
    ("answers", "expected"),
    [("2\nn\n", "orders.main:app"), ("1\nn\n", "main:app"), ("9\n0\n2\nn\n", "orders.main:app")],
)
def test_a_person_is_asked_which_app(answers: str, expected: str, tmp_path: Path) -> None:
    folder = copy_of("monorepo", tmp_path)
    result = run(folder, "--dry-run", answers=answers, at_terminal=True)
    assert result.exit_code == 0, result.output
    assert f"app        {expected}" in result.stdout


@pytest.mark.usefixtures("without_uv")
def test_all_three_questions(tmp_path: Path) -> None:
    folder = repository(tmp_path, a__main_py=APP, a__requirements="", b__main_py=APP, **{"a__requirements.txt": "x"})
    (folder / "b" / "requirements.txt").write_text("x")
    asked: list[Questions] = []
    original = Questions.__init__

    def remember(self: Questions, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        asked.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Questions, "__init__", remember)
        result = run(folder, "--dry-run", answers="2\nup\ny\n", at_terminal=True)
    assert result.exit_code == 0, result.output
    assert asked[0].asked == MOST_QUESTIONS == 3
    assert "health: {live: /up, ready: /up}" in result.stdout
    assert "source: b" in result.stdout
    assert ".github/workflows/deploy.yml" in result.stdout


def test_nobody_is_asked_with_yes(tmp_path: Path) -> None:
    error = refusal(copy_of("monorepo", tmp_path), "--yes")
    assert error.message.startswith("There are 2 apps here: main:app (services/billing/main.py), orders.main:app")
    assert error.fix == "Choose one: slipway init --app main:app"


@pytest.mark.parametrize(
    ("wanted", "module"),
    [
        ("services/orders", "orders.main:app"),
        ("orders.main:app", "orders.main:app"),
        ("services/billing/main.py", "main:app"),
    ],
)
def test_an_app_is_named_by_its_module_its_file_or_its_folder(wanted: str, module: str, tmp_path: Path) -> None:
    folder = copy_of("monorepo", tmp_path)
    data = json.loads(run(folder, "--json", "--dry-run", "--app", wanted).stdout)
    assert data["app"]["module"] == module


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--app", "no.such:app"], "there is no such module. Found: service.api:application"),
        (["--name", "Not A Name"], "lowercase letters, digits and single hyphens"),
        (["--name", "a-name-that-is-much-too-long"], "AWS's name limits allow 18"),
        (["--kit", "/no/such.whl"], "--kit /no/such.whl: there is no such file"),
    ],
)
def test_refusals(arguments: list[str], words: str, tmp_path: Path) -> None:
    folder = copy_of("bare", tmp_path)
    before = Snapshot.of(folder)
    error = refusal(folder, "--yes", *arguments)
    assert words in error.message
    assert error.fix
    assert Snapshot.of(folder) == before


def test_a_folder_that_is_none_and_a_repository_without_an_app(tmp_path: Path) -> None:
    assert "is not a folder" in refusal(tmp_path / "nowhere").message
    repository(tmp_path, main_py="print('no app')", broken_py="def (")
    error = refusal(tmp_path, "--yes")
    assert "There is no FastAPI app here" in error.message
    assert "broken.py:1" in error.message
    assert "--app package.module:name" in error.fix


@pytest.mark.usefixtures("without_uv")
def test_an_empty_folder_gets_the_reference_app_and_it_is_the_teams_from_then_on(
    tmp_path: Path, reference_folder: Path
) -> None:
    folder = tmp_path / "market"
    folder.mkdir()
    (folder / "README.md").write_text("# Market\n")
    result = run(folder, "--yes")
    assert result.exit_code == 0, result.output
    assert (folder / "app" / "main.py").read_bytes() == (ROOT / "app" / "main.py").read_bytes()
    assert (folder / "tests" / "app" / "test_users.py").is_file()
    first, *lines = (folder / "stacks" / "app.yaml").read_text().splitlines()
    assert lines == (ROOT / "stacks" / "app.yaml").read_text().splitlines()[1:]
    assert (folder / "stacks" / first.partition("$schema=")[2]).is_file()
    assert "name: market\n" in (folder / "Pulumi.yaml").read_text()
    assert "databaseMultiAz: true" in (folder / "stacks" / "Pulumi.prod.yaml").read_text()
    assert not list(folder.rglob("__pycache__"))
    again = run(folder, "--yes")
    assert "Nothing was changed." in again.stdout or "Nothing differs" in again.stdout


@pytest.mark.usefixtures("reference_folder")
def test_a_person_may_refuse_the_reference_app(tmp_path: Path) -> None:
    folder = tmp_path / "market"
    folder.mkdir()
    result = run(folder, answers="n\n", at_terminal=True)
    assert isinstance(result.exception, SlipwayError)
    assert list(folder.iterdir()) == []


def test_a_kit_without_the_reference_app_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "files", lambda package: tmp_path / "nowhere")
    folder = tmp_path / "market"
    folder.mkdir()
    assert "This kit has no reference app" in refusal(folder, "--yes").message


def test_uvx_names_itself_where_it_is_not_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uv = tmp_path / "uv"
    uv.write_text("#!/bin/sh\n")
    uv.chmod(0o755)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("UV", str(uv))
    assert kit_module.find_uv() == str(uv)


def test_the_version_in_use_is_the_one_that_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"Version": "0.4.0", "Requires-Python": ">=3.11,<3.15"}
    monkeypatch.setattr(kit_module.metadata, "metadata", lambda name: values)
    text = kit_module.render_pyproject("shop", kit_module.kit_in_use(None, ROOT))
    project = tomllib.loads(text)
    assert project["project"]["dependencies"] == ["slipway-kit==0.4.0"]
    assert project["dependency-groups"] == {"local": ["slipway-kit[local]==0.4.0"]}
    assert project["project"]["requires-python"] == ">=3.11,<3.15"


def test_no_package_of_the_app_is_imported(tmp_path: Path) -> None:
    before = set(sys.modules)
    run(copy_of("sync_orm", tmp_path), "--dry-run")
    assert not {name for name in set(sys.modules) - before if name.partition(".")[0] in ("notes", "sqlalchemy")}


def test_a_lock_that_takes_too_long_is_an_error_after_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "uv").write_text("#!/bin/sh\nexec sleep 9\n")
    (tmp_path / "uv").chmod(0o755)
    monkeypatch.setattr(kit_module, "find_uv", lambda: str(tmp_path / "uv"))
    monkeypatch.setattr(kit_module, "LOCK_SECONDS", 0.1)
    with pytest.raises(SlipwayError, match=r"`uv lock` did not end: .*timed out") as failure:
        kit_module.write_lock(tmp_path)
    assert failure.value.fix == f"Correct what it says, then: uv lock --project {tmp_path.name}"
