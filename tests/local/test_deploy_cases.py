"""Deploys under constant load, good and bad ones: none may lose a request, and none may be called what it is not.

Each prints its figures (pytest -rP): requests, seconds to serving, complete or rolled back.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import pytest

from slipway.config.errors import SlipwayError
from slipway.release.aws_session import AwsSession
from slipway.release.rollout import ExpectedService
from slipway.release.smoke_test import SmokeTest
from slipway.release.verify import verify_rollout
from tests.local.conftest import until
from tests.local.load import Load
from tests.local.site import Site

pytestmark = pytest.mark.e2e
NOWHERE = "arn:aws:secretsmanager:us-east-1:000000000000:secret:nowhere-AbCdEf"


def deploy(site: Site, local: AwsSession, definition: str, said: list[str], release: str | None = None) -> None:
    site.update(definition)
    door = SmokeTest(f"http://{site.name}.alb.localhost:{site.port}/", release, patience=60)
    verify_rollout(local, ExpectedService(site.cluster, "web", definition), said.append, front_door=door, again=False)


def load(site: Site, rate: float, slow: int = 0) -> Load:
    return Load(site.port, f"{site.name}.alb.localhost:{site.port}", rate, slow=slow)


def test_a_good_version_loses_no_request_and_the_old_one_drains(site: Site, local: AwsSession) -> None:
    """It needs 6 s to start; clients keep their connections; a request of 3 s is always in flight."""
    said: list[str] = []
    site.serve(site.define(VERSION="one"), count=2, grace=30)
    site.ended()
    with load(site, 20, slow=20) as asked:
        time.sleep(3)
        began = time.monotonic()
        deploy(site, local, site.define(VERSION="two", READY_AFTER="6"), said, "two")
        complete = time.monotonic() - began
        time.sleep(3)
    assert asked.failed() == []
    assert asked.answers[-1].body == "two"
    assert "healthy" not in site.states() or set(site.states()) == {"healthy"}
    serving = asked.first("two") - (began - asked.began)
    print(f"good at 50/s: {asked.summary()}; serving {serving:.1f} s, complete {complete:.1f} s")  # noqa: T201


BAD: list[Any] = [
    pytest.param({"program": "print('no port'); raise SystemExit(3)"}, ["web exited with 3", "no port"], id="at-once"),
    pytest.param(
        {"program": "import time; print('up'); time.sleep(3); raise SystemExit(4)"}, ["exited with 4"], id="after-3-s"
    ),
    pytest.param(
        {"READY_AFTER": "9999"}, ["Task failed ELB health checks", "codes: [503]", "/health"], id="never-healthy"
    ),
    pytest.param(
        {"secrets": [{"name": "KEY", "valueFrom": NOWHERE}]},
        ["ResourceInitializationError", "can't find the specified secret"],
        id="missing-secret",
    ),
    pytest.param({"program": "x = bytearray(900_000_000)"}, ["OutOfMemoryError", "exited with 137"], id="memory"),
    pytest.param({"image": "localhost:1/nowhere:1"}, ["CannotPullContainerError"], id="image"),
]


@pytest.mark.parametrize(("change", "told"), BAD)
def test_a_bad_version_is_rolled_back_without_a_lost_request_and_with_its_reason(
    site: Site, local: AwsSession, change: dict[str, Any], told: list[str], request: pytest.FixtureRequest
) -> None:
    said: list[str] = []
    site.serve(site.define(VERSION="one"), count=2)
    site.ended()
    with load(site, 20) as asked:
        began = time.monotonic()
        definition = site.define(**change)
        with pytest.raises(SlipwayError) as failed:
            deploy(site, local, definition, said)
        rolled_back = time.monotonic() - began
    assert asked.failed() == []
    assert {answer.body for answer in asked.answers} == {"one"}
    for words in ["rolled back", *told, f"Running now: 2 of {site.name}:1."]:
        assert words in str(failed.value)
    print(f"{request.node.callspec.id}: {asked.summary()}; rolled back {rolled_back:.1f} s")  # noqa: T201
    with pytest.raises(SlipwayError, match="rolled back"):
        verify_rollout(local, ExpectedService(site.cluster, "web", definition), said.append, again=False)


def test_a_first_deploy_that_fails_ends_within_a_minute_and_the_first_fix_works(site: Site, local: AwsSession) -> None:
    said: list[str] = []
    definition = site.define(program="print('no port'); raise SystemExit(3)")
    began = time.monotonic()
    site.serve(definition)
    with pytest.raises(SlipwayError, match=r"(?s)exited with 3.*no port"):
        verify_rollout(local, ExpectedService(site.cluster, "web", definition), said.append, again=False)
    took = time.monotonic() - began
    assert site.history()[0]["status"] == "ROLLBACK_FAILED"
    deploy(site, local, site.define(VERSION="fixed"), said, "fixed")
    assert site.get() == (200, "fixed")
    print(f"first deploy: over after {took:.1f} s")  # noqa: T201


def test_a_version_that_gets_unhealthy_during_its_rollout_is_rolled_back(
    site: Site, local: AwsSession, aws: Callable[[str], Any]
) -> None:
    """Its checks fail after 20 s and it answers on; each new task is healthy first, so ECS's breaker counts nothing."""
    said: list[str] = []
    site.serve(site.define(VERSION="one"), count=2, grace=2)
    site.ended()
    drains_for(site, aws, 35)
    with load(site, 20) as asked:
        began = time.monotonic()
        definition = site.define(VERSION="two", UNREADY_AFTER="20", ANSWERS_ON="1")
        site.update(definition)
        until(lambda: "draining" in site.states())
        drains_for(site, aws, 6)  # longer than requests wait for a task on a busy machine
        with pytest.raises(SlipwayError) as failed:
            verify_rollout(local, ExpectedService(site.cluster, "web", definition), said.append)
        rolled_back = time.monotonic() - began
    assert asked.failed() == []
    for words in [
        f"fail later; rolled back to {site.name}:1",
        "Task failed ELB health checks",
        "The last lines of web",
        f"Running now: 2 of {site.name}:1.",
    ]:
        assert words in str(failed.value)
    # On a busy machine the last of the failed checks may have had no answer in time.
    assert re.search(r"codes: \[503\]|Request timed out", str(failed.value))
    assert site.get() == (200, "one")
    with pytest.raises(SlipwayError, match="Roll out"):
        verify_rollout(local, ExpectedService(site.cluster, "web", definition), said.append, again=False)
    print(f"unhealthy after 20 s: {asked.summary()}; rolled back {rolled_back:.1f} s")  # noqa: T201


def drains_for(site: Site, aws: Callable[[str], Any], seconds: int) -> None:
    delay = {"Key": "deregistration_delay.timeout_seconds", "Value": str(seconds)}
    aws("elbv2").modify_target_group_attributes(TargetGroupArn=site.group, Attributes=[delay])


def test_a_version_that_gets_unhealthy_later_is_no_success_on_the_next_up(site: Site, local: AwsSession) -> None:
    """Its rollout was a success, and ECS rolls nothing back any more: the next look says what became of it."""
    said: list[str] = []
    site.serve(site.define(VERSION="one"), grace=2)
    site.ended()
    definition = site.define(VERSION="two", UNREADY_AFTER="14")
    deploy(site, local, definition, said, "two")

    def told() -> str:
        door = SmokeTest(f"http://{site.name}.alb.localhost:{site.port}/", "two", patience=0)
        try:
            verify_rollout(
                local, ExpectedService(site.cluster, "web", definition), said.append, front_door=door, again=False
            )
        except SlipwayError as error:
            return str(error)
        return ""

    assert "answers 503" in until(told, 60)
