"""Rollouts and their verification as a table: what ECS says from second to second, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from slipway.config.errors import SlipwayError
from slipway.release import rollout
from slipway.release.rollout import ExpectedService, ServiceDeployment
from slipway.release.verify import verify_rollout
from tests.infra.fake_ecs import CLUSTER, NEVER, FakeClock, FakeDeployment, FakeEcs, FakeTask

OLD, NEW, OTHER = "web:1", "web:2", "web:3"
CHECK = {"command": ["CMD", "true"], "interval": 7, "timeout": 4, "retries": 5, "startPeriod": 33}
SERVED = FakeDeployment(OLD, -1000, [(-1000, "SUCCESSFUL")])


@dataclass
class Case:
    """What ECS does, and what `verify_rollout` makes of it."""

    name: str
    deployments: list[FakeDeployment]
    tasks: list[FakeTask]
    fails: str = ""
    """A part of the error; empty: it succeeds."""
    says: list[str] = field(default_factory=list)
    """Parts of the error and of the lines before it."""
    never: list[str] = field(default_factory=list)
    """What neither has."""
    updates: list[str] = field(default_factory=list)
    """Task definitions that UpdateService was called with."""
    within: float = NEVER
    """Seconds that it takes at most."""
    at_least: float = 0.0
    again: bool = True
    prepare: Callable[[FakeEcs], None] = lambda _: None
    options: dict[str, Any] = field(default_factory=dict)


def rolled(definition: str, *statuses: tuple[float, str], created: float = 0.0, **more: Any) -> FakeDeployment:
    return FakeDeployment(definition, created, [(created, "IN_PROGRESS"), *statuses], **more)


def crashed(definition: str = NEW, created: float = 1, lived: float = 2, **more: Any) -> FakeTask:
    """A task that exited with 3 after `lived` seconds."""
    given = {"exit_code": 3, "log": ["about to fall"], **more}
    return FakeTask(definition, created, created + 1, created + 1 + lived, **given)


def succeeds_on_update(ecs: FakeEcs, definition: str) -> None:
    now = ecs.clock.now()
    ecs.deployments.append(FakeDeployment(definition, now, [(now, "IN_PROGRESS"), (now + 20, "SUCCESSFUL")]))
    for task in ecs.service_tasks:
        task.stopped = min(task.stopped, now + 20)
        task.stop_code = "ServiceSchedulerInitiated"
    ecs.tasks.append(FakeTask(definition, now, now + 5))


def fails_on_update(ecs: FakeEcs, definition: str) -> None:
    now = ecs.clock.now()
    ecs.deployments.append(
        FakeDeployment(definition, now, [(now, "IN_PROGRESS"), (now + 20, "ROLLBACK_SUCCESSFUL")], "breaker")
    )
    ecs.tasks.append(crashed(definition, now + 1, exit_code=7, log=["the new fault"]))


def listed_late(ecs: FakeEcs, definition: str) -> None:
    succeeds_on_update(ecs, definition)
    ecs.deployments[-1].listed = ecs.clock.now() + 15


def alarm(ecs: FakeEcs) -> None:
    ecs.alarms = {"web-errors": "ALARM", "web-quiet": "OK"}


def unhealthy(ecs: FakeEcs) -> None:
    ecs.events = [
        (-900, "(service web) (port 8000) is unhealthy in (target-group old) due to (reason codes: [500])"),
        (30, "(service web) (port 8000) is unhealthy in (target-group web) due to (reason codes: [404])"),
    ]


def throttled(ecs: FakeEcs) -> None:
    ecs.errors = {"ListServiceDeployments": ["ThrottlingException"] * 3, "DescribeTasks": ["Throttling"] * 2}


def throttled_for_ever(ecs: FakeEcs) -> None:
    ecs.errors = {"ListServiceDeployments": ["ThrottlingException"] * 1000}


def denied(ecs: FakeEcs) -> None:
    ecs.errors = {"DescribeServices": ["AccessDeniedException"]}


def no_header(ecs: FakeEcs) -> None:
    ecs.has_date_header = False


def stalled(ecs: FakeEcs) -> None:
    ecs.stuck = True


ROLLED_BACK = rolled(NEW, (40, "ROLLBACK_IN_PROGRESS"), (60, "ROLLBACK_SUCCESSFUL"), reason="breaker threshold")
GOOD = rolled(NEW, (20, "SUCCESSFUL"))
LONG_AGO = FakeDeployment(NEW, -5000, [(-5000, "SUCCESSFUL")])
AGED = FakeTask(NEW, -4999, -4990)
BEFORE_TASK = FakeTask(OLD, -999, -990, 20, 0, "ServiceSchedulerInitiated", "Scaling activity")

CASES = [
    Case("successful", [SERVED, GOOD], [BEFORE_TASK, FakeTask(NEW, 1, 5)], says=["complete 20 s"], within=60),
    Case("nothing changed", [LONG_AGO], [AGED], within=1, never=["watching", "complete"]),
    Case(
        "rolled back",
        [SERVED, ROLLED_BACK],
        [FakeTask(OLD, -999, -990), crashed(), crashed(created=10)],
        fails="did not become stable; ECS rolled back",
        says=["web exited with 3", "about to fall", "Running now: 1 of web:1", "slipway rollback prod", "threshold"],
    ),
    Case(
        "rolled back and not to be tried again",
        [SERVED, ROLLED_BACK],
        [FakeTask(OLD, -999, -990), crashed()],
        fails="rolled back",
        again=False,
    ),
    Case(
        "rollback failed",
        [rolled(NEW, (40, "ROLLBACK_FAILED"))],
        [crashed()],
        fails="no revision that ECS could roll back to",
        says=["No task of web is running now", "nothing to roll back to"],
        never=["slipway rollback"],
    ),
    Case("stopped", [SERVED, rolled(NEW, (30, "STOPPED"))], [FakeTask(OLD, -999, -990)], fails="was stopped"),
    Case(
        "another deployment meanwhile",
        [SERVED, GOOD, rolled(OTHER, (50, "SUCCESSFUL"), created=10)],
        [FakeTask(OTHER, 11, 15)],
        fails="during the rollout of web:2, web:3 was deployed",
    ),
    Case(
        "another one deployed before",
        [SERVED, FakeDeployment(OTHER, -100, [(-100, "SUCCESSFUL")])],
        [FakeTask(OTHER, -99, -90)],
        says=["web:3 was deployed"],
        updates=[NEW],
        options={"on_update": succeeds_on_update},
    ),
    Case("no deployment", [], [], fails="ECS has no deployment of web", says=["pulumi refresh"]),
    Case(
        "failed before, tried again",
        [SERVED, FakeDeployment(NEW, -100, [(-100, "ROLLBACK_SUCCESSFUL")])],
        [FakeTask(OLD, -999, -990), crashed(created=-99, log=["the old fault"])],
        says=["trying again"],
        updates=[NEW],
        options={"on_update": succeeds_on_update},
    ),
    Case(
        "failed before, fails again: this deployment's own fault is told",
        [SERVED, FakeDeployment(NEW, -100, [(-100, "ROLLBACK_SUCCESSFUL")])],
        [FakeTask(OLD, -999, -990), crashed(created=-99, log=["the old fault"])],
        fails="did not become stable",
        says=["web exited with 7", "the new fault"],
        never=["the old fault", "exited with 3"],
        updates=[NEW],
        options={"on_update": fails_on_update},
    ),
    Case(
        "still rolling back what failed before this update",
        [SERVED, FakeDeployment(NEW, -100, [(-100, "ROLLBACK_IN_PROGRESS"), (30, "ROLLBACK_SUCCESSFUL")])],
        [FakeTask(OLD, -999, -990), crashed(created=-99, log=["the old fault"])],
        says=["failed and was rolled back: deploying web:2 again"],
        updates=[NEW],
        options={"on_update": succeeds_on_update},
    ),
    Case(
        "the deployment of the update is listed late",
        [SERVED, rolled(NEW, (20, "SUCCESSFUL"), listed=9)],
        [BEFORE_TASK, FakeTask(NEW, 1, 5)],
        never=["from elsewhere"],
    ),
    Case(
        "the repeated deployment is listed late",
        [SERVED, FakeDeployment(NEW, -100, [(-100, "ROLLBACK_SUCCESSFUL")])],
        [FakeTask(OLD, -999, -990)],
        updates=[NEW],
        options={"on_update": listed_late},
    ),
    Case("stalled", [rolled(NEW)], [crashed()], fails="ECS starts no more tasks", prepare=stalled, within=5),
    Case(
        "never over",
        [SERVED, rolled(NEW)],
        [FakeTask(OLD, -999, -990), FakeTask(NEW, 1, None)],
        fails="did not end in 2400 s",
        says=["1 pending", "Running now: 1 of web:1"],
    ),
    Case("alarm already on", [SERVED, GOOD], [FakeTask(NEW, 1, 5)], says=["web-errors is in ALARM"], prepare=alarm,
         never=["web-quiet"]),
    Case("throttled for a while", [SERVED, GOOD], [FakeTask(NEW, 1, 5)], says=["throttled"], prepare=throttled),
    Case("throttled for ever", [SERVED, GOOD], [FakeTask(NEW, 1, 5)], fails="ThrottlingException",
         prepare=throttled_for_ever, within=300),
    Case("denied", [SERVED, GOOD], [FakeTask(NEW, 1, 5)], fails="AccessDeniedException", prepare=denied, within=1),
    Case("AWS's clock an hour ahead", [SERVED, GOOD], [FakeTask(NEW, 1, 5)], options={"skew": 3600.0}, within=90),
    Case(
        "AWS's clock an hour behind, and it fails",
        [SERVED, ROLLED_BACK],
        [FakeTask(OLD, -999, -990), crashed()],
        fails="rolled back",
        says=["web exited with 3"],
        options={"skew": -3600.0},
    ),
    Case(
        "no health check: falls after its success",
        [SERVED, GOOD],
        [FakeTask(NEW, 1, 5, 32, 9, log=["lost my broker"])],
        fails="start, and fail later, before they are 30 s old (settleSeconds); rolled back to web:1",
        says=["web exited with 9", "lost my broker"],
        updates=[OLD],
        options={"on_update": succeeds_on_update},
    ),
    Case(
        "no health check: fell before the first look",
        [SERVED, FakeDeployment(NEW, -20, [(-20, "IN_PROGRESS"), (-15, "SUCCESSFUL")])],
        [FakeTask(NEW, -19, -16, -6, 9), FakeTask(NEW, -5, -3)],
        fails="fail later, before they are 30 s old (settleSeconds); rolled back to web:1",
        says=["web exited with 9"],
        within=60,
        updates=[OLD],
        options={"on_update": succeeds_on_update},
    ),
    Case("no health check: settles", [SERVED, GOOD], [FakeTask(NEW, 1, 5)], at_least=34, within=40,
         says=["has no health check: watching its tasks"]),
    Case("no health check: AWS has no date", [SERVED, GOOD], [FakeTask(NEW, 1, 5)], prepare=no_header, at_least=50),
    Case("no health check: an old one that fell long ago", [LONG_AGO], [crashed(created=-3000, lived=900), AGED],
         within=1),
    Case(
        "health check: no watch",
        [SERVED, GOOD],
        [FakeTask(NEW, 1, 5, health="HEALTHY")],
        within=25,
        options={"health_check": CHECK},
        never=["watching"],
    ),
    Case(
        "health check: fell once, then stays",
        [SERVED, GOOD],
        [crashed(lived=4, health="HEALTHY"), FakeTask(NEW, 8, 9, health="HEALTHY")],
        says=["1 of its new tasks failed", "Watching for 19 s"],
        within=60,
        options={"health_check": CHECK},
    ),
    Case(
        "health check: falls again and again",
        [SERVED, GOOD],
        [crashed(lived=10), crashed(created=13, lived=15), FakeTask(NEW, 32, 33)],
        fails="start, and fail later; rolled back to web:1",
        updates=[OLD],
        options={"health_check": CHECK, "on_update": succeeds_on_update},
    ),
    Case(
        "health check: falls again and again, and the `up` that began it was killed",
        [SERVED, FakeDeployment(NEW, -60, [(-60, "IN_PROGRESS"), (-40, "SUCCESSFUL")])],
        [crashed(created=-59, lived=10), crashed(created=3, lived=15), FakeTask(NEW, -58, -50)],
        fails="start, and fail later; rolled back to web:1",
        updates=[OLD],
        options={"health_check": CHECK, "on_update": succeeds_on_update},
    ),
    Case(
        "health check: falls again and again, long after its rollout",
        [SERVED, FakeDeployment(NEW, -900, [(-900, "IN_PROGRESS"), (-880, "SUCCESSFUL")])],
        [crashed(created=-59, lived=10), crashed(created=3, lived=15), FakeTask(NEW, -58, -50)],
        fails="start, and fail later.",
        options={"health_check": CHECK},
    ),
    Case(
        "the load balancer's check fails: its limits are told",
        [SERVED, ROLLED_BACK],
        [
            FakeTask(OLD, -999, -990),
            FakeTask(NEW, 1, 5, 35, 143, "ServiceSchedulerInitiated", "Task failed ELB health checks in (web)"),
        ],
        fails="did not become stable",
        says=[
            "/nowhere on port 8000",
            "200-299 (health.statuses)",
            "60 s (health.startSeconds of stacks/app.yaml)",
            "s (health.timeout)",
            "(health.failures)",
            "codes: [404]",
        ],
        never=["[500]", "of the container"],
        prepare=unhealthy,
        options={"balanced": True},
    ),
    Case(
        "the container's check fails: its limits are told",
        [SERVED, ROLLED_BACK],
        [
            FakeTask(OLD, -999, -990),
            FakeTask(NEW, 1, 5, 35, 143, "ServiceSchedulerInitiated", "Task failed container health checks"),
        ],
        fails="did not become stable",
        says=["every 7 s with 4 s to answer", "5 failures in a row", "33 s (health.startSeconds"],
        never=["load balancer requests"],
        options={"health_check": CHECK},
    ),
    Case(
        "an image that cannot be pulled",
        [SERVED, ROLLED_BACK],
        [
            FakeTask(OLD, -999, -990),
            FakeTask(NEW, 1, None, 9, None, "TaskFailedToStart", "CannotPullContainerError: no such image"),
        ],
        fails="did not become stable",
        says=["CannotPullContainerError: no such image"],
    ),
    Case(
        "old tasks were killed",
        [SERVED, GOOD],
        [FakeTask(OLD, -999, -990, 18, 137, "ServiceSchedulerInitiated", "Scaling activity"), FakeTask(NEW, 1, 5)],
        says=["1 task(s) of web:1 were killed (exit code 137): web did not end within 25 s of SIGTERM"],
    ),
    Case(
        "a Spot interruption is no fault of the release",
        [SERVED, GOOD],
        [FakeTask(NEW, 1, 5, 25, 143, "SpotInterruption", "Your Spot Task was interrupted."), FakeTask(NEW, 26, 28)],
        within=90,
        never=["failed"],
    ),
    Case(
        "too few tasks",
        [LONG_AGO],
        [AGED],
        fails="1 of 2 tasks run, 0 of them unhealthy",
        options={"desired": 2},
        within=90,
    ),
    Case("an unhealthy task", [LONG_AGO], [FakeTask(NEW, -4999, -4990, health="UNHEALTHY")],
         fails="1 of them unhealthy", within=90),
]  # fmt: skip


def run(case: Case) -> tuple[FakeEcs, list[str], str]:
    """The case, played: the ECS, what was said, and the error."""
    clock = FakeClock()
    tasks = [FakeTask(**vars(task)) for task in case.tasks]
    ecs = FakeEcs(clock, list(case.deployments), tasks, **case.options)
    case.prepare(ecs)
    said: list[str] = []
    aws: Any = ecs
    try:
        expected = ExpectedService(CLUSTER, "web", NEW)
        verify_rollout(aws, expected, said.append, again=case.again, clock=clock, stack="prod")
    except Exception as error:
        return ecs, said, str(error)
    return ecs, said, ""


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_comes_of_a_rollout(case: Case) -> None:
    ecs, said, error = run(case)
    told = "\n".join([*said, error])
    assert bool(error) == bool(case.fails), told
    assert case.fails in error
    for part in case.says:
        assert part in told
    for part in case.never:
        assert part not in told
    assert ecs.updates == case.updates
    assert case.at_least <= ecs.clock.now() <= case.within


def test_a_failure_begins_with_its_cause_and_names_each_line_once() -> None:
    (case,) = (each for each in CASES if each.name == "rolled back")
    _, _, error = run(case)
    lines = error.splitlines()
    assert len(lines) == len(set(lines))
    assert lines[0].startswith("Roll out: the new tasks of web did not become stable")
    assert lines[1] == "web exited with 3"
    assert lines.index("ECS reports: breaker threshold") < lines.index("Running now: 1 of web:1.")


def test_a_failed_release_says_which_process_is_on_which_release() -> None:
    clock = FakeClock()
    tasks = [FakeTask(OLD, -999, -990), crashed()]
    ecs = FakeEcs(clock, [SERVED, ROLLED_BACK], tasks)
    ecs.siblings = {"worker": [FakeTask("worker:5", 2, 3), FakeTask("worker:5", 2, 3)]}
    ecs.releases = {OLD: "abc-1", "worker:5": "def-2"}
    services = [ExpectedService(CLUSTER, "web", NEW), ExpectedService(CLUSTER, "worker", "worker:5")]
    aws: Any = ecs
    with pytest.raises(SlipwayError) as failed:
        verify_rollout(aws, services[0], print, clock=clock, siblings=services)
    assert "Running now: 1 of web:1 (release abc-1)." in failed.value.message
    assert "worker runs 2 of worker:5 (release def-2); this update deploys worker:5." in failed.value.message
    assert failed.value.message.count("web:1 (release") == 1


def test_while_ecs_rolls_back_the_cause_is_said_before_it_is_over() -> None:
    (case,) = (each for each in CASES if each.name == "the load balancer's check fails: its limits are told")
    _, said, _ = run(case)
    (line,) = (line for line in said if "ECS is rolling back" in line)
    assert "/nowhere" in line
    assert "[404]" in line


@pytest.mark.parametrize("status", ["ROLLBACK_FAILED", "IN_PROGRESS"])
def test_one_that_stalls_is_looked_at_once_more(monkeypatch: pytest.MonkeyPatch, status: str) -> None:
    """The service says FAILED after its newest deployment was still in progress: it may have ended, or not."""
    found = iter([_deployment("IN_PROGRESS"), _deployment(status)])
    monkeypatch.setattr(rollout, "get_service_deployments", lambda *_, **__: [next(found)])
    monkeypatch.setattr(rollout, "get_rollout_progress", lambda *_: rollout.RolloutProgress("", is_stalled=True))
    aws: Any = None
    assert rollout.wait_for_rollout(aws, ExpectedService("cluster", "web", "definition"), print) == _deployment(status)


def _deployment(status: str) -> rollout.ServiceDeployment:
    return rollout.ServiceDeployment("arn", status, "", "revision", "definition", 0.0, None)


def _running(health: str, **container: str) -> dict[str, Any]:
    address = {"details": [{"name": "privateIPv4Address", "value": "10.0.0.7"}]}
    return {"healthStatus": health, "attachments": [address], "containers": [{"name": "web", **container}]}


class _Targets:
    """An ELB whose one target has a state."""

    def __init__(self, address: str, state: str) -> None:
        health = {"State": state, "Description": "Health checks failed with these codes: [404]"}
        self.described = {
            "TargetHealthDescriptions": [{"Target": {"Id": address, "Port": 8000}, "TargetHealth": health}]
        }

    def client(self, _: str) -> _Targets:
        return self

    def describe_target_health(self, **_: str) -> Any:
        return self.described


@pytest.mark.parametrize(
    ("task", "targets", "trouble"),
    [
        (
            _running("UNKNOWN"),
            ("10.0.0.7", "unhealthy"),
            "the load balancer gets no healthy answer on port 8000: Health",
        ),
        (_running("UNKNOWN"), ("10.0.0.7", "initial"), ""),
        (_running("UNKNOWN"), ("10.0.0.8", "unhealthy"), ""),  # a task of the old revision
        (_running("HEALTHY"), ("10.0.0.7", "unhealthy"), ""),
        (_running("UNHEALTHY", healthStatus="UNHEALTHY"), ("10.0.0.7", "initial"), "the container web fails its"),
    ],
)
def test_the_first_sign_of_a_new_task_that_gets_not_healthy(
    task: dict[str, Any], targets: tuple[str, str], trouble: str
) -> None:
    deployment = replace(_deployment("IN_PROGRESS"), load_balancers=({"targetGroupArn": "arn"},))
    found = rollout.find_trouble(_Targets(*targets), deployment, [task])
    assert found.startswith(trouble)
    assert bool(found) is bool(trouble)


def test_a_task_that_gets_not_healthy_is_told_once_and_before_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """An app that starts slowly fails some checks, and is no trouble."""
    polls = int(2 * rollout.TROUBLE_SECONDS / rollout.POLL_SECONDS)
    slow = [rollout.RolloutProgress("", False, trouble) for trouble in ("it starts", "", "")]
    progress = iter([*slow, *[rollout.RolloutProgress("", False, "it fails")] * polls])
    statuses = iter([*["IN_PROGRESS"] * (3 + polls), "ROLLBACK_SUCCESSFUL"])
    told: list[str] = []
    monkeypatch.setattr(rollout, "get_service_deployments", lambda *_, **__: [_deployment(next(statuses))])
    monkeypatch.setattr(rollout, "get_rollout_progress", lambda *_: next(progress))
    aws: Any = None
    ended = rollout.wait_for_rollout(
        aws,
        ExpectedService("cluster", "web", "definition"),
        print,
        clock=FakeClock(),
        on_trouble=lambda _, trouble: told.append(trouble),
    )
    assert ended is not None
    assert ended.ended
    assert told == ["it fails"]


@pytest.mark.parametrize(
    ("failing", "reported_at"),
    [
        ([(0, 14)], []),
        ([(0, 14), (20, 34)], []),
        ([(0, 16)], [16]),
        ([(0, 2), (10, 40)], [26]),
    ],
)
def test_checks_that_fail_for_15_seconds_without_a_break_are_trouble(
    failing: list[tuple[int, int]], reported_at: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeClock()

    def get_deployments(*_: Any, **__: Any) -> list[ServiceDeployment]:
        return [_deployment("IN_PROGRESS" if clock.now() < 50 else "SUCCESSFUL")]

    def get_progress(*_: Any) -> rollout.RolloutProgress:
        fails = any(first <= clock.now() <= last for first, last in failing)
        return rollout.RolloutProgress("", False, "it fails" if fails else "")

    monkeypatch.setattr(rollout, "get_service_deployments", get_deployments)
    monkeypatch.setattr(rollout, "get_rollout_progress", get_progress)
    aws: Any = None
    service = ExpectedService("cluster", "web", "definition")
    reported: list[float] = []
    rollout.wait_for_rollout(aws, service, print, clock=clock, on_trouble=lambda *_: reported.append(clock.now()))
    assert reported == reported_at
