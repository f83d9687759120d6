"""What the local provider says of a service's rollout: of the one that was asked for, and of no other."""

from __future__ import annotations

from typing import Any

import pytest

from slipway_local.provider.resource_type import InitFailed, Properties, ProviderContext, UnsupportedOperation
from slipway_local.provider.types import RESOURCE_TYPES
from tests.local.conftest import until
from tests.local.site import Site

pytestmark = pytest.mark.e2e
SERVICE = RESOURCE_TYPES["aws:ecs/service:Service"]


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
        SERVICE.create(ProviderContext(), old)
    assert "web exited with 3" in str(failed.value)
    new = wanted(site, site.define())
    SERVICE.update(ProviderContext(), failed.value.id, old, new)
    assert site.service()["taskDefinition"] == new["taskDefinition"]


def test_a_failure_names_the_reasons_of_its_own_tasks_and_the_check_that_failed(site: Site) -> None:
    good = wanted(site, site.define())
    arn, _ = SERVICE.create(ProviderContext(), good)
    first = wanted(site, crashing(site, 3))
    with pytest.raises(InitFailed, match="web exited with 3"):
        SERVICE.update(ProviderContext(), arn, good, first)
    second = wanted(site, site.define(READY_AFTER="9999"))
    with pytest.raises(InitFailed, match="ROLLBACK_SUCCESSFUL") as failed:
        SERVICE.update(ProviderContext(), arn, first, second)
    told = str(failed.value)
    assert "Task failed ELB health checks" in told
    assert "Health checks failed with these codes: [503]" in told
    assert "/health" in told
    assert "exited with 3" not in told


def test_a_way_to_roll_out_that_the_local_ecs_lacks_is_refused(site: Site) -> None:
    with pytest.raises(UnsupportedOperation, match="ROLLING only"):
        SERVICE.create(ProviderContext(), wanted(site, site.define(), deploymentConfiguration={"strategy": "CANARY"}))
    site.serve(site.define())  # what the fixture removes


def test_the_lowest_count_of_a_scalable_target_is_what_runs_and_a_later_update_leaves_it(site: Site) -> None:
    created = wanted(site, site.define(), desiredCount=3)
    arn, _ = SERVICE.create(ProviderContext(), created)
    capacity = {
        "resourceId": f"service/{site.cluster.rsplit('/', 1)[-1]}/web",
        "scalableDimension": "ecs:service:DesiredCount",
        "serviceNamespace": "ecs",
        "minCapacity": 3,
        "maxCapacity": 6,
    }
    target = RESOURCE_TYPES["aws:appautoscaling/target:Target"]
    id, _ = target.create(ProviderContext(), capacity)
    target.update(ProviderContext(), id, capacity, capacity | {"minCapacity": 1})
    until(lambda: site.service()["runningCount"] == 1)
    SERVICE.update(ProviderContext(), arn, created, created | {"taskDefinition": site.define(VERSION="2")})
    assert site.service()["desiredCount"] == 1
    assert site.get() == (200, "2")
    SERVICE.update(ProviderContext(), arn, created, created | {"desiredCount": 2})
    assert site.service()["desiredCount"] == 2
