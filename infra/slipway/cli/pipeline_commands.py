"""`slipway promote`, `drift`, `comment`, `bootstrap` and `image`, for use by hand and in CI."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from slipway.cli.completion import complete_previews, complete_stacks
from slipway.cli.console import stderr_console, stdout_console
from slipway.cli.exit_codes import ExitCode
from slipway.cli.prompts import DryRunOption, JsonOption, YesOption, confirm
from slipway.config.errors import SlipwayError
from slipway.pipeline.stack_access import export_local_environment, open_local_or_aws_stack

image = typer.Typer(help="Refresh base images, and delete old images.", no_args_is_help=True)


def promote(
    source: Annotated[
        str,
        typer.Argument(metavar="FROM", help="The stack that runs the image: staging.", autocompletion=complete_stacks),
    ],
    target: Annotated[
        str, typer.Argument(metavar="TO", help="The stack that receives it: prod.", autocompletion=complete_stacks)
    ],
    digest: Annotated[str, typer.Option(help="The digest that FROM must run, sha256:...; any other is refused.")] = "",
    from_profile: Annotated[str, typer.Option(help="An AWS profile for FROM, if it is in another account.")] = "",
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Copy the image that FROM runs into TO's registry, with the same digest, and set TO's imageDigest to it.

    TO's next `pulumi up` deploys it. A digest whose tasks in FROM are not healthy is refused.
    """
    from slipway.release import promote as promotion

    planned = promotion.plan_promotion(
        open_local_or_aws_stack(source, from_profile), open_local_or_aws_stack(target), digest, stderr_console.print
    )
    stderr_console.print(f"{source} runs {planned.digest}.")
    if not dry_run:
        confirm(f"Promote it to {target}?", yes)
    copied = promotion.promote_image(planned, dry_run=dry_run)
    if as_json:
        sys.stdout.write(json.dumps(promotion.promotion_as_json(planned, copied, dry_run=dry_run), indent=2) + "\n")
        return
    if dry_run:
        stdout_console.print(
            f"{copied.blobs} layers would be copied, and imageDigest of {target} set. Nothing was changed."
        )
        return
    stdout_console.print(f"{copied.blobs} layers copied, {copied.bytes / 1e6:.1f} MB; the others existed.")
    stdout_console.print(f"imageDigest of {target} is {planned.digest}. Next: pulumi up --stack {target}")


@image.command()
def prune(
    stack: Annotated[
        str, typer.Argument(help="A deployed environment: staging, prod.", autocompletion=complete_stacks)
    ],
    keep: Annotated[int, typer.Option(min=1, help="Number of newest images to keep, used or not.")] = 50,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Delete old images of a stack's registry, except those that are deployed or that a rollback could deploy."""
    from slipway.release import image_prune

    deployed = open_local_or_aws_stack(stack)
    pruning = image_prune.plan_pruning(deployed, keep)
    if pruning.old and not dry_run:
        confirm(f"Delete {len(pruning.old)} images of {pruning.repository}?", yes)
        image_prune.delete_images(deployed.aws, pruning)
    if as_json:
        sys.stdout.write(json.dumps(pruning.json() | {"dry_run": dry_run}, indent=2) + "\n")
        return
    for old_image in pruning.old:
        stdout_console.print(f"{old_image.pushed} {', '.join(old_image.tags)}", markup=False)
    verb = "would be deleted" if dry_run else "deleted"
    stdout_console.print(
        f"{len(pruning.old)} images {verb}; {pruning.used} are kept because they are used or could be rolled back to, "
        f"and {pruning.newest} because they are the newest."
    )


def drift(
    stack: Annotated[str, typer.Argument(help="A deployed stack: staging, prod.", autocompletion=complete_stacks)],
    issue: Annotated[
        bool, typer.Option("--issue", help="Create or update one GitHub issue about it, with `gh`.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Compare AWS and the sources with the last deployment. Exits 2 if they differ; with --issue, 0."""
    from slipway.pipeline import drift as comparison
    from slipway.pipeline import github

    export_local_environment(stack)
    drifted = comparison.detect_drift(stack)
    title = f"Drift: {stack}"
    if as_json:
        sys.stdout.write(json.dumps([resource.json() for resource in drifted], indent=2) + "\n")
    else:
        for resource in drifted:
            properties = ", ".join(resource.properties)
            stdout_console.print(
                f"{resource.change} {resource.type} {resource.name} {properties}".rstrip(), markup=False
            )
        stdout_console.print(f"{stack}: {len(drifted)} resources differ." if drifted else f"{stack}: nothing differs.")
    if not issue:
        raise typer.Exit(ExitCode.DIFFERENCE if drifted else ExitCode.SUCCESS)
    if drifted:
        github.upsert_issue(title, comparison.format_drift_issue(stack, drifted))
    else:
        github.close_issue(title)


def bootstrap(
    region: Annotated[
        str, typer.Option(help="Region of the bucket and the key. Default: AWS_REGION or the profile's.")
    ] = "",
    bucket: Annotated[str, typer.Option(help="The bucket's name. Default: PROJECT-state-ACCOUNT-REGION.")] = "",
    repository: Annotated[str, typer.Option(help="owner/name on GitHub. Default: the remote `origin`.")] = "",
    also_for: Annotated[
        list[str] | None,
        typer.Option(metavar="ACCOUNT", help="Another account whose stacks store their state in this bucket."),
    ] = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Create the S3 bucket and the KMS key of Pulumi's state, once for all stacks. Safe to run again."""
    from slipway.config.project import project_name
    from slipway.pipeline import github
    from slipway.pipeline import state_bootstrap as state
    from slipway.release.aws_session import create_aws_session

    backend = state.bootstrap_state_backend(
        create_aws_session({"region": region} if region else {}),
        project_name(),
        bucket,
        also_for=also_for or (),
        dry_run=dry_run,
    )
    name = repository or github.get_origin_repository()
    subject = None
    try:
        subject = github.get_repository_subject(name) if name else None
    except SlipwayError as error:  # the bucket is usable without it
        stderr_console.print(f"The repository {name} was not looked up: {error}", markup=False)
    if as_json:
        more = {"github_repository": subject.recommended if subject else "", "dry_run": dry_run}
        sys.stdout.write(json.dumps(backend.json() | more, indent=2) + "\n")
        return
    if dry_run:
        stdout_console.print(
            f"Would create: {', '.join(backend.missing_resources()) or 'nothing, both exist'}. Nothing was changed."
        )
        return
    for line in state.format_next_steps(backend, subject):
        stdout_console.print(line, markup=False)
    if not subject:
        stdout_console.print("The repository on GitHub is unknown: slipway bootstrap --repository owner/name")


def comment(
    name: Annotated[str, typer.Argument(help="The preview: pr-42.", autocompletion=complete_previews)],
    pull_request: Annotated[int, typer.Option(help="The number of the pull request.")],
    up: Annotated[
        Path | None, typer.Option(help="The preview runs: the file that `preview create --json` wrote.")
    ] = None,
    since: Annotated[str, typer.Option(help="With --up: the commit that the resource trees are compared with.")] = "",
    failed: Annotated[str, typer.Option(help="The preview does not run: the URL of the log.")] = "",
    gone: Annotated[bool, typer.Option("--gone", help="The preview was destroyed.")] = False,
) -> None:
    """Comment on a pull request about its preview, with `gh`: creates one comment, and updates it later."""
    from slipway.pipeline import github
    from slipway.pipeline import pr_comment as text

    if sum(map(bool, (up, failed, gone))) != 1:
        raise SlipwayError("Give exactly one of --up, --failed and --gone.", "slipway comment --help")
    if up:
        body = text.format_created(text.read_preview(up), text.diff_resource_trees(since) if since else "")
    else:
        body = text.format_failed(name, failed) if failed else text.format_destroyed(name)
    github.upsert_comment(pull_request, text.comment_marker(name), body)


@image.callback()
def images() -> None:
    """Refresh base images, and delete old images."""


@image.command()
def refresh(
    pull_request: Annotated[
        bool, typer.Option("--pull-request", help="Push the change, and open a pull request with `gh`.")
    ] = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Pin base images to the current digests of their tags, so that the next deployment rebuilds every image."""
    from slipway.pipeline import image_refresh

    today = datetime.now(UTC).date().isoformat()
    result = image_refresh.refresh_digests(image_refresh.list_base_images(), today, dry_run=dry_run)
    if as_json:
        sys.stdout.write(json.dumps(asdict(result) | {"dry_run": dry_run}, indent=2) + "\n")
    else:
        stdout_console.print(image_refresh.format_pull_request_body(result), markup=False)
    if result.unknown and not (result.changed or result.same):
        raise SlipwayError("No registry answered; nothing was changed.", "docker login, or fix the errors above.")
    if pull_request and not dry_run:
        image_refresh.open_pull_request(result)
