"""Runs components without an engine and records every request to register a resource, with its options."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

import pulumi
from google.protobuf.json_format import MessageToDict
from pulumi.runtime import mocks, rpc
from pulumi.runtime.stack import run_pulumi_func

from tests.infra import facts

FOUNDATION = replace(facts.FOUNDATION, previews=facts.PREVIEWS)
"""What any other stack has exported."""
OUTPUTS = {
    "aws:ec2/vpc:Vpc": {"arn": "arn:aws:ec2:::vpc"},
    "aws:ecr/repository:Repository": {"repositoryUrl": "registry/app", "arn": "arn:aws:ecr:::repository"},
    "aws:amp/workspace:Workspace": {
        "arn": "arn:aws:aps:eu-central-1:123456789012:workspace/ws-1",
        "prometheusEndpoint": "https://aps-workspaces.eu-central-1.amazonaws.com/workspaces/ws-1/",
    },
    "docker-build:index:Image": {"digest": "sha256:abc", "ref": "registry/app:tag@sha256:abc"},
    "aws:rds/instance:Instance": {
        "address": "db.example",
        "masterUserSecrets": [{"secretArn": "arn:aws:secretsmanager:::rds", "secretStatus": "active"}],
    },
    "aws:elasticache/replicationGroup:ReplicationGroup": {"primaryEndpointAddress": "cache.example"},
    "aws:secretsmanager/secretVersion:SecretVersion": {"secretArn": "arn:aws:secretsmanager:::app", "versionId": "v1"},
    "aws:sqs/queue:Queue": {"url": "https://sqs.example/jobs"},
    "aws:acm/certificate:Certificate": {
        "domainValidationOptions": [
            {
                "domainName": "api.example.com",
                "resourceRecordName": "_proof.api.example.com",
                "resourceRecordType": "CNAME",
                "resourceRecordValue": "_proof.acm-validations.aws",
            }
        ],
    },
    "aws:ecs/cluster:Cluster": {"arn": "arn:aws:ecs:eu-central-1:123456789012:cluster/main"},
    "aws:ecs/taskDefinition:TaskDefinition": {"arnWithoutRevision": "arn:aws:ecs:::task-definition/family"},
    "aws:lb/targetGroup:TargetGroup": {"arnSuffix": "targetgroup/web/1"},
    "aws:lb/loadBalancer:LoadBalancer": {"dnsName": "lb.example", "zoneId": "Z1", "arnSuffix": "app/lb/1"},
}


@dataclass(frozen=True)
class Registered:
    """One resource as the program asked for it."""

    type: str
    name: str
    inputs: dict[str, Any]
    parent: str
    """The parent's name; empty below the stack."""
    protect: bool
    secret_outputs: tuple[str, ...]
    ignore_changes: tuple[str, ...]
    depends_on: tuple[str, ...]
    """What has to be there before, each as `type name`."""
    options: dict[str, Any]
    """Those of the engine that are neither empty nor false: what replaces it, what deletes it, how long it may take."""


OPTIONS = ("replaceOnChanges", "deleteBeforeReplace", "deleteBeforeReplaceDefined", "retainOnDelete", "customTimeouts")


class Mocks(pulumi.runtime.Mocks):
    """Echoes the inputs, with an id and an ARN made from the name."""

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        outputs = {"arn": f"arn:aws:mock:::{args.name}", "name": args.name}
        if args.typ == "pulumi:pulumi:StackReference":
            outputs["outputs"] = {"foundation": FOUNDATION.plain()}
        if args.typ == "aws:s3/bucket:Bucket":
            outputs["bucket"] = args.name
        return f"{args.name}-id", outputs | OUTPUTS.get(args.typ, {}) | dict(args.inputs)

    def call(self, args: pulumi.runtime.MockCallArgs) -> dict[str, Any]:
        answers: dict[str, dict[str, Any]] = {
            "aws:index/getAvailabilityZones:getAvailabilityZones": {"names": ["z-a", "z-b", "z-c"]},
            "aws:index/getRegion:getRegion": {"region": "eu-central-1", "name": "eu-central-1"},
            "aws:index/getCallerIdentity:getCallerIdentity": {"accountId": "123456789012"},
            "aws:secretsmanager/getRandomPassword:getRandomPassword": {"randomPassword": "generated"},
            "aws:ecr/getAuthorizationToken:getAuthorizationToken": {"userName": "AWS", "password": "p"},
        }
        return answers[args.token]


class Monitor(mocks.MockMonitor):
    """Keeps the requests: mocks alone see neither parent nor protection."""

    def __init__(self) -> None:
        super().__init__(Mocks())
        self.found: list[Registered] = []

    def RegisterResource(self, request: Any) -> Any:
        self.found.append(
            Registered(
                type=request.type,
                name=request.name,
                inputs=rpc.deserialize_properties(request.object),
                parent=request.parent.rsplit("::", 1)[-1],
                protect=request.protect,
                secret_outputs=tuple(request.additionalSecretOutputs),
                ignore_changes=tuple(request.ignoreChanges),
                depends_on=tuple(_kind_and_name(urn) for urn in request.dependencies),
                options={option: value for option in OPTIONS if (value := _plain(getattr(request, option)))},
            )
        )
        return super().RegisterResource(request)


def _plain(option: Any) -> Any:
    if isinstance(option, (bool, str)):
        return option
    return MessageToDict(option) if hasattr(option, "DESCRIPTOR") else list(option)


def _kind_and_name(urn: str) -> str:
    *_, types, name = urn.split("::")
    return f"{types.rsplit('$', 1)[-1].rsplit(':', 1)[-1]} {name}"


def record(build: Callable[[], Any], stack: str = "test") -> list[Registered]:
    """Everything that `build` registers, in order. In a thread of its own, for the SDK keeps state by context."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(_record, build, stack).result()


def _record(build: Callable[[], Any], stack: str) -> list[Registered]:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    monitor = Monitor()
    try:
        mocks.set_mocks(Mocks(), project="slipway", stack=stack, preview=False, monitor=monitor)
        with patch("infra.processes.verified_on_every_up", lambda *_, **__: pulumi.Output.from_input("")):
            loop.run_until_complete(run_pulumi_func(lambda: build() and None))  # there is no AWS to look at
    finally:
        loop.close()
    return monitor.found


def of(found: list[Registered], kind: str) -> list[Registered]:
    """The resources of a type."""
    return [resource for resource in found if resource.type == kind]
