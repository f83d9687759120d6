"""Previews without any AWS: what they are called, what they are made of, and who may be reaped."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from botocore.exceptions import ClientError

from slipway.components.outputs import EnvironmentOutputs
from slipway.config.errors import SlipwayError
from slipway.config.settings import Settings, check_stack_name
from slipway.previews import (
    base_environment,
    create,
    destroy_guard,
    identity,
    orphans,
    preview_stacks,
    reap,
    state_files,
)
from slipway.previews.expiry import decide_reaping
from slipway.previews.identity import PREVIEW_RESOURCE_TYPES, StackSnapshot, why_not_a_preview
from slipway.previews.preview_cost import estimate_daily_cost
from slipway.previews.preview_names import is_preview_stack_name, preview_stack_name
from slipway.previews.preview_stacks import PulumiBackend, build_preview_config
from slipway.previews.pull_requests import list_open_pull_requests
from slipway.previews.stack_tags import BASE_TAG, EXPIRES_TAG, KIND_TAG, NAME_TAG
from slipway.previews.ttl import compute_expiry, parse_moment, parse_ttl
from slipway.release.deployed_stack import DeployedStack
from tests.infra import facts
from tests.infra.fake_pulumi import FakeAws, FakePulumi, FakeStack, Killer
from tests.infra.program import plain, programmed
from tests.infra.recorder import FOUNDATION, Registered, of
from tests.paths import ROOT

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
BRANCHES = [
    "pr-42", "PR_42", "pr_42", "pr-", "prod", "dev", "feature/Login", "feature-login", "Feature/login", "ünïcode",
    "漢字",     "a" * 300, "a" * 301, "pr-42-0123abcd", "-", "..",
    "x'; DROP DATABASE app; --", "pr-prod", "42", " 42", "release/1.0",
]  # fmt: skip


def test_any_branch_becomes_a_name_that_aws_takes_and_no_two_the_same() -> None:
    stacks = [preview_stack_name(branch, "slipway") for branch in BRANCHES]
    assert len(set(stacks)) == len(BRANCHES)
    for stack in stacks:
        assert is_preview_stack_name(stack), stack
        check_stack_name("slipway", stack)
    assert stacks[0] == "pr-42"


def test_what_a_name_becomes_is_not_what_somebody_else_can_ask_for() -> None:
    for branch in BRANCHES:
        stack = preview_stack_name(branch, "slipway")
        assert stack == branch or preview_stack_name(stack, "slipway") != stack


def test_a_project_whose_name_leaves_no_room_is_told() -> None:
    with pytest.raises(SlipwayError, match="is too long"):
        preview_stack_name("pr-1", "a-very-long-project")
    with pytest.raises(SlipwayError, match="name is empty"):
        preview_stack_name(" ", "slipway")


@pytest.mark.parametrize("name", ["pr-1\n", "pr\n-1", "a\x00b", "pr-\udcff1", "pr-\x1b[31m"])
def test_a_name_with_a_line_break_or_bytes_is_one_sentence(name: str) -> None:
    with pytest.raises(SlipwayError, match="line break, a control character or invalid") as told:
        preview_stack_name(name, "slipway")
    assert str(told.value).isascii()
    assert not is_preview_stack_name(name)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("2026-13-01", "which is not a time"),
        ("tomorrow", "which is not a time"),
        ("2026-01-01T00:00:00", "which has no time zone"),
        ("x\n", "which is not a time"),
    ],
)
def test_a_wrong_moment_is_one_sentence(text: str, problem: str) -> None:
    with pytest.raises(SlipwayError, match=rf"--at is .*, {problem}") as refusal:
        parse_moment(text)
    assert refusal.value.fix == "Write it in ISO 8601: 2026-01-31T12:00:00+00:00"


@pytest.mark.parametrize(("text", "found"), [("90m", timedelta(minutes=90)), ("2w", timedelta(weeks=2))])
def test_a_lifetime_has_a_unit(text: str, found: timedelta) -> None:
    assert parse_ttl(text) == found
    assert datetime.fromisoformat(compute_expiry(text, NOW)) == NOW + found


@pytest.mark.parametrize("text", ["", "3", "0d", "3 days", "-1d", "1.5h", "forever"])
def test_a_wrong_lifetime_is_told(text: str) -> None:
    with pytest.raises(SlipwayError, match=r"--expires is .*, which is no duration"):
        parse_ttl(text)


def preview(secrets: str = "{}", **changes: Any) -> list[Registered]:
    """The program of a preview on dev."""
    own = {"kind": "preview", "base": "dev", "imageDigest": f"sha256:{'0' * 64}"}
    config = {key.removeprefix("slipway:"): value for key, value in build_preview_config("dev", own | changes).items()}
    given = {key: value for key, value in config.items() if ":" not in key}
    defaults = Settings.from_files("preview").model_dump(by_alias=True)
    return programmed("pr-42", Settings.load(defaults | given, "a preview"), secrets=secrets)


def test_a_preview_is_at_most_twelve_resources_and_none_of_them_is_slow() -> None:
    made = [each for each in preview() if each.type.startswith(("aws:", "docker-build:"))]
    assert {each.type for each in made} <= PREVIEW_RESOURCE_TYPES
    assert len(made) == 8  # README; 12 is the limit. Where the image is built here it is one more.


def test_everything_of_a_preview_says_whose_it_is() -> None:
    for each in preview():
        if "tags" in each.inputs and each.type.startswith("aws:"):
            tags = {"kind": "preview", "stack": "slipway-pr-42", "base": "slipway-dev"}
            assert tags.items() <= each.inputs["tags"].items(), each.name


def test_a_preview_has_roles_and_group_of_its_environment_and_nothing_public() -> None:
    made = preview()
    (service,) = of(made, "aws:ecs/service:Service")
    network = service.inputs["networkConfiguration"]
    assert network["securityGroups"] == ["previews-group"]
    assert network["assignPublicIp"] is False
    assert service.inputs["capacityProviderStrategies"] == [{"capacityProvider": "FARGATE_SPOT", "weight": 1}]
    for definition in of(made, "aws:ecs/taskDefinition:TaskDefinition"):
        assert (definition.inputs["executionRoleArn"], definition.inputs["taskRoleArn"]) == (
            facts.PREVIEWS.execution_role_arn,
            facts.PREVIEWS.task_role_arn,
        )
    (rule,) = of(made, "aws:lb/listenerRule:ListenerRule")
    assert rule.inputs["conditions"] == [{"hostHeader": {"values": ["pr-42.preview.example.com"]}}]
    assert 0 < rule.inputs["priority"] < 40_000


def test_no_container_of_a_preview_gets_the_owners_password() -> None:
    for definition in of(preview(), "aws:ecs/taskDefinition:TaskDefinition"):
        for container in json.loads(plain(definition.inputs["containerDefinitions"])):
            assert not {"PGUSER", "PGPASSWORD"} & {each["name"] for each in container["secrets"]}
            assert "rds" not in json.dumps(container["secrets"])


def test_the_app_is_told_of_its_own_database_and_of_the_redis_beside_it() -> None:
    task, *_ = of(preview(), "aws:ecs/taskDefinition:TaskDefinition")
    web, *_, cache = json.loads(plain(task.inputs["containerDefinitions"]))
    told = {each["name"]: each["value"] for each in web["environment"]}
    assert "preview_pr_42" in told.values()
    assert (cache["name"], cache["image"]) == ("cache", "registry/app@sha256:redis")
    assert web["dependsOn"] == [{"containerName": "cache", "condition": "START"}]


def test_a_foundation_is_read_with_what_previews_share() -> None:
    assert EnvironmentOutputs.from_output(FOUNDATION.to_output()) == FOUNDATION
    assert EnvironmentOutputs.from_output(FOUNDATION.to_output(), {"database"}).previews is None


def seen(stack: str = "pr-42", **changes: Any) -> StackSnapshot:
    """A preview's stack as it should be, past its time."""
    tags = {KIND_TAG: "preview", BASE_TAG: "dev", NAME_TAG: stack, EXPIRES_TAG: (NOW - timedelta(days=1)).isoformat()}
    own = {"tags": {"kind": "preview", "stack": f"slipway-{stack}"}}
    service = {"type": "aws:ecs/service:Service", "inputs": own, "urn": "a::b::c::web"}
    config = {"kind": "preview", "base": "dev"}
    return replace(StackSnapshot(stack, tags, [service], config), **changes)


def without(key: str, **more: str) -> dict[str, str]:
    return {name: value for name, value in (dict(seen().tags) | more).items() if name != key}


DATABASE = {"type": "aws:rds/instance:Instance", "inputs": {}, "urn": "a::b::c::db"}
ANOTHERS = {
    "type": "aws:ecs/service:Service",
    "inputs": {"tags": {"kind": "preview", "stack": "slipway-prod"}},
    "urn": "a::b::c::web",
}
UNTAGGED = {"type": "aws:ecs/service:Service", "inputs": {"tags": {}}, "urn": "a::b::c::web"}


@pytest.mark.parametrize(
    "other",
    [
        *(seen(stack) for stack in ("prod", "dev", "pr", "pr-", "preview-prod", "PR_42", "xpr-42", "pr--42", "pr-42-")),
        seen(tags={}),
        seen(tags=without(KIND_TAG)),
        seen(tags=without(BASE_TAG)),
        seen(tags=dict(seen().tags) | {KIND_TAG: "environment"}),
        seen(tags=dict(seen().tags) | {BASE_TAG: "prod"}),
        seen(config={"kind": "environment"}),
        seen(config={"kind": "preview", "base": "prod"}),
        seen(config={}),
        seen(resources=[*seen().resources, DATABASE]),
        seen(resources=[ANOTHERS]),
        seen(resources=[UNTAGGED]),
        seen(broken="the state is no JSON"),
        seen(tags=dict(seen().tags) | {EXPIRES_TAG: "yesterday"}),
        seen(tags=dict(seen().tags) | {EXPIRES_TAG: "2026-01-01T00:00:00"}),
        seen(tags=without(EXPIRES_TAG)),
    ],
    ids=lambda each: f"{each.stack} {each.broken}{len(each.tags)}{each.config}",
)
def test_what_is_not_surely_a_preview_is_never_reaped(other: StackSnapshot) -> None:
    assert [each.action for each in decide_reaping([other], "dev", NOW)] in (["refuse"], [])


def test_a_preview_is_reaped_when_its_time_is_over() -> None:
    (decision,) = decide_reaping([seen()], "dev", NOW)
    assert (decision.action, decision.stack) == ("destroy", "pr-42")
    later = dict(seen().tags) | {EXPIRES_TAG: (NOW + timedelta(minutes=1)).isoformat()}
    assert [each.action for each in decide_reaping([seen(tags=later)], "dev", NOW)] == ["keep"]
    cut_off = seen(tags=later, config=None, resources=[])
    assert [each.action for each in decide_reaping([cut_off], "dev", NOW + timedelta(hours=1))] == ["destroy"]


def test_a_preview_is_reaped_when_its_pull_request_is_closed_and_no_branch_is_taken_for_one() -> None:
    later = {EXPIRES_TAG: (NOW + timedelta(days=1)).isoformat()}
    branch = seen("pr-login", tags=dict(seen().tags) | later | {NAME_TAG: "login"})
    numbered = seen(tags=dict(seen().tags) | later)
    actions = [each.action for each in decide_reaping([branch, numbered], "dev", NOW, {41, 43})]
    assert actions == ["keep", "destroy"]
    assert [each.action for each in decide_reaping([numbered], "dev", NOW, {42})] == ["keep"]


def test_open_pull_requests_are_numbers_and_an_empty_list_is_not_none_of_them() -> None:
    assert list_open_pull_requests(None) is None
    assert list_open_pull_requests("1,2, 3") == {1, 2, 3}
    assert list_open_pull_requests("none") == set()
    for wrong in ("", "1,,2", "main"):
        with pytest.raises(SlipwayError, match="which is no list of numbers"):
            list_open_pull_requests(wrong)


def test_a_state_that_cannot_be_read_is_broken_and_no_error() -> None:
    class Engine:
        def tags(self, stack: str) -> dict[str, str]:
            return {KIND_TAG: "preview", BASE_TAG: "dev"}

        def state(self, stack: str) -> Any:
            return {"deployment": {"resources": [{"urn": 1}]}}

        def ask(self, *_: str) -> str:
            return "[]"

    assert why_not_a_preview(identity.inspect_stack(Engine(), "pr-1"), "dev").startswith("it cannot be read")  # type: ignore[arg-type]


def test_what_a_preview_makes_can_all_be_taken_away_when_it_is_left() -> None:
    left = {
        "arn:aws:ecs:r:1:service/main/web": True,
        "arn:aws:ecs:r:1:task-definition/web:3": True,
        "arn:aws:elasticloadbalancing:r:1:targetgroup/web/1": True,
        "arn:aws:elasticloadbalancing:r:1:listener-rule/app/lb/1/2/3": True,
        "arn:aws:secretsmanager:r:1:secret:slipway-dev/preview/own": True,
        "arn:aws:logs:r:1:log-group:slipway-dev/preview/web": True,
        "arn:aws:rds:r:1:db:main": False,
    }
    assert {arn: orphans._orphan_from_arn(arn).known for arn in left} == left


def answers(call: str, code: str, words: str) -> Any:
    """An AWS in which everything is answered with this error."""

    class Client:
        def __getattr__(self, name: str) -> Any:
            def fail(**_: Any) -> Any:
                raise ClientError({"Error": {"Code": code, "Message": words}}, call)

            return fail

    class Clients:
        def client(self, service: str) -> Any:
            return Client()

    return Clients()


SERVICE, TASK = orphans.OrphanedResource("arn:aws:ecs:r:1:service/main/web", True), "arn:aws:ecs:r:1:task/main/1"
SECRET = orphans.OrphanedResource("arn:aws:secretsmanager:r:1:secret:slipway-dev/preview/own", True)


@pytest.mark.parametrize(
    ("each", "call", "code", "words"),
    [
        (SERVICE, "DeleteService", "InvalidParameterException", "The service cannot be stopped while it is scaled"),
        (SERVICE, "DeleteService", "ClientException", "Too many concurrent attempts"),
        (orphans.OrphanedResource(TASK, True), "StopTask", "InvalidParameterException", "Invalid identifier"),
        (SECRET, "DeleteSecret", "InvalidParameterException", "Invalid recovery window"),
        (SECRET, "DeleteSecret", "AccessDeniedException", "not authorized"),
    ],
)
def test_what_aws_refuses_is_still_there(each: orphans.OrphanedResource, call: str, code: str, words: str) -> None:
    assert orphans.delete_orphans(answers(call, code, words), [each]) == [each]


@pytest.mark.parametrize(
    ("each", "call", "code", "words"),
    [
        (SERVICE, "DeleteService", "ServiceNotFoundException", "Service not found."),
        (SERVICE, "DeleteService", "ClusterNotFoundException", "Cluster not found."),
        (
            orphans.OrphanedResource(TASK, True),
            "StopTask",
            "InvalidParameterException",
            "The referenced task was not found.",
        ),
        (SECRET, "DeleteSecret", "ResourceNotFoundException", "Secrets Manager can't find the specified secret."),
    ],
)
def test_what_is_gone_already_is_no_leftover(each: orphans.OrphanedResource, call: str, code: str, words: str) -> None:
    assert orphans.delete_orphans(answers(call, code, words), [each]) == []


PREFIX = "arn:aws:elasticloadbalancing:r:1:"
RULE, GROUP = f"{PREFIX}listener-rule/app/lb/1/2/3", f"{PREFIX}targetgroup/web/1"
LOG_GROUP = "arn:aws:logs:r:1:log-group:slipway-dev/preview/web"


@pytest.mark.parametrize(
    ("arn", "known", "refused"),
    [
        (RULE, [], True),
        (RULE, [GROUP], True),
        (RULE, [RULE], False),
        (f"{LOG_GROUP}:*", [LOG_GROUP], False),
        ("arn:aws:ecs:r:1:task-definition/web:3", [], False),
        (TASK, [], False),
    ],
)
def test_what_the_stack_does_not_know_is_told_before_anything_is_made(
    monkeypatch: pytest.MonkeyPatch, arn: str, known: list[str], refused: bool
) -> None:
    class Base:
        base, cluster = "dev", "arn:cluster"

        class aws:
            of = classmethod(lambda cls, _: cls)

    monkeypatch.setattr(orphans, "find_orphans", lambda *_: [orphans._orphan_from_arn(arn)])
    there = seen(resources=[{"type": "t", "inputs": {}, "urn": "u", "ids": known}])
    wanted = create.PreviewRequest("feature/Login", "pr-42", "3d")
    if not refused:
        create._ensure_no_orphans(Base, wanted, there)  # type: ignore[arg-type]
        return
    with pytest.raises(SlipwayError, match="that its state lacks") as told:
        create._ensure_no_orphans(Base, wanted, there)  # type: ignore[arg-type]
    assert arn in told.value.message
    assert "slipway preview destroy feature/Login --base dev --fix" in str(told.value.fix)


def standing(*stacks: str, kind: str = "environment") -> Any:
    """An engine with the environment dev, and previews' stacks on it; what it ran is in `ran`."""

    class Engine:
        ran: ClassVar[list[str]] = []

        def has(self, stack: str) -> bool:
            return stack == "dev"

        def tags(self, _: str) -> dict[str, str]:
            return {KIND_TAG: kind}

        def previews(self, base: str = "") -> list[str]:
            return list(stacks)

        def ask(self, *_: str) -> str:
            return "{}"

        def run(self, *arguments: str, folder: Any) -> None:
            self.ran.extend(arguments)

    Engine.ran = []
    return Engine()


def test_an_environment_is_destroyed_by_the_engine_but_not_under_its_previews(monkeypatch: pytest.MonkeyPatch) -> None:
    for engine, told in (
        (standing("pr-1"), "dev has 1 previews: pr-1"),
        (standing(kind="preview"), "dev is a preview"),
    ):
        monkeypatch.setattr(destroy_guard, "open_backend", lambda _, engine=engine: engine)
        with pytest.raises(SlipwayError, match=told):
            destroy_guard.destroy_environment("dev", yes=True)
        assert engine.ran == []
    free = standing()
    monkeypatch.setattr(destroy_guard, "open_backend", lambda _: free)
    monkeypatch.setattr(destroy_guard, "_find_previews_in_aws", lambda *_: {"pr-2"})
    with pytest.raises(SlipwayError, match="pr-2"):
        destroy_guard.destroy_environment("dev", yes=True)
    monkeypatch.setattr(destroy_guard, "_find_previews_in_aws", lambda *_: set())
    destroy_guard.destroy_environment("dev", yes=False)
    assert free.ran == ["destroy", "--stack", "dev"]  # which asks by itself


def test_reap_goes_on_where_the_environment_of_some_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(base: str) -> Any:
        raise SlipwayError(f"There is no stack {base}.")

    monkeypatch.setattr(base_environment, "open_stack", gone)
    told: list[str] = []
    found = base_environment.open_base_environment_or_empty(standing(), "was", told.append)
    assert (found.cluster, found.server, reap._find_remaining_previews(found)) == ("", None, set())
    assert "The environment was does not exist" in told[0]
    with pytest.raises(SlipwayError, match="no stack dev"):  # it is there and cannot be read: nothing is assumed
        base_environment.open_base_environment_or_empty(standing(), "dev", told.append)


def test_a_preview_costs_cents_a_day() -> None:
    made = [
        {"type": each.type, "urn": f"a::b::c::{each.name}", "inputs": each.inputs}
        for each in preview()
        if each.type.startswith("aws:")
    ]
    assert 0.05 < estimate_daily_cost(made) < 0.60
    watching = json.loads((ROOT / "docker" / "grafana" / "dashboards" / "watching.json").read_text())
    (panel,) = (panel for panel in watching["panels"] if panel["title"] == "Cost of previews")
    (shown,) = (float(usd) for usd in re.findall(r"\* ([\d.]+) or", panel["targets"][0]["expr"]))
    assert round(estimate_daily_cost(made), 2) == shown


def test_previews_are_removed_by_their_state_where_their_environment_has_them_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outputs = FOUNDATION.to_output()
    del outputs["previews"]
    aws: Any = None
    stack = DeployedStack("dev", aws, "arn:cluster", {}, {"foundation": outputs})
    monkeypatch.setattr(base_environment, "open_stack", lambda _: stack)
    said: list[str] = []
    base = base_environment.open_base_environment_or_empty(standing(), "dev", said.append)
    assert (base.cluster, base.server) == (outputs["cluster"]["arn"], None)
    assert "previews: false" in said[0]
    with pytest.raises(SlipwayError, match="has previews: false"):
        base_environment.open_base_environment("dev")


@pytest.mark.parametrize("in_aws", [set(), {"pr-lost"}])
def test_this_machines_environment_is_not_taken_down_under_a_preview_that_lost_its_tags(
    monkeypatch: pytest.MonkeyPatch, in_aws: set[str]
) -> None:
    class Local:
        stack = "local"

        def is_running(self) -> bool:
            return True

        has_stack = is_running

    local: Any = Local()
    outputs = {"foundation": {}, "services": {}}  # whether previews are switched on does not matter
    engine = PulumiBackend("pulumi", {})
    monkeypatch.setattr(PulumiBackend, "previews", lambda *_: [])
    monkeypatch.setattr(PulumiBackend, "ask", lambda *_, **__: json.dumps(outputs))
    monkeypatch.setattr(destroy_guard, "open_backend", lambda _: engine)
    monkeypatch.setattr(destroy_guard, "open_stack", lambda _: DeployedStack("local", local, "", {}, {}))
    full_names = {f"slipway-{stack}" for stack in in_aws}
    monkeypatch.setattr(orphans, "find_stacks_with_orphans", lambda aws, base: full_names)
    if not in_aws:
        destroy_guard.ensure_no_local_previews(local)
        return
    with pytest.raises(SlipwayError, match="local has 1 previews: pr-lost"):
        destroy_guard.ensure_no_local_previews(local)


def backend(monkeypatch: pytest.MonkeyPatch, folder: Path) -> FakePulumi:
    """A backend in a folder with three previews, of which pr-2 has a damaged state; the program calls it."""
    killer = Killer()
    pulumi = FakePulumi(killer, FakeAws(killer), backend_url=f"file://{folder}")
    states = folder / ".pulumi" / "stacks" / "slipway"
    states.mkdir(parents=True)
    for stack in ("dev", "pr-1", "pr-2", "pr-3"):
        tags = {KIND_TAG: "preview", BASE_TAG: "dev"} if stack != "dev" else {}
        pulumi.stacks[stack] = FakeStack(tags, damaged=stack == "pr-2")
        for suffix in (".json", ".json.bak", ".json.attrs", ".pulumi-tags"):
            (states / f"{stack}{suffix}").touch()
    monkeypatch.setattr(preview_stacks, "run_pulumi", pulumi.ask)
    return pulumi


def test_a_damaged_state_hides_only_its_own_preview_and_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    backend(monkeypatch, tmp_path)
    engine = PulumiBackend("pulumi", {})
    assert engine.previews() == engine.previews("dev") == ["pr-1", "pr-2", "pr-3"]
    assert engine.previews("prod") == []
    broken = {stack: identity.inspect_stack(engine, stack).broken for stack in engine.previews()}
    assert [stack for stack, reason in broken.items() if reason] == ["pr-2"]
    file = tmp_path / ".pulumi" / "stacks" / "slipway" / "pr-2.json"
    assert f"the state file {file} is damaged (place 1: unexpected end of JSON input)" in broken["pr-2"]
    assert f"{file}.bak" in broken["pr-2"]


def test_a_backend_that_keeps_no_files_tells_its_own_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pulumi = backend(monkeypatch, tmp_path)
    pulumi.backend_url = "https://api.pulumi.com"
    with pytest.raises(SlipwayError, match="unexpected end of JSON input"):
        PulumiBackend("pulumi", {}).previews()


def test_state_files_in_a_bucket_are_found_below_its_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    class Session:
        def __init__(self, **given: Any) -> None:
            asked.update(given)

        def client(self, service: str, endpoint_url: str | None) -> Any:
            asked["endpoint"] = endpoint_url
            return self

        def get_paginator(self, call: str) -> Any:
            return self

        def paginate(self, **given: Any) -> Any:
            asked.update(given)
            prefix = given["Prefix"]
            return [{"Contents": [{"Key": f"{prefix}pr-1.json"}, {"Key": f"{prefix}pr-1.json.bak"}]}, {}]

    monkeypatch.setattr(state_files.boto3, "Session", Session)
    url = "s3://state/team?region=eu-central-1&endpoint=127.0.0.1:4566&disableSSL=true&awssdk=v2"
    assert state_files.list_state_files(url, "shop") == {"pr-1": "s3://state/team/.pulumi/stacks/shop/pr-1.json"}
    assert asked["endpoint"] == "http://127.0.0.1:4566"
    assert (asked["Bucket"], asked["region_name"]) == ("state", "eu-central-1")


def test_reap_refuses_what_lost_its_tags_and_takes_an_empty_stack_that_has_expired(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pulumi = backend(monkeypatch, tmp_path)
    pulumi.stacks = {
        "pr-1": FakeStack({BASE_TAG: "dev", EXPIRES_TAG: (NOW - timedelta(days=1)).isoformat()}),  # cut off
        "pr-2": FakeStack({}),
    }
    aws: Any = None
    base = base_environment.BaseEnvironment("dev", aws, {})
    monkeypatch.setattr(reap, "open_base_environment_or_empty", lambda *_: base)
    monkeypatch.setattr(reap, "_find_remaining_previews", lambda _: {"pr-1", "pr-2", "pr-3"})
    plan = reap.plan_reaping(PulumiBackend("pulumi", {}), "dev", NOW, None, print)
    decided = {decision.stack: decision.action for decision in plan.decisions}
    assert decided == {"pr-1": "destroy", "pr-2": "refuse"}
    assert plan.stacks_to_destroy == ["pr-1", "pr-3"]
