"""One task: its containers from the first pull to the last exit code."""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable
from typing import Any

import docker.errors
from ministack.core.responses import request_scope
from ministack.services import ecs

from infra.local.emulator import host
from infra.local.emulator.ecs.containers import options, volume_name
from infra.local.emulator.labels import TASK_LABEL, labels

Task = dict[str, Any]
WATCH_SECONDS = 0.5
DEPENDENCY_SECONDS = 600
STOP_TIMEOUT_SECONDS = 30
"""ECS's default for a container's stopTimeout."""


class StartFailure(Exception):
    """A task that cannot start; the text is its stoppedReason."""


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
        self._stopping = threading.Lock()
        self._stop_asked = threading.Event()

    def run(self) -> None:
        """Start the containers, watch them, and end the task when an essential one exits."""
        with request_scope(*self.scope):
            try:
                self._pull()
                self._network()
                self._volumes()
                for name in start_order(self.definition["containerDefinitions"]):
                    self._wait_for_dependencies(name)
                    self._start(name)
                self._running()
                self._watch()
            except StartFailure as failure:
                self._finish(str(failure), "TaskFailedToStart")
            except Exception as error:  # whatever Docker says is the reason that AWS would show
                self._finish(f"CannotStartContainerError: {error}", "TaskFailedToStart")

    def stop(self, reason: str, code: str) -> None:
        """Stop the task in the background: drain its targets, SIGTERM, SIGKILL at stopTimeout."""
        self.task["desiredStatus"] = "STOPPED"
        self._stop_asked.set()
        threading.Thread(target=self._stop, args=(reason, code), daemon=True).start()

    def _stop(self, reason: str, code: str) -> None:
        with request_scope(*self.scope):
            if self.task["lastStatus"] == "RUNNING":
                _set(self.task, "DEACTIVATING")
                time.sleep(self.drain(self.task))
            self._finish(reason, code)

    def _pull(self) -> None:
        _set(self.task, "PENDING")
        self.task["pullStartedAt"] = ecs._iso()
        for index, definition in enumerate(self.definition["containerDefinitions"]):
            image = definition["image"]
            try:
                found = host.client().images.get(image)
            except docker.errors.ImageNotFound:
                found = _pull_image(image)
            digests = [d.partition("@")[2] for d in found.attrs.get("RepoDigests") or []]
            given = image.partition("@")[2]
            self.task["containers"][index]["imageDigest"] = given or (digests[0] if digests else found.id)
        self.task["pullStoppedAt"] = ecs._iso()

    def _network(self) -> None:
        """One network namespace for all containers of a task: with several, a waiting process holds it."""
        definitions = self.definition["containerDefinitions"]
        if len(definitions) > 1:
            self.pause = host.client().containers.create(
                definitions[0]["image"],
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

    def _start(self, name: str) -> None:
        if self._stop_asked.is_set():
            raise StartFailure("Task stopped before it was running")
        definition = _named(self.definition, name)
        try:
            arguments = options(definition, self.definition, self.overrides.get(name, {}), self.id)
        except ecs._SecretResolutionError as error:
            raise StartFailure(f"ResourceInitializationError: {error}") from None
        if self.pause:
            arguments["network_mode"] = f"container:{self.pause.id}"
        else:
            arguments["extra_hosts"] = host.extra_hosts()
        container = host.client().containers.create(**arguments)
        self.containers[name] = container
        container.start()
        record = self._record(name)
        record["runtimeId"] = container.id
        record["lastStatus"] = "RUNNING"
        ecs._start_awslogs_forwarder(container, definition, self.id)
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

    def _wait_for_dependencies(self, name: str) -> None:
        for dependency in _named(self.definition, name).get("dependsOn") or []:
            other, condition = dependency["containerName"], dependency["condition"]
            limit = _named(self.definition, other).get("startTimeout") or DEPENDENCY_SECONDS
            deadline = time.monotonic() + limit
            while not self._met(other, condition):
                if time.monotonic() > deadline:
                    raise StartFailure(f"Container {name} waited {limit} s for {other} to be {condition}.")
                if self._stop_asked.wait(WATCH_SECONDS / 2):
                    raise StartFailure("Task stopped before it was running")

    def _met(self, name: str, condition: str) -> bool:
        container = self.containers[name]
        container.reload()
        state = container.attrs["State"]
        if condition == "START":
            return True
        if condition == "HEALTHY":
            if state["Status"] == "exited" or (state.get("Health") or {}).get("Status") == "unhealthy":
                raise StartFailure(f"Container {name} failed its health check, and another depends on it.")
            return bool((state.get("Health") or {}).get("Status") == "healthy")
        if state["Status"] != "exited":
            return False
        if condition == "SUCCESS" and state["ExitCode"]:
            raise StartFailure(f"Container {name} exited with {state['ExitCode']}, and another needs its success.")
        return True

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
                self._finish("Essential container in task exited", "EssentialContainerExited")
                return
            time.sleep(WATCH_SECONDS)

    def observe(self) -> bool:
        """Write down each container's status and health; whether an essential one has exited."""
        ended = False
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
                record["lastStatus"], record["exitCode"] = "STOPPED", state["ExitCode"]
                ended = ended or _named(self.definition, name).get("essential", True)
        self.task["healthStatus"] = _overall(self.task["containers"])
        return ended

    def _finish(self, reason: str, code: str) -> None:
        """End what runs, note the exit codes, and take containers and volumes away."""
        with self._stopping:
            if self.task["lastStatus"] == "STOPPED":
                return
            self.task["desiredStatus"] = "STOPPED"
            self.task["stoppingAt"] = ecs._iso()
            self.task["stoppedReason"], self.task["stopCode"] = reason, code
            _set(self.task, "STOPPING")
            order = start_order(self.definition["containerDefinitions"])
            for name in reversed(order):
                if name in self.containers:
                    self._end(name, self.containers[name])
            if self.pause:
                self.pause.remove(force=True, v=True)
            for volume in host.client().volumes.list(filters={"label": f"{TASK_LABEL}={self.id}"}):
                volume.remove(force=True)
            self.task["stoppedAt"] = ecs._iso()
            _set(self.task, "STOPPED")

    def _end(self, name: str, container: Any) -> None:
        timeout = _named(self.definition, name).get("stopTimeout") or STOP_TIMEOUT_SECONDS
        record = self._record(name)
        try:
            container.stop(timeout=timeout)
            container.reload()
            record["exitCode"] = container.attrs["State"]["ExitCode"]
            container.remove(force=True, v=True)
        except docker.errors.NotFound:
            pass  # somebody removed it by hand
        record["lastStatus"] = "STOPPED"

    def _record(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = next(c for c in self.task["containers"] if c["name"] == name)
        return found


def start_order(definitions: list[dict[str, Any]]) -> list[str]:
    """The names of a task's containers so that each stands behind those that it depends on."""
    waiting = {d["name"]: {x["containerName"] for x in d.get("dependsOn") or []} for d in definitions}
    order: list[str] = []
    while waiting:
        ready = [name for name, needs in waiting.items() if needs <= set(order)]
        if not ready:
            raise StartFailure(f"The containers {', '.join(waiting)} depend on each other or on none that is there.")
        order.append(ready[0])
        del waiting[ready[0]]
    return order


def _pull_image(image: str) -> Any:
    try:
        name, _, digest = image.partition("@")
        if digest:
            return host.client().images.pull(name, tag=digest)
        return host.client().images.pull(image if ":" in image.rsplit("/", 1)[-1] else f"{image}:latest")
    except docker.errors.APIError as error:
        raise StartFailure(f"CannotPullContainerError: {error.explanation}") from None


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
    run = TaskRun(task, copy.deepcopy(definition), overrides, (account, region))
    runs[task["taskArn"]] = run
    run.run()
