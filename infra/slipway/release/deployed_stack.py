"""Opens a deployed stack for a command: its outputs, and an AWS session with its configuration."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from slipway.config.errors import SlipwayError
from slipway.config.local_aws import is_local_stack
from slipway.config.project import project_root
from slipway.release.aws_errors import aws_errors_as_slipway_errors
from slipway.release.aws_session import AwsSession, create_aws_session
from slipway.release.pulumi_cli import run_pulumi


@dataclass(frozen=True)
class DeployedStack:
    """A stack after its last `up`."""

    name: str
    aws: AwsSession
    cluster: str
    """ARN."""
    services: dict[str, str]
    """Process -> the name of its ECS service."""
    outputs: dict[str, Any]

    @property
    def default_process(self) -> str:
        """The process that a command means without a name: `web`, else the first; empty without a service."""
        return "web" if "web" in self.services else next(iter(self.services), "")

    @property
    def app_services(self) -> dict[str, str]:
        """`services` without those that have an image of their own: those that run the app's image."""
        own = self.outputs.get("processImages", {})
        return {process: service for process, service in self.services.items() if process not in own}


def open_stack(name: str, profile: str = "") -> DeployedStack:
    """Opens a deployed stack with `pulumi` and the environment's variables.

    `profile`: overrides the stack's and the environment's AWS profile.
    Raises `SlipwayError` if the stack does not exist, if nothing is deployed in it, or if the credentials are for
    another account or region.
    """
    outputs = read_stack_outputs(name)
    preview = outputs.get("preview")
    cluster = preview["cluster"] if preview else outputs["foundation"]["cluster"]["arn"]
    # A preview has no committed stack file; it has its environment's account and region.
    owner = preview["base"] if preview else name
    aws_config = _read_provider_config(owner)
    if profile:
        aws_config["profile"] = profile
    with aws_errors_as_slipway_errors():
        aws = create_aws_session(aws_config).of(cluster)
    return DeployedStack(name, aws, cluster, outputs["services"], outputs)


def _read_provider_config(stack: str) -> dict[str, Any]:
    """Returns the configuration `aws:*` of a stack, decrypted where some of it is secret.

    Only then, for readers of a stack may lack its passphrase or key: previews' jobs read their environment's.
    """
    arguments = ("config", "--json", "--stack", stack)
    config = _aws_entries(run_pulumi_in_project(*arguments))
    if any(entry.get("secret") for entry in config.values()):
        config = _aws_entries(run_pulumi_in_project(*arguments, "--show-secrets"))
    return {key[4:]: entry.get("value") for key, entry in config.items()}


def _aws_entries(answer: str) -> dict[str, Any]:
    return {key: entry for key, entry in json.loads(answer).items() if key.startswith("aws:")}


def read_stack_outputs(name: str) -> dict[str, Any]:
    """Returns a stack's outputs. Raises `SlipwayError` if it does not exist, or if nothing is deployed in it."""
    try:
        outputs: dict[str, Any] = json.loads(run_pulumi_in_project("stack", "output", "--json", "--stack", name))
    except SlipwayError as error:
        if "no stack named" not in error.message:
            raise
        raise SlipwayError(
            f"There is no stack {name}.", "slipway up" if is_local_stack(name) else "pulumi stack ls"
        ) from None
    if "services" not in outputs:
        raise SlipwayError(
            f"Nothing is deployed in the stack {name}.",
            "slipway up" if is_local_stack(name) else f"pulumi up --stack {name}",
        )
    return outputs


def run_pulumi_in_project(*arguments: str) -> str:
    """Returns the standard output of a pulumi command in the project's folder. Raises `SlipwayError` if it fails."""
    return run_pulumi(arguments, project_root())
