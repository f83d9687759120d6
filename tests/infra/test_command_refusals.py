"""What commands refuse before they change anything: a message names the thing, and a fix is a command or a key."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from slipway.cli import (
    connect_command,
    graph_commands,
    main,
    pause_commands,
    pipeline_setup_commands,
    release_commands,
    service_commands,
)
from slipway.cli.connect_command import _run as run_with_login
from slipway.cli.schema_commands import write_generated_file
from slipway.config import local_aws
from slipway.config.errors import SlipwayError
from slipway.config.project import project_name
from slipway.pipeline import github
from slipway.previews import identity, preview_stacks
from slipway.previews.preview_names import preview_stack_name
from slipway.release import pause, rollback
from tests.infra.deployed import Answers, deployed


def refuse(*words: str) -> SlipwayError:
    """The error that a command ends with."""
    result = CliRunner().invoke(main.app, words)
    assert isinstance(result.exception, SlipwayError), result.output
    return result.exception


@pytest.mark.parametrize(
    ("words", "message", "fix"),
    [
        (
            ("connect", "dev", "queue"),
            "queue is neither a store nor a port.",
            "Write database, cache, or a port from 1 to 65535.",
        ),
        (("connect", "dev", "70000"), "70000 is neither a store nor a port.", ""),
        (
            ("connect", "dev", "cache", "--write"),
            "--write is for the database's login, and the destination is cache.",
            "slipway connect dev cache",
        ),
        (
            ("rollback", "dev", "--end", "--to", "sha256:1"),
            "--to and --end contradict each other.",
            "slipway rollback dev --end",
        ),
        (
            ("run", "dev", "cleanup", "--process", "web", "--", "x"),
            "cleanup and --process web contradict each other.",
            "Name the process once.",
        ),
        (
            ("secrets", "dev", "set"),
            "`slipway secrets dev set` takes one more word: NAME.",
            "slipway secrets dev set NAME",
        ),
        (
            ("secrets", "dev", "import"),
            "`slipway secrets dev import` takes one more word: .env.",
            "slipway secrets dev import .env",
        ),
        (
            ("rights", "prod", "web-task", "--used"),
            "--used works for the local stack only, and prod is on AWS.",
            "slipway rights prod web-task; for usage see the role's last accessed information on AWS.",
        ),
        (("secrets", "dev", "list", "KEY"), "`slipway secrets dev list` takes no name.", "slipway secrets dev list"),
    ],
)
def test_words_that_do_not_go_together_are_refused(words: Sequence[str], message: str, fix: str) -> None:
    error = refuse(*words)
    assert error.message == message
    assert fix in error.fix


def stack_with(monkeypatch: pytest.MonkeyPatch, module: Any, **outputs: Any) -> None:
    stack = deployed(Answers({}), **outputs)
    monkeypatch.setattr(module, "open_local_or_aws_stack", lambda *_: stack)


def test_a_stack_without_the_store_is_told_apart_from_a_word_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    stack_with(monkeypatch, connect_command, connect={"database": {}})
    error = refuse("connect", "dev", "cache")
    assert error.message == "The stack dev has no cache."
    assert error.fix == "Add it to `needs` in stacks/app.yaml, then: pulumi up --stack dev"


def test_a_client_that_is_not_installed_is_named_with_the_line_for_another_one() -> None:
    connection = SimpleNamespace(environment={}, line="postgresql://reader@127.0.0.1:5432/shop")
    with pytest.raises(SlipwayError) as failure:
        run_with_login(connection, ["no-such-client"])  # type: ignore[arg-type]
    assert failure.value.message == "The program `no-such-client` is not installed here."
    assert failure.value.fix == "Install it; by hand: postgresql://reader@127.0.0.1:5432/shop"


def test_a_pause_of_prod_needs_its_name_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    stack_with(monkeypatch, pause_commands)
    monkeypatch.setattr(pause, "read_tier", lambda _: "prod")
    for words in (("pause", "dev", "--yes"), ("pause", "dev", "--yes", "--confirm-prod", "staging")):
        error = refuse(*words)
        assert error.message == "dev is of tier prod: a pause would end its service. Nothing was changed."
        assert error.fix == "If you mean it: slipway pause dev --confirm-prod dev"


@pytest.mark.parametrize("command", ["pause", "resume"])
def test_a_preview_is_not_paused_alone(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    stack_with(monkeypatch, pause_commands, preview={"base": "dev"})
    error = refuse(command, "pr-1")
    assert error.message == "pr-1 is a preview: it pauses with its environment dev."
    assert error.fix == "To end it: slipway preview destroy pr-1"


def test_a_preview_is_not_scaled(monkeypatch: pytest.MonkeyPatch) -> None:
    stack_with(monkeypatch, service_commands, preview={"base": "dev"})
    error = refuse("scale", "pr-1", "web=2", "--yes")
    assert error.message == "pr-1 is a preview, which has one task."
    assert error.fix == "To try several: an environment, or `tasks` of its stack file"


def test_a_share_of_off_hours_needs_off_hours() -> None:
    with pytest.raises(SlipwayError) as failure:
        graph_commands._running_share("staging")
    assert failure.value.message == "stacks/Pulumi.staging.yaml has no offHours."
    assert failure.value.fix.startswith('Set them: offHours: {stop: "0 20 * * 1-5"')


def test_a_rollback_that_fails_says_that_nothing_is_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    stack_with(monkeypatch, release_commands)
    target = SimpleNamespace(git="", digest="sha256:1", when="today")
    monkeypatch.setattr(rollback, "plan_rollback", lambda *_: SimpleNamespace(target=target, is_resumed=False))
    monkeypatch.setattr(rollback, "roll_back", lambda *_: 1)
    error = refuse("rollback", "dev")
    assert error.message == "The rollback failed. The configuration of dev is unchanged."
    assert error.fix == "Fix what is listed above, and run the same command again."


def test_a_repository_that_git_does_not_know_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(github, "get_origin_repository", lambda: "")
    with pytest.raises(SlipwayError) as failure:
        pipeline_setup_commands._read("", "")
    assert failure.value.message == "The repository on GitHub is unknown: git's remote `origin` is not on GitHub."
    assert failure.value.fix == "slipway pipeline setup --repository owner/name"


class Backend:
    """A state backend with one stack, or none."""

    def __init__(self, tags: dict[str, str] | None = None) -> None:
        self.found = tags

    def has(self, _: str) -> bool:
        return self.found is not None

    def find_tags(self, _: str) -> dict[str, str] | None:
        return self.found


@pytest.mark.parametrize(
    ("words", "tags", "message", "fix"),
    [
        (
            ("show", "feature/x", "--base", "dev"),
            None,
            "There is no preview feature/x (its stack would be {stack}).",
            "slipway preview list",
        ),
        (
            ("update", "feature/x", "--base", "dev"),
            None,
            "There is no preview feature/x to update (its stack would be {stack}).",
            "slipway preview create feature/x --base dev",
        ),
        (
            ("update", "feature/x"),
            {},
            "The tags of {stack} do not say which environment it runs on.",
            "slipway preview create feature/x --base STACK continues it",
        ),
    ],
)
def test_a_preview_that_is_not_there_is_named_with_its_stack(
    monkeypatch: pytest.MonkeyPatch, words: Sequence[str], tags: dict[str, str] | None, message: str, fix: str
) -> None:
    monkeypatch.setattr(preview_stacks, "open_backend", lambda _: Backend(tags))
    error = refuse("preview", *words)
    assert error.message == message.format(stack=preview_stack_name("feature/x", project_name()))
    assert error.fix == fix


def test_a_stack_that_is_no_preview_is_not_shown_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview_stacks, "open_backend", lambda _: Backend({}))
    monkeypatch.setattr(identity, "inspect_stack", lambda *_: None)
    monkeypatch.setattr(identity, "why_not_a_preview", lambda *_: "its tag `kind` is missing")
    error = refuse("preview", "show", "pr-1", "--base", "dev")
    assert error.message.endswith("is not a preview: its tag `kind` is missing.")
    assert error.fix == "slipway preview list"


@pytest.mark.parametrize(
    ("content", "message", "fix"),
    [
        (b"\xff\xfe", "{file} cannot be read as text.", "Name a .env file, or - for standard input."),
        (None, "{file} cannot be read as text.", "Name a .env file, or - for standard input."),
        (
            b"OTHER=1\n",
            "{file} has no secret that stacks/app.yaml names (",
            "Add its names there under secrets; nothing was changed.",
        ),
    ],
)
def test_a_file_without_secrets_is_not_imported(tmp_path: Path, content: bytes | None, message: str, fix: str) -> None:
    file = tmp_path / ".env"
    if content is not None:
        file.write_bytes(content)
    error = refuse("secrets", "dev", "import", str(file))
    assert error.message.startswith(message.format(file=file))
    assert error.fix == fix


def test_a_generated_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "stacks").write_text("a file where a folder is expected")
    with pytest.raises(SlipwayError) as failure:
        write_generated_file(tmp_path / "stacks" / "x.json", "{}", "stacks/x.json")
    assert failure.value.message == "stacks/x.json cannot be written: File exists."
    assert failure.value.fix == f"Check its permissions: ls -ld {tmp_path}/stacks/x.json"


def test_a_command_of_the_local_stack_names_the_extra_that_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_aws, "find_local_aws", lambda: None)
    with pytest.raises(SlipwayError) as refusal:
        local_aws.require_local_aws("`slipway up`")
    assert refusal.value.message == "`slipway up` needs the AWS on this machine, which is not installed."
    assert refusal.value.fix == "uv add 'slipway-kit[local]' (or pip install 'slipway-kit[local]')"
