"""`slipway pipeline setup` and `check`: by a `gh` that keeps a repository's settings in a file."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from typer.testing import CliRunner

from slipway.cli import main
from slipway.config.errors import SlipwayError
from slipway.pipeline import role_check
from slipway.pipeline.github_environments import read_github_repository
from slipway.pipeline.github_setup import apply_setup, find_reviewers, list_setup_notes, plan_setup
from slipway.pipeline.setup_values import EnvironmentValues, SetupSources, SetupValues, resolve_setup_values
from slipway.pipeline.workflow_needs import read_workflow_needs
from slipway.release import deployed_stack
from tests.fake_gh import FakeGh
from tests.paths import FIXTURES, ROOT
from tests.workflows import USER_FOLDER

BACKEND = "s3://acme-state?region=us-east-1&awssdk=v2"
ROLE = "arn:aws:iam::111122223333:role/shop-{}-{}"


def outputs(stack: str) -> Mapping[str, Any]:
    roles = {"pipelineRole": "pipeline", "promoteRole": "promote", "driftRole": "drift", "previewRole": "previews"}
    return {"services": {}} | {output: ROLE.format(stack, role) for output, role in roles.items()}


@pytest.fixture
def gh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeGh:
    fake = FakeGh(tmp_path / "gh")
    monkeypatch.setenv("PATH", f"{fake.folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("GH_PRIVATE", raising=False)
    return fake


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Workflow files and stack files; dev bears previews, and staging goes on to prod."""
    root = tmp_path / "repository"
    shutil.copytree(ROOT / ".github" / "workflows", root / ".github" / "workflows")
    shutil.copytree(FIXTURES / "stacks", root / "stacks")
    shutil.copy(FIXTURES / "Pulumi.yaml", root / "Pulumi.yaml")
    for stack, setting in {"prod": "promotesFrom: staging", "staging": "promotesTo: prod"}.items():
        file = root / "stacks" / f"Pulumi.{stack}.yaml"
        file.write_text(f"{file.read_text()}\n  {setting}\n")
    return root


def wanted(root: Path, **how: Any) -> SetupValues:
    return resolve_setup_values(read_workflow_needs(root), SetupSources(outputs, BACKEND, root=root, **how))


def settings(gh: FakeGh) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(gh.store.read_text())["settings"]
    return found


def variables(entries: list[dict[str, str]]) -> dict[str, str]:
    return {entry["name"]: entry["value"] for entry in entries}


def test_the_workflow_files_say_what_they_need(repository: Path) -> None:
    needs = read_workflow_needs(repository)
    assert needs.repository_variables == {"PULUMI_BACKEND_URL", "PREVIEW_BASE"}
    assert set(needs.environments) == {"staging", "prod", "preview", "drift-staging", "drift-prod"}  # not pypi
    assert needs.environments["prod"].variables == {"PIPELINE_ROLE", "PROMOTE_ROLE", "AWS_REGION"}
    assert needs.environments["prod"].session_seconds == {"PIPELINE_ROLE": 5400, "PROMOTE_ROLE": 3600}
    assert needs.environments["preview"].secrets == {"PREVIEW_PASSPHRASE"}
    assert needs.opens_pull_requests


def test_a_users_workflows_need_the_same(repository: Path) -> None:
    own = read_workflow_needs(repository)
    shutil.rmtree(repository / ".github" / "workflows")
    shutil.copytree(USER_FOLDER, repository / ".github" / "workflows")
    assert read_workflow_needs(repository) == own


def test_without_workflow_files_it_says_what_writes_them(tmp_path: Path) -> None:
    with pytest.raises(SlipwayError, match="no workflow file"):
        read_workflow_needs(tmp_path)


def test_everything_is_made_once_and_nothing_the_second_time(gh: FakeGh, repository: Path) -> None:
    values = wanted(repository)
    first = plan_setup(read_github_repository("acme/shop"), values, find_reviewers(["ada"]))
    apply_setup(first)
    made = settings(gh)
    assert variables(made["variables"]) == {"PULUMI_BACKEND_URL": BACKEND, "PREVIEW_BASE": "dev"}
    assert made["token"] == {"default_workflow_permissions": "read", "can_approve_pull_request_reviews": True}
    environments = made["environments"]
    assert variables(environments["prod"]["variables"]) == {
        "AWS_REGION": "us-east-1",
        "PIPELINE_ROLE": ROLE.format("prod", "pipeline"),
        "PROMOTE_ROLE": ROLE.format("staging", "promote"),
    }
    assert variables(environments["drift-staging"]["variables"])["DRIFT_ROLE"] == ROLE.format("staging", "drift")
    assert variables(environments["preview"]["variables"])["PREVIEW_ROLE"] == ROLE.format("dev", "previews")
    assert {name: [each["name"] for each in about["branches"]] for name, about in environments.items()} == {
        "staging": ["main"], "prod": ["main"], "drift-staging": ["main"], "drift-prod": ["main"], "preview": [],
    }  # fmt: skip
    (passphrase,) = environments["preview"]["secrets"]
    assert len(passphrase["value"]) > 32
    assert passphrase["value"] not in " ".join(change.text + str(change.arguments) for change in first)
    reviewed = [name for name, about in environments.items() if "required_reviewers" in json.dumps(about)]
    assert reviewed == ["prod"]
    assert plan_setup(read_github_repository("acme/shop"), values, find_reviewers(["ada"])) == []
    assert list_setup_notes(read_github_repository("acme/shop"), values) == []


def test_what_somebody_has_set_beside_it_stays(gh: FakeGh, repository: Path) -> None:
    """A request that sets an environment's rules replaces all of them."""
    apply_setup(plan_setup(read_github_repository("acme/shop"), wanted(repository), find_reviewers(["ada"])))
    store = json.loads(gh.store.read_text())
    prod = store["settings"]["environments"]["prod"]
    prod["protection_rules"].append({"type": "wait_timer", "wait_timer": 30})
    prod |= {"deployment_branch_policy": None, "branches": []}
    prod["variables"].append({"name": "OWN", "value": "kept"})
    (role,) = [each for each in prod["variables"] if each["name"] == "PIPELINE_ROLE"]
    role["value"] = "arn:of-a-former-life"
    gh.store.write_text(json.dumps(store))
    changes = plan_setup(read_github_repository("acme/shop"), wanted(repository))
    assert [change.text for change in changes] == [
        "environment prod: only chosen branches may deploy",
        "environment prod: let jobs of the branch main deploy",
        f"environment prod: set PIPELINE_ROLE to {ROLE.format('prod', 'pipeline')}, it is arn:of-a-former-life",
    ]
    apply_setup(changes)
    prod = settings(gh)["environments"]["prod"]
    assert {rule["type"] for rule in prod["protection_rules"]} == {"branch_policy", "required_reviewers", "wait_timer"}
    assert variables(prod["variables"])["OWN"] == "kept"
    assert plan_setup(read_github_repository("acme/shop"), wanted(repository)) == []


def test_a_plan_of_githubs_without_reviewers_is_told_with_what_remains(
    gh: FakeGh, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GH_PRIVATE", "true")
    github, values = read_github_repository("acme/shop"), wanted(repository)
    with pytest.raises(SlipwayError) as refused:
        apply_setup(plan_setup(github, values, find_reviewers(["ada"])))
    assert "billing plan" in refused.value.message
    assert "Leave --reviewer out" in str(refused.value.fix)
    apply_setup(plan_setup(read_github_repository("acme/shop"), values))
    (note,) = list_setup_notes(read_github_repository("acme/shop"), values)
    assert "deployments need no approval" in note


def test_a_branch_that_somebody_lets_deploy_too_is_told(gh: FakeGh, repository: Path) -> None:
    values = wanted(repository)
    apply_setup(plan_setup(read_github_repository("acme/shop"), values, find_reviewers(["ada"])))
    store = json.loads(gh.store.read_text())
    store["settings"]["environments"]["staging"]["branches"].append({"name": "feature/*"})
    gh.store.write_text(json.dumps(store))
    assert list_setup_notes(read_github_repository("acme/shop"), values) == [
        "environment staging: jobs of feature/* may also deploy"
    ]


def test_a_reviewer_that_github_does_not_know_is_told_before_anything_is_made(gh: FakeGh) -> None:
    with pytest.raises(SlipwayError, match=r"`gh api .*` failed:(.|\n)*404") as failure:
        find_reviewers(["nobody"])
    assert "here: gh auth status" in failure.value.fix
    assert not gh.store.exists()


def test_without_previews_their_environment_is_left_out(repository: Path) -> None:
    file = repository / "stacks" / "Pulumi.dev.yaml"
    file.write_text(file.read_text().replace("previews: true", "previews: false"))
    values = wanted(repository)
    assert "preview" not in values.environments
    assert set(values.repository_variables) == {"PULUMI_BACKEND_URL"}
    assert values.environments["prod"].wants_reviewers
    assert wanted(repository, preview_base="staging").environments["preview"].stack == "staging"


def test_a_role_that_a_stack_does_not_have_is_named_with_the_command_that_makes_it(repository: Path) -> None:
    needs = read_workflow_needs(repository)
    sources = SetupSources(lambda stack: {**outputs(stack), "promoteRole": None}, BACKEND, root=repository)
    with pytest.raises(SlipwayError) as error:
        resolve_setup_values(needs, sources)
    assert "staging has no output promoteRole" in error.value.message
    assert "promotesTo prod --stack staging" in str(error.value.fix)


def test_a_variable_of_a_workflow_that_nobody_knows_is_named(repository: Path) -> None:
    file = repository / ".github" / "workflows" / "deploy.yml"
    file.write_text(file.read_text().replace("vars.PIPELINE_ROLE", "vars.PIPELNE_ROLE"))
    with pytest.raises(SlipwayError, match="PIPELNE_ROLE in the environment prod"):
        wanted(repository)


SUBJECT = "acme/shop"


def role(subject: str, seconds: int, account: str = "111122223333") -> dict[str, Any]:
    condition = {"StringEquals": {role_check.SUBJECT_KEY: subject}}
    return {
        "Path": "/", "RoleName": "shop-prod-pipeline", "RoleId": "A" * 16, "CreateDate": "2026-01-01T00:00:00Z",
        "Arn": f"arn:aws:iam::{account}:role/shop-prod-pipeline", "MaxSessionDuration": seconds,
        "AssumeRolePolicyDocument": {"Statement": [{"Effect": "Allow", "Condition": condition}]},
    }  # fmt: skip


class Aws:
    """The client of an account, as it was stubbed."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def client(self, service: str) -> Any:
        assert service == "iam"
        return self._client


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (role("repo:acme/shop:environment:prod", 7200), None),
        (role("repo:acme@1/shop@2:environment:prod", 7200), None),
        (role("repo:acme/shop:environment:prod", 3600), "longest session is 3600 s: STS refuses it"),
        (role("repo:acme/shop:environment:staging", 7200), "trusts repo:acme/shop:environment:staging, not"),
        (role("repo:thief/shop:environment:prod", 7200), "trusts repo:thief/shop"),
        (role("repo:acme/shop:environment:prod", 7200, "999900001111"), "another account"),
        (None, "cannot be read"),
    ],
)
def test_a_role_is_compared_with_who_assumes_it_and_for_how_long(
    monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any] | None, told: str | None
) -> None:
    client = boto3.Session("key", "secret", region_name="us-east-1").client("iam")
    arn = ROLE.format("prod", "pipeline")
    environment = EnvironmentValues("prod", {"PIPELINE_ROLE": arn}, session_seconds={"PIPELINE_ROLE": 5400})
    monkeypatch.setattr(client, "get_role", lambda RoleName: {"Role": answer}) if answer else None
    with Stubber(client) as stub:
        if not answer:
            stub.add_client_error("get_role", "NoSuchEntity", "no such role")
        found = role_check.check_environment_roles(Aws(client), "prod", environment, [SUBJECT, "acme@1/shop@2"])
    assert [told is not None and told in each for each in found] == ([True] if told else [])


@pytest.fixture
def command(repository: Path, gh: FakeGh, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    """The commands in that repository, whose stacks are as if deployed."""
    monkeypatch.chdir(repository)
    monkeypatch.setenv("PULUMI_BACKEND_URL", BACKEND)
    monkeypatch.setattr(deployed_stack, "read_stack_outputs", outputs)
    return CliRunner()


def test_the_command_shows_first_makes_then_and_the_check_finds_nothing_any_more(
    command: CliRunner, gh: FakeGh
) -> None:
    at = ["--repository", "acme/shop"]
    before = command.invoke(main.app, ["pipeline", "check", "--no-roles", *at])
    assert before.exit_code == 2
    assert "- environment prod: create it" in before.stdout
    shown = command.invoke(main.app, ["pipeline", "setup", "--dry-run", *at])
    assert "+ environment prod: create it" in shown.stdout
    assert "Nothing was changed" in shown.stdout
    assert not gh.store.exists() or settings(gh)["environments"] == {}
    done = command.invoke(main.app, ["pipeline", "setup", "--yes", "--json", "--reviewer", "ada", *at])
    assert json.loads(done.stdout)["notes"] == []
    after = command.invoke(main.app, ["pipeline", "check", "--no-roles", "--json", *at])
    assert (after.exit_code, json.loads(after.stdout)["missing"]) == (0, [])


def test_a_state_on_this_machine_is_refused_for_no_job_could_read_it(
    command: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_BACKEND_URL", "file:///home/somebody/state")
    done = command.invoke(main.app, ["pipeline", "setup", "--repository", "acme/shop"])
    assert isinstance(done.exception, SlipwayError)
    assert "slipway bootstrap" in str(done.exception.fix)


def refuse(root: Path) -> SlipwayError:
    """The error of the values of a repository's workflows."""
    with pytest.raises(SlipwayError) as failure:
        wanted(root)
    return failure.value


def change(file: Path, before: str, after: str) -> None:
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after))


def test_a_stack_without_a_region_is_named(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_REGION", raising=False)
    for file in (repository / "stacks").glob("Pulumi.*.yaml"):
        file.write_text("".join(line for line in file.open() if "aws:region" not in line))
    error = refuse(repository)
    stack = error.message.removeprefix("The region of the stack ").removesuffix(" is unknown.")
    assert stack in {"dev", "staging", "prod"}
    assert error.fix == f"pulumi config set aws:region eu-central-1 --stack {stack}"


def test_two_environments_with_previews_are_a_choice(repository: Path) -> None:
    file = repository / "stacks" / "Pulumi.staging.yaml"
    file.write_text(f"{file.read_text()}\n  previews: true\n")
    error = refuse(repository)
    assert error.message == "Several stacks have previews: true: dev, staging."
    assert error.fix == "Name the one that previews of pull requests use: --preview-base dev"


def test_a_variable_of_the_repository_that_nobody_knows_is_named(repository: Path) -> None:
    change(repository / ".github" / "workflows" / "preview.yml", "vars.PREVIEW_BASE", "vars.PREVIEW_BAES")
    error = refuse(repository)
    assert error.message == ("The workflows use PREVIEW_BAES of the repository's variables, whose value is unknown.")
    assert error.fix.startswith("gh variable set PREVIEW_BAES, and remove it from the jobs' `if`")


def test_a_promotion_without_a_source_is_named_with_the_setting(repository: Path) -> None:
    change(repository / "stacks" / "Pulumi.prod.yaml", "promotesFrom: staging", "")
    error = refuse(repository)
    assert error.message == "prod uses PROMOTE_ROLE, and stacks/Pulumi.prod.yaml has no promotesFrom."
    assert error.fix == "pulumi config set promotesFrom staging --stack prod"
