"""`slipway init`: writes the deployment files of a repository with a FastAPI app."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from slipway.cli.init.files import FileResult, compare, write
from slipway.cli.init.kit import installed_version, kit_in_use, write_lock
from slipway.cli.init.notes import NOTES_FILE, InitNotes, read_notes, write_notes
from slipway.cli.init.questions import Questions
from slipway.config.errors import SlipwayError

if TYPE_CHECKING:  # the command line starts faster without it
    from slipway.cli.init.plan import InitPlan


def init(
    folder: Annotated[Path, typer.Argument(help="The repository; the current folder.")] = Path(),
    app: Annotated[
        str, typer.Option("--app", help="The app, if there are several: package.module:name, its file or its folder.")
    ] = "",
    name: Annotated[str, typer.Option("--name", help="Name of the Pulumi project; names on AWS begin with it.")] = "",
    workflows: Annotated[
        bool | None, typer.Option("--workflows/--no-workflows", help="Write the workflows of GitHub Actions, or not.")
    ] = None,
    missing: Annotated[
        bool, typer.Option("--missing", help="If there is a deployment: write its missing files.")
    ] = False,
    kit: Annotated[
        Path | None, typer.Option("--kit", help="A wheel of slipway-kit, or its sources. Default: the package index.")
    ] = None,
    foreign: Annotated[
        str, typer.Option("--from", help="Also read another tool's files of the app: compose or copilot.")
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the files, and write none.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")] = False,
) -> None:
    """Write the files that deploy the FastAPI app of a repository. Never changes existing files."""
    from slipway.cli.init import report
    from slipway.cli.init.plan import InitOptions, make_plan
    from slipway.config.schemas import write_uncommitted_schemas

    if not folder.is_dir():
        raise SlipwayError(f"{folder} is not a folder.", "Run init in your app's repository.")
    root = folder.resolve()
    options = InitOptions(app=app, name=name, workflows=workflows, kit=kit_in_use(kit, root), foreign=foreign)
    plan = make_plan(root, options, Questions.for_terminal(yes or as_json))
    results = compare(root, plan.files)
    out = Console(highlight=False, soft_wrap=True, emoji=False, quiet=as_json)
    report.print_found(out, plan)
    report.print_advice(out, plan)
    changes_nothing = plan.is_second_run and not missing
    lock = ""
    written = []
    if changes_nothing or dry_run:
        lock = "" if (root / report.LOCK).exists() else "would be written by `uv lock`"
        if plan.is_second_run:
            report.print_files(out, results, are_written=False, lock=lock)
            report.print_differences(out, results)
        else:
            report.print_planned(out, results)
            report.print_files(out, results, are_written=False, lock=lock)
    else:
        selected = [result for result in results if not (missing and result.state == "adds lines")]
        written = write(root, selected)
        _note(root, plan, selected)
        written.append(NOTES_FILE)
        write_uncommitted_schemas(root)
        lock = _lock(root, results)
        report.print_files(out, selected, are_written=True, lock=lock)
        if missing:
            report.print_differences(out, [result for result in results if result.state == "differs"])
        report.print_next(out, plan)
    if as_json:
        sys.stdout.write(json.dumps(report.as_json(plan, results, written, lock), indent=2) + "\n")


def _note(root: Path, plan: InitPlan, results: list[FileResult]) -> None:
    """Records what the sources alone give of the files that init wrote, or found identical: the base of upgrades."""
    from slipway.cli.init.plan import is_kept_by_kit

    former = read_notes(root)
    recorded = {result.file.path for result in results if result.state in ("new", "same", "adds lines")}
    files = {
        str(file.path): file.text for file in plan.source_files if file.path in recorded and is_kept_by_kit(file.path)
    }
    write_notes(
        root,
        InitNotes(
            kit_version=installed_version(),
            app_file=str(plan.app.candidate.module.path),
            name=plan.name,
            workflows=plan.has_workflows,
            from_reference=plan.from_reference or bool(former and former.from_reference),
            files={**(former.files if former else {}), **files},
        ),
    )


def _lock(root: Path, results: list[FileResult]) -> str:
    """Writes infra/uv.lock if there is none; returns the result as text."""
    from slipway.cli.init.report import LOCK

    if (root / LOCK).exists():
        return "unchanged"
    return (
        "written by `uv lock`"
        if write_lock(root / "infra")
        else "not written, uv is not installed: uv lock --project infra"
    )
