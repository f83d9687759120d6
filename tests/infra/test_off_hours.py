"""Off hours and tasks with addresses of their own: settings, what the program makes of them, and the bill."""

from __future__ import annotations

import importlib.util
import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from slipway.config.errors import SlipwayError
from slipway.config.setting_sections.off_hours import OffHours, to_schedule_expression
from slipway.config.settings import Settings
from slipway.graph import cost
from slipway.release import pause_steps
from tests.infra.iam_policies import allows
from tests.infra.program import plain, program, programmed
from tests.infra.recorder import Recording, of
from tests.infra.test_cost import graph
from tests.paths import ROOT

HOURS = {"stop": "0 20 * * 1-5", "start": "0 7 * * 1-5", "zone": "Europe/Berlin"}
SCHEDULE = "aws:scheduler/schedule:Schedule"
SERVICE = "aws:ecs/service:Service"


def changed(stack: str, **given: Any) -> Settings:
    values = Settings.from_files(stack).model_dump(by_alias=True)
    return Settings.load(values | given, "a test's stack")


@cache
def with_hours() -> Recording:
    return programmed("dev", changed("dev", offHours=HOURS))


@pytest.mark.parametrize(
    ("cron", "expression"),
    [
        ("0 20 * * 1-5", "cron(0 20 ? * MON,TUE,WED,THU,FRI *)"),
        ("30 7 * * 0", "cron(30 7 ? * SUN *)"),
        ("5 6 * * 6,7", "cron(5 6 ? * SUN,SAT *)"),
        ("0 1 * * *", "cron(0 1 ? * SUN,MON,TUE,WED,THU,FRI,SAT *)"),
    ],
)
def test_a_cron_is_said_as_eventbridge_says_it_whose_days_are_numbered_otherwise(cron: str, expression: str) -> None:
    assert to_schedule_expression(cron) == expression


@pytest.mark.parametrize(
    "cron", ["", "0 24 * * 1-5", "60 2 * * 1", "0 20 1 * *", "0 20 * * 8", "0 20 * * 5-1", "cron(0 20)"]
)
def test_a_time_that_is_no_time_of_a_week_is_refused(cron: str) -> None:
    with pytest.raises(SlipwayError, match="offHours"):
        changed("dev", offHours=HOURS | {"stop": cron})


@pytest.mark.parametrize(
    ("stack", "given", "told"),
    [
        ("dev", {"offHours": HOURS | {"zone": "Europe/Atlantis"}}, "IANA"),
        ("prod", {"offHours": HOURS}, "alsoInProd: true"),
        ("dev", {"offHours": HOURS, "publicTasks": False, "interfaceEndpoints": True}, "natGateways is none"),
        ("dev", {"natGateways": "one"}, "natGateways has to be none"),
        ("prod", {"publicTasks": True, "natGateways": "none"}, "publicTasks: false"),
        ("dev", {"publicTasks": False}, "publicTasks to true"),
    ],
)
def test_what_does_not_go_together_is_refused_with_what_to_set(stack: str, given: dict[str, Any], told: str) -> None:
    with pytest.raises(SlipwayError, match=told):
        changed(stack, **given)


def test_production_may_have_off_hours_when_it_is_said_twice() -> None:
    assert changed("prod", offHours=HOURS | {"alsoInProd": True}).off_hours


@pytest.mark.parametrize(
    ("stop", "start", "hours"),
    [
        ("0 20 * * 1-5", "0 7 * * 1-5", 65),
        ("0 20 * * *", "0 8 * * *", 84),
        ("0 18 * * 5", "0 8 * * 1", 106),
        ("0 2 * * *", "0 8 * * *", 126),
    ],
)
def test_the_share_of_a_week_that_it_runs(stop: str, start: str, hours: int) -> None:
    assert OffHours(stop=stop, start=start).running_share == pytest.approx(hours / 168)


def test_the_bill_with_off_hours_leaves_out_what_stops_and_nothing_else() -> None:
    lines = {line.what: line.stops for line in cost.calculate_idle_cost(graph(program("dev")))}
    assert {what for what, stops in lines.items() if stops} == {
        "web tasks, 256 CPU units",
        "worker tasks on Spot, 256 CPU units",
        "public IPv4 addresses of tasks",
        "database, db.t4g.micro, Single-AZ",
    }
    told = cost.off_hours_cost(graph(program("dev")), 0.5)
    total = sum(line.total for line in cost.calculate_idle_cost(graph(program("dev"))))
    assert told["total"] == pytest.approx(total - told["saves"], abs=0.01)
    assert told["saves"] == pytest.approx((9.01 + 2.70 + 7.30 + 11.68) / 2, abs=0.02)


def test_dev_costs_less_than_75_dollars_without_a_nat_gateway() -> None:
    assert sum(line.total for line in cost.calculate_idle_cost(graph(program("dev")))) < 75


def test_tasks_of_dev_are_in_public_subnets_and_closed() -> None:
    found = program("dev")
    assert of(found, "aws:ec2/natGateway:NatGateway") == []
    for service in of(found, SERVICE):
        network = service.inputs["networkConfiguration"]
        assert network["assignPublicIp"] is True
        assert all("public" in plain(subnet) for subnet in network["subnets"])
    rules = of(found, "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")
    open_rules = [rule.name for rule in rules if "cidrIpv4" in rule.inputs or "cidrIpv6" in rule.inputs]
    assert open_rules
    assert all("-lb" in name or "load-balancer" in name or "alb" in name for name in open_rules), open_rules
    (database,) = of(found, "aws:rds/instance:Instance")
    assert database.inputs["publiclyAccessible"] is False


def test_two_tasks_stop_and_start_the_stack_in_its_time_zone() -> None:
    schedules = {s.name: s.inputs for s in of(with_hours(), SCHEDULE) if "off-hours" in s.name}
    assert {name: inputs["scheduleExpression"] for name, inputs in schedules.items()} == {
        "slipway-dev-off-hours-stop-schedule": "cron(0 20 ? * MON,TUE,WED,THU,FRI *)",
        "slipway-dev-off-hours-start-schedule": "cron(0 7 ? * MON,TUE,WED,THU,FRI *)",
    }
    assert {inputs["scheduleExpressionTimezone"] for inputs in schedules.values()} == {"Europe/Berlin"}
    assert not [s for s in of(program("dev"), SCHEDULE) if "off-hours" in s.name]
    commands = [
        container["command"]
        for definition in of(with_hours(), "aws:ecs/taskDefinition:TaskDefinition")
        for container in json.loads(plain(definition.inputs["containerDefinitions"]))
        if container["name"] == pause_steps.OFF_HOURS
    ]
    assert sorted(command[-1] for command in commands) == ["start", "stop"]


def test_its_role_reaches_this_stack_alone() -> None:
    (policy, *_) = [
        r for r in of(with_hours(), "aws:iam/rolePolicy:RolePolicy") if "off-hours-stop" in r.name and "task" in r.name
    ]
    statements = json.loads(plain(policy.inputs["policy"]))["Statement"]
    database = "arn:aws:rds:eu-central-1:123456789012:db:x"
    assert allows(statements, "rds:StopDBInstance", database, {"aws:ResourceTag/stack": "slipway-dev"})
    assert not allows(statements, "rds:StopDBInstance", database, {"aws:ResourceTag/stack": "slipway-prod"})
    for action in (
        "ecs:DeleteService",
        "rds:DeleteDBInstance",
        "rds:ModifyDBInstance",
        "secretsmanager:GetSecretValue",
    ):
        assert not allows(statements, action, "*", {"aws:ResourceTag/stack": "slipway-dev"})


@pytest.fixture
def task(monkeypatch: pytest.MonkeyPatch) -> Any:
    """docker/off-hours/main.py, as its image has it."""
    monkeypatch.setitem(sys.modules, "pause_steps", pause_steps)
    monkeypatch.setenv("CLUSTER", "cluster")
    monkeypatch.setenv("STACK", "shop-dev")
    file = ROOT / "docker" / "off-hours" / "main.py"
    spec = importlib.util.spec_from_file_location("off_hours_main", file)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("mark", "action", "done"),
    [
        ("", "stop", ["pause"]),
        ("off-hours 20:00", "stop", ["pause"]),
        ("2026 by ada", "stop", ["stop_databases_again"]),
        ("2026 by ada", "start", ["stop_databases_again"]),
        ("", "start", []),
        ("off-hours 20:00", "start", ["resume", "finish_resume"]),
    ],
)
def test_the_task_leaves_a_persons_pause_as_it_is(
    task: Any, monkeypatch: pytest.MonkeyPatch, mark: str, action: str, done: list[str]
) -> None:
    calls: list[str] = []
    for name in ("pause", "resume", "finish_resume", "stop_databases_again"):
        monkeypatch.setattr(pause_steps.PausableStack, name, lambda *_, called=name: calls.append(called))
    monkeypatch.setattr(pause_steps.PausableStack, "find_mark", lambda _: mark)
    monkeypatch.setattr(pause_steps.PausableStack, "running_tasks", lambda _: (2, 2))
    assert task.main(action) == 0
    assert calls == done


def test_a_stack_that_does_not_run_in_the_morning_stays_marked_and_the_task_fails(
    task: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    for name in ("resume", "finish_resume"):
        monkeypatch.setattr(pause_steps.PausableStack, name, lambda *_, called=name: calls.append(called))
    monkeypatch.setattr(pause_steps.PausableStack, "find_mark", lambda _: "off-hours 20:00")
    monkeypatch.setattr(pause_steps.PausableStack, "running_tasks", lambda _: (1, 2))
    monkeypatch.setattr(task, "SERVING_TIMEOUT_SECONDS", 0)
    monkeypatch.setattr(task, "POLL_SECONDS", 0)
    assert task.main("start") == 1
    assert calls == ["resume"]


def test_the_file_that_the_image_gets_imports_nothing_of_the_kit() -> None:
    text = Path(pause_steps.__file__).read_text()
    assert "import slipway" not in text
    assert "from slipway" not in text
