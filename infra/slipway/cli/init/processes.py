"""Finds the processes other than the server: workers, schedulers and release commands."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath

from slipway.cli.init.packages import Packages
from slipway.cli.init.sources import Module, SourceTree

BEAT_SIGNS = ("beat_schedule", "add_periodic_task", "crontab")


@dataclass(frozen=True)
class FoundProcess:
    """A process in addition to `web`."""

    name: str
    command: str
    file: PurePosixPath
    takes_jobs: bool = True
    """Whether it receives jobs from a queue; a scheduler only sends them."""


@dataclass(frozen=True)
class ReleaseCommands:
    """Commands that run once before any process is updated; an empty one does not exist."""

    release: str = ""
    plan: str = ""
    seed: str = ""


def find_workers(modules: list[Module], dotted: Callable[[Module], str], packages: Packages) -> list[FoundProcess]:
    """Returns the workers of common libraries, and Celery's scheduler."""
    processes: list[FoundProcess] = []
    for module in modules:
        processes += _celery(module, dotted(module), modules)
        processes += _others(module, dotted(module), packages)
    by_name: dict[str, FoundProcess] = {}
    for process in processes:
        by_name.setdefault(process.name, process)
    return list(by_name.values())


def _celery(module: Module, dotted: str, modules: list[Module]) -> list[FoundProcess]:
    calls = [n for n in module.nodes if isinstance(n, ast.Call) and _is(module, n, "celery.Celery")]
    if not calls:
        return []
    variables = [
        target.id
        for node in module.nodes
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and node.value in calls
        for target in node.targets
        if isinstance(target, ast.Name)
    ]
    # Celery finds `app` and `celery` by default; another name must be explicit.
    is_usual = not variables or any(name in ("app", "celery") for name in variables)
    app = dotted if is_usual else f"{dotted}:{variables[0]}"
    # Celery's default is one process per core, counted from the host's cores.
    processes = [FoundProcess("worker", f"celery -A {app} worker --concurrency 1", module.path)]
    text = "\n".join(part.text for part in modules if "celery" in part.text)
    if any(re.search(rf"\b{sign}\b", text) for sign in BEAT_SIGNS):
        # The root file system is read-only; /tmp is writable.
        beat = f"celery -A {app} beat --schedule /tmp/celerybeat-schedule --pidfile="
        processes.append(FoundProcess("beat", beat, module.path, takes_jobs=False))
    return processes


def _others(module: Module, dotted: str, packages: Packages) -> list[FoundProcess]:
    for node in module.syntax.body:
        if isinstance(node, ast.ClassDef) and node.name == "WorkerSettings" and packages.any_of("arq"):
            return [FoundProcess("worker", f"arq {dotted}.WorkerSettings", module.path)]
        if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Call):
            continue
        origin = module.origin(node.value.func)
        name = node.targets[0].id if isinstance(node.targets[0], ast.Name) else ""
        if name and origin.startswith("taskiq") and origin.endswith("Broker"):
            return [FoundProcess("worker", f"taskiq worker {dotted}:{name} --workers 1", module.path)]
        if name and origin.startswith("dramatiq.brokers.") and origin.endswith("Broker"):
            return [FoundProcess("worker", f"dramatiq {dotted} --processes 1", module.path)]
    return []


def _is(module: Module, call: ast.Call, *origins: str) -> bool:
    return module.origin(call.func) in origins


def find_release(
    tree: SourceTree, modules: list[Module], dotted: Callable[[Module], str], source: PurePosixPath, packages: Packages
) -> ReleaseCommands:
    """Returns the commands that migrate and seed the database: a module of the app, or alembic's command."""
    release, plan, seed = "", "", ""
    for module in modules:
        if not _is_script(module):
            continue
        upgrades = [n for n in module.nodes if isinstance(n, ast.Call) and _upgrades(module, n)]
        if upgrades and not release:
            release = f"python -m {dotted(module)}"
            plan = f"{release} --plan" if '"--plan"' in module.text or "'--plan'" in module.text else ""
        if module.path.stem in ("seed", "seeds", "initial_data") and not seed:
            seed = f"python -m {dotted(module)}"
    if not release:
        release = _alembic(tree, source)
    if not release and packages.any_of("aerich"):
        release = "aerich upgrade"
    return ReleaseCommands(release, plan, seed)


def _alembic(tree: SourceTree, source: PurePosixPath) -> str:
    for path in tree.named("alembic.ini"):
        if path.is_relative_to(source):
            place = path.relative_to(source)
            return "alembic upgrade head" if place.parent == PurePosixPath() else f"alembic -c {place} upgrade head"
    if "[tool.alembic]" in tree.text(source / "pyproject.toml"):
        return "alembic upgrade head"
    return ""


def _upgrades(module: Module, call: ast.Call) -> bool:
    return module.origin(call.func) == "alembic.command.upgrade"


def _is_script(module: Module) -> bool:
    return bool(re.search(r"^if __name__ == [\"']__main__[\"']:", module.text, re.MULTILINE))
