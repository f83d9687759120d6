"""What Docker tells of tasks' containers as it happens: a task looks at its own when one of them has changed."""

from __future__ import annotations

import logging
import threading
import time

import docker.errors
import requests.exceptions

from infra.local.emulator import host
from infra.local.emulator.labels import EMULATOR_LABEL, TASK_LABEL, port

log = logging.getLogger("slipway.ecs")

TOLD = ["die", "oom", "destroy", "health_status"]
UNTOLD_SECONDS = 5.0
"""How long a task goes without a look where nothing is told: Docker may have been restarted meanwhile."""
_awaited: dict[str, threading.Event] = {}
"""By task id."""


def start() -> None:
    """Listen for as long as this process lives."""
    threading.Thread(target=_listen, daemon=True, name="docker-events").start()


def expect(task: str) -> None:
    """From now on what is told of the task's containers is kept for `wait`."""
    _awaited[task] = threading.Event()


def wait(task: str) -> None:
    """Until something is told of one of them, or was since the last time; for `UNTOLD_SECONDS` at most."""
    told = _awaited.get(task)
    if told and told.wait(UNTOLD_SECONDS):
        told.clear()


def forget(task: str) -> None:
    """It has ended: nobody waits any more."""
    told = _awaited.pop(task, None)
    if told:
        told.set()


def _listen() -> None:
    filters = {"type": "container", "event": TOLD, "label": f"{EMULATOR_LABEL}={port()}"}
    while True:
        try:
            for event in host.client().events(decode=True, filters=filters):
                told = _awaited.get(event["Actor"]["Attributes"].get(TASK_LABEL, ""))
                if told:
                    told.set()
        except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
            log.info("Docker's events: %s", error)
        time.sleep(1)  # the engine has ended, or begins anew
