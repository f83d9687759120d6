"""Restart and scale, on a fake ECS: what is refused, what is asked of AWS, and that what serves is verified."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from slipway.config.errors import SlipwayError
from slipway.release import process_services, restart, rollout, scale
from slipway.release.deployed_stack import DeployedStack
from slipway.release.rollout import ExpectedService, ServiceDeployment
from tests.infra.fake_ecs import NEVER, FakeClock, FakeDeployment, FakeEcs, FakeTask

CLUSTER = "arn:aws:ecs:eu-central-1:111122223333:cluster/shop"
SERVICE = ExpectedService(CLUSTER, "shop-web", "web:7")


@dataclass
class Account:
    """ECS with one service, and Application Auto Scaling with or without its target."""

    status: str = "SUCCESSFUL"
    desired: int = 2
    running: int = 2
    target: dict[str, Any] | None = None
    tags: list[dict[str, str]] = field(default_factory=list)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    deployments: int = 1
    tasks_start: bool = True

    def of(self, arn: str) -> Account:
        return self

    def client(self, service: str) -> Any:
        return self

    def describe_services(self, cluster: str, services: list[str], include: Any = ()) -> Any:
        if self.tasks_start:
            self.running = self.desired
        described = {"serviceName": services[0], "serviceArn": "arn:service", "taskDefinition": "web:7"}
        counts = {"runningCount": self.running, "desiredCount": self.desired}
        return {"services": [described | counts | {"tags": self.tags if include else [], "deployments": []}]}

    def describe_scalable_targets(self, **asked: Any) -> Any:
        assert asked["ResourceIds"] == ["service/shop/shop-web"]
        return {"ScalableTargets": [self.target] if self.target else []}

    def describe_task_definition(self, taskDefinition: str) -> Any:
        return {"taskDefinition": {"containerDefinitions": [{"name": "web", "image": "shop@sha256:1"}]}}

    def __getattr__(self, name: str) -> Any:
        def call(**asked: Any) -> Any:
            self.calls.append((name, asked))
            if name == "update_service" and "desiredCount" in asked:
                self.desired = asked["desiredCount"]
            if name == "update_service" and asked.get("forceNewDeployment"):
                self.deployments += 1
            return {}

        return call

    def asked(self, name: str) -> list[dict[str, Any]]:
        return [asked for call, asked in self.calls if call == name]


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Services whose rollout was verified, with what was asked for through the load balancer."""
    found: list[Any] = []

    def verify(_: Any, service: ExpectedService, say: Any, **how: Any) -> None:
        assert not how["again"], "a failed restart does not go back to another revision"
        found.append((service.name, how["front_door"]))

    def newest(account: Account, *_: str) -> ServiceDeployment:
        arn = f"deployment-{account.deployments}"
        return ServiceDeployment(arn, account.status, "", "revision", "web:7", 0.0, None)

    monkeypatch.setattr(restart, "verify_rollout", verify)
    monkeypatch.setattr(rollout, "get_newest_deployment", newest)
    monkeypatch.setattr(scale, "explain_failure", lambda *_: ["web exited with 3"])
    monkeypatch.setattr(scale.task_watch, "count_serving_tasks", lambda account, _: account.running)
    return found


def stack(account: Account, **services: str) -> DeployedStack:
    outputs = {"url": "http://shop/", "health": {"live": "/livez"}, "logGroups": {"web": "", "cleanup": ""}}
    aws: Any = account
    return DeployedStack("dev", aws, CLUSTER, services or {"web": "shop-web"}, outputs)


def test_a_restart_is_a_rollout_of_the_same_revision_that_is_verified(verified: list[Any]) -> None:
    account = Account()
    (result,) = restart.restart_processes(stack(account), [], print, FakeClock())
    assert account.asked("update_service") == [
        {"cluster": CLUSTER, "service": "shop-web", "taskDefinition": "web:7", "forceNewDeployment": True}
    ]
    ((name, front_door),) = verified
    assert (name, front_door.url) == ("shop-web", "http://shop/livez")
    assert (result.process, result.tasks, result.task_definition) == ("web", 2, "web:7")


def test_nothing_is_changed_while_a_rollout_is_in_progress(verified: list[Any]) -> None:
    account = Account(status="IN_PROGRESS")
    for act in (
        lambda: restart.restart_processes(stack(account), [], print, FakeClock()),
        lambda: scale.scale_processes(stack(account), {"web": 3}, print, FakeClock()),
    ):
        with pytest.raises(SlipwayError, match="A rollout of web in dev is in progress"):
            act()
    assert account.calls == []


@pytest.mark.parametrize(
    ("name", "problem"),
    [("wbe", "The stack dev has no process wbe"), ("cleanup", "cleanup of the stack dev runs by a schedule")],
)
def test_a_process_without_a_service_is_answered_with_those_that_have_one(name: str, problem: str) -> None:
    with pytest.raises(SlipwayError, match=problem) as refused:
        process_services.select_processes(stack(Account(), web="a", worker="b"), ["web", name])
    assert refused.value.fix == "Processes with a service: web, worker."


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        *[([word], "is no process and number of tasks") for word in ("web", "web=x", "web=-1", "=2")],
        (["web=0"], "web=0: allowed are 1 to 5000 tasks"),
        (["web=5001"], "web=5001: allowed are 1 to 5000 tasks"),
        (["web=1", "web=2"], "web is named twice"),
    ],
)
def test_what_is_no_number_of_tasks_is_refused(words: list[str], problem: str) -> None:
    with pytest.raises(SlipwayError, match=problem):
        scale.parse_task_counts(words)


def test_a_number_of_tasks_is_tagged_set_and_verified(verified: list[Any]) -> None:
    account = Account()
    (result,) = scale.scale_processes(stack(account), {"web": 4}, print, FakeClock())
    assert result.tasks == 4
    assert account.asked("tag_resource") == [
        {"resourceArn": "arn:service", "tags": [{"key": scale.SCALED_TAG, "value": "4"}]}
    ]
    assert account.asked("register_scalable_target") == []
    assert len(verified) == 1


@pytest.mark.parametrize(("tasks", "largest"), [(3, 4), (6, 6)])
def test_autoscaling_keeps_at_least_what_was_asked_for(verified: list[Any], tasks: int, largest: int) -> None:
    account = Account(target={"MinCapacity": 2, "MaxCapacity": 4})
    scale.scale_processes(stack(account), {"web": tasks}, print, FakeClock())
    (asked,) = account.asked("register_scalable_target")
    assert (asked["MinCapacity"], asked["MaxCapacity"]) == (tasks, largest)


def test_tasks_that_do_not_come_up_are_an_error_with_its_cause(verified: list[Any]) -> None:
    account = Account(tasks_start=False)
    with pytest.raises(SlipwayError, match=r"2 of 4 tasks run after 600 s\.\nweb exited with 3"):
        scale.scale_processes(stack(account), {"web": 4}, print, FakeClock())
    assert verified == []


def test_an_up_restores_the_number_of_the_stack_file_once(verified: list[Any]) -> None:
    said: list[str] = []
    account: Any = Account(desired=6, tags=[{"key": scale.SCALED_TAG, "value": "6"}])
    scale.restore_task_counts(account, SERVICE, 2, 4, said.append)
    assert account.desired == 2
    (asked,) = account.asked("register_scalable_target")
    assert (asked["MinCapacity"], asked["MaxCapacity"]) == (2, 4)
    assert account.asked("untag_resource") == [{"resourceArn": "arn:service", "tagKeys": [scale.SCALED_TAG]}]
    assert "had set 6 tasks; it has 2 to 4 again" in said[0]


def test_an_up_leaves_the_number_of_a_service_that_nobody_scaled(verified: list[Any]) -> None:
    account: Any = Account(desired=3)  # autoscaling's own
    scale.restore_task_counts(account, SERVICE, 2, 4, print)
    assert account.calls == []


def test_the_wrong_account_is_said_with_its_profile() -> None:
    from slipway.release.aws_session import AwsSession

    client = SimpleNamespace(get_caller_identity=lambda: {"Account": "999900001111"})
    session = SimpleNamespace(profile_name="work", region_name="eu-central-1", client=lambda *_, **__: client)
    with pytest.raises(
        SlipwayError, match=r"account 111122223333, and the credentials are for 999900001111 \(profile work\)"
    ):
        AwsSession(session).of(CLUSTER)


@pytest.mark.parametrize(
    ("task", "how", "waits"),
    [
        (FakeTask("web:7", answers=90), {"balanced": True}, 90),
        (FakeTask("web:7", started=40, health="HEALTHY"), {"health_check": {"command": ["CMD", "true"]}}, 40),
        (FakeTask("web:7"), {}, 1),  # nothing checks it
        (FakeTask("web:7", answers=NEVER), {"balanced": True}, None),
        (FakeTask("web:7", health="UNKNOWN"), {"health_check": {"command": ["CMD", "true"]}}, None),
        (FakeTask("web:7", stopping=0), {}, None),
    ],
)
def test_tasks_that_run_are_waited_for_until_they_pass_their_checks(
    monkeypatch: pytest.MonkeyPatch, task: FakeTask, how: dict[str, Any], waits: float | None
) -> None:
    """An app that starts slowly runs long before it answers, and a change of the number of tasks is no rollout."""
    monkeypatch.setattr(scale, "explain_failure", lambda *_: [])
    clock = FakeClock()
    account: Any = FakeEcs(clock, [FakeDeployment("web:7", -99, [(-99, "SUCCESSFUL")])], [task], **how)
    if waits is None:
        with pytest.raises(SlipwayError, match=r"1 of 1 tasks run, 0 pass their health checks after 600 s"):
            scale.await_tasks(account, SERVICE, 1, print, clock)
        return
    scale.await_tasks(account, SERVICE, 1, print, clock)
    assert waits <= clock.now() <= waits + rollout.POLL_SECONDS
