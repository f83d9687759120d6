"""The type of `health` in stacks/app.yaml: the paths, the timing and the status codes of health checks."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, Field, model_validator

from slipway.config import constants
from slipway.config.app_spec.values import APP_FILE_MODEL_CONFIG, Command, UrlPath

_STATUSES = re.compile(r"[23]\d\d(-[23]\d\d)?(,[23]\d\d(-[23]\d\d)?)*")


def _check_statuses(value: str) -> str:
    if not _STATUSES.fullmatch(value):
        raise ValueError("write codes and ranges of 200 to 399, separated by commas: 200, or 200-399, or 200,204")
    for first, last in constants.status_ranges(value):
        if first > last:
            raise ValueError(f"the range {first}-{last} ends before it begins")
    return value


Statuses = Annotated[str, Field(coerce_numbers_to_str=True), AfterValidator(_check_statuses)]
StartSeconds = Annotated[int, Field(ge=0, le=300)]
IntervalSeconds = Annotated[int, Field(ge=5, le=300)]
TimeoutSeconds = Annotated[int, Field(ge=2, le=30)]
Failures = Annotated[int, Field(ge=2, le=10)]
"""What both an ALB target group and an ECS container check take; the container's time-out is twice the key's."""


class HealthSpec(BaseModel):
    """Health checks: `live` is asked by the container's, `ready` by the load balancer's."""

    model_config = APP_FILE_MODEL_CONFIG

    live: UrlPath = "/health"
    ready: UrlPath = "/health"
    start_seconds: StartSeconds = constants.HEALTH_CHECK_GRACE_SECONDS
    """Seconds after a task's start in which failures do not count."""
    interval: IntervalSeconds = constants.HEALTH_INTERVAL_SECONDS
    """Seconds from one check to the next."""
    timeout: TimeoutSeconds = constants.HEALTH_TIMEOUT_SECONDS
    """Seconds to answer a check, below the interval. The container's own check has twice as many, at least 10."""
    failures: Failures = constants.UNHEALTHY_THRESHOLD
    """Failures in a row after which a task is unhealthy and replaced."""
    statuses: Statuses = constants.HEALTHY_STATUSES
    """Healthy status codes: `200`, `200-399` or `200,204`."""

    @model_validator(mode="after")
    def _check_timeout(self) -> Self:
        if self.timeout >= self.interval:
            raise ValueError(
                f"health.timeout is {self.timeout} and health.interval is {self.interval}: the load balancer requires "
                f"a shorter timeout. Set interval to {self.timeout + 1} or more"
            )
        return self


class ProcessHealth(BaseModel):
    """Health checks of one process; a key that is left out keeps the app's value."""

    model_config = APP_FILE_MODEL_CONFIG

    command: Command = ()
    """A command in the container that exits 0 where the process works, in place of a request. A worker's only check."""
    live: UrlPath | None = None
    ready: UrlPath | None = None
    start_seconds: StartSeconds | None = None
    interval: IntervalSeconds | None = None
    timeout: TimeoutSeconds | None = None
    failures: Failures | None = None
    statuses: Statuses | None = None

    def over(self, health: HealthSpec) -> HealthSpec:
        """Returns the app's `health` with this process's keys. Raises `ValidationError`."""
        own = self.model_dump(exclude={"command"}, exclude_none=True, by_alias=True)
        return HealthSpec.model_validate(health.model_dump(by_alias=True) | own)
