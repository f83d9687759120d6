"""`slipway preview`: a running copy of the app for a pull request, for a person and for the pipeline alike."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from infra.asking import DryRun, Json, Yes, confirm
from infra.consoles import out, steps
from infra.errors import SlipwayError
from infra.previews.lifetime import DEFAULT, lifetime

if TYPE_CHECKING:  # the command line starts faster without them
    from infra.previews.engine import Engine
    from infra.previews.ground import Ground

app = typer.Typer(
    help="Running copies of the app for pull requests, on an environment that is there.", no_args_is_help=True
)

Name = Annotated[str, typer.Argument(help="What the branch or pull request is called: pr-42, feature/login.")]
Base = Annotated[str, typer.Option(help="The environment it stands on; else that of its stack.")]
Image = Annotated[str, typer.Option(help="A digest of the environment's registry, sha256:...; else built from here.")]
Expires = Annotated[str, typer.Option(help="How long it lives from now on: 90m, 12h, 3d, 2w.")]
Fix = Annotated[bool, typer.Option("--fix", help="Remove what is left of it in AWS, too.")]


@app.command()
def create(
    name: Name,
    base: Annotated[str, typer.Option(help="The environment it stands on: local, dev.")],
    image: Image = "",
    expires: Expires = DEFAULT,
    as_json: Json = False,
) -> None:
    """Make a preview, or bring the one that is there up to date, and see that it serves. Cut off, run it again."""
    _bring_up(name, base, image, expires, as_json)


@app.command()
def update(name: Name, base: Base = "", image: Image = "", expires: Expires = DEFAULT, as_json: Json = False) -> None:
    """Bring a preview up to date; its time begins anew."""
    _bring_up(name, base, image, expires, as_json, there=True)


@app.command(name="list")
def list_(base: Base = "", as_json: Json = False) -> None:
    """List the previews, what each costs a day, and all of them."""
    from infra.previews.bring_up import described
    from infra.previews.engine import open_engine
    from infra.previews.guard import refusal

    found = [described(seen) for seen in _seen(open_engine(base), base) if not refusal(seen, base)]
    total = round(sum(each["usd_a_day"] for each in found), 2)
    if as_json:
        _print({"previews": found, "usd_a_day": total})
        return
    table = Table("preview", "of", "on", "expires", "USD a day", "url", box=None)
    for column in table.columns:
        column.overflow = "fold"
    for each in found:
        table.add_row(*(str(each[key]) for key in ("stack", "name", "base", "expires", "usd_a_day", "url")))
    out.print(table)
    out.print(f"{len(found)} previews, {total:.2f} USD a day.")


@app.command()
def show(name: Name, base: Base = "", as_json: Json = False) -> None:
    """Show a preview: its address, its image, when it ends, what it costs a day."""
    from infra.previews.bring_up import described
    from infra.previews.engine import open_engine
    from infra.previews.guard import look, refusal

    engine = open_engine(base)
    stack = _stack(engine, name)
    if not engine.has(stack):
        raise SlipwayError(f"There is no preview {name} (its stack would be {stack}).", "slipway preview list")
    seen = look(engine, stack)
    why = refusal(seen, base)
    if why:
        raise SlipwayError(f"{stack} is no preview: {why}.")
    _tell(described(seen), as_json)


@app.command()
def destroy(
    name: Name, base: Base = "", fix: Fix = False, dry_run: DryRun = False, yes: Yes = False, as_json: Json = False
) -> None:
    """Take a preview away with its data, and look for anything of it in AWS. Twice is fine. Exits 1 for leftovers."""
    from infra.previews.engine import open_engine
    from infra.previews.guard import BASE
    from infra.previews.take_down import take_down

    engine = open_engine(base)
    stack = _stack(engine, name)
    there = engine.has(stack)
    base = base or (engine.tags(stack).get(BASE, "") if there else "")
    if dry_run:
        _say(as_json, {"stack": stack, "existed": there, "dry_run": True}, f"{stack} would be destroyed.")
        return
    confirm(f"Destroy the preview {stack} with its data?", yes)
    done = take_down(engine, _ground(engine, base), stack, steps.print, fix=fix)
    words = f"{stack} is gone." if there else f"There was no stack {stack}."
    _say(as_json, done.json(), f"{words} {len(done.leftovers)} leftovers, {len(done.fixed)} removed.")
    if done.leftovers:
        raise typer.Exit(1)


@app.command()
def reap(
    base: Base = "",
    open_prs: Annotated[
        str | None,
        typer.Option(help="Pull requests that are open: 1,2,3, or none; `gh` or `glab` asks. Else nobody knows."),
    ] = None,
    at: Annotated[str, typer.Option(help="Decide as if it were this moment, ISO 8601; else now.")] = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Destroy the previews that are past their time or whose pull request is closed, and what others left behind.

    Goes on when one fails, and exits 1 then. Environments are never touched.
    """
    from infra.previews.engine import open_engine
    from infra.previews.open_prs import open_pull_requests
    from infra.previews.reaper import carry_out, plan

    moment = datetime.fromisoformat(at) if at else datetime.now(UTC)
    if moment.tzinfo is None:
        raise SlipwayError(f"--at is {at!r}, which has no time zone.", "Write it like 2026-01-31T12:00:00+00:00.")
    numbers = open_pull_requests(open_prs)
    engine = open_engine(base)
    planned = plan(engine, base, moment, numbers, _step)
    for decision in planned.decisions:
        steps.print(f"{decision.action:8} {decision.stack}: {decision.why}", markup=False)
    if dry_run:
        _say(as_json, planned.json() | {"dry_run": True}, f"{len(planned.to_destroy)} would be destroyed.")
        return
    if planned.to_destroy:
        confirm(f"Destroy {', '.join(planned.to_destroy)} with their data?", yes)
    done = carry_out(engine, planned, _step)
    _say(as_json, planned.json() | done.json(), f"{len(done.destroyed)} destroyed, {len(done.failed)} failed.")
    if done.failed:
        raise typer.Exit(1)


def _bring_up(name: str, base: str, image: str, expires: str, as_json: bool, there: bool = False) -> None:
    from infra.previews.bring_up import Wanted, bring_up
    from infra.previews.engine import open_engine
    from infra.previews.ground import open_ground
    from infra.previews.guard import BASE

    lifetime(expires)
    engine = open_engine(base)
    stack = _stack(engine, name)
    if there and not engine.has(stack):
        raise SlipwayError(f"There is no preview {name} (its stack would be {stack}).", "slipway preview create")
    base = base or engine.tags(stack).get(BASE, "")
    wanted = Wanted(name, stack, expires, image)
    _tell(bring_up(engine, open_ground(base), wanted, datetime.now(UTC), steps.print), as_json)


def _stack(engine: Engine, name: str) -> str:
    """The stack of a preview: `name` is its branch's, or as `list` shows it, the stack's own."""
    from infra.local.paths import project
    from infra.previews.guard import NAME
    from infra.previews.names import is_ours, stack_of

    mine = stack_of(name, project())
    if mine != name and is_ours(name) and not engine.has(mine) and engine.has(name):
        return name if engine.tags(name).get(NAME) else mine
    return mine


def _ground(engine: Engine, base: str) -> Ground | None:
    """The environment; None, said, where nobody knows which it was."""
    from infra.previews.ground import ground_or_what_is_left

    if not base:
        steps.print("No environment is known for it (--base): neither its database nor leftovers are looked for.")
        return None
    return ground_or_what_is_left(engine, base, _step)


def _step(words: str) -> None:
    steps.print(words, markup=False)


def _seen(engine: Engine, base: str) -> list[Any]:
    from infra.previews.guard import BASE, KIND, PREVIEW, look

    filters = f"{BASE}={base}" if base else f"{KIND}={PREVIEW}"
    return [look(engine, stack) for stack in engine.stacks("--tag", filters)]


def _tell(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        _print(found)
        return
    for key, value in found.items():
        out.print(f"{key.replace('_', ' '):12} {value}", markup=False)


def _say(as_json: bool, found: dict[str, Any], words: str) -> None:
    if as_json:
        _print(found)
    else:
        out.print(words)


def _print(found: dict[str, Any] | Sequence[Any]) -> None:
    sys.stdout.write(json.dumps(found, indent=2) + "\n")
