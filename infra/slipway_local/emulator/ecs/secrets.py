"""Secrets of containers, read with the task's execution role."""

from __future__ import annotations

import json
from typing import Any

from ministack.services import ecs, secretsmanager

from slipway_local.emulator.ecs.failures import parameter_failure, secret_failure
from slipway_local.emulator.ecs.task_roles import TaskRoles


def resolve_secrets(definition: dict[str, Any], roles: TaskRoles) -> dict[str, str]:
    """Returns a container's secrets: variable -> value.

    Of Secrets Manager's, those of the very version that the reference names: ministack takes the newest.

    Raises:
        StartFailure: one is missing, or the execution role may not read it; in AWS's words.
    """
    values: dict[str, str] = {}
    for secret in definition.get("secrets") or []:
        source = secret["valueFrom"]
        if "secretsmanager" in source:
            values[secret["name"]] = _resolve_secret_version(source, roles)
            continue
        name = source.partition(":parameter")[2] if source.startswith("arn:") else source
        denial = roles.execution_role_denial("ssm", "GetParameters", {"Names": [name], "WithDecryption": True})
        if denial:
            raise parameter_failure(f"AccessDeniedException: {denial}")
        try:
            values |= ecs._resolve_container_secrets({"secrets": [secret]})
        except ecs._SecretResolutionError:
            raise parameter_failure(f"invalid parameters: {source}") from None
    return values


def _resolve_secret_version(source: str, roles: TaskRoles) -> str:
    """Returns the value of `arn:json-key:version-stage:version-id`, of which the last three may be empty or missing."""
    parts = source.split(":")
    arn = ":".join(parts[:7])
    key, stage, version = (*parts[7:10], "", "", "")[:3]
    params = {"SecretId": arn, "VersionStage": stage} if stage else {"SecretId": arn}
    denial = roles.execution_role_denial("secretsmanager", "GetSecretValue", params)
    if denial:
        raise secret_failure(f"failed to fetch secret {arn} from secrets manager: AccessDeniedException: {denial}")
    text = secretsmanager.resolve_secret_string(arn, stage or "AWSCURRENT", version or None)
    if text is None:
        raise secret_failure(
            f"failed to fetch secret {arn} from secrets manager: ResourceNotFoundException: Secrets Manager can't find "
            "the specified secret" + (f" version: {version}." if version else ".")
        )
    try:
        return str(json.loads(text)[key]) if key else text
    except (ValueError, KeyError, TypeError):
        raise secret_failure(f"retrieved secret from Secrets Manager did not contain json key {key}") from None
