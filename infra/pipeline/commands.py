"""`slipway promote`, `drift`, `comment`, `bootstrap` and `image`, for a person and for the pipeline alike."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from infra.asking import DryRun, Json, Yes, confirm
from infra.consoles import out, steps
from infra.errors import SlipwayError
from infra.pipeline.opened import local, opened

image = typer.Typer(help="What the stacks' images are built from, and which stay.", no_args_is_help=True)


def promote(
    source: Annotated[str, typer.Argument(metavar="FROM", help="The stack that serves the image: staging.")],
    target: Annotated[str, typer.Argument(metavar="TO", help="The stack that gets it: prod.")],
    digest: Annotated[str, typer.Option(help="What FROM has to serve, sha256:...; anything else is refused.")] = "",
    from_profile: Annotated[str, typer.Option(help="An AWS profile for FROM, where it is in another account.")] = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Copy what FROM serves into TO's registry, digest and all, and have TO's next `pulumi up` deploy it.

    A digest that FROM does not serve healthily is refused.
    """
    from infra.release import promote as promotion

    found = promotion.find(opened(source, from_profile), opened(target), digest, steps.print)
    steps.print(f"{source} serves {found.digest}.")
    if not dry_run:
        confirm(f"Promote it to {target}?", yes)
    copied = promotion.carry_out(found, dry_run=dry_run)
    if as_json:
        sys.stdout.write(json.dumps(promotion.as_json(found, copied, dry_run=dry_run), indent=2) + "\n")
        return
    if dry_run:
        out.print(f"{copied.blobs} layers would be copied, and imageDigest of {target} set. Nothing was changed.")
        return
    out.print(f"{copied.blobs} layers copied, {copied.bytes / 1e6:.1f} MB; the others were there.")
    out.print(f"imageDigest of {target} is {found.digest}. Next: pulumi up --stack {target}")


@image.command()
def prune(
    stack: Annotated[str, typer.Argument(help="A deployed environment: staging, prod.")],
    keep: Annotated[int, typer.Option(min=1, help="The newest images that stay, used or not.")] = 50,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Delete old images of a stack's registry, but none that is deployed or that a rollback could go to."""
    from infra.release import image_prune

    found = opened(stack)
    pruning = image_prune.find(found, keep)
    if pruning.old and not dry_run:
        confirm(f"Delete {len(pruning.old)} images of {pruning.repository}?", yes)
        image_prune.delete(found.aws, pruning)
    if as_json:
        sys.stdout.write(json.dumps(pruning.json() | {"dry_run": dry_run}, indent=2) + "\n")
        return
    for each in pruning.old:
        out.print(f"{each.pushed} {', '.join(each.tags)}", markup=False)
    verb = "would be deleted" if dry_run else "deleted"
    out.print(
        f"{len(pruning.old)} images {verb}; {pruning.used} stay because they are used or could be rolled back to, and "
        f"{pruning.newest} as the newest."
    )


def drift(
    stack: Annotated[str, typer.Argument(help="A deployed stack: staging, prod.")],
    issue: Annotated[bool, typer.Option("--issue", help="Keep one GitHub issue about it, by `gh`.")] = False,
    as_json: Json = False,
) -> None:
    """Compare AWS and the sources with what was deployed. Exits 2 where they differ, or 0 with the issue written."""
    from infra.pipeline import drift as comparison
    from infra.pipeline import github

    local(stack)
    found = comparison.differences(stack)
    title = f"Drift: {stack}"
    if as_json:
        sys.stdout.write(json.dumps([each.json() for each in found], indent=2) + "\n")
    else:
        for each in found:
            out.print(f"{each.change} {each.type} {each.name} {', '.join(each.properties)}".rstrip(), markup=False)
        out.print(f"{stack}: {len(found)} resources differ." if found else f"{stack}: nothing differs.")
    if not issue:
        raise typer.Exit(2 if found else 0)
    if found:
        github.keep_issue(title, comparison.report(stack, found))
    else:
        github.close_issue(title)


def bootstrap(
    region: Annotated[str, typer.Option(help="Of the bucket and the key; else AWS_REGION or the profile's.")] = "",
    bucket: Annotated[str, typer.Option(help="The bucket's name; else PROJECT-state-ACCOUNT-REGION.")] = "",
    repository: Annotated[str, typer.Option(help="owner/name on GitHub; else that of the remote `origin`.")] = "",
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Make the bucket of Pulumi's state and its KMS key, once for all stacks. Safe to run again."""
    from infra.local.paths import project
    from infra.pipeline import bootstrap as state
    from infra.pipeline import github
    from infra.release.client import configured

    found = state.bootstrap(configured({"region": region} if region else {}), project(), bucket, dry_run=dry_run)
    name, subject = repository or github.origin(), None
    try:
        subject = github.look_up(name) if name else None
    except SlipwayError as error:  # the bucket is of use without it
        steps.print(f"Not looked up: {error}", markup=False)
    if as_json:
        more = {"github_repository": subject.likely if subject else "", "dry_run": dry_run}
        sys.stdout.write(json.dumps(found.json() | more, indent=2) + "\n")
        return
    if dry_run:
        out.print(f"Would make: {', '.join(found.to_make()) or 'nothing, for both are there'}. Nothing was changed.")
        return
    for line in state.told(found, subject):
        out.print(line, markup=False)
    if not subject:
        out.print("Which repository on GitHub is not known: slipway bootstrap --repository owner/name")


def comment(
    name: Annotated[str, typer.Argument(help="The preview: pr-42.")],
    pull_request: Annotated[int, typer.Option(help="The number of the pull request that is told.")],
    up: Annotated[Path | None, typer.Option(help="It serves: what `preview create --json` wrote.")] = None,
    since: Annotated[str, typer.Option(help="With --up: the commit that the resource trees are compared with.")] = "",
    failed: Annotated[str, typer.Option(help="It does not serve: where the log is.")] = "",
    gone: Annotated[bool, typer.Option("--gone", help="It is destroyed.")] = False,
) -> None:
    """Tell a pull request of its preview, by `gh`, in one comment that is renewed in its place."""
    from infra.pipeline import comment as text
    from infra.pipeline import github

    if sum(map(bool, (up, failed, gone))) != 1:
        raise SlipwayError("A comment says one of --up, --failed and --gone.", "slipway comment --help")
    if up:
        told = text.up(text.read(up), text.tree_changes(since) if since else "")
    else:
        told = text.failed(name, failed) if failed else text.gone(name)
    github.keep_comment(pull_request, text.mark(name), told)


@image.callback()
def images() -> None:
    """What the stacks' images are built from."""


@image.command()
def refresh(
    pull_request: Annotated[
        bool, typer.Option("--pull-request", help="Push it, and open a pull request by `gh`.")
    ] = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Pin what images are built from to what their tags are today, and have every image built anew."""
    from infra.pipeline import refresh as anew

    done = anew.refresh(anew.bases(), datetime.now(UTC).date().isoformat(), dry_run=dry_run)
    if as_json:
        sys.stdout.write(json.dumps(asdict(done) | {"dry_run": dry_run}, indent=2) + "\n")
    else:
        out.print(anew.text(done), markup=False)
    if done.unknown and not (done.changed or done.same):
        raise SlipwayError(
            "No registry could be asked; nothing was changed.", "docker login, or look at the reasons above."
        )
    if pull_request and not dry_run:
        anew.open_pull_request(done)
