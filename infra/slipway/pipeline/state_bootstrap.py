"""`slipway bootstrap`: creates the S3 bucket of Pulumi's state and the KMS key of its secrets, once for all stacks.

It is safe to run again: each request sets the final state.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from botocore.exceptions import ClientError

from slipway.config.errors import SlipwayError
from slipway.pipeline.github import NUMERIC_SUBJECTS_SINCE, RepositorySubject
from slipway.pipeline.state_policies import bucket_policy, key_policy, shared_accounts
from slipway.release.aws_session import AwsSession

NONCURRENT_VERSION_DAYS = 90
"""Number of days in which an overwritten state can be restored."""
BUCKET_NOT_FOUND_CODES = {"404", "NoSuchBucket", "NotFound"}


@dataclass(frozen=True)
class StateBackend:
    """The bucket of the state and the key of the secrets in it."""

    bucket: str
    key_alias: str
    key_arn: str
    region: str
    bucket_is_new: bool
    key_is_new: bool
    accounts: tuple[str, ...] = ()
    """Other accounts whose stacks store their state in this bucket."""

    @property
    def backend(self) -> str:
        """Returns the URL for `pulumi login` and PULUMI_BACKEND_URL."""
        return f"s3://{self.bucket}?region={self.region}&awssdk=v2"

    @property
    def secrets_provider(self) -> str:
        """Returns the value for `pulumi stack init --secrets-provider`, with the placeholder STACK.

        The encryption context binds secrets to their stack: permission to decrypt those of one does not cover another.
        KMS looks up an alias in the caller's account, so if other accounts use the key, this names its ARN.
        """
        key = f"/{self.key_arn}" if self.accounts else self.key_alias
        return f"awskms://{key}?region={self.region}&awssdk=v2&context_stack=STACK"

    def missing_resources(self) -> list[str]:
        """Returns the resources that did not exist before, as text."""
        parts = {f"the bucket {self.bucket}": self.bucket_is_new, f"the key {self.key_alias}": self.key_is_new}
        return [what for what, new in parts.items() if new]

    def json(self) -> dict[str, Any]:
        """Returns it as JSON has it."""
        return asdict(self) | {"backend": self.backend, "secrets_provider": self.secrets_provider}


def bootstrap_state_backend(
    aws: AwsSession, project: str, bucket: str = "", *, also_for: Sequence[str] = (), dry_run: bool = False
) -> StateBackend:
    """Creates the bucket and the key if they are missing, and configures both. The key costs 1 USD a month.

    `bucket`: its name; default `<project>-state-<account>-<region>`. `also_for`: IDs of other accounts whose stacks
    store their state here, added to earlier ones. With `dry_run`, creates and changes nothing.
    Raises `SlipwayError` if the name belongs to another account, the region is unknown, or an ID is invalid.
    """
    region = aws.session.region_name
    if not region:
        raise SlipwayError("The region of the state's bucket is unknown.", "slipway bootstrap --region eu-central-1")
    _check_accounts(also_for, aws.account)
    name = bucket or f"{project}-state-{aws.account}-{region}"
    alias = f"alias/{project}-state"
    key_arn = _find_key_arn(aws, alias)
    exists = _bucket_exists(aws, name)
    accounts = tuple(sorted({*also_for, *(_shared_accounts(aws, name) if exists else [])}))
    state = StateBackend(name, alias, key_arn, region, not exists, not key_arn, accounts)
    if dry_run:
        return state
    state = replace(state, key_arn=key_arn or _create_key(aws, alias, project))
    aws.client("kms").enable_key_rotation(KeyId=state.key_arn)
    if accounts:
        policy = json.dumps(key_policy(aws.account, accounts))
        aws.client("kms").put_key_policy(KeyId=state.key_arn, PolicyName="default", Policy=policy)
    if not exists:
        location = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        aws.client("s3").create_bucket(Bucket=name, **location)
    _configure_bucket(aws, state)
    return state


def _check_accounts(accounts: Sequence[str], own: str) -> None:
    for account in accounts:
        if not re.fullmatch(r"\d{12}", account):
            raise SlipwayError(f"--also-for {account}: an AWS account ID has 12 digits.", "aws sts get-caller-identity")
        if account == own:
            raise SlipwayError(f"--also-for {account}: that is the account of the bucket itself.", "Leave it out.")


def _shared_accounts(aws: AwsSession, bucket: str) -> list[str]:
    """Returns the other accounts that the bucket's policy names."""
    try:
        policy = aws.client("s3").get_bucket_policy(Bucket=bucket)["Policy"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchBucketPolicy":
            return []
        raise
    return shared_accounts(json.loads(policy))


def _find_key_arn(aws: AwsSession, alias: str) -> str:
    """Returns the ARN of the key that has this alias; empty for none."""
    pages = aws.client("kms").get_paginator("list_aliases").paginate()
    ids = [entry.get("TargetKeyId") for page in pages for entry in page["Aliases"] if entry["AliasName"] == alias]
    return str(aws.client("kms").describe_key(KeyId=ids[0])["KeyMetadata"]["Arn"]) if ids and ids[0] else ""


def _create_key(aws: AwsSession, alias: str, project: str) -> str:
    tags = [{"TagKey": "project", "TagValue": project}]
    key = aws.client("kms").create_key(Description=f"{project}: Pulumi's state and the secrets in it", Tags=tags)
    aws.client("kms").create_alias(AliasName=alias, TargetKeyId=key["KeyMetadata"]["KeyId"])
    return str(key["KeyMetadata"]["Arn"])


def _bucket_exists(aws: AwsSession, name: str) -> bool:
    try:
        aws.client("s3").head_bucket(Bucket=name, ExpectedBucketOwner=aws.account)
    except ClientError as error:
        if error.response["Error"]["Code"] in BUCKET_NOT_FOUND_CODES:
            return False
        raise SlipwayError(
            f"The bucket {name} cannot be used: {error.response['Error'].get('Message', 'forbidden')}. "
            "It may belong to another account: bucket names are global.",
            "slipway bootstrap --bucket ANOTHER-NAME",
        ) from None
    return True


def _configure_bucket(aws: AwsSession, state: StateBackend) -> None:
    """Sets versioning, encryption with the key, TLS only, no public access, and expiry of old versions."""
    s3, name = aws.client("s3"), state.bucket
    s3.put_public_access_block(
        Bucket=name,
        PublicAccessBlockConfiguration={
            "BlockPublicAcls": True,
            "IgnorePublicAcls": True,
            "BlockPublicPolicy": True,
            "RestrictPublicBuckets": True,
        },
    )
    s3.put_bucket_ownership_controls(
        Bucket=name, OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    )
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": state.key_arn}
    s3.put_bucket_encryption(
        Bucket=name,
        ServerSideEncryptionConfiguration={
            "Rules": [{"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": True}]
        },
    )
    s3.put_bucket_policy(Bucket=name, Policy=json.dumps(bucket_policy(name, state.accounts)))
    s3.put_bucket_lifecycle_configuration(
        Bucket=name,
        LifecycleConfiguration={
            "Rules": [
                {
                    "ID": "old-versions",
                    "Status": "Enabled",
                    "Filter": {"Prefix": ""},
                    "NoncurrentVersionExpiration": {"NoncurrentDays": NONCURRENT_VERSION_DAYS},
                    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
                }
            ]
        },
    )


def format_next_steps(state: StateBackend, subject: RepositorySubject | None) -> Iterator[str]:
    """Yields the lines of the text output: the resources and the next commands."""
    yield (
        f"Bucket {state.bucket} {_describe_existence(state.bucket_is_new)}: versioned, encrypted, by TLS "
        "only, not public."
    )
    yield f"Key {state.key_alias} {_describe_existence(state.key_is_new)}: for the state and the secrets in it."
    for account in state.accounts:
        yield f"Account {account} may use both: its stacks need the rights in their own account too."
    yield "Log in, and encrypt a new stack's secrets with that key:"
    yield f"  pulumi login '{state.backend}'"
    yield f"  pulumi stack init STACK --secrets-provider '{state.secrets_provider}'"
    yield "For the pipeline (docs/pipeline.md), in each stack:"
    yield f"  pulumi config set stateBucket {state.bucket} --stack STACK"
    yield f"  pulumi config set stateKey {state.key_arn} --stack STACK"
    if subject:
        yield f"  pulumi config set githubRepository {subject.recommended} --stack STACK"
    if subject and not subject.new:
        yield f"  or {subject.numbered}, where the repository was renamed since {NUMERIC_SUBJECTS_SINCE}"
    yield "and after `pulumi up` of each: slipway pipeline setup, which creates GitHub's environments and variables."


def _describe_existence(new: bool) -> str:
    return "is new" if new else "was there"
