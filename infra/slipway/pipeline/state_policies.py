"""Builds the resource policies of the state's bucket and key, which other accounts need for access."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

OTHER_ACCOUNTS_SID = "OtherAccounts"
KEY_ACTIONS = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"]
OBJECT_ACTIONS = ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"]


def bucket_policy(bucket: str, accounts: Sequence[str]) -> dict[str, Any]:
    """Returns the bucket's policy: requests by TLS only, and the state's objects for these other accounts.

    A role's own policy limits the stacks whose objects it can access.
    """
    bucket_arn = f"arn:aws:s3:::{bucket}"
    objects_arn = f"{bucket_arn}/*"
    statements: list[dict[str, Any]] = [
        {
            "Sid": "TlsOnly",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [bucket_arn, objects_arn],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    ]
    if accounts:
        statements += [
            _for_accounts(accounts, OTHER_ACCOUNTS_SID, ["s3:ListBucket"], bucket_arn),
            _for_accounts(accounts, f"{OTHER_ACCOUNTS_SID}Objects", OBJECT_ACTIONS, objects_arn),
        ]
    return {"Version": "2012-10-17", "Statement": statements}


def key_policy(account: str, accounts: Sequence[str]) -> dict[str, Any]:
    """Returns the key's policy: KMS's default, so IAM of the key's own `account` decides, and use by other accounts."""
    own = {
        "Sid": "Enable IAM User Permissions",
        "Effect": "Allow",
        "Principal": {"AWS": _root_arn(account)},
        "Action": "kms:*",
        "Resource": "*",
    }
    return {"Version": "2012-10-17", "Statement": [own, _for_accounts(accounts, OTHER_ACCOUNTS_SID, KEY_ACTIONS, "*")]}


def shared_accounts(policy: Mapping[str, Any]) -> list[str]:
    """Returns the IDs of the other accounts in a bucket's policy."""
    for statement in policy["Statement"]:
        if statement.get("Sid") == OTHER_ACCOUNTS_SID:
            principals = statement["Principal"]["AWS"]
            # AWS writes a single principal without a list, and may write an account's root as its ID.
            arns = [principals] if isinstance(principals, str) else principals
            return [arn.split(":")[4] if ":" in arn else arn for arn in arns]
    return []


def _for_accounts(accounts: Sequence[str], sid: str, actions: Sequence[str], resource: str) -> dict[str, Any]:
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": {"AWS": [_root_arn(account) for account in accounts]},
        "Action": list(actions),
        "Resource": resource,
    }


def _root_arn(account: str) -> str:
    return f"arn:aws:iam::{account}:root"
