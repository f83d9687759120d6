"""Converts AWS errors into one sentence: the failed operation, the IAM action it needs, and the fix."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    ProfileNotFound,
    TokenRetrievalError,
)

from slipway.config.errors import SlipwayError
from slipway.release.clock import SYSTEM_CLOCK, Clock
from slipway.release.progress import ProgressReporter

ACCESS_DENIED_CODES = {
    "AccessDenied",
    "AccessDeniedException",
    "AuthorizationError",
    "AuthorizationErrorException",
    "NotAuthorized",
    "UnauthorizedOperation",
}
EXPIRED_CREDENTIAL_CODES = {"ExpiredToken", "ExpiredTokenException", "RequestExpired"}
INVALID_CREDENTIAL_CODES = {"InvalidClientTokenId", "SignatureDoesNotMatch", "UnrecognizedClientException"}
THROTTLING_CODES = {
    "LimitExceededException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
}
"""AWS's codes, which differ between services."""
UNAVAILABLE_CODES = {"InternalError", "InternalFailure", "ServerException", "ServiceUnavailable"}
ACTION_PATTERN = re.compile(r"not authorized to perform: ([\w-]+:\w+)")
"""The action in AWS's message."""
MAX_RETRY_SECONDS = 180.0
"""Limit for repeated reads that AWS throttles or does not answer, after botocore's own retries."""
RETRY_INTERVAL_SECONDS = 5.0

Result = TypeVar("Result")


def describe_aws_error(error: ClientError | BotoCoreError) -> SlipwayError:
    """Converts a boto3 error into a `SlipwayError` with a fix."""
    described = _describe_aws_error(error)
    described.where = "AWS"
    described.why = " ".join(str(error).split())
    if isinstance(error, ClientError):
        described.where = f"AWS {_action(error, described.why)}"
    return described


def _describe_aws_error(error: ClientError | BotoCoreError) -> SlipwayError:
    """Returns its sentence and its fix."""
    if not isinstance(error, ClientError):
        return _describe_client_side_error(error)
    code = str(error.response.get("Error", {}).get("Code", "Unknown"))
    message = " ".join(str(error.response.get("Error", {}).get("Message", "")).split())
    action = _action(error, message)
    details = f"{code}, {action}" if ":" in action else code
    if code in ACCESS_DENIED_CODES:
        return SlipwayError(
            f"AWS denied {error.operation_name} ({code}): the credentials may not perform {action}. {message}".rstrip(),
            f"Allow {action} in the policy of that role or user, then run the same command again.",
        )
    if code in EXPIRED_CREDENTIAL_CODES:
        return SlipwayError(
            f"AWS refused {error.operation_name} ({code}): the credentials have expired.",
            "Log in again (aws sso login, or a new session of the role), then run the same command again.",
        )
    if code in INVALID_CREDENTIAL_CODES:
        return SlipwayError(
            f"AWS refused {error.operation_name} ({code}): the credentials are invalid.",
            "Check aws:profile, AWS_PROFILE and AWS_ACCESS_KEY_ID: aws sts get-caller-identity",
        )
    if code in THROTTLING_CODES:
        return SlipwayError(
            f"AWS throttled {error.operation_name} ({details}) until the retries were used up.",
            "Run the same command again in a minute; other clients use up the account's request rate.",
        )
    return SlipwayError(
        f"AWS refused {error.operation_name} ({details}): {message or 'no reason given'}",
        "Fix the cause, then run the same command again.",
    )


def find_slipway_error(error: Exception) -> SlipwayError | None:
    """Converts any error into a `SlipwayError` with a fix; None for a bug in the kit. The command line uses it."""
    if isinstance(error, SlipwayError):
        return error
    return describe_aws_error(error) if isinstance(error, ClientError | BotoCoreError) else None


def _describe_client_side_error(error: BotoCoreError) -> SlipwayError:
    text = " ".join(str(error).split()).rstrip(".")
    if isinstance(error, NoCredentialsError | TokenRetrievalError):
        return SlipwayError(f"There are no AWS credentials: {text}.", "aws sso login; or set AWS_PROFILE, aws:profile")
    if isinstance(error, ProfileNotFound):
        fix = "aws configure --profile NAME, or change aws:profile or AWS_PROFILE"
        return SlipwayError(f"The AWS profile is unknown: {text}.", fix)
    if isinstance(error, EndpointConnectionError):
        return SlipwayError(f"AWS cannot be reached: {text}.", "Check the network, the proxy and aws:region.")
    return SlipwayError(f"A request to AWS failed: {text}.", "Check network and credentials, then run it again.")


def _action(error: ClientError, message: str) -> str:
    """Returns the IAM action of a failed request, from AWS's message, else from service and operation."""
    match = ACTION_PATTERN.search(message)
    if match:
        return match[1]
    service = str(error.response.get("Error", {}).get("SlipwayService", ""))
    return f"{service}:{error.operation_name}" if service else error.operation_name


def record_service(parsed: Any, model: Any, **_: Any) -> None:
    """Adds the service of a failed request to its response; a handler of botocore's event `after-call`.

    botocore's errors name the operation only.
    """
    if isinstance(parsed, dict) and isinstance(parsed.get("Error"), dict) and parsed["Error"].get("Code"):
        parsed["Error"]["SlipwayService"] = model.service_model.signing_name


@contextmanager
def aws_errors_as_slipway_errors() -> Iterator[None]:
    """Raises botocore's errors as `SlipwayError`."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise describe_aws_error(error) from None


def is_transient(error: Exception) -> bool:
    """Whether a retry of the same read may succeed: it was throttled or got no answer."""
    if isinstance(error, ClientError):
        return error.response.get("Error", {}).get("Code") in THROTTLING_CODES | UNAVAILABLE_CODES
    return isinstance(error, BotoCoreError) and type(error).__name__ in {
        "ConnectTimeoutError",
        "ConnectionClosedError",
        "EndpointConnectionError",
        "ReadTimeoutError",
    }


def retry_reads(work: Callable[[], Result], say: ProgressReporter, clock: Clock = SYSTEM_CLOCK) -> Result:
    """Repeats `work`, which only reads, while AWS throttles it; returns its result.

    A throttled read must not fail a release. Raises the last error after `MAX_RETRY_SECONDS`, and any other
    immediately.
    """
    deadline = clock.now() + MAX_RETRY_SECONDS
    was_said = False
    while True:
        try:
            return work()
        except (ClientError, BotoCoreError) as error:
            if not is_transient(error) or clock.now() > deadline:
                raise
            if not was_said:
                say(f"{describe_aws_error(error).message} Trying again for up to {MAX_RETRY_SECONDS:.0f} s.")
                was_said = True
        clock.sleep(RETRY_INTERVAL_SECONDS)
