"""Reads the status of the local environment from the local AWS, Docker and the app."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import boto3
import docker.errors
from botocore.config import Config

import docker
from slipway.release.pause_steps import PausableStack
from slipway_local import local_stack
from slipway_local.emulator import process as emulator
from slipway_local.emulator.labels import EMULATOR_LABEL
from slipway_local.firewall_chain import find_obstacle
from slipway_local.session import LOCAL_STACK, Session

ANSWER_TIMEOUT_SECONDS = 5
EXIT_CODES = {"healthy": 0, "down": 1, "degraded": 2}
"""Of `slipway status`, by `Status.health`."""


@dataclass(frozen=True)
class TaskStatus:
    """A running task of one of the services."""

    id: str
    health: str
    image_digest: str


@dataclass(frozen=True)
class ServiceStatus:
    """An ECS service of the stack."""

    name: str
    desired: int
    healthy: int
    """Tasks that run and pass their checks, where they have any."""
    rollout: str
    """Of its newest deployment: COMPLETED, IN_PROGRESS or FAILED, with the reason."""


@dataclass(frozen=True)
class DataStoreStatus:
    """The container of a database or a cache."""

    name: str
    state: str


@dataclass(frozen=True)
class EnvironmentStatus:
    """The local environment at a glance."""

    stack: str
    url: str
    image_digest: str
    tasks: list[TaskStatus]
    emulator: str
    """`running`, `stopped`, or `does not answer`."""
    services: list[ServiceStatus] = field(default_factory=list)
    stores: list[DataStoreStatus] = field(default_factory=list)
    answers: bool = False
    trouble: str = ""
    """Why the app does not answer."""
    not_ready: str = ""
    """What its readiness says, when that is not yes."""
    not_emulated: list[str] = field(default_factory=list)
    """Resources that are kept in the state only, for the emulator has nothing like them."""
    paused: str = ""
    """Since when `slipway pause` has stopped it, and by whom; empty where it has not."""
    firewall_obstacle: str = ""
    """Why this machine does not enforce security groups between containers; empty where it does."""

    @property
    def troubles(self) -> list[str]:
        """Everything that is not as it should be, a sentence each."""
        if self.paused:
            return [f"it is paused since {self.paused}: slipway resume {self.stack}"]
        return [
            *([f"the app does not answer: {self.trouble}"] if not self.answers else []),
            *([f"the app is not ready: {self.not_ready}"] if self.answers and self.not_ready else []),
            *(f"{s.name}: {s.healthy} of {s.desired} tasks healthy" for s in self.services if s.healthy < s.desired),
            *(f"{s.name}: deployment {s.rollout}" for s in self.services if s.rollout.startswith("FAILED")),
            *(f"{store.name}: its container is {store.state}" for store in self.stores if store.state != "running"),
        ]

    @property
    def health(self) -> str:
        """`healthy`, `degraded` (it answers, and something is not as it should be) or `down`."""
        return "down" if not self.answers else "degraded" if self.troubles else "healthy"

    def as_json(self) -> dict[str, Any]:
        """Returns the document that `slipway status --json` prints."""
        return {"health": self.health, "troubles": self.troubles} | asdict(self)


def read_status(open_session: Callable[[], Session]) -> EnvironmentStatus:
    """Asks the stack's outputs, ECS, Docker and the app.

    `open_session`: called where something runs only, for it installs Pulumi where that is missing.
    """
    running = emulator.find_running_emulator()
    if not running or not local_stack.has_stack():
        emulator_state = "running" if running else "does not answer" if emulator.read_recorded_emulator() else "stopped"
        trouble = "nothing is deployed" if emulator_state != "does not answer" else "the local AWS does not answer"
        return EnvironmentStatus(LOCAL_STACK, "", "", [], emulator_state, trouble=trouble)
    session = open_session()
    outputs = local_stack.read_outputs()
    ecs = aws_client(session, "ecs")
    cluster = outputs.get("cluster")
    url = str(outputs.get("url", ""))
    health = outputs.get("health") or {"live": "/", "ready": "/"}
    trouble = _probe_app(url, health["live"]) if url else "the stack has no url: the last update did not get that far"
    return EnvironmentStatus(
        stack=LOCAL_STACK,
        url=url,
        image_digest=str(outputs.get("imageDigest", "")),
        tasks=_list_tasks(ecs, cluster, (outputs.get("services") or {}).values()) if cluster else [],
        emulator="running",
        services=_list_services(ecs, cluster) if cluster else [],
        stores=_list_data_stores(running.port),
        answers=not trouble,
        trouble=trouble,
        not_ready=_probe_app(url, health["ready"]) if not trouble else "",
        not_emulated=local_stack.list_not_emulated_resources(),
        paused=PausableStack(partial(aws_client, session), cluster, LOCAL_STACK).find_mark() if cluster else "",
        firewall_obstacle=find_obstacle(running.bridge),
    )


def _list_tasks(ecs: Any, cluster: str, services: Iterable[str]) -> list[TaskStatus]:
    return [
        TaskStatus(
            id=task["taskArn"].rsplit("/", 1)[-1],
            health=task.get("healthStatus", "UNKNOWN"),
            image_digest=task["containers"][0].get("imageDigest", ""),
        )
        for service in services
        for task in _describe_tasks(ecs, cluster, service)
    ]


def _list_services(ecs: Any, cluster: str) -> list[ServiceStatus]:
    arns = ecs.list_services(cluster=cluster)["serviceArns"]
    services = ecs.describe_services(cluster=cluster, services=arns)["services"] if arns else []
    return [
        ServiceStatus(
            name=service["serviceName"],
            desired=service["desiredCount"],
            healthy=_count_healthy_tasks(ecs, cluster, service),
            rollout=_rollout_state(service["deployments"][0]),
        )
        for service in services
        if service["status"] == "ACTIVE"
    ]


def _rollout_state(deployment: dict[str, Any]) -> str:
    state = deployment.get("rolloutState", "")
    reason = deployment.get("rolloutStateReason", "")
    return f"FAILED: {reason}" if state == "FAILED" else str(state)


def _count_healthy_tasks(ecs: Any, cluster: str, service: dict[str, Any]) -> int:
    """Returns how many tasks run and pass the check of their own task definition, where it has one.

    One that has no answer yet does not: it has just begun.
    """
    tasks = _describe_tasks(ecs, cluster, service["serviceName"])
    has_check = {arn: _has_health_check(ecs, arn) for arn in {task["taskDefinitionArn"] for task in tasks}}
    return sum(
        task["lastStatus"] == "RUNNING"
        and (task.get("healthStatus") == "HEALTHY" or not has_check[task["taskDefinitionArn"]])
        for task in tasks
    )


def _has_health_check(ecs: Any, task_definition_arn: str) -> bool:
    definition = ecs.describe_task_definition(taskDefinition=task_definition_arn)["taskDefinition"]
    return any(container.get("healthCheck") for container in definition["containerDefinitions"])


def _describe_tasks(ecs: Any, cluster: str, service: str) -> list[dict[str, Any]]:
    arns = ecs.list_tasks(cluster=cluster, serviceName=service)["taskArns"]
    tasks: list[dict[str, Any]] = ecs.describe_tasks(cluster=cluster, tasks=arns)["tasks"] if arns else []
    return tasks


def _list_data_stores(port: int) -> list[DataStoreStatus]:
    """Docker is asked, for to the API of RDS a database is `available` whatever became of its container."""
    stores = []
    try:
        containers = docker.from_env().containers
    except docker.errors.DockerException as error:
        return [DataStoreStatus("databases and caches", f"out of sight: {error}")]
    for service in ("rds", "elasticache"):
        filters: dict[str, str | list[str] | bool] = {"label": [f"{EMULATOR_LABEL}={port}", f"ministack={service}"]}
        for container in containers.list(all=True, filters=filters, ignore_removed=True):
            stores.append(DataStoreStatus(str(container.name), container.status))
    return stores


def aws_client(session: Session, service: str) -> Any:
    """Returns a boto3 client for the local AWS, whatever account this machine's own settings name."""
    variables = session.variables
    return boto3.client(
        service,  # type: ignore[call-overload]  # the stubs know literal names only
        endpoint_url=variables["AWS_ENDPOINT_URL"],
        region_name=variables["AWS_REGION"],
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
        config=Config(retries={"max_attempts": 1}, connect_timeout=2, read_timeout=10),
    )


def _probe_app(url: str, path: str) -> str:
    """Returns why the app does not answer with 200 at `path`; empty when it does.

    The name ends in `.localhost`, which curl and browsers know to be this machine and Python does not.
    """
    parts = urlsplit(url)
    connection = http.client.HTTPConnection("127.0.0.1", parts.port or 80, timeout=ANSWER_TIMEOUT_SECONDS)
    try:
        connection.request("GET", path, headers={"Host": parts.netloc})
        answer = connection.getresponse()
        code = answer.status
        body = answer.read(300).decode(errors="replace").strip()
    except (OSError, http.client.HTTPException) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        connection.close()
    return "" if code == 200 else f"{path}: HTTP status {code} {body}".rstrip()
