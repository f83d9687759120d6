"""A deployed stack as the commands see it: its outputs, and AWS with its own configuration."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from infra.engine import answer
from infra.errors import SlipwayError
from infra.release.client import Aws, configured
from infra.settings import ROOT


@dataclass(frozen=True)
class Stack:
    """What the last `up` of a stack left for others to read."""

    name: str
    aws: Aws
    cluster: str
    """ARN."""
    services: dict[str, str]
    """Process -> the name of its ECS service."""
    outputs: dict[str, Any]


def open_stack(name: str, profile: str = "") -> Stack:
    """Ask `pulumi`, as the environment has it, for a stack's outputs and configuration.

    `profile`: of AWS's shared files, instead of the stack's own or the environment's.
    Raises `SlipwayError` where there is no such stack, or nothing was deployed in it.
    """
    outputs = outputs_of(name)
    guest = outputs.get("preview")
    cluster = guest["cluster"] if guest else outputs["foundation"]["cluster"]["arn"]
    # A preview's own file lies where its commands keep it; its account and region are its environment's.
    owner = guest["base"] if guest else name
    config = json.loads(pulumi("config", "--json", "--show-secrets", "--stack", owner))
    given = {key[4:]: entry.get("value") for key, entry in config.items() if key.startswith("aws:")}
    if profile:
        given["profile"] = profile
    return Stack(name, configured(given).of(cluster), cluster, outputs["services"], outputs)


def outputs_of(name: str) -> dict[str, Any]:
    """A stack's outputs. Raises `SlipwayError` where there is no such stack, or nothing was deployed in it."""
    try:
        outputs: dict[str, Any] = json.loads(pulumi("stack", "output", "--json", "--stack", name))
    except SlipwayError as error:
        if "no stack named" not in error.message:
            raise
        raise SlipwayError(f"There is no stack {name}.", "pulumi stack ls") from None
    if "services" not in outputs:
        raise SlipwayError(f"Nothing is deployed in the stack {name}.", f"pulumi up --stack {name}")
    return outputs


def pulumi(*arguments: str) -> str:
    """The answer of a pulumi command; its words as a `SlipwayError` when it fails."""
    return answer(arguments, ROOT)
