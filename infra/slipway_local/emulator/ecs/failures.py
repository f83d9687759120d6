"""Reasons of tasks that do not start or have ended, in AWS's words."""

from __future__ import annotations

ESSENTIAL_EXITED = ("Essential container in task exited", "EssentialContainerExited")
OUT_OF_MEMORY = "OutOfMemoryError: Container killed due to memory usage"
_INITIALIZATION = "ResourceInitializationError: "
_PULL_ERROR_PREFIX = f"{_INITIALIZATION}unable to pull secrets or registry auth: execution resource retrieval failed: "
_RETRIED = "service call has been retried 1 time(s): "


class StartFailure(Exception):
    """A task that cannot start; the text is its stoppedReason."""


def secret_failure(cause: str) -> StartFailure:
    """Returns the failure of a task whose secret cannot be read from Secrets Manager."""
    return StartFailure(f"{_PULL_ERROR_PREFIX}unable to retrieve secret from asm: {_RETRIED}{cause}")


def parameter_failure(cause: str) -> StartFailure:
    """Returns the failure of a task whose parameter cannot be read from Systems Manager."""
    return StartFailure(f"{_PULL_ERROR_PREFIX}unable to retrieve secrets from ssm: {_RETRIED}{cause}")


def registry_auth_failure(cause: str) -> StartFailure:
    """Returns the failure of a task that gets no password of the image registry."""
    message = f"unable to retrieve ecr registry auth: {_RETRIED}AccessDeniedException: {cause}"
    return StartFailure(_PULL_ERROR_PREFIX + message)


def logger_failure(what: str, cause: str) -> StartFailure:
    """Returns the failure of a task whose log cannot be written; `what` could not be created."""
    return StartFailure(
        f"{_INITIALIZATION}failed to validate logger args: create stream has been retried 1 times: "
        f"failed to create {what}: AccessDeniedException: {cause} : exit status 1"
    )
