"""`slipway up` and `slipway down`: the whole environment on this machine."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

from rich.markup import escape

from infra import contract
from infra.app import App
from infra.app_file import load_app
from infra.errors import SlipwayError
from infra.local import engine, prebuilt
from infra.local.base_images import ensure_bases
from infra.local.docker_engine import DockerEngine, ensure_docker, stop_docker_if_ours
from infra.local.emulator import process as emulator
from infra.local.paths import ROOT, run_dir
from infra.local.progress import console, step, timings, together
from infra.local.session import Session, emulator_port, open_session
from infra.local.status import Status, read_status
from infra.local.toolchain import cached_pulumi, ensure_pulumi, path_pulumi
from infra.settings import Settings

ANSWER_SECONDS = 30


def up() -> Status:
    """Set up what is missing, deploy the stack `local`, and see that the app answers.

    Raises `SlipwayError` with the reason when any of it does not come about.
    """
    started = time.monotonic()
    settings = Settings.from_files("local")
    app = load_app(settings)
    with _alone():
        docker = _set_up(app, settings)
        session = open_session(docker)
        console.print(f"  {session.toolchain.origin}", markup=False)
        with step("Local AWS"):
            running = emulator.start(emulator_port(), docker.bridge_address)
            if running.started_fresh:
                _forget_what_is_gone()
            engine.ensure_stack(session)
            engine.recover(session)
            _write_authorities(running.port, app, settings)
        console.print(f"  at {running.endpoint}, pid {running.pid}, log {running.log}", markup=False)
        with step("pulumi up"):
            again = "Mend it and run `make up` again: it goes on from here. `make logs` shows the log of what failed."
            engine.pulumi(session, "up", "--yes", "--skip-preview", fix=again)
        changed = any(kind != "same" for kind in engine.last_changes(session))
        with step("A request through the load balancer"):
            status = _answering(session)
    _tell(status, app.health.live, changed, time.monotonic() - started)
    return status


def down() -> None:
    """Destroy the stack through the engine, stop the emulator, and leave nothing running."""
    with _alone():
        running = emulator.running()
        if running:
            session = open_session(ensure_docker())
            if engine.stack_exists():
                engine.recover(session)
                with step("Destroying the stack local"):
                    again = "Mend what it names and run `make down` again; nothing else was stopped."
                    engine.pulumi(session, "destroy", "--yes", "--skip-preview", fix=again)
        elif emulator.left_behind():
            console.print("  The local AWS does not answer: what it has made is taken away without asking it.")
            ensure_docker()
        with step("Stopping the local AWS"):
            emulator.stop()
            engine.discard_state()
        if stop_docker_if_ours():
            console.print("  The Docker engine that `make up` had started is stopped as well.")
    console.print("Nothing of the local environment is left running.")


def _set_up(app: App, settings: Settings) -> DockerEngine:
    """What takes long where nothing is cached, side by side: the engine of Pulumi; Docker's, and then the images."""
    found: list[DockerEngine] = []
    needed = _bases(app, settings)

    def images() -> None:
        with step("Docker engine"):
            found.append(ensure_docker())
        for image in ensure_bases(needed):
            console.print(f"  {image.reference}: {image.origin}")
        if not (cached_pulumi() or path_pulumi()[0]):  # it is being built, for minutes
            prebuilt.begin(app, settings, found[0].client)

    def pulumi() -> None:
        with step("Pulumi"):
            ensure_pulumi()

    together(pulumi, images)
    return found[0]


def _bases(app: App, settings: Settings) -> list[str]:
    """The images that the app is built from and that its stores run: what it does not need is not pulled."""
    found = _from_lines(ROOT / app.dockerfile) if app.dockerfile else [settings.base_image]
    if "database" in app.stores:
        found.append(f"postgres:{settings.database_version}-alpine")
    if "cache" in app.stores:
        found.append(f"redis:{settings.cache_version[0]}-alpine")
    if settings.monitoring and app.metrics_port:
        found += contract.MONITORING_IMAGES.values()
        found += [image for store, image in contract.EXPORTER_IMAGES.items() if store in app.stores]
    if settings.tracing:
        found.append(contract.COLLECTOR_IMAGE)
    return found


def _from_lines(dockerfile: Path) -> list[str]:
    """The images that a Dockerfile of the user's is built from, without its own stages; one by a variable is its
    builder's to find."""
    named, stages = [], {"scratch"}
    for line in dockerfile.read_text(encoding="utf-8").splitlines():
        found = re.match(r"\s*FROM\s+(?:--platform=\S+\s+)?(\S+)(?:\s+AS\s+(\S+))?", line, re.IGNORECASE)
        if found:
            if found[1] not in stages and "$" not in found[1]:
                named.append(found[1])
            stages |= {found[2]} if found[2] else set()
    return list(dict.fromkeys(named))


def _forget_what_is_gone() -> None:
    """A new local AWS has nothing of what the state tells of. Said first, for a developer may miss it."""
    lost = engine.resources_known()
    if lost:
        console.print(
            "[bold]The local AWS of the last deployment has ended[/bold] (killed, or this machine restarted), and"
            f" its {lost} resources with it: they are made anew. What was in queues, buckets and cache is lost; the"
            " database keeps its data.\n"
            "  The state that told of them stays for a look in .slipway/state.old."
        )
    engine.discard_state()


def _write_authorities(port: int, app: App, settings: Settings) -> None:
    """Who signs the local database's and cache's certificates, into the files that the stack names."""
    needed = {"rds": ("database", settings.database_ca), "elasticache": ("cache", settings.cache_ca)}
    for service, (store, name) in needed.items():
        if store not in app.stores:
            continue
        text = emulator.get(port, f"/_ministack/{service}/ca.pem")
        file = ROOT / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists() or file.read_bytes() != text:
            file.write_bytes(text)


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


def _tell(status: Status, live: str, changed: bool, seconds: float) -> None:
    slow = sorted(timings, key=lambda timing: -timing[1])[:3]
    console.print()
    console.print("[bold green]Deployed.[/bold green]" if changed else "[bold]Nothing to change.[/bold]")
    console.print(
        f"{seconds:.0f} s in all; the longest: " + ", ".join(f"{title} {spent:.0f} s" for title, spent in slow)
    )
    console.print(f"\nThe app answers at [bold]{status.url}[/bold]")
    for trouble in status.troubles:
        console.print(f"[yellow]But[/yellow] {escape(trouble)}")
    console.print(
        "Next:\n"
        f"  curl {status.url}{live.lstrip('/')}\n"
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
