"""stacks/app.yaml read for a stack, and what has to hold between the two: files, times of jobs, connections, scaling,
production. A wrong value is a `SlipwayError` that names the key and what would be right.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from infra import contract
from infra.app import App
from infra.errors import SlipwayError, explained
from infra.settings import ROOT, Settings
from infra.sizes import max_connections

APP_FILE = Path("stacks") / "app.yaml"


def load_app(settings: Settings, root: Path = ROOT) -> App:
    """stacks/app.yaml as a stack has it. Raises `SlipwayError` for what is wrong in either, or between them."""
    path = root / APP_FILE
    if not path.is_file():
        raise SlipwayError(f"There is no {APP_FILE}.", "docs/your-app.md tells what goes into it.")
    try:
        given = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SlipwayError(f"{APP_FILE} is no YAML: {error}") from None
    return app_of(given, settings, root)


def app_of(given: Any, settings: Settings, root: Path = ROOT) -> App:
    """Check what the file says, `given`, together with a stack's settings."""
    if not isinstance(given, dict):
        raise SlipwayError(f"{APP_FILE} is no mapping of keys to values.", "docs/your-app.md has an example.")
    merged = _with_the_stacks(given, settings)
    try:
        app = App.model_validate(merged)
        _check(app, settings, root)
    except ValidationError as error:
        raise explained(error, str(APP_FILE)) from None
    except ValueError as error:
        raise SlipwayError(f"{APP_FILE}: {error}", "Nothing was changed.") from None
    return app


def _with_the_stacks(given: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """What the stack's file changes, laid over what the app's file says."""
    merged = dict(given)
    processes = {name: dict(process or {}) for name, process in (given.get("processes") or {"web": {}}).items()}
    for name, changes in settings.processes.items():
        if name in processes:  # sizes of a process that this app does not have are somebody else's
            processes[name] |= changes.model_dump(by_alias=True, exclude_none=True)
    merged["processes"] = processes
    merged["environment"] = dict(given.get("environment") or {}) | settings.environment
    return merged


def _check(app: App, settings: Settings, root: Path) -> None:
    """Raises `ValueError` that says what does not fit, with the numbers."""
    _check_files(app, root)
    _check_jobs(app)
    if settings.kind == "environment":  # a preview does not scale, and its environment counts its connections
        _check_connections(app, settings)
        _check_scaling(app, settings)
    _check_production(app, settings)


def _check_files(app: App, root: Path) -> None:
    if not (root / app.source).is_dir():
        raise ValueError(f"source is {app.source!r}: there is no such folder in the repository")
    if app.dockerfile and not (root / app.dockerfile).is_file():
        raise ValueError(f"dockerfile is {app.dockerfile!r}: there is no such file in the repository")


def _check_jobs(app: App) -> None:
    """Each time-out of a job has to be longer than the one before it, or it is done twice at once."""
    limit = app.job_timeout
    killed, again = limit + contract.JOB_KILL_SECONDS, contract.visibility_seconds(limit)
    longest = contract.LONGEST_VISIBILITY_SECONDS
    if not killed < again <= longest:
        least, most = 2 * contract.JOB_KILL_SECONDS + 2, longest * 2 // 3
        raise ValueError(
            f"jobTimeout is {limit}: a job is killed after {killed} s, and its message goes to another worker after "
            f"{again} s, which has to be later, and not beyond SQS's {longest} s. Take {least} to {most}"
        )


def _check_connections(app: App, settings: Settings) -> None:
    """A database that is out of connections refuses the new revision in the middle of a rollout."""
    if "database" not in app.stores:
        return
    pool = settings.database_pool_size
    parts, asked = [], contract.SPARE_CONNECTIONS
    for name, process in app.processes.items():
        if "database" not in app.needs_of(name):
            continue
        workers = contract.web_concurrency(process.cpu) if name in app.served else 1
        tasks = 1 if process.schedule else process.most_tasks * 2
        asked += tasks * workers * pool
        rollout = "" if process.schedule else " x 2 (a rollout runs both revisions)"
        parts.append(f"{tasks if process.schedule else process.most_tasks} {name} tasks{rollout} x {workers} x {pool}")
    if settings.previews:
        asked += settings.preview_limit * contract.PREVIEW_CONNECTIONS
        parts.append(f"{settings.preview_limit} previews (previewLimit) x {contract.PREVIEW_CONNECTIONS}")
    allowed = int(max_connections(settings.database_class) * 0.8)
    if asked > allowed:
        raise ValueError(
            f"databasePoolSize is {pool}: {', '.join(parts)} and {contract.SPARE_CONNECTIONS} are {asked} "
            f"connections; 80 % of what {settings.database_class} has is {allowed}. Take a smaller pool, fewer "
            "tasks or a larger class"
        )


def _check_scaling(app: App, settings: Settings) -> None:
    for name, process in app.workers.items():
        if process.most_tasks <= process.tasks:
            continue
        if process.tasks == 0:
            raise ValueError(
                f"processes.{name}.tasks is 0 with maxTasks {process.most_tasks}: scaling compares the queue with the "
                "tasks that run, so one has to; or set both to 0"
            )
        if not {"queue", "queue.take"} & set(app.needs_of(name)):
            raise ValueError(
                f"processes.{name}.maxTasks is {process.most_tasks}: a worker scales on the queue that it takes jobs "
                "from, and it needs none"
            )
        if not settings.container_insights:
            raise ValueError(
                f"processes.{name}.maxTasks is {process.most_tasks} with containerInsights false: scaling compares the "
                f"queue with the number of running tasks, which Container Insights counts. Set it to true, or maxTasks "
                f"to {process.tasks}"
            )


def _check_production(app: App, settings: Settings) -> None:
    if settings.tier != "prod":
        return
    alone = [name for name, process in app.served.items() if process.tasks < 2]
    if alone:
        raise ValueError(f"processes.{', '.join(alone)}.tasks is 1: production survives the loss of a zone")
    weak = settings.weak_stores(app.stores)
    if weak:
        raise ValueError(f"{', '.join(weak)}: production keeps its data and survives the loss of a zone")
