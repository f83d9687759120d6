"""`slipway bootstrap`: where Pulumi keeps its state, for a team that has no place for it yet.

Every call says how a thing has to be, not what to change, so that it may be run again at any time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from botocore.exceptions import ClientError

from infra.errors import SlipwayError
from infra.pipeline.github import NUMBERED_SINCE, Subject
from infra.release.client import Aws

OLD_VERSIONS_DAYS = 90
"""How long a state that was written over can be brought back."""
GONE = {"404", "NoSuchBucket", "NotFound"}


@dataclass(frozen=True)
class State:
    """A bucket for the state and a key for the secrets in it."""

    bucket: str
    key_alias: str
    key_arn: str
    region: str
    bucket_is_new: bool
    key_is_new: bool

    @property
    def backend(self) -> str:
        """What `pulumi login` takes, and PULUMI_BACKEND_URL."""
        return f"s3://{self.bucket}?region={self.region}&awssdk=v2"

    @property
    def secrets_provider(self) -> str:
        """What `pulumi stack init --secrets-provider` takes, with the stack's name in the place of STACK.

        The context ties the secrets to their stack: a role that may decrypt those of one cannot those of another.
        """
        return f"awskms://{self.key_alias}?region={self.region}&awssdk=v2&context_stack=STACK"

    def to_make(self) -> list[str]:
        """What was not there."""
        parts = {f"the bucket {self.bucket}": self.bucket_is_new, f"the key {self.key_alias}": self.key_is_new}
        return [what for what, new in parts.items() if new]

    def json(self) -> dict[str, Any]:
        """For a program."""
        return asdict(self) | {"backend": self.backend, "secrets_provider": self.secrets_provider}


def bootstrap(aws: Aws, project: str, bucket: str = "", *, dry_run: bool = False) -> State:
    """Make bucket and key, or find them, and set each as it has to be. Costs 1 USD a month for the key.

    `bucket`: its name, else `<project>-state-<account>-<region>`. With `dry_run` nothing is made or set.
    Raises `SlipwayError` where the name is taken by somebody else, or no region is known.
    """
    region = aws.session.region_name
    if not region:
        raise SlipwayError("No region is known for the state's bucket.", "slipway bootstrap --region eu-central-1")
    name, alias = bucket or f"{project}-state-{aws.account}-{region}", f"alias/{project}-state"
    key_arn = _key(aws, alias)
    there = _bucket_is_there(aws, name)
    found = State(name, alias, key_arn, region, bucket_is_new=not there, key_is_new=not key_arn)
    if dry_run:
        return found
    key_arn = key_arn or _make_key(aws, alias, project)
    aws.client("kms").enable_key_rotation(KeyId=key_arn)
    if not there:
        where = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        aws.client("s3").create_bucket(Bucket=name, **where)
    _secure(aws, name, key_arn)
    return State(name, alias, key_arn, region, bucket_is_new=not there, key_is_new=not found.key_arn)


def _key(aws: Aws, alias: str) -> str:
    """The ARN of the key that has this alias; empty for none."""
    pages = aws.client("kms").get_paginator("list_aliases").paginate()
    ids = [each.get("TargetKeyId") for page in pages for each in page["Aliases"] if each["AliasName"] == alias]
    return str(aws.client("kms").describe_key(KeyId=ids[0])["KeyMetadata"]["Arn"]) if ids and ids[0] else ""


def _make_key(aws: Aws, alias: str, project: str) -> str:
    tags = [{"TagKey": "project", "TagValue": project}]
    made = aws.client("kms").create_key(Description=f"{project}: Pulumi's state and the secrets in it", Tags=tags)
    aws.client("kms").create_alias(AliasName=alias, TargetKeyId=made["KeyMetadata"]["KeyId"])
    return str(made["KeyMetadata"]["Arn"])


def _bucket_is_there(aws: Aws, name: str) -> bool:
    try:
        aws.client("s3").head_bucket(Bucket=name, ExpectedBucketOwner=aws.account)
    except ClientError as error:
        if error.response["Error"]["Code"] in GONE:
            return False
        raise SlipwayError(
            f"The bucket {name} cannot be used: {error.response['Error'].get('Message', 'forbidden')}. "
            "It may belong to another account, for a bucket's name is everybody's.",
            "slipway bootstrap --bucket ANOTHER-NAME",
        ) from None
    return True


def _secure(aws: Aws, name: str, key_arn: str) -> None:
    """Versioned, encrypted with the key, by TLS only, closed to the public; old versions end."""
    s3 = aws.client("s3")
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
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key_arn}
    s3.put_bucket_encryption(
        Bucket=name,
        ServerSideEncryptionConfiguration={
            "Rules": [{"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": True}]
        },
    )
    s3.put_bucket_policy(Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": [_tls_only(name)]}))
    s3.put_bucket_lifecycle_configuration(
        Bucket=name,
        LifecycleConfiguration={
            "Rules": [
                {
                    "ID": "old-versions",
                    "Status": "Enabled",
                    "Filter": {"Prefix": ""},
                    "NoncurrentVersionExpiration": {"NoncurrentDays": OLD_VERSIONS_DAYS},
                    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
                }
            ]
        },
    )


def _tls_only(name: str) -> dict[str, Any]:
    return {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def told(state: State, subject: Subject | None) -> Iterator[str]:
    """For a person: what is there now, and the next lines to type."""
    yield f"Bucket {state.bucket} {_made(state.bucket_is_new)}: versioned, encrypted, by TLS only, not public."
    yield f"Key {state.key_alias} {_made(state.key_is_new)}: for the state and the secrets in it."
    yield "Log in, and keep a new stack's secrets under that key:"
    yield f"  pulumi login '{state.backend}'"
    yield f"  pulumi stack init STACK --secrets-provider '{state.secrets_provider}'"
    yield "For the pipeline (docs/pipeline.md), in each stack:"
    yield f"  pulumi config set stateBucket {state.bucket} --stack STACK"
    yield f"  pulumi config set stateKey {state.key_arn} --stack STACK"
    if subject:
        yield f"  pulumi config set githubRepository {subject.likely} --stack STACK"
    if subject and not subject.new:
        yield f"  or {subject.numbered}, where the repository was renamed since {NUMBERED_SINCE}"


def _made(new: bool) -> str:
    return "is new" if new else "was there"
