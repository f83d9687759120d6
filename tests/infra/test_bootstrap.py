"""The state's bucket, where AWS does not let it have the name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from infra.errors import SlipwayError
from infra.pipeline.bootstrap import bootstrap


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
            bootstrap(found, "shop")
        bucket.assert_no_pending_responses()


def test_without_a_region_it_asks_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    nowhere: Any = Account({}, session(None))
    with pytest.raises(SlipwayError, match="No region"):
        bootstrap(nowhere, "shop")
