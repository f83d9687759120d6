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

from infra.local.emulator import host
from infra.local.emulator.ecs import changes, events, images
from infra.local.emulator.ecs.containers import container_name, options, volume_name
from infra.local.emulator.ecs.dependencies import (
    DEPENDENCY_SECONDS,
    NEVER_STARTED,
    Unresolvable,
    dependencies,
    layers,
    met,
)
from infra.local.emulator.ecs.failures import ESSENTIAL_EXITED, OUT_OF_MEMORY, StartFailure
from infra.local.emulator.labels import TASK_LABEL, labels

Task = dict[str, Any]
START_SECONDS = 0.25
"""Between two looks at whether those that a container waits for have got there."""
STOP_TIMEOUT_SECONDS = 30
"""ECS's default for a container's stopTimeout."""


ending = threading.Event()
"""This process is: no container is started any more, for nobody would take it away."""


class Stopped(Exception):
    """Somebody stopped the task while its containers were being started."""


class TaskRun:
    """Runs one task in a thread of its own; `stop` ends it in ECS's order."""

    def __init__(self, task: Task, definition: dict[str, Any], overrides: list[dict[str, Any]], scope: tuple[str, str]):
        self.task = task
        self.definition = definition
        self.overrides = {override["name"]: override for override in overrides}
        self.scope = scope
        self.id = task["taskArn"].rsplit("/", 1)[-1]
        self.containers: dict[str, Any] = {}
        self.pause: Any = None
        self.drain: Callable[[Task], float] = lambda _: 0.0
        """Deregisters the task's targets, and returns the seconds that they drain."""
        self._started: dict[str, float] = {}
        """When each container was."""
        self._stopping = threading.Lock()
        self._stop_asked = threading.Event()
        self._asked = ("Task stopped before it was running", "TaskFailedToStart")
        """Why it is to stop, once it is."""
        self._launched = threading.Event()
        """Its containers are started, or it has failed: nobody else makes a container of it any more."""

    def run(self) -> None:
        """Start the containers, watch them, and end the task when an essential one exits."""
        with request_scope(*self.scope):
            try:
                changes.expect(self.id)
                arguments = self._arguments()
                self._pull()
                self._network()
                self._volumes()
                self._start_all(arguments)
                self._launched.set()
                self._running()
                self._watch()
            except Stopped:
                self._finish(*self._asked)
            except StartFailure as failure:
                self._finish(str(failure), "TaskFailedToStart")
            except Exception as error:  # whatever Docker says is the reason that AWS would show
                self._finish(f"CannotStartContainerError: {error}", "TaskFailedToStart")
            finally:
                self._launched.set()

    def stop(self, reason: str, code: str) -> None:
        """Stop the task in the background: drain its targets, SIGTERM, SIGKILL at stopTimeout."""
        self.task["desiredStatus"] = "STOPPED"
        self._asked = (reason, code)
        self._stop_asked.set()
        threading.Thread(target=self._stop, args=(reason, code), daemon=True).start()

    def _stop(self, reason: str, code: str) -> None:
        self._launched.wait()
        with request_scope(*self.scope):
            if self.task["lastStatus"] == "RUNNING":
                _set(self.task, "DEACTIVATING")
                time.sleep(self.drain(self.task))
            self._finish(reason, code)

    def _arguments(self) -> dict[str, dict[str, Any]]:
        """How each container is started: all secrets are read before anything is pulled, as ECS does."""
        return {
            definition["name"]: options(
                definition, self.definition, self.overrides.get(definition["name"], {}), self.id
            )
            for definition in self.definition["containerDefinitions"]
        }

    def _pull(self) -> None:
        _set(self.task, "PENDING")
        self.task["pullStartedAt"] = ecs._iso()
        for definition in self.definition["containerDefinitions"]:
            self._record(definition["name"])["imageDigest"] = images.ensure(definition["image"])
        self.task["pullStoppedAt"] = ecs._iso()

    def _network(self) -> None:
        """One network namespace for all containers of a task: with several, a waiting process holds it."""
        definitions = self.definition["containerDefinitions"]
        if len(definitions) > 1:
            self.pause = host.client().containers.create(
                definitions[0]["image"],
                name=container_name(self.definition, "pause", self.id),
                entrypoint=["sleep", "infinity"],
                init=True,
                extra_hosts=host.extra_hosts(),
                labels=labels() | {TASK_LABEL: self.id, "slipway.container": "pause"},
            )
            self.pause.start()
            self._address(self.pause)

    def _volumes(self) -> None:
        for volume in self.definition.get("volumes") or []:
            beyond = [field for field in ("efsVolumeConfiguration", "host") if (volume.get(field) or {})]
            if beyond:
                raise StartFailure(f"The local ECS has no {beyond[0]} (volume {volume['name']}).")
            name = volume_name(self.id, volume["name"])
            host.client().volumes.create(name, labels=labels() | {TASK_LABEL: self.id})

    def _start_all(self, arguments: dict[str, dict[str, Any]]) -> None:
        """Start each container as soon as those that it depends on are where it wants them."""
        waiting = {definition["name"]: definition for definition in self.definition["containerDefinitions"]}
        given_up: set[str] = set()
        while waiting:
            for name, definition in list(waiting.items()):
                try:
                    ready = met(dependencies(definition), self._states(), given_up)
                    if not ready:
                        self._check_timeout(definition)
                except Unresolvable as trouble:
                    self._give_up(name, str(trouble))
                    given_up.add(name)
                    del waiting[name]
                    continue
                if ready:
                    self._start(name, arguments[name])
                    del waiting[name]
            if self.observe():
                return
            if waiting and self._stop_asked.wait(START_SECONDS):
                raise Stopped

    def _states(self) -> dict[str, dict[str, Any]]:
        for container in self.containers.values():
            container.reload()
        return {name: container.attrs["State"] for name, container in self.containers.items()}

    def _check_timeout(self, definition: dict[str, Any]) -> None:
        for other, condition in dependencies(definition):
            limit = _named(self.definition, other).get("startTimeout") or DEPENDENCY_SECONDS
            if other in self._started and time.monotonic() - self._started[other] > limit:
                raise Unresolvable(f"{other} was not {condition} after {limit} s")

    def _give_up(self, name: str, reason: str) -> None:
        self._record(name).update(lastStatus="STOPPED", exitCode=NEVER_STARTED, reason=reason)

    def _start(self, name: str, arguments: dict[str, Any]) -> None:
        if self._stop_asked.is_set() or ending.is_set():
            raise Stopped
        if self.pause:
            arguments["network_mode"] = f"container:{self.pause.id}"
        else:
            arguments["extra_hosts"] = host.extra_hosts()
        container = host.client().containers.create(**arguments)
        self.containers[name] = container
        container.start()
        self._started[name] = time.monotonic()
        record = self._record(name)
        record["runtimeId"] = container.id
        record["lastStatus"] = "RUNNING"
        ecs._start_awslogs_forwarder(container, _named(self.definition, name), self.id)
        if not self.pause:
            self._address(container)

    def _address(self, container: Any) -> None:
        container.reload()
        networks: dict[str, dict[str, str]] = container.attrs["NetworkSettings"]["Networks"]
        address = next((network["IPAddress"] for network in networks.values()), "")
        details = [{"name": "privateIPv4Address", "value": address}]
        if self.task.get("_subnet"):
            details.insert(0, {"name": "subnetId", "value": self.task["_subnet"]})
        self.task["attachments"] = [
            {"id": ecs.new_uuid(), "type": "ElasticNetworkInterface", "status": "ATTACHED", "details": details}
        ]
        for record in self.task["containers"]:
            record["networkInterfaces"] = [{"attachmentId": ecs.new_uuid(), "privateIpv4Address": address}]

    def _running(self) -> None:
        self.task["startedAt"] = ecs._iso()
        self.task["_started"] = time.monotonic()
        if self.task["desiredStatus"] != "STOPPED":
            _set(self.task, "RUNNING")

    def _watch(self) -> None:
        while self.task["lastStatus"] != "STOPPED":
            if self.observe():
                self.task["desiredStatus"] = "STOPPED"
                self._stop_asked.set()
                self.drain(self.task)
                self._finish(*ESSENTIAL_EXITED)
                return
            changes.wait(self.id)

    def observe(self) -> bool:
        """Write down each container's status and health; whether an essential one has ended."""
        for name, container in list(self.containers.items()):
            try:
                container.reload()
            except docker.errors.NotFound:
                return bool(self.task["lastStatus"] != "STOPPED")
            state, record = container.attrs["State"], self._record(name)
            if _named(self.definition, name).get("healthCheck"):
                record["healthStatus"] = {"healthy": "HEALTHY", "unhealthy": "UNHEALTHY"}.get(
                    (state.get("Health") or {}).get("Status", ""), "UNKNOWN"
                )
            if state["Status"] in ("exited", "dead"):
                _ended(record, state)
        self.task["healthStatus"] = _overall(self.task["containers"])
        return any(
            record["lastStatus"] == "STOPPED" and _named(self.definition, record["name"]).get("essential", True)
            for record in self.task["containers"]
        )

    def _finish(self, reason: str, code: str) -> None:
        """End what runs, note the exit codes, and take containers and volumes away."""
        with self._stopping:
            if self.task["lastStatus"] == "STOPPED":
                return
            self.task["desiredStatus"] = "STOPPED"
            self.task["stoppingAt"] = ecs._iso()
            self.task["stoppedReason"], self.task["stopCode"] = reason, code
            _set(self.task, "STOPPING")
            for layer in reversed(layers(self.definition["containerDefinitions"])):
                with ThreadPoolExecutor(len(layer)) as together:
                    list(together.map(self._end, [name for name in layer if name in self.containers]))
            if self.pause:
                self.pause.remove(force=True, v=True)
            for volume in host.client().volumes.list(filters={"label": f"{TASK_LABEL}={self.id}"}):
                volume.remove(force=True)
            self.task["stoppedAt"] = ecs._iso()
            _set(self.task, "STOPPED")
        changes.forget(self.id)
        events.stopped(self.task)

    def _end(self, name: str) -> None:
        container, timeout = self.containers[name], _named(self.definition, name).get("stopTimeout")
        record = self._record(name)
        try:
            container.stop(timeout=timeout or STOP_TIMEOUT_SECONDS)
            container.reload()
            _ended(record, container.attrs["State"])
            container.remove(force=True, v=True)
        except docker.errors.NotFound:
            record["lastStatus"] = "STOPPED"  # somebody removed it by hand

    def _record(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = next(c for c in self.task["containers"] if c["name"] == name)
        return found


def _ended(record: dict[str, Any], state: dict[str, Any]) -> None:
    record["lastStatus"], record["exitCode"] = "STOPPED", state["ExitCode"]
    if state.get("OOMKilled") and state["ExitCode"]:
        record["reason"] = OUT_OF_MEMORY


def _overall(containers: list[dict[str, Any]]) -> str:
    statuses = {record["healthStatus"] for record in containers}
    if "UNHEALTHY" in statuses:
        return "UNHEALTHY"
    return "HEALTHY" if "HEALTHY" in statuses and not _unknown(containers) else "UNKNOWN"


def _unknown(containers: list[dict[str, Any]]) -> bool:
    """Whether a container that has a health check has no answer yet; one without a check does not count."""
    return any(record["healthStatus"] == "UNKNOWN" and record.get("_checked") for record in containers)


def _named(definition: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(d for d in definition["containerDefinitions"] if d["name"] == name)
    return found


def _set(task: Task, status: str) -> None:
    task["lastStatus"] = status
    task["version"] += 1


runs: dict[str, TaskRun] = {}
"""By task ARN, the ended ones included: their records answer DescribeTasks for as long as AWS keeps them."""


def begin(
    task: Task,
    definition: dict[str, Any],
    overrides: list[dict[str, Any]],
    docker_client: Any,
    account: str,
    region: str,
) -> None:
    """What ministack's RunTask calls in a thread of its own for each new task."""
    for record, container in zip(task["containers"], definition["containerDefinitions"], strict=True):
        record["_checked"] = bool(container.get("healthCheck"))
    # ECS's default, which rules of EventBridge ask for.
    task["group"] = task.get("group") or f"family:{definition['family']}"
    run = TaskRun(task, copy.deepcopy(definition), overrides, (account, region))
    runs[task["taskArn"]] = run
    run.run()
