"""Errors of AWS anywhere in a hook or a command: one sentence with operation and action, no traceback."""

from __future__ import annotations

import asyncio
from typing import Any

import pulumi
import pytest
from botocore.exceptions import (
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    ProfileNotFound,
    ReadTimeoutError,
)
from botocore.stub import Stubber

from slipway.config.errors import SlipwayError
from slipway.release import aws_errors
from slipway.release.aws_errors import describe_aws_error, retry_reads
from slipway.release.aws_session import create_aws_session
from slipway.release.post_deploy_verification import (
    MESSAGE_SHOWN_EXIT_CODE,
    pinned_rollback_warning,
    run_in_thread,
)
from slipway.release.pre_deploy_hooks import run_on_change
from tests.infra.fake_ecs import FakeClock

TOLD = "User: arn:aws:sts::1:assumed-role/ci/x is not authorized to perform: ecs:DescribeServices on resource: arn:web"


def client_error(code: str, message: str = "no", operation: str = "DescribeServices") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


@pytest.mark.parametrize(
    ("error", "parts"),
    [
        (client_error("AccessDeniedException", TOLD), ["DescribeServices", "ecs:DescribeServices", "arn:web"]),
        (client_error("AccessDenied", operation="PutImage"), ["PutImage"]),
        (client_error("ThrottlingException"), ["throttled DescribeServices"]),
        (client_error("ExpiredToken"), ["expired", "Log in again"]),
        (client_error("InvalidClientTokenId"), ["credentials are invalid"]),
        (
            client_error("ClusterNotFoundException", "Cluster\n not found."),
            ["AWS refused DescribeServices (ClusterNotFound", "Cluster not found.", "Fix the cause, then"],
        ),
        (NoCredentialsError(), ["no AWS credentials", "aws sso login"]),
        (EndpointConnectionError(endpoint_url="https://ecs"), ["AWS cannot be reached", "https://ecs"]),
        (ProfileNotFound(profile="acme"), ["The AWS profile is unknown: ", "acme", "aws configure --profile NAME"]),
        (
            ReadTimeoutError(endpoint_url="https://ecs"),
            ["A request to AWS failed: Read timeout", "Check network and credentials"],
        ),
    ],
)
def test_an_error_of_aws_is_one_sentence_and_what_to_do(error: Any, parts: list[str]) -> None:
    told = describe_aws_error(error)
    assert "\n" not in told.message
    assert told.fix
    for part in parts:
        assert part in str(told)


def test_the_command_lines_net_takes_what_a_user_can_mend_and_no_fault_of_the_kit() -> None:
    mine = SlipwayError("mine")
    assert aws_errors.find_slipway_error(mine) is mine
    told = aws_errors.find_slipway_error(client_error("AccessDenied", TOLD))
    assert told
    assert "ecs:DescribeServices" in told.message
    assert aws_errors.find_slipway_error(KeyError("x")) is None


def test_a_session_names_the_action_where_aws_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    logs = create_aws_session({"region": "eu-central-1"}).client("logs")
    with Stubber(logs) as stub:
        stub.add_client_error("describe_log_groups", "AccessDeniedException", "no")
        with pytest.raises(ClientError) as failed:
            logs.describe_log_groups()
    assert "logs:DescribeLogGroups" in describe_aws_error(failed.value).message


def test_in_the_program_it_is_shown_once_and_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr(pulumi.log, "error", shown.append)

    def work() -> None:
        raise client_error("AccessDeniedException", TOLD)

    with pytest.raises(SystemExit) as ended:
        asyncio.run(run_in_thread(work))
    assert ended.value.code == MESSAGE_SHOWN_EXIT_CODE
    (line,) = shown
    assert line.startswith("AWS denied DescribeServices")


def test_in_a_hook_it_is_told_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    hooks: list[Any] = []
    monkeypatch.setattr(pulumi, "Stash", lambda name, opts, input: hooks.extend(opts.hooks.before_create))
    monkeypatch.setattr(pulumi, "ResourceHook", lambda name, callback, opts: callback)

    async def work() -> None:
        raise client_error("AccessDeniedException", TOLD)

    run_on_change("x", work, "value", pulumi.ResourceOptions())
    with pytest.raises(SlipwayError, match="AWS denied DescribeServices"):
        asyncio.run(hooks[0](None))


def test_reads_are_repeated_while_aws_throttles_and_for_no_other_reason() -> None:
    clock = FakeClock()
    said: list[str] = []
    answers = [client_error("Throttling"), client_error("ServiceUnavailable"), "answer"]

    def read() -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert retry_reads(read, said.append, clock) == "answer"
    assert len(said) == 1
    assert clock.now() == 2 * aws_errors.RETRY_INTERVAL_SECONDS
    answers = [client_error("AccessDenied")]
    with pytest.raises(ClientError):
        retry_reads(read, said.append, clock)


def test_an_up_on_a_pinned_rollback_says_how_to_end_it() -> None:
    assert "slipway rollback prod --end" in pinned_rollback_warning("sha256:0123456789abcdef", "prod")
