"""`slipway upgrade`: merges the files of this version of init into the project's files."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from slipway.cli.exit_codes import ExitCode
from slipway.cli.init.files import PlannedFile, missing_lines
from slipway.cli.init.kit import installed_version, kit_in_use, write_lock
from slipway.cli.init.notes import InitNotes, read_notes, write_notes
from slipway.cli.init.questions import Questions
from slipway.config.errors import SlipwayError

if TYPE_CHECKING:  # the command line starts faster without it
    from slipway.cli.init.plan import InitPlan

Outcome = Literal["new", "updated", "merged", "conflict", "unchanged", "yours", "removed by you", "no longer written"]
WORDS: dict[Outcome, str] = {
    "new": "written",
    "updated": "updated",
    "merged": "your changes and the kit's, merged",
    "conflict": "CONFLICT: marked with <<<<<<< and >>>>>>>",
    "yours": "yours: init did not write it",
    "removed by you": "stays removed",
    "no longer written": "no longer written by init: remove it if nothing of yours needs it",
    "unchanged": "unchanged",
}
CHANGES: tuple[Outcome, ...] = ("new", "updated", "merged", "conflict")


@dataclass(frozen=True)
class UpgradedFile:
    """A file of the project, and the upgrade's result."""

    path: str
    outcome: Outcome
    text: str = ""
    """The new text, if the outcome changes the file."""


def upgrade(
    folder: Annotated[Path, typer.Argument(help="The project; the current folder.")] = Path(),
    kit: Annotated[
        Path | None, typer.Option("--kit", help="A wheel of slipway-kit, or its sources, instead of the index's.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and write nothing.")] = False,
) -> None:
    """Bring the files that init wrote to this version of the kit, with your changes. Conflicts are marked."""
    from slipway.cli.init.plan import InitOptions, make_plan

    root = folder.resolve()
    notes = read_notes(root)
    if notes is None:
        raise SlipwayError(
            "This project has no record of the files that init wrote, so nothing can be merged.",
            "See what this version would write: slipway init",
        )
    options = InitOptions(app=notes.app_file, name=notes.name, workflows=notes.workflows, kit=kit_in_use(kit, root))
    plan = make_plan(root, options, Questions.for_terminal(True))
    planned = kit_files(plan, notes)
    results = merge_files(root, planned, notes)
    if not dry_run:
        _write(root, results)
        texts = {str(file.path): file.text for file in planned}
        write_notes(root, replace(notes, kit_version=installed_version(), files={**notes.files, **texts}))
        if any(
            file.path == "infra/pyproject.toml" and file.outcome in ("new", "updated", "merged") for file in results
        ):
            write_lock(root / "infra")
    _print(results, notes.kit_version, dry_run)
    if any(file.outcome == "conflict" for file in results):
        raise typer.Exit(ExitCode.ERROR)


def kit_files(plan: InitPlan, notes: InitNotes) -> list[PlannedFile]:
    """Returns the files that init would write, without the reference app's: those are the team's."""
    from slipway.cli.init import reference
    from slipway.cli.init.plan import APP_FILE, is_kept_by_kit

    planned = [file for file in plan.files if is_kept_by_kit(file.path)]
    if not notes.from_reference:
        return planned
    own = reference.reference_app_file(reference.reference_app_folder())
    return [PlannedFile(file.path, own) if file.path == APP_FILE else file for file in planned]


def merge_files(root: Path, planned: Sequence[PlannedFile], notes: InitNotes) -> list[UpgradedFile]:
    """Merges init's earlier text, the present file and init's new text of each file. Writes nothing.

    Raises:
        SlipwayError: a file cannot be read or merged.
    """
    results = [_merge(root, file, notes) for file in planned]
    names = {str(file.path) for file in planned}
    former = [name for name in notes.files if name not in names and (root / name).exists()]
    return results + [UpgradedFile(name, "no longer written") for name in former]


def _merge(root: Path, file: PlannedFile, notes: InitNotes) -> UpgradedFile:
    name = str(file.path)
    before = notes.files.get(name)
    path = root / file.path
    if not path.exists():
        return UpgradedFile(name, "new", file.text) if before is None else UpgradedFile(name, "removed by you")
    try:
        current = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SlipwayError(
            f"{name} cannot be read, so nothing is merged: {error}", "Fix it, then: slipway upgrade"
        ) from None
    if file.lines_only:
        added = [line for line in missing_lines(current, file.text) if line not in (before or "").splitlines()]
        joint = "" if not current or current.endswith("\n") else "\n"
        text = current + joint + "".join(f"{line}\n" for line in added)
        return UpgradedFile(name, "updated", text) if added else UpgradedFile(name, "unchanged")
    if before is None:
        return UpgradedFile(name, "unchanged" if current == file.text else "yours")
    if file.text in (before, current):
        return UpgradedFile(name, "unchanged")
    if current == before:
        return UpgradedFile(name, "updated", file.text)
    text, has_conflicts = _merge_texts(current, before, file.text, name)
    return UpgradedFile(name, "conflict" if has_conflicts else "merged", text)


def _merge_texts(current: str, before: str, planned: str, name: str) -> tuple[str, bool]:
    """Returns the merged text, and whether it has conflicts.

    Raises:
        SlipwayError: git is not installed, or cannot merge.
    """
    with tempfile.TemporaryDirectory() as scratch:
        names = {"yours": current, "what init wrote before": before, "what init writes now": planned}
        paths = [Path(scratch, str(number)) for number in range(len(names))]
        for path, text in zip(paths, names.values(), strict=True):
            path.write_text(text, encoding="utf-8")
        labels = [argument for label in names for argument in ("-L", label)]
        try:
            merge = subprocess.run(
                ["git", "merge-file", "-p", *labels, *map(str, paths)], capture_output=True, text=True
            )
        except FileNotFoundError:
            raise SlipwayError(
                "git is not installed, and `git merge-file` is needed to merge the files.", "Install git."
            ) from None
    if merge.returncode > 127:
        raise SlipwayError(f"{name} cannot be merged: {merge.stderr.strip()}", "Compare it by hand: slipway init")
    return merge.stdout, merge.returncode > 0


def _write(root: Path, results: Sequence[UpgradedFile]) -> None:
    for file in results:
        if file.outcome not in CHANGES:
            continue
        path = root / file.path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(file.text, encoding="utf-8")
        except OSError as error:
            raise SlipwayError(
                f"{file.path} cannot be written, and the files after it were not: {error.strerror or error}",
                "Correct that, then: slipway upgrade",
            ) from None


def _print(results: Sequence[UpgradedFile], before: str, dry_run: bool) -> None:
    out = Console(highlight=False, soft_wrap=True, emoji=False)
    versions = f"{before or 'an unknown version'} to {installed_version() or 'this version'}"
    out.print(f"[bold]Upgrade[/bold] from {versions}{', nothing is written' if dry_run else ''}")
    width = max((len(file.path) for file in results), default=0)
    for file in results:
        out.print(f"  {file.path:<{width}}  {WORDS[file.outcome]}", markup=False)
    conflicts = [file.path for file in results if file.outcome == "conflict"]
    if conflicts:
        out.print(f"\nResolve the conflicts in {', '.join(conflicts)}.", markup=False)
    elif not any(file.outcome in CHANGES for file in results):
        out.print("\nNothing to change.")
    else:
        out.print("\nNext: uv sync --project infra, then `slipway check` and `pulumi preview`.")
