"""Actions that a call needs in addition to its own, and that the service authorization reference's data lack.

Tags at creation, keys that a service uses in the caller's name, and a few calls that AWS makes as the caller.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from slipway_local.rights import iam_data
from slipway_local.rights.request_keys import Values, request_tags
from slipway_local.rights.resource_rules import copy_source
from slipway_local.rights.resources import Place

Params = Mapping[str, Any]

_TAG_ACTIONS = {
    "acm": "AddTagsToCertificate",
    "ec2": "CreateTags",
    "elasticache": "AddTagsToResource",
    "elasticloadbalancing": "AddTags",
    "rds": "AddTagsToResource",
    "sqs": "TagQueue",
    "ssm": "AddTagsToResource",
}
_IAM_TAG_ACTIONS = {
    "CreateRole": "TagRole",
    "CreateUser": "TagUser",
    "CreatePolicy": "TagPolicy",
    "CreateInstanceProfile": "TagInstanceProfile",
    "CreateOpenIDConnectProvider": "TagOpenIDConnectProvider",
}
_HAVE_CREATE_ACTION = ("ec2", "ecs", "elasticloadbalancing")
"""Services with a key `CreateAction`, which says that a tag is set by the call that makes the resource."""


@dataclass(frozen=True)
class Need:
    """A further action on a resource."""

    action: str
    resource: str
    keys: Values = field(default_factory=dict)


def tags_at_creation(
    prefix: str, operation: str, resources: Sequence[str], params: Params, place: Place
) -> Iterator[Need]:
    """Yields the right to tag what the call makes, if the call sets tags and is not itself the call that tags."""
    if not _sets_tags(prefix, operation, params) or "Tag" in operation or prefix in ("s3", "sts", "tag"):
        return
    name = _IAM_TAG_ACTIONS.get(operation) if prefix == "iam" else _TAG_ACTIONS.get(prefix, "TagResource")
    action = iam_data.action(f"{prefix}:{name}")
    if action is None:
        return
    keys: Values = {f"{prefix}:createaction": operation} if prefix in _HAVE_CREATE_ACTION else {}
    for resource in _created(prefix, operation, resources, params, place, action):
        yield Need(action.name, resource, keys)


def _sets_tags(prefix: str, operation: str, params: Params) -> bool:
    """Returns whether a call sets tags: its own, or those that ECS puts on a task for it.

    https://docs.aws.amazon.com/AmazonECS/latest/developerguide/CWE_IAM_role.html
    """
    is_task = prefix == "ecs" and operation in ("RunTask", "StartTask")
    propagates = params.get("propagateTags") not in (None, "", "NONE") or bool(params.get("enableECSManagedTags"))
    return bool(request_tags(params)) or (is_task and propagates)


def _created(
    prefix: str, operation: str, resources: Sequence[str], params: Params, place: Place, action: iam_data.Action
) -> Iterator[str]:
    if prefix == "ec2":
        for specification in params.get("TagSpecifications") or ():
            yield f"arn:aws:ec2:{place.region}:{place.account}:{specification.get('ResourceType', '*')}/*"
    elif prefix == "elasticloadbalancing" and operation in ("CreateListener", "CreateRule"):
        old, new = ("loadbalancer/", "listener/") if operation == "CreateListener" else ("listener/", "listener-rule/")
        yield f"{resources[0].replace(':' + old, ':' + new)}/*"
    elif prefix == "ecs" and operation in ("RunTask", "StartTask"):
        cluster = str(params.get("cluster") or "default").rpartition("/")[2]
        yield f"arn:aws:ecs:{place.region}:{place.account}:task/{cluster}/*"
    elif not action.resource_types:
        yield "*"
    elif resources[0] != "*":
        made = next((each for each in resources if _is_made_by(operation, each)), resources[0])
        yield made.removesuffix(":log-stream:")
    else:
        kinds = action.resource_types
        kind = next((each for each in kinds if each.name.replace("-", "") in operation.lower()), kinds[0])
        yield place.fill(kind.template, {})


def _is_made_by(operation: str, arn: str) -> bool:
    """Whether the operation's name says that it makes this kind of resource: CreateReplicationGroup."""
    kinds = re.split("[:/]", arn.split(":", 5)[-1])[:2]
    return any(len(kind) > 3 and kind.replace("-", "") in operation.lower() for kind in kinds)


def dependent_needs(
    prefix: str, operation: str, resources: Sequence[str], params: Params, place: Place
) -> Iterator[Need]:
    """Yields the further actions of a call."""
    source = copy_source(params) if prefix == "s3" else None
    if source:
        yield Need("s3:GetObject", source)
    for secret in params.get("SecretIdList") or () if operation == "BatchGetSecretValue" else ():
        arn = place.state.secret_arn(place.account, place.region, str(secret))
        yield Need("secretsmanager:GetSecretValue", arn or str(secret))
    uses = _KEY_USES.get(prefix, {}).get(operation)
    if uses:
        for resource in resources:
            yield from _key_needs(prefix, uses, resource, params, place)
    yield from _encrypted_at_creation(prefix, operation, params, place)
    is_association = prefix == "wafv2" and operation in ("AssociateWebACL", "DisassociateWebACL")
    if is_association and ":loadbalancer/" in str(params.get("ResourceArn")):
        yield Need("elasticloadbalancing:SetWebAcl", "*")
    if operation == "CreatePrivateDnsNamespace":
        for name in (
            "route53:CreateHostedZone",
            "route53:ListHostedZonesByName",
            "ec2:DescribeVpcs",
            "ec2:DescribeRegions",
        ):
            yield Need(name, "*")
    if operation == "CreateVpcEndpoint" and str(params.get("PrivateDnsEnabled")).lower() == "true":
        yield Need("route53:AssociateVPCWithHostedZone", "arn:aws:route53:::hostedzone/*")
    if prefix == "wafv2" and operation == "PutLoggingConfiguration":
        for name in ("CreateLogDelivery", "DescribeResourcePolicies", "DescribeLogGroups", "PutResourcePolicy"):
            yield Need(f"logs:{name}", "*")
    if operation == "CreateFlowLogs" and params.get("LogDestinationType") == "s3":
        yield Need("logs:CreateLogDelivery", "*")
    if prefix == "rds" and str(params.get("ManageMasterUserPassword")).lower() == "true":
        secret = f"arn:aws:secretsmanager:{place.region}:{place.account}:secret:rds!*"
        yield Need("secretsmanager:CreateSecret", secret)
        yield Need("secretsmanager:TagResource", secret)


_READ, _WRITE, _BOTH = ("Decrypt",), ("GenerateDataKey",), ("GenerateDataKey", "Decrypt")
_KEY_USES: dict[str, dict[str, tuple[str, ...]]] = {
    "s3": {
        "GetObject": _READ,
        "PutObject": _WRITE,
        "CopyObject": _BOTH,
        "CreateMultipartUpload": _BOTH,
        "UploadPart": _BOTH,
        "UploadPartCopy": _BOTH,
        "CompleteMultipartUpload": _READ,
    },
    "secretsmanager": {
        "GetSecretValue": _READ,
        "BatchGetSecretValue": _READ,
        "CreateSecret": _BOTH,
        "PutSecretValue": _BOTH,
        "UpdateSecret": _BOTH,
    },
    "sns": {"Publish": _BOTH, "PublishBatch": _BOTH},
    "sqs": {"SendMessage": _BOTH, "SendMessageBatch": _BOTH, "ReceiveMessage": _READ},
    "ssm": {"GetParameter": _READ, "GetParameters": _READ, "GetParametersByPath": _READ, "PutParameter": ("Encrypt",)},
}
"""Actions on the customer-managed key that a resource is encrypted with; AWS's own keys need none."""


def _key_needs(prefix: str, uses: Sequence[str], resource: str, params: Params, place: Place) -> Iterator[Need]:
    if prefix == "ssm" and uses == _READ and str(params.get("WithDecryption")).lower() != "true":
        return
    named = params.get("SSEKMSKeyId") or params.get("KmsKeyId") or (params.get("KeyId") if prefix == "ssm" else None)
    if prefix == "s3" and params.get("ServerSideEncryption") == "AES256":
        return
    owner = resource.partition("/")[0] if prefix == "s3" else resource
    key = place.state.key_arn(place.account, place.region, named) if named else place.state.encryption_key(owner)
    if not key:
        return
    context = {"s3": ("aws:s3:arn", owner), "secretsmanager": ("secretarn", resource)}.get(prefix)
    keys = _via(prefix, place)
    if context:
        keys |= {f"kms:encryptioncontext:{context[0]}": context[1], "kms:encryptioncontextkeys": [context[0]]}
    for use in uses:
        yield Need(f"kms:{use}", key, keys)


def _encrypted_at_creation(prefix: str, operation: str, params: Params, place: Place) -> Iterator[Need]:
    """A service that keeps data under the caller's key is granted it by the caller."""
    if not operation.startswith(("Create", "Restore")) or prefix not in ("rds", "elasticache", "ecr", "backup"):
        return
    configuration = params.get("encryptionConfiguration") or {}
    named = params.get("KmsKeyId") or configuration.get("kmsKey") or params.get("EncryptionKeyArn")
    key = place.state.key_arn(place.account, place.region, named) if named else None
    for name in ("DescribeKey", "CreateGrant") if key else ():
        yield Need(f"kms:{name}", str(key), _via(prefix, place) | {"kms:grantisforawsresource": "true"})


def _via(prefix: str, place: Place) -> Values:
    return {"kms:viaservice": f"{prefix}.{place.region}.amazonaws.com", "kms:calleraccount": place.account}
