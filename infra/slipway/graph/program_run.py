"""Runs the Pulumi program without an engine, a provider or an account, and records its resources."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import runpy
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pulumi
from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime import mocks, set_all_config
from pulumi.runtime.proto import resource_pb2
from pulumi.runtime.stack import run_pulumi_func

from slipway.config.errors import SlipwayError
from slipway.config.project import project_name, project_root
from slipway.config.stack_config import read_stack_config

ResourceState = dict[str, Any]
"""A resource in the form of `pulumi preview --json`: type, urn, parent, custom, inputs, propertyDependencies."""

SECRET = "[secret]"  # noqa: S105 - replaces a secret
PLANNED_SECRET = "planned"  # noqa: S105 - the value of each configured secret in a plan
PLANNED_ACCOUNT = "123456789012"
"""AWS's example account, because a plan has none."""
INVENTED_OUTPUTS: dict[str, dict[str, Any]] = {
    "aws:acm/certificate:Certificate": {
        "domainValidationOptions": [
            {
                "domainName": "planned.example",
                "resourceRecordName": "_planned.example",
                "resourceRecordType": "CNAME",
                "resourceRecordValue": "_planned.acm-validations.aws",
            }
        ]
    },
    "aws:amp/workspace:Workspace": {
        "arn": f"arn:aws:aps:us-east-1:{PLANNED_ACCOUNT}:workspace/ws-planned",
        "prometheusEndpoint": "https://aps-workspaces.us-east-1.amazonaws.com/workspaces/ws-planned/",
    },
    "aws:cloudfront/distribution:Distribution": {"domainName": "planned.cloudfront.net", "hostedZoneId": "Z2"},
    "aws:ec2/vpc:Vpc": {"cidrBlock": "10.0.0.0/16"},
    "aws:ecr/repository:Repository": {"repositoryUrl": f"{PLANNED_ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/planned"},
    "aws:ecs/cluster:Cluster": {"arn": f"arn:aws:ecs:us-east-1:{PLANNED_ACCOUNT}:cluster/planned"},
    "aws:elasticache/replicationGroup:ReplicationGroup": {"primaryEndpointAddress": "cache.example"},
    "aws:lb/loadBalancer:LoadBalancer": {"dnsName": "lb.example", "zoneId": "Z1", "arnSuffix": "app/planned/1"},
    "aws:lb/targetGroup:TargetGroup": {"arnSuffix": "targetgroup/planned/1"},
    "aws:rds/instance:Instance": {
        "address": "database.example",
        "masterUserSecrets": [{"secretArn": "arn:aws:secretsmanager:::rds", "secretStatus": "active"}],
    },
    "aws:s3/bucket:Bucket": {"bucket": "planned"},
    "aws:secretsmanager/secretVersion:SecretVersion": {"secretArn": "arn:aws:secretsmanager:::s", "versionId": "v1"},
    "aws:sqs/queue:Queue": {"url": "https://sqs.example/planned"},
    "docker-build:index:Image": {"digest": f"sha256:{'0' * 64}", "ref": "planned@sha256:0"},
}
"""Resource type -> outputs used in other resources' documents."""
PULUMI_SIGNATURE_KEY = "4dabf18193072939515e22adb298388d"
"""Key that marks a secret in Pulumi's protocol."""
DEFAULT_REGION = "us-east-1"


def run_program(
    stack: str, *, invent_outputs: bool = False, overrides: Mapping[str, Any] | None = None
) -> list[ResourceState]:
    """Returns every resource that the program of a stack file registers, in order; outputs of AWS are unknown.

    `invent_outputs`: generates ids, ARNs and addresses, so that documents with them, such as container definitions, can
    be read. `overrides`: settings that replace the stack file's. Raises `SlipwayError` with the program's reason if it
    refuses the configuration.
    """
    config = _read_config(stack) | _to_config(overrides or {}, project_name())
    with _garbage_collection_off(), ThreadPoolExecutor(1) as pool:  # the SDK's state is thread-local
        return pool.submit(_run, stack, config, invent_outputs).result()


@contextmanager
def _garbage_collection_off() -> Iterator[None]:
    """pulumi_aws makes so many classes that to look for garbage among them is a quarter of a plan's time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _run(stack: str, config: Mapping[str, str], invent_outputs: bool) -> list[ResourceState]:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    region = config.get("aws:region", DEFAULT_REGION)
    existing_vpc = json.loads(config.get(f"{project_name()}:existingVpc", "{}"))
    monitor = _Recorder(_Answers(region, existing_vpc.get("id", "")), invent_outputs)
    logger = logging.Logger("plan")
    logger.addHandler(logging.NullHandler())
    try:
        set_all_config(dict(config))
        mocks.set_mocks(
            monitor.mocks, project=project_name(), stack=stack, preview=True, monitor=monitor, logger=logger
        )
        loop.run_until_complete(run_pulumi_func(_program))
    except pulumi.RunError as error:
        raise SlipwayError(str(error)) from None
    finally:
        loop.close()
    return monitor.states


def _program() -> None:
    runpy.run_path(str(project_root() / "infra" / "__main__.py"), run_name="__main__")


class _Answers(pulumi.runtime.Mocks):
    """Answers the program's function calls in place of a provider."""

    def __init__(self, region: str, vpc_id: str = "") -> None:
        self.region = region
        self._vpc_id = vpc_id
        self._subnets: list[str] = []

    def _planned_subnet(self, subnet_id: str) -> dict[str, Any]:
        """Returns a subnet of the existing VPC, as the settings declare it; assigns zones in turn."""
        if subnet_id not in self._subnets:
            self._subnets.append(subnet_id)
        zone = f"{self.region}{'abc'[self._subnets.index(subnet_id) % 3]}"
        return {"id": subnet_id, "vpcId": self._vpc_id, "availabilityZone": zone, "cidrBlock": "10.0.0.0/24"}

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        return None, dict(args.inputs)

    def call(self, args: pulumi.runtime.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        name = args.token.rsplit(":", 1)[-1]
        zones = [f"{self.region}{letter}" for letter in "abc"]
        answers: dict[str, dict[str, Any]] = {
            "getAvailabilityZones": {"names": zones, "zoneIds": zones},
            "getRegion": {"region": self.region, "name": self.region, "id": self.region},
            "getCallerIdentity": {"accountId": PLANNED_ACCOUNT, "id": PLANNED_ACCOUNT},
            "getPartition": {"partition": "aws", "dnsSuffix": "amazonaws.com", "id": "aws"},
            "getRandomPassword": {"randomPassword": PLANNED_SECRET},
            "getAuthorizationToken": {"userName": "AWS", "password": PLANNED_SECRET},
            "getManagedPrefixList": {"id": "pl-planned", "name": str(args.args.get("name"))},
            "getSubnet": self._planned_subnet(str(args.args.get("id"))),
        }
        if name not in answers:
            raise SlipwayError(
                f"The program calls {args.token}, which needs an AWS account and is not available in a plan.",
                f"Plan it with Pulumi: pulumi preview --stack {pulumi.get_stack()}",
            )
        return answers[name], []


class _Recorder(mocks.MockMonitor):
    """Records each request. Responds with the inputs only, so that all other outputs are unknown."""

    def __init__(self, answers: _Answers, invent_outputs: bool) -> None:
        super().__init__(answers)
        self.states: list[ResourceState] = []
        self._invent_outputs = invent_outputs

    def RegisterResource(self, request: Any) -> Any:  # the name is the SDK's
        urn = self.make_urn(request.parent, request.type, request.name)
        self.states.append(
            {
                "type": request.type,
                "urn": urn,
                "parent": request.parent,
                "custom": request.custom,
                "inputs": _to_plain(MessageToDict(request.object), masked=not self._invent_outputs),
                "propertyDependencies": {
                    name: list(dependency.urns) for name, dependency in request.propertyDependencies.items()
                },
                "options": _read_options(request),
                "aliases": [*({"urn": urn} for urn in request.aliasURNs), *map(_read_alias, request.aliases)],
            }
        )
        if request.type == "pulumi:pulumi:Stack":
            return resource_pb2.RegisterResourceResponse(urn=urn)
        if self._invent_outputs and request.custom:
            invented = Struct()
            invented.update(_invented_outputs(request.type, request.name))
            invented.MergeFrom(request.object)
            return resource_pb2.RegisterResourceResponse(urn=urn, id=f"{request.name}-id", object=invented)
        return resource_pb2.RegisterResourceResponse(urn=urn, object=request.object)


def _read_options(request: Any) -> dict[str, Any]:
    """Returns the resource options that are set: protect, replaceOnChanges, dependsOn, hooks and so on."""
    options = {
        "dependsOn": sorted({str(urn).rsplit("::", 1)[-1] for urn in request.dependencies}),
        "deleteBeforeReplace": request.deleteBeforeReplace,
        "hooks": {field.name: sorted(names) for field, names in request.hooks.ListFields()},
        "ignoreChanges": sorted(request.ignoreChanges),
        "protect": request.protect,
        "replaceOnChanges": sorted(request.replaceOnChanges),
        "retainOnDelete": request.retainOnDelete,
        "secretOutputs": sorted(request.additionalSecretOutputs),
        "timeouts": MessageToDict(request.customTimeouts),
    }
    return {name: value for name, value in options.items() if value}


def _read_alias(alias: Any) -> dict[str, str]:
    """An alias by its URN, or by what differs from the resource's own type, name and parent (empty for none)."""
    if alias.urn:
        return {"urn": alias.urn}
    spec = alias.spec
    parent = {"parent": "" if spec.noParent else spec.parentUrn} if spec.noParent or spec.parentUrn else {}
    return {key: value for key, value in (("type", spec.type), ("name", spec.name)) if value} | parent


def _invented_outputs(type_token: str, name: str) -> dict[str, Any]:
    """Returns plausible outputs of AWS."""
    service = type_token.split(":")[1].partition("/")[0]
    arn = f"arn:aws:{service}:{DEFAULT_REGION}:{PLANNED_ACCOUNT}:{name}"
    outputs: dict[str, Any] = {"arn": arn, "name": name}
    return outputs | INVENTED_OUTPUTS.get(type_token, {})


def _to_plain(value: Any, *, masked: bool) -> Any:
    """Converts inputs to JSON values, whole numbers to integers (protobuf has floats only).

    `masked`: replace secrets. With invented outputs no value is a real secret, and none is replaced.
    """
    if isinstance(value, dict):
        if PULUMI_SIGNATURE_KEY in value:
            return SECRET if masked else _to_plain(value.get("value"), masked=False)
        return {key: _to_plain(entry, masked=masked) for key, entry in value.items()}
    if isinstance(value, list):
        return [_to_plain(entry, masked=masked) for entry in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _read_config(stack: str) -> dict[str, str]:
    """Returns a stack's configuration as Pulumi passes it to the program."""
    return _to_config(_plan_secrets(read_stack_config(stack)), project_name())


def _to_config(values: Mapping[str, Any], project: str) -> dict[str, str]:
    """Returns qualified key -> text; JSON for other types."""
    return {
        key if ":" in key else f"{project}:{key}": value if isinstance(value, str) else json.dumps(value)
        for key, value in values.items()
    }


def _plan_secrets(value: Any) -> Any:
    """Replaces encrypted values by a placeholder: a plan needs to know only that they exist."""
    if isinstance(value, dict):
        return PLANNED_SECRET if set(value) == {"secure"} else {key: _plan_secrets(v) for key, v in value.items()}
    return [_plan_secrets(entry) for entry in value] if isinstance(value, list) else value
