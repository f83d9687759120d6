"""Whose AWS the release talks to: what the stack's provider has, and no other account or region."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.httpsession import URLLib3Session
from botocore.stub import Stubber

from slipway.config.errors import SlipwayError
from slipway.config.local_aws import LOCAL_ACCOUNT
from slipway.release.aws_session import (
    AwsSession,
    create_aws_session,
    open_stack_aws_session,
    parse_duration_seconds,
)

CLUSTER = "arn:aws:ecs:eu-central-1:111122223333:cluster/shop-prod"


@pytest.fixture(autouse=True)
def shell(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-the-shell")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")


def answering(aws: AwsSession, account: str, monkeypatch: pytest.MonkeyPatch) -> AwsSession:
    """The same, whose STS says that its keys are of `account`."""
    client = AwsSession.client

    def stubbed(self: AwsSession, service: str) -> Any:
        made = client(self, service)
        if service == "sts":
            stub = Stubber(made)
            stub.add_response(
                "get_caller_identity", {"Account": account, "UserId": "u", "Arn": f"arn:aws:iam::{account}:root"}
            )
            stub.activate()
        return made

    monkeypatch.setattr(AwsSession, "client", stubbed)
    return aws


def test_region_keys_and_endpoints_are_the_providers() -> None:
    aws = create_aws_session(
        {
            "region": "eu-central-1",
            "accessKey": "of-the-stack",
            "secretKey": "y",
            "endpoints": json.dumps([{"ecs": "https://ecs.example.org", "s3": "https://s3.example.org"}]),
        }
    )
    assert aws.session.get_credentials().access_key == "of-the-stack"
    assert aws.client("ecs").meta.endpoint_url == "https://ecs.example.org"
    assert aws.client("logs").meta.endpoint_url == "https://logs.eu-central-1.amazonaws.com"


def test_a_stack_of_the_local_aws_sends_no_request_to_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    monkeypatch.setattr(URLLib3Session, "send", lambda _, request: sent.append(request.url))
    local = {"region": "eu-central-1", "allowedAccountIds": [LOCAL_ACCOUNT]}
    with pytest.raises(RuntimeError, match=r"would have gone to sts\.eu-central-1\.amazonaws\.com"):
        create_aws_session(local).client("sts").get_caller_identity()
    assert sent == []
    for config in (local | {"endpoints": [{"sts": "http://127.0.0.1:4566"}]}, {"region": "eu-central-1"}):
        with pytest.raises(AttributeError):  # of the answer that there is not
            create_aws_session(config).client("sts").get_caller_identity()
    assert sent == ["http://127.0.0.1:4566/", "https://sts.eu-central-1.amazonaws.com/"]


def test_without_configuration_it_is_the_shell_as_for_the_provider() -> None:
    assert create_aws_session({"region": "eu-central-1"}).session.get_credentials().access_key == "of-the-shell"


def test_roles_are_assumed_one_from_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, dict[str, Any]]] = []

    class Fetcher:
        def __init__(self, client_creator: Any, source_credentials: Any, role_arn: str, extra_args: Any) -> None:
            self.role, self.key = role_arn, source_credentials.access_key
            asked.append((role_arn, extra_args))

        def fetch_credentials(self) -> dict[str, str]:
            return {
                "access_key": f"{self.role} by {self.key}",
                "secret_key": "z",
                "token": "t",
                "expiry_time": "2099-01-01T00:00:00Z",
            }

    monkeypatch.setattr("slipway.release.aws_session.AssumeRoleCredentialFetcher", Fetcher)
    roles = [{"roleArn": "hub", "externalId": "e"}, {"roleArn": "spoke", "duration": "1h30m", "sessionName": "ci"}]
    aws = create_aws_session({"region": "eu-central-1", "assumeRoles": json.dumps(roles)})
    assert aws.session.get_credentials().access_key == "spoke by hub by of-the-shell"
    assert asked[0][1] == {"ExternalId": "e"}
    assert asked[1][1] == {"DurationSeconds": 5400, "RoleSessionName": "ci"}


def test_a_profile_that_is_not_there_is_an_error_that_names_it() -> None:
    with pytest.raises(SlipwayError, match="corp"):
        create_aws_session({"region": "eu-central-1", "profile": "corp"})


def test_another_account_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    aws = answering(create_aws_session({"region": "eu-central-1"}), "444455556666", monkeypatch)
    with pytest.raises(SlipwayError, match=r"111122223333.*444455556666"):
        aws.of(CLUSTER)


def test_another_region_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    aws = answering(create_aws_session({"region": "us-east-1"}), "111122223333", monkeypatch)
    with pytest.raises(
        SlipwayError, match="The stack is in eu-central-1, and the session's region is us-east-1"
    ) as refusal:
        aws.of(CLUSTER)
    assert refusal.value.fix == "pulumi config set aws:region eu-central-1"


def test_the_stacks_own_account_and_region_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    aws = answering(create_aws_session({"region": "eu-central-1"}), "111122223333", monkeypatch)
    assert aws.of(CLUSTER) is aws


def test_a_stack_of_the_local_aws_never_calls_the_real_one() -> None:
    aws = create_aws_session({"region": "us-east-1"})
    with pytest.raises(
        SlipwayError,
        match=r"This stack is on the local AWS, and its requests would go to .*ecs\.us-east-1\.amazonaws\.com",
    ):
        aws.of("arn:aws:ecs:us-east-1:000000000000:cluster/local")


def test_a_duration_that_is_none_is_refused() -> None:
    assert parse_duration_seconds("2h") == 7200
    with pytest.raises(SlipwayError, match="soon' is not a duration"):
        parse_duration_seconds("soon")


def test_the_hooks_of_a_program_share_one_session_and_another_program_has_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A role is assumed once for all of them, and AWS's service descriptions are read once."""

    class Root:
        """A program's root resource."""

    config = SimpleNamespace(get=lambda: {"aws:region": "eu-central-1"})
    monkeypatch.setattr("pulumi.runtime.config.CONFIG", config)
    first, second = Root(), Root()
    monkeypatch.setattr("pulumi.runtime.settings.get_root_resource", lambda: first)
    opened = open_stack_aws_session()
    assert open_stack_aws_session() is opened
    assert opened.client("ecs") is opened.client("ecs")
    monkeypatch.setattr("pulumi.runtime.settings.get_root_resource", lambda: second)
    assert open_stack_aws_session() is not opened
    monkeypatch.setattr("pulumi.runtime.settings.get_root_resource", lambda: None)
    assert open_stack_aws_session() is not open_stack_aws_session()
