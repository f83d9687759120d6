"""The type of a process in stacks/app.yaml."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from slipway.config.app_spec.health import ProcessHealth
from slipway.config.app_spec.values import APP_FILE_MODEL_CONFIG, Command, VariableName

Need = Literal["database", "cache", "queue", "queue.send", "queue.take", "bucket", "bucket.read", "bucket.write"]
"""A store, and which permissions on it: `queue.send` may send jobs and not receive them."""


IMAGE_PATTERN = r"^([a-zA-Z0-9][\w.:/-]*(@sha256:[0-9a-f]{64})?)?$"
"""A reference of a container image; empty for none."""


class SpotStrategy(BaseModel):
    """Fargate Spot with some tasks on demand."""

    model_config = APP_FILE_MODEL_CONFIG

    base: Annotated[int, Field(ge=0, le=1000)] = 0
    """Number of tasks that always run on demand."""
    weight: Annotated[int, Field(ge=0, le=1000)] = 0
    """Beyond `base`, tasks on Spot for each one on demand; 0: all of them on Spot."""

    def on_demand(self, tasks: int) -> int:
        """Returns how many of `tasks` run on demand."""
        beyond = max(0, tasks - self.base)
        return tasks - beyond + (math.ceil(beyond / (self.weight + 1)) if self.weight else 0)


class ProcessSpec(BaseModel):
    """One process that runs the app's image or its own: a web service, a worker, a scheduled or a manual task."""

    model_config = APP_FILE_MODEL_CONFIG

    image: Annotated[str, Field(pattern=IMAGE_PATTERN)] = ""
    """An image of its own in place of the app's, such as `redis:7-alpine`; pulled when the stack is deployed."""
    dockerfile: str = ""
    """A Dockerfile of its own, relative to the project, in place of the app's image."""
    source: str = ""
    """The build context of `dockerfile`; empty: the app's `source`."""
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """The port that it listens on behind the load balancer; None: the app's."""
    command: Command = ()
    """The command, in place of the image's own. No shell runs it: write `sh -c '...'` for one."""
    cpu: int = 256
    """CPU units, 1024 to a vCPU."""
    memory: int = 512
    """MiB."""
    tasks: Annotated[int, Field(ge=0, le=100)] = 1
    max_tasks: Annotated[int, Field(ge=0, le=100)] | None = None
    """Largest number of tasks, with autoscaling where it is above `tasks`. None: as `tasks`."""
    paths: tuple[str, ...] = ()
    """Path patterns that the load balancer sends to it; `web` has /* by default."""
    schedule: Annotated[str, Field(pattern=r"^((cron|rate)\(.+\))?$")] = ""
    """When a scheduled task runs, in UTC: `cron(30 3 * * ? *)` or `rate(1 day)`."""
    manual: bool = False
    """Whether it runs only when `slipway run STACK NAME` starts it."""
    needs: tuple[Need, ...] | None = None
    """Stores that it uses, in place of the app's `needs`."""
    secrets: tuple[VariableName, ...] | None = None
    """Secret variables that this process gets; None: all of them."""
    spot: bool | SpotStrategy = False
    """Whether it runs on Fargate Spot, at about a third of the price, where AWS may stop tasks at any time."""
    health: ProcessHealth | None = None
    """Health checks of this process alone; None: the app's, and none for a worker."""
    metrics: bool | None = None
    """Whether it serves Prometheus metrics on the app's metricsPort; None: web processes do."""

    @property
    def is_one_off(self) -> bool:
        """Whether each of its tasks ends by itself: it is scheduled or manual."""
        return bool(self.schedule) or self.manual

    @property
    def has_own_image(self) -> bool:
        """Whether it does not run the app's image."""
        return bool(self.image or self.dockerfile)

    @property
    def spot_strategy(self) -> SpotStrategy | None:
        """The distribution over Spot and on demand; None for on demand only."""
        if isinstance(self.spot, SpotStrategy):
            return self.spot
        return SpotStrategy() if self.spot else None

    @property
    def effective_max_tasks(self) -> int:
        """Largest number of tasks, apart from rollouts, which run both revisions."""
        return self.tasks if self.max_tasks is None else self.max_tasks
