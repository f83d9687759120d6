"""Writes single settings to a stack file, which is committed."""

from __future__ import annotations

import json

from slipway.config.project import project_name
from slipway.config.stack_file import remove_config_value, set_config_value
from slipway.release.deployed_stack import run_pulumi_in_project


def write_stack_setting(stack: str, key: str, value: str | None) -> None:
    """Sets a key of the project's configuration in the stack's file; None removes it. Keeps comments and order.

    Raises `SlipwayError` if the file cannot be written.
    """
    if value is None:
        remove_config_value(stack, key)
    else:
        set_config_value(stack, key, value)


def read_stack_setting(stack: str, key: str) -> str:
    """Returns a key of the project's configuration in the stack file; empty if unset. Raises `SlipwayError`."""
    config = json.loads(run_pulumi_in_project("config", "--json", "--stack", stack) or "{}")
    return str(config.get(f"{project_name()}:{key}", {}).get("value", ""))
