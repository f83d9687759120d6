"""Finds the botocore service and operation that a request on the wire calls, and IAM's prefix of the service."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import parse_qsl

import botocore.session
from botocore.exceptions import DataNotFoundError, UnknownServiceError
from botocore.model import OperationModel, ServiceModel

_SERVICES_BY_SIGNING_NAME: dict[str, tuple[str, ...]] = {
    "airflow": ("mwaa",),
    "aoss": ("opensearchserverless",),
    "apigateway": ("apigateway", "apigatewayv2"),
    "aps": ("amp",),
    "cloudcontrolapi": ("cloudcontrol",),
    "cloudwatch": ("cloudwatch",),
    "dynamodb": ("dynamodb", "dynamodbstreams"),
    "elasticfilesystem": ("efs",),
    "elasticloadbalancing": ("elbv2", "elb"),
    "elasticmapreduce": ("emr",),
    "email": ("sesv2", "ses"),
    "es": ("opensearch",),
    "geo": ("location",),
    "kinesisanalytics": ("kinesisanalyticsv2",),
    "monitoring": ("cloudwatch",),
    "rds": ("rds", "docdb", "neptune"),
    "s3": ("s3", "s3control"),
    "servicequotas": ("service-quotas",),
    "ses": ("sesv2", "ses"),
    "states": ("stepfunctions",),
    "tagging": ("resourcegroupstaggingapi",),
}
"""botocore's services that sign with a name, where it is not the service's own: the first is asked first."""

_IAM_PREFIXES = {
    "monitoring": "cloudwatch",
    "tagging": "tag",
    "email": "ses",
    "cloudcontrolapi": "cloudformation",
}
"""IAM's prefix of a service's actions, where it is not the name that its requests are signed with."""

_UNRESERVED_LABEL = re.compile(r"\{([^}+]+)(\+?)\}")


@dataclass(frozen=True)
class Route:
    """How one operation of a REST service is addressed."""

    operation: str
    pattern: re.Pattern[str]
    labels: tuple[str, ...]
    literal_query: tuple[tuple[str, str], ...]
    required_query: tuple[str, ...]
    required_headers: tuple[str, ...]
    rank: int
    """How narrow it is: the highest of those that fit a request is the one that is meant."""


@dataclass(frozen=True)
class Service:
    """A botocore service."""

    name: str
    model: ServiceModel
    iam_prefix: str
    protocol: str
    operations: frozenset[str]
    routes: dict[str, tuple[Route, ...]]
    """Routes by HTTP method, the narrowest first; empty for services that are not REST."""

    def operation(self, name: str) -> OperationModel:
        """Returns botocore's model of an operation."""
        return self.model.operation_model(name)


@cache
def _session() -> Any:
    return botocore.session.get_session()


@cache
def service(name: str) -> Service | None:
    """Returns a botocore service by its name, or None where botocore has none."""
    try:
        model = _session().get_service_model(name)
    except (UnknownServiceError, DataNotFoundError):
        return None
    protocol = str(model.metadata["protocol"])
    is_rest = protocol.startswith("rest-")
    signing_name = str(model.signing_name)
    return Service(
        name=name,
        model=model,
        iam_prefix=_IAM_PREFIXES.get(signing_name, signing_name),
        protocol=protocol,
        operations=frozenset(model.operation_names),
        routes=_routes(model) if is_rest else {},
    )


def services_signed_as(signing_name: str) -> tuple[Service, ...]:
    """Returns the services whose requests carry this name in their credential scope."""
    names = _SERVICES_BY_SIGNING_NAME.get(signing_name, (signing_name,))
    return tuple(found for name in names if (found := service(name)) is not None)


def _routes(model: ServiceModel) -> dict[str, tuple[Route, ...]]:
    by_method: dict[str, list[Route]] = {}
    for name in model.operation_names:
        operation = model.operation_model(name)
        by_method.setdefault(operation.http["method"].upper(), []).append(_route(operation))
    return {method: tuple(sorted(routes, key=lambda each: -each.rank)) for method, routes in by_method.items()}


def _route(operation: OperationModel) -> Route:
    path, _, query = operation.http["requestUri"].partition("?")
    literal_query = tuple(parse_qsl(query, keep_blank_values=True))
    required_query: list[str] = []
    required_headers: list[str] = []
    shape = operation.input_shape
    members = shape.members if shape else {}
    for member in shape.required_members if shape else ():
        serialization = members[member].serialization
        if serialization.get("location") == "querystring":
            required_query.append(serialization["name"])
        elif serialization.get("location") == "header":
            required_headers.append(serialization["name"].lower())
    labels = tuple(match.group(1) for match in _UNRESERVED_LABEL.finditer(path))
    regex = _path_regex(path)
    literals = sum(1 for segment in path.split("/") if segment and "{" not in segment)
    narrow = 4 * len(literal_query) + 2 * (len(required_query) + len(required_headers))
    rank = 100 * (literals + path.count("/")) + narrow
    return Route(operation.name, regex, labels, literal_query, tuple(required_query), tuple(required_headers), rank)


def _path_regex(path: str) -> re.Pattern[str]:
    parts: list[str] = []
    position = 0
    for label in _UNRESERVED_LABEL.finditer(path):
        parts.append(re.escape(path[position : label.start()]))
        parts.append("(.+)" if label.group(2) else "([^/]+)")
        position = label.end()
    rest = path[position:]
    parts.append(re.escape(rest[:-1] if len(rest) > 1 and rest.endswith("/") else rest))
    return re.compile("".join(parts) + "/?\\Z")
