"""Runs a program without an engine and records every resource that it registers: inputs, options, hooks, transforms.

Also records the stack's outputs, and which services' rollouts would be verified, and how.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pulumi
from google.protobuf.json_format import MessageToDict
from pulumi.runtime import mocks, rpc
from pulumi.runtime._callbacks import _CallbackServicer
from pulumi.runtime.settings import SETTINGS, get_root_resource
from pulumi.runtime.stack import run_pulumi_func

from tests.infra import facts

FOUNDATION = replace(facts.FOUNDATION, previews=facts.PREVIEWS)
"""Outputs that any other stack has exported."""
BASE_OUTPUTS: dict[str, Any] = {"foundation": FOUNDATION.to_output()}
"""Stack outputs that a stack reference reads."""
OUTPUTS = {
    "aws:cloudfront/distribution:Distribution": {"domainName": "d1.cloudfront.net", "hostedZoneId": "Z2FDTNDATAQYW2"},
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
    hooks: dict[str, tuple[str, ...]]
    """Event -> names of the hooks that run at it: `before_create` and so on; events without hooks are left out."""
    parent_type: str
    """The parent's type; empty below the stack."""
    provider: str = ""
    """URN and id of its provider; empty for the stack's own."""


@dataclass(frozen=True)
class Verified:
    """A service whose rollout the program verifies when the engine has applied its changes."""

    cluster: str
    task_definition: str
    url: str
    """Of the smoke test; empty for none."""
    host: str
    release: str
    timeout: float


class Recording(list[Registered]):
    """The resources that a program registered, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.exports: dict[str, Any] = {}
        """The stack's outputs."""
        self.verified: dict[str, Verified] = {}
        """Service name -> how its rollout is verified."""
        self.forwarded_for_mode = ""
        """How the load balancer would handle X-Forwarded-For in the end."""
        self.calls: list[tuple[str, str]] = []
        """Function that the program asked a provider for, and the provider, as in `Registered.provider`."""
        self.deregistered: set[str] = set()
        """Task families whose oldest revisions are deregistered."""


EVENTS = ("before_create", "after_create", "before_update", "after_update", "before_delete", "after_delete", "on_error")
RELEASE = "slipway.release.post_deploy_verification"
OPTIONS = ("replaceOnChanges", "deleteBeforeReplace", "deleteBeforeReplaceDefined", "retainOnDelete", "customTimeouts")


def task_definition_arn(family: str) -> str:
    return f"arn:aws:ecs:eu-central-1:123456789012:task-definition/{family}:1"


class Mocks(pulumi.runtime.Mocks):
    """Echoes the inputs, with an id and an ARN made from the name."""

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        outputs = {"arn": f"arn:aws:mock:::{args.name}", "name": args.name}
        if args.typ == "pulumi:pulumi:StackReference":
            outputs["outputs"] = deepcopy(BASE_OUTPUTS)
        if args.typ == "aws:ecs/taskDefinition:TaskDefinition":
            outputs["arn"] = task_definition_arn(args.inputs["family"])
        if args.typ == "aws:s3/bucket:Bucket":
            outputs["bucket"] = args.name
        return f"{args.name}-id", outputs | OUTPUTS.get(args.typ, {}) | dict(args.inputs)

    def call(self, args: pulumi.runtime.MockCallArgs) -> dict[str, Any]:
        answers: dict[str, dict[str, Any]] = {
            "aws:index/getAvailabilityZones:getAvailabilityZones": {"names": ["z-a", "z-b", "z-c"]},
            "aws:index/getRegion:getRegion": {"region": "eu-central-1", "name": "eu-central-1"},
            "aws:index/getCallerIdentity:getCallerIdentity": {"accountId": "123456789012"},
            "aws:ec2/getManagedPrefixList:getManagedPrefixList": {"id": "pl-cloudfront", "name": args.args.get("name")},
            "aws:secretsmanager/getRandomPassword:getRandomPassword": {"randomPassword": "generated"},
            "aws:ecr/getAuthorizationToken:getAuthorizationToken": {"userName": "AWS", "password": "p"},
        }
        return answers[args.token]


class Monitor(mocks.MockMonitor):
    """Keeps the requests: mocks alone see neither parent nor protection. Applies transforms, as an engine does."""

    def __init__(self) -> None:
        super().__init__(Mocks())
        self.found = Recording()

    def RegisterResource(self, request: Any) -> Any:
        inputs = rpc.deserialize_properties(request.object)
        for transform in self.get_registered_transforms():
            given = pulumi.ResourceTransformArgs(
                request.custom, request.type, request.name, inputs, pulumi.ResourceOptions()
            )
            result = transform(given)
            assert not isinstance(result, Awaitable), "a transform of these tests is no coroutine"
            inputs = dict(result.props) if result else inputs
        self.found.append(
            Registered(
                type=request.type,
                name=request.name,
                inputs=inputs,
                parent=request.parent.rsplit("::", 1)[-1],
                protect=request.protect,
                secret_outputs=tuple(request.additionalSecretOutputs),
                ignore_changes=tuple(request.ignoreChanges),
                depends_on=tuple(_kind_and_name(urn) for urn in request.dependencies),
                options={option: value for option in OPTIONS if (value := _plain(getattr(request, option)))},
                parent_type=_parent_type(request.parent),
                provider=request.provider or dict(request.providers).get(request.type.partition(":")[0], ""),
                hooks={event: tuple(names) for event in EVENTS if (names := getattr(request.hooks, event))},
            )
        )
        return super().RegisterResource(request)

    def Invoke(self, request: Any) -> Any:
        self.found.calls.append((request.tok, request.provider))
        return super().Invoke(request)

    def verify(self, _: Any, service: Any, __: Any, *, front_door: Any, timeout: float, **more: Any) -> Any:
        """What would ask AWS: see `release.verify.verify_rollout`."""
        self.found.verified[service.name] = Verified(
            service.cluster,
            service.task_definition,
            front_door.url if front_door else "",
            (front_door.host or "") if front_door else "",
            (front_door.release or "") if front_door else "",
            timeout,
        )
        return SimpleNamespace(digests={})

    def set_forwarded_for_mode(self, _: Any, __: str, mode: str, ___: Any) -> None:
        """What would ask AWS: see `release.forwarded_for`."""
        self.found.forwarded_for_mode = mode

    def deregister(self, _: Any, cluster: str, family: str, *more: Any) -> list[str]:
        """What would ask AWS: see `release.deployments.deregister_oldest_revisions`."""
        self.found.deregistered.add(family)
        return []


def _parent_type(urn: str) -> str:
    types = urn.split("::")[2].rsplit("$", 1)[-1] if urn else ""
    return "" if types == "pulumi:pulumi:Stack" else types


def _plain(option: Any) -> Any:
    if isinstance(option, (bool, str)):
        return option
    return MessageToDict(option) if hasattr(option, "DESCRIPTOR") else list(option)


def _kind_and_name(urn: str) -> str:
    *_, types, name = urn.split("::")
    return f"{types.rsplit('$', 1)[-1].rsplit(':', 1)[-1]} {name}"


def record(build: Callable[[], Any], stack: str = "test") -> Recording:
    """Everything that `build` registers, in order. In a thread of its own, for the SDK keeps state by context."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(_record, build, stack).result()


def _record(build: Callable[[], Any], stack: str) -> Recording:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    monitor = Monitor()
    try:
        mocks.set_mocks(Mocks(), project="slipway", stack=stack, preview=False, monitor=monitor)
        with (
            patch(f"{RELEASE}.verify_rollout", monitor.verify),
            patch(f"{RELEASE}.deregister_oldest_revisions", monitor.deregister),
            patch("slipway.release.shared_timeouts.set_shared_timeout"),  # it would ask AWS
            patch("slipway.release.forwarded_for.set_forwarded_for_mode", monitor.set_forwarded_for_mode),
            patch(f"{RELEASE}.restore_task_counts"),
        ):
            loop.run_until_complete(run_pulumi_func(lambda: build() and None))
        exports = loop.run_until_complete(rpc.serialize_properties(get_root_resource().outputs, {}))
        monitor.found.exports = rpc.deserialize_properties(exports)
    finally:
        loop.run_until_complete(end_program(loop))
        loop.close()
    return monitor.found


async def end_program(loop: asyncio.AbstractEventLoop) -> None:
    """Ends what a program that has failed left running, and the server that an engine would call hooks by."""
    await _CallbackServicer.shutdown()
    running = [task for task in asyncio.all_tasks(loop) if task is not asyncio.current_task()]
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    with SETTINGS.lock:  # the process's, not the program's: the next one would wait for these
        SETTINGS.outputs.clear()


def of(found: list[Registered], kind: str) -> list[Registered]:
    """The resources of a type."""
    return [resource for resource in found if resource.type == kind]
