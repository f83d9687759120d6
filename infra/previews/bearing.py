"""An environment that bears previews is not destroyed under them."""

from __future__ import annotations

import json

from infra import naming
from infra.errors import SlipwayError
from infra.local import engine as local_engine
from infra.local.emulator import process as emulator
from infra.local.paths import ROOT, project
from infra.local.session import STACK
from infra.previews import leftovers
from infra.previews.engine import Engine, open_engine
from infra.previews.guard import BASE, KIND, PREVIEW
from infra.release.stack import open_stack


def refuse_while_it_bears_previews(base: str) -> None:
    """Of this machine's own. Raises `SlipwayError` with their names while there are any."""
    if not emulator.running() or not local_engine.stack_exists(base):
        return  # what stood there has ended with the local AWS
    _refuse(base, _stacks(open_engine(base), base))


def destroy_environment(stack: str, yes: bool) -> None:
    """`pulumi destroy`, which asks by itself. Raises `SlipwayError` where a preview has a stack, or anything in AWS."""
    if stack == STACK:
        raise SlipwayError("local is this machine's own.", "slipway down")
    engine = open_engine(stack)
    if not engine.has(stack):
        raise SlipwayError(f"There is no stack {stack}.", "pulumi stack ls")
    if engine.tags(stack).get(KIND) == PREVIEW:
        raise SlipwayError(f"{stack} is a preview.", f"slipway preview destroy {stack}")
    _refuse(stack, _stacks(engine, stack) | _in_aws(engine, stack))
    engine.run("destroy", *(["--yes", "--skip-preview"] if yes else []), "--stack", stack, folder=ROOT)


def _stacks(engine: Engine, base: str) -> set[str]:
    return set(engine.stacks("--tag", f"{BASE}={base}"))


def _in_aws(engine: Engine, base: str) -> set[str]:
    """Those whose stack is gone, or in another backend."""
    outputs = json.loads(engine.ask("stack", "output", "--json", "--stack", base))
    if "previews" not in outputs.get("foundation", {}):
        return set()  # it never bore any, or never came up
    before = naming.stack_name(project(), "")
    found = leftovers.stacks_of(open_stack(base).aws, naming.stack_name(project(), base))
    return {stack.removeprefix(before) for stack in found}


def _refuse(base: str, found: set[str]) -> None:
    if found:
        raise SlipwayError(
            f"{len(found)} previews stand on {base}: {', '.join(sorted(found))}.",
            "slipway preview destroy each of them, or all: "
            f"slipway preview reap --base {base} --at 2100-01-01T00:00:00+00:00",
        )
