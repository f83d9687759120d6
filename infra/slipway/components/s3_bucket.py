"""A private S3 bucket."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from slipway.components.iam_roles import Statement


@dataclass(frozen=True)
class S3BucketArgs:
    """Inputs of `S3Bucket`."""

    expiration_days: int
    """Age in days at which objects are deleted; 0 keeps them."""
    force_destroy: bool = False
    """Whether `pulumi destroy` may delete it with objects in it."""
    access_log_account: pulumi.Input[str] = ""
    """Account whose load balancers may write access logs to it; empty: none."""


class S3Bucket(pulumi.ComponentResource):
    """Creates a bucket without public access (S3.1, S3.8), encrypted, TLS only (S3.5), with an expiry of objects.

    Costs 0.023 USD a GB and month.
    """

    bucket: pulumi.Output[str]
    arn: pulumi.Output[str]
    policy: aws.s3.BucketPolicy
    """An AWS service that writes to it depends on its policy."""

    def __init__(self, name: str, args: S3BucketArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:s3:S3Bucket", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        bucket = aws.s3.Bucket(name, force_destroy=args.force_destroy, opts=child)
        block = aws.s3.BucketPublicAccessBlock(
            name,
            bucket=bucket.bucket,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=child,
        )
        aws.s3.BucketServerSideEncryptionConfiguration(
            name,
            bucket=bucket.bucket,
            rules=[{"apply_server_side_encryption_by_default": {"sse_algorithm": "AES256"}}],
            opts=child,
        )
        aws.s3.BucketLifecycleConfiguration(
            name,
            bucket=bucket.bucket,
            rules=[
                _lifecycle(args.expiration_days),
            ],
            opts=child,
        )
        self.policy = aws.s3.BucketPolicy(
            name,
            bucket=bucket.bucket,
            policy=pulumi.Output.json_dumps(
                {
                    "Version": "2012-10-17",
                    "Statement": [_tls_only(bucket), *_access_logs(bucket, args)],
                }
            ),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[block]),
        )
        self.bucket = bucket.bucket
        self.arn = bucket.arn
        self.register_outputs({"bucket": self.bucket})

    @property
    def read_statements(self) -> list[Statement]:
        """Returns the statements of a role that reads; s3:ListBucket makes a missing object a 404, not a 403."""
        listing = {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": self.arn}
        return [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": self._object_arns()}, listing]

    @property
    def write_statements(self) -> list[Statement]:
        """Returns the statements of a role that writes and deletes."""
        return [{"Effect": "Allow", "Action": ["s3:PutObject", "s3:DeleteObject"], "Resource": self._object_arns()}]

    def _object_arns(self) -> pulumi.Output[str]:
        return pulumi.Output.format("{0}/*", self.arn)


def _lifecycle(days: int) -> aws.s3.BucketLifecycleConfigurationRuleArgsDict:
    rule: aws.s3.BucketLifecycleConfigurationRuleArgsDict = {
        "id": "expire",
        "status": "Enabled",
        "filter": {"prefix": ""},
        "abort_incomplete_multipart_upload": {"days_after_initiation": 1},
    }
    if days:
        rule["expiration"] = {"days": days}
    return rule


def _tls_only(bucket: aws.s3.Bucket) -> Statement:
    return {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [bucket.arn, pulumi.Output.format("{0}/*", bucket.arn)],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def _access_logs(bucket: aws.s3.Bucket, args: S3BucketArgs) -> list[Statement]:
    """https://docs.aws.amazon.com/elasticloadbalancing/latest/application/enable-access-logging.html"""
    if not args.access_log_account:
        return []
    return [
        {
            "Sid": "AccessLogs",
            "Effect": "Allow",
            "Principal": {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"},
            "Action": "s3:PutObject",
            "Resource": pulumi.Output.format("{0}/AWSLogs/{1}/*", bucket.arn, args.access_log_account),
        }
    ]
