"""One process of an app, and what its checks are asked: the types that stacks/app.yaml is written in."""

from __future__ import annotations

import math
import re
import shlex
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel

Need = Literal["database", "cache", "queue", "queue.send", "queue.take", "bucket", "bucket.read", "bucket.write"]
"""A store, and where it has two sides which of them: who only sends jobs may not take them."""


def _words(value: object) -> object:
    return shlex.split(value) if isinstance(value, str) else value


def _path(value: str) -> str:
    if not re.fullmatch(r"/[\w./~%-]*", value):
        raise ValueError("a path begins with / and has letters, digits and ._~%/- alone")
    return value


def _variable(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
        raise ValueError("a variable's name has letters, digits and _, and no digit first")
    return value


Command = Annotated[
    tuple[str, ...],
    BeforeValidator(_words),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
UrlPath = Annotated[str, AfterValidator(_path)]
Variable = Annotated[str, AfterValidator(_variable)]
Text = Annotated[
    str,
    BeforeValidator(lambda value: str(value).lower() if isinstance(value, bool) else str(value)),
    WithJsonSchema({"type": ["string", "number", "boolean"]}),
]


OF_THE_FILE = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True, use_attribute_docstrings=True)
"""Keys as YAML has them, none that nobody knows, and a schema that says what each is for."""


class Health(BaseModel):
    """The paths that are asked whether a task lives (by its container) and whether it may serve (by the balancer)."""

    model_config = OF_THE_FILE

    live: UrlPath = "/health"
    ready: UrlPath = "/health"


class Spot(BaseModel):
    """Fargate Spot, with a part that AWS does not take away."""

    model_config = OF_THE_FILE

    base: Annotated[int, Field(ge=0, le=1000)] = 0
    """So many tasks run on demand, whatever becomes of Spot."""
    weight: Annotated[int, Field(ge=0, le=1000)] = 0
    """Beyond them so many run on Spot for each one on demand; 0: all of them."""

    def on_demand(self, tasks: int) -> int:
        """How many of `tasks` are not on Spot."""
        beyond = max(0, tasks - self.base)
        return tasks - beyond + (math.ceil(beyond / (self.weight + 1)) if self.weight else 0)


class Process(BaseModel):
    """One way in which the app's image is run: behind the load balancer, as a worker, or by the clock."""

    model_config = OF_THE_FILE

    command: Command = ()
    """Instead of the image's own."""
    cpu: int = 256
    """CPU units, 1024 to a vCPU."""
    memory: int = 512
    """MiB."""
    tasks: Annotated[int, Field(ge=0, le=100)] = 1
    max_tasks: Annotated[int, Field(ge=0, le=100)] | None = None
    """Where it is more than `tasks`, autoscaling decides how many run. None: as `tasks`."""
    paths: tuple[str, ...] = ()
    """Behind the load balancer, which patterns of paths it serves; `web` has /* where it says nothing."""
    schedule: Annotated[str, Field(pattern=r"^((cron|rate)\(.+\))?$")] = ""
    """`cron(30 3 * * ? *)` or `rate(1 day)`, in UTC: a task that runs and ends."""
    needs: tuple[Need, ...] | None = None
    """Instead of the app's."""
    secrets: tuple[Variable, ...] | None = None
    """Of the secret variables, the ones that this process gets; None: all of them."""
    spot: bool | Spot = False
    """On Fargate Spot, at about a third of the price: for what may be cut off at any time."""
    metrics: bool | None = None
    """Whether it answers Prometheus on the app's metricsPort; None: where it serves."""

    @property
    def on_spot(self) -> Spot | None:
        """How it is spread over Spot and on demand; None for on demand alone."""
        return self.spot if isinstance(self.spot, Spot) else Spot() if self.spot else None

    @property
    def most_tasks(self) -> int:
        """How many may run at once, a rollout aside."""
        return self.tasks if self.max_tasks is None else self.max_tasks
