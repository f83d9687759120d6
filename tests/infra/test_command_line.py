"""Every command under --json, its exit code, and what a shell completes."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from slipway.cli import main
from slipway.cli.completion import complete_previews, complete_processes, complete_stacks
from slipway.cli.exit_codes import EXIT_CODE_MEANINGS, ExitCode
from slipway.config.errors import SlipwayError
from slipway.release.pulumi_cli import read_json_errors, run_pulumi
from tests.paths import ROOT

ERROR_KEYS = {"error", "where", "why", "fix", "exit_code"}


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    children = getattr(command, "commands", {})
    if not children:
        yield path, command
    for name, child in children.items():
        yield from commands(child, (*path, name))


COMMANDS = dict(commands(main.build_command()))


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["slipway", *arguments])
    monkeypatch.setattr(main, "run_ejected_copy", lambda: None)
    with pytest.raises(SystemExit) as ended:
        main.main()
    return int(ended.value.code or 0)


def test_the_version_is_that_of_the_package(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "--version") == ExitCode.SUCCESS
    assert capsys.readouterr().out == f"slipway-kit {metadata.version('slipway-kit')}\n"


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_a_wrong_option_of_any_command_is_an_object_under_json(
    path: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, *path, "--json", "--no-such-option") == ExitCode.DIFFERENCE
    printed = capsys.readouterr()
    failure = json.loads(printed.out)
    assert set(failure) == ERROR_KEYS
    assert "--no-such-option" in failure["error"]
    assert failure["where"] == " ".join(("slipway", *path))
    assert failure["exit_code"] == ExitCode.DIFFERENCE
    assert printed.err == ""


@pytest.mark.parametrize("arguments", [("plan",), ("migrate",), ("cost",), ("rights", "--used"), ("destroy", "--yes")])
def test_an_error_of_a_command_is_an_object_with_its_cure(
    arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*arguments, "nowhere", *(["web-task"] if arguments[0] == "rights" else [])]
    monkeypatch.setattr("slipway.release.pulumi_cli.subprocess.run", _no_pulumi)
    assert run(monkeypatch, *words, "--json") == ExitCode.ERROR
    failure = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(failure) == ERROR_KEYS
    assert failure["where"]
    assert failure["fix"]


def _no_pulumi(*_: Any, **__: Any) -> None:
    raise FileNotFoundError


def test_a_wrong_file_is_the_place_of_its_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "stacks").mkdir()
    (tmp_path / "Pulumi.yaml").write_text("name: shop\nruntime: python\n")
    (tmp_path / "stacks" / "Pulumi.dev.yaml").write_text("config:\n  tier: huge\n")
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "plan", "dev", "--json") == ExitCode.ERROR
    failure = json.loads(capsys.readouterr().out)
    assert failure["where"] == "stacks/Pulumi.dev.yaml"
    assert "tier is 'huge'" in failure["why"]


@pytest.mark.parametrize("as_json", [True, False])
def test_an_interrupted_command_says_so_and_ends_with_130(
    as_json: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt() -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("slipway.cli.schema_commands.project_root", interrupt)
    # A shell without job control starts what runs in the background deaf to Ctrl-C.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert run(monkeypatch, "schema", *(["--json"] if as_json else [])) == ExitCode.INTERRUPTED
    finally:
        signal.signal(signal.SIGINT, before)
    printed = capsys.readouterr()
    assert "Interrupted" in (json.loads(printed.out)["error"] if as_json else printed.err)


def test_json_after_two_dashes_is_another_programs() -> None:
    assert main.asks_for_json(["plan", "dev", "--json"])
    assert not main.asks_for_json(["run", "dev", "--", "python", "--json"])


def test_every_exit_code_has_its_line_in_the_docs() -> None:
    page = (ROOT / "docs" / "reference" / "commands.md").read_text()
    table = page[page.index("## Exit codes") : page.index("## Completion")]
    rows = {int(code): meaning for code, meaning in re.findall(r"^\| (\d+) \| (.+) \|$", table, re.MULTILINE)}
    assert rows == {code.value: meaning for code, meaning in EXIT_CODE_MEANINGS.items()}
    assert set(rows) == {code.value for code in ExitCode}


def test_no_command_ends_with_a_code_that_is_not_in_the_table() -> None:
    from slipway_local.status import EXIT_CODES

    sources = [*(ROOT / "infra" / "slipway" / "cli").rglob("*.py"), ROOT / "infra/slipway_local/local_commands.py"]
    for file in sources:
        for code in re.findall(r"(?:typer\.Exit|sys\.exit)\((.+)\)", file.read_text()):
            assert not re.search(r"\d", code), f"{file.name}: {code} is not one of ExitCode"
    assert set(EXIT_CODES.values()) <= set(EXIT_CODE_MEANINGS)


@pytest.mark.parametrize(
    ("shell", "part"), [("bash", "complete -o"), ("zsh", "compdef"), ("fish", "complete --command")]
)
def test_the_script_of_each_shell_asks_this_program(
    shell: str, part: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "completion", shell) == 0
    script = capsys.readouterr().out
    assert part in script
    assert "_SLIPWAY_COMPLETE" in script


def test_a_shell_gets_the_names_of_the_project(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def completed(line: str) -> set[str]:
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(line.split(" ")) - 1))
        monkeypatch.setenv("_SLIPWAY_COMPLETE", "complete_bash")
        assert run(monkeypatch) == 0
        return set(capsys.readouterr().out.split())

    assert completed("slipway preview l") == {"list"}
    assert {"dev", "staging", "prod"} <= completed("slipway plan ")
    assert completed("slipway promote staging pr") == {"prod"}
    assert completed("slipway logs local -p wo") == {"worker"}


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_parameter_that_names_something_is_completed(path: tuple[str, ...]) -> None:
    names = {"stack", "stacks", "base", "process", "preview_base"}
    if path[0] == "preview" or path == ("comment",):
        names |= {"name"}
    for parameter in COMMANDS[path].params:
        if parameter.name in names:
            assert parameter._custom_shell_complete, f"{' '.join(path)} {parameter.name}: add autocompletion="


def test_a_stacks_name_is_completed_by_how_it_begins_and_the_previews_file_is_no_stack() -> None:
    assert complete_stacks("pr") == ["prod"]
    assert complete_stacks("") == ["dev", "local", "prod", "staging"]


def test_outside_of_a_project_nothing_is_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert (complete_stacks(""), complete_processes(""), complete_previews("")) == ([], [], [])


def test_previews_come_from_the_backend_by_their_tag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: shop\nruntime: python\n")
    pulumi = tmp_path / "bin" / "pulumi"
    pulumi.parent.mkdir()
    pulumi.write_text(
        "#!/bin/sh\n"
        """case "$*" in *"--tag "*) echo '[{"name": "organization/shop/pr-42"}, {"name": "pr-7"}]';; esac\n"""
    )
    pulumi.chmod(0o755)
    monkeypatch.setenv("PATH", f"{pulumi.parent}:/usr/bin:/bin")
    monkeypatch.setenv("SLIPWAY_RUN_DIR", str(tmp_path / "run"))
    monkeypatch.chdir(tmp_path)
    assert complete_previews("pr-4") == ["pr-42"]


def test_a_place_of_an_error_is_kept_beside_its_sentence() -> None:
    error = SlipwayError("a.yaml: wrong", "mend it", where="a.yaml", why="wrong")
    assert (str(error), error.where, error.why) == ("a.yaml: wrong\n  mend it", "a.yaml", "wrong")


def test_the_errors_of_a_json_preview_are_shown(tmp_path: Path) -> None:
    """Pulumi prints them in its JSON and nothing on standard error."""
    errors = json.dumps(
        {
            "steps": [],
            "diagnostics": [
                {"severity": "warning", "message": "old"},
                {"severity": "error", "message": "<{%reset%}>AccessDenied: ecs:DescribeServices<{%reset%}>\n"},
            ],
        }
    )
    pulumi = tmp_path / "pulumi"
    pulumi.write_text(f"#!/bin/sh\ncat <<'END'\n{errors}\nEND\nexit 255\n")
    pulumi.chmod(0o755)
    with pytest.raises(SlipwayError) as failed:
        run_pulumi(["preview", "--json"], tmp_path, binary=pulumi)
    assert failed.value.message == "`pulumi preview --json` failed:\nAccessDenied: ecs:DescribeServices"
    assert read_json_errors('{"steps": []}') == read_json_errors("error: no stack") == ""


def test_the_command_line_starts_without_what_single_commands_need() -> None:
    """Each Tab asks it for completions, and settings, boto3 and Pulumi take longer to import than all commands."""
    program = "import sys, slipway.cli.main; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert "slipway.cli.check_command" in modules
    assert not {"pydantic", "boto3", "pulumi", "docker", "slipway.config.settings"} & set(modules)
