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

from slipway.cli import main
from slipway_local import toolchain
from tests.committed import assert_committed
from tests.infra.ci_stacks import recorded
from tests.infra.recorder import of
from tests.workflows import (
    FOLDER,
    GENERATED,
    NAMES,
    ROOT,
    USER_FOLDER,
    USER_SLIPWAY,
    Step,
    load,
    render_for_user,
    steps,
)

ACTIONLINT = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12"
STAND_IN = "42"
"""For any variable in a command: a number, a digest and a name are all words to the parser."""
INTO_FILE = re.compile(r" > [\w./-]+$")
INTO_OUTPUT = re.compile(r'^echo "\w+=\$\((.*)\)" >> "\$GITHUB_OUTPUT"$')
ALL = [step for name in NAMES for step in steps(name)]
USER_NAMES = sorted(path.stem for path in USER_FOLDER.glob("*.yml"))
USER_STEPS = [step for name in USER_NAMES for step in steps(name, folder=USER_FOLDER)]
IAM_DEFAULT_SESSION_SECONDS = 3600
"""Of a role without a maximum of its own, and of a job that asks for none."""
ROLES = {
    "PIPELINE_ROLE": "pipeline", "PROMOTE_ROLE": "promote", "DRIFT_ROLE": "drift",
    "PREVIEW_ROLE": "previews-pipeline",
}  # fmt: skip
"""Variable of a GitHub environment -> how the name of the role ends that docs/pipeline.md puts there."""
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


@pytest.mark.parametrize("step", USER_STEPS, ids=[f"{step.job}: {step.name}" for step in USER_STEPS])
def test_a_step_of_a_users_workflow_is_one_command_that_is_there(step: Step) -> None:
    assert "\n" not in step.run
    assert "make " not in step.run
    understood(words(step.run))


def understood(command: list[str]) -> None:
    """The command is of make, pulumi, uv, slipway or the shell, with options that it has; fails otherwise."""
    program, *rest = command
    user_slipway = shlex.split(USER_SLIPWAY)
    if command[: len(user_slipway)] == user_slipway:
        program, rest = ".venv/bin/slipway", command[len(user_slipway) :]
    if program == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert rest
        assert set(rest) <= set(targets)
    elif program == "pulumi":
        assert rest[0] in ("up", "stack", "preview")  # tests/local/test_pipeline_under_roles.py runs them
    elif program == "uv":
        uv_understands(rest)
    elif program in ("test", "env"):
        assert shutil.which(program)
    else:
        assert program == ".venv/bin/slipway"
        found: Any = typer.main.get_command(main.app)
        while isinstance(found, TyperGroup):
            found = found.commands[rest.pop(0)]
        found.make_context(found.name, rest)  # raises for an option that it does not have


def uv_understands(arguments: list[str]) -> None:
    """uv's own help has the command and each of its options; fails otherwise."""
    named = arguments[:2] if arguments[0] == "pip" else arguments[:1]
    uv = Path(sys.executable).parent / "uv"
    done = subprocess.run([uv, *named, "--help"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for option in [each for each in arguments if each.startswith("--")]:
        assert option in done.stdout, option


@pytest.mark.parametrize(
    "command",
    [
        ".venv/bin/slipway promote staging prod --digset 42",
        ".venv/bin/slipway promot",
        f"{USER_SLIPWAY} promot",
        "make tset",
        "uv sync --forzen",
        "uv snyc",
    ],
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
    assert told == {toolchain.PULUMI_VERSION}
    least = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["requiredPulumiVersion"]
    assert least.startswith(">=")
    assert numbers(least) <= numbers(toolchain.PULUMI_VERSION)
    # A newer engine serves an older SDK; the other way round is what nobody tries.
    assert numbers(metadata.version("pulumi")) <= numbers(toolchain.PULUMI_VERSION)


@pytest.mark.parametrize("name", NAMES)
def test_a_job_that_has_the_engine_has_uv_before_which_starts_the_program(name: str) -> None:
    assert yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["runtime"]["options"]["toolchain"] == "uv"
    for job, about in load(name)["jobs"].items():
        told = [step.get("uses", "").partition("@")[0] or step["run"] for step in about["steps"]]
        if "pulumi/actions" in told:
            assert told.index("make setup") < told.index("pulumi/actions"), job


def concurrency_groups(folder: Path, names: list[str]) -> dict[str, set[str]]:
    """Group -> the workflows that have a job in it, a job of a matrix once for each of its values."""
    groups: dict[str, set[str]] = {}
    for name in names:
        for about in load(name, folder=folder)["jobs"].values():
            group = str(about.get("concurrency", {}).get("group", ""))
            matrix = about.get("strategy", {}).get("matrix", {})
            filled = [group]
            for key, values in matrix.items():
                filled = [each.replace(f"${{{{ matrix.{key} }}}}", str(value)) for each in filled for value in values]
            for each in filled:
                groups.setdefault(each, set()).add(name)
    groups.pop("", None)
    return groups


@pytest.mark.parametrize(("folder", "names"), [(FOLDER, NAMES), (USER_FOLDER, USER_NAMES)])
def test_no_workflow_cancels_a_job_of_another_one_that_waits(folder: Path, names: list[str]) -> None:
    """A job that is queued replaces the one that waits in its group: a nightly drift would cancel a waiting deploy."""
    groups = concurrency_groups(folder, names)
    assert {"deploy-staging", "deploy-prod", "drift-staging", "drift-prod"} <= set(groups)
    assert {group: workflows for group, workflows in groups.items() if len(workflows) > 1} == {}


def session_limit(suffix: str) -> int:
    """The longest session of a role of the staging stack, or of dev's for previews, in seconds."""
    stack = "dev" if suffix == "previews-pipeline" else "staging"
    (role,) = [
        each for each in of(recorded(stack, "on")[0], "aws:iam/role:Role") if each.name == f"slipway-{stack}-{suffix}"
    ]
    return int(role.inputs.get("maxSessionDuration", IAM_DEFAULT_SESSION_SECONDS))


@pytest.mark.parametrize(("folder", "names"), [(FOLDER, NAMES), (USER_FOLDER, USER_NAMES)])
def test_no_job_asks_for_a_longer_session_than_its_role_has_or_outlives_it(folder: Path, names: list[str]) -> None:
    """STS refuses a duration above the role's maximum: every job of that role would fail at once."""
    seen = set()
    for name in names:
        for label, about in load(name, folder=folder)["jobs"].items():
            logins = [step["with"] for step in about["steps"] if "configure-aws-credentials" in step.get("uses", "")]
            durations = [0]
            for login in logins:
                variable = re.findall(r"vars\.(\w+)", login["role-to-assume"])[0]
                seen.add(variable)
                durations.append(int(login.get("role-duration-seconds", IAM_DEFAULT_SESSION_SECONDS)))
                assert durations[-1] <= session_limit(ROLES[variable]), (name, label, variable)
            if logins:  # the last one is who does the work
                assert about["timeout-minutes"] * 60 <= durations[-1], (name, label)
    assert seen == set(ROLES)


@pytest.mark.parametrize("name", GENERATED)
def test_a_users_workflow_is_this_repositorys_with_its_packages_in_infra(name: str) -> None:
    assert_committed(USER_FOLDER / f"{name}.yml", render_for_user(name))


def test_a_users_repository_gets_the_workflows_that_docs_name() -> None:
    assert set(USER_NAMES) == {*GENERATED, "ci"}
    deploy = load("deploy", folder=USER_FOLDER)["jobs"]
    assert set(deploy) == {"staging", "prod"}  # its tests are a workflow of its own
    assert deploy["staging"]["if"] == load("deploy")["jobs"]["test"]["if"]
    for name in USER_NAMES:
        engine = [step for about in load(name, folder=USER_FOLDER)["jobs"].values() for step in about["steps"]]
        assert not [step for step in engine if ".venv/bin" in step.get("run", "")]


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


@pytest.fixture(params=[FOLDER, USER_FOLDER], ids=["own", "a user's"])
def repository(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A repository with these workflows: both linters look at .github/workflows alone."""
    shutil.copytree(request.param, tmp_path / ".github" / "workflows")
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    return tmp_path


def test_zizmor_finds_nothing(repository: Path) -> None:
    zizmor = Path(sys.executable).parent / "zizmor"
    command = [zizmor, "--offline", "--no-progress", repository / ".github" / "workflows"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_actionlint_finds_nothing(repository: Path) -> None:
    command = ["actionlint"] if shutil.which("actionlint") else ["go", "run", ACTIONLINT]
    if not shutil.which(command[0]):
        pytest.skip("needs actionlint, or Go to build it")
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
