"""`slipway preview`: runs a copy of the app for a pull request; used by hand and in CI."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from slipway.cli.completion import complete_previews, complete_stacks
from slipway.cli.console import stderr_console, stdout_console, table_console
from slipway.cli.exit_codes import ExitCode
from slipway.cli.prompts import DryRunOption, JsonOption, YesOption, confirm
from slipway.config.errors import SlipwayError
from slipway.previews.ttl import DEFAULT_TTL, parse_moment, parse_ttl

if TYPE_CHECKING:  # the command line starts faster without them
    from slipway.previews.base_environment import BaseEnvironment
    from slipway.previews.preview_stacks import PulumiBackend

app = typer.Typer(help="Running copies of the app for pull requests, on an existing environment.", no_args_is_help=True)

Name = Annotated[
    str,
    typer.Argument(help="The branch's or pull request's name: pr-42, feature/login.", autocompletion=complete_previews),
]
Base = Annotated[
    str,
    typer.Option(help="The base environment. Default: the one in the stack's tags.", autocompletion=complete_stacks),
]
Image = Annotated[
    str, typer.Option(help="A digest in the environment's registry, sha256:... Default: build the sources.")
]
Expires = Annotated[str, typer.Option(help="Time to live from now: 90m, 12h, 3d, 2w.")]
Fix = Annotated[bool, typer.Option("--fix", help="Also remove its leftovers in AWS.")]


@app.command()
def create(
    name: Name,
    base: Annotated[str, typer.Option(help="The base environment: local, dev.", autocompletion=complete_stacks)],
    image: Image = "",
    expires: Expires = DEFAULT_TTL,
    as_json: JsonOption = False,
) -> None:
    """Create or update a preview, and verify its rollout. Run it again after an interruption."""
    _create_or_update(name, base, image, expires, as_json)


@app.command()
def update(
    name: Name, base: Base = "", image: Image = "", expires: Expires = DEFAULT_TTL, as_json: JsonOption = False
) -> None:
    """Update a preview, and restart its time to live."""
    _create_or_update(name, base, image, expires, as_json, must_exist=True)


@app.command(name="list")
def list_(base: Base = "", as_json: JsonOption = False) -> None:
    """List previews and their daily cost. Names unreadable ones on standard error, and then exits 1."""
    from slipway.previews.create import describe_preview
    from slipway.previews.identity import inspect_stack, why_not_a_preview
    from slipway.previews.preview_stacks import open_backend

    engine = open_backend(base)
    snapshots = [inspect_stack(engine, stack) for stack in engine.previews(base)]
    previews = [describe_preview(snapshot) for snapshot in snapshots if not why_not_a_preview(snapshot, base)]
    total = round(sum(preview["usd_a_day"] for preview in previews), 2)
    broken = [snapshot for snapshot in snapshots if snapshot.broken]
    for snapshot in broken:
        stderr_console.print(f"{snapshot.stack} cannot be read: {snapshot.broken}", markup=False)
    if as_json:
        _print_json({"previews": previews, "usd_a_day": total})
    else:
        _print_table(previews)
        stdout_console.print(f"{len(previews)} previews, {total:.2f} USD a day.")
    if broken:
        raise typer.Exit(ExitCode.ERROR)


def _print_table(previews: Sequence[dict[str, Any]]) -> None:
    table = Table("preview", "of", "on", "expires", "USD a day", "url", box=None)
    for preview in previews:
        table.add_row(*(str(preview[key]) for key in ("stack", "name", "base", "expires", "usd_a_day", "url")))
    table_console.print(table)


@app.command()
def show(name: Name, base: Base = "", as_json: JsonOption = False) -> None:
    """Show a preview: URL, image, expiry and daily cost."""
    from slipway.previews.create import describe_preview
    from slipway.previews.identity import inspect_stack, why_not_a_preview
    from slipway.previews.preview_stacks import open_backend

    engine = open_backend(base)
    stack = _resolve_stack(engine, name)
    if not engine.has(stack):
        raise SlipwayError(f"There is no preview {name} (its stack would be {stack}).", "slipway preview list")
    snapshot = inspect_stack(engine, stack)
    reason = why_not_a_preview(snapshot, base)
    if reason:
        raise SlipwayError(f"{stack} is not a preview: {reason}.", "slipway preview list")
    _print_preview(describe_preview(snapshot), as_json)


@app.command()
def destroy(
    name: Name,
    base: Base = "",
    fix: Fix = False,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Destroy a preview with its data, and search AWS for leftovers. Safe to run again. Exits 1 for leftovers."""
    from slipway.previews.destroy import destroy_preview
    from slipway.previews.preview_stacks import open_backend
    from slipway.previews.stack_tags import BASE_TAG

    engine = open_backend(base)
    stack = _resolve_stack(engine, name)
    tags = engine.find_tags(stack)
    exists = tags is not None
    base = base or (tags or {}).get(BASE_TAG, "")
    if dry_run:
        _print_result(as_json, {"stack": stack, "existed": exists, "dry_run": True}, f"{stack} would be destroyed.")
        return
    confirm(f"Destroy the preview {stack} with its data?", yes)
    result = destroy_preview(engine, _open_base_environment(engine, base), stack, _print_progress, fix=fix)
    summary = f"{stack} was destroyed." if exists else f"There was no stack {stack}."
    _print_result(as_json, result.json(), f"{summary} {len(result.leftovers)} leftovers, {len(result.fixed)} removed.")
    if result.leftovers:
        raise typer.Exit(ExitCode.ERROR)


@app.command()
def reap(
    base: Base = "",
    open_prs: Annotated[
        str | None,
        typer.Option(help="Numbers of open pull requests: 1,2,3 or none; or `gh`, `glab`: ask that CLI."),
    ] = None,
    at: Annotated[str, typer.Option(help="The time to compare with, ISO 8601. Default: now.")] = "",
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Destroy expired previews, previews of closed pull requests, and leftovers without a stack.

    Continues after a failure, and then exits 1. Never touches environments.
    """
    from slipway.previews.preview_stacks import open_backend
    from slipway.previews.pull_requests import list_open_pull_requests
    from slipway.previews.reap import destroy_expired_previews, plan_reaping

    moment = parse_moment(at) if at else datetime.now(UTC)
    numbers = list_open_pull_requests(open_prs)
    engine = open_backend(base)
    planned = plan_reaping(engine, base, moment, numbers, _print_progress)
    for decision in planned.decisions:
        stderr_console.print(f"{decision.action:8} {decision.stack}: {decision.why}", markup=False)
    if dry_run:
        _print_result(
            as_json, planned.json() | {"dry_run": True}, f"{len(planned.stacks_to_destroy)} would be destroyed."
        )
        return
    if planned.stacks_to_destroy:
        confirm(f"Destroy {', '.join(planned.stacks_to_destroy)} with their data?", yes)
    result = destroy_expired_previews(engine, planned, _print_progress)
    summary = f"{len(result.destroyed)} destroyed, {len(result.failed)} failed."
    _print_result(as_json, planned.json() | result.json(), summary)
    if result.failed:
        raise typer.Exit(ExitCode.ERROR)


def _create_or_update(name: str, base: str, image: str, expires: str, as_json: bool, must_exist: bool = False) -> None:
    from slipway.previews.base_environment import open_base_environment
    from slipway.previews.create import PreviewRequest, create_or_update_preview
    from slipway.previews.preview_stacks import open_backend
    from slipway.previews.stack_tags import BASE_TAG

    parse_ttl(expires)
    engine = open_backend(base)
    stack = _resolve_stack(engine, name)
    tags = engine.find_tags(stack)
    if must_exist and tags is None:
        raise SlipwayError(
            f"There is no preview {name} to update (its stack would be {stack}).",
            f"slipway preview create {name} --base {base or 'STACK'}",
        )
    base = base or (tags or {}).get(BASE_TAG, "")
    if not base:
        raise SlipwayError(
            f"The tags of {stack} do not say which environment it runs on.",
            f"slipway preview create {name} --base STACK continues it",
        )
    request = PreviewRequest(name, stack, expires, image)
    environment = open_base_environment(base)
    _print_preview(create_or_update_preview(engine, environment, request, datetime.now(UTC), _print_progress), as_json)


def _resolve_stack(engine: PulumiBackend, name: str) -> str:
    """Returns the stack of a preview. `name`: the branch's name, or the stack's as `list` prints it."""
    from slipway.config.project import project_name
    from slipway.previews.preview_names import is_preview_stack_name, preview_stack_name
    from slipway.previews.stack_tags import NAME_TAG

    stack = preview_stack_name(name, project_name())
    if stack == name or not is_preview_stack_name(name) or engine.has(stack):
        return stack
    return name if (engine.find_tags(name) or {}).get(NAME_TAG) else stack


def _open_base_environment(engine: PulumiBackend, base: str) -> BaseEnvironment | None:
    """Returns the base environment; prints a notice and returns None if the stack's tags do not name one."""
    from slipway.previews.base_environment import open_base_environment_or_empty

    if not base:
        stderr_console.print(
            "Its base environment is unknown (--base): its database and leftovers are not searched for."
        )
        return None
    return open_base_environment_or_empty(engine, base, _print_progress)


def _print_progress(line: str) -> None:
    stderr_console.print(line, markup=False)


def _print_preview(preview: dict[str, Any], as_json: bool) -> None:
    if as_json:
        _print_json(preview)
        return
    for key, value in preview.items():
        stdout_console.print(f"{key.replace('_', ' '):12} {value}", markup=False)


def _print_result(as_json: bool, result: dict[str, Any], summary: str) -> None:
    if as_json:
        _print_json(result)
    else:
        stdout_console.print(summary)


def _print_json(value: dict[str, Any] | Sequence[Any]) -> None:
    sys.stdout.write(json.dumps(value, indent=2) + "\n")
