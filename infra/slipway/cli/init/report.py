"""Prints init's results, as text or JSON."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

from rich.console import Console
from rich.table import Table

from slipway.cli.init.files import FileResult
from slipway.cli.init.notes import NOTES_FILE
from slipway.cli.init.plan import InitPlan

LOCK = "infra/uv.lock"
STATES = {"new": "written", "same": "as init would write it", "differs": "differs", "adds lines": "lines added"}
PLANNED = {
    "new": "would be written",
    "same": "as init would write it",
    "differs": "differs",
    "adds lines": "lacks lines",
}
NEXT = ("uv run --project infra slipway up", "uv run --project infra pulumi up -s dev")
WRITE_WORKFLOWS = "uv run --project infra slipway init --workflows --missing"
MOST_NAMES = 12


def as_json(
    plan: InitPlan, results: Sequence[FileResult], written: Sequence[PurePosixPath], lock: str
) -> dict[str, Any]:
    """Returns the detected facts and the result of each file."""
    app, mapped = plan.app, plan.mapped
    return {
        "name": plan.name,
        "app": {
            "module": app.candidate.reference,
            "file": str(app.candidate.module.path),
            "source": str(app.source),
            "dockerfile": str(app.dockerfile.path) if app.dockerfile else None,
            "port": app.port,
            "health": {"live": app.health.live, "ready": app.health.ready},
            "python": app.python,
            "packages": app.packages.manager,
            "processes": {process.name: process.command for process in app.workers},
            "release": app.release.release,
            "needs": sorted(mapped.needs),
        },
        "variables": mapped.variables,
        "secrets": mapped.secrets,
        "environment": mapped.environment,
        "keep_their_default": mapped.defaults,
        "unmapped": mapped.unmapped,
        "from_examples": mapped.from_examples,
        "advice": [{"what": item.title, "where": item.place, "code": item.code} for item in plan.advice],
        "unread": plan.unread,
        "second_run": plan.is_second_run,
        "files": [{"path": str(r.file.path), "state": r.state, "diff": r.diff} for r in results],
        "written": [str(path) for path in written],
        "lock": lock,
    }


def print_found(out: Console, plan: InitPlan) -> None:
    """Prints the facts detected in the sources."""
    app, mapped = plan.app, plan.mapped
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    rows = {
        "app": f"{app.candidate.reference}, in {app.candidate.module.path}",
        "image": f"{app.dockerfile.path}, your own"
        if app.dockerfile
        else f"the kit's, Python {app.python}, by {_by(plan)}",
        "port": str(app.port),
        "health": f"{plan.health.live}, {plan.health.ready}"
        if app.health
        else f"none found: add {plan.health.live or '/health'}",
        "stores": ", ".join(sorted(mapped.needs)) or "none",
        "processes": ", ".join(["web", *(process.name for process in app.workers)]),
        "release": app.release.release if "database" in mapped.needs and app.release.release else "nothing runs before",
    }
    for name, value in rows.items():
        table.add_row(name, _plain(value))
    out.print(f"[bold]{plan.name}[/bold]", "from the reference app" if plan.from_reference else "")
    out.print(table)
    _print_variables(out, plan)


def _by(plan: InitPlan) -> str:
    return plan.app.packages.file or "no existing file"


def _plain(text: str) -> str:
    return text.replace("[", r"\[")


def _print_variables(out: Console, plan: InitPlan) -> None:
    mapped = plan.mapped
    pairs = mapped.variables | dict.fromkeys(mapped.secrets, "configured") | mapped.environment
    if pairs:
        out.print("\n[bold]Variables[/bold] that get a value:")
        width = max(map(len, pairs))
        for name, value in pairs.items():
            origin = "  (from the example file: check it)" if name in mapped.from_examples else ""
            kind = f", {mapped.secrets[name]}" if name in mapped.secrets else ""
            out.print(f"  {name:<{width}}  {_plain(str(value))}{kind}{origin}")
    if mapped.defaults:
        shown = ", ".join(mapped.defaults[:MOST_NAMES])
        more = f" and {len(mapped.defaults) - MOST_NAMES} more" if len(mapped.defaults) > MOST_NAMES else ""
        out.print(f"\nKeep their default: {shown}{more}")
    if mapped.unmapped:
        out.print("\n[bold]Not mapped[/bold], check these:")
        for name, reason in mapped.unmapped.items():
            out.print(f"  {name}: {_plain(reason)}")


def print_advice(out: Console, plan: InitPlan) -> None:
    """Prints the changes that the team has to make in the app."""
    if plan.advice:
        out.print("\n[bold]To do in the app[/bold]:")
    for item in plan.advice:
        place = f" ({item.place})" if item.place else ""
        out.print(f"  {_plain(item.title)}{place}")
        for line in item.code.splitlines():
            out.print(f"      {line}", markup=False)
    if plan.unread:
        out.print("\n[bold]Could not be read[/bold]:")
        for problem in plan.unread:
            out.print(f"  {problem}", markup=False)
        if _minor(plan.app.python) > sys.version_info.minor:
            out.print(
                f"  A newer Python can parse more: uvx --python {plan.app.python} --from slipway-kit slipway init"
            )


def _minor(version: str) -> int:
    return int(version.partition(".")[2])


def print_planned(out: Console, results: Sequence[FileResult]) -> None:
    """Prints the files that would be written, with their text."""
    for result in results:
        if result.state == "new" and result.file.path.parts[0] in ("app", "tests") and len(results) > 30:
            continue  # the reference app's: the list below names them
        if result.state == "new":
            out.print(f"\n── {result.file.path}", markup=False)
            out.print(result.file.text.rstrip("\n"), markup=False)
        elif result.diff:
            out.print(f"\n── {result.file.path}", markup=False)
            out.print(result.diff.rstrip("\n"), markup=False)


def print_files(out: Console, results: Sequence[FileResult], *, are_written: bool, lock: str) -> None:
    """Prints each file and its result."""
    words = STATES if are_written else PLANNED
    out.print("\n[bold]Files[/bold]:")
    width = max(len(str(result.file.path)) for result in results)
    for result in results:
        out.print(f"  {result.file.path!s:<{width}}  {words[result.state]}", markup=False)
    if lock:
        out.print(f"  {LOCK:<{width}}  {lock}", markup=False)
    if are_written:
        out.print(f"  {NOTES_FILE!s:<{width}}  what init wrote, for `slipway upgrade`", markup=False)


def print_differences(out: Console, results: Sequence[FileResult]) -> None:
    """Prints the diff of each file that differs from init's, and the names of missing ones."""
    for result in results:
        if result.diff:
            out.print(f"\n── {result.file.path}", markup=False)
            out.print(result.diff.rstrip("\n"), markup=False)
    missing = [str(result.file.path) for result in results if result.state == "new"]
    if missing:
        out.print(f"\nMissing: {', '.join(missing)}", markup=False)
        out.print("To write these, and change nothing else: slipway init --missing")
    if not any(result.diff for result in results) and not missing:
        out.print("\nNothing differs from what init would write.")
    else:
        out.print("Nothing was changed.")


def print_next(out: Console, plan: InitPlan) -> None:
    """Prints the next commands."""
    required = [name for name, kind in plan.mapped.secrets.items() if kind == "required"]
    out.print("\n[bold]Next[/bold]:")
    out.print(f"  {NEXT[0]}   # the app on this machine", markup=False)
    for name in required:
        out.print(f"  pulumi config set --secret --path 'secrets.{name}' VALUE -s dev", markup=False)
    out.print(f"  {NEXT[1]}   # the app on AWS", markup=False)
    if not plan.has_workflows:
        out.print(f"  {WRITE_WORKFLOWS}   # deployments and previews by GitHub Actions", markup=False)
