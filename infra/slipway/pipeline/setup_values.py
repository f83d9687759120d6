"""Resolves the values of the workflow files' GitHub variables from the stacks' outputs and files."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from slipway.config.errors import SlipwayError
from slipway.config.project import project_root
from slipway.config.settings import Settings
from slipway.pipeline.workflow_needs import WorkflowNeeds

PREVIEW_ENVIRONMENT = "preview"
DRIFT_PREFIX = "drift-"
ROLE_OUTPUTS = {
    "PIPELINE_ROLE": "pipelineRole",
    "PROMOTE_ROLE": "promoteRole",
    "DRIFT_ROLE": "driftRole",
    "PREVIEW_ROLE": "previewRole",
}
"""GitHub variable -> stack output."""
BACKEND_VARIABLE = "PULUMI_BACKEND_URL"
PREVIEW_BASE_VARIABLE = "PREVIEW_BASE"
REGION_VARIABLE = "AWS_REGION"


@dataclass
class EnvironmentValues:
    """The required values of a GitHub environment."""

    stack: str
    """The stack of its jobs; for previews their base."""
    variables: dict[str, str] = field(default_factory=dict)
    secrets: set[str] = field(default_factory=set)
    has_branch_rule: bool = True
    """Whether only jobs of the default branch may use it."""
    wants_reviewers: bool = False
    session_seconds: dict[str, int] = field(default_factory=dict)


@dataclass
class SetupValues:
    """The required values of the repository and its environments."""

    repository_variables: dict[str, str]
    environments: dict[str, EnvironmentValues]
    opens_pull_requests: bool


@dataclass(frozen=True)
class SetupSources:
    """Sources of values."""

    outputs: Callable[[str], Mapping[str, Any]]
    """Stack -> its outputs."""
    backend: str
    """URL of Pulumi's state backend for `pulumi login`."""
    preview_base: str = ""
    """The base environment of previews; empty: the one whose file has `previews: true`, if there is one."""
    root: Path | None = None

    def settings(self, stack: str) -> Settings:
        """Returns the settings of a stack's file."""
        return Settings.from_files(stack, self.root)

    def region(self, stack: str) -> str:
        """Returns a stack's AWS region. Raises `SlipwayError` if neither its file nor the environment has it."""
        file = (self.root or project_root()) / "stacks" / f"Pulumi.{stack}.yaml"
        config = (yaml.safe_load(file.read_text(encoding="utf-8")) or {}).get("config") or {}
        region = config.get("aws:region") or os.environ.get("AWS_REGION", "")
        if not region:
            raise SlipwayError(
                f"The region of the stack {stack} is unknown.",
                f"pulumi config set aws:region eu-central-1 --stack {stack}",
            )
        return str(region)

    def find_preview_base(self) -> str:
        """Returns the base environment of previews; empty for none. Raises `SlipwayError` if there are several."""
        if self.preview_base:
            return self.preview_base
        files = sorted(((self.root or project_root()) / "stacks").glob("Pulumi.*.yaml"))
        stacks = [file.name.split(".")[1] for file in files]
        bases = [stack for stack in stacks if stack not in ("local", "preview") and self.settings(stack).previews]
        if len(bases) > 1:
            raise SlipwayError(
                f"Several stacks have previews: true: {', '.join(bases)}.",
                f"Name the one that previews of pull requests use: --preview-base {bases[0]}",
            )
        return bases[0] if bases else ""


def resolve_setup_values(needs: WorkflowNeeds, sources: SetupSources) -> SetupValues:
    """Returns the value of each variable that the workflow files name.

    Without a preview base it omits the environment of previews and PREVIEW_BASE, and their jobs do not run. Raises
    `SlipwayError` for a stack without the output, and for an unknown variable.
    """
    base = sources.find_preview_base()
    values_by_name = {BACKEND_VARIABLE: sources.backend, PREVIEW_BASE_VARIABLE: base}
    unknown = sorted(needs.repository_variables - set(values_by_name))
    if unknown:
        raise SlipwayError(
            f"The workflows use {', '.join(unknown)} of the repository's variables, whose value is unknown.",
            f"gh variable set {unknown[0]}, and remove it from the jobs' `if` or the files' `env`",
        )
    repository_variables = {
        name: values_by_name[name] for name in sorted(needs.repository_variables) if values_by_name[name]
    }
    values = SetupValues(repository_variables, {}, needs.opens_pull_requests)
    for name, environment in sorted(needs.environments.items()):
        if name == PREVIEW_ENVIRONMENT and not base:
            continue
        stack = base if name == PREVIEW_ENVIRONMENT else name.removeprefix(DRIFT_PREFIX)
        promotes_from = sources.settings(stack).promotes_from
        values.environments[name] = EnvironmentValues(
            stack=stack,
            variables={
                variable: _value(variable, name, stack, promotes_from, sources)
                for variable in sorted(environment.variables)
            },
            secrets=environment.secrets,
            has_branch_rule=name != PREVIEW_ENVIRONMENT,
            wants_reviewers=bool(promotes_from) and name == stack,
            session_seconds=environment.session_seconds,
        )
    return values


def _value(variable: str, environment: str, stack: str, promotes_from: str, sources: SetupSources) -> str:
    if variable == REGION_VARIABLE:
        return sources.region(stack)
    if variable not in ROLE_OUTPUTS:
        raise SlipwayError(
            f"The workflows use {variable} in the environment {environment}, whose value is unknown.",
            f"Set it as a variable of the repository, or remove it from {environment}'s jobs.",
        )
    owner = promotes_from if variable == "PROMOTE_ROLE" else stack
    if not owner:
        raise SlipwayError(
            f"{environment} uses {variable}, and stacks/Pulumi.{stack}.yaml has no promotesFrom.",
            f"pulumi config set promotesFrom staging --stack {stack}",
        )
    output = ROLE_OUTPUTS[variable]
    arn = sources.outputs(owner).get(output)
    if not arn:
        raise SlipwayError(
            f"The stack {owner} has no output {output}, for {variable} of the environment {environment}.",
            f"pulumi config set githubRepository OWNER/NAME --stack {owner}"
            f"{f' && pulumi config set promotesTo {stack} --stack {owner}' if output == 'promoteRole' else ''}"
            f" && pulumi up --stack {owner}",
        )
    return str(arn)
