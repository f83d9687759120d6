"""The web service: what the task definition and the service promise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from infra import contract
from infra.components.cluster import Cluster, ClusterArgs
from infra.components.load_balancer import LoadBalancer, LoadBalancerArgs
from infra.components.network import Network, NetworkArgs
from infra.components.registry import Registry, RegistryArgs
from infra.components.service import Place
from infra.components.task import TaskArgs
from infra.components.web import Web, WebArgs
from tests.infra.recorder import Registered, of, record

ROOT = Path(__file__).resolve().parents[2]


def environment() -> dict[str, Any]:
    endpoints = contract.Endpoints("db", 5433, "cache", 6379, "https://sqs/q", "bucket", "eu-central-1")
    return contract.app_environment(
        "dev", endpoints, cpu=1024, pool_size=5, trusted_proxies=["10.20.0.0/20"], database_ca="/srv/certs/rds.pem"
    )


def build(tasks: int = 2, max_tasks: int = 2) -> None:
    network = Network("n", NetworkArgs(cidr="10.20.0.0/16"))
    Web(
        "w",
        WebArgs(
            place=Place(network, Cluster("c", ClusterArgs())),
            load_balancer=LoadBalancer("lb", LoadBalancerArgs(network=network)),
            tasks=tasks,
            max_tasks=max_tasks,
            task=TaskArgs(
                registry=Registry("r", RegistryArgs(key_arn="arn:key")),
                image="registry/app@sha256:abc",
                environment=environment(),
                secrets={"SECRET_KEY": "arn:secret:SECRET_KEY::"},
                secret_arns=["arn:secret"],
                key_arn="arn:key",
            ),
        ),
    )


def found() -> list[Registered]:
    return record(build)


def container(resources: list[Registered]) -> dict[str, Any]:
    (definition,) = of(resources, "aws:ecs/taskDefinition:TaskDefinition")
    (only,) = json.loads(definition.inputs["containerDefinitions"])
    return dict(only)


def test_the_container_meets_the_ecs_controls() -> None:
    web = container(found())
    assert web["readonlyRootFilesystem"]  # ECS.5
    assert not web["privileged"]  # ECS.4
    assert web["user"] == contract.APP_USER  # ECS.20
    assert web["logConfiguration"]["logDriver"] == "awslogs"  # ECS.9
    assert web["linuxParameters"]["capabilities"] == {"drop": ["ALL"]}
    assert web["image"].startswith("registry/app@sha256:")


def test_no_variable_looks_like_a_secret() -> None:  # ECS.8
    names = [pair["name"] for pair in container(found())["environment"]]
    assert not [name for name in names if any(word in name for word in ("KEY", "PASSWORD", "TOKEN", "DSN"))]


def test_the_service_rolls_back_and_never_goes_below_what_serves() -> None:
    (service,) = of(found(), "aws:ecs/service:Service")
    assert service.inputs["deploymentCircuitBreaker"] == {"enable": True, "rollback": True}
    assert service.inputs["deploymentMinimumHealthyPercent"] == 100
    assert service.inputs["networkConfiguration"]["assignPublicIp"] is False  # ECS.2
    assert service.inputs["waitForSteadyState"]


def test_where_more_tasks_are_allowed_cpu_and_requests_decide_and_no_update_takes_that_back() -> None:
    scaled = record(lambda: build(tasks=2, max_tasks=6))
    (target,) = of(scaled, "aws:appautoscaling/target:Target")
    assert (target.inputs["minCapacity"], target.inputs["maxCapacity"]) == (2, 6)
    assert target.inputs["resourceId"] == "service/c-cluster/w-service"
    policies = of(scaled, "aws:appautoscaling/policy:Policy")
    held = [policy.inputs["targetTrackingScalingPolicyConfiguration"] for policy in policies]
    metrics = {
        held["predefinedMetricSpecification"]["predefinedMetricType"]: (
            held["targetValue"],
            held["predefinedMetricSpecification"].get("resourceLabel"),
        )
        for held in held
    }
    assert metrics == {
        "ECSServiceAverageCPUUtilization": (60, None),
        "ALBRequestCountPerTarget": (18_000, "app/lb/1/targetgroup/web/1"),
    }
    (service,) = of(scaled, "aws:ecs/service:Service")
    assert service.ignore_changes == ("desiredCount",)


def test_where_no_more_tasks_are_allowed_the_number_is_the_settings() -> None:
    assert of(found(), "aws:appautoscaling/target:Target") == []
    (service,) = of(found(), "aws:ecs/service:Service")
    assert service.ignore_changes == ()


def test_only_the_load_balancer_reaches_the_tasks_and_only_on_their_port() -> None:
    rules = [r.inputs for r in of(found(), "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")]
    to_web = [r for r in rules if r["securityGroupId"] == "w-web-id"]
    assert [(r["referencedSecurityGroupId"], r["fromPort"], r["toPort"]) for r in to_web] == [("lb-lb-id", 8000, 8000)]
    assert all(rule["description"] for rule in rules)


def test_the_two_roles_differ_and_no_statement_is_wider_than_it_has_to_be() -> None:  # CKV_AWS_249
    resources = found()
    (definition,) = of(resources, "aws:ecs/taskDefinition:TaskDefinition")
    assert definition.inputs["executionRoleArn"] != definition.inputs["taskRoleArn"]
    policies = [json.loads(p.inputs["policy"]) for p in of(resources, "aws:iam/rolePolicy:RolePolicy")]
    everywhere = [s["Action"] for p in policies for s in p["Statement"] if s["Resource"] == "*"]
    assert everywhere == ["ecr:GetAuthorizationToken"]


def test_the_image_runs_as_the_user_that_the_task_definition_names() -> None:
    assert f"USER {contract.APP_USER}" in (ROOT / "docker/app/Dockerfile").read_text()


def test_the_service_waits_for_what_its_tasks_need_from_their_first_second() -> None:
    (service,) = of(found(), "aws:ecs/service:Service")
    assert {
        "RolePolicy w-execution",
        "Route n-private-1",
        "Route n-private-2",
        "ClusterCapacityProviders c-capacity",
        "ListenerRule w-rule",
    } <= set(service.depends_on)
