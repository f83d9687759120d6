"""A ministack of these tests' own, with the rights layer before it, and an OIDC issuer on loopback."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import jwt
import pytest
from botocore.config import Config
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[3]
ISSUER = "https://token.actions.githubusercontent.com"
HOST = "token.actions.githubusercontent.com"


class Issuer:
    """An OIDC issuer: its keys, published on loopback, and tokens signed with them."""

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
        self.keys = {"keys": [public | {"kid": "one", "use": "sig", "alg": "RS256"}]}
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                documents = {"/.well-known/openid-configuration": {"issuer": ISSUER, "jwks_uri": f"{ISSUER}/jwks"}}
                body = json.dumps(documents.get(self.path, issuer.keys)).encode()
                self.send_response(200)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"

    def token(self, key: Any = None, **claims: Any) -> str:
        """A token that is right, but for what is given."""
        now = int(time.time())
        whole = {"iss": ISSUER, "aud": "sts.amazonaws.com", "sub": "repo:o/r:environment:prod", "iat": now}
        whole |= {"exp": now + 300} | claims
        return jwt.encode(whole, key or self.key, algorithm="RS256", headers={"kid": "one"})


@pytest.fixture(scope="package")
def issuer() -> Iterator[Issuer]:
    """An issuer that the local AWS takes for GitHub's."""
    made = Issuer()
    yield made
    made.server.shutdown()


class LocalAws:
    """A running local AWS with rights."""

    def __init__(self, port: int, usage: Path) -> None:
        self.port = port
        self.usage = usage

    def client(self, service: str, credentials: dict[str, Any] | None = None, **config: Any) -> Any:
        """A client with a session's credentials, as STS gives them; the person's without."""
        given = credentials or {"AccessKeyId": "test", "SecretAccessKey": "test"}
        return boto3.client(
            service,
            endpoint_url=f"http://127.0.0.1:{self.port}",
            region_name="us-east-1",
            aws_access_key_id=given["AccessKeyId"],
            aws_secret_access_key=given["SecretAccessKey"],
            aws_session_token=given.get("SessionToken") or given.get("Token"),
            config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, **config),
        )

    def role(self, name: str, *statements: dict[str, Any], trust: Any = None, account: str = "000000000000") -> str:
        """A role with an inline policy; its account trusts its own. Returns its ARN."""
        iam = self.client("iam", None if account == "000000000000" else person(account))
        own = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{account}:root"}, "Action": "sts:AssumeRole"}
        document = {"Version": "2012-10-17", "Statement": trust or [own]}
        made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(document))
        if statements:
            policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
            iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=policy)
        return str(made["Role"]["Arn"])

    def session(self, role_arn: str, **parameters: Any) -> dict[str, Any]:
        """Credentials of a role, by AssumeRole of the person in the role's account."""
        sts = self.client("sts", person(role_arn.split(":")[4]))
        given = sts.assume_role(RoleArn=role_arn, RoleSessionName="test", **parameters)
        return dict(given["Credentials"])

    def as_role(self, service: str, role_arn: str, **parameters: Any) -> Any:
        """A client with a session of a role."""
        return self.client(service, self.session(role_arn, **parameters))


def person(account: str) -> dict[str, str]:
    """The person's long-lived keys in an account."""
    key = "test" if account == "000000000000" else account
    return {"AccessKeyId": key, "SecretAccessKey": "test"}


def start(arguments: list[str], port: int, log: Path) -> subprocess.Popen[bytes]:
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'infra'}:{ROOT}"}
    command = [sys.executable, "-m", "tests.local.rights.server", "--port", str(port), *arguments]
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
    deadline = time.monotonic() + 180
    while True:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
            connection.request("GET", "/_ministack/health")
            if connection.getresponse().status == 200:
                return process
        except OSError:
            pass
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


@pytest.fixture(scope="package")
def aws(issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """A running local AWS that asks for rights."""
    folder = tmp_path_factory.mktemp("rights")
    port = free_port()
    usage = folder / "usage.jsonl"
    os.environ["SLIPWAY_OIDC_ISSUERS"] = json.dumps({ISSUER: issuer.address})
    process = start(["--usage", str(usage)], port, folder / "log")
    del os.environ["SLIPWAY_OIDC_ISSUERS"]
    yield LocalAws(port, usage)
    process.terminate()
    process.wait(20)


@pytest.fixture
def unique() -> Callable[[str], str]:
    """Names that no other test has."""
    return lambda name: f"{name}-{os.urandom(4).hex()}"
