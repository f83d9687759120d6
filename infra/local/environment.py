"""`slipway up` and `slipway down`: the whole environment on this machine."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from urllib.request import urlopen

from infra.errors import SlipwayError
from infra.local import engine
from infra.local.base_images import ensure_base
from infra.local.docker_engine import ensure_docker, stop_docker_if_ours
from infra.local.emulator import process as emulator
from infra.local.paths import ROOT, run_dir
from infra.local.progress import console, step, timings
from infra.local.session import Session, emulator_port, open_session
from infra.local.status import Status, read_status
from infra.settings import Settings

ANSWER_SECONDS = 30


def up() -> Status:
    """Set up what is missing, deploy the stack `local`, and see that the app answers.

    Raises `SlipwayError` with the reason when any of it does not come about.
    """
    started = time.monotonic()
    settings = Settings.from_files("local")
    with _alone():
        with step("Docker engine"):
            docker = ensure_docker()
        with step("Pulumi"):
            session = open_session(docker)
        console.print(f"  {session.toolchain.origin}")
        with step(f"Base image {settings.base_image}"):
            base = ensure_base(settings.base_image)
        console.print(f"  {base.reference}: {base.origin}")
        for reference in (f"postgres:{settings.database_version}-alpine", f"redis:{settings.cache_version[0]}-alpine"):
            with step(f"Image {reference}"):
                console.print(f"  {reference}: {ensure_base(reference).origin}")
        with step("Local AWS"):
            running = emulator.start(emulator_port(), docker.bridge_address)
            if running.started_fresh:
                engine.discard_state()
            engine.ensure_stack(session)
            engine.recover(session)
        _write_authorities(running.endpoint, settings)
        console.print(f"  at {running.endpoint}, pid {running.pid}, log {running.log}")
        changed = _deploy(session)
        with step("A request through the load balancer"):
            status = _answering(session)
    _tell(status, changed, time.monotonic() - started)
    return status


def down() -> None:
    """Destroy the stack through the engine, stop the emulator, and leave nothing running."""
    with _alone():
        running = emulator.running()
        if running:
            docker = ensure_docker()
            session = open_session(docker)
            if engine.stack_exists():
                engine.recover(session)
                with step("Destroying the stack local"):
                    code = engine.pulumi(session, "destroy", "--yes", "--skip-preview")
                if code:
                    raise SlipwayError(
                        f"`pulumi destroy` ended with {code}; its words are above.",
                        "Mend what it names and run `make down` again; nothing else was stopped.",
                    )
        with step("Stopping the local AWS"):
            emulator.stop()
            engine.discard_state()
        if stop_docker_if_ours():
            console.print("  The Docker engine that `make up` had started is stopped as well.")
    console.print("Nothing of the local environment is left running.")


def _write_authorities(endpoint: str, settings: Settings) -> None:
    """Who signs the local database's and cache's certificates, into the files that the stack names."""
    for service, name in (("rds", settings.database_ca), ("elasticache", settings.cache_ca)):
        with urlopen(f"{endpoint}/_ministack/{service}/ca.pem", timeout=10) as answer:  # noqa: S310 - loopback
            text = answer.read()
        file = ROOT / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists() or file.read_bytes() != text:
            file.write_bytes(text)


def _deploy(session: Session) -> bool:
    with step("pulumi up"):
        code = engine.pulumi(session, "up", "--yes", "--skip-preview")
    if code:
        raise SlipwayError(
            f"`pulumi up` ended with {code}; what failed and why stands above.",
            "Mend it and run `make up` again: it goes on from here. `make logs` shows the app's log.",
        )
    return any(kind != "same" for kind in engine.last_changes(session))


def _answering(session: Session) -> Status:
    deadline = time.monotonic() + ANSWER_SECONDS
    while True:
        status = read_status(session)
        if status.answers:
            return status
        if time.monotonic() > deadline:
            raise SlipwayError(
                f"{status.url} does not answer: {status.trouble}",
                "See `make logs` and `slipway status`.",
            )
        time.sleep(0.5)


def _tell(status: Status, changed: bool, seconds: float) -> None:
    slow = sorted(timings, key=lambda timing: -timing[1])[:3]
    console.print()
    console.print("[bold green]Deployed.[/bold green]" if changed else "[bold]Nothing to change.[/bold]")
    console.print(
        f"{seconds:.0f} s in all; the longest: " + ", ".join(f"{title} {spent:.0f} s" for title, spent in slow)
    )
    console.print(f"\nThe app answers at [bold]{status.url}[/bold]")
    console.print(
        "Next:\n"
        f"  curl {status.url}livez\n"
        "  make status                         what runs, and how healthy it is\n"
        "  make logs                           the app's log\n"
        '  eval "$(.venv/bin/slipway env)"     then: pulumi preview -s local, pulumi stack output\n'
        "  make down                           take it all away"
    )


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """One `slipway up` or `down` at a time in a clone; the kernel lets go of the lock with the process."""
    path = run_dir() / "lock"
    with path.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = path.read_text().strip()
            raise SlipwayError(
                f"Another slipway (pid {holder}) is working on this clone.", "Wait until it has ended."
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
