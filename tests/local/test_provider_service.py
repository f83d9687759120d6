"""What the local provider says of a service's rollout: of the one that was asked for, and of no other."""

from __future__ import annotations

from typing import Any

import pytest

from infra.local.provider.kind import Context, InitFailed, Properties, Refused
from infra.local.provider.types import TYPES
from tests.local.site import Site

pytestmark = pytest.mark.e2e
SERVICE = TYPES["aws:ecs/service:Service"]


def wanted(site: Site, definition: str, **more: Any) -> Properties:
    return {
        "name": "web",
        "cluster": site.cluster,
        "taskDefinition": definition,
        "desiredCount": 1,
        "launchType": "FARGATE",
        "loadBalancers": [{"targetGroupArn": site.group, "containerName": "web", "containerPort": 8000}],
        "deploymentCircuitBreaker": {"enable": True, "rollback": True},
        "deploymentMinimumHealthyPercent": 100,
        "deploymentMaximumPercent": 200,
        "healthCheckGracePeriodSeconds": 2,
        "waitForSteadyState": True,
        **more,
    }


def crashing(site: Site, code: int) -> str:
    return site.define(program=f"import time; time.sleep(1); raise SystemExit({code})")


def test_the_first_update_with_the_fix_succeeds_after_a_first_deployment_that_failed(site: Site) -> None:
    old = wanted(site, crashing(site, 3))
    with pytest.raises(InitFailed, match="ROLLBACK_FAILED") as failed:
        SERVICE.create(Context(), old)
    assert "web exited with 3" in str(failed.value)
    new = wanted(site, site.define())
    SERVICE.update(Context(), failed.value.id, old, new)
    assert site.service()["taskDefinition"] == new["taskDefinition"]


def test_a_failure_names_the_reasons_of_its_own_tasks_and_the_check_that_failed(site: Site) -> None:
    good = wanted(site, site.define())
    arn, _ = SERVICE.create(Context(), good)
    first = wanted(site, crashing(site, 3))
    with pytest.raises(InitFailed, match="web exited with 3"):
        SERVICE.update(Context(), arn, good, first)
    second = wanted(site, site.define(READY_AFTER="9999"))
    with pytest.raises(InitFailed, match="ROLLBACK_SUCCESSFUL") as failed:
        SERVICE.update(Context(), arn, first, second)
    told = str(failed.value)
    assert "Task failed ELB health checks" in told
    assert "Health checks failed with these codes: [503]" in told
    assert "/health" in told
    assert "exited with 3" not in told


def test_a_way_to_roll_out_that_the_local_ecs_lacks_is_refused(site: Site) -> None:
    with pytest.raises(Refused, match="ROLLING only"):
        SERVICE.create(Context(), wanted(site, site.define(), deploymentConfiguration={"strategy": "CANARY"}))
    site.serve(site.define())  # what the fixture removes
