"""Docker's events of tasks' containers: they wake the task whose container has changed."""

from __future__ import annotations

import logging
import threading
import time

import docker.errors
import requests.exceptions

from slipway_local.emulator import docker_host
from slipway_local.emulator.labels import EMULATOR_LABEL, TASK_LABEL, gateway_port

log = logging.getLogger("slipway.ecs")

WATCHED_EVENTS = ["die", "oom", "destroy", "health_status"]
MAX_WAIT_SECONDS = 5.0
"""Seconds after which a task looks at its containers without an event: Docker may have been restarted."""
_subscriptions: dict[str, threading.Event] = {}
"""By task id."""


def start_listener() -> None:
    """Listen for as long as this process lives."""
    threading.Thread(target=_listen, daemon=True, name="docker-events").start()


def subscribe(task: str) -> None:
    """Keeps the events of a task's containers for `wait_for_event` from now on."""
    _subscriptions[task] = threading.Event()


def wait_for_event(task: str) -> None:
    """Waits for an event of one of them, or returns if there was one; waits for `UNTOLD_SECONDS` at most."""
    told = _subscriptions.get(task)
    if told and told.wait(MAX_WAIT_SECONDS):
        told.clear()


def unsubscribe(task: str) -> None:
    """Drop the events of a task that has ended."""
    told = _subscriptions.pop(task, None)
    if told:
        told.set()


def _listen() -> None:
    filters = {"type": "container", "event": WATCHED_EVENTS, "label": f"{EMULATOR_LABEL}={gateway_port()}"}
    while True:
        try:
            for event in docker_host.docker_client().events(decode=True, filters=filters):
                told = _subscriptions.get(event["Actor"]["Attributes"].get(TASK_LABEL, ""))
                if told:
                    told.set()
        except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
            log.info("Docker's events: %s", error)
        time.sleep(1)  # the engine has ended, or is restarting
