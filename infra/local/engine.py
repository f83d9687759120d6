"""Running the Pulumi engine on the local stack, and putting right what a killed engine left behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil
from botocore.exceptions import ClientError

from infra.engine import answer
from infra.errors import SlipwayError
from infra.local.paths import ROOT, project, run_dir
from infra.local.progress import console
from infra.local.provider import journal, not_emulated_types
from infra.local.provider.kind import Context, gone
from infra.local.provider.types import TYPES
from infra.local.session import STACK, Session, state_dir

PROVIDER_SECONDS = 120
CANCEL_SECONDS = 30
"""How long an interrupted engine may take to write its state down before it is killed."""


def pulumi(session: Session, *arguments: str, fix: str) -> None:
    """Run the engine on this terminal; raises `SlipwayError` when it fails. An interrupt lets it end in order."""
    command = [str(session.toolchain.pulumi), *arguments, "--stack", STACK]
    process = subprocess.Popen(command, cwd=ROOT, env=session.environ())
    try:
        code = process.wait()
        if code:
            raise SlipwayError(f"`pulumi {arguments[0]}` ended with {code}; what failed and why stands above.", fix)
    except KeyboardInterrupt:
        console.print("Stopping: the engine writes its state down. The next `make up` goes on from there.")
        try:
            process.wait(CANCEL_SECONDS)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            process.send_signal(signal.SIGKILL)
            process.wait()
        raise


def ask(session: Session, *arguments: str, folder: Path = ROOT) -> str:
    """Run the engine for its answer on standard output; an error is a `SlipwayError` with its words."""
    return answer(arguments, folder, binary=session.toolchain.pulumi, environment=session.environ())


def resources() -> list[dict[str, Any]]:
    """Those of the stack's state, read from its file: to start the engine for it takes a second. Secrets stay
    encrypted; empty where there is no stack, or nothing was deployed yet."""
    if not stack_exists():
        return []
    found = json.loads(_state_file().read_text())["checkpoint"].get("latest") or {}
    return found.get("resources") or []


def outputs() -> dict[str, Any]:
    """The stack's outputs, secrets encrypted; empty where there is no stack."""
    return next((r.get("outputs") or {} for r in resources() if r["type"] == "pulumi:pulumi:Stack"), {})


def not_emulated() -> list[str]:
    """Names of the resources whose type the emulator lacks: they live in the state alone."""
    unknown = not_emulated_types()
    return [f"{r['type']} {r['urn'].rsplit('::', 1)[-1]}" for r in resources() if r["type"] in unknown]


def last_changes(session: Session) -> dict[str, int]:
    """What the last update did, as the engine counted it: `create`, `update`, `same` and so on."""
    history = json.loads(ask(session, "stack", "history", "--json", "--page-size", "1", "--stack", STACK))
    changes: dict[str, int] = history[0].get("resourceChanges") or {} if history else {}
    return changes


def stack_exists(stack: str = STACK) -> bool:
    """Whether a stack of this machine has a state."""
    return _state_file(stack).exists()


def _state_file(stack: str = STACK) -> Path:
    return state_dir() / ".pulumi" / "stacks" / project() / f"{stack}.json"


def resources_known() -> int:
    """How many resources the local stack's state has: those of the last update, whether or not they are still there."""
    return sum(1 for resource in resources() if resource.get("custom"))


def ensure_stack(session: Session) -> None:
    """Create the stack where there is none."""
    if not stack_exists():
        ask(session, "stack", "init", STACK)


def discard_state() -> None:
    """Forget a state whose resources went with the emulator that held them; the last one stays for a look."""
    state = state_dir()
    if any(state.iterdir()):
        old = state.with_name("state.old")
        shutil.rmtree(old, ignore_errors=True)
        state.rename(old)
    journal.clear()


def recover(session: Session, stack: str = STACK, folder: Path = ROOT) -> None:
    """After a killed engine: release its lock, delete what it made but had not written down yet.

    The caller holds slipway's own lock of the stack, so a lock of an engine whose process is gone is a stale one.
    `folder`: where the project lies whose stack it is.
    """
    if not stack_exists(stack):
        return
    locks = list((state_dir() / ".pulumi" / "locks" / "organization" / project() / stack).rglob("*.json"))
    for lock in locks:
        holder = json.loads(lock.read_text())
        if _alive(int(holder.get("pid", 0))):
            raise SlipwayError(
                f"Another pulumi (pid {holder['pid']}) is working on the stack {stack}.",
                "Wait until it has ended.",
            )
    if locks:
        console.print("An engine was killed here: releasing its lock.")
        _wait_for_providers()
        ask(session, "cancel", "--yes", "--stack", stack, folder=folder)
    state = json.loads(ask(session, "stack", "export", "--stack", stack, folder=folder))
    _clear_pending(session, state, stack, folder)
    _delete_orphans(session, state, stack)


def _wait_for_providers() -> None:
    """A provider that lost its engine still finishes what it was making, and notes it in its journal."""
    deadline = time.monotonic() + PROVIDER_SECONDS
    while time.monotonic() < deadline and any(map(_has_lost_its_engine, psutil.process_iter())):
        time.sleep(0.2)


def _has_lost_its_engine(process: psutil.Process) -> bool:
    """Of this clone, and its parent is no engine any more: those of other stacks at work have theirs."""
    try:
        mine = process.environ().get("SLIPWAY_RUN_DIR") == str(run_dir())
        if not mine or "infra.local.provider" not in process.cmdline():
            return False
        return not any(parent.name() == "pulumi" for parent in process.parents())
    except psutil.Error:
        return False


def _delete_orphans(session: Session, state: dict[str, Any], stack: str) -> None:
    """Take away what a killed engine had made without writing it down; the next update makes it afresh."""
    orphans = journal.orphans(state, stack)
    if not orphans:
        return
    aws = Context()
    for orphan in orphans:
        console.print(f"  Deleting {orphan['type']} {orphan['id']}: made, but not in the state.", markup=False)
        try:
            TYPES[orphan["type"]].delete(aws, orphan["id"], orphan["properties"])
        except ClientError as error:
            if not gone(error):
                raise SlipwayError(f"It cannot be deleted: {error}", "make down, then make up") from None
        journal.record("deleted", stack, orphan["type"], orphan["id"], {})


def _clear_pending(session: Session, state: dict[str, Any], stack: str, folder: Path) -> None:
    pending = state["deployment"].get("pending_operations") or []
    if not pending:
        return
    names = ", ".join(operation["resource"]["urn"].rsplit("::", 1)[-1] for operation in pending)
    console.print(f"It was in the middle of: {names}. Going on from what is really there.", markup=False)
    state["deployment"]["pending_operations"] = []
    command = [str(session.toolchain.pulumi), "stack", "import", "--force", "--stack", stack]
    subprocess.run(
        command,
        cwd=folder,
        env=session.environ(),
        input=json.dumps(state),
        text=True,
        check=True,
        capture_output=True,
    )


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return pid > 0
