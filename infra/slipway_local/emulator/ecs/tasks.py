"""One task: its containers from the first pull to the last exit code."""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import docker.errors
from ministack.core.responses import request_scope
from ministack.services import ecs

from slipway_local.emulator import docker_host
from slipway_local.emulator.ecs import docker_events, eventbridge, images
from slipway_local.emulator.ecs.containers import (
    create_pause_container,
    create_volumes,
    docker_create_options,
)
from slipway_local.emulator.ecs.dependencies import (
    DEFAULT_START_TIMEOUT_SECONDS,
    NOT_STARTED_EXIT_CODE,
    UnmetDependency,
    are_dependencies_met,
    container_dependencies,
    container_start_order,
)
from slipway_local.emulator.ecs.execute_command import set_agent
from slipway_local.emulator.ecs.failures import ESSENTIAL_EXITED, StartFailure
from slipway_local.emulator.ecs.task_network import attach_network_interface
from slipway_local.emulator.ecs.task_record import find_container_definition, overall_health, record_exit, set_status
from slipway_local.emulator.ecs.task_roles import TaskRoles
from slipway_local.emulator.labels import TASK_LABEL

Task = dict[str, Any]
DEPENDENCY_POLL_SECONDS = 0.25
"""Seconds between two checks of whether a container's dependencies are met."""
STOP_TIMEOUT_SECONDS = 30
"""ECS's default for a container's stopTimeout."""


shutting_down = threading.Event()
"""Set when this process ends: it starts no more containers, because it could not remove them."""


class TaskStopRequested(Exception):
    """The task was stopped while its containers were being started."""


class TaskRun:
    """Runs one task in a thread of its own; `stop` ends it in ECS's order."""

    def __init__(self, task: Task, definition: dict[str, Any], overrides: list[dict[str, Any]], scope: tuple[str, str]):
        self.task = task
        self.definition = definition
        self.overrides = {override["name"]: override for override in overrides}
        self.scope = scope
        self.id = task["taskArn"].rsplit("/", 1)[-1]
        self.roles = TaskRoles(definition, task["taskArn"])
        self.containers: dict[str, Any] = {}
        self.pause_container: Any = None
        self.drain: Callable[[Task], float] = lambda _: 0.0
        """Deregisters the task's targets, and returns the seconds that they drain."""
        self._started: dict[str, float] = {}
        """Monotonic start time of each container."""
        self._stopping = threading.Lock()
        self._stop_asked = threading.Event()
        self._stop_reason = ("Task stopped before it was running", "TaskFailedToStart")
        """Reason and stop code, once it is asked to stop."""
        self._launched = threading.Event()
        """Set when its containers have started, or it has failed: no more containers are created for it."""

    def run(self) -> None:
        """Starts the containers, watches them, and ends the task when an essential one exits."""
        with request_scope(*self.scope):
            try:
                docker_events.subscribe(self.id)
                arguments = self._arguments()
                self._pull()
                self._network()
                create_volumes(self.definition, self.id)
                self._start_all(arguments)
                self._launched.set()
                self._running()
                self._watch()
            except TaskStopRequested:
                self._finish(*self._stop_reason)
            except StartFailure as failure:
                self._finish(str(failure), "TaskFailedToStart")
            except Exception as error:  # whatever Docker says is the reason that AWS would show
                self._finish(f"CannotStartContainerError: {error}", "TaskFailedToStart")
            finally:
                self._launched.set()

    def stop(self, reason: str, code: str) -> None:
        """Stops the task in the background: drain its targets, SIGTERM, SIGKILL at stopTimeout."""
        self.task["desiredStatus"] = "STOPPED"
        self._stop_reason = (reason, code)
        self._stop_asked.set()
        threading.Thread(target=self._stop, args=(reason, code), daemon=True).start()

    def _stop(self, reason: str, code: str) -> None:
        self._launched.wait()
        with request_scope(*self.scope):
            if self.task["lastStatus"] == "RUNNING":
                set_status(self.task, "DEACTIVATING")
                time.sleep(self.drain(self.task))
            self._finish(reason, code)

    def _arguments(self) -> dict[str, dict[str, Any]]:
        """Returns the options of each container; all secrets are read before anything is pulled, as ECS does."""
        self.roles.ensure_assumable()
        credentials = self.roles.credentials_environment()
        options: dict[str, dict[str, Any]] = {}
        for definition in self.definition["containerDefinitions"]:
            override = self.overrides.get(definition["name"], {})
            options[definition["name"]] = docker_create_options(
                definition, self.definition, override, self.roles, credentials
            )
        return options

    def _pull(self) -> None:
        set_status(self.task, "PENDING")
        self.task["pullStartedAt"] = ecs._iso()
        for definition in self.definition["containerDefinitions"]:
            self.roles.ensure_image_and_log(definition)
            self._record(definition["name"])["imageDigest"] = images.ensure_image(definition["image"])
        self.task["pullStoppedAt"] = ecs._iso()

    def _network(self) -> None:
        """One network namespace for all containers of a task: with several, a waiting process holds it."""
        if len(self.definition["containerDefinitions"]) > 1:
            self.pause_container = create_pause_container(self.definition, self.id)
            self.pause_container.start()
            attach_network_interface(self.task, self.pause_container)

    def _start_all(self, arguments: dict[str, dict[str, Any]]) -> None:
        """Starts each container as soon as those that it depends on are where it wants them."""
        waiting = {definition["name"]: definition for definition in self.definition["containerDefinitions"]}
        given_up: set[str] = set()
        while waiting:
            for name, definition in list(waiting.items()):
                try:
                    ready = are_dependencies_met(container_dependencies(definition), self._states(), given_up)
                    if not ready:
                        self._check_timeout(definition)
                except UnmetDependency as trouble:
                    self._give_up(name, str(trouble))
                    given_up.add(name)
                    del waiting[name]
                    continue
                if ready:
                    self._start(name, arguments[name])
                    del waiting[name]
            if self.refresh_containers():
                return
            if waiting and self._stop_asked.wait(DEPENDENCY_POLL_SECONDS):
                raise TaskStopRequested

    def _states(self) -> dict[str, dict[str, Any]]:
        for container in self.containers.values():
            container.reload()
        return {name: container.attrs["State"] for name, container in self.containers.items()}

    def _check_timeout(self, definition: dict[str, Any]) -> None:
        for other, condition in container_dependencies(definition):
            limit = (
                find_container_definition(self.definition, other).get("startTimeout") or DEFAULT_START_TIMEOUT_SECONDS
            )
            if other in self._started and time.monotonic() - self._started[other] > limit:
                raise UnmetDependency(f"{other} was not {condition} after {limit} s")

    def _give_up(self, name: str, reason: str) -> None:
        self._record(name).update(lastStatus="STOPPED", exitCode=NOT_STARTED_EXIT_CODE, reason=reason)

    def _start(self, name: str, arguments: dict[str, Any]) -> None:
        if self._stop_asked.is_set() or shutting_down.is_set():
            raise TaskStopRequested
        if self.pause_container:
            arguments["network_mode"] = f"container:{self.pause_container.id}"
        else:
            arguments["extra_hosts"] = docker_host.extra_hosts()
        container = docker_host.docker_client().containers.create(**arguments)
        self.containers[name] = container
        container.start()
        if not self.pause_container:  # at once: until the firewall knows it, it may connect to anything
            attach_network_interface(self.task, container)
        self._started[name] = time.monotonic()
        record = self._record(name)
        record["runtimeId"] = container.id
        record["lastStatus"] = "RUNNING"
        definition = find_container_definition(self.definition, name)
        set_agent(self.task, self.definition, name, self.roles)
        if self.roles.may_write_log(definition):
            ecs._start_awslogs_forwarder(container, definition, self.id)

    def _running(self) -> None:
        self.task["startedAt"] = ecs._iso()
        self.task["_started"] = time.monotonic()
        if self.task["desiredStatus"] != "STOPPED":
            set_status(self.task, "RUNNING")

    def _watch(self) -> None:
        while self.task["lastStatus"] != "STOPPED":
            if self.refresh_containers():
                self.task["desiredStatus"] = "STOPPED"
                self._stop_asked.set()
                self.drain(self.task)
                self._finish(*ESSENTIAL_EXITED)
                return
            docker_events.wait_for_event(self.id)

    def refresh_containers(self) -> bool:
        """Writes down each container's status and health; whether an essential one has ended."""
        for name, container in list(self.containers.items()):
            try:
                container.reload()
            except docker.errors.NotFound:
                return bool(self.task["lastStatus"] != "STOPPED")
            state = container.attrs["State"]
            record = self._record(name)
            if find_container_definition(self.definition, name).get("healthCheck"):
                record["healthStatus"] = {"healthy": "HEALTHY", "unhealthy": "UNHEALTHY"}.get(
                    (state.get("Health") or {}).get("Status", ""), "UNKNOWN"
                )
            if state["Status"] in ("exited", "dead"):
                record_exit(record, state)
        self.task["healthStatus"] = overall_health(self.task["containers"])
        return any(
            record["lastStatus"] == "STOPPED"
            and find_container_definition(self.definition, record["name"]).get("essential", True)
            for record in self.task["containers"]
        )

    def _finish(self, reason: str, code: str) -> None:
        """End what runs, note the exit codes, and take containers and volumes away."""
        with self._stopping:
            if self.task["lastStatus"] == "STOPPED":
                return
            self.task["desiredStatus"] = "STOPPED"
            self.task["stoppingAt"] = ecs._iso()
            self.task["stoppedReason"] = reason
            self.task["stopCode"] = code
            set_status(self.task, "STOPPING")
            for layer in reversed(container_start_order(self.definition["containerDefinitions"])):
                with ThreadPoolExecutor(len(layer)) as together:
                    list(together.map(self._end, [name for name in layer if name in self.containers]))
            if self.pause_container:
                self.pause_container.remove(force=True, v=True)
            for volume in docker_host.docker_client().volumes.list(filters={"label": f"{TASK_LABEL}={self.id}"}):
                volume.remove(force=True)
            self.roles.withdraw_credentials()
            self.task["stoppedAt"] = ecs._iso()
            set_status(self.task, "STOPPED")
        docker_events.unsubscribe(self.id)
        eventbridge.publish_task_stopped(self.task)

    def _end(self, name: str) -> None:
        container = self.containers[name]
        timeout = find_container_definition(self.definition, name).get("stopTimeout")
        record = self._record(name)
        try:
            container.stop(timeout=timeout or STOP_TIMEOUT_SECONDS)
            container.reload()
            record_exit(record, container.attrs["State"])
            container.remove(force=True, v=True)
        except docker.errors.NotFound:
            record["lastStatus"] = "STOPPED"  # it was removed by hand

    def _record(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = next(c for c in self.task["containers"] if c["name"] == name)
        return found


task_runs: dict[str, TaskRun] = {}
"""By task ARN, the ended ones included: their records answer DescribeTasks for as long as AWS keeps them."""


def run_task_worker(
    task: Task,
    definition: dict[str, Any],
    overrides: list[dict[str, Any]],
    docker_client: Any,
    account: str,
    region: str,
) -> None:
    """Runs one task; ministack's RunTask calls this in a thread of its own for each."""
    for record, container in zip(task["containers"], definition["containerDefinitions"], strict=True):
        record["_checked"] = bool(container.get("healthCheck"))
    # ECS's default, which rules of EventBridge ask for.
    task["group"] = task.get("group") or f"family:{definition['family']}"
    definition = copy.deepcopy(definition) | _task_sizes(task)
    task |= _task_sizes(task)
    run = TaskRun(task, definition, overrides, (account, region))
    task_runs[task["taskArn"]] = run
    run.run()


def _task_sizes(task: Task) -> dict[str, str]:
    """Return the CPU units and MiB that RunTask asked for instead of the task definition's."""
    overrides = task.get("overrides") or {}
    return {key: str(overrides[key]) for key in ("cpu", "memory") if overrides.get(key)}
