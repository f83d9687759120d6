"""The state's bucket, where AWS does not let it have the name."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from slipway.config.errors import SlipwayError
from slipway.pipeline import state_bootstrap
from slipway.pipeline.state_bootstrap import NONCURRENT_VERSION_DAYS, StateBackend, bootstrap_state_backend
from slipway.pipeline.state_policies import bucket_policy, key_policy, shared_accounts
from tests.infra.aws_calls import check_call
from tests.infra.iam_policies import allows


@dataclass
class Account:
    """Clients of an account, each as it was stubbed."""

    clients: dict[str, Any]
    session: Any
    account: str = "111122223333"

    def client(self, service: str) -> Any:
        return self.clients[service]


def session(region: str | None) -> Any:
    return boto3.Session("key", "secret", region_name=region)


def test_a_bucket_name_of_somebody_elses_is_told_so() -> None:
    of_it = session("eu-central-1")
    s3, kms = of_it.client("s3"), of_it.client("kms")
    with Stubber(s3) as bucket, Stubber(kms) as keys:
        keys.add_response("list_aliases", {"Aliases": [], "Truncated": False})
        name = "shop-state-111122223333-eu-central-1"
        asked = {"Bucket": name, "ExpectedBucketOwner": "111122223333"}
        bucket.add_client_error("head_bucket", "403", "Forbidden", 403, expected_params=asked)
        found: Any = Account({"s3": s3, "kms": kms}, of_it)
        with pytest.raises(SlipwayError, match=f"{name} cannot be used.*another account"):
            bootstrap_state_backend(found, "shop")
        bucket.assert_no_pending_responses()


def test_a_new_bucket_is_closed_encrypted_and_keeps_what_was_overwritten() -> None:
    calls: dict[str, dict[str, Any]] = {}

    class S3:
        def __getattr__(self, method: str) -> Any:
            def call(**given: Any) -> None:
                check_call("s3", method, given)
                calls[method] = given

            return call

    aws: Any = Account({"s3": S3()}, None)
    state_bootstrap._configure_bucket(aws, StateBackend("state", "alias/state", "arn:key", "eu-central-1", True, True))
    assert {given["Bucket"] for given in calls.values()} == {"state"}
    assert set(calls["put_public_access_block"]["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(calls["put_public_access_block"]["PublicAccessBlockConfiguration"]) == 4
    (ownership,) = calls["put_bucket_ownership_controls"]["OwnershipControls"]["Rules"]
    assert ownership == {"ObjectOwnership": "BucketOwnerEnforced"}
    assert calls["put_bucket_versioning"]["VersioningConfiguration"] == {"Status": "Enabled"}
    (encryption,) = calls["put_bucket_encryption"]["ServerSideEncryptionConfiguration"]["Rules"]
    assert encryption["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"] == "arn:key"
    assert json.loads(calls["put_bucket_policy"]["Policy"]) == bucket_policy("state", [])
    (expiry,) = calls["put_bucket_lifecycle_configuration"]["LifecycleConfiguration"]["Rules"]
    assert expiry["Status"] == "Enabled"
    assert expiry["NoncurrentVersionExpiration"]["NoncurrentDays"] == NONCURRENT_VERSION_DAYS


def test_without_a_region_it_asks_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    nowhere: Any = Account({}, session(None))
    with pytest.raises(SlipwayError, match="region of the state's bucket"):
        bootstrap_state_backend(nowhere, "shop")


OTHER, STRANGER = "444455556666", "777788889999"
STATE_FILE = "arn:aws:s3:::state/.pulumi/stacks/shop/prod.json"


def granted(policy: dict[str, Any], account: str) -> list[dict[str, Any]]:
    """The statements that are for this account."""
    root = f"arn:aws:iam::{account}:root"
    return [each for each in policy["Statement"] if each["Principal"] == "*" or root in each["Principal"]["AWS"]]


def test_another_account_that_is_named_reaches_the_state_and_its_key_by_tls_and_no_other_does() -> None:
    bucket, key = bucket_policy("state", [OTHER]), key_policy("111122223333", [OTHER])
    tls = {"aws:SecureTransport": "true"}
    for action in ("s3:GetObject", "s3:PutObject", "s3:DeleteObject"):
        assert allows(granted(bucket, OTHER), action, STATE_FILE, tls)
        assert not allows(granted(bucket, OTHER), action, STATE_FILE, {"aws:SecureTransport": "false"})
        assert not allows(granted(bucket, STRANGER), action, STATE_FILE, tls)
    assert allows(granted(bucket, OTHER), "s3:ListBucket", "arn:aws:s3:::state", tls)
    for action in ("kms:Decrypt", "kms:GenerateDataKey", "kms:Encrypt"):
        assert allows(granted(key, OTHER), action, "key")
        assert not allows(granted(key, STRANGER), action, "key")
    for action in ("s3:PutBucketPolicy", "s3:DeleteObjectVersion", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion"):
        assert not allows(granted(bucket, OTHER) + granted(key, OTHER), action, STATE_FILE, tls)
    assert allows(granted(key, "111122223333"), "kms:PutKeyPolicy", "key")  # else nobody could change it any more


def test_the_accounts_of_a_policy_are_found_again_however_aws_writes_them() -> None:
    policy = bucket_policy("state", [OTHER, STRANGER])
    assert shared_accounts(policy) == [OTHER, STRANGER]
    policy["Statement"][1]["Principal"] = {"AWS": OTHER}
    assert shared_accounts(policy) == [OTHER]
    assert shared_accounts(bucket_policy("state", [])) == []


def test_where_accounts_share_the_key_its_arn_names_it_for_an_alias_is_the_callers_own() -> None:
    alone = StateBackend("b", "alias/shop-state", "arn:aws:kms:r:1:key/k", "r", True, True)
    assert alone.secrets_provider.startswith("awskms://alias/shop-state?")
    shared = StateBackend("b", "alias/shop-state", "arn:aws:kms:r:1:key/k", "r", True, True, (OTHER,))
    assert shared.secrets_provider.startswith("awskms:///arn:aws:kms:r:1:key/k?")


@pytest.mark.parametrize(
    ("account", "told"), [("12", "an AWS account ID has 12 digits"), ("111122223333", "of the bucket itself")]
)
def test_what_is_no_other_accounts_id_is_refused_before_anything_is_asked(account: str, told: str) -> None:
    nothing: Any = Account({}, session("eu-central-1"))
    with pytest.raises(SlipwayError, match=told):
        bootstrap_state_backend(nothing, "shop", also_for=[account])
