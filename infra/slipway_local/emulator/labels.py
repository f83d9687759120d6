"""What tells one emulator from another: labels on everything that it creates in Docker, and its owner's path."""

from __future__ import annotations

import os

OWNER_PATH = "/_slipway/owner"
"""Path where the local AWS names its owner, to this machine only."""
EMULATOR_LABEL = "slipway.emulator"
DATA_LABEL = "slipway.data"
"""On the volume of a database; its value says of which, so that it is found again."""
TASK_LABEL = "slipway.task"
"""On what belongs to an ECS task; its value is the task's id."""


def gateway_port() -> int:
    """Returns the port that this emulator serves on: what tells it from another on the same machine."""
    return int(os.environ["GATEWAY_PORT"])


def docker_labels(**more: str) -> dict[str, str]:
    """Returns the labels of a container or volume of this emulator."""
    return {EMULATOR_LABEL: str(gateway_port())} | {key.replace("_", "."): value for key, value in more.items()}
