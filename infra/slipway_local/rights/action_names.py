"""IAM actions of the operations that are not called like their action."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_S3 = {
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "HeadBucket": "ListBucket",
    "ListObjectVersions": "ListBucketVersions",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "ListParts": "ListMultipartUploadParts",
    "ListBuckets": "ListAllMyBuckets",
    "ListDirectoryBuckets": "ListAllMyBuckets",
    "HeadObject": "GetObject",
    "SelectObjectContent": "GetObject",
    "CopyObject": "PutObject",
    "CreateMultipartUpload": "PutObject",
    "UploadPart": "PutObject",
    "UploadPartCopy": "PutObject",
    "CompleteMultipartUpload": "PutObject",
    "DeleteObjects": "DeleteObject",
    "DeleteBucketCors": "PutBucketCORS",
    "DeleteBucketTagging": "PutBucketTagging",
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "DeleteBucketEncryption": "PutEncryptionConfiguration",
    "GetBucketLifecycle": "GetLifecycleConfiguration",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "PutBucketLifecycle": "PutLifecycleConfiguration",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "DeleteBucketLifecycle": "PutLifecycleConfiguration",
    "GetBucketReplication": "GetReplicationConfiguration",
    "PutBucketReplication": "PutReplicationConfiguration",
    "DeleteBucketReplication": "PutReplicationConfiguration",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
    "DeletePublicAccessBlock": "PutBucketPublicAccessBlock",
    "GetBucketAccelerateConfiguration": "GetAccelerateConfiguration",
    "PutBucketAccelerateConfiguration": "PutAccelerateConfiguration",
    "GetBucketNotificationConfiguration": "GetBucketNotification",
    "PutBucketNotificationConfiguration": "PutBucketNotification",
    "DeleteBucketOwnershipControls": "PutBucketOwnershipControls",
    "GetObjectLockConfiguration": "GetBucketObjectLockConfiguration",
    "PutObjectLockConfiguration": "PutBucketObjectLockConfiguration",
} | {
    f"{verb}Bucket{kind}Configuration{plural}": f"{action}{kind}Configuration"
    for kind in ("Analytics", "IntelligentTiering", "Inventory", "Metrics")
    for verb, plural, action in (("Get", "", "Get"), ("Put", "", "Put"), ("Delete", "", "Put"), ("List", "s", "Get"))
}

_S3_OF_VERSIONS = {
    "GetObject": "GetObjectVersion",
    "DeleteObject": "DeleteObjectVersion",
    "GetObjectAcl": "GetObjectVersionAcl",
    "PutObjectAcl": "PutObjectVersionAcl",
    "GetObjectTagging": "GetObjectVersionTagging",
    "PutObjectTagging": "PutObjectVersionTagging",
    "DeleteObjectTagging": "DeleteObjectVersionTagging",
    "GetObjectAttributes": "GetObjectVersionAttributes",
}
"""Actions that are another one when the request names a version of the object."""

_OTHERS: dict[str, dict[str, tuple[str, ...]]] = {
    "sqs": {
        "SendMessageBatch": ("SendMessage",),
        "DeleteMessageBatch": ("DeleteMessage",),
        "ChangeMessageVisibilityBatch": ("ChangeMessageVisibility",),
    },
    "sns": {"PublishBatch": ("Publish",)},
    "kms": {"ReEncrypt": ("ReEncryptFrom", "ReEncryptTo")},
    "lambda": {
        "Invoke": ("InvokeFunction",),
        "InvokeWithResponseStream": ("InvokeFunction",),
        "GetLayerVersionByArn": ("GetLayerVersion",),
    },
    "dynamodb": {
        "ExecuteStatement": ("PartiQLSelect", "PartiQLUpdate", "PartiQLInsert", "PartiQLDelete"),
        "BatchExecuteStatement": ("PartiQLSelect", "PartiQLUpdate", "PartiQLInsert", "PartiQLDelete"),
        "ExecuteTransaction": ("PartiQLSelect", "PartiQLUpdate", "PartiQLInsert", "PartiQLDelete"),
        "TransactGetItems": ("GetItem",),
        "TransactWriteItems": ("PutItem", "UpdateItem", "DeleteItem", "ConditionCheckItem"),
    },
}
_BUDGET_VIEWS = ("Describe",)
_BUDGET_OBJECTS = ("Budget", "Notification", "Subscriber")


def actions_of_operation(prefix: str, operation: str, method: str, params: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns the names of the IAM actions of an operation, without checking that IAM has them."""
    if prefix == "s3":
        return _s3_actions(operation, params)
    if prefix == "apigateway":
        return (f"apigateway:{method}",)
    if prefix == "budgets" and any(part in operation for part in _BUDGET_OBJECTS) and "Action" not in operation:
        return ("budgets:ViewBudget" if operation.startswith(_BUDGET_VIEWS) else "budgets:ModifyBudget",)
    return tuple(f"{prefix}:{name}" for name in _OTHERS.get(prefix, {}).get(operation, (operation,)))


def _s3_actions(operation: str, params: Mapping[str, Any]) -> tuple[str, ...]:
    name = _S3.get(operation, operation)
    if params.get("VersionId"):
        name = _S3_OF_VERSIONS.get(name, name)
    if operation == "GetObjectAttributes":
        first = "GetObjectVersion" if params.get("VersionId") else "GetObject"
        return (f"s3:{first}", f"s3:{name}")
    return (f"s3:{name}", *(f"s3:{extra}" for extra in _s3_extras(operation, params)))


def _s3_extras(operation: str, params: Mapping[str, Any]) -> list[str]:
    """Actions that a write needs for the properties that it sets in addition to the object or the bucket."""
    extras: list[str] = []
    is_bucket = operation == "CreateBucket"
    if operation not in ("PutObject", "CopyObject", "CreateMultipartUpload", "CreateBucket"):
        return extras
    if any(params.get(name) for name in ("ACL", "GrantRead", "GrantWrite", "GrantFullControl")):
        extras.append("PutBucketAcl" if is_bucket else "PutObjectAcl")
    if params.get("Tagging"):
        extras.append("PutObjectTagging")
    if params.get("ObjectLockMode"):
        extras.append("PutObjectRetention")
    if params.get("ObjectLockLegalHoldStatus"):
        extras.append("PutObjectLegalHold")
    if is_bucket and str(params.get("ObjectLockEnabledForBucket", "")).lower() == "true":
        extras += ["PutBucketObjectLockConfiguration", "PutBucketVersioning"]
    if is_bucket and params.get("ObjectOwnership"):
        extras.append("PutBucketOwnershipControls")
    return extras
