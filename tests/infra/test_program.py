"""The whole program, as each stack file has it: who reaches whom, and what each role may do."""

from __future__ import annotations

import json
import runpy
from functools import cache
from typing import Any

import pulumi
import pytest
from pulumi.runtime import rpc

from infra.release import migrate
from infra.settings import ROOT, Settings
from tests.infra.recorder import Registered, of, record

STACKS = ["dev", "staging", "prod"]
INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
EGRESS = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"


@cache
def program(stack: str) -> list[Registered]:
    values = Settings.from_files(stack).model_dump(by_alias=True)

    def build() -> None:
        as_text = {k: v if isinstance(v, str) else json.dumps(v) for k, v in values.items()}
        pulumi.runtime.set_all_config({f"slipway:{key}": value for key, value in as_text.items()})
        with pytest.MonkeyPatch.context() as patch:
            # Hooks call back into a program that an engine runs; tests/local has the real ones.
            patch.setattr(migrate, "before_the_service_changes", lambda *_: None)
            runpy.run_path(str(ROOT / "infra" / "__main__.py"))

    return record(build)


def plain(value: Any) -> Any:
    """What a secret wraps."""
    return rpc.unwrap_rpc_secret(value)


def ends(rule: Registered) -> tuple[str, str, int]:
    """From, to, port; names without the environment."""
    given = rule.inputs
    other = given.get("referencedSecurityGroupId") or given.get("cidrIpv4")
    pair = (other, given["securityGroupId"]) if rule.type == INGRESS else (given["securityGroupId"], other)
    source, target = (part.removesuffix("-id").split("-", 2)[-1] for part in pair)
    return source, target, given["fromPort"]


@pytest.mark.parametrize("stack", STACKS)
def test_who_can_reach_whom_is_exactly_this(stack: str) -> None:
    between = {
        ("lb", "web", 8000),
        ("web", "database", 5433),
        ("web", "cache", 6379),
        ("worker", "database", 5433),
        ("worker", "cache", 6379),
    }
    incoming = {ends(rule) for rule in of(program(stack), INGRESS)}
    outgoing = {ends(rule) for rule in of(program(stack), EGRESS)}
    assert incoming == between | {("0.0.0.0/0", "lb", 80)}
    assert outgoing == between | {("web", "0.0.0.0/0", 443), ("worker", "0.0.0.0/0", 443)}


PULL = {"ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"}
START = {"ecr:GetAuthorizationToken", "logs:CreateLogStream", "logs:PutLogEvents", *PULL}
ROLES = {
    "execution": START | {"secretsmanager:GetSecretValue", "kms:Decrypt"},
    "task": {"sqs:SendMessage", "sqs:GetQueueUrl", "s3:GetObject"},
    "worker-execution": START | {"secretsmanager:GetSecretValue", "kms:Decrypt"},
    "worker-task": {
        "sqs:ReceiveMessage",
        "sqs:DeleteMessage",
        "sqs:ChangeMessageVisibility",
        "sqs:GetQueueAttributes",
        "sqs:GetQueueUrl",
        "sqs:SendMessage",
        "s3:PutObject",
    },
    "migrate-execution": START | {"secretsmanager:GetSecretValue", "kms:Decrypt"},
}
ANY_RESOURCE = {"ecr:GetAuthorizationToken"}  # AWS allows no resource on it


@pytest.mark.parametrize("stack", STACKS)
def test_what_each_role_may_do_is_exactly_this(stack: str) -> None:
    found: dict[str, set[str]] = {}
    for policy in of(program(stack), "aws:iam/rolePolicy:RolePolicy"):
        role = policy.name.split("-", 2)[-1]
        for statement in json.loads(plain(policy.inputs["policy"]))["Statement"]:
            actions = [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
            found.setdefault(role, set()).update(actions)
            if statement["Resource"] == "*":
                assert set(actions) <= ANY_RESOURCE
    assert found == ROLES


@pytest.mark.parametrize("stack", STACKS)
def test_only_the_migration_is_given_the_owners_password(stack: str) -> None:
    for definition in of(program(stack), "aws:ecs/taskDefinition:TaskDefinition"):
        (container,) = json.loads(plain(definition.inputs["containerDefinitions"]))
        names = {secret["name"] for secret in container["secrets"]}
        assert ("DATABASE_OWNER_PASSWORD" in names) == (container["name"] == "migrate")
        assert names >= {"SECRET_KEY", "DATABASE_PASSWORD", "REDIS_PASSWORD"}
        assert not names & {pair["name"] for pair in container["environment"]}


@pytest.mark.parametrize("stack", STACKS)
def test_the_database_is_encrypted_private_and_speaks_tls_only(stack: str) -> None:
    (instance,) = of(program(stack), "aws:rds/instance:Instance")
    given = instance.inputs
    assert given["storageEncrypted"]  # RDS.3
    assert given["publiclyAccessible"] is False  # RDS.2
    assert given["manageMasterUserPassword"]
    assert given["username"] not in ("postgres", "admin")  # RDS.25
    assert given["port"] != 5432  # RDS.23
    (parameters,) = of(program(stack), "aws:rds/parameterGroup:ParameterGroup")
    assert {"name": "rds.force_ssl", "value": "1"} in parameters.inputs["parameters"]  # RDS.38
    protected = Settings.from_files(stack).protect
    assert instance.protect == given["deletionProtection"] == protected
    assert given["skipFinalSnapshot"] != protected


@pytest.mark.parametrize("stack", STACKS)
def test_the_cache_is_encrypted_and_asks_for_a_token(stack: str) -> None:
    (group,) = of(program(stack), "aws:elasticache/replicationGroup:ReplicationGroup")
    assert group.inputs["transitEncryptionEnabled"]
    assert group.inputs["atRestEncryptionEnabled"]
    assert rpc.is_rpc_secret(group.inputs["authToken"])


@pytest.mark.parametrize("stack", STACKS)
def test_generated_values_are_secret_and_stay(stack: str) -> None:
    (version,) = of(program(stack), "aws:secretsmanager/secretVersion:SecretVersion")
    assert rpc.is_rpc_secret(version.inputs["secretString"])
    assert version.ignore_changes == ("secretString",)
