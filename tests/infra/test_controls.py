"""Every stack file meets the AWS security controls, but for exceptions that are needed and in force."""

from __future__ import annotations

import copy
import json
from datetime import date
from functools import cache
from typing import Any

import pytest

from slipway.graph.controls import check_controls, load_controls
from slipway.graph.program_run import run_program

STACKS = ["dev", "staging", "prod"]
TODAY = date(2026, 11, 29)


CDN = {"cdn": True, "domain": "api.acme.test", "hostedZoneId": "Z1", "previews": False, "previewDomain": ""}
DISTRIBUTION = "aws:cloudfront/distribution:Distribution"


@cache
def states(stack: str, *, cdn: bool = False) -> list[dict[str, Any]]:
    return run_program(stack, invent_outputs=True, overrides=CDN if cdn else {})


@pytest.mark.parametrize("cdn", [False, True])
@pytest.mark.parametrize("stack", STACKS)
def test_a_stack_file_meets_every_control_that_has_no_exception(stack: str, cdn: bool) -> None:
    findings = check_controls(states(stack, cdn=cdn), stack, TODAY)
    assert [(f.control.id, f.resource, f.actual) for f in findings if not f.exception] == []


def test_every_exception_has_an_owner_a_reason_and_is_needed() -> None:
    _, exceptions = load_controls()
    needed = {
        (finding.control.id, stack)
        for stack in STACKS
        for cdn in (False, True)
        for finding in check_controls(states(stack, cdn=cdn), stack, TODAY)
    }
    assert {(e.id, tier) for e in exceptions for tier in e.tiers} == needed
    assert all(e.owner and e.reason for e in exceptions)


def test_after_its_last_day_an_exception_is_a_failure() -> None:
    _, exceptions = load_controls()
    after = max(e.until for e in exceptions).replace(year=2100)
    failures = {f.control.id for f in check_controls(states("dev"), "dev", after) if not f.exception}
    assert "RDS.5" in failures


def changed(resource_type: str, **inputs: Any) -> list[dict[str, Any]]:
    """prod with inputs of a type changed; behind CloudFront where the type is its own."""
    found = copy.deepcopy(states("prod", cdn=resource_type == DISTRIBUTION))
    for state in found:
        if state["type"] == resource_type:
            state["inputs"] |= inputs
    return found


@pytest.mark.parametrize(
    ("resource_type", "inputs", "control"),
    [
        ("aws:rds/instance:Instance", {"publiclyAccessible": True}, "RDS.2"),
        ("aws:rds/instance:Instance", {"port": 5432}, "RDS.23"),
        ("aws:rds/instance:Instance", {"backupRetentionPeriod": 6}, "RDS.11"),
        ("aws:rds/parameterGroup:ParameterGroup", {"parameters": []}, "RDS.38"),
        ("aws:lb/listener:Listener", {"sslPolicy": "ELBSecurityPolicy-2016-08"}, "ELB.17"),
        ("aws:ecr/repository:Repository", {"imageTagMutability": "MUTABLE"}, "ECR.2"),
        ("aws:ecs/service:Service", {"networkConfiguration": {"assignPublicIp": True}}, "ECS.2"),
        (
            "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
            {"cidrIpv4": "0.0.0.0/0", "toPort": 22},
            "EC2.18",
        ),
        ("aws:s3/bucketPolicy:BucketPolicy", {"policy": "{}"}, "S3.5"),
        (DISTRIBUTION, {"defaultCacheBehavior": {"viewerProtocolPolicy": "allow-all"}}, "CloudFront.3"),
        (DISTRIBUTION, {"webAclId": None}, "CloudFront.6"),
        (DISTRIBUTION, {"origins": [{"customOriginConfig": {"originProtocolPolicy": "http-only"}}]}, "CloudFront.9"),
    ],
)
def test_what_breaks_a_control_is_found(resource_type: str, inputs: dict[str, Any], control: str) -> None:
    findings = check_controls(changed(resource_type, **inputs), "prod", TODAY)
    assert control in {f.control.id for f in findings if not f.exception}


@pytest.mark.parametrize(
    ("key", "value", "control"),
    [
        ("readonlyRootFilesystem", False, "ECS.5"),
        ("user", "0:0", "ECS.20"),
        ("user", "app", "ECS.20"),
        ("privileged", True, "ECS.4"),
        ("logConfiguration", None, "ECS.9"),
    ],
)
def test_one_container_of_one_task_is_enough(key: str, value: Any, control: str) -> None:
    found = copy.deepcopy(states("prod"))
    task = [s for s in found if s["type"] == "aws:ecs/taskDefinition:TaskDefinition"][-1]
    containers = json.loads(task["inputs"]["containerDefinitions"])
    containers[-1][key] = value
    task["inputs"]["containerDefinitions"] = json.dumps(containers)
    findings = [f for f in check_controls(found, "prod", TODAY) if not f.exception]
    assert [(f.control.id, f.resource.rpartition("/")[2]) for f in findings] == [(control, containers[-1]["name"])]


def test_a_missing_companion_is_found() -> None:
    found = [s for s in states("prod") if s["type"] != "aws:wafv2/webAclAssociation:WebAclAssociation"]
    assert "ELB.16" in {f.control.id for f in check_controls(found, "prod", TODAY) if not f.exception}
