"""`slipway pipeline setup` and `check`: the GitHub environments, variables and rules that the workflows need."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from slipway.cli.completion import complete_stacks
from slipway.cli.console import stderr_console, stdout_console
from slipway.cli.exit_codes import ExitCode
from slipway.cli.prompts import DryRunOption, JsonOption, YesOption, confirm
from slipway.config.errors import SlipwayError

if TYPE_CHECKING:  # the command line starts faster without them
    from slipway.pipeline.github_environments import GithubRepository
    from slipway.pipeline.setup_values import SetupValues

pipeline = typer.Typer(help="Set up the CI pipeline on GitHub, and check it.", no_args_is_help=True)
RepositoryOption = Annotated[str, typer.Option(help="owner/name on GitHub. Default: the remote `origin`.")]
PreviewBaseOption = Annotated[
    str,
    typer.Option(
        metavar="STACK",
        help="The base environment of previews. Default: the stack with previews: true.",
        autocompletion=complete_stacks,
    ),
]


@pipeline.command()
def setup(
    repository: RepositoryOption = "",
    preview_base: PreviewBaseOption = "",
    reviewer: Annotated[
        list[str] | None,
        typer.Option(metavar="LOGIN", help="A required reviewer of deployments to production. Can be repeated."),
    ] = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Create the GitHub environments, variables and rules that the workflows need. Safe to run again."""
    from slipway.pipeline.github_environments import read_github_repository
    from slipway.pipeline.github_setup import apply_setup, find_reviewers, list_setup_notes, plan_setup

    github, values = _read(repository, preview_base)
    changes = plan_setup(github, values, find_reviewers(reviewer or ()))
    if not as_json:
        for change in changes:
            stdout_console.print(f"+ {change.text}", markup=False)
    if changes and not dry_run:
        confirm(f"Apply these {len(changes)} changes to {github.name}?", yes)
        apply_setup(changes)
        github = read_github_repository(github.name)
    notes = list_setup_notes(github, values)
    if as_json:
        result = {"repository": github.name, "changes": [change.text for change in changes], "notes": notes}
        sys.stdout.write(json.dumps(result | {"dry_run": dry_run}, indent=2) + "\n")
        return
    for note in notes:
        stdout_console.print(f"! {note}", markup=False)
    verb = "would be made. Nothing was changed." if dry_run else "made."
    stdout_console.print(f"{len(changes)} changes {verb}" if changes else f"{github.name} needs no changes.")


@pipeline.command()
def check(
    repository: RepositoryOption = "",
    preview_base: PreviewBaseOption = "",
    with_roles: Annotated[
        bool, typer.Option("--roles/--no-roles", help="Check the IAM roles too, with the current AWS credentials.")
    ] = True,
    as_json: JsonOption = False,
) -> None:
    """Compare GitHub and the stacks' roles with what the workflows need. Exits 2 if something is missing."""
    from slipway.pipeline.github import get_repository_subject
    from slipway.pipeline.github_setup import list_setup_notes, plan_setup
    from slipway.pipeline.role_check import check_environment_roles
    from slipway.pipeline.stack_access import open_local_or_aws_stack

    github, values = _read(repository, preview_base)
    missing = [change.text for change in plan_setup(github, values)]
    notes = list_setup_notes(github, values)
    if with_roles:
        subject = get_repository_subject(github.name)
        for name, environment in values.environments.items():
            try:
                aws = open_local_or_aws_stack(environment.stack).aws
            except SlipwayError as error:  # its stack may be in another account than the present credentials
                notes.append(f"environment {name}: its roles were not looked at. {error.message}")
                continue
            missing += check_environment_roles(aws, name, environment, [subject.plain, subject.numbered])
    if as_json:
        sys.stdout.write(json.dumps({"repository": github.name, "missing": missing, "notes": notes}, indent=2) + "\n")
    else:
        for line in missing:
            stdout_console.print(f"- {line}", markup=False)
        for note in notes:
            stdout_console.print(f"! {note}", markup=False)
        stdout_console.print(
            f"{len(missing)} items are missing: slipway pipeline setup"
            if missing
            else f"{github.name} has everything that the workflows need."
        )
    raise typer.Exit(ExitCode.DIFFERENCE if missing else ExitCode.SUCCESS)


def _read(repository: str, preview_base: str) -> tuple[GithubRepository, SetupValues]:
    """Returns the repository's present settings, and the required ones."""
    from slipway.pipeline.github import get_origin_repository
    from slipway.pipeline.github_environments import read_github_repository
    from slipway.pipeline.setup_values import SetupSources, resolve_setup_values
    from slipway.pipeline.workflow_needs import read_workflow_needs
    from slipway.release.deployed_stack import read_stack_outputs

    name = repository or get_origin_repository()
    if not name:
        raise SlipwayError(
            "The repository on GitHub is unknown: git's remote `origin` is not on GitHub.",
            "slipway pipeline setup --repository owner/name",
        )
    stderr_console.print(f"Reading the workflows, the stacks and {name} ...", markup=False)
    sources = SetupSources(read_stack_outputs, _state_backend(), preview_base)
    values = resolve_setup_values(read_workflow_needs(), sources)
    return read_github_repository(name), values


def _state_backend() -> str:
    """Returns the URL of Pulumi's state backend. Raises `SlipwayError` if GitHub's jobs could not reach it."""
    from slipway.release.deployed_stack import run_pulumi_in_project

    backend = os.environ.get("PULUMI_BACKEND_URL") or json.loads(run_pulumi_in_project("whoami", "--json"))["url"]
    if backend.startswith("file:"):
        raise SlipwayError(
            f"Pulumi's state is on this machine ({backend}), and GitHub's jobs cannot read it.",
            "Run: slipway bootstrap, then the `pulumi login` that it prints",
        )
    return str(backend)
