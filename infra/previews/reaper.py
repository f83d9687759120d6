"""Holding states, AWS and open pull requests against each other, and taking away what has no reason to be there."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from infra import naming
from infra.errors import SlipwayError
from infra.local.paths import project, run_dir
from infra.previews import leftovers
from infra.previews.engine import Engine
from infra.previews.ground import Ground, ground_or_what_is_left
from infra.previews.guard import BASE, look
from infra.previews.names import is_ours
from infra.previews.reap import Decision, decide
from infra.previews.take_down import take_down
from infra.release import preview_database
from infra.release.speaker import Say

AT_ONCE = 4
"""Engines that run side by side; each takes about 300 MB."""


@dataclass(frozen=True)
class Planned:
    """What is to be done, on which environments."""

    decisions: list[Decision]
    grounds: dict[str, Ground]
    without_stack: dict[str, str]
    """Previews that have something in AWS and no stack -> their environment."""
    base_of: dict[str, str]

    @property
    def to_destroy(self) -> list[str]:
        """The stacks to destroy, and those that are gone and have left something."""
        return [each.stack for each in self.decisions if each.action == "destroy"] + sorted(self.without_stack)

    def json(self) -> dict[str, Any]:
        """For a program."""
        return {"decisions": [each.json() for each in self.decisions], "without_stack": sorted(self.without_stack)}


@dataclass(frozen=True)
class Reaped:
    """What came of it."""

    destroyed: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    """Stack -> why."""

    def json(self) -> dict[str, Any]:
        """For a program."""
        return {"destroyed": self.destroyed, "failed": self.failed}


def plan(engine: Engine, base: str, now: datetime, open_prs: set[int] | None, say: Say) -> Planned:
    """Look at everything; nothing is changed. Without a base: at the previews of all environments that have some."""
    names_of_bases = [base] if base else _bases(engine)
    grounds = {name: ground_or_what_is_left(engine, name, say) for name in names_of_bases}
    # First what is there, then the stacks: a preview that is being made has its stack before anything else.
    remains = {name: _remains(ground) for name, ground in grounds.items()}
    names = engine.stacks()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        seen = list(pool.map(lambda name: look(engine, name), names))
    decisions: list[Decision] = []
    base_of: dict[str, str] = {}
    for name in grounds:
        mine = [each for each in seen if each.broken or each.tags.get(BASE, name) == name]
        for decision in decide(mine, name, now, open_prs):
            if decision.stack not in base_of:
                decisions.append(decision)
                base_of[decision.stack] = name
    without = {stack: name for name, found in remains.items() for stack in found if stack not in names}
    return Planned(decisions, grounds, without, base_of | without)


def carry_out(engine: Engine, planned: Planned, say: Say) -> Reaped:
    """Destroy side by side, and go on when one fails."""
    done = Reaped()

    def destroy(stack: str) -> None:
        log = run_dir() / "previews" / f"{stack}.log"
        try:
            ground = planned.grounds[planned.base_of[stack]]
            taken = take_down(engine, ground, stack, lambda _: None, fix=True, log=log)
            if taken.leftovers:
                raise SlipwayError("left behind: " + ", ".join(each.arn for each in taken.leftovers))
            done.destroyed.append(stack)
            say(f"{stack} is gone, after {taken.seconds:.0f} s.")
        except Exception as error:  # the others' time is over as well
            done.failed[stack] = str(error)
            say(f"{stack} was not destroyed: {error}")

    (run_dir() / "previews").mkdir(exist_ok=True)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(destroy, planned.to_destroy))
    return done


def _bases(engine: Engine) -> list[str]:
    tags = [engine.tags(stack) for stack in engine.stacks("--tag", "slipway:kind=preview")]
    return sorted({found[BASE] for found in tags if found.get(BASE)})


def _remains(ground: Ground) -> set[str]:
    """The previews that have anything in AWS, or a database: as their stacks are called. Not where it is gone: nobody
    knows then that this account is the one that it was in."""
    if not ground.cluster:
        return set()
    aws = ground.aws.of(ground.cluster)
    before = naming.stack_name(project(), "")
    tagged = leftovers.stacks_of(aws, naming.stack_name(project(), ground.base))
    found = {stack.removeprefix(before) for stack in tagged if stack.startswith(before)}
    if ground.server:
        databases = preview_database.listed(aws, ground.server, lambda _: None)
        found |= {name.removeprefix("preview_").replace("_", "-") for name in databases}
    return {stack for stack in found if is_ours(stack)}
