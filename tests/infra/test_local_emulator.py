"""What programs and tasks on the local AWS depend on, without Docker: its other tests are end to end."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.utils import ContainerMetadataFetcher
from ministack.services import kms
from pulumi.runtime.proto import language_pb2

from slipway_local import language_host
from slipway_local.emulator import docker_host
from slipway_local.emulator.ecs import task_roles
from slipway_local.emulator.ecs.task_roles import TaskRoles
from slipway_local.rights.authorizer import Authorizer
from slipway_local.rights.layer import through_rights
from slipway_local.rights.ministack_resources import within
from slipway_local.rights.ministack_state import MinistackState
from slipway_local.rights.sts_calls import Sessions

REGION = "us-east-1"
OWNER, OTHER = "111122223333", "444455556666"
TASK = f"arn:aws:ecs:{REGION}:{OWNER}:task/shop/0123"
ROLE = f"arn:aws:iam::{OWNER}:role/web"


@pytest.fixture
def _issued(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials of a task's role, as the emulator on port 4570 issues them."""
    issued = {(ROLE, TASK): "/v2/credentials/abc"}
    tasks = SimpleNamespace(add=lambda role, task: issued[role, task])
    monkeypatch.setattr(task_roles, "emulator_authorizer", lambda: SimpleNamespace(tasks=tasks))
    monkeypatch.setattr(task_roles, "credentials_address", lambda: "169.254.170.2")
    monkeypatch.setenv("GATEWAY_PORT", "4570")


@pytest.mark.usefixtures("_issued")
def test_an_sdk_of_any_age_finds_a_tasks_credentials_on_the_address_that_all_emulators_share() -> None:
    """SDKs of before 2024 take AWS_CONTAINER_CREDENTIALS_FULL_URI for loopback only."""
    environment = TaskRoles({"taskRoleArn": ROLE}, TASK).credentials_environment()
    assert set(environment) == {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"}
    address = ContainerMetadataFetcher().full_url(*environment.values())
    assert address == "http://169.254.170.2:4570/v2/credentials/abc"


@pytest.mark.usefixtures("_issued")
def test_a_task_without_a_role_has_no_credentials_and_one_without_the_address_has_the_persons(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert TaskRoles({}, TASK).credentials_environment() == {}
    monkeypatch.setattr(task_roles, "credentials_address", lambda: "")
    assert TaskRoles({"taskRoleArn": ROLE}, TASK).credentials_environment() == docker_host.PERSON_KEYS


def _statement(account: str, action: str) -> dict[str, Any]:
    root = {"AWS": f"arn:aws:iam::{account}:root"}
    return {"Effect": "Allow", "Principal": root, "Action": action, "Resource": "*"}


@pytest.fixture
def ciphertext() -> Iterator[str]:
    """What a key of the account OWNER encrypted."""
    with within(OWNER, REGION):
        policy = json.dumps({"Version": "2012-10-17", "Statement": [_statement(OWNER, "kms:*")]})
        key = json.loads(kms._create_key({"Policy": policy})[2])["KeyMetadata"]["KeyId"]
        plaintext = base64.b64encode(b"secret").decode()
        yield str(json.loads(kms._encrypt({"KeyId": key, "Plaintext": plaintext})[2])["CiphertextBlob"])
        kms._keys.pop(key)


def _decrypt(account: str, ciphertext: str) -> tuple[int, str]:
    """Asks the local AWS with an account's keys; returns the status, and the account whose keys reach KMS."""
    body = json.dumps({"CiphertextBlob": ciphertext})
    headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "TrentService.Decrypt"}
    request = AWSRequest("POST", "http://localhost:4566/", headers=headers, data=body)
    SigV4Auth(Credentials(account, "test"), "kms", REGION).add_auth(request)
    sent: list[dict[str, Any]] = []
    accounts: list[str] = []

    async def answer_as_kms(scope: Any, receive: Any, send: Any) -> None:
        authorization = dict(scope["headers"])[b"authorization"].decode()
        accounts.append(authorization.partition("Credential=")[2].partition("/")[0])
        await send({"type": "http.response.start", "status": 200})

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body.encode()}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/", "client": ("127.0.0.1", 1)}
    scope["headers"] = [(name.lower().encode(), value.encode()) for name, value in request.headers.items()]
    scope["headers"].append((b"host", b"localhost:4566"))
    authorizer = Authorizer(MinistackState(), cast("Sessions", None))
    asyncio.run(through_rights(answer_as_kms, authorizer)(scope, receive, send))
    return sent[0]["status"], "".join(accounts)


def test_a_ciphertext_names_its_key_and_another_account_decrypts_it_if_the_keys_policy_lets_it(ciphertext: str) -> None:
    assert _decrypt(OWNER, ciphertext) == (200, OWNER)
    assert _decrypt(OTHER, ciphertext) == (400, "")
    (key,) = (key for _, key in kms._keys.items())
    key["Policy"] = json.dumps({"Statement": [_statement(OWNER, "kms:*"), _statement(OTHER, "kms:Decrypt")]})
    assert _decrypt(OTHER, ciphertext) == (200, OWNER), "ministack looks for the key in the account of the access key"


@pytest.mark.parametrize(("code", "bail", "error"), [(32, True, ""), (1, False, "the program's process ended with 1")])
def test_a_program_that_ended_without_an_answer_and_has_shown_its_error_gets_no_second_one(
    code: int, bail: bool, error: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = subprocess.Popen
    command = [sys.executable, "-c", f"raise SystemExit({code})"]
    monkeypatch.setattr(language_host.subprocess, "Popen", lambda _: start(command))
    answer = language_pb2.RunResponse.FromString(language_host.LanguageHost("127.0.0.1:1").run(b"", None))
    assert (answer.bail, answer.error) == (bail, error)


RUN_WITHOUT_ENGINE = """
import sys
from pathlib import Path
from pulumi.automation import _server
from slipway_local.language_host import _run_program

async def run(program):
    program()

_server.run_in_stack = run
_run_program(Path(sys.argv[1]), Path(sys.argv[2]), "")
"""


@pytest.mark.parametrize("code", [32, 1])
def test_the_exit_code_of_a_program_that_has_shown_its_error_is_not_logged(code: int, tmp_path: Path) -> None:
    (tmp_path / "__main__.py").write_text(f"raise SystemExit({code})\n")
    asked, answered = tmp_path / "request", tmp_path / "response"
    request = language_pb2.RunRequest(pwd=str(tmp_path), project="shop", stack="dev")
    request.info.program_directory, request.info.entry_point = str(tmp_path), "."
    asked.write_bytes(request.SerializeToString())
    command = [sys.executable, "-c", RUN_WITHOUT_ENGINE, str(asked), str(answered)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    answer = language_pb2.RunResponse.FromString(answered.read_bytes())
    is_shown = code == 32
    assert answer.bail is is_shown
    assert ("runtime error: 1\n" in answer.error) is not is_shown
    assert ("runtime error" in run.stdout + run.stderr) is not is_shown
