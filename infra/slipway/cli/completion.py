"""`slipway completion`: the script by which a shell completes commands, options and the names of this project.

Names come from files and from stacks' names alone: no request to AWS is made during completion.
"""

from __future__ import annotations

import json
import os
import subprocess
from enum import StrEnum
from typing import Annotated

import typer
from typer.completion import get_completion_inspect_parameters, shell_complete

from slipway.config.errors import SlipwayError
from slipway.config.project import project_root

PROGRAM = "slipway"
COMPLETE_VARIABLE = "_SLIPWAY_COMPLETE"
"""The environment variable by which the shell's script asks this program."""
PULUMI_TIMEOUT_SECONDS = 5
NOT_A_STACK = "preview"
"""stacks/Pulumi.preview.yaml is laid over an environment's file and is no stack."""


class Shell(StrEnum):
    """The shells with a completion script."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(
    context: typer.Context, shell: Annotated[Shell, typer.Argument(help="The shell: bash, zsh or fish.")]
) -> None:
    """Print the shell's completion script: source <(slipway completion bash)."""
    get_completion_inspect_parameters()  # registers typer's scripts
    shell_complete(context.find_root().command, {}, PROGRAM, COMPLETE_VARIABLE, f"source_{shell}")


def prepare_completion() -> None:
    """Set up typer's answers where a shell asks for completions."""
    if COMPLETE_VARIABLE in os.environ:
        get_completion_inspect_parameters()


def complete_stacks(incomplete: str) -> list[str]:
    """The names of the project's stack files."""
    try:
        files = sorted((project_root() / "stacks").glob("Pulumi.*.yaml"))
    except SlipwayError:
        return []
    names = [file.name.removeprefix("Pulumi.").removesuffix(".yaml") for file in files]
    return [name for name in names if name != NOT_A_STACK and name.startswith(incomplete)]


def complete_processes(incomplete: str) -> list[str]:
    """The names of the processes of stacks/app.yaml, and `release`."""
    from slipway.config.text_files import read_yaml_mapping

    try:
        document = read_yaml_mapping(project_root() / "stacks" / "app.yaml", "stacks/app.yaml")
    except (SlipwayError, OSError):
        return []
    processes = document.get("processes") or {"web": None}
    names = [*processes, *(["release"] if document.get("release") else [])] if isinstance(processes, dict) else []
    return [str(name) for name in names if str(name).startswith(incomplete)]


def complete_previews(incomplete: str) -> list[str]:
    """The names of previews' stacks, by their tag: on the local AWS where its stack is up, else on Pulumi's backend.

    Empty where Pulumi does not answer within `PULUMI_TIMEOUT_SECONDS`.
    """
    from slipway.config.local_aws import find_local_aws
    from slipway.previews.stack_tags import KIND_TAG, PREVIEW_KIND

    environment = {name: value for name, value in os.environ.items() if name != COMPLETE_VARIABLE}
    try:
        local_aws = find_local_aws()
        binary = "pulumi"
        if local_aws and local_aws.has_stack():
            binary, local_environment = local_aws.enter()
            environment |= local_environment
        done = subprocess.run(
            [binary, "stack", "ls", "--json", "--non-interactive", "--tag", f"{KIND_TAG}={PREVIEW_KIND}"],
            cwd=project_root(),
            env=environment,
            capture_output=True,
            text=True,
            timeout=PULUMI_TIMEOUT_SECONDS,
            check=True,
        )
        names = [str(stack["name"]).rpartition("/")[2] for stack in json.loads(done.stdout)]
    except (OSError, subprocess.SubprocessError, ValueError, SlipwayError):
        return []  # no completion is better than an error in the middle of a line
    return [name for name in names if name.startswith(incomplete)]
