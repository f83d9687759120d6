"""S3: a bucket, and its settings as resources of their own."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from infra.local.provider.kind import Context, Kind, Properties, set_of
from infra.local.provider.spelling import as_amazon, as_pulumi


class Bucket(Kind):
    type_name = "aws:s3/bucket:Bucket"
    inputs = set_of("bucket forceDestroy tags tagsAll")
    replace = set_of("bucket")
    named = ("bucket", 63)
    defaults: ClassVar = {"forceDestroy": False}

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        name = given["bucket"]
        aws("s3").create_bucket(Bucket=name)
        return name, {
            "arn": f"arn:aws:s3:::{name}",
            "bucketRegionalDomainName": f"{name}.s3.{aws.region}.amazonaws.com",
        }

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        names = [bucket["Name"] for bucket in aws("s3").list_buckets()["Buckets"]]
        return {"bucket": id, "arn": f"arn:aws:s3:::{id}"} if id in names else None

    def update(self, aws: Context, id: str, old: Properties, new: Properties) -> Properties:
        return {}

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        if known.get("forceDestroy"):
            for page in aws("s3").get_paginator("list_objects_v2").paginate(Bucket=id):
                for found in page.get("Contents") or []:
                    aws("s3").delete_object(Bucket=id, Key=found["Key"])
        aws("s3").delete_bucket(Bucket=id)


class _Setting(Kind):
    """Something about a bucket, by the bucket's name."""

    replace = set_of("bucket")

    def create(self, aws: Context, given: Properties) -> tuple[str, Properties]:
        self.put(aws, given["bucket"], given)
        return given["bucket"], {}

    def update(self, aws: Context, id: str, old: Properties, new: Properties) -> Properties:
        self.put(aws, id, new)
        return {}

    def put(self, aws: Context, bucket: str, given: Properties) -> None:
        raise NotImplementedError


class PublicAccessBlock(_Setting):
    type_name = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
    inputs = set_of("bucket blockPublicAcls blockPublicPolicy ignorePublicAcls restrictPublicBuckets")

    def put(self, aws: Context, bucket: str, given: Properties) -> None:
        flags = as_amazon({key: value for key, value in given.items() if key != "bucket"})
        aws("s3").put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=flags)

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        found = aws("s3").get_public_access_block(Bucket=id)["PublicAccessBlockConfiguration"]
        flags: Properties = as_pulumi(found)
        return {"bucket": id} | flags

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        aws("s3").delete_public_access_block(Bucket=id)


class Encryption(_Setting):
    type_name = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
    inputs = set_of("bucket rules")

    def put(self, aws: Context, bucket: str, given: Properties) -> None:
        rules: list[dict[str, Any]] = []
        for rule in given["rules"]:
            default = rule["applyServerSideEncryptionByDefault"]
            entry = {"SSEAlgorithm": default["sseAlgorithm"]}
            if default.get("kmsMasterKeyId"):
                entry["KMSMasterKeyID"] = default["kmsMasterKeyId"]
            enabled = bool(rule.get("bucketKeyEnabled"))
            rules.append({"ApplyServerSideEncryptionByDefault": entry, "BucketKeyEnabled": enabled})
        aws("s3").put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": rules})

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        aws("s3").get_bucket_encryption(Bucket=id)
        return {"bucket": id}

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        aws("s3").delete_bucket_encryption(Bucket=id)


class Lifecycle(_Setting):
    type_name = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
    inputs = set_of("bucket rules")

    def put(self, aws: Context, bucket: str, given: Properties) -> None:
        rules = []
        for rule in given["rules"]:
            entry: dict[str, Any] = {"ID": rule["id"], "Status": rule["status"], "Filter": {"Prefix": ""}}
            if rule.get("expiration"):
                entry["Expiration"] = {"Days": int(rule["expiration"]["days"])}
            if rule.get("abortIncompleteMultipartUpload"):
                days = int(rule["abortIncompleteMultipartUpload"]["daysAfterInitiation"])
                entry["AbortIncompleteMultipartUpload"] = {"DaysAfterInitiation": days}
            rules.append(entry)
        aws("s3").put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": rules})

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        aws("s3").get_bucket_lifecycle_configuration(Bucket=id)
        return {"bucket": id}

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        aws("s3").delete_bucket_lifecycle(Bucket=id)


class Policy(_Setting):
    type_name = "aws:s3/bucketPolicy:BucketPolicy"
    inputs = set_of("bucket policy")

    def put(self, aws: Context, bucket: str, given: Properties) -> None:
        aws("s3").put_bucket_policy(Bucket=bucket, Policy=given["policy"])

    def read(self, aws: Context, id: str, known: Properties) -> Properties | None:
        found = json.loads(aws("s3").get_bucket_policy(Bucket=id)["Policy"])
        return {"bucket": id, "policy": json.dumps(found)}

    def delete(self, aws: Context, id: str, known: Properties) -> None:
        aws("s3").delete_bucket_policy(Bucket=id)
