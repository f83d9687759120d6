"""What a job is: a function in a file of its own in this folder; no other file has to know of it.

A job runs at least once: it may be stopped anywhere and run again, so it must do no harm the second time. Its
arguments are JSON, UUIDs and times; messages of the release before are still in the queue when a new one takes over.
"""

import importlib
import logging
import pkgutil
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Concatenate, Generic, ParamSpec

import app.jobs
from app.core.db.database import Database
from app.core.observability import metrics
from app.jobs.files import Files

log = logging.getLogger("app.jobs")
P = ParamSpec("P")


@dataclass(frozen=True)
class JobContext:
    """One run of a job, and what it works with."""

    database: Database
    files: Files
    seconds: float  # that it may take
    number: int = 1  # which run of this message it is; above 1, the one before was stopped or failed
    last: bool = True  # whether there is no further one: what fails now is a dead letter

    @property
    def lost_after(self) -> timedelta:
        """After how long a run that did not say how it ended has died with its process."""
        return timedelta(seconds=2 * self.seconds)


Function = Callable[Concatenate[JobContext, P], Awaitable[None]]
Overdue = Callable[[JobContext], Awaitable[Sequence[tuple[Any, ...]]]]


class Job(Generic[P]):
    """A job by its name. Called, it runs: it returns when it is done, and raises what it failed of."""

    def __init__(self, function: Function[P], overdue: Overdue | None) -> None:
        self.name, self.overdue, self._function = function.__name__, overdue, function

    async def __call__(self, context: JobContext, *args: P.args, **kwargs: P.kwargs) -> None:
        """Run it, and count and log how it ended."""
        start = time.perf_counter()
        fields = {"job": self.name, "arguments": [*map(str, args)], "run": context.number}
        try:
            await self._function(context, *args, **kwargs)
        except Exception:
            metrics.JOBS.labels(self.name, "dead" if context.last else "retried").inc()
            log.exception("job failed", extra={**fields, "last": context.last})
            raise
        seconds = time.perf_counter() - start
        metrics.JOBS.labels(self.name, "done").inc()
        metrics.observe_with_trace(metrics.JOB_SECONDS, {"job": self.name}, seconds)
        log.info("job done", extra={**fields, "seconds": round(seconds, 3)})


_jobs: dict[str, Job[Any]] = {}


def job(*, overdue: Overdue | None = None) -> Callable[[Function[P]], Job[P]]:
    """Make a function a job. `overdue` gives the arguments of those that should have been run by now, each once: they
    are sent again, so that one which was never sent, or was lost with a process, is not lost for ever."""

    def decorate(function: Function[P]) -> Job[P]:
        _jobs[function.__name__] = Job(function, overdue)
        return _jobs[function.__name__]

    return decorate


def all_jobs() -> dict[str, Job[Any]]:
    """Every job of this folder, by name."""
    for module in pkgutil.iter_modules(app.jobs.__path__):
        if module.name != "worker":  # it is the caller, and imports Celery, which a laptop does without
            importlib.import_module(f"app.jobs.{module.name}")
    return _jobs
