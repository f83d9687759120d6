"""A standalone task as a table: what ECS says of it from second to second, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from slipway.config.errors import SlipwayError
from slipway.release.standalone_task import StandaloneTask, run_concurrent_task, run_exclusive_task
from tests.infra.fake_ecs import CLUSTER, NEVER, FakeClock, FakeEcs, FakeTask

STEP = "release:4"


@dataclass
class Case:
    """The tasks that RunTask starts, and what is told of them."""

    name: str
    run: list[FakeTask]
    fails: str = ""
    says: list[str] = field(default_factory=list)
    running: list[FakeTask] = field(default_factory=list)
    """Tasks of the family that run already."""
    started: int = 1
    within: float = NEVER
    prepare: Callable[[FakeEcs], None] = lambda _: None
    timeout: float = 600.0


def ended(code: int | None, **more: Any) -> FakeTask:
    return FakeTask(STEP, 0, 2, 10, code, log=["row 7"], **more)


def throttled(ecs: FakeEcs) -> None:
    ecs.errors = {"DescribeTasks": ["ThrottlingException"] * 5}


def denied(ecs: FakeEcs) -> None:
    ecs.errors = {"RunTask": ["AccessDeniedException"]}


CASES = [
    Case("it succeeds", [ended(0)], says=["row 7"], within=12),
    Case(
        "it fails",
        [ended(3)],
        fails="Migrate: web exited with 3",
        says=["No service was changed. Its last lines:\nrow 7"],
    ),
    Case("it is killed", [ended(137, container_reason="OutOfMemoryError")], fails="137 (OutOfMemoryError)"),
    Case(
        "it does not start",
        [FakeTask(STEP, 0, None, 5, None, "TaskFailedToStart", "CannotPullContainerError")],
        fails="web did not start (CannotPullContainerError)",
    ),
    Case("there is no room", [], fails="the task was not started: RESOURCE:CPU no room", started=0),
    Case("too long", [FakeTask(STEP, 0, 2)], fails="did not end in 30 s and was stopped", timeout=30, within=45),
    Case("one runs already", [], says=["following it", "row 7"], running=[ended(0)], started=0),
    Case(
        "another one runs",
        [ended(0)],
        says=["Another migration is running"],
        running=[FakeTask("release:3", -5, -3, 4, 0)],
        within=16,
    ),
    Case(
        "one is being stopped",
        [ended(0)],
        says=["being stopped", "row 7"],
        running=[FakeTask(STEP, -5, -3, 40, exit_code=143, stopping=-1)],
        within=55,
    ),
    Case("one has ended", [ended(0)], says=["row 7"], running=[FakeTask(STEP, -50, -48, -40, exit_code=0)], within=12),
    Case("AWS throttles", [ended(0)], says=["throttled DescribeTasks", "row 7"], prepare=throttled, within=60),
    Case("AWS denies it", [ended(0)], fails="AWS denied RunTask (AccessDeniedException)", prepare=denied, started=0),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_comes_of_a_standalone_task(case: Case) -> None:
    clock = FakeClock()
    ecs = FakeEcs(clock, [], [])
    ecs.run = [FakeTask(**vars(task)) for task in case.run]
    ecs.standalone = [FakeTask(**vars(task)) for task in case.running]
    case.prepare(ecs)
    said: list[str] = []
    task = StandaloneTask(CLUSTER, STEP, {"subnets": ["subnet-1"]}, timeout=case.timeout)
    aws: Any = ecs
    error = ""
    try:
        run_exclusive_task(aws, task, said.append, clock)
    except SlipwayError as failed:
        error = str(failed)
    told = "\n".join([*said, error])
    assert bool(error) == bool(case.fails), told
    assert case.fails in error
    for part in case.says:
        assert part in told
    assert len(ecs.standalone) == len(case.running) + case.started
    assert clock.now() <= case.within
    assert len(ecs.was_stopped) == (1 if "was stopped" in case.fails else 0)


def test_one_that_others_may_run_beside_waits_for_none() -> None:
    clock = FakeClock()
    ecs = FakeEcs(clock, [], [])
    ecs.run, ecs.standalone = [ended(0)], [FakeTask("release:3", -5, -3)]
    aws: Any = ecs
    task = run_concurrent_task(aws, StandaloneTask(CLUSTER, STEP, {"subnets": []}), lambda _: None, clock)
    assert task["lastStatus"] == "STOPPED"
    assert clock.now() <= 12
