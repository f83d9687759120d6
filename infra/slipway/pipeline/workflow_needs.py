"""Reads what a repository's workflow files need on GitHub: environments, variables, secrets, session durations."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from slipway.config.errors import SlipwayError
from slipway.config.project import project_root

WORKFLOWS_FOLDER = Path(".github") / "workflows"
LOGIN_ACTION = "aws-actions/configure-aws-credentials"
DEFAULT_SESSION_SECONDS = 3600
"""Default session of a job, and IAM's default maximum of a role."""
PULL_REQUEST_OPTION = "image refresh --pull-request"


@dataclass
class EnvironmentNeeds:
    """The needs of the jobs of one GitHub environment."""

    variables: set[str] = field(default_factory=set)
    secrets: set[str] = field(default_factory=set)
    session_seconds: dict[str, int] = field(default_factory=dict)
    """Variable with a role's ARN -> the longest session that a job requests, in seconds."""


@dataclass
class WorkflowNeeds:
    """The needs of all workflow files."""

    repository_variables: set[str] = field(default_factory=set)
    environments: dict[str, EnvironmentNeeds] = field(default_factory=dict)
    """GitHub environment -> needs of its jobs. Omits those whose jobs use neither variables nor secrets."""
    opens_pull_requests: bool = False


def read_workflow_needs(root: Path | None = None) -> WorkflowNeeds:
    """Reads the repository's workflow files.

    A variable in a job's `if` or in a file's `env` is the repository's, because GitHub reads both before the job has
    its environment; every other one may be the environment's. Raises `SlipwayError` if there is no workflow file.
    """
    folder = (root or project_root()) / WORKFLOWS_FOLDER
    files = sorted(folder.glob("*.yml"))
    if not files:
        raise SlipwayError(f"There is no workflow file in {WORKFLOWS_FOLDER}.", "slipway init --workflows")
    needs = WorkflowNeeds()
    workflows = [yaml.safe_load(file.read_text(encoding="utf-8")) for file in files]
    for workflow in workflows:
        needs.repository_variables |= _names("vars", workflow.get("env", {}))
        for job in workflow["jobs"].values():
            needs.repository_variables |= _names("vars", job.get("if", ""))
    for workflow in workflows:
        for job in workflow["jobs"].values():
            _add_job(needs, job)
    return needs


def _add_job(needs: WorkflowNeeds, job: Mapping[str, Any]) -> None:
    steps = job.get("steps", [])
    needs.opens_pull_requests |= any(PULL_REQUEST_OPTION in step.get("run", "") for step in steps)
    variables = _names("vars", job) - needs.repository_variables
    secrets = _names("secrets", job) - {"GITHUB_TOKEN"}
    if not variables and not secrets:
        return
    for name in _environment_names(job):
        environment = needs.environments.setdefault(name, EnvironmentNeeds())
        environment.variables |= variables
        environment.secrets |= secrets
        for step in steps:
            if step.get("uses", "").startswith(LOGIN_ACTION):
                seconds = int(step["with"].get("role-duration-seconds", DEFAULT_SESSION_SECONDS))
                for variable in _names("vars", step["with"]["role-to-assume"]):
                    longest = max(seconds, environment.session_seconds.get(variable, 0))
                    environment.session_seconds[variable] = longest


def _environment_names(job: Mapping[str, Any]) -> Iterator[str]:
    """Yields the environments of a job; of a matrix's, one for each combination of its values."""
    environment = job.get("environment", "")
    template = environment["name"] if isinstance(environment, dict) else environment
    if not template:
        return
    matrix = job.get("strategy", {}).get("matrix", {})
    for values in itertools.product(*matrix.values()):
        name = template
        for key, value in zip(matrix, values, strict=True):
            name = name.replace(f"${{{{ matrix.{key} }}}}", str(value))
        yield name


def _names(context: str, value: Any) -> set[str]:
    """Returns the names of a GitHub context (`vars`, `secrets`) anywhere in a value of the file."""
    if isinstance(value, Mapping):
        return set().union(*(_names(context, part) for part in value.values()))
    if isinstance(value, list):
        return set().union(*(_names(context, part) for part in value))
    return set(re.findall(rf"\b{context}\.(\w+)", str(value)))
