"""What a rolling deployment depends on and ministack does not do: target health, draining, circuit breaker."""

from __future__ import annotations

import http.client
import itertools
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from infra.local.emulator.process import Emulator
from tests.local.conftest import BASE_IMAGE, source, until

pytestmark = pytest.mark.e2e
Aws = Callable[[str], Any]
_names = itertools.count()


class Site:
    """A load balancer with one service behind it."""

    def __init__(self, aws: Aws, emulator: Emulator) -> None:
        self.port, self.name = emulator.port, f"site-{next(_names)}"
        self.ecs, self.elb = aws("ecs"), aws("elbv2")
        self.cluster = self.ecs.create_cluster(clusterName=self.name)["cluster"]["clusterArn"]
        balancer = self.elb.create_load_balancer(Name=self.name, Subnets=["subnet-1", "subnet-2"])["LoadBalancers"][0]
        self.balancer, self.dns_name = balancer["LoadBalancerArn"], balancer["DNSName"]
        self.group = self.elb.create_target_group(
            Name=self.name,
            Protocol="HTTP",
            Port=8000,
            VpcId="vpc-1",
            TargetType="ip",
            HealthCheckPath="/health",
            HealthCheckIntervalSeconds=5,
            HealthCheckTimeoutSeconds=2,
            HealthyThresholdCount=2,
            UnhealthyThresholdCount=2,
        )["TargetGroups"][0]["TargetGroupArn"]
        delay = {"Key": "deregistration_delay.timeout_seconds", "Value": "4"}
        self.elb.modify_target_group_attributes(TargetGroupArn=self.group, Attributes=[delay])
        forward = [{"Type": "forward", "TargetGroupArn": self.group}]
        listener = self.elb.create_listener(
            LoadBalancerArn=self.balancer, Protocol="HTTP", Port=80, DefaultActions=forward
        )
        self.listener = listener["Listeners"][0]["ListenerArn"]

    def define(self, program: str = source("server.py"), **environment: str) -> str:
        container = {
            "name": "web",
            "image": BASE_IMAGE,
            "essential": True,
            "entryPoint": ["python3", "-c", program],
            "portMappings": [{"containerPort": 8000}],
            "environment": [{"name": key, "value": value} for key, value in environment.items()],
            "stopTimeout": 2,
        }
        made = self.ecs.register_task_definition(
            family=self.name,
            containerDefinitions=[container],
            networkMode="awsvpc",
            requiresCompatibilities=["FARGATE"],
            cpu="256",
            memory="512",
        )
        return str(made["taskDefinition"]["taskDefinitionArn"])

    def serve(self, definition: str, count: int = 1, grace: int = 2) -> None:
        target = {"targetGroupArn": self.group, "containerName": "web", "containerPort": 8000}
        self.ecs.create_service(
            cluster=self.cluster,
            serviceName="web",
            taskDefinition=definition,
            desiredCount=count,
            launchType="FARGATE",
            loadBalancers=[target],
            healthCheckGracePeriodSeconds=grace,
            deploymentConfiguration={
                "maximumPercent": 200,
                "minimumHealthyPercent": 100,
                "deploymentCircuitBreaker": {"enable": True, "rollback": True},
            },
        )

    def update(self, definition: str) -> None:
        self.ecs.update_service(cluster=self.cluster, service="web", taskDefinition=definition)

    def service(self) -> Any:
        return self.ecs.describe_services(cluster=self.cluster, services=["web"])["services"][0]

    def steady(self, seconds: float = 90) -> None:
        def done() -> bool:
            deployments = self.service()["deployments"]
            return len(deployments) == 1 and deployments[0]["rolloutState"] == "COMPLETED"

        until(done, seconds)

    def states(self) -> list[str]:
        found = self.elb.describe_target_health(TargetGroupArn=self.group)["TargetHealthDescriptions"]
        return [target["TargetHealth"]["State"] for target in found]

    def get(self, host: str = "", path: str = "/") -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", path, headers={"Host": host or f"{self.name}.alb.localhost:{self.port}"})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def remove(self) -> None:
        self.ecs.delete_service(cluster=self.cluster, service="web", force=True)
        until(lambda: self.service()["status"] == "INACTIVE")


@pytest.fixture
def site(aws: Aws, emulator: Emulator) -> Any:
    site = Site(aws, emulator)
    yield site
    site.remove()


class Load:
    """Requests one after the other for as long as the block lasts, and what came back."""

    def __init__(self, site: Site) -> None:
        self.site, self.answers = site, list[tuple[int, str]]()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                self.answers.append(self.site.get())
            except (OSError, http.client.HTTPException) as error:
                self.answers.append((0, repr(error)))
            time.sleep(0.01)

    def failed(self) -> list[tuple[int, str]]:
        return [answer for answer in self.answers if answer[0] != 200]


def test_a_target_gets_traffic_after_its_first_success_only(site: Site) -> None:
    site.serve(site.define(READY_AFTER="6"), grace=30)
    until(lambda: site.states() == ["initial"])
    assert site.get()[0] == 503
    assert site.service()["deployments"][0]["rolloutState"] == "IN_PROGRESS"
    site.steady()
    assert site.states() == ["healthy"]
    assert site.get() == (200, "1")


def test_an_update_loses_no_request_and_drains_the_old_revision(site: Site) -> None:
    site.serve(site.define(VERSION="1"), count=2, grace=30)
    site.steady()
    with Load(site) as load:
        site.update(site.define(VERSION="2", READY_AFTER="4"))
        until(lambda: "draining" in site.states())
        site.steady()
    assert load.failed() == []
    assert {answer[1] for answer in load.answers} == {"1", "2"}
    assert site.get() == (200, "2")


def test_failing_health_checks_are_rolled_back_and_the_old_revision_serves_on(site: Site) -> None:
    good = site.define(VERSION="1")
    site.serve(good)
    site.steady()
    with Load(site) as load:
        site.update(site.define(VERSION="2", READY_AFTER="9999"))
        until(lambda: site.service()["taskDefinition"] == good and not failing(site), 150)
        site.steady()
    assert load.failed() == []
    assert site.service()["deployments"][0]["taskDefinition"] == good


def failing(site: Site) -> bool:
    return any(d["rolloutState"] == "FAILED" for d in site.service()["deployments"])


def test_a_crash_loop_is_rolled_back(site: Site) -> None:
    good = site.define()
    site.serve(good)
    site.steady()
    site.update(site.define(program="import time; time.sleep(3); raise SystemExit(3)"))
    until(lambda: any("rolling back" in event["message"] for event in site.service()["events"]), 120)
    site.steady()
    assert site.service()["taskDefinition"] == good


def test_an_update_during_a_failing_one_wins(site: Site) -> None:
    site.serve(site.define(VERSION="1"))
    site.steady()
    site.update(site.define(VERSION="2", READY_AFTER="9999"))
    until(lambda: len(site.states()) == 2)
    site.update(site.define(VERSION="3"))
    site.steady()
    assert site.get() == (200, "3")


def test_a_first_deployment_without_a_way_back_ends_as_failed(site: Site) -> None:
    site.serve(site.define(program="raise SystemExit(1)"))
    until(lambda: failing(site), 120)
    assert "circuit breaker" in site.service()["deployments"][0]["rolloutStateReason"]


def test_a_custom_domain_is_routed_to_its_load_balancer(site: Site, aws: Aws) -> None:
    site.serve(site.define())
    site.steady()
    zone = aws("route53").create_hosted_zone(Name="example.org", CallerReference=site.name)["HostedZone"]["Id"]
    alias = {"HostedZoneId": "Z35SXDOTRQ7X7K", "DNSName": site.dns_name, "EvaluateTargetHealth": True}
    record = {"Name": "api.example.org", "Type": "A", "AliasTarget": alias}
    changes = {"Changes": [{"Action": "CREATE", "ResourceRecordSet": record}]}
    aws("route53").change_resource_record_sets(HostedZoneId=zone, ChangeBatch=changes)
    assert site.get(host="api.example.org") == (200, "1")
