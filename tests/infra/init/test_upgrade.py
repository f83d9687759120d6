"""`slipway upgrade`: three-way, from what init wrote, what is there, and what it would write."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from slipway.cli.init import files, stack_files
from slipway.cli.init import kit as kit_module
from slipway.cli.init import upgrade as upgrade_module
from slipway.cli.init.command import init
from slipway.cli.init.notes import NOTES_FILE, InitNotes, write_notes
from slipway.cli.init.questions import Questions
from slipway.cli.init.upgrade import upgrade
from slipway.config.errors import SlipwayError
from tests.infra.init.apps import APPS, Snapshot, copy_of

APP_NAMES = sorted(path.name for path in APPS.iterdir())
PREVIEW_STACK = "stacks/Pulumi.preview.yaml"


@pytest.fixture(autouse=True)
def _without_uv(monkeypatch: pytest.MonkeyPatch) -> None:
    """No lock is written: these tests are about the other files."""
    monkeypatch.setattr(kit_module, "find_uv", lambda: "")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project that init has just written."""
    folder = copy_of("sync_orm", tmp_path)
    assert run(init, folder, "--yes", "--workflows").exit_code == 0
    return folder


def run(command: object, *arguments: object) -> Result:
    """What one of the commands prints and ends with."""
    cli = typer.Typer()
    cli.command()(command)  # type: ignore[type-var]
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def another_kit(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on init writes another pulumi version, another preview stack, and one workflow less."""
    monkeypatch.setattr(files, "PULUMI", files.PULUMI.replace(">=3.245.0", ">=3.300.0"))
    monkeypatch.setattr(
        stack_files, "PREVIEW", stack_files.PREVIEW.replace("logRetentionDays: 3", "logRetentionDays: 5")
    )
    monkeypatch.setattr(files, "WORKFLOWS", tuple(name for name in files.WORKFLOWS if name != "drift.yml"))


def outcome(result: Result, path: str) -> str:
    """What the command says of a file."""
    (line,) = [line for line in result.stdout.splitlines() if line.split()[:1] == [path]]
    return line.split(maxsplit=1)[1]


def test_with_the_same_kit_there_is_nothing_to_do(project: Path) -> None:
    before = Snapshot.of(project)
    result = run(upgrade, project)
    assert (result.exit_code, "Nothing to change." in result.stdout) == (0, True)
    assert Snapshot.of(project) == before


def test_what_nobody_changed_is_updated_and_what_the_team_changed_elsewhere_is_merged(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pulumi, preview = project / "Pulumi.yaml", project / PREVIEW_STACK
    pulumi.write_text(pulumi.read_text().replace("on AWS, from", "for everybody, from"))
    another_kit(monkeypatch)
    result = run(upgrade, project)
    assert result.exit_code == 0, result.output
    assert outcome(result, PREVIEW_STACK) == "updated"
    assert "logRetentionDays: 5" in preview.read_text()
    assert outcome(result, "Pulumi.yaml") == "your changes and the kit's, merged"
    assert ">=3.300.0" in pulumi.read_text()
    assert "for everybody" in pulumi.read_text()
    assert outcome(result, "stacks/app.yaml") == "unchanged"
    assert "Nothing to change." in run(upgrade, project).stdout


@pytest.mark.parametrize("name", [*APP_NAMES, "reference"])
def test_a_project_of_each_app_is_what_init_and_upgrade_would_write_again(name: str, tmp_path: Path) -> None:
    folder = copy_of(name, tmp_path)
    chosen = ["--app", "services/orders"] if name == "monorepo" else []
    assert run(init, folder, "--yes", *chosen).exit_code == 0
    before = Snapshot.of(folder)
    assert "Nothing differs from what init would write." in run(init, folder, "--yes").stdout
    assert "Nothing to change." in run(upgrade, folder).stdout
    assert Snapshot.of(folder) == before


def test_an_upgrade_keeps_the_health_path_that_a_person_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copy_of("no_health", tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Questions, "health_path", lambda *_: "/up")
        run(init, folder, "--yes")
    text = (folder / "stacks" / "app.yaml").read_text()
    assert "health: {live: /up, ready: /up}" in text
    assert "Nothing differs from what init would write." in run(init, folder, "--yes").stdout
    assert "Nothing to change." in run(upgrade, folder).stdout
    assert (folder / "stacks" / "app.yaml").read_text() == text


def test_an_upgrade_keeps_what_another_tools_files_said_when_they_are_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copy_of("sync_orm", tmp_path)
    command = "uvicorn notes.main:app --host 0.0.0.0 --port 8080"
    service = {"build": ".", "command": command, "environment": {"SHOP_TITLE": "Lighthouse"}}
    (folder / "compose.yaml").write_text(json.dumps({"services": {"api": service}}))
    done = run(init, folder, "--yes", "--workflows", "--from", "compose")
    assert done.exit_code == 0, done.exception
    (folder / "compose.yaml").unlink()
    text = (folder / "stacks" / "app.yaml").read_text()
    assert "SHOP_TITLE: Lighthouse" in text
    assert "Nothing to change." in run(upgrade, folder).stdout
    another_kit(monkeypatch)
    assert outcome(run(upgrade, folder), "stacks/app.yaml") == "unchanged"
    assert (folder / "stacks" / "app.yaml").read_text() == text


def test_a_conflict_is_marked_and_named_and_neither_side_is_lost(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    preview = project / PREVIEW_STACK
    preview.write_text(preview.read_text().replace("logRetentionDays: 3", "logRetentionDays: 30"))
    another_kit(monkeypatch)
    result = run(upgrade, project)
    assert result.exit_code == 1
    assert f"Resolve the conflicts in {PREVIEW_STACK}." in result.stdout
    text = preview.read_text()
    assert "<<<<<<< yours" in text
    assert ">>>>>>> what init writes now" in text
    assert all(f"logRetentionDays: {days}\n" in text for days in (30, 5))


def test_a_dry_run_says_the_same_and_writes_nothing(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    another_kit(monkeypatch)
    before = Snapshot.of(project)
    result = run(upgrade, project, "--dry-run")
    assert outcome(result, PREVIEW_STACK) == "updated"
    assert Snapshot.of(project) == before


def test_no_file_of_the_teams_is_removed_overwritten_or_brought_back(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "stacks/Pulumi.staging.yaml").unlink()
    notes = json.loads((project / NOTES_FILE).read_text())
    del notes["files"]["infra/__main__.py"]  # as where the team had one before init
    (project / NOTES_FILE).write_text(json.dumps(notes))
    (project / "infra/__main__.py").write_text("import ours\n")
    another_kit(monkeypatch)
    result = run(upgrade, project)
    assert outcome(result, "stacks/Pulumi.staging.yaml") == "stays removed"
    assert not (project / "stacks/Pulumi.staging.yaml").exists()
    assert outcome(result, "infra/__main__.py").startswith("yours")
    assert (project / "infra/__main__.py").read_text() == "import ours\n"
    assert outcome(result, ".github/workflows/drift.yml").startswith("no longer written by init")
    assert (project / ".github/workflows/drift.yml").exists()


def test_a_store_that_the_app_reads_since_init_is_added_to_what_the_team_has(project: Path) -> None:
    app_file = project / "stacks/app.yaml"
    app_file.write_text("# ours\n" + app_file.read_text())
    main = project / "notes/main.py"
    main.write_text('import os\n\nimport redis\n\nredis.Redis.from_url(os.environ["REDIS_URL"])\n' + main.read_text())
    (project / "requirements.txt").write_text((project / "requirements.txt").read_text() + "redis\n")
    result = run(upgrade, project)
    assert outcome(result, "stacks/app.yaml") == "your changes and the kit's, merged"
    assert "REDIS_URL: cache.url" in app_file.read_text()
    assert app_file.read_text().startswith("# ours\n")


def test_without_notes_it_says_what_to_do(project: Path) -> None:
    (project / NOTES_FILE).unlink()
    error = run(upgrade, project).exception
    assert isinstance(error, SlipwayError)
    assert error.fix == "See what this version would write: slipway init"


def refuse(project: Path) -> SlipwayError:
    """The error of an upgrade."""
    error = run(upgrade, project).exception
    assert isinstance(error, SlipwayError)
    return error


@pytest.mark.parametrize("text", ["{", "[]", '{"kit": "1"}'])
def test_notes_that_were_edited_are_restored_from_git(project: Path, text: str) -> None:
    (project / NOTES_FILE).write_text(text)
    error = refuse(project)
    assert error.message.startswith(f"{NOTES_FILE}, the record of `slipway init`, cannot be read: ")
    assert error.fix == f"Restore it from git: git checkout -- {NOTES_FILE}"


def test_notes_that_cannot_be_written_are_named(tmp_path: Path) -> None:
    (tmp_path / "infra").write_text("a file where a folder is expected")
    with pytest.raises(SlipwayError) as failure:
        write_notes(tmp_path, InitNotes("1", "app.yaml", "shop", False, False, {}))
    assert failure.value.message == (f"{NOTES_FILE}, the record of `slipway init`, cannot be written: File exists")
    assert failure.value.fix == f"Check its permissions: ls -ld {tmp_path}/infra"


def test_a_file_that_is_no_text_is_not_merged(project: Path) -> None:
    (project / PREVIEW_STACK).write_bytes(b"\xff")
    error = refuse(project)
    assert error.message.startswith(f"{PREVIEW_STACK} cannot be read, so nothing is merged: ")
    assert error.fix == "Fix it, then: slipway upgrade"


def test_a_file_that_cannot_be_written_is_named(project: Path) -> None:
    with pytest.raises(SlipwayError) as failure:
        upgrade_module._write(project, [upgrade_module.UpgradedFile("Pulumi.yaml/x", "updated", "name: shop")])
    assert failure.value.message == "Pulumi.yaml/x cannot be written, and the files after it were not: File exists"
    assert failure.value.fix == "Correct that, then: slipway upgrade"


@pytest.mark.parametrize(
    ("path", "message", "fix"),
    [
        ("", "git is not installed, and `git merge-file` is needed to merge the files.", "Install git."),
        ("git", "Pulumi.yaml cannot be merged: bad config", "Compare it by hand: slipway init"),
    ],
)
def test_a_merge_without_a_git_that_works_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, message: str, fix: str
) -> None:
    if path:
        (tmp_path / path).write_text("#!/bin/sh\necho bad config >&2\nexit 255\n")
        (tmp_path / path).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SlipwayError) as failure:
        upgrade_module._merge_texts("a", "b", "c", "Pulumi.yaml")
    assert (failure.value.message, failure.value.fix) == (message, fix)
