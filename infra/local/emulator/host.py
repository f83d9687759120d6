"""This machine as a container sees it."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import docker
from infra.local.emulator.labels import port

NAME = "host.docker.internal"
AGENT = "/_slipway/agent/"
"""Where ECS's agent answers, for each task by its id."""


def bridge() -> str:
    """This machine's address on Docker's default bridge."""
    return os.environ["SLIPWAY_BRIDGE"]


@cache
def client() -> Any:
    """A client of the Docker engine. Its time-out is longer than the longest stopTimeout (120 s)."""
    return docker.from_env(timeout=150)


def aws_environment() -> dict[str, str]:
    """What makes an AWS SDK in a container talk to this emulator: it stands for the task role's credentials."""
    return {
        "AWS_ENDPOINT_URL": f"http://{NAME}:{port()}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
    }


def agent_uri(task_id: str) -> str:
    """Where a task reaches ECS's agent, which speaks of it alone."""
    return f"http://{NAME}:{port()}{AGENT}{task_id}"


def extra_hosts() -> dict[str, str]:
    """Names that a container needs to reach this machine."""
    return {NAME: bridge()}
