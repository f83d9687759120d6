"""Condition keys of a call: those of every request, the tags in it, and those of single services."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from slipway_local.rights.compute_resources import cluster_arn, service_of
from slipway_local.rights.iam_data import Action
from slipway_local.rights.resources import Place

Values = dict[str, str | Sequence[str]]
_TAG_KEY = re.compile(r"^[a-z0-9-]+:(?:resourcetag/|(?!req-tag)[a-z-]+-tag/)(.+)$")
_NOT_WORD = re.compile(r"[^a-z0-9]")


class RequestKeys(Mapping[str, str | Sequence[str]]):
    """Condition keys, those of the resource's tags looked up when the first policy asks for one."""

    def __init__(self, values: Mapping[str, str | Sequence[str]], tags: Callable[[], Mapping[str, str] | None]) -> None:
        self._values = values
        self._look_up = tags
        self._tags: dict[str, str] | None = None

    def __getitem__(self, key: str) -> str | Sequence[str]:
        value: str | Sequence[str] | None = self.get(key)
        if value is None:
            raise KeyError(key)
        return value

    def get(self, key: str, default: Any = None) -> Any:
        """Returns the value of a key, given in lower case."""
        value = self._values.get(key)
        if value is not None:
            return value
        match = _TAG_KEY.match(key)
        if not match:
            return default
        if self._tags is None:
            self._tags = {name.lower(): each for name, each in (self._look_up() or {}).items()}
        return self._tags.get(match.group(1), default)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def common_keys(region: str, source_ip: str, user_agent: str) -> Values:
    """Returns the keys of every request. aws:SecureTransport is true: on AWS the same request uses TLS."""
    now = time.time()
    return {
        "aws:currenttime": datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "aws:epochtime": str(int(now)),
        "aws:requestedregion": region,
        "aws:securetransport": "true",
        "aws:sourceip": source_ip,
        "aws:useragent": user_agent,
        "aws:viaawsservice": "false",
        "aws:principalisawsservice": "false",
    }


def request_tags(params: Mapping[str, Any]) -> dict[str, str]:
    """Returns the tags that a call sets."""
    tags: dict[str, str] = {}
    for name in ("Tags", "tags", "TagsList", "TagList", "BackupPlanTags", "BackupVaultTags", "tagList"):
        tags |= _tags_of(params.get(name))
    for specification in params.get("TagSpecifications") or ():
        tags |= _tags_of(specification.get("Tags"))
    tagging = params.get("Tagging")
    if isinstance(tagging, Mapping):
        tags |= _tags_of(tagging.get("TagSet"))
    elif isinstance(tagging, str):
        tags |= dict(parse_qsl(tagging, keep_blank_values=True))
    return tags | _tags_of((params.get("CreateBucketConfiguration") or {}).get("Tags"))


def _tags_of(value: Any) -> dict[str, str]:
    if isinstance(value, Mapping):
        return {str(key): str(each) for key, each in value.items()}
    tags: dict[str, str] = {}
    for each in value if isinstance(value, list) else ():
        if isinstance(each, Mapping):
            by_name = {name.lower(): str(part) for name, part in each.items()}
            key = by_name.get("key", by_name.get("tagkey"))
            if key is not None:
                tags[key] = by_name.get("value", by_name.get("tagvalue", ""))
    return tags


def tag_keys(params: Mapping[str, Any]) -> Values:
    """Returns `aws:RequestTag/...` and `aws:TagKeys`; a call without tags has neither."""
    tags = request_tags(params)
    removed = params.get("TagKeys") or params.get("tagKeys") or params.get("TagKeyList") or ()
    values: Values = {f"aws:requesttag/{key}".lower(): value for key, value in tags.items()}
    names = [*tags, *(str(each) for each in removed)]
    return values | ({"aws:tagkeys": names} if names else {})


def service_keys(action: Action, params: Mapping[str, Any], place: Place, headers: Mapping[str, str]) -> Values:
    """Returns the keys of the action's own service that the call's parameters give."""
    prefix = action.name.partition(":")[0]
    values: Values = {}
    by_plain_name = {_NOT_WORD.sub("", name.lower()): value for name, value in params.items()}
    for key in action.condition_keys:
        service, _, name = key.partition(":")
        if service == prefix:
            value = _text(by_plain_name.get(_NOT_WORD.sub("", name)))
            if value is not None:
                values[key] = value
    if prefix == "rds":
        values |= {f"rds:req-tag/{key}".lower(): value for key, value in request_tags(params).items()}
    special = _SPECIAL.get(prefix)
    return values | special(action, params, place, headers) if special else values


def _text(value: Any) -> str | list[str] | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int, float)):
        return str(value)
    if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        return value
    return None


def _ecs(action: Action, params: Mapping[str, Any], place: Place, _headers: Mapping[str, str]) -> Values:
    values: Values = {"ecs:cluster": cluster_arn(params, place)} if "ecs:cluster" in action.condition_keys else {}
    cluster = cluster_arn(params, place)
    service = params.get("service") or service_of(params)
    if service:
        base, _, name = cluster.rpartition("cluster/")
        values["ecs:service"] = service if service.startswith("arn:") else f"{base}service/{name}/{service}"
    definition = params.get("taskDefinition")
    if definition and not definition.startswith("arn:"):
        base = f"arn:aws:ecs:{place.region}:{place.account}:task-definition/{definition}"
        found = None if ":" in definition else place.state.task_definition_arn(place.account, place.region, definition)
        definition = found or base
    if definition:
        values["ecs:task-definition"] = definition
    providers = [each.get("capacityProvider", "") for each in params.get("capacityProviderStrategy") or ()]
    if providers:
        values["ecs:capacity-provider"] = providers
    for key, name in (("ecs:task-cpu", "cpu"), ("ecs:task-memory", "memory"), ("ecs:container-name", "container")):
        if params.get(name):
            values[key] = str(params[name])
    subnets = ((params.get("networkConfiguration") or {}).get("awsvpcConfiguration") or {}).get("subnets")
    return values | ({"ecs:subnet": subnets} if subnets else {})


def _ec2(_action: Action, params: Mapping[str, Any], place: Place, _headers: Mapping[str, str]) -> Values:
    values: Values = {"ec2:region": place.region}
    if params.get("VpcId"):
        values["ec2:vpc"] = f"arn:aws:ec2:{place.region}:{place.account}:vpc/{params['VpcId']}"
    return values


def _iam(action: Action, params: Mapping[str, Any], place: Place, _headers: Mapping[str, str]) -> Values:
    values: Values = {}
    if params.get("PolicyArn"):
        values["iam:policyarn"] = str(params["PolicyArn"])
    boundary = params.get("PermissionsBoundary")
    if boundary:
        values["iam:permissionsboundary"] = str(boundary)
    if params.get("AWSServiceName"):
        values["iam:awsservicename"] = str(params["AWSServiceName"])
    return values


def _kms(_action: Action, params: Mapping[str, Any], place: Place, _headers: Mapping[str, str]) -> Values:
    values: Values = {"kms:calleraccount": place.account}
    context = params.get("EncryptionContext") or {}
    for name, value in context.items():
        values[f"kms:encryptioncontext:{name}".lower()] = str(value)
    if context:
        values["kms:encryptioncontextkeys"] = list(context)
    key = str(params.get("KeyId") or "")
    alias = key.rpartition(":")[2] if "alias/" in key else ""
    return values | ({"kms:requestalias": alias} if alias else {})


_S3_HEADERS = {
    "s3:x-amz-acl": "x-amz-acl",
    "s3:x-amz-server-side-encryption": "x-amz-server-side-encryption",
    "s3:x-amz-server-side-encryption-aws-kms-key-id": "x-amz-server-side-encryption-aws-kms-key-id",
    "s3:x-amz-content-sha256": "x-amz-content-sha256",
    "s3:x-amz-copy-source": "x-amz-copy-source",
    "s3:x-amz-metadata-directive": "x-amz-metadata-directive",
    "s3:x-amz-storage-class": "x-amz-storage-class",
    "s3:if-none-match": "if-none-match",
    "s3:if-match": "if-match",
}


def _s3(_action: Action, params: Mapping[str, Any], place: Place, headers: Mapping[str, str]) -> Values:
    values: Values = {key: headers[name] for key, name in _S3_HEADERS.items() if headers.get(name)}
    values |= {"s3:authtype": "REST-HEADER", "s3:signatureversion": "AWS4-HMAC-SHA256", "s3:tlsversion": "1.3"}
    for key, name in (("s3:prefix", "Prefix"), ("s3:delimiter", "Delimiter"), ("s3:max-keys", "MaxKeys")):
        if params.get(name) is not None:
            values[key] = str(params[name])
    tagging = params.get("Tagging") if params.get("Key") else None
    object_tags = request_tags({"Tagging": tagging}) if tagging else {}
    values |= {f"s3:requestobjecttag/{key}".lower(): value for key, value in object_tags.items()}
    if object_tags:
        values["s3:requestobjecttagkeys"] = list(object_tags)
    return values | ({"s3:versionid": str(params["VersionId"])} if params.get("VersionId") else {})


def _secrets(_action: Action, params: Mapping[str, Any], place: Place, _headers: Mapping[str, str]) -> Values:
    secret = params.get("SecretId")
    arn = place.state.secret_arn(place.account, place.region, secret) if secret else None
    values: Values = {"secretsmanager:secretid": arn or secret} if secret else {}
    key = params.get("KmsKeyId")
    found = place.state.key_arn(place.account, place.region, key) if key else None
    return values | ({"secretsmanager:kmskeyarn": found} if found else {})


_SPECIAL: dict[str, Callable[[Action, Mapping[str, Any], Place, Mapping[str, str]], Values]] = {
    "ec2": _ec2,
    "ecs": _ecs,
    "iam": _iam,
    "kms": _kms,
    "s3": _s3,
    "secretsmanager": _secrets,
}
