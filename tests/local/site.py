"""A service behind a load balancer on the local AWS, and somebody who asks it for the whole time of a test."""

from __future__ import annotations

import http.client
import itertools
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from slipway_local.emulator.process import Emulator
from tests.local.conftest import BASE_IMAGE, source, until

Aws = Callable[[str], Any]
_names = itertools.count()


class Site:
    """A load balancer with one service behind it."""

    def __init__(self, aws: Aws, emulator: Emulator) -> None:
        self.port, self.name = emulator.port, f"site-{next(_names)}"
        self.ecs, self.elb = aws("ecs"), aws("elbv2")
        aws("logs").create_log_group(logGroupName=self.name)
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

    def define(
        self,
        program: str = source("server.py"),
        image: str = BASE_IMAGE,
        secrets: Sequence[dict[str, str]] = (),
        port: int = 8000,
        **environment: str,
    ) -> str:
        container = {
            "name": "web",
            "image": image,
            "essential": True,
            "entryPoint": ["python3", "-c", program.replace("8000", str(port))],
            "portMappings": [{"containerPort": port}],
            "environment": [{"name": key, "value": value} for key, value in environment.items()],
            "stopTimeout": 2,
            "secrets": list(secrets),
            "logConfiguration": {
                "logDriver": "awslogs",
                "options": {
                    "awslogs-group": self.name,
                    "awslogs-region": "us-east-1",
                    "awslogs-stream-prefix": "web",
                },
            },
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

    def serve(
        self,
        definition: str,
        count: int = 1,
        grace: int = 2,
        network: dict[str, Any] | None = None,
        **rollout: Any,
    ) -> None:
        target = {"targetGroupArn": self.group, "containerName": "web", "containerPort": 8000}
        self.ecs.create_service(
            cluster=self.cluster,
            serviceName="web",
            taskDefinition=definition,
            desiredCount=count,
            launchType="FARGATE",
            loadBalancers=[target],
            healthCheckGracePeriodSeconds=grace,
            networkConfiguration={"awsvpcConfiguration": network or {"subnets": ["subnet-1"]}},
            deploymentConfiguration={
                "maximumPercent": 200,
                "minimumHealthyPercent": 100,
                "deploymentCircuitBreaker": {"enable": True, "rollback": True},
                **rollout,
            },
        )

    def update(self, definition: str, **changes: Any) -> None:
        self.ecs.update_service(cluster=self.cluster, service="web", taskDefinition=definition, **changes)

    def behind(self, port: int) -> list[dict[str, Any]]:
        """The service's load balancers, with another port of its container."""
        return [{"targetGroupArn": self.group, "containerName": "web", "containerPort": port}]

    def service(self) -> Any:
        return self.ecs.describe_services(cluster=self.cluster, services=["web"])["services"][0]

    def history(self) -> list[Any]:
        """The service deployments, the newest first, in full."""
        listed = self.ecs.list_service_deployments(cluster=self.cluster, service="web")["serviceDeployments"]
        arns = [each["serviceDeploymentArn"] for each in listed]
        found = self.ecs.describe_service_deployments(serviceDeploymentArns=arns)["serviceDeployments"]
        assert [each["serviceDeploymentArn"] for each in found] == arns
        return list(found)

    def revision(self, arn: str) -> Any:
        (found,) = self.ecs.describe_service_revisions(serviceRevisionArns=[arn])["serviceRevisions"]
        return found

    def ended(self, seconds: float = 150) -> Any:
        """The newest service deployment, once it has ended."""
        until(lambda: self.history()[0]["status"] not in ("PENDING", "IN_PROGRESS", "ROLLBACK_IN_PROGRESS"), seconds)
        return self.history()[0]

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
