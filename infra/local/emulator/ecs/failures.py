"""Why a task does not start or has ended, in the words that AWS has for it."""

from __future__ import annotations

from typing import Any

from ministack.services import ecs

ESSENTIAL_EXITED = ("Essential container in task exited", "EssentialContainerExited")
OUT_OF_MEMORY = "OutOfMemoryError: Container killed due to memory usage"
_PULL = "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: "
_RETRIED = "service call has been retried 1 time(s): "


class StartFailure(Exception):
    """A task that cannot start; the text is its stoppedReason."""


def secrets(definition: dict[str, Any]) -> dict[str, str]:
    """A container's secrets; raises `StartFailure` with AWS's words for one that is missing.

    ministack's own error would say only which variable it was for.
    """
    found: dict[str, str] = {}
    for secret in definition.get("secrets") or []:
        try:
            found |= ecs._resolve_container_secrets({"secrets": [secret]})
        except ecs._SecretResolutionError as error:
            raise StartFailure(_PULL + _told(secret["valueFrom"], str(error))) from None
    return found


def _told(source: str, error: str) -> str:
    if "secretsmanager" not in source:
        return f"unable to retrieve secrets from ssm: {_RETRIED}invalid parameters: {source}"
    parts = source.split(":")
    if "json key" in error:
        what = f"retrieved secret from Secrets Manager did not contain json key {parts[7]}"
    else:
        arn = ":".join(parts[:7])
        what = (
            f"failed to fetch secret {arn} from secrets manager: "
            "ResourceNotFoundException: Secrets Manager can't find the specified secret."
        )
    return f"unable to retrieve secret from asm: {_RETRIED}{what}"
