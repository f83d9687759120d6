"""Reads a request on the wire: which operation of which service it calls, with which parameters.

The protocols are botocore's: query, ec2, json (1.0 and 1.1), rest-json, rest-xml and smithy-rpc-v2-cbor.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import parse_qs, unquote

from botocore.parsers import RpcV2CBORParser
from defusedxml import ElementTree

from slipway_local.rights.service_models import Route, Service, services_signed_as
from slipway_local.rights.wire_shapes import from_query, from_xml

_CBOR_PATH = re.compile(r"^/service/([^/]+)/operation/([^/]+)$")
_S3_CONTROL_PATH = "/v20180820/"
"""Start of each path of S3's control operations, which sign as S3's do."""

_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class HttpRequest:
    """A request as it arrived."""

    method: str
    raw_path: str
    """Path, still percent-encoded, without the query."""

    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    """Headers by their names in lower case."""

    body: bytes = b""
    source_ip: str = "127.0.0.1"

    @cached_property
    def form(self) -> Mapping[str, str]:
        """Parameters of a form in the body, and of the query under them."""
        values = {name: each[-1] for name, each in self.query.items()}
        if self.headers.get("content-type", "").startswith(_FORM):
            text = self.body.decode("utf-8", "replace")
            values |= {name: each[-1] for name, each in parse_qs(text, keep_blank_values=True).items()}
        return values


@dataclass(frozen=True)
class ApiCall:
    """A call of an AWS API."""

    service: Service
    operation: str
    params: Mapping[str, Any]
    """Parameters by botocore's names of the members of the operation's input."""

    protocol: str
    """Protocol of this request, which an error has to be answered in."""

    headers: Mapping[str, str] = field(default_factory=dict)


class UnknownCall(Exception):
    """No known service has such an operation. `protocol` is what the client seems to speak."""

    def __init__(self, message: str, protocol: str = "json", service: Service | None = None) -> None:
        super().__init__(message)
        self.protocol = protocol
        self.service = service


def read_call(request: HttpRequest, signing_name: str) -> ApiCall:
    """Returns the call that the request is.

    Raises:
        UnknownCall: no service that is signed with this name has the operation, or the body cannot be read.
    """
    services = services_signed_as(signing_name)
    if not services:
        raise UnknownCall(f"No AWS service signs its requests with the name {signing_name!r}.")
    try:
        return _read(request, services)
    except (ValueError, ElementTree.ParseError, KeyError, TypeError, AttributeError) as error:
        message = f"The request's body cannot be read: {error}"
        raise UnknownCall(message, _spoken(request, services[0]), services[0]) from error


def _read(request: HttpRequest, services: tuple[Service, ...]) -> ApiCall:
    target = request.headers.get("x-amz-target", "")
    if target:
        return _json_call(request, services, target)
    cbor = _CBOR_PATH.match(request.raw_path) if "smithy-protocol" in request.headers else None
    if cbor:
        found = _with_operation(services, cbor.group(2))
        parser: Any = RpcV2CBORParser()
        params = parser.parse_data_item(io.BufferedReader(io.BytesIO(request.body))) if request.body else {}
        return ApiCall(found, cbor.group(2), params or {}, "smithy-rpc-v2-cbor", request.headers)
    is_s3_control = request.raw_path.startswith(_S3_CONTROL_PATH)
    for each in services:
        if (each.name == "s3control") != is_s3_control and each.iam_prefix == "s3":
            continue
        route = _route_of(each, request)
        if route:
            return ApiCall(each, route.operation, _rest_params(each, route, request), each.protocol, request.headers)
    if "Action" in request.form:
        return _query_call(request, services)
    raise UnknownCall(
        f"No operation for {request.method} {request.raw_path}", _spoken(request, services[0]), services[0]
    )


def _spoken(request: HttpRequest, service: Service) -> str:
    if request.headers.get("x-amz-target"):
        return "json"
    return "query" if "Action" in request.form and service.protocol != "ec2" else service.protocol


def _with_operation(services: tuple[Service, ...], operation: str, protocol: str = "json") -> Service:
    for each in services:
        if operation in each.operations:
            return each
    raise UnknownCall(f"{services[0].name} has no operation {operation}", protocol, services[0])


def _json_call(request: HttpRequest, services: tuple[Service, ...], target: str) -> ApiCall:
    prefix, _, operation = target.rpartition(".")
    for each in services:
        if each.model.metadata.get("targetPrefix") == prefix and operation in each.operations:
            params = json.loads(request.body or b"{}")
            if not isinstance(params, dict):
                raise ValueError("not a JSON object")
            return ApiCall(each, operation, params, "json", request.headers)
    raise UnknownCall(f"{services[0].name} has no operation {target}", "json", services[0])


def _query_call(request: HttpRequest, services: tuple[Service, ...]) -> ApiCall:
    form = request.form
    operation, version = form["Action"], form.get("Version", "")
    matching = tuple(each for each in services if each.model.api_version == version) or services
    found = _with_operation(matching, operation, "query")
    shape = found.operation(operation).input_shape
    params = from_query(form, shape) if shape else {}
    if found.name == "sqs" and "QueueUrl" not in params and request.raw_path.count("/") >= 2:
        params["QueueUrl"] = request.raw_path
    return ApiCall(found, operation, params, "ec2" if found.protocol == "ec2" else "query", request.headers)


def _route_of(service: Service, request: HttpRequest) -> Route | None:
    for route in service.routes.get(request.method, ()):
        if (
            all(
                name in request.query and (not value or value in request.query[name])
                for name, value in route.literal_query
            )
            and all(name in request.query for name in route.required_query)
            and all(name in request.headers for name in route.required_headers)
            and route.pattern.match(request.raw_path)
        ):
            return route
    return None


def _rest_params(service: Service, route: Route, request: HttpRequest) -> dict[str, Any]:
    shape = service.operation(route.operation).input_shape
    if shape is None:
        return {}
    match = route.pattern.match(request.raw_path)
    labels = dict(zip(route.labels, match.groups() if match else (), strict=False))
    params: dict[str, Any] = {}
    in_body: dict[str, str] = {}
    for member, member_shape in shape.members.items():
        serialization = member_shape.serialization
        name = serialization.get("name", member)
        match serialization.get("location"):
            case "uri" if name in labels:
                params[member] = unquote(labels[name])
            case "querystring" if name in request.query:
                values = request.query[name]
                params[member] = values if member_shape.type_name == "list" else values[-1]
            case "header" if name.lower() in request.headers:
                params[member] = request.headers[name.lower()]
            case "headers" | "uri" | "querystring" | "header":
                continue
            case _:
                in_body[name] = member
    return params | _body_params(service, shape, request.body, in_body)


def _body_params(service: Service, shape: Any, body: bytes, in_body: Mapping[str, str]) -> dict[str, Any]:
    payload = shape.serialization.get("payload")
    if (payload and shape.members[payload].type_name in ("blob", "string")) or not body or not in_body:
        return {}
    if service.protocol == "rest-xml":
        root = ElementTree.fromstring(body)
        return {payload: from_xml(root, shape.members[payload])} if payload else dict(from_xml(root, shape))
    value = json.loads(body)
    if payload:
        return {payload: value}
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return {in_body.get(name, name): each for name, each in value.items()}
