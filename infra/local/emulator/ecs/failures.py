"""Why a task does not start or has ended, in the words that AWS has for it."""

from __future__ import annotations

import json
from typing import Any

from ministack.services import ecs, secretsmanager

ESSENTIAL_EXITED = ("Essential container in task exited", "EssentialContainerExited")
OUT_OF_MEMORY = "OutOfMemoryError: Container killed due to memory usage"
_PULL = "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: "
_RETRIED = "service call has been retried 1 time(s): "


class StartFailure(Exception):
    """A task that cannot start; the text is its stoppedReason."""


def secrets(definition: dict[str, Any]) -> dict[str, str]:
    """A container's secrets; raises `StartFailure` with AWS's words for one that is missing.

    Of Secrets Manager's, those of the very version that the reference names: ministack takes the newest.
    """
    found: dict[str, str] = {}
    for secret in definition.get("secrets") or []:
        source = secret["valueFrom"]
        if "secretsmanager" in source:
            found[secret["name"]] = _of_its_version(source)
            continue
        try:
            found |= ecs._resolve_container_secrets({"secrets": [secret]})
        except ecs._SecretResolutionError:
            told = f"unable to retrieve secrets from ssm: {_RETRIED}invalid parameters: {source}"
            raise StartFailure(_PULL + told) from None
    return found


def _of_its_version(source: str) -> str:
    """`arn:json-key:version-stage:version-id`, of which the last three may be empty or missing."""
    parts = source.split(":")
    arn = ":".join(parts[:7])
    key, stage, version = (*parts[7:10], "", "", "")[:3]
    text = secretsmanager.resolve_secret_string(arn, stage or "AWSCURRENT", version or None)
    if text is None:
        raise _missing(
            f"failed to fetch secret {arn} from secrets manager: ResourceNotFoundException: Secrets Manager can't find "
            "the specified secret" + (f" version: {version}." if version else ".")
        )
    try:
        return str(json.loads(text)[key]) if key else text
    except (ValueError, KeyError, TypeError):
        raise _missing(f"retrieved secret from Secrets Manager did not contain json key {key}") from None


def _missing(what: str) -> StartFailure:
    return StartFailure(f"{_PULL}unable to retrieve secret from asm: {_RETRIED}{what}")
