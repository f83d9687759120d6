"""Names the resources of a call: the ARNs of an action's resource types, filled from the call's parameters.

The rules of single services are in `resource_rules`; here is what holds for all, by the reference's ARN templates.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from slipway_local.rights.aws_state import AwsState
from slipway_local.rights.iam_data import Action, ResourceType

_DEPTH = 5
_NOT_RESOURCES = frozenset({"Tags", "tags", "TagSpecifications", "IpPermissions", "PolicyDocument", "Policy"})
"""Parameters whose values may look like a resource of the call, and are not."""

_EXPLICIT = frozenset({"resourcearn", "resourcearns", "resourcename", "resource", "resources"})
"""Parameters of tagging operations, in lower case: the ARNs in them are the call's resources, whatever their kind."""

_SUFFIXES = re.compile(r"(namewithpath|withpath|names|name|identifiers|identifier|ids|id|arns|arn|urls|url)$")
_VARIABLE = re.compile(r"\$\{([^}]+)\}")

PARAMETERS_OF_VARIABLE: dict[tuple[str, str], tuple[str, ...]] = {
    ("s3", "ObjectName"): ("Key",),
    ("sqs", "QueueName"): ("QueueName", "QueueUrl"),
    ("sns", "TopicName"): ("Name",),
    ("rds", "DbInstanceName"): ("DBInstanceIdentifier",),
    ("rds", "DbClusterInstanceName"): ("DBClusterIdentifier",),
    ("rds", "SnapshotName"): ("DBSnapshotIdentifier", "FinalDBSnapshotIdentifier"),
    ("rds", "ClusterSnapshotName"): ("DBClusterSnapshotIdentifier",),
    ("rds", "ParameterGroupName"): ("DBParameterGroupName",),
    ("rds", "ClusterParameterGroupName"): ("DBClusterParameterGroupName",),
    ("rds", "SubnetGroupName"): ("DBSubnetGroupName",),
    ("rds", "SecurityGroupName"): ("DBSecurityGroupName", "DBSecurityGroups"),
    ("rds", "DbProxyId"): ("DBProxyName",),
    ("scheduler", "ScheduleName"): ("Name",),
    ("grafana", "ResourceId"): ("workspaceId",),
    ("kms", "Alias"): ("AliasName",),
    ("iam", "OidcProviderName"): ("Url",),
    ("iam", "PolicyNameWithPath"): ("PolicyName",),
    ("servicediscovery", "NamespaceId"): ("NamespaceId",),
    ("servicediscovery", "ServiceId"): ("ServiceId",),
}
"""Parameters that fill a template's variable, where their names do not say so themselves."""


@dataclass(frozen=True)
class Place:
    """Account and region of a call, and what is known of the local AWS."""

    account: str
    region: str
    state: AwsState

    def fill(self, template: str, values: Mapping[str, str]) -> str:
        """Returns the template's ARN; variables without a value become `*`, as for a resource that is to be made."""
        general = {"Partition": "aws", "Region": self.region, "Account": self.account}
        return _VARIABLE.sub(lambda match: general.get(match.group(1)) or values.get(match.group(1), "*"), template)


def resources_of(action: Action, params: Mapping[str, Any], place: Place) -> list[str]:
    """Returns the ARNs that have to be allowed, `["*"]` for an action without resources."""
    if not action.resource_types:
        return ["*"]
    if "Tag" in action.name:
        explicit = [arn for name, value in params.items() if name.lower() in _EXPLICIT for arn in arns_in(value)]
        if explicit:
            return explicit
    arns = list(dict.fromkeys(arns_in(params)))
    found: dict[str, list[str]] = {}
    for kind in action.resource_types:
        matching = [arn for arn in arns if kind.pattern.match(arn)]
        values = matching or _filled(action, kind, params, place)
        if values:
            found[kind.name] = values
    families = {name.split("/")[0] for name in found}
    for kind in action.resource_types:
        if kind.is_required and kind.name not in found and kind.name.split("/")[0] not in families:
            families.add(kind.name.split("/")[0])
            found[kind.name] = [place.fill(kind.template, {})]
    return list(dict.fromkeys(itertools.chain.from_iterable(found.values()))) or ["*"]


def arns_in(value: Any, depth: int = _DEPTH) -> Iterator[str]:
    """Yields the ARNs anywhere in a value."""
    if isinstance(value, str):
        if value.startswith("arn:"):
            yield value
    elif depth and isinstance(value, Mapping):
        for name, each in value.items():
            if name not in _NOT_RESOURCES:
                yield from arns_in(each, depth - 1)
    elif depth and isinstance(value, (list, tuple)):
        for each in value:
            yield from arns_in(each, depth - 1)


def _filled(action: Action, kind: ResourceType, params: Mapping[str, Any], place: Place) -> list[str]:
    """Returns the ARNs of a resource type by the names in the parameters; none where no name is there."""
    if not kind.variables:
        return []
    prefix = action.name.partition(":")[0]
    values = {variable: _values(prefix, variable, params) for variable in kind.variables}
    last = kind.variables[-1]
    is_the_only_one = kind.is_required and sum(each.is_required for each in action.resource_types) == 1
    if not values[last] and (is_the_only_one or len(action.resource_types) == 1):
        names = ("Id", "id") if any(values.values()) else ("Name", "name", "Id", "id")
        values[last] = named_values(params, names)
    if not any(values.values()) or not (kind.is_required or all(values.values())):
        return []
    product = itertools.product(*(values[variable] or ["*"] for variable in kind.variables))
    return [place.fill(kind.template, dict(zip(kind.variables, each, strict=True))) for each in product]


def _values(prefix: str, variable: str, params: Mapping[str, Any]) -> list[str]:
    names = PARAMETERS_OF_VARIABLE.get((prefix, variable))
    if names:
        return named_values(params, names)
    wanted = stem(variable)
    return [each for name, value in params.items() if stem(name) == wanted for each in texts(value)]


def named_values(params: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """Returns the texts of the first of these parameters that the request has."""
    for name in names:
        values = texts(params.get(name))
        if values:
            return values
    return []


def texts(value: Any) -> list[str]:
    """Returns a parameter's names or ids: one or several texts, of a URL its last part. ARNs are left out."""
    values = value if isinstance(value, (list, tuple)) else [value]
    return [
        each.rstrip("/").rpartition("/")[2] if each.startswith(("http://", "https://", "/")) and "://" in each else each
        for each in values
        if isinstance(each, str) and each and not each.startswith("arn:")
    ]


@cache
def stem(name: str) -> str:
    """Returns what a parameter and a variable are about: `serviceNames`, `services` and `ServiceName` are `service`."""
    plain = _SUFFIXES.sub("", name.lower()) or name.lower()
    return plain[:-1] if plain.endswith("s") and not plain.endswith("ss") else plain
