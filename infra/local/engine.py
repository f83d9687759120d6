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


def ask(session: Session, *arguments: str) -> str:
    """Run the engine for its answer on standard output; an error is a `SlipwayError` with its words."""
    command = [str(session.toolchain.pulumi), *arguments]
    done = subprocess.run(command, cwd=ROOT, env=session.environ(), capture_output=True, text=True)
    if done.returncode:
        words = (done.stderr or done.stdout).strip()
        raise SlipwayError(f"`pulumi {' '.join(arguments)}` failed:\n{words}")
    return done.stdout


def outputs(session: Session) -> dict[str, Any]:
    """The stack's outputs, secrets masked; empty where there is no stack."""
    if not stack_exists():
        return {}
    found: dict[str, Any] = json.loads(ask(session, "stack", "output", "--json", "--stack", STACK))
    return found


def not_emulated(session: Session) -> list[str]:
    """Names of the resources whose type the emulator lacks: they live in the state alone."""
    state = json.loads(ask(session, "stack", "export", "--stack", STACK))
    unknown = not_emulated_types()
    resources = state["deployment"].get("resources") or []
    return [f"{r['type']} {r['urn'].rsplit('::', 1)[-1]}" for r in resources if r["type"] in unknown]


def last_changes(session: Session) -> dict[str, int]:
    """What the last update did, as the engine counted it: `create`, `update`, `same` and so on."""
    history = json.loads(ask(session, "stack", "history", "--json", "--page-size", "1", "--stack", STACK))
    changes: dict[str, int] = history[0].get("resourceChanges") or {} if history else {}
    return changes


def stack_exists() -> bool:
    """Whether the local stack has a state."""
    return _state_file().exists()


def _state_file() -> Path:
    return state_dir() / ".pulumi" / "stacks" / project() / f"{STACK}.json"


def resources_known() -> int:
    """How many resources the local stack's state has: those of the last update, whether or not they are still there."""
    if not stack_exists():
        return 0
    found = json.loads(_state_file().read_text())["checkpoint"].get("latest") or {}
    return sum(1 for resource in found.get("resources") or [] if resource.get("custom"))


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


def recover(session: Session) -> None:
    """After a killed engine: release its lock, delete what it made but had not written down yet.

    The caller holds this clone's own lock, so a lock of the engine whose process is gone is a stale one.
    """
    if not stack_exists():
        return
    locks = list((state_dir() / ".pulumi" / "locks").rglob("*.json"))
    for lock in locks:
        holder = json.loads(lock.read_text())
        if _alive(int(holder.get("pid", 0))):
            raise SlipwayError(
                f"Another pulumi (pid {holder['pid']}) is working on the stack {STACK}.",
                "Wait until it has ended.",
            )
    if locks:
        console.print("An engine was killed here: releasing its lock.")
        _wait_for_provider()
        ask(session, "cancel", "--yes", "--stack", STACK)
    state = json.loads(ask(session, "stack", "export", "--stack", STACK))
    _clear_pending(session, state)
    _delete_orphans(session, state)


def _wait_for_provider() -> None:
    """A provider that lost its engine still finishes what it was making, and notes it in its journal."""
    deadline = time.monotonic() + PROVIDER_SECONDS
    while time.monotonic() < deadline and any(map(_is_our_provider, psutil.process_iter())):
        time.sleep(0.2)


def _is_our_provider(process: psutil.Process) -> bool:
    try:
        mine = process.environ().get("SLIPWAY_RUN_DIR") == str(run_dir())
        return mine and "infra.local.provider" in process.cmdline()
    except psutil.Error:
        return False


def _delete_orphans(session: Session, state: dict[str, Any]) -> None:
    """Take away what a killed engine had made without writing it down; the next update makes it afresh."""
    orphans = journal.orphans(state, STACK)
    if not orphans:
        return
    aws = Context()
    for orphan in orphans:
        console.print(f"  Deleting {orphan['type']} {orphan['id']}: made, but not in the state.")
        try:
            TYPES[orphan["type"]].delete(aws, orphan["id"], orphan["properties"])
        except ClientError as error:
            if not gone(error):
                raise SlipwayError(f"It cannot be deleted: {error}", "make down, then make up") from None
        journal.record("deleted", STACK, orphan["type"], orphan["id"], {})


def _clear_pending(session: Session, state: dict[str, Any]) -> None:
    pending = state["deployment"].get("pending_operations") or []
    if not pending:
        return
    names = ", ".join(operation["resource"]["urn"].rsplit("::", 1)[-1] for operation in pending)
    console.print(f"It was in the middle of: {names}. Going on from what is really there.")
    state["deployment"]["pending_operations"] = []
    command = [str(session.toolchain.pulumi), "stack", "import", "--force", "--stack", STACK]
    subprocess.run(
        command,
        cwd=ROOT,
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
