"""Service deployments and revisions, as ECS's API tells them: what a deploy is judged by."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.local.conftest import until
from tests.local.site import Load, Site

pytestmark = pytest.mark.e2e
Aws = Callable[[str], Any]
CRASHES = "import time; time.sleep(1); raise SystemExit(3)"


def test_a_rollout_is_one_service_deployment_of_one_revision(site: Site) -> None:
    first = site.define(VERSION="1")
    site.serve(first)
    one = site.ended()
    assert one["status"] == "SUCCESSFUL"
    assert one["sourceServiceRevisions"] == []
    assert one["targetServiceRevision"]["runningTaskCount"] == 1
    assert one["startedAt"] < one["finishedAt"]
    revision = site.revision(one["targetServiceRevision"]["arn"])
    assert revision["taskDefinition"] == first
    assert revision["containerImages"][0]["imageDigest"].startswith("sha256:")
    second = site.define(VERSION="2")
    site.update(second)
    now = site.history()[0]
    assert now["status"] == "IN_PROGRESS"
    assert [source["arn"] for source in now["sourceServiceRevisions"]] == [revision["serviceRevisionArn"]]
    assert site.ended()["status"] == "SUCCESSFUL"
    assert site.service()["currentServiceDeployment"] == now["serviceDeploymentArn"]
    assert site.revision(now["targetServiceRevision"]["arn"])["taskDefinition"] == second
    assert [each["status"] for each in site.history()] == ["SUCCESSFUL", "SUCCESSFUL"]


def test_scaling_and_another_way_to_roll_out_are_no_deployment_but_another_network_is(site: Site) -> None:
    site.serve(site.define())
    site.ended()
    site.ecs.update_service(cluster=site.cluster, service="web", desiredCount=2, healthCheckGracePeriodSeconds=9)
    assert len(site.history()) == 1
    network = {"awsvpcConfiguration": {"subnets": ["subnet-2"], "assignPublicIp": "DISABLED"}}
    site.ecs.update_service(cluster=site.cluster, service="web", networkConfiguration=network)
    assert len(site.history()) == 2
    site.ecs.update_service(cluster=site.cluster, service="web", networkConfiguration=network)
    assert len(site.history()) == 2


def test_a_rollback_is_told_by_the_deployment_that_failed_and_loses_no_request(site: Site) -> None:
    good = site.define()
    site.serve(good, count=2)
    first = site.ended()
    with Load(site) as load:
        site.update(site.define(program=CRASHES))
        failed = site.ended()
    assert load.failed() == []
    assert failed["status"] == "ROLLBACK_SUCCESSFUL"
    assert "circuit breaker" in failed["statusReason"]
    assert failed["rollback"]["serviceRevisionArn"] == first["targetServiceRevision"]["arn"]
    assert failed["deploymentCircuitBreaker"]["status"] == "TRIGGERED"
    assert failed["deploymentCircuitBreaker"]["failureCount"] >= failed["deploymentCircuitBreaker"]["threshold"] == 3
    assert site.service()["taskDefinition"] == good


def test_a_first_deployment_that_fails_is_over_and_the_next_one_is_its_own(site: Site) -> None:
    site.serve(site.define(program=CRASHES))
    assert site.ended()["status"] == "ROLLBACK_FAILED"
    site.update(site.define())
    assert site.ended()["status"] == "SUCCESSFUL"
    assert [each["status"] for each in site.history()] == ["SUCCESSFUL", "ROLLBACK_FAILED"]


def test_a_failure_without_rollback_stops(site: Site) -> None:
    site.serve(site.define(), deploymentCircuitBreaker={"enable": True, "rollback": False})
    site.ended()
    site.update(site.define(program=CRASHES))
    assert site.ended()["status"] == "STOPPED"
    assert site.get() == (200, "1")


def test_an_update_replaces_a_failing_rollout_and_its_tasks_do_not_count_as_failures_of_the_new_one(
    site: Site,
) -> None:
    site.serve(site.define(VERSION="1"))
    site.ended()
    with Load(site) as load:
        site.update(site.define(program=CRASHES))
        until(lambda: site.history()[0]["deploymentCircuitBreaker"]["failureCount"] == 2)
        site.update(site.define(VERSION="3"))
        newest = site.ended()
    assert load.failed() == []
    assert newest["status"] == "SUCCESSFUL"
    assert newest["deploymentCircuitBreaker"]["failureCount"] == 0
    assert site.history()[1]["status"] == "STOPPED"
    assert site.get() == (200, "3")


def test_a_rollout_that_is_stopped_by_hand_goes_back(site: Site) -> None:
    site.serve(site.define(VERSION="1"))
    site.ended()
    site.update(site.define(VERSION="2", READY_AFTER="9999"))
    arn = site.history()[0]["serviceDeploymentArn"]
    site.ecs.stop_service_deployment(serviceDeploymentArn=arn, stopType="ROLLBACK")
    assert site.ended()["status"] == "ROLLBACK_SUCCESSFUL"
    assert site.get() == (200, "1")


def alarm(aws: Aws, site: Site, state: str) -> dict[str, Any]:
    aws("cloudwatch").put_metric_alarm(
        AlarmName=site.name,
        ComparisonOperator="GreaterThanThreshold",
        EvaluationPeriods=1,
        Period=10,
        Threshold=1,
        Namespace="test",
        MetricName="errors",
        Statistic="Sum",
    )
    aws("cloudwatch").set_alarm_state(AlarmName=site.name, StateValue=state, StateReason="test")
    return {"alarmNames": [site.name], "enable": True, "rollback": True}


def test_an_alarm_during_a_rollout_rolls_it_back(site: Site, aws: Aws) -> None:
    site.serve(site.define(VERSION="1"), alarms=alarm(aws, site, "OK"))
    assert site.ended()["status"] == "SUCCESSFUL"
    before = time.monotonic()
    site.update(site.define(VERSION="2"))
    until(lambda: site.get() == (200, "2"))
    assert site.history()[0]["status"] == "IN_PROGRESS", "it is watched for as long as the alarm looks back"
    alarm(aws, site, "ALARM")
    ended = site.ended()
    assert time.monotonic() - before < 120
    assert ended["status"] == "ROLLBACK_SUCCESSFUL"
    assert ended["alarms"]["triggeredAlarmNames"] == [site.name]
    assert site.get() == (200, "1")


def test_an_alarm_that_is_in_alarm_already_is_ignored(site: Site, aws: Aws) -> None:
    site.serve(site.define(), alarms=alarm(aws, site, "ALARM"))
    assert site.ended()["status"] == "SUCCESSFUL"


def test_a_task_that_is_protected_is_stopped_by_no_scale_in_and_no_deployment(site: Site) -> None:
    """It has asked its agent. Who is not protected goes first, and a rollout waits for the rest."""
    site.serve(site.define(VERSION="1", PROTECT_MINUTES="5"), count=2)
    site.ended()
    one, other = (arn.rsplit("/", 1)[-1] for arn in running(site))
    assert protection(site, one, other) == {one: True, other: True}
    site.ecs.update_service(cluster=site.cluster, service="web", desiredCount=1)
    time.sleep(LOOKS_SECONDS)
    assert len(running(site)) == 2
    unprotect(site, one)
    until(lambda: [arn.endswith(other) for arn in running(site)] == [True])

    site.update(site.define(VERSION="2"))
    until(lambda: site.get() == (200, "2"))
    time.sleep(LOOKS_SECONDS)
    assert site.history()[0]["status"] == "IN_PROGRESS"
    assert len(running(site)) == 2
    unprotect(site, other)
    assert site.ended()["status"] == "SUCCESSFUL"
    assert protection(site, other) == {}, "it is stopped"
    with pytest.raises(site.ecs.exceptions.InvalidParameterException, match="2880"):
        site.ecs.update_task_protection(
            cluster=site.cluster, tasks=[other], protectionEnabled=True, expiresInMinutes=2881
        )


LOOKS_SECONDS = 1.0
"""In which the scheduler looks at a service four times."""


def running(site: Site) -> list[str]:
    found: list[str] = site.ecs.list_tasks(cluster=site.cluster, desiredStatus="RUNNING")["taskArns"]
    return found


def protection(site: Site, *tasks: str) -> dict[str, bool]:
    told = site.ecs.get_task_protection(cluster=site.cluster, tasks=list(tasks))["protectedTasks"]
    return {each["taskArn"].rsplit("/", 1)[-1]: each["protectionEnabled"] for each in told}


def unprotect(site: Site, task: str) -> None:
    site.ecs.update_task_protection(cluster=site.cluster, tasks=[task], protectionEnabled=False)
