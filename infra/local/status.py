"""What runs in the local environment, as the local AWS itself tells it."""

from __future__ import annotations

import http.client
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

from infra.contract import LIVE_PATH
from infra.local import engine
from infra.local.emulator import process as emulator
from infra.local.session import STACK, Session

ANSWER_TIMEOUT_SECONDS = 5


@dataclass(frozen=True)
class Task:
    """A running task of the web service."""

    id: str
    health: str
    image_digest: str


@dataclass(frozen=True)
class Status:
    """The local environment at a glance."""

    stack: str
    url: str
    image_digest: str
    tasks: list[Task]
    emulator: str
    """`running` or `stopped`."""
    answers: bool = False
    trouble: str = ""
    """Why the app does not answer."""
    not_emulated: list[str] = field(default_factory=list)
    """Resources that are kept in the state only, for the emulator has nothing like them."""

    def as_json(self) -> dict[str, Any]:
        """What `slipway status --json` prints."""
        return asdict(self)


def read_status(session: Session) -> Status:
    """Ask the stack's outputs, ECS and the app."""
    running = emulator.running()
    if not running or not engine.stack_exists():
        return Status(STACK, "", "", [], "running" if running else "stopped", trouble="nothing is deployed")
    outputs = engine.outputs(session)
    url = str(outputs.get("url", ""))
    tasks = _tasks(session, outputs) if "service" in outputs else []
    trouble = _ask_app(url) if url else "the stack has no url: the last update did not get that far"
    return Status(
        stack=STACK,
        url=url,
        image_digest=str(outputs.get("imageDigest", "")),
        tasks=tasks,
        emulator="running",
        answers=not trouble,
        trouble=trouble,
        not_emulated=engine.not_emulated(session),
    )


def _tasks(session: Session, outputs: dict[str, Any]) -> list[Task]:
    ecs = client(session, "ecs")
    arns = ecs.list_tasks(cluster=outputs["cluster"], serviceName=outputs["service"])["taskArns"]
    if not arns:
        return []
    tasks = ecs.describe_tasks(cluster=outputs["cluster"], tasks=arns)["tasks"]
    return [
        Task(
            id=task["taskArn"].rsplit("/", 1)[-1],
            health=task.get("healthStatus", "UNKNOWN"),
            image_digest=task["containers"][0].get("imageDigest", ""),
        )
        for task in tasks
    ]


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


def _ask_app(url: str) -> str:
    """Why the app does not answer at `url`; empty when it does.

    The name ends in `.localhost`, which curl and browsers know to be this machine and Python does not.
    """
    parts = urlsplit(url)
    connection = http.client.HTTPConnection("127.0.0.1", parts.port or 80, timeout=ANSWER_TIMEOUT_SECONDS)
    try:
        connection.request("GET", LIVE_PATH, headers={"Host": parts.netloc})
        code = connection.getresponse().status
    except OSError as error:
        return f"{type(error).__name__}: {error}"
    finally:
        connection.close()
    return "" if code == 200 else f"HTTP status {code}"
