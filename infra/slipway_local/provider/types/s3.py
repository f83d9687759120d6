"""S3: a bucket, and its settings as resources of their own."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from botocore.exceptions import ClientError

from slipway_local.provider.case_conversion import to_aws_case, to_pulumi_case
from slipway_local.provider.resource_type import Properties, ProviderContext, ResourceType, property_names


class BucketResource(ResourceType):
    type_name = "aws:s3/bucket:Bucket"
    inputs = property_names("bucket forceDestroy tags tagsAll")
    force_replacement = property_names("bucket")
    name_property = ("bucket", 63)
    defaults: ClassVar = {"forceDestroy": False}

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        name = inputs["bucket"]
        aws("s3").create_bucket(Bucket=name)
        return name, {
            "arn": f"arn:aws:s3:::{name}",
            "bucketRegionalDomainName": f"{name}.s3.{aws.region}.amazonaws.com",
        }

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        """As the real provider does it: who may not list all buckets of an account can still refresh their own."""
        try:
            aws("s3").head_bucket(Bucket=id)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                return None
            raise
        return {"bucket": id, "arn": f"arn:aws:s3:::{id}"}

    def update(self, aws: ProviderContext, id: str, old: Properties, new: Properties) -> Properties:
        return {}

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        if state.get("forceDestroy"):
            for page in aws("s3").get_paginator("list_objects_v2").paginate(Bucket=id):
                for resource in page.get("Contents") or []:
                    aws("s3").delete_object(Bucket=id, Key=resource["Key"])
        aws("s3").delete_bucket(Bucket=id)


class _BucketConfiguration(ResourceType):
    """Something about a bucket, by the bucket's name."""

    force_replacement = property_names("bucket")

    def create(self, aws: ProviderContext, inputs: Properties) -> tuple[str, Properties]:
        self.put(aws, inputs["bucket"], inputs)
        return inputs["bucket"], {}

    def update(self, aws: ProviderContext, id: str, old: Properties, new: Properties) -> Properties:
        self.put(aws, id, new)
        return {}

    def put(self, aws: ProviderContext, bucket: str, inputs: Properties) -> None:
        raise NotImplementedError


class BucketPublicAccessBlockResource(_BucketConfiguration):
    type_name = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
    inputs = property_names("bucket blockPublicAcls blockPublicPolicy ignorePublicAcls restrictPublicBuckets")

    def put(self, aws: ProviderContext, bucket: str, inputs: Properties) -> None:
        flags = to_aws_case({key: value for key, value in inputs.items() if key != "bucket"})
        aws("s3").put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=flags)

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        resource = aws("s3").get_public_access_block(Bucket=id)["PublicAccessBlockConfiguration"]
        flags: Properties = to_pulumi_case(resource)
        return {"bucket": id} | flags

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        aws("s3").delete_public_access_block(Bucket=id)


class BucketEncryptionResource(_BucketConfiguration):
    type_name = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
    inputs = property_names("bucket rules")

    def put(self, aws: ProviderContext, bucket: str, inputs: Properties) -> None:
        rules: list[dict[str, Any]] = []
        for rule in inputs["rules"]:
            default = rule["applyServerSideEncryptionByDefault"]
            entry = {"SSEAlgorithm": default["sseAlgorithm"]}
            if default.get("kmsMasterKeyId"):
                entry["KMSMasterKeyID"] = default["kmsMasterKeyId"]
            enabled = bool(rule.get("bucketKeyEnabled"))
            rules.append({"ApplyServerSideEncryptionByDefault": entry, "BucketKeyEnabled": enabled})
        aws("s3").put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": rules})

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        aws("s3").get_bucket_encryption(Bucket=id)
        return {"bucket": id}

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        aws("s3").delete_bucket_encryption(Bucket=id)


class BucketLifecycleResource(_BucketConfiguration):
    type_name = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
    inputs = property_names("bucket rules")

    def put(self, aws: ProviderContext, bucket: str, inputs: Properties) -> None:
        rules = []
        for rule in inputs["rules"]:
            entry: dict[str, Any] = {"ID": rule["id"], "Status": rule["status"], "Filter": {"Prefix": ""}}
            if rule.get("expiration"):
                entry["Expiration"] = {"Days": int(rule["expiration"]["days"])}
            if rule.get("abortIncompleteMultipartUpload"):
                days = int(rule["abortIncompleteMultipartUpload"]["daysAfterInitiation"])
                entry["AbortIncompleteMultipartUpload"] = {"DaysAfterInitiation": days}
            rules.append(entry)
        aws("s3").put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": rules})

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        aws("s3").get_bucket_lifecycle_configuration(Bucket=id)
        return {"bucket": id}

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        aws("s3").delete_bucket_lifecycle(Bucket=id)


class BucketPolicyResource(_BucketConfiguration):
    type_name = "aws:s3/bucketPolicy:BucketPolicy"
    inputs = property_names("bucket policy")

    def put(self, aws: ProviderContext, bucket: str, inputs: Properties) -> None:
        aws("s3").put_bucket_policy(Bucket=bucket, Policy=inputs["policy"])

    def read(self, aws: ProviderContext, id: str, state: Properties) -> Properties | None:
        resource = json.loads(aws("s3").get_bucket_policy(Bucket=id)["Policy"])
        return {"bucket": id, "policy": json.dumps(resource)}

    def delete(self, aws: ProviderContext, id: str, state: Properties) -> None:
        aws("s3").delete_bucket_policy(Bucket=id)
