"""Measures what asking for rights adds to a request of the local AWS, in microseconds.

Usage: python benchmarks/rights_speed.py [--requests 2000]

The layer is called in this process, in front of an application that answers at once; the role has the policies of a
pipeline (40 statements and seven that allow).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import botocore.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from ministack.services import iam, sqs

from slipway_local.rights.authorizer import Authorizer
from slipway_local.rights.layer import through_rights
from slipway_local.rights.ministack_state import MinistackState
from slipway_local.rights.usage import UsageLog

ACCOUNT = "000000000000"
STATEMENTS = 40


def policy() -> str:
    """Returns a policy of the length of a pipeline's; the statements that count are the last."""
    services = ["ec2", "rds", "elasticache", "logs", "iam", "kms", "secretsmanager", "ssm", "events", "scheduler"]
    statements: list[dict[str, Any]] = [
        {
            "Effect": "Allow",
            "Action": [f"{services[n % len(services)]}:Describe*", f"{services[n % len(services)]}:Create*"],
            "Resource": f"arn:aws:*:*:*:stack-{n}/*",
            "Condition": {"StringEquals": {"aws:RequestTag/Stack": f"stack-{n}"}},
        }
        for n in range(STATEMENTS)
    ]
    statements += [
        {"Effect": "Deny", "Action": "s3:*", "Resource": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}},
        {"Effect": "Allow", "Action": ["s3:Get*", "s3:List*"], "Resource": "arn:aws:s3:::state*"},
        {"Effect": "Allow", "Action": "sqs:*", "Resource": f"arn:aws:sqs:*:{ACCOUNT}:jobs"},
        {
            "Effect": "Allow",
            "Action": "ecs:*",
            "Resource": "*",
            "Condition": {"ArnLike": {"ecs:cluster": "arn:aws:ecs:*:*:cluster/*"}},
        },
        {"Effect": "Allow", "Action": "ec2:Describe*", "Resource": "*"},
        {"Effect": "Allow", "Action": "ecs:RegisterTaskDefinition", "Resource": "*"},
        {"Effect": "Allow", "Action": "iam:PassRole", "Resource": "*"},
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def scope_of(request: AWSRequest, credentials: Credentials, signing_name: str) -> tuple[dict[str, Any], bytes]:
    """Returns the ASGI scope and the body of a signed request."""
    SigV4Auth(credentials, signing_name, "us-east-1").add_auth(request)
    prepared = request.prepare()
    path, _, query = prepared.url.partition("://")[2].partition("/")[2].partition("?")
    headers = [(name.lower().encode(), str(value).encode()) for name, value in prepared.headers.items()]
    body = prepared.body or b""
    scope = {
        "type": "http",
        "method": prepared.method,
        "path": f"/{path}",
        "raw_path": f"/{path}".encode(),
        "query_string": query.encode(),
        "headers": [*headers, (b"host", b"localhost:4566")],
        "client": ("127.0.0.1", 1),
    }
    return scope, body if isinstance(body, bytes) else body.encode()


def requests_of(credentials: Credentials) -> dict[str, tuple[dict[str, Any], bytes]]:
    """Returns a request of each protocol."""
    base = "http://localhost:4566"

    def json_call(target: str, signing_name: str, params: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        headers = {"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.1"}
        return scope_of(AWSRequest("POST", f"{base}/", headers, json.dumps(params)), credentials, signing_name)

    form = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    containers = [{"name": "app", "image": "app", "environment": [{"name": f"V{n}", "value": "x"} for n in range(30)]}]
    definition = {"family": "app", "taskRoleArn": f"arn:aws:iam::{ACCOUNT}:role/r", "containerDefinitions": containers}
    ecs = "AmazonEC2ContainerServiceV20141113"
    queue = {"QueueUrl": f"{base}/{ACCOUNT}/jobs", "MessageBody": "x" * 200}
    describe = AWSRequest("POST", f"{base}/", form, "Action=DescribeVpcs&Version=2016-11-15&VpcId.1=vpc-1")
    get = AWSRequest("GET", f"{base}/state/prod/stack.json", {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"})
    return {
        "S3 GetObject": scope_of(get, credentials, "s3"),
        "SQS SendMessage": json_call("AmazonSQS.SendMessage", "sqs", queue),
        "ECS DescribeServices": json_call(f"{ecs}.DescribeServices", "ecs", {"cluster": "c", "services": ["web"]}),
        "ECS RegisterTaskDefinition": json_call(f"{ecs}.RegisterTaskDefinition", "ecs", definition),
        "EC2 DescribeVpcs": scope_of(describe, credentials, "ec2"),
    }


async def answers_at_once(scope: Any, receive: Any, send: Any) -> None:
    """An application that reads the body and answers 200."""
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def microseconds(app: Any, scope: dict[str, Any], body: bytes, count: int) -> tuple[float, int]:
    """Returns the median time of a request, and the status that it got."""
    statuses: list[int] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        if "status" in message:
            statuses.append(message["status"])

    times = []
    for _ in range(count):
        begun = time.perf_counter()
        await app(scope, receive, send)
        times.append(time.perf_counter() - begun)
    return statistics.median(times) * 1e6, statuses[-1]


def measured(authorizer: Authorizer, credentials: Credentials, count: int) -> dict[str, float]:
    """Returns microseconds that the layer adds, by request."""
    added = {}
    app = through_rights(answers_at_once, authorizer)
    for name, (scope, body) in requests_of(credentials).items():

        async def both(scope: dict[str, Any] = scope, body: bytes = body) -> tuple[float, float, int]:
            await microseconds(app, scope, body, 50)
            with_layer, status = await microseconds(app, scope, body, count)
            without, _ = await microseconds(answers_at_once, scope, body, count)
            return with_layer, without, status

        with_layer, without, status = asyncio.run(both())
        assert status == 200, f"{name} was refused"
        added[name] = with_layer - without
    return added


def prepared_authorizer() -> tuple[Authorizer, Credentials]:
    """Returns the layer's rights over a ministack of this process, and credentials of its role."""
    iam._create_role({"RoleName": ["r"], "AssumeRolePolicyDocument": ["{}"]})
    iam._put_role_policy({"RoleName": ["r"], "PolicyName": ["p"], "PolicyDocument": [policy()]})
    sqs._queues.clear()
    state = MinistackState()
    role = state.role(ACCOUNT, "r")
    assert role is not None
    given = state.start_session(role, "benchmark", 3600)
    authorizer = Authorizer(state, state, UsageLog(Path(tempfile.mkdtemp()) / "usage.jsonl"))
    return authorizer, Credentials(given.access_key_id, given.secret, given.session_token)


def main() -> None:
    """Prints a row for each kind of request."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=2000)
    arguments = parser.parse_args()
    authorizer, credentials = prepared_authorizer()
    print(f"{'request of a role':28} {'added, µs':>10}")
    for name, added in measured(authorizer, credentials, arguments.requests).items():
        print(f"{name:28} {added:10.0f}")
    begun = time.perf_counter()
    botocore.session.get_session().get_service_model("s3")
    print(
        f"botocore {botocore.__version__}; a service's model is read once: {time.perf_counter() - begun:.2f} s for S3's"
    )


if __name__ == "__main__":
    main()
