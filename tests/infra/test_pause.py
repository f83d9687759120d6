"""Pause and resume on a fake AWS: what stops, in which order, what comes back, and what a second run does."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.config.errors import SlipwayError
from slipway.release import pause
from slipway.release.deployed_stack import DeployedStack
from slipway.release.pause_steps import FORMER_TASKS_TAG, PAUSED_TAG, PausableStack
from slipway.release.rollout import ExpectedService
from tests.infra.fake_ecs import FakeClock

CLUSTER = "arn:aws:ecs:eu-central-1:111122223333:cluster/shop"
ALARM = "arn:aws:cloudwatch:eu-central-1:111122223333:alarm:shop-dev-web"


class Account:
    """Two services, one of a preview, a database, a schedule and an alarm; what is asked is done at once."""

    def __init__(self) -> None:
        self.cluster_tags: dict[str, str] = {"tier": "dev"}
        self.services = {
            name: {"desiredCount": count, "tags": {}, "serviceName": name, "serviceArn": name, "status": "ACTIVE"}
            for name, count in (("shop-dev-web", 2), ("shop-pr-1", 1))
        }
        self.target = {"MinCapacity": 2, "MaxCapacity": 4, "SuspendedState": {"DynamicScalingInSuspended": False}}
        self.databases = {"mine": "available", "other": "available"}
        self.schedules = {
            "shop-dev-cleanup": "ENABLED",
            "shop-dev-off-hours-stop": "ENABLED",
            "shop-dev-eu-x": "ENABLED",
        }
        self.alarms_heard = True
        self.order: list[str] = []

    def client(self, service: str) -> Any:
        return self

    def get_paginator(self, call: str) -> Any:
        pages: dict[str, Any] = {
            "list_services": {"serviceArns": list(self.services)},
            "describe_db_instances": {
                "DBInstances": [
                    {
                        "DBInstanceIdentifier": name,
                        "DBInstanceStatus": status,
                        "TagList": [{"Key": "stack", "Value": "shop-dev" if name == "mine" else "shop-dev-eu"}],
                    }
                    for name, status in self.databases.items()
                ]
            },
            "get_resources": {"ResourceTagMappingList": [{"ResourceARN": ALARM}]},
            "list_schedules": {
                "Schedules": [
                    {"Name": name, "GroupName": "default", "Target": {"Arn": self._cluster_of(name)}}
                    for name in self.schedules
                ]
            },
        }
        return type("Paginator", (), {"paginate": lambda _, **asked: [pages[call]]})()

    def _cluster_of(self, schedule: str) -> str:
        return f"{CLUSTER}-eu" if schedule.startswith("shop-dev-eu") else CLUSTER

    def describe_clusters(self, clusters: list[str], include: list[str]) -> Any:
        return {"clusters": [{"tags": [{"key": k, "value": v} for k, v in self.cluster_tags.items()]}]}

    def describe_services(self, cluster: str, services: list[str], include: list[str]) -> Any:
        return {
            "services": [
                service
                | {"runningCount": service["desiredCount"]}
                | {"tags": [{"key": k, "value": v} for k, v in service["tags"].items()]}  # type: ignore[attr-defined]
                for name, service in self.services.items()
                if name in services
            ]
        }

    def _tags(self, arn: str) -> dict[str, str]:
        return self.cluster_tags if arn == CLUSTER else self.services[arn]["tags"]  # type: ignore[return-value]

    def tag_resource(self, resourceArn: str, tags: list[dict[str, str]]) -> None:
        self.order.append(f"tag {resourceArn}")
        self._tags(resourceArn).update({tag["key"]: tag["value"] for tag in tags})

    def untag_resource(self, resourceArn: str, tagKeys: list[str]) -> None:
        self.order.append(f"untag {resourceArn}")
        for key in tagKeys:
            self._tags(resourceArn).pop(key, None)

    def update_service(self, cluster: str, service: str, desiredCount: int) -> None:
        self.order.append(f"{service} {desiredCount}")
        self.services[service]["desiredCount"] = desiredCount

    def describe_scalable_targets(self, ResourceIds: list[str], **_: Any) -> Any:
        return {"ScalableTargets": [self.target] if ResourceIds == ["service/shop/shop-dev-web"] else []}

    def register_scalable_target(self, ResourceId: str, MinCapacity: int, SuspendedState: Any, **_: Any) -> None:
        assert ResourceId == "service/shop/shop-dev-web"
        self.target |= {"MinCapacity": MinCapacity, "SuspendedState": SuspendedState}

    def stop_db_instance(self, DBInstanceIdentifier: str) -> None:
        assert self.databases[DBInstanceIdentifier] == "available"
        self.order.append("stop database")
        self.databases[DBInstanceIdentifier] = "stopped"

    def start_db_instance(self, DBInstanceIdentifier: str) -> None:
        self.order.append("start database")
        self.databases[DBInstanceIdentifier] = "available"

    def disable_alarm_actions(self, AlarmNames: list[str]) -> None:
        assert AlarmNames == ["shop-dev-web"]
        self.alarms_heard = False

    def enable_alarm_actions(self, AlarmNames: list[str]) -> None:
        self.alarms_heard = True

    def get_schedule(self, GroupName: str, Name: str) -> Any:
        return {
            "Name": Name,
            "GroupName": GroupName,
            "Arn": "no key of UpdateSchedule",
            "ScheduleExpression": "rate(1 day)",
        }

    def update_schedule(self, Name: str, State: str, GroupName: str, ScheduleExpression: str) -> None:
        self.schedules[Name] = State


@pytest.fixture
def account() -> Account:
    return Account()


def stack(account: Account) -> PausableStack:
    return PausableStack(account.client, CLUSTER, "shop-dev", lambda _: None, FakeClock().sleep)


def test_a_pause_stops_what_is_the_stacks_and_its_previews(account: Account) -> None:
    stack(account).pause("now by me")
    assert account.cluster_tags[PAUSED_TAG] == "now by me"
    assert {s["desiredCount"] for s in account.services.values()} == {0}
    assert account.target["MinCapacity"] == 0
    assert set(account.target["SuspendedState"].values()) == {True}  # type: ignore[attr-defined]
    assert account.databases == {"mine": "stopped", "other": "available"}
    assert account.schedules == {
        "shop-dev-cleanup": "DISABLED",
        "shop-dev-off-hours-stop": "ENABLED",
        "shop-dev-eu-x": "ENABLED",
    }
    assert not account.alarms_heard
    assert account.order[0] == f"tag {CLUSTER}", "a pause that is cut off can be seen"
    assert account.order[-1] == "stop database", "tasks do not fail for want of it"


def test_a_second_pause_does_not_forget_how_many_tasks_there_were(account: Account) -> None:
    stack(account).pause("now by me")
    stack(account).pause("now by me")
    assert account.services["shop-dev-web"]["tags"] == {FORMER_TASKS_TAG: "2 2"}
    assert account.services["shop-pr-1"]["tags"] == {FORMER_TASKS_TAG: "1 -"}


def test_a_resume_starts_the_database_first_and_everything_as_it_was(account: Account) -> None:
    before = Account()
    stack(account).pause("now by me")
    account.order.clear()
    stack(account).resume()
    assert account.order[0] == "start database"
    assert not account.alarms_heard, "they are silent until it serves"
    assert PAUSED_TAG in account.cluster_tags
    stack(account).finish_resume()
    for name in ("cluster_tags", "services", "databases", "schedules", "alarms_heard"):
        assert getattr(account, name) == getattr(before, name), name
    assert account.target["MinCapacity"] == 2
    assert not any(account.target["SuspendedState"].values())  # type: ignore[attr-defined]


@pytest.mark.parametrize("is_served", [True, False])
def test_a_resume_ends_when_every_service_serves_and_changes_no_release(
    account: Account, monkeypatch: pytest.MonkeyPatch, is_served: bool
) -> None:
    done: list[Any] = []

    def verify(_: Any, service: ExpectedService, __: Any, *, front_door: Any, **how: Any) -> None:
        assert not how["again"], "a resume is no release: a failed one is not rolled back by it"
        assert how["stack"] == "dev"
        done.append(("verify", service.name, service.task_definition, front_door))
        if not is_served:
            raise SlipwayError("it does not serve")

    described = {"taskDefinition": "web:7", "desiredCount": 2}
    monkeypatch.setattr(pause, "_pausable", lambda _, say, clock: stack(account))
    monkeypatch.setattr(pause.rollout, "describe_service", lambda *_: described)
    monkeypatch.setattr(pause, "await_tasks", lambda _, service, tasks, *__: done.append((service.name, tasks)))
    monkeypatch.setattr(pause, "smoke_test_of", lambda _, process, __: f"the door of {process}")
    monkeypatch.setattr(pause, "verify_rollout", verify)
    deployed = DeployedStack("dev", None, CLUSTER, {"web": "shop-dev-web"}, {})  # type: ignore[arg-type]
    assert not pause.resume_stack(deployed, print, FakeClock())
    stack(account).pause("now by me")
    if is_served:
        assert pause.resume_stack(deployed, print, FakeClock())
    else:
        with pytest.raises(SlipwayError, match="it does not serve"):
            pause.resume_stack(deployed, print, FakeClock())
    assert done == [("shop-dev-web", 2), ("verify", "shop-dev-web", "web:7", "the door of web")]
    assert (PAUSED_TAG in account.cluster_tags, account.alarms_heard) == (not is_served, is_served)


def test_a_database_that_aws_started_by_itself_is_stopped_again(account: Account) -> None:
    stack(account).pause("now by me")
    account.databases["mine"] = "available"
    stack(account).stop_databases_again()
    assert account.databases["mine"] == "stopped"


def test_a_database_that_never_starts_ends_the_wait(account: Account) -> None:
    account.databases["mine"] = "failed"
    with pytest.raises(TimeoutError, match="the database mine is failed after 3600 s"):
        stack(account).resume()


def test_what_needs_a_running_stack_says_since_when_it_is_paused(account: Account) -> None:
    aws: Any = account
    pause.ensure_not_paused(aws, CLUSTER, "dev")
    stack(account).pause("2026-11-30T20:00:00+00:00 by arn:aws:iam::1:user/ada")
    with pytest.raises(SlipwayError, match=r"dev is paused since 2026-11-30T20:00:00\+00:00 by .*ada") as refused:
        pause.ensure_not_paused(aws, CLUSTER, "dev")
    assert refused.value.fix == "slipway resume dev"
