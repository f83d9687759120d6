"""How everything that this emulator makes in Docker is marked, so that all of it can be found and removed."""

from __future__ import annotations

import os

EMULATOR_LABEL = "slipway.emulator"
DATA_LABEL = "slipway.data"
"""On the volume of a database; its value says of which, so that it is found again."""
TASK_LABEL = "slipway.task"
"""On what belongs to an ECS task; its value is the task's id."""


def port() -> int:
    """The port that this emulator serves on: what tells it from another on the same machine."""
    return int(os.environ["GATEWAY_PORT"])


def labels(**more: str) -> dict[str, str]:
    """The labels of a container or volume of this emulator."""
    return {EMULATOR_LABEL: str(port())} | {key.replace("_", "."): value for key, value in more.items()}
