"""The owner of the local AWS on a port: one clone of a project.

Two clones have the same account, project and stack: nothing else tells them apart.
"""

from __future__ import annotations

import http.client
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from slipway.config.errors import SlipwayError
from slipway.config.project import project_name, run_dir
from slipway_local.emulator import process as emulator
from slipway_local.emulator.labels import OWNER_PATH

LOCAL_STACK = "local"
DEFAULT_PORT = 4566
PORT_VARIABLE = "SLIPWAY_PORT"


@dataclass(frozen=True)
class Owner:
    """The clone that a local AWS belongs to."""

    run_dir: str
    """The clone's `.slipway`, absolute and without symbolic links."""
    project: str
    stack: str

    def __str__(self) -> str:
        return f"{self.run_dir} (project {self.project}, stack {self.stack})"


def current_owner() -> Owner:
    """Returns this clone as an owner."""
    return Owner(str(run_dir().resolve()), project_name(), LOCAL_STACK)


def owner_as_json() -> bytes:
    """Returns what this clone's local AWS answers at OWNER_PATH."""
    return json.dumps(asdict(current_owner())).encode()


def read_owner(port: int) -> Owner | None:
    """Asks the local AWS on a port whose it is.

    Returns None if it does not report that: nothing listens, another program does, or it has an older version.
    """
    try:
        return Owner(**json.loads(emulator.http_get(port, OWNER_PATH)))
    except (OSError, http.client.HTTPException, ValueError, TypeError):
        return None


def configured_port() -> int | None:
    """Returns SLIPWAY_PORT; None where it is not set. Raises `SlipwayError` where it is no port."""
    text = os.environ.get(PORT_VARIABLE)
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
        raise SlipwayError(
            f"{PORT_VARIABLE} is {text!r}: it must be a port, a whole number from 1 to 65535.",
            f"unset {PORT_VARIABLE} (the local AWS is then found by itself), or {PORT_VARIABLE}={DEFAULT_PORT}",
        )
    return int(text)


def emulator_port() -> int:
    """Returns the port of the local AWS: SLIPWAY_PORT, else that of the one that runs for this clone, else 4566."""
    configured = configured_port()
    if configured is not None:
        return configured
    recorded = emulator.read_recorded_emulator()
    return recorded.port if recorded else DEFAULT_PORT


def ensure_own_local_aws(port: int, *, ignore_default: bool = False) -> None:
    """Refuses a port that another clone's local AWS, or any other server, listens on.

    `ignore_default`: the command asks the local AWS for nothing unless this clone's runs, so that it does not matter
    who listens on the default port.

    Raises `SlipwayError` with the names of both clones.
    """
    recorded = emulator.read_recorded_emulator()
    if recorded:
        emulator.ensure_same_port(recorded, port)
    if ignore_default and not recorded and configured_port() is None:
        return
    owner = read_owner(port)
    if owner == current_owner():
        return
    if owner is not None and owner.run_dir == current_owner().run_dir:
        ensure_same_project(owner.project)
    if owner is not None:
        raise SlipwayError(
            f"The local AWS on port {port} belongs to {owner}, and this is {current_owner()}. Nothing was done.",
            f"{_other_port_advice(port)}; or run `slipway down` in {Path(owner.run_dir).parent} first.",
        )
    if recorded:  # its process is this clone's: one of an older version, or one that does not answer just now
        return
    holder = emulator.describe_port_holder(port)
    if holder:
        raise SlipwayError(
            f"Port {port} is in use{holder}, and that is not the local AWS of {current_owner()}.",
            _other_port_advice(port),
        )


def ensure_same_project(deployed: str) -> None:
    """Refuses to work as another project than the one that this clone's environment was deployed as.

    All resources are named after the project: the next update would build a second environment next to the first.

    Raises `SlipwayError` with both names.
    """
    if deployed != project_name():
        raise SlipwayError(
            f"Pulumi.yaml names the project {project_name()}, and this clone's environment was deployed as {deployed}: "
            "an update would build a second one, with an empty database, next to it. Nothing was done.",
            f"Set name: {deployed} in Pulumi.yaml again. To rename for good: then `slipway down`, which removes the "
            f"environment and its data, and after it name: {project_name()} and `slipway up`.",
        )


def _other_port_advice(port: int) -> str:
    run_here = f"choose another port for this one: {PORT_VARIABLE}={port + 34} slipway up"
    if configured_port() is None:
        return run_here[0].upper() + run_here[1:]
    return f"unset {PORT_VARIABLE}, which names the wrong port; or {run_here}"
