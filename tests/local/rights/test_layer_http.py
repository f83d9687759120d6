"""Requests without a client: nobody's, presigned ones, buckets in the host, and paths that are no API."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import json
from collections.abc import Callable
from typing import Any, cast

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from slipway_local.rights.authorizer import Authorizer
from slipway_local.rights.layer import through_rights
from slipway_local.rights.sts_calls import Sessions
from tests.local.rights.conftest import LocalAws
from tests.local.rights.fakes import FakeState, allow

Unique = Callable[[str], str]


def http_status(aws: LocalAws, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", aws.port, timeout=60)
    connection.request(method, path, body, headers or {})
    return connection.getresponse().status


def test_nobody_may_do_nothing(aws: LocalAws, unique: Unique) -> None:
    bucket = unique("private")
    aws.client("s3").create_bucket(Bucket=bucket)
    aws.client("s3").put_object(Bucket=bucket, Key="k", Body=b"1")
    assert http_status(aws, "GET", f"/{bucket}/k") == 403
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert http_status(aws, "POST", "/", b"Action=ListUsers&Version=2010-05-08", form) == 403
    assert http_status(aws, "POST", "/", b"{}", {"X-Amz-Target": "AmazonSSM.GetParameters"}) in (400, 403)
    assert http_status(aws, "POST", "/v2/email/outbound-emails", b"{}") == 403
    assert http_status(aws, "GET", "/_ministack/health") == 200
    everybody = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    aws.client("s3").put_bucket_policy(
        Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [everybody]})
    )
    assert http_status(aws, "GET", f"/{bucket}/k") == 200


@pytest.mark.parametrize(
    ("path", "source", "is_open"),
    [
        ("/_ministack/health", "172.17.0.2", True),
        ("/_slipway/agent/abc/task-protection/v1/state", "172.17.0.2", True),
        ("/_ministack/reset", "172.17.0.2", False),
        ("/_ministack/reset", "127.0.0.1", True),
        ("/v2/email/identities", "127.0.0.1", False),
        ("/v2/app/manifests/latest", "127.0.0.1", True),
        ("/v2/app/manifests/latest", "172.17.0.2", False),
    ],
)
def test_what_is_no_api_is_open_and_ministacks_own_to_this_machine_alone(path: str, source: str, is_open: bool) -> None:
    passed_on: list[str] = []
    statuses: list[int] = []

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        passed_on.append(scope["path"])

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        statuses.append(message.get("status", 0))

    state = FakeState()
    scope = {"type": "http", "method": "POST", "path": path, "headers": [], "client": (source, 1)}
    sessions = cast("Sessions", None)
    asyncio.run(through_rights(app, Authorizer(state, sessions))(scope, receive, send))
    assert (passed_on == [path]) is is_open
    assert bool(statuses and statuses[0] in (401, 403)) is not is_open


def test_a_presigned_url_has_its_signers_rights(aws: LocalAws, unique: Unique) -> None:
    bucket = unique("files")
    aws.client("s3").create_bucket(Bucket=bucket)
    aws.client("s3").put_object(Bucket=bucket, Key="a/k", Body=b"1")
    session = aws.session(aws.role(unique("signer"), allow("s3:GetObject", f"arn:aws:s3:::{bucket}/a/*")))
    s3 = aws.client("s3", session, signature_version="s3v4")

    def status(key: str, change: str = "") -> int:
        url = s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": key}, ExpiresIn=60)
        return http_status(
            aws, "GET", url.partition(str(aws.port))[2].replace("X-Amz-Expires=60", change or "X-Amz-Expires=60")
        )

    assert status("a/k") == 200
    assert status("b/k") == 403
    assert status("a/k", "X-Amz-Expires=61") == 403
    old = aws.client("s3", session, signature_version="s3")
    url = old.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "a/k"})
    assert http_status(aws, "GET", url.partition(str(aws.port))[2]) == 400, (
        "version 2, which AWS takes for no new bucket"
    )


def test_a_bucket_in_the_host_is_the_bucket(aws: LocalAws, unique: Unique) -> None:
    private, own = unique("private"), unique("own")
    for bucket in (private, own):
        aws.client("s3").create_bucket(Bucket=bucket)
        aws.client("s3").put_object(Bucket=bucket, Key=f"{own}/k", Body=b"1")
    session = aws.session(aws.role(unique("reader"), allow("s3:*", f"arn:aws:s3:::{own}*"), allow("sqs:*")))
    credentials = Credentials(session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"])

    def status(bucket: str, signed_for: str, method: str = "GET", query: str = "") -> int:
        host = f"{bucket}.localhost:{aws.port}"
        request = AWSRequest(method, f"http://{host}/{own}/k{query}", {"host": host}, b"")
        request.headers["x-amz-content-sha256"] = hashlib.sha256(b"").hexdigest()
        SigV4Auth(credentials, signed_for, "us-east-1").add_auth(request)
        return http_status(aws, method, f"/{own}/k{query}", b"", dict(request.headers))

    assert status(own, "s3") == 200
    assert status(private, "s3") == 403
    assert status(private, "sqs", "POST", "?Action=ListQueues&Version=2012-11-05") == 403
