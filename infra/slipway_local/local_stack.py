"""Running the Pulumi engine on the local stack, and putting right what a killed engine left behind."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from botocore.exceptions import ClientError

from slipway.config.errors import SlipwayError
from slipway.config.project import project_name, project_root, run_dir
from slipway.config.stack_config import stack_file_path
from slipway.config.stack_file import restore_stack_file
from slipway.config.text_files import read_text_file
from slipway.release.pulumi_cli import run_pulumi
from slipway_local.engine_output import EngineOutput, read_new_events
from slipway_local.ownership import ensure_same_project
from slipway_local.process_end import wait_until_ended
from slipway_local.provider import journal, not_emulated_types
from slipway_local.provider.resource_type import ProviderContext, is_not_found
from slipway_local.session import LOCAL_STACK, Session, state_dir
from slipway_local.step_timer import console, describe_step

FORMER_COMPONENT_TYPES = frozenset(
    {
        "slipway:cluster:Cluster",
        "slipway:loadbalancer:LoadBalancer",
        "slipway:network:Network",
        "slipway:web:Web",
        "slipway:worker:Worker",
    }
)
"""Of components that were renamed without an alias; every stack had at least one of them."""
PROVIDER_TIMEOUT_SECONDS = 120
ENDING_SECONDS = 2.0
"""How long the process of a killed engine may still exist."""
EVENT_POLL_SECONDS = 0.3
FAILURE_LINES = 20
"""Lines of the engine's output that a failure without a known cause ends with."""
CANCEL_TIMEOUT_SECONDS = 30
"""How long an interrupted engine may take to write its state down before it is killed."""


def run_pulumi_for_person(session: Session, *arguments: str, fix: str, verbose: bool = False) -> None:
    """Runs the engine and show what concerns a person of it; all of it is in a log. `verbose`: shown as it comes.

    Raises `SlipwayError` with the causes when it fails. An interrupt lets it end in order.
    """
    command = [str(session.toolchain.pulumi), *arguments, "--stack", LOCAL_STACK]
    if verbose:
        process = subprocess.Popen(command, cwd=project_root(), env=session.environ())
        if _wait_for_engine(process, lambda: None):
            raise SlipwayError(f"`pulumi {arguments[0]}` failed; the cause is above.", fix)
        return
    log, events = _engine_logs(arguments[0])
    output = EngineOutput(lambda line: console.print(f"  {line}", markup=False))
    position = 0

    def read() -> None:
        nonlocal position
        found, position = read_new_events(events, position)
        for event in found:
            output.read(event)
        describe_step(output.current)

    with log.open("w") as out:
        process = subprocess.Popen(
            [*command, "--color", "never", "--suppress-outputs", "--event-log", str(events)],
            cwd=project_root(),
            env=session.environ() | {"PULUMI_DEBUG_COMMANDS": "true"},  # where the engine has that option
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        code = _wait_for_engine(process, read)
    read()
    for line in output.summary():
        console.print(f"  {line}", markup=False)
    if code:
        causes = "\n".join(output.failures) or _last_lines(log)
        raise SlipwayError(f"`pulumi {arguments[0]}` failed.\n{causes}", f"{fix} The whole output: {log}")


def _engine_logs(command: str) -> tuple[Path, Path]:
    """Returns the files of the engine's output and of its events, emptied."""
    folder = run_dir() / "log"
    folder.mkdir(exist_ok=True)
    log = folder / f"pulumi-{command}.log"
    events = folder / f"pulumi-{command}.events"
    for file in (log, events):
        file.unlink(missing_ok=True)
    return log, events


def _last_lines(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-FAILURE_LINES:])


def _wait_for_engine(process: subprocess.Popen[bytes], read: Callable[[], None]) -> int:
    """Waits until the engine ends, and `read` what it says meanwhile; its exit code."""
    try:
        while True:
            read()
            try:
                return process.wait(EVENT_POLL_SECONDS)
            except subprocess.TimeoutExpired:
                continue
    except KeyboardInterrupt:
        console.print("Stopping: Pulumi saves its state. The next `slipway up` continues from there.")
        try:
            process.wait(CANCEL_TIMEOUT_SECONDS)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            process.send_signal(signal.SIGKILL)
            process.wait()
        raise


def read_pulumi_output(session: Session, *arguments: str, folder: Path | None = None) -> str:
    """Runs the engine for its answer on standard output; an error is a `SlipwayError` with its words."""
    return run_pulumi(arguments, folder, binary=session.toolchain.pulumi, environment=session.environ())


def read_resources() -> list[dict[str, Any]]:
    """Those of the stack's state, read from its file: to start the engine for it takes a second. Secrets stay
    encrypted; empty where there is no stack, or nothing was deployed yet."""
    if not has_stack():
        return []
    deployment = json.loads(_state_file().read_text())["checkpoint"].get("latest") or {}
    return deployment.get("resources") or []


def ensure_no_former_components() -> None:
    """Refuses to update a stack that a version before the package deployed.

    Its components have other types, so an update would create everything a second time, and fail on
    the first fixed name.

    Raises `SlipwayError` with what takes the stack down.
    """
    former = sorted({resource["type"] for resource in read_resources()} & FORMER_COMPONENT_TYPES)
    if former:
        raise SlipwayError(
            f"The stack {LOCAL_STACK} of this machine was deployed by a version from before the package: its state has"
            f" components of the types {', '.join(former)}. Nothing was changed.",
            "slipway down, which removes it and the data of its database; then slipway up",
        )


def read_outputs() -> dict[str, Any]:
    """Returns the stack's outputs, secrets encrypted; empty where there is no stack."""
    return next((r.get("outputs") or {} for r in read_resources() if r["type"] == "pulumi:pulumi:Stack"), {})


def list_not_emulated_resources() -> list[str]:
    """Names of the resources whose type the emulator lacks: they live in the state alone."""
    unknown = not_emulated_types()
    return [f"{r['type']} {r['urn'].rsplit('::', 1)[-1]}" for r in read_resources() if r["type"] in unknown]


def read_last_changes(session: Session) -> dict[str, int]:
    """Returns what the last update did, as the engine counted it: `create`, `update`, `same` and so on."""
    history = json.loads(
        read_pulumi_output(session, "stack", "history", "--json", "--page-size", "1", "--stack", LOCAL_STACK)
    )
    changes: dict[str, int] = history[0].get("resourceChanges") or {} if history else {}
    return changes


def has_stack(stack: str = LOCAL_STACK) -> bool:
    """Returns whether a stack of this machine has a state."""
    return _state_file(stack).exists()


def _state_file(stack: str = LOCAL_STACK) -> Path:
    return state_dir() / ".pulumi" / "stacks" / project_name() / f"{stack}.json"


def count_resources() -> int:
    """Returns how many resources the local stack's state has, whether or not they still exist."""
    return sum(1 for resource in read_resources() if resource.get("custom"))


def ensure_not_renamed() -> None:
    """Refuses where the state has a stack of another project: it was renamed in Pulumi.yaml. Raises `SlipwayError`."""
    for file in sorted((state_dir() / ".pulumi" / "stacks").glob(f"*/{LOCAL_STACK}.json")):
        if (json.loads(file.read_text())["checkpoint"].get("latest") or {}).get("resources"):
            ensure_same_project(file.parent.name)


def ensure_stack(session: Session) -> None:
    """Creates the stack where there is none. Its file keeps its comments and order, and gets an encryption salt."""
    if not has_stack():
        text = read_text_file(stack_file_path(LOCAL_STACK), str(stack_file_path(LOCAL_STACK)))
        read_pulumi_output(session, "stack", "init", LOCAL_STACK)
        restore_stack_file(LOCAL_STACK, text)


def discard_state() -> None:
    """Moves a state aside whose resources went with the emulator that held them, to .slipway/state.old."""
    state = state_dir()
    if any(state.iterdir()):
        old = state.with_name("state.old")
        shutil.rmtree(old, ignore_errors=True)
        state.rename(old)
    journal.clear_journal()


def recover_stack(session: Session, stack: str = LOCAL_STACK, folder: Path | None = None) -> None:
    """Recover a stack after a killed engine: release its lock, delete what it created and had not recorded yet.

    The caller holds slipway's own lock of the stack, so a lock of an engine whose process is gone is a stale one.
    `folder`: where the project lies whose stack it is.
    """
    if not has_stack(stack):
        return
    locks = list((state_dir() / ".pulumi" / "locks" / "organization" / project_name() / stack).rglob("*.json"))
    for lock in locks:
        holder = json.loads(lock.read_text())
        if not wait_until_ended(int(holder.get("pid", 0)), ENDING_SECONDS):
            raise SlipwayError(
                f"Another pulumi (pid {holder['pid']}) is working on the stack {stack}.",
                f"Wait until it has ended. If it hangs: kill -INT {holder['pid']}",
            )
    if locks:
        console.print("An engine was killed here: releasing its lock.")
        _wait_for_providers()
        read_pulumi_output(session, "cancel", "--yes", "--stack", stack, folder=folder)
    state = json.loads(read_pulumi_output(session, "stack", "export", "--stack", stack, folder=folder))
    _clear_pending_operations(session, state, stack, folder)
    _delete_orphaned_resources(session, state, stack)


def _wait_for_providers() -> None:
    """Waits for providers that lost their engine: they finish what they were creating, and record it."""
    deadline = time.monotonic() + PROVIDER_TIMEOUT_SECONDS
    while time.monotonic() < deadline and any(map(_is_orphaned_provider, psutil.process_iter())):
        time.sleep(0.2)


def _is_orphaned_provider(process: psutil.Process) -> bool:
    """Returns whether a process is a provider of this clone without an engine: those at work have one as parent."""
    try:
        is_of_this_clone = process.environ().get("SLIPWAY_RUN_DIR") == str(run_dir())
        if not is_of_this_clone or "slipway_local.provider" not in process.cmdline():
            return False
        return not any(parent.name() == "pulumi" for parent in process.parents())
    except psutil.Error:
        return False


def _delete_orphaned_resources(session: Session, state: dict[str, Any], stack: str) -> None:
    """Deletes resources that a killed engine created without recording them; the next update creates them again."""
    orphans = journal.find_orphaned_resources(state, stack)
    if not orphans:
        return
    from slipway_local.provider.types import RESOURCE_TYPES  # here, for it costs each command a fifth of a second

    aws = ProviderContext()
    for orphan in orphans:
        console.print(f"  Deleting {orphan['type']} {orphan['id']}: made, but not in the state.", markup=False)
        try:
            RESOURCE_TYPES[orphan["type"]].delete(aws, orphan["id"], orphan["properties"])
        except ClientError as error:
            if not is_not_found(error):
                raise SlipwayError(
                    f"{orphan['type']} {orphan['id']}, which a killed engine left, cannot be deleted: {error}",
                    "slipway down, then slipway up",
                ) from None
        journal.record_operation("deleted", stack, orphan["type"], orphan["id"], {})


def _clear_pending_operations(session: Session, state: dict[str, Any], stack: str, folder: Path | None) -> None:
    pending = state["deployment"].get("pending_operations") or []
    if not pending:
        return
    names = ", ".join(operation["resource"]["urn"].rsplit("::", 1)[-1] for operation in pending)
    console.print(f"It was in the middle of: {names}. Going on from what is really there.", markup=False)
    state["deployment"]["pending_operations"] = []
    command = [str(session.toolchain.pulumi), "stack", "import", "--force", "--stack", stack]
    subprocess.run(
        command,
        cwd=folder or project_root(),
        env=session.environ(),
        input=json.dumps(state),
        text=True,
        check=True,
        capture_output=True,
    )
