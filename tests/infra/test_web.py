"""A process behind the load balancer: what the task definition and the service promise."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from slipway.components.ecs_service import SpotCapacity
from slipway.components.web_service import UNREACHABLE_HOST, WebService, WebServiceArgs
from slipway.config import constants
from slipway.config.app_spec.process import SpotStrategy
from tests.infra.facts import DOOR, PLACE, task
from tests.infra.recorder import Registered, of, record

ROOT = Path(__file__).resolve().parents[2]


def found(name: str = "w", **more: Any) -> list[Registered]:
    given = {"label": "web", "health_path": "/readyz", "priority": 50_000} | more
    return record(
        lambda: WebService(
            name, WebServiceArgs(place=PLACE, load_balancer=DOOR, task=given.pop("task", task()), **given)
        )
    )


def container(resources: list[Registered]) -> dict[str, Any]:
    (definition,) = of(resources, "aws:ecs/taskDefinition:TaskDefinition")
    (only,) = json.loads(definition.inputs["containerDefinitions"])
    return dict(only)


def test_the_container_meets_the_ecs_controls() -> None:
    web = container(found())
    assert web["readonlyRootFilesystem"]  # ECS.5
    assert not web["privileged"]  # ECS.4
    assert web["user"] == constants.APP_USER  # ECS.20
    assert web["logConfiguration"]["logDriver"] == "awslogs"  # ECS.9
    options = web["logConfiguration"]["options"]
    assert (options["mode"], options["max-buffer-size"]) == ("non-blocking", "10m")  # a log that hangs stops no request
    assert web["linuxParameters"]["capabilities"] == {"drop": ["ALL"]}
    assert web["image"].startswith("registry/app@sha256:")
    assert web["stopTimeout"] == constants.DEPLOY_PROFILES["fast"].stop_timeout


def test_the_service_rolls_back_and_never_goes_below_what_serves() -> None:
    (service,) = of(found(), "aws:ecs/service:Service")
    assert service.inputs["deploymentCircuitBreaker"] == {"enable": True, "rollback": True}
    assert service.inputs["deploymentMinimumHealthyPercent"] == 100
    assert service.inputs["networkConfiguration"]["assignPublicIp"] is False  # ECS.2
    assert not service.inputs["waitForSteadyState"], "the program follows the rollout"
    assert service.inputs["capacityProviderStrategies"] == [{"capacityProvider": "FARGATE", "weight": 1}]


@pytest.mark.parametrize(
    ("spot", "strategies"),
    [
        (SpotCapacity(), [{"capacityProvider": "FARGATE_SPOT", "weight": 1}]),
        (
            SpotCapacity(base=1),
            [
                {"capacityProvider": "FARGATE", "base": 1, "weight": 0},
                {"capacityProvider": "FARGATE_SPOT", "weight": 1},
            ],
        ),
        (
            SpotCapacity(base=2, weight=3),
            [
                {"capacityProvider": "FARGATE", "base": 2, "weight": 1},
                {"capacityProvider": "FARGATE_SPOT", "weight": 3},
            ],
        ),
    ],
)
def test_a_part_of_a_service_on_spot_can_be_kept_on_demand(
    spot: SpotCapacity, strategies: list[dict[str, Any]]
) -> None:
    (service,) = of(found(spot=spot), "aws:ecs/service:Service")
    assert service.inputs["capacityProviderStrategies"] == strategies
    assert service.inputs["forceNewDeployment"], "AWS changes the strategy in no other way"


@pytest.mark.parametrize(
    ("spot", "tasks", "on_demand"),
    [
        (SpotStrategy(), 4, 0),
        (SpotStrategy(base=1), 4, 1),
        (SpotStrategy(base=3), 2, 2),
        (SpotStrategy(base=2, weight=3), 10, 4),
    ],
)
def test_how_many_tasks_are_not_on_spot(spot: SpotStrategy, tasks: int, on_demand: int) -> None:
    assert spot.on_demand(tasks) == on_demand


def test_a_safe_release_is_rolled_back_by_an_alarm_of_its_own() -> None:
    safe = found(rollout=constants.DEPLOY_PROFILES["safe"])
    (alarm,) = of(safe, "aws:cloudwatch/metricAlarm:MetricAlarm")
    (service,) = of(safe, "aws:ecs/service:Service")
    assert service.inputs["alarms"]["enable"]
    assert service.inputs["alarms"]["rollback"]
    assert len(service.inputs["alarms"]["alarmNames"]) == 1
    assert alarm.inputs["threshold"] == 1
    assert of(found(), "aws:cloudwatch/metricAlarm:MetricAlarm") == []


def test_a_streaming_release_lets_long_answers_end() -> None:
    (targets,) = of(found(rollout=constants.DEPLOY_PROFILES["streaming"]), "aws:lb/targetGroup:TargetGroup")
    assert targets.inputs["deregistrationDelay"] == 100


def test_the_load_balancer_takes_200_alone_for_healthy() -> None:
    (targets,) = of(found(), "aws:lb/targetGroup:TargetGroup")
    assert targets.inputs["healthCheck"]["matcher"] == "200"
    assert targets.inputs["healthCheck"]["path"] == "/readyz"


def test_the_load_balancer_is_as_patient_as_the_contract_says() -> None:
    (targets,) = of(found(), "aws:lb/targetGroup:TargetGroup")
    check = targets.inputs["healthCheck"]
    assert (check["interval"], check["timeout"]) == (
        constants.HEALTH_INTERVAL_SECONDS,
        constants.HEALTH_TIMEOUT_SECONDS,
    )
    assert check["unhealthyThreshold"] == constants.UNHEALTHY_THRESHOLD
    assert check["healthyThreshold"] == constants.HEALTHY_THRESHOLD


def test_another_port_of_the_app_moves_with_its_tasks_and_not_before() -> None:
    """A target group of another port would be a new one, with no task in it, and the rule would go there first."""
    web = task()
    other = replace(web, containers=[replace(web.containers[0], port=9000)])
    before, after = found(), found(task=other)
    for kind in ("aws:lb/targetGroup:TargetGroup", "aws:lb/listenerRule:ListenerRule"):
        assert of(before, kind)[0].inputs == of(after, kind)[0].inputs
    (service,) = of(after, "aws:ecs/service:Service")
    assert service.inputs["loadBalancers"][0]["containerPort"] == 9000


def test_two_services_stand_behind_one_load_balancer_by_priority_paths_and_hosts() -> None:
    (rule,) = of(found("admin", priority=40_001, paths=["/admin/*"], hosts=["a.acme.test"]), RULE)
    assert rule.inputs["priority"] == 40_001
    assert rule.inputs["conditions"] == [
        {"pathPattern": {"values": ["/admin/*"]}},
        {"hostHeader": {"values": ["a.acme.test"]}},
    ]
    (everything,) = of(found(), RULE)
    assert everything.inputs["conditions"] == [{"pathPattern": {"values": ["/*"]}}]


RULE = "aws:lb/listenerRule:ListenerRule"
POLICY = "aws:iam/rolePolicy:RolePolicy"


def test_where_more_tasks_are_allowed_cpu_and_requests_decide_and_no_update_takes_that_back() -> None:
    is_autoscaled = found(tasks=2, max_tasks=6, task=task(cpu=1024, memory=2048))
    (target,) = of(is_autoscaled, "aws:appautoscaling/target:Target")
    assert (target.inputs["minCapacity"], target.inputs["maxCapacity"]) == (2, 6)
    assert target.inputs["resourceId"] == "service/main/w"
    policies = of(is_autoscaled, "aws:appautoscaling/policy:Policy")
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
    (service,) = of(is_autoscaled, "aws:ecs/service:Service")
    assert service.ignore_changes == ("desiredCount",)


def test_where_no_more_tasks_are_allowed_the_number_is_the_settings() -> None:
    assert of(found(), "aws:appautoscaling/target:Target") == []
    (service,) = of(found(), "aws:ecs/service:Service")
    assert service.ignore_changes == ()


def test_only_the_load_balancer_reaches_the_tasks_and_only_on_their_port() -> None:
    rules = [r.inputs for r in of(found(), "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")]
    to_web = [r for r in rules if r["securityGroupId"] == "w-id"]
    assert [(r["referencedSecurityGroupId"], r["fromPort"], r["toPort"]) for r in to_web] == [("lb-group", 8000, 8000)]
    assert all(rule["description"] for rule in rules)


def test_the_two_roles_differ_and_no_statement_is_wider_than_it_has_to_be() -> None:  # CKV_AWS_249
    resources = found()
    (definition,) = of(resources, "aws:ecs/taskDefinition:TaskDefinition")
    assert definition.inputs["executionRoleArn"] != definition.inputs["taskRoleArn"]
    policies = [json.loads(p.inputs["policy"]) for p in of(resources, "aws:iam/rolePolicy:RolePolicy")]
    everywhere = [s["Action"] for p in policies for s in p["Statement"] if s["Resource"] == "*"]
    assert everywhere == ["ecr:GetAuthorizationToken"]
    reads = [s["Resource"] for p in policies for s in p["Statement"] if s["Action"] == "secretsmanager:GetSecretValue"]
    assert reads == [["arn:secret"]]


def test_the_service_waits_for_what_its_tasks_need_from_their_first_second() -> None:
    (service,) = of(found(), "aws:ecs/service:Service")
    assert "ListenerRule w-rule" in service.depends_on
    assert any(each.startswith("RolePolicy w-execution-") for each in service.depends_on)


def test_a_container_without_a_port_cannot_stand_behind_the_load_balancer() -> None:
    web = task()
    with pytest.raises(ValueError, match="has no port"):
        found(task=replace(web, containers=[replace(web.containers[0], port=None)]))


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/up" else 503)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


@pytest.mark.parametrize("tool", [Path(sys.executable).name, "curl", "wget"])
@pytest.mark.parametrize(("path", "code"), [("/up", 0), ("/down", 1)])
def test_the_health_check_follows_from_port_and_path_and_takes_what_the_image_has(
    tool: str, path: str, code: int, tmp_path: Path
) -> None:
    """Run as the container would, where of python, curl and wget there is one alone."""
    import shutil

    program = sys.executable if tool.startswith("python") else shutil.which(tool)
    if program is None:
        pytest.skip(f"this machine has no {tool}")
    (tmp_path / ("python3" if tool.startswith("python") else tool)).symlink_to(program)
    server = HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        kind, line = constants.container_health_check(server.server_port, path)["command"]  # type: ignore[misc]
        assert kind == "CMD-SHELL"
        done = subprocess.run(["/bin/sh", "-c", line], env={"PATH": str(tmp_path)}, capture_output=True, timeout=20)
    finally:
        server.shutdown()
        server.server_close()
    assert (done.returncode == 0) == (code == 0), done.stderr


def test_a_changed_policy_is_another_one_beside_the_former() -> None:
    """The former goes when the engine deletes, at the end: running tasks keep what they may do."""
    read, write = (_policy_names(action) for action in ("s3:GetObject", "s3:PutObject"))
    assert len(read ^ write) == 2
    assert all(name.startswith("w-task-") for name in read ^ write)


def test_a_secret_less_is_another_policy_too() -> None:
    """Of the secrets' ARNs nothing is known before they exist: the variables' names tell two policies apart."""
    container = task().containers[0]
    (one,) = container.secrets.values()
    names = [
        {p.name for p in of(found(task=replace(task(), containers=[replace(container, secrets={key: one})])), POLICY)}
        for key in ("A", "B")
    ]
    assert len(names[0] ^ names[1]) == 2


def _policy_names(action: str) -> set[str]:
    statement = {"Effect": "Allow", "Action": action, "Resource": "*"}
    return {policy.name for policy in of(found(task=replace(task(), statements=[statement])), POLICY)}


def test_requests_of_certain_paths_come_when_the_rollouts_are_done() -> None:
    paths: dict[str, Any] = {"paths": ["/api/*"], "priority": 40_000, "attachment_priority": 40_500}

    def build() -> None:
        service = WebService(
            "w", WebServiceArgs(place=PLACE, load_balancer=DOOR, task=task(), label="api", health_path="/", **paths)
        )
        service.route_requests([service.service.name])

    resources = record(build)
    (service,) = of(resources, "aws:ecs/service:Service")
    rules = {rule.name: rule for rule in of(resources, RULE)}
    assert set(rules) == {"w-rule", "w-attachment"}
    assert rules["w-attachment"].inputs["conditions"] == [{"hostHeader": {"values": [UNREACHABLE_HOST]}}]
    assert "ListenerRule w-attachment" in service.depends_on, "ECS takes no target group without a listener"
    assert "ListenerRule w-rule" not in service.depends_on, "or it would go after the service"
    assert "Service w" in rules["w-rule"].depends_on
    assert rules["w-rule"].inputs["conditions"] == [{"pathPattern": {"values": ["/api/*"]}}]
