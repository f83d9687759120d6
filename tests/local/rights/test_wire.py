"""Requests are read as botocore writes them: every operation of the services that the kit uses, in every protocol."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlencode

import botocore.session
import pytest
from botocore.serialize import create_serializer

from slipway_local.rights.wire import ApiCall, HttpRequest, UnknownCall, read_call

SERVICES = [
    "acm",
    "application-autoscaling",
    "backup",
    "budgets",
    "cloudwatch",
    "ecr",
    "ecs",
    "elasticache",
    "elbv2",
    "events",
    "iam",
    "kms",
    "lambda",
    "logs",
    "rds",
    "resourcegroupstaggingapi",
    "route53",
    "s3",
    "s3control",
    "scheduler",
    "secretsmanager",
    "servicediscovery",
    "sns",
    "sqs",
    "ssm",
    "sts",
    "wafv2",
    "xray",
]
TWINS = {
    "GetBucketLifecycleConfiguration": "GetBucketLifecycle",
    "GetBucketNotificationConfiguration": "GetBucketNotification",
    "PutBucketLifecycleConfiguration": "PutBucketLifecycle",
    "PutBucketNotificationConfiguration": "PutBucketNotification",
    "ListDirectoryBuckets": "ListBuckets",
}
"""Operations of S3 that are one on the wire, and have one IAM action."""

SESSION = botocore.session.get_session()


def value_of(shape: Any, name: str = "value", depth: int = 0) -> Any:
    """A value of a shape, its text the member's name, so that it is found again."""
    match shape.type_name:
        case "structure":
            return {member: value_of(each, member, depth + 1) for member, each in shape.members.items() if depth < 4}
        case "list":
            return [value_of(shape.member, f"{name}{n}", depth + 1) for n in range(2)]
        case "map":
            return {"key": value_of(shape.value, name, depth + 1)}
        case "integer" | "long":
            return 7
        case "float" | "double":
            return 1.5
        case "boolean":
            return True
        case "timestamp":
            return datetime(2026, 1, 1)
        case "blob":
            return b"bytes"
    return shape.enum[0] if shape.enum else name


def written(service: str, operation: str, protocol: str = "") -> tuple[HttpRequest, dict[str, Any], str]:
    """A request as botocore writes it, the parameters in it and the name that it is signed with."""
    model = SESSION.get_service_model(service)
    operation_model = model.operation_model(operation)
    params = value_of(operation_model.input_shape) if operation_model.input_shape else {}
    serializer = create_serializer(protocol or model.resolved_protocol, include_validation=False)
    raw = serializer.serialize_to_request(params, operation_model)
    headers = {name.lower(): str(value) for name, value in raw["headers"].items()}
    body = raw["body"]
    if isinstance(body, dict):
        body = urlencode(body, doseq=True)
        headers["content-type"] = "application/x-www-form-urlencoded"
    body = body.encode() if isinstance(body, str) else bytes(body or b"")
    path, _, in_path = raw["url_path"].partition("?")
    query = parse_qs(in_path, keep_blank_values=True)
    pairs = raw["query_string"].items() if isinstance(raw["query_string"], dict) else raw["query_string"]
    for name, value in pairs:
        query.setdefault(name, []).extend(map(str, value) if isinstance(value, list) else [str(value)])
    return HttpRequest(raw["method"], path, query, headers, body), params, str(model.signing_name)


def leaves(value: Any) -> Iterator[str]:
    """The texts in a value."""
    if isinstance(value, dict):
        for each in value.values():
            yield from leaves(each)
    elif isinstance(value, list):
        for each in value:
            yield from leaves(each)
    elif isinstance(value, str):
        yield value


@pytest.mark.parametrize("service", SERVICES)
def test_each_operation_is_read_as_itself(service: str) -> None:
    wrong = {}
    for operation in SESSION.get_service_model(service).operation_names:
        request, _, signing_name = written(service, operation)
        call = read_call(request, signing_name)
        twin = TWINS.get(operation, operation) if service == "s3" else operation
        if (call.service.name, call.operation) != (service, twin):
            wrong[operation] = f"{call.service.name} {call.operation}"
    assert wrong == {}


@pytest.mark.parametrize("service", ["ecs", "ec2", "elbv2", "iam", "rds", "logs", "cloudwatch", "route53", "scheduler"])
def test_parameters_are_found_again(service: str) -> None:
    missing = {}
    for operation in SESSION.get_service_model(service).operation_names[:60]:
        request, params, signing_name = written(service, operation)
        read = read_call(request, signing_name).params
        top = {name: each for name, each in params.items() if isinstance(each, str)}
        lost = {name: read.get(name) for name, each in top.items() if read.get(name) != each}
        if lost:
            missing[operation] = lost
    assert missing == {}


def call(method: str, path: str, signing_name: str, **more: Any) -> ApiCall:
    query = parse_qs(more.pop("query", ""), keep_blank_values=True)
    return read_call(HttpRequest(method, path, query, more.pop("headers", {}), more.pop("body", b"")), signing_name)


def test_nested_parameters_of_forms_and_xml_are_read() -> None:
    form = b"Action=CreateTags&Version=2016-11-15&ResourceId.1=vpc-1&Tag.1.Key=Stack&Tag.1.Value=prod&Tag.2.Key=a"
    headers = {"content-type": "application/x-www-form-urlencoded"}
    read = call("POST", "/", "ec2", headers=headers, body=form)
    assert read.params == {"Resources": ["vpc-1"], "Tags": [{"Key": "Stack", "Value": "prod"}, {"Key": "a"}]}
    body = b"<Delete><Object><Key>a</Key></Object><Object><Key>b/c</Key></Object></Delete>"
    read = call("POST", "/bucket", "s3", query="delete", body=body)
    assert read.params == {"Bucket": "bucket", "Delete": {"Objects": [{"Key": "a"}, {"Key": "b/c"}]}}


def test_a_label_with_a_slash_in_it_is_one_label() -> None:
    arn = "arn%3Aaws%3Alambda%3Aus-east-1%3A1%3Afunction%3Af"
    assert call("GET", f"/2017-03-31/tags/{arn}", "lambda").params["Resource"].endswith(":function:f")
    assert call("GET", "/bucket/a%20b/c", "s3").params == {"Bucket": "bucket", "Key": "a b/c"}


@pytest.mark.parametrize(
    ("method", "path", "query", "operation"),
    [
        ("GET", "/b", "list-type=2&prefix=a", "ListObjectsV2"),
        ("GET", "/b", "", "ListObjects"),
        ("GET", "/b", "policy", "GetBucketPolicy"),
        ("GET", "/", "", "ListBuckets"),
        ("PUT", "/b/k", "", "PutObject"),
        ("PUT", "/b/k", "partNumber=1&uploadId=x", "UploadPart"),
        ("POST", "/b/k", "uploads", "CreateMultipartUpload"),
        ("HEAD", "/b/k", "", "HeadObject"),
    ],
)
def test_s3s_operations_are_told_apart_by_their_query(method: str, path: str, query: str, operation: str) -> None:
    assert call(method, path, "s3", query=query).operation == operation


@pytest.mark.parametrize(
    ("signing_name", "headers", "body"),
    [
        ("sqs", {"x-amz-target": "secretsmanager.GetSecretValue"}, b"{}"),  # signed for another service
        ("s3", {"x-amz-target": "secretsmanager.GetSecretValue"}, b"{}"),
        ("sqs", {"x-amz-target": "AmazonSQS.NoSuchOperation"}, b"{}"),
        ("sqs", {"x-amz-target": "AmazonSQS.SendMessage"}, b"no json"),
        ("sqs", {"x-amz-target": "AmazonSQS.SendMessage"}, b"[]"),
        ("iam", {"content-type": "application/x-www-form-urlencoded"}, b"Action=NoSuchOperation"),
        ("nosuchservice", {}, b""),
        ("s3", {}, b""),  # POST to a bucket without a query
    ],
)
def test_what_is_no_call_is_unknown(signing_name: str, headers: dict[str, str], body: bytes) -> None:
    with pytest.raises(UnknownCall):
        call("POST", "/bucket", signing_name, headers=headers, body=body)


def test_a_cbor_body_is_read() -> None:
    request, params, _ = written("cloudwatch", "PutDashboard", "smithy-rpc-v2-cbor")
    assert request.headers["smithy-protocol"] == "rpc-v2-cbor"
    assert set(leaves(read_call(request, "monitoring").params)) == set(leaves(params))
    assert json.dumps(params["DashboardName"]) in json.dumps(read_call(request, "monitoring").params)
