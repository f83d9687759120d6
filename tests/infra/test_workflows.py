"""The CI pipeline's files: thin, pinned, with no more rights than they need, and their commands are there."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.core import TyperGroup
from typer.exceptions import TyperException

from infra import cli
from infra.local import toolchain
from tests.workflows import FOLDER, NAMES, ROOT, Step, load, steps

ACTIONLINT = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12"
STAND_IN = "42"
"""For any variable in a command: a number, a digest and a name are all words to the parser."""
INTO_FILE = re.compile(r" > [\w./-]+$")
INTO_OUTPUT = re.compile(r'^echo "\w+=\$\((.*)\)" >> "\$GITHUB_OUTPUT"$')
ALL = [step for name in NAMES for step in steps(name)]
GITLAB = ROOT / "docs" / "gitlab-ci.yml"


def words(command: str) -> list[str]:
    """A command as a shell would split it, with a stand-in for each variable; one whose answer is kept is taken out."""
    command = INTO_FILE.sub("", command)
    kept = INTO_OUTPUT.match(command)
    return [re.sub(r"\$\{?\w+\}?", STAND_IN, word) for word in shlex.split(kept[1] if kept else command)]


def gitlab() -> list[str]:
    jobs = yaml.safe_load(GITLAB.read_text())
    return [command for about in jobs.values() if isinstance(about, dict) for command in about.get("script", [])]


@pytest.mark.parametrize("step", ALL, ids=[f"{step.job}: {step.name}" for step in ALL])
def test_a_step_is_one_command_that_runs_here_too(step: Step) -> None:
    assert "\n" not in step.run
    understood(words(step.run))


@pytest.mark.parametrize("command", gitlab())
def test_the_same_pipeline_for_gitlab_calls_commands_that_are_there(command: str) -> None:
    understood(words(command))


def understood(command: list[str]) -> None:
    """The command is `make` with a target, `pulumi`, or `slipway` with options that it has; fails otherwise."""
    program, *rest = command
    if program == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert rest
        assert set(rest) <= set(targets)
    elif program == "pulumi":
        assert rest[0] in ("up", "stack", "preview")  # tests/local/test_pipeline.py runs them
    else:
        assert program == ".venv/bin/slipway"
        found: Any = typer.main.get_command(cli.app)
        while isinstance(found, TyperGroup):
            found = found.commands[rest.pop(0)]
        found.make_context(found.name, rest)  # raises for an option that it does not have


@pytest.mark.parametrize(
    "command", [".venv/bin/slipway promote staging prod --digset 42", ".venv/bin/slipway promot", "make tset"]
)
def test_a_command_or_option_that_is_not_there_would_be_seen(command: str) -> None:
    with pytest.raises((TyperException, KeyError, AssertionError)):
        understood(words(command))


def uses(name: str) -> list[str]:
    return re.findall(r"uses: (.*)", (FOLDER / f"{name}.yml").read_text())


def test_every_action_is_pinned_by_its_commit_and_names_the_version() -> None:
    found = {used for name in NAMES for used in uses(name)}
    assert found
    assert [used for used in found if not re.match(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", used)] == []
    assert len({used.partition("@")[0] for used in found}) == len(found)  # one version of each


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_allowed_that_a_job_does_not_ask_for(name: str) -> None:
    workflow = load(name)
    assert workflow["permissions"] == {}
    for about in workflow["jobs"].values():
        assert set(about["permissions"]) <= {"contents", "id-token", "issues", "pull-requests"}
        pushes = name == "refresh"  # a branch of its own, for a pull request
        assert about["permissions"]["contents"] == ("write" if pushes else "read")
        assert about["timeout-minutes"] <= 90


@pytest.mark.parametrize("name", NAMES)
def test_credentials_are_an_environments_and_a_running_deploy_is_never_cancelled(name: str) -> None:
    for about in load(name)["jobs"].values():
        if about["permissions"].get("id-token") == "write":
            assert about["environment"]
            assert about["concurrency"]["cancel-in-progress"] is False
        else:
            assert not [step for step in about["steps"] if "aws-actions" in step.get("uses", "")]


def test_the_engine_is_the_one_of_this_machine_and_one_that_the_project_takes() -> None:
    told = {
        version
        for name in NAMES
        for version in re.findall(r"pulumi-version: (.*)\}", (FOLDER / f"{name}.yml").read_text())
    }
    assert told == {toolchain.VERSION}
    least = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["requiredPulumiVersion"]
    assert least.startswith(">=")
    assert numbers(least) <= numbers(toolchain.VERSION)
    # A newer engine serves an older SDK; the other way round is what nobody tries.
    assert numbers(metadata.version("pulumi")) <= numbers(toolchain.VERSION)


@pytest.mark.parametrize("name", NAMES)
def test_a_job_that_has_the_engine_has_uv_before_which_starts_the_program(name: str) -> None:
    assert yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["runtime"]["options"]["toolchain"] == "uv"
    for job, about in load(name)["jobs"].items():
        told = [step.get("uses", "").partition("@")[0] or step["run"] for step in about["steps"]]
        if "pulumi/actions" in told:
            assert told.index("make setup") < told.index("pulumi/actions"), job


def numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)]


def test_no_workflow_runs_a_forks_code_with_the_repositorys_rights() -> None:
    triggers = {trigger for name in NAMES for trigger in load(name)[True]}  # type: ignore[index]  # `on` is True to YAML
    assert triggers <= {"push", "pull_request", "schedule", "workflow_dispatch"}  # no pull_request_target


def test_prod_gets_the_very_digest_that_this_run_built_for_staging() -> None:
    built = next(step for step in steps("deploy", "staging") if step.id == "served")
    assert words(built.run) == ["pulumi", "stack", "output", "imageDigest", "--stack", "staging"]
    promoted = next(step for step in steps("deploy", "prod") if "promote" in step.run)
    assert promoted.env["DIGEST"] == "${{ needs.staging.outputs.digest }}"
    assert load("deploy")["jobs"]["prod"]["needs"] == "staging"


def test_zizmor_finds_nothing() -> None:
    zizmor = Path(sys.executable).parent / "zizmor"
    done = subprocess.run([zizmor, "--offline", "--no-progress", FOLDER], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_actionlint_finds_nothing() -> None:
    command = ["actionlint"] if shutil.which("actionlint") else ["go", "run", ACTIONLINT]
    if not shutil.which(command[0]):
        pytest.skip("needs actionlint, or Go to build it")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
