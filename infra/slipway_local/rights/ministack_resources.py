"""Reads what ministack's resources say of their rights: policies, tags, encryption keys."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ministack.core import iam_evaluator, responses
from ministack.core.iam_actions import _kms_key_id_from_ciphertext
from ministack.services import (
    alb,
    cloudwatch,
    cloudwatch_logs,
    ec2,
    ecs,
    elasticache,
    kms,
    rds,
    s3,
    secretsmanager,
    servicediscovery,
    sns,
    sqs,
    ssm,
    tagging,
    waf,
)

from slipway_local.rights.aws_state import Document

_KEY_IN_XML = re.compile(r"<KMSMasterKeyID>([^<]+)</KMSMasterKeyID>")
_POLICY_READERS = {
    "ecr": ("ecr", "repository_policy_for_arn"),
    "kms": ("kms", "key_policy_for_arn"),
    "lambda": ("lambda_svc", "function_policy_for_arn"),
    "s3": ("s3", "bucket_policy_for_arn"),
    "secretsmanager": ("secretsmanager", "secret_policy_for_arn"),
    "sns": ("sns", "topic_policy_for_arn"),
    "sqs": ("sqs", "queue_policy_for_arn"),
}
_AWS_KEYS = ("alias/aws/", "aws/")


def _key_of_any_account(key_id: str) -> str | None:
    """Returns the ARN of a KMS key by its id: a ciphertext names its key, whosever account decrypts it."""
    return next((str(record["Arn"]) for (_, _, id), record in kms._keys._data.items() if id == key_id), None)


@contextlib.contextmanager
def within(account: str, region: str) -> Iterator[None]:
    """In its block ministack's stores answer for this account and region."""
    account_token = responses._request_account_id.set(account)
    region_token = responses._request_region.set(region)
    try:
        yield
    finally:
        responses._request_region.reset(region_token)
        responses._request_account_id.reset(account_token)


def account_and_region(arn: str) -> tuple[str, str]:
    """Returns an ARN's account and region; a bucket's owner, for its ARN has neither."""
    parts = arn.split(":", 5)
    if len(parts) == 6 and parts[2] == "s3" and not parts[4]:
        return s3._bucket_owner_account(parts[5].partition("/")[0]) or "", "us-east-1"
    return (parts[4], parts[3] or "us-east-1") if len(parts) == 6 else ("", "")


class MinistackResources:
    """Resources of the local AWS."""

    def resource_policy(self, arn: str) -> tuple[Document | None, str] | None:
        """Returns a resource's policy (None where it has none) and its owner's account."""
        service = arn.split(":", 3)[2] if arn.startswith("arn:") else ""
        reader = _POLICY_READERS.get(service)
        account, region = account_and_region(arn)
        if reader is None or not account:
            return None
        with within(account, region):
            found = iam_evaluator._resource_policy(service, arn)
        return (found[0] or None, found[1]) if found else None

    def resource_tags(self, arn: str) -> Mapping[str, str] | None:
        """Returns the tags of a resource."""
        parts = arn.split(":", 5)
        account, region = account_and_region(arn)
        if len(parts) < 6 or not account:
            return None
        with within(account, region):
            match parts[2]:
                case "ec2":
                    return tags_of(ec2._tags.get(parts[5].rpartition("/")[2]))
                case "elasticloadbalancing":
                    return tags_of(alb._tags.get(arn))
                case "ecs":
                    return tags_of(ecs._tags.get(arn))
                case "rds":
                    return tags_of(rds._tags.get(arn))
                case "elasticache":
                    return tags_of(elasticache._tags.get(arn))
                case "cloudwatch":
                    return tags_of(cloudwatch._resource_tags.get(arn))
                case "servicediscovery":
                    return tags_of(servicediscovery._resource_tags.get(arn))
                case "wafv2":
                    return tags_of(waf._waf_tags.get(arn))
                case "logs":
                    name = parts[5].removeprefix("log-group:").partition(":log-stream:")[0]
                    return tags_of((cloudwatch_logs._log_groups.get(name) or {}).get("tags"))
                case service:
                    collect = tagging._COLLECTORS.get(service) or tagging._RESOURCE_TAG_COLLECTORS.get(service)
                    found = (tags for candidate, tags in collect() if candidate == arn) if collect else iter(())
                    return tags_of(next(found, None))

    def secret_arn(self, account: str, region: str, secret_id: str) -> str | None:
        """Returns a secret's full ARN by its name or a part of its ARN."""
        if secret_id.startswith("arn:"):
            account, region = account_and_region(secret_id)
        with within(account, region):
            _, secret = secretsmanager._resolve(secret_id)
        return str(secret["ARN"]) if secret else None

    def key_arn(self, account: str, region: str, key: str) -> str | None:
        """Returns a KMS key's ARN by its id, ARN, alias or alias's ARN, or by `ciphertext:` and what it made."""
        if key.startswith("ciphertext:"):
            key = _kms_key_id_from_ciphertext(key.removeprefix("ciphertext:"))
            return _key_of_any_account(key)
        if key.startswith("arn:"):
            account, region = account_and_region(key)
        with within(account, region):
            record = kms._resolve_key(key)
        return str(record["Arn"]) if record else None

    def encryption_key(self, arn: str) -> str | None:
        """Returns the customer-managed KMS key that a bucket, queue, topic, secret or parameter is encrypted with."""
        account, region = account_and_region(arn)
        if not account:
            return None
        with within(account, region):
            name = self._named_key(arn)
        return self.key_arn(account, region, name) if name and not name.startswith(_AWS_KEYS) else None

    @staticmethod
    def _named_key(arn: str) -> str:
        parts = arn.split(":", 5)
        match parts[2]:
            case "s3":
                match = _KEY_IN_XML.search(s3._bucket_encryption.get(parts[5].partition("/")[0]) or "")
                return match.group(1) if match else ""
            case "sqs":
                queue = sqs._queue_by_arn(arn)
                return str(queue["attributes"].get("KmsMasterKeyId") or "") if queue else ""
            case "sns":
                topic = sns._topics.get(arn)
                return str(topic.get("attributes", {}).get("KmsMasterKeyId") or "") if topic else ""
            case "secretsmanager":
                return str((secretsmanager._resolve(arn)[1] or {}).get("KmsKeyId") or "")
            case "ssm":
                name = parts[5].removeprefix("parameter/")
                parameter = ssm._parameters.get(f"/{name}") or ssm._parameters.get(name) or {}
                return str(parameter.get("KeyId") or "") if parameter.get("Type") == "SecureString" else ""
        return ""

    def task_definition_arn(self, account: str, region: str, family: str) -> str | None:
        """Returns the ARN of the newest revision of a family."""
        revision = ecs._task_def_latest.get_scoped(account, region, family)
        return f"arn:aws:ecs:{region}:{account}:task-definition/{family}:{revision}" if revision else None

    def task_definition_roles(self, arn: str) -> Sequence[str]:
        """Returns the ARNs of a task definition's task role and execution role."""
        account, region = account_and_region(arn)
        definition = ecs._task_defs.get_scoped(account, region, arn.rpartition("/")[2]) or {}
        return [role for name in ("taskRoleArn", "executionRoleArn") if (role := definition.get(name))]


def tags_of(value: Any) -> dict[str, str]:
    """Returns tags in any of the forms in which ministack keeps them."""
    if isinstance(value, Mapping):
        return {str(key): str(each) for key, each in value.items()}
    tags: dict[str, str] = {}
    for each in value or ():
        key = each.get("Key", each.get("key", each.get("TagKey")))
        tags[str(key)] = str(each.get("Value", each.get("value", each.get("TagValue", ""))))
    return tags
