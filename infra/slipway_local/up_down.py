"""`slipway up` and `slipway down`: the whole environment on this machine."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from rich.markup import escape

from slipway.config import constants
from slipway.config.app_spec.app import AppSpec
from slipway.config.app_spec.loader import load_app
from slipway.config.errors import SlipwayError
from slipway.config.project import project_root, run_dir
from slipway.config.schemas import write_uncommitted_schemas
from slipway.config.settings import Settings
from slipway_local import image_prebuild, local_stack
from slipway_local.base_images import ensure_base_images
from slipway_local.docker_engine import DockerEngine, ensure_docker, stop_managed_docker
from slipway_local.emulator import process as emulator
from slipway_local.python_requirement import read_requires_python
from slipway_local.session import Session, emulator_port, open_session
from slipway_local.status import EnvironmentStatus, read_status
from slipway_local.step_timer import console, run_in_parallel, step, step_timings
from slipway_local.toolchain import ensure_pulumi, find_cached_pulumi, find_pulumi_on_path

APP_READY_TIMEOUT_SECONDS = 30


def up(*, verbose: bool = False) -> EnvironmentStatus:
    """Sets up what is missing, deploys the stack `local`, and checks that the app answers.

    `verbose`: the engine's whole output is shown.

    Raises `SlipwayError` with the reason when any of it does not come about.
    """
    started = time.monotonic()
    settings = Settings.from_files("local")
    ensure_no_cdn(settings)
    app = load_app(settings)
    write_uncommitted_schemas(project_root())
    with _hold_clone_lock():
        local_stack.ensure_not_renamed()
        session = start_local_aws(app, settings)
        local_stack.ensure_no_former_components()
        local_stack.ensure_stack(session)
        local_stack.recover_stack(session)
        with step("pulumi up"):
            advice = "Fix it and run `slipway up` again: it continues from here. Logs: `slipway logs`."
            local_stack.run_pulumi_for_person(session, "up", "--yes", "--skip-preview", fix=advice, verbose=verbose)
        changed = any(kind != "same" for kind in local_stack.read_last_changes(session))
        with step("A request through the load balancer"):
            status = _wait_for_app(session)
    _print_summary(status, app.health.live, changed, time.monotonic() - started)
    return status


def ensure_no_cdn(settings: Settings) -> None:
    """Raises `SlipwayError` where the stack `local` is to be behind CloudFront, whose address nothing answers here."""
    if settings.cdn:
        raise SlipwayError(
            "cdn is true: the local AWS stores a CloudFront distribution and serves nothing at its address. Nothing "
            "was changed.",
            "Set cdn to false: pulumi config set cdn false -s local",
            where="stacks/Pulumi.local.yaml",
        )


def start_local_aws(app: AppSpec, settings: Settings) -> Session:
    """Sets up Docker, the images that a stack is built from, Pulumi and the local AWS; nothing is deployed in it.

    Raises `SlipwayError` with the reason when any of it does not come about.
    """
    docker = _prepare_docker_and_pulumi(app, settings)
    session = open_session(docker)
    console.print(f"  {session.toolchain.origin}", markup=False)
    with step("Local AWS"):
        running = emulator.start_emulator(emulator_port(), docker.bridge_address)
        if running.is_new:
            _discard_stale_state()
        _write_ca_bundles(running.port, app, settings)
    console.print(f"  at {running.endpoint}, pid {running.pid}, log {running.log}", markup=False)
    return session


def down() -> None:
    """Destroys the stack through the engine, stops the emulator, and leaves nothing running."""
    with _hold_clone_lock():
        running = emulator.find_running_emulator()
        if running:
            session = open_session(ensure_docker())
            if local_stack.has_stack():
                local_stack.recover_stack(session)
                with step("Destroying the stack local"):
                    advice = "Fix the cause and run `slipway down` again; nothing else was stopped."
                    local_stack.run_pulumi_for_person(session, "destroy", "--yes", "--skip-preview", fix=advice)
        elif emulator.has_unstopped_emulator():
            console.print("  The local AWS does not answer: what it has made is taken away without asking it.")
            ensure_docker()
        with step("Stopping the local AWS"):
            emulator.stop_emulator()
            local_stack.discard_state()
        if stop_managed_docker():
            console.print("  The Docker engine that `slipway up` had started is stopped as well.")
    console.print("Nothing of the local environment is left running.")


def _prepare_docker_and_pulumi(app: AppSpec, settings: Settings) -> DockerEngine:
    """Prepares Pulumi's engine, and in parallel Docker's with the base images; returns the Docker engine."""
    engines: list[DockerEngine] = []
    image_names = _required_base_images(app, settings)

    def images() -> None:
        with step("Docker engine"):
            engines.append(ensure_docker())
        for image in ensure_base_images(image_names, read_requires_python(project_root() / app.source)):
            console.print(f"  {image.reference}: {image.origin}")
        if not (find_cached_pulumi() or find_pulumi_on_path()[0]):  # it is being built, for minutes
            image_prebuild.prebuild_image(app, settings, engines[0].client)

    def pulumi() -> None:
        with step("Pulumi"):
            ensure_pulumi()

    run_in_parallel(pulumi, images)
    return engines[0]


def _required_base_images(app: AppSpec, settings: Settings) -> list[str]:
    """Returns the images that the app is built from and that its stores run: what it does not need is not pulled."""
    images = _parse_from_images(project_root() / app.dockerfile) if app.dockerfile else [settings.base_image]
    for process in app.processes.values():
        images += _parse_from_images(project_root() / process.dockerfile) if process.dockerfile else []
        images += [process.image] if process.image else []
    if "database" in app.stores:
        images.append(f"postgres:{settings.database_version}-alpine")
    if "cache" in app.stores:
        images.append(f"redis:{settings.cache_version[0]}-alpine")
    if settings.monitoring and app.metrics_port:
        images += constants.MONITORING_IMAGES.values()
        images += [image for store, image in constants.EXPORTER_IMAGES.items() if store in app.stores]
    if settings.tracing:
        images.append(constants.COLLECTOR_IMAGE)
    return images


def _parse_from_images(dockerfile: Path) -> list[str]:
    """Returns the images that a Dockerfile of the user's is built from, without its own stages; by a variable: its
    builder's to find."""
    images = []
    stages = {"scratch"}
    for line in dockerfile.read_text(encoding="utf-8").splitlines():
        match = re.match(r"\s*FROM\s+(?:--platform=\S+\s+)?(\S+)(?:\s+AS\s+(\S+))?", line, re.IGNORECASE)
        if match:
            if match[1] not in stages and "$" not in match[1]:
                images.append(match[1])
            stages |= {match[2]} if match[2] else set()
    return list(dict.fromkeys(images))


def _discard_stale_state() -> None:
    """Moves the state aside if the local AWS is a new one, and reports what is lost before it is created again."""
    resource_count = local_stack.count_resources()
    if resource_count:
        console.print(
            "[bold]The local AWS of the last deployment has ended[/bold] (killed, or this machine restarted), and"
            f" its {resource_count} resources with it: they are created again. What was in queues, buckets and cache is"
            " lost; the database keeps its data.\n"
            "  The former state is in .slipway/state.old."
        )
    local_stack.discard_state()


def _write_ca_bundles(port: int, app: AppSpec, settings: Settings) -> None:
    """Writes the CA certificates of the local database and cache into the files that the stack names."""
    needed = {"rds": ("database", settings.database_ca), "elasticache": ("cache", settings.cache_ca)}
    for service, (store, name) in needed.items():
        if store not in app.stores:
            continue
        text = emulator.http_get(port, f"/_ministack/{service}/ca.pem")
        file = project_root() / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists() or file.read_bytes() != text:
            file.write_bytes(text)


def _wait_for_app(session: Session) -> EnvironmentStatus:
    deadline = time.monotonic() + APP_READY_TIMEOUT_SECONDS
    while True:
        status = read_status(lambda: session)
        if status.answers:
            return status
        if time.monotonic() > deadline:
            raise SlipwayError(
                f"{status.url} does not answer: {status.trouble}",
                "See `slipway logs` and `slipway status`.",
            )
        time.sleep(0.5)


def _print_summary(status: EnvironmentStatus, live: str, changed: bool, seconds: float) -> None:
    slow = sorted(step_timings, key=lambda timing: -timing[1])[:3]
    console.print()
    console.print("[bold green]Deployed.[/bold green]" if changed else "[bold]Nothing to change.[/bold]")
    console.print(
        f"{seconds:.0f} s in all; the longest: " + ", ".join(f"{title} {spent:.0f} s" for title, spent in slow)
    )
    console.print(f"\nThe app answers at [bold]{status.url}[/bold]")
    for trouble in status.troubles:
        console.print(f"[yellow]But[/yellow] {escape(trouble)}")
    command = _command_path()
    steps = {
        f"{command} status": "what runs, and how healthy it is",
        f"{command} logs": "the app's log",
        f'eval "$({command} env)"': "then: pulumi preview -s local, pulumi stack output",
        f"{command} down": "take it all away",
    }
    width = max(map(len, steps))
    console.print(f"Next:\n  curl {status.url}{live.lstrip('/')}", markup=False)
    for text, meaning in steps.items():
        console.print(f"  {text:<{width}}  {meaning}", markup=False)


def _command_path() -> str:
    """Returns how `slipway` is called from the working directory: `.venv/bin/slipway`, or by its name alone."""
    script = Path(sys.executable).with_name("slipway")
    return os.path.relpath(script) if script.is_relative_to(Path.cwd()) else "slipway"


@contextlib.contextmanager
def _hold_clone_lock() -> Iterator[None]:
    """One `slipway up` or `down` at a time in a clone; the kernel lets go of the lock with the process."""
    path = run_dir() / "lock"
    with path.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = path.read_text().strip()
            raise SlipwayError(
                f"Another slipway (pid {holder}) is working on this clone.",
                f"Wait until it has ended. If it hangs: kill -INT {holder}",
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
