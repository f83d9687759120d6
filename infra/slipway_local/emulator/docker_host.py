"""This machine as a container sees it."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import docker
from slipway_local.emulator.labels import gateway_port

HOST_NAME = "host.docker.internal"
AGENT_PATH = "/_slipway/agent/"
"""Path of the ECS agent's endpoint; a task's id follows."""


def bridge_address() -> str:
    """This machine's address on Docker's default bridge."""
    return os.environ["SLIPWAY_BRIDGE"]


@cache
def docker_client() -> Any:
    """Returns a client of the Docker engine. Its time-out is longer than the longest stopTimeout (120 s)."""
    return docker.from_env(timeout=150)


PERSON_KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
"""Long-lived keys that may do everything: for containers where credentials of the task's role cannot be served."""


def aws_environment() -> dict[str, str]:
    """Returns the variables that make an AWS SDK in a container use this emulator; credentials are not among them."""
    return {
        "AWS_ENDPOINT_URL": f"http://{HOST_NAME}:{gateway_port()}",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
    }


def agent_uri(task_id: str) -> str:
    """Returns the URL of the ECS agent's endpoint of one task."""
    return f"http://{HOST_NAME}:{gateway_port()}{AGENT_PATH}{task_id}"


def extra_hosts() -> dict[str, str]:
    """Names that a container needs to reach this machine."""
    return {HOST_NAME: bridge_address()}
