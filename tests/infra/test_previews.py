"""Previews without any AWS: what they are called, what they are made of, and who may be reaped."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest
from botocore.exceptions import ClientError

from infra.errors import SlipwayError
from infra.foundation import Foundation
from infra.previews import bearing, bring_up, ground, guard, leftovers, reaper
from infra.previews.bill import usd_a_day
from infra.previews.engine import config_of
from infra.previews.guard import BASE, EXPIRES, KIND, MADE, NAME, Seen, refusal
from infra.previews.lifetime import end, lifetime
from infra.previews.names import is_ours, stack_of
from infra.previews.open_prs import open_pull_requests
from infra.previews.reap import decide
from infra.settings import ROOT, Settings, check_names
from tests.infra.program import plain, programmed
from tests.infra.recorder import FOUNDATION, Registered, of

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
BRANCHES = [
    "pr-42", "PR_42", "pr_42", "pr-", "prod", "dev", "feature/Login", "feature-login", "Feature/login", "ünïcode",
    "漢字",     "a" * 300, "a" * 301, "pr-42-0123abcd", "-", "..",
    "x'; DROP DATABASE app; --", "pr-prod", "42", " 42", "release/1.0",
]  # fmt: skip


def test_any_branch_becomes_a_name_that_aws_takes_and_no_two_the_same() -> None:
    stacks = [stack_of(branch, "slipway") for branch in BRANCHES]
    assert len(set(stacks)) == len(BRANCHES)
    for stack in stacks:
        assert is_ours(stack), stack
        check_names("slipway", stack)
    assert stacks[0] == "pr-42"


def test_what_a_name_becomes_is_not_what_somebody_else_can_ask_for() -> None:
    for branch in BRANCHES:
        stack = stack_of(branch, "slipway")
        assert stack == branch or stack_of(stack, "slipway") != stack


def test_a_project_whose_name_leaves_no_room_is_told() -> None:
    with pytest.raises(SlipwayError, match="leaves no room"):
        stack_of("pr-1", "a-very-long-project")
    with pytest.raises(SlipwayError, match="has a name"):
        stack_of(" ", "slipway")


@pytest.mark.parametrize(("text", "found"), [("90m", timedelta(minutes=90)), ("2w", timedelta(weeks=2))])
def test_a_lifetime_has_a_unit(text: str, found: timedelta) -> None:
    assert lifetime(text) == found
    assert datetime.fromisoformat(end(text, NOW)) == NOW + found


@pytest.mark.parametrize("text", ["", "3", "0d", "3 days", "-1d", "1.5h", "forever"])
def test_a_wrong_lifetime_is_told(text: str) -> None:
    with pytest.raises(SlipwayError, match="--expires"):
        lifetime(text)


def preview(secrets: str = "{}", **changes: Any) -> list[Registered]:
    """The program of a preview on dev."""
    own = {"kind": "preview", "base": "dev", "imageDigest": f"sha256:{'0' * 64}"}
    config = {key.removeprefix("slipway:"): value for key, value in config_of("dev", own | changes).items()}
    given = {key: value for key, value in config.items() if ":" not in key}
    defaults = Settings.from_files("preview").model_dump(by_alias=True)
    return programmed("pr-42", Settings.load(defaults | given, "a preview"), secrets=secrets)


def test_a_preview_is_at_most_twelve_resources_and_none_of_them_is_slow() -> None:
    made = [each for each in preview() if each.type.startswith(("aws:", "docker-build:"))]
    assert {each.type for each in made} <= MADE
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
            "arn:execution",
            "arn:task",
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
    assert Foundation.of(FOUNDATION.plain()) == FOUNDATION
    assert Foundation.of(FOUNDATION.plain(), {"database"}).previews is None


def seen(stack: str = "pr-42", **changes: Any) -> Seen:
    """A preview's stack as it should be, past its time."""
    tags = {KIND: "preview", BASE: "dev", NAME: stack, EXPIRES: (NOW - timedelta(days=1)).isoformat()}
    own = {"tags": {"kind": "preview", "stack": f"slipway-{stack}"}}
    service = {"type": "aws:ecs/service:Service", "inputs": own, "urn": "a::b::c::web"}
    config = {"kind": "preview", "base": "dev"}
    return replace(Seen(stack, tags, [service], config), **changes)


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
        seen(tags=without(KIND)),
        seen(tags=without(BASE)),
        seen(tags=dict(seen().tags) | {KIND: "environment"}),
        seen(tags=dict(seen().tags) | {BASE: "prod"}),
        seen(config={"kind": "environment"}),
        seen(config={"kind": "preview", "base": "prod"}),
        seen(config={}),
        seen(resources=[*seen().resources, DATABASE]),
        seen(resources=[ANOTHERS]),
        seen(resources=[UNTAGGED]),
        seen(broken="the state is no JSON"),
        seen(tags=dict(seen().tags) | {EXPIRES: "yesterday"}),
        seen(tags=dict(seen().tags) | {EXPIRES: "2026-01-01T00:00:00"}),
        seen(tags=without(EXPIRES)),
    ],
    ids=lambda each: f"{each.stack} {each.broken}{len(each.tags)}{each.config}",
)
def test_what_is_not_surely_a_preview_is_never_reaped(other: Seen) -> None:
    assert [each.action for each in decide([other], "dev", NOW)] in (["refuse"], [])


def test_a_preview_is_reaped_when_its_time_is_over() -> None:
    (decision,) = decide([seen()], "dev", NOW)
    assert (decision.action, decision.stack) == ("destroy", "pr-42")
    later = dict(seen().tags) | {EXPIRES: (NOW + timedelta(minutes=1)).isoformat()}
    assert [each.action for each in decide([seen(tags=later)], "dev", NOW)] == ["keep"]
    cut_off = seen(tags=later, config=None, resources=[])
    assert [each.action for each in decide([cut_off], "dev", NOW + timedelta(hours=1))] == ["destroy"]


def test_a_preview_is_reaped_when_its_pull_request_is_closed_and_no_branch_is_taken_for_one() -> None:
    later = {EXPIRES: (NOW + timedelta(days=1)).isoformat()}
    branch = seen("pr-login", tags=dict(seen().tags) | later | {NAME: "login"})
    numbered = seen(tags=dict(seen().tags) | later)
    actions = [each.action for each in decide([branch, numbered], "dev", NOW, {41, 43})]
    assert actions == ["keep", "destroy"]
    assert [each.action for each in decide([numbered], "dev", NOW, {42})] == ["keep"]


def test_open_pull_requests_are_numbers_and_an_empty_list_is_not_none_of_them() -> None:
    assert open_pull_requests(None) is None
    assert open_pull_requests("1,2, 3") == {1, 2, 3}
    assert open_pull_requests("none") == set()
    for wrong in ("", "1,,2", "main"):
        with pytest.raises(SlipwayError, match="--open-prs"):
            open_pull_requests(wrong)


def test_a_state_that_cannot_be_read_is_broken_and_no_error() -> None:
    class Engine:
        def tags(self, stack: str) -> dict[str, str]:
            return {KIND: "preview", BASE: "dev"}

        def state(self, stack: str) -> Any:
            return {"deployment": {"resources": [{"urn": 1}]}}

        def ask(self, *_: str) -> str:
            return "[]"

    assert refusal(guard.look(Engine(), "pr-1"), "dev").startswith("it cannot be read")  # type: ignore[arg-type]


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
    assert {arn: leftovers._leftover(arn).known for arn in left} == left


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


SERVICE, TASK = leftovers.Leftover("arn:aws:ecs:r:1:service/main/web", True), "arn:aws:ecs:r:1:task/main/1"
SECRET = leftovers.Leftover("arn:aws:secretsmanager:r:1:secret:slipway-dev/preview/own", True)


@pytest.mark.parametrize(
    ("each", "call", "code", "words"),
    [
        (SERVICE, "DeleteService", "InvalidParameterException", "The service cannot be stopped while it is scaled"),
        (SERVICE, "DeleteService", "ClientException", "Too many concurrent attempts"),
        (leftovers.Leftover(TASK, True), "StopTask", "InvalidParameterException", "Invalid identifier"),
        (SECRET, "DeleteSecret", "InvalidParameterException", "Invalid recovery window"),
        (SECRET, "DeleteSecret", "AccessDeniedException", "not authorized"),
    ],
)
def test_what_aws_refuses_is_still_there(each: leftovers.Leftover, call: str, code: str, words: str) -> None:
    assert leftovers.remove(answers(call, code, words), [each]) == [each]


@pytest.mark.parametrize(
    ("each", "call", "code", "words"),
    [
        (SERVICE, "DeleteService", "ServiceNotFoundException", "Service not found."),
        (SERVICE, "DeleteService", "ClusterNotFoundException", "Cluster not found."),
        (leftovers.Leftover(TASK, True), "StopTask", "InvalidParameterException", "The referenced task was not found."),
        (SECRET, "DeleteSecret", "ResourceNotFoundException", "Secrets Manager can't find the specified secret."),
    ],
)
def test_what_is_gone_already_is_no_leftover(each: leftovers.Leftover, call: str, code: str, words: str) -> None:
    assert leftovers.remove(answers(call, code, words), [each]) == []


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

    monkeypatch.setattr(leftovers, "of_stack", lambda *_: [leftovers._leftover(arn)])
    there = seen(resources=[{"type": "t", "inputs": {}, "urn": "u", "ids": known}])
    wanted = bring_up.Wanted("feature/Login", "pr-42", "3d")
    if not refused:
        bring_up._refuse_what_it_does_not_know(Base, wanted, there)  # type: ignore[arg-type]
        return
    with pytest.raises(SlipwayError, match="does not know of") as told:
        bring_up._refuse_what_it_does_not_know(Base, wanted, there)  # type: ignore[arg-type]
    assert arn in told.value.message
    assert "slipway preview destroy feature/Login --base dev --fix" in str(told.value.fix)


def standing(*stacks: str, kind: str = "environment") -> Any:
    """An engine with the environment dev, and previews' stacks on it; what it ran is in `ran`."""

    class Engine:
        ran: ClassVar[list[str]] = []

        def has(self, stack: str) -> bool:
            return stack == "dev"

        def tags(self, _: str) -> dict[str, str]:
            return {KIND: kind}

        def stacks(self, *_: str) -> list[str]:
            return list(stacks)

        def ask(self, *_: str) -> str:
            return "{}"

        def run(self, *arguments: str, folder: Any) -> None:
            self.ran.extend(arguments)

    Engine.ran = []
    return Engine()


def test_an_environment_is_destroyed_by_the_engine_but_not_under_its_previews(monkeypatch: pytest.MonkeyPatch) -> None:
    for engine, told in (
        (standing("pr-1"), "1 previews stand on dev: pr-1"),
        (standing(kind="preview"), "dev is a preview"),
    ):
        monkeypatch.setattr(bearing, "open_engine", lambda _, engine=engine: engine)
        with pytest.raises(SlipwayError, match=told):
            bearing.destroy_environment("dev", yes=True)
        assert engine.ran == []
    free = standing()
    monkeypatch.setattr(bearing, "open_engine", lambda _: free)
    monkeypatch.setattr(bearing, "_in_aws", lambda *_: {"pr-2"})
    with pytest.raises(SlipwayError, match="pr-2"):
        bearing.destroy_environment("dev", yes=True)
    monkeypatch.setattr(bearing, "_in_aws", lambda *_: set())
    bearing.destroy_environment("dev", yes=False)
    assert free.ran == ["destroy", "--stack", "dev"]  # which asks by itself


def test_reap_goes_on_where_the_environment_of_some_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(base: str) -> Any:
        raise SlipwayError(f"There is no stack {base}.")

    monkeypatch.setattr(ground, "open_ground", gone)
    told: list[str] = []
    found = ground.ground_or_what_is_left(standing(), "was", told.append)
    assert (found.cluster, found.server, reaper._remains(found)) == ("", None, set())
    assert "The environment was is gone" in told[0]
    with pytest.raises(SlipwayError, match="no stack dev"):  # it is there and cannot be read: nothing is assumed
        ground.ground_or_what_is_left(standing(), "dev", told.append)


def test_a_preview_costs_cents_a_day() -> None:
    made = [
        {"type": each.type, "urn": f"a::b::c::{each.name}", "inputs": each.inputs}
        for each in preview()
        if each.type.startswith("aws:")
    ]
    assert 0.05 < usd_a_day(made) < 0.60
    watching = json.loads((ROOT / "docker" / "grafana" / "dashboards" / "watching.json").read_text())
    (panel,) = (panel for panel in watching["panels"] if panel["title"] == "Cost of previews")
    (shown,) = (float(usd) for usd in re.findall(r"\* ([\d.]+) or", panel["targets"][0]["expr"]))
    assert round(usd_a_day(made), 2) == shown
