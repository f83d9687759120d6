"""Verify and list: the release's functions against real services of the local ECS."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from slipway.config.errors import SlipwayError
from slipway.release import deployments, rollout
from slipway.release.aws_session import AwsSession
from slipway.release.deployed_stack import DeployedStack
from slipway.release.preflight import check_image
from slipway.release.promote import find_served_digest, plan_promotion
from slipway.release.rollout import ExpectedService
from slipway.release.smoke_test import SmokeTest
from slipway.release.verify import verify_rollout
from slipway_local.emulator.process import Emulator
from tests.local.conftest import BASE_IMAGE
from tests.local.site import Site

pytestmark = pytest.mark.e2e
CRASHES = "import time; print('about to fall', flush=True); time.sleep(1); raise SystemExit(3)"


@pytest.fixture
def said() -> list[str]:
    return []


def service(site: Site, definition: str) -> ExpectedService:
    return ExpectedService(site.cluster, "web", definition)


def front(site: Site, release: str | None) -> SmokeTest:
    return SmokeTest(f"http://{site.name}.alb.localhost:{site.port}/", release, patience=3)


def test_a_good_rollout_is_followed_and_verified_through_the_front_door(
    site: Site, local: AwsSession, said: list[str]
) -> None:
    site.serve(site.define(VERSION="one"), grace=30)
    site.ended()
    asked = site.define(VERSION="two", READY_AFTER="3")
    site.update(asked)
    found = verify_rollout(local, service(site, asked), said.append, front_door=front(site, "two"))
    assert found.deployment.task_definition == asked
    assert any("1 pending" in line or "1 running" in line for line in said)
    assert said[-3].endswith("as release two")
    assert "were killed (exit code 137)" in said[-2], "this program is deaf to SIGTERM"
    assert "complete" in said[-1], "where the seconds went"
    again: list[str] = []
    verify_rollout(local, service(site, asked), again.append, front_door=front(site, "two"))
    assert len(again) == 1, "nothing changed, so only the front door is said"


@pytest.fixture(scope="module")
def pushed(engine: Any, aws: Callable[[str], Any], emulator: Emulator) -> Iterator[str]:
    """The base image in the registry, by digest."""
    aws("ecr").create_repository(repositoryName="probe")
    name = f"localhost:{emulator.port}/probe"
    engine.images.get(BASE_IMAGE).tag(name, "1")
    engine.images.push(name, tag="1")
    (image,) = aws("ecr").describe_images(repositoryName="probe")["imageDetails"]
    yield f"{name}@{image['imageDigest']}"
    engine.images.remove(f"{name}:1", force=True)


def test_an_image_is_looked_for_by_digest_and_architecture(pushed: str, local: AwsSession) -> None:
    check_image(local, pushed, "X86_64")
    with pytest.raises(SlipwayError, match=r"built for amd64.*arm64"):
        check_image(local, pushed, "ARM64")
    with pytest.raises(SlipwayError, match="has no image"):
        check_image(local, pushed[:-4] + "0000", "X86_64")
    with pytest.raises(SlipwayError, match="has no digest"):
        check_image(local, pushed.partition("@")[0] + ":1", "X86_64")


def test_the_last_deployments_are_listed_and_one_to_go_back_to_is_found(
    site: Site, local: AwsSession, pushed: str, said: list[str]
) -> None:
    digest = pushed.partition("@")[2]
    first = site.define(image=pushed, RELEASE="abc123-0011")
    site.serve(first)
    site.ended()
    assert verify_rollout(local, service(site, first), said.append).digests == {"web": digest}
    site.update(site.define(VERSION="2", RELEASE="def456-2233"))
    site.ended()
    newest, oldest = deployments.list_past_deployments(local, site.cluster, "web")
    assert (newest.git, newest.result, oldest.git) == ("def456", "SUCCESSFUL", "abc123")
    assert oldest.digest == digest
    assert newest.seconds is not None
    assert newest.seconds > 0
    assert deployments.find_former_deployment([newest, oldest]) == oldest
    assert deployments.find_former_deployment([newest, oldest], digest) == oldest
    assert deployments.find_former_deployment([newest, oldest], "sha256:none") is None


def test_the_oldest_revisions_are_deregistered_but_none_that_runs(site: Site, local: AwsSession) -> None:
    running = site.define()
    site.serve(running)
    site.ended()
    later = [site.define() for _ in range(3)]
    gone = deployments.deregister_oldest_revisions(local, site.cluster, site.name, "web", keep=2)
    assert gone == [later[0]]
    assert rollout.get_service_deployments(local, site.cluster, "web")[0].task_definition == running


def stack_of(site: Site, local: AwsSession) -> DeployedStack:
    """The site as a deployed stack has it."""
    url = f"http://{site.name}.alb.localhost:{site.port}/"
    return DeployedStack("staging", local, site.cluster, {"web": "web"}, {"url": url, "health": {"live": "/"}})


def test_what_is_promoted_is_what_serves_healthily(site: Site, local: AwsSession, pushed: str, said: list[str]) -> None:
    digest = pushed.partition("@")[2]
    site.serve(site.define(image=pushed))
    assert find_served_digest(stack_of(site, local), said.append) == digest  # a rollout under way is waited for
    site.update(site.define(program=CRASHES, image=pushed))
    with pytest.raises(SlipwayError, match=r"(?s)rolled back.*about to fall"):
        find_served_digest(stack_of(site, local), said.append)


def test_another_digest_than_the_one_that_serves_is_refused(
    site: Site, local: AwsSession, pushed: str, said: list[str]
) -> None:
    site.serve(site.define(image=pushed))
    staging = stack_of(site, local)
    with pytest.raises(SlipwayError, match=r"staging runs sha256:\w+, and not sha256:0000"):
        plan_promotion(staging, replace(staging, name="prod"), "sha256:0000", said.append)
    with pytest.raises(SlipwayError, match="cannot be promoted to itself"):
        plan_promotion(staging, staging, "", said.append)


def test_of_one_off_tasks_the_newest_revisions_stay(site: Site, local: AwsSession) -> None:
    first, *later = [site.define() for _ in range(3)]
    site.serve(later[-1])
    assert deployments.deregister_oldest_revisions(local, site.cluster, site.name, keep=2) == [first]
