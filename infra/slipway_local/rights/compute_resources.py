"""Names the resources of EC2's and ECS's calls, which the reference's ARN templates do not give."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from slipway_local.rights.iam_data import Action
from slipway_local.rights.resources import Place, arns_in, resources_of

Params = Mapping[str, Any]

_EC2_ID = re.compile(r"^([a-z]+)-[0-9a-f]{4,}$|^([a-z]+)-\*$")
_EC2_TYPES = {
    "i": "instance",
    "sg": "security-group",
    "sgr": "security-group-rule",
    "vpc": "vpc",
    "subnet": "subnet",
    "nat": "natgateway",
    "eipalloc": "elastic-ip",
    "rtb": "route-table",
    "igw": "internet-gateway",
    "eni": "network-interface",
    "vpce": "vpc-endpoint",
    "fl": "vpc-flow-log",
    "lt": "launch-template",
    "vol": "volume",
    "snap": "snapshot",
    "ami": "image",
    "acl": "network-acl",
    "pl": "prefix-list",
    "pcx": "vpc-peering-connection",
    "dopt": "dhcp-options",
    "eigw": "egress-only-internet-gateway",
    "tgw": "transit-gateway",
}
"""EC2's resource types by the start of their ids."""


def cluster_arn(params: Params, place: Place) -> str:
    """Returns the ECS cluster of a call; without one it is the cluster `default`.

    The ARNs of services, tasks and what hangs on them have the cluster's name in them.
    """
    value = params.get("cluster") or params.get("clusterName")
    if not value:
        parts = next((each for each in map(_parts_in_cluster, arns_in(params)) if each), None)
        value = parts[1] if parts else "default"
    return value if str(value).startswith("arn:") else f"arn:aws:ecs:{place.region}:{place.account}:cluster/{value}"


def service_of(params: Params) -> str | None:
    """Returns the ARN of the service that a service revision or deployment of the call is of, or None."""
    for arn in arns_in(params):
        parts = _parts_in_cluster(arn)
        if parts and parts[0] in ("service-revision", "service-deployment", "task-set"):
            return arn.rpartition(f":{parts[0]}/")[0] + f":service/{parts[1]}/{parts[2]}"
    return None


def _parts_in_cluster(arn: str) -> list[str] | None:
    """Returns kind, cluster and the rest of an ECS ARN whose resource is in a cluster."""
    parts = arn.split(":", 5)[-1].split("/")
    kinds = ("service", "task", "service-revision", "service-deployment", "task-set", "container-instance")
    return parts if ":ecs:" in arn and parts[0] in kinds and len(parts) > 2 else None


def ecs_resources(action: Action, params: Params, place: Place) -> list[str]:
    base = f"arn:aws:ecs:{place.region}:{place.account}"
    cluster = cluster_arn(params, place)
    cluster_name = cluster.rpartition("/")[2]
    name = action.name.partition(":")[2]
    if name == "RegisterTaskDefinition":
        return [f"{base}:task-definition/{params.get('family', '*')}:*"]
    if name in ("RunTask", "StartTask"):
        return [_task_definition(str(params.get("taskDefinition", "*")), place)]
    if name == "DescribeClusters":
        clusters = params.get("clusters") or ["default"]
        return [each if each.startswith("arn:") else f"{base}:cluster/{each}" for each in clusters]
    if name == "ListTasks":
        instance = params.get("containerInstance") or "*"
        return [f"{base}:container-instance/{cluster_name}/{instance}"]
    if name in ("ExecuteCommand",):
        return [cluster, *_in_cluster("task", params.get("task"), cluster)]
    if name in ("DescribeServiceRevisions", "DescribeServiceDeployments"):
        service = service_of(params)
        return [*arns_in(params), *([service] if service else [])] or [f"{base}:service/*/*"]
    for kind, names in (("service", ("service", "services", "serviceName")), ("task", ("task", "tasks"))):
        if any(each.name == kind for each in action.resource_types) and any(params.get(each) for each in names):
            return [arn for each in names for arn in _in_cluster(kind, params.get(each), cluster)]
    return resources_of(action, {"cluster": cluster_name, **params} if params.get("cluster") else params, place)


def _in_cluster(kind: str, value: Any, cluster: str) -> list[str]:
    values = value if isinstance(value, list) else [value] if value else []
    base, _, name = cluster.rpartition("cluster/")
    return [each if each.startswith("arn:") else f"{base}{kind}/{name}/{each}" for each in values]


def _task_definition(value: str, place: Place) -> str:
    base = f"arn:aws:ecs:{place.region}:{place.account}:task-definition/"
    arn = value if value.startswith("arn:") else base + value
    if arn.rpartition("/")[2].count(":"):
        return arn
    family = arn.rpartition("/")[2]
    return place.state.task_definition_arn(place.account, place.region, family) or f"{arn}:*"


def ec2_resources(action: Action, params: Params, place: Place) -> list[str]:
    found: dict[str, list[str]] = {}
    templates = {each.name: each for each in action.resource_types}
    for value in _ec2_ids(params):
        match = _EC2_ID.match(value)
        kind = templates.get(_EC2_TYPES.get(match.group(1) or match.group(2), "") if match else "")
        if kind:
            found.setdefault(kind.name, []).append(place.fill(kind.template, {kind.variables[-1]: value}))
    for kind in action.resource_types:
        if kind.is_required and kind.name not in found:
            found[kind.name] = [place.fill(kind.template, {})]
    return list(dict.fromkeys(arn for arns in found.values() for arn in arns)) or ["*"]


def _ec2_ids(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        skipped = ("IpPermissions", "TagSpecifications", "Tags", "UserData", "Filters")
        return [each for name, child in value.items() if name not in skipped for each in _ec2_ids(child)]
    return [each for child in value for each in _ec2_ids(child)] if isinstance(value, list) else []
