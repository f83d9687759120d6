"""Checks that an app fits a stack's settings: files, job time-outs, database connections, autoscaling, production.

Each check raises `ValueError` with the key, its value, what is allowed and the numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from slipway.config import constants
from slipway.config.app_spec.app import AppSpec
from slipway.config.aws_limits import DATABASE_MEMORY_GIB, max_connections
from slipway.config.settings import Settings

USABLE_CONNECTIONS = 0.8
"""The part of RDS's max_connections that tasks, previews and the reserve may use; an alarm is sent above it."""

MAX_PATHS_BEHIND_CDN = 3
"""Of the 5 condition values of a listener rule.
https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-limits.html"""

KEEPALIVE_OPTIONS = ("--timeout-keep-alive", "--keep-alive")
"""uvicorn's and gunicorn's options of the keep-alive, in seconds."""


def check_app_in_stack(app: AppSpec, settings: Settings, root: Path) -> None:
    """Raises `ValueError` where the app does not fit the stack; `root` is the project's folder."""
    _check_files(app, root)
    _check_job_timeout(app)
    _check_keepalive(app)
    if settings.cdn:
        _check_cdn(app)
    if settings.kind == "environment":  # a preview does not scale, and its environment counts its connections
        _check_connections(app, settings)
        _check_autoscaling(app, settings)
    _check_production(app, settings)


def _check_files(app: AppSpec, root: Path) -> None:
    if not (root / app.source).is_dir():
        raise ValueError(f"source is {app.source!r}: there is no such folder in the project")
    if app.dockerfile and not (root / app.dockerfile).is_file():
        raise ValueError(f"dockerfile is {app.dockerfile!r}: there is no such file in the project")
    for name, process in app.processes.items():
        if process.source and not (root / process.source).is_dir():
            raise ValueError(f"processes.{name}.source is {process.source!r}: there is no such folder in the project")
        if process.dockerfile and not (root / process.dockerfile).is_file():
            raise ValueError(
                f"processes.{name}.dockerfile is {process.dockerfile!r}: there is no such file in the project"
            )


def _check_job_timeout(app: AppSpec) -> None:
    """A job must end before SQS delivers its message again, or two workers run it at once."""
    limit = app.job_timeout
    killed_after = limit + constants.JOB_KILL_GRACE_SECONDS
    delivered_after = constants.visibility_timeout_seconds(limit)
    longest = constants.MAX_VISIBILITY_TIMEOUT_SECONDS
    if not killed_after < delivered_after <= longest:
        smallest = 2 * constants.JOB_KILL_GRACE_SECONDS + 2
        largest = longest * 2 // 3
        raise ValueError(
            f"jobTimeout is {limit}: a job is killed after {killed_after} s, and its message is delivered again after "
            f"{delivered_after} s, which must be later and at most SQS's {longest} s. "
            f"Allowed are {smallest} to {largest}"
        )


def _check_keepalive(app: AppSpec) -> None:
    """A server that closes an idle connection before the load balancer does loses requests as 502."""
    for name, process in app.web_processes.items():
        for option, value in zip(process.command, process.command[1:], strict=False):
            if option not in KEEPALIVE_OPTIONS or not value.isdigit() or int(value) > app.request_timeout:
                continue
            raise ValueError(
                f"processes.{name}.command has {option} {value} and requestTimeout is {app.request_timeout}: the load "
                f"balancer keeps idle connections for {app.request_timeout} s, and the server must keep them longer. "
                f"Set {option} to {constants.keepalive_seconds(app.request_timeout)}"
            )


def _check_cdn(app: AppSpec) -> None:
    """CloudFront has a longest time-out, and a listener rule room for its secret header."""
    longest = constants.CDN_RESPONSE_SECONDS - constants.CDN_MARGIN_SECONDS
    if app.request_timeout > longest:
        raise ValueError(
            f"requestTimeout is {app.request_timeout} and cdn is true: CloudFront waits "
            f"{constants.CDN_RESPONSE_SECONDS} s for a response at most, and longer than the load balancer does. "
            f"Set requestTimeout to {longest} or less, or cdn to false"
        )
    for name, process in app.web_processes.items():
        if len(process.paths) > MAX_PATHS_BEHIND_CDN:
            raise ValueError(
                f"processes.{name}.paths has {len(process.paths)} patterns and cdn is true: a listener rule has 5 "
                f"values, of which CloudFront's header takes two during a rotation. Allowed are "
                f"{MAX_PATHS_BEHIND_CDN}; combine some, or set cdn to false"
            )


@dataclass(frozen=True)
class ConnectionUse:
    """Largest number of database connections of one user."""

    description: str
    """Such as `web: 2 tasks x 2`."""
    pools: int
    """Pools of databasePoolSize connections each."""
    fixed: int = 0
    """Connections whatever databasePoolSize is."""

    def count(self, pool_size: int) -> int:
        """Returns the connections with pools of `pool_size`."""
        return self.pools * pool_size + self.fixed


def list_connection_uses(app: AppSpec, settings: Settings) -> list[ConnectionUse]:
    """Returns who connects to the database during a rollout at the largest scale, when each service runs two
    revisions."""
    uses = [_connections_of_process(app, name) for name in app.processes if "database" in app.needs_of(name)]
    if settings.previews:
        previews = f"{settings.preview_limit} previews (previewLimit) x {constants.CONNECTIONS_PER_PREVIEW}"
        uses.append(ConnectionUse(previews, 0, settings.preview_limit * constants.CONNECTIONS_PER_PREVIEW))
    uses.append(ConnectionUse("reserved for people and the release task", 0, fixed=constants.RESERVED_CONNECTIONS))
    return uses


def _connections_of_process(app: AppSpec, name: str) -> ConnectionUse:
    process = app.processes[name]
    tasks = 1 if process.is_one_off else process.effective_max_tasks
    revisions = 1 if process.is_one_off else 2
    servers = constants.web_concurrency(process.cpu) if name in app.web_processes else 1
    factors = [f"{name}: {tasks} task{'' if tasks == 1 else 's'}"]
    if revisions > 1:
        factors.append("2 revisions during a rollout")
    if servers > 1:
        factors.append(f"{servers} server processes (one for each vCPU)")
    return ConnectionUse(" x ".join(factors), tasks * revisions * servers)


def _check_connections(app: AppSpec, settings: Settings) -> None:
    """A database without free connections refuses the new revision in the middle of a rollout."""
    if "database" not in app.stores:
        return
    pool_size = settings.database_pool_size
    uses = list_connection_uses(app, settings)
    needed = sum(use.count(pool_size) for use in uses)
    usable = _usable_connections(settings.database_class)
    if needed <= usable:
        return
    lines = [
        f"databasePoolSize is {pool_size}: {needed} database connections are needed, and {usable} may be used, 80 % of "
        f"the {max_connections(settings.database_class)} of {settings.database_class}:"
    ]
    for use in uses:
        pool = f" x databasePoolSize {pool_size}" if use.pools else ""
        lines.append(f"    {use.description}{pool} = {use.count(pool_size)}")
    lines.append(f"    {_connections_cure(uses, pool_size, usable)}")
    raise ValueError("\n".join(lines))


def _usable_connections(database_class: str) -> int:
    return int(max_connections(database_class) * USABLE_CONNECTIONS)


def _connections_cure(uses: list[ConnectionUse], pool_size: int, usable: int) -> str:
    """Returns which databasePoolSize and which databaseClass would fit."""
    pools = sum(use.pools for use in uses)
    needed = sum(use.count(pool_size) for use in uses)
    cures = []
    fitting_pool_size = (usable - (needed - pools * pool_size)) // pools if pools else 0
    if fitting_pool_size > 0:
        cures.append(f"set databasePoolSize to {fitting_pool_size} or less")
    by_size = sorted(DATABASE_MEMORY_GIB, key=lambda name: (max_connections(name), name))
    fitting_class = next((name for name in by_size if _usable_connections(name) >= needed), None)
    if fitting_class:
        cures.append(f"set databaseClass to {fitting_class} ({_usable_connections(fitting_class)} may be used)")
    cures.append("run fewer tasks or previews")
    text = ", or ".join(cures)
    return text[0].upper() + text[1:]


def _check_autoscaling(app: AppSpec, settings: Settings) -> None:
    for name, process in app.workers.items():
        largest = process.effective_max_tasks
        if largest <= process.tasks:
            continue
        key = f"processes.{name}.maxTasks is {largest}"
        if process.tasks == 0:
            raise ValueError(
                f"{key} and tasks is 0: autoscaling compares the queue's length with the number of running tasks, so "
                "one must run. Set tasks to 1, or maxTasks to 0"
            )
        if not {"queue", "queue.take"} & set(app.needs_of(name)):
            raise ValueError(
                f"{key}: a worker scales on the queue that it receives jobs from, and {name} needs none. Add "
                f"queue.take to its needs, or set maxTasks to {process.tasks}"
            )
        if not settings.container_insights:
            raise ValueError(
                f"{key} and containerInsights is false: autoscaling compares the queue's length with the number of "
                f"running tasks, which Container Insights counts. Set containerInsights to true, or maxTasks to "
                f"{process.tasks}"
            )


def _check_production(app: AppSpec, settings: Settings) -> None:
    if settings.tier != "prod":
        return
    single = [f"processes.{name}.tasks" for name, process in app.web_processes.items() if process.tasks < 2]
    if single:
        raise ValueError(
            f"tier: prod requires two tasks for each web process, to survive the loss of a zone: set "
            f"{', '.join(single)} to 2 or more"
        )
    weak = settings.weak_stores(app.stores)
    if weak:
        raise ValueError(
            f"tier: prod must keep its data and survive the loss of a zone, which {', '.join(weak)} of this stack "
            "do not. Set databaseMultiAz and databaseFinalSnapshot to true, databaseBackupDays to 7 or more, "
            "cacheNodes to 2 or more"
        )
