"""What runs in the local environment, as the local AWS itself tells it."""

from __future__ import annotations

import http.client
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import urlsplit

import boto3
import docker.errors
from botocore.config import Config

import docker
from infra.local import engine
from infra.local.emulator import process as emulator
from infra.local.emulator.labels import EMULATOR_LABEL
from infra.local.session import STACK, Session

ANSWER_TIMEOUT_SECONDS = 5
EXIT_CODES = {"healthy": 0, "down": 1, "degraded": 2}
"""Of `slipway status`, by `Status.health`."""


@dataclass(frozen=True)
class Task:
    """A running task of one of the services."""

    id: str
    health: str
    image_digest: str


@dataclass(frozen=True)
class Service:
    """An ECS service of the stack."""

    name: str
    desired: int
    healthy: int
    """Tasks that run and pass their checks, where they have any."""
    rollout: str
    """Of its newest deployment: COMPLETED, IN_PROGRESS or FAILED, with the reason."""


@dataclass(frozen=True)
class Store:
    """The container of a database or a cache."""

    name: str
    state: str


@dataclass(frozen=True)
class Status:
    """The local environment at a glance."""

    stack: str
    url: str
    image_digest: str
    tasks: list[Task]
    emulator: str
    """`running`, `stopped`, or `does not answer`."""
    services: list[Service] = field(default_factory=list)
    stores: list[Store] = field(default_factory=list)
    answers: bool = False
    trouble: str = ""
    """Why the app does not answer."""
    not_ready: str = ""
    """What its readiness says, when that is not yes."""
    not_emulated: list[str] = field(default_factory=list)
    """Resources that are kept in the state only, for the emulator has nothing like them."""

    @property
    def troubles(self) -> list[str]:
        """Everything that is not as it should be, a sentence each."""
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
        """What `slipway status --json` prints."""
        return {"health": self.health, "troubles": self.troubles} | asdict(self)


def read_status(session: Session) -> Status:
    """Ask the stack's outputs, ECS, Docker and the app."""
    running = emulator.running()
    if not running or not engine.stack_exists():
        there = "running" if running else "does not answer" if emulator.recorded() else "stopped"
        trouble = "nothing is deployed" if there != "does not answer" else "the local AWS does not answer"
        return Status(STACK, "", "", [], there, trouble=trouble)
    outputs = engine.outputs()
    ecs, cluster = client(session, "ecs"), outputs.get("cluster")
    url = str(outputs.get("url", ""))
    health = outputs.get("health") or {"live": "/", "ready": "/"}
    trouble = _ask_app(url, health["live"]) if url else "the stack has no url: the last update did not get that far"
    return Status(
        stack=STACK,
        url=url,
        image_digest=str(outputs.get("imageDigest", "")),
        tasks=_tasks(ecs, cluster, (outputs.get("services") or {}).values()) if cluster else [],
        emulator="running",
        services=_services(ecs, cluster) if cluster else [],
        stores=_stores(running.port),
        answers=not trouble,
        trouble=trouble,
        not_ready=_ask_app(url, health["ready"]) if not trouble else "",
        not_emulated=engine.not_emulated(),
    )


def _tasks(ecs: Any, cluster: str, services: Iterable[str]) -> list[Task]:
    return [
        Task(
            id=task["taskArn"].rsplit("/", 1)[-1],
            health=task.get("healthStatus", "UNKNOWN"),
            image_digest=task["containers"][0].get("imageDigest", ""),
        )
        for service in services
        for task in _described(ecs, cluster, service)
    ]


def _services(ecs: Any, cluster: str) -> list[Service]:
    arns = ecs.list_services(cluster=cluster)["serviceArns"]
    found = ecs.describe_services(cluster=cluster, services=arns)["services"] if arns else []
    return [
        Service(
            name=service["serviceName"],
            desired=service["desiredCount"],
            healthy=_healthy(ecs, cluster, service),
            rollout=_rollout(service["deployments"][0]),
        )
        for service in found
        if service["status"] == "ACTIVE"
    ]


def _rollout(deployment: dict[str, Any]) -> str:
    state, reason = deployment.get("rolloutState", ""), deployment.get("rolloutStateReason", "")
    return f"FAILED: {reason}" if state == "FAILED" else str(state)


def _healthy(ecs: Any, cluster: str, service: dict[str, Any]) -> int:
    """How many of its tasks run and pass their check. One that has no answer yet does not: it has just begun."""
    definition = ecs.describe_task_definition(taskDefinition=service["taskDefinition"])["taskDefinition"]
    checked = any(container.get("healthCheck") for container in definition["containerDefinitions"])
    tasks = _described(ecs, cluster, service["serviceName"])
    return sum(t["lastStatus"] == "RUNNING" and (t.get("healthStatus") == "HEALTHY" or not checked) for t in tasks)


def _described(ecs: Any, cluster: str, service: str) -> list[dict[str, Any]]:
    arns = ecs.list_tasks(cluster=cluster, serviceName=service)["taskArns"]
    tasks: list[dict[str, Any]] = ecs.describe_tasks(cluster=cluster, tasks=arns)["tasks"] if arns else []
    return tasks


def _stores(port: int) -> list[Store]:
    """Docker is asked, for to the API of RDS a database is `available` whatever became of its container."""
    found = []
    try:
        containers = docker.from_env().containers
    except docker.errors.DockerException as error:
        return [Store("databases and caches", f"out of sight: {error}")]
    for service in ("rds", "elasticache"):
        mine: dict[str, str | list[str] | bool] = {"label": [f"{EMULATOR_LABEL}={port}", f"ministack={service}"]}
        for container in containers.list(all=True, filters=mine, ignore_removed=True):
            found.append(Store(str(container.name), container.status))
    return found


def client(session: Session, service: str) -> Any:
    """A boto3 client for the local AWS, whatever account this machine's own settings name."""
    variables = session.variables
    return boto3.client(
        service,  # type: ignore[call-overload]  # the stubs know literal names only
        endpoint_url=variables["AWS_ENDPOINT_URL"],
        region_name=variables["AWS_REGION"],
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
        config=Config(retries={"max_attempts": 1}, connect_timeout=2, read_timeout=10),
    )


def _ask_app(url: str, path: str) -> str:
    """Why the app does not answer with 200 at `path`; empty when it does.

    The name ends in `.localhost`, which curl and browsers know to be this machine and Python does not.
    """
    parts = urlsplit(url)
    connection = http.client.HTTPConnection("127.0.0.1", parts.port or 80, timeout=ANSWER_TIMEOUT_SECONDS)
    try:
        connection.request("GET", path, headers={"Host": parts.netloc})
        answer = connection.getresponse()
        code, body = answer.status, answer.read(300).decode(errors="replace").strip()
    except (OSError, http.client.HTTPException) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        connection.close()
    return "" if code == 200 else f"{path}: HTTP status {code} {body}".rstrip()
