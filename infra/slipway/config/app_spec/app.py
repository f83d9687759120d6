"""The app in stacks/app.yaml: its image, its processes, the stores that each needs and its environment variables.

A stack's file may override sizes and environment variables (`processes`, `environment`). A wrong value is a
`SlipwayError` that names the key, the value and what is allowed.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, model_validator

from slipway.config import constants, names
from slipway.config.app_spec.health import HealthSpec
from slipway.config.app_spec.process import Need, ProcessSpec
from slipway.config.app_spec.values import APP_FILE_MODEL_CONFIG, Command, VariableName
from slipway.config.aws_limits import check_fargate_size
from slipway.config.setting_sections.base import EnvironmentValue

INJECTABLE_VALUES: dict[str, str | None] = {
    "database.url": "database",
    "database.url.asyncpg": "database",
    "database.url.psycopg": "database",
    "database.host": "database",
    "database.port": "database",
    "database.name": "database",
    "database.user": "database",
    "database.password": "database",
    "database.ca": "database",
    "database.pool": "database",
    "cache.url": "cache",
    "cache.host": "cache",
    "cache.port": "cache",
    "cache.password": "cache",
    "cache.ca": "cache",
    "cache.tls": "cache",
    "queue.url": "queue",
    "queue.name": "queue",
    "queue.timeout": "queue",
    "bucket.name": "bucket",
    "stack.project": None,
    "stack.name": None,
    "stack.tier": None,
    "stack.hosts": None,
    "generated": None,
    "generated.former": None,
}
"""The values that `variables` may name, and the store that each comes from; None: no store."""
DATABASE_URLS = ("database.url", "database.url.asyncpg", "database.url.psycopg")
"""URLs of the one database: for libpq, psycopg2 and asyncpg alone, and for SQLAlchemy with a driver."""
SECRET_VALUES = {*DATABASE_URLS, "database.password", "cache.url", "cache.password", "generated", "generated.former"}
"""Those that containers get from Secrets Manager: a URL contains the password."""

GENERATED_VALUES = {"generated", "generated.former"}
FORMER_PREFIX = "FORMER_"
"""Prefix of the variable that has a generated variable's value of before the last rotation."""

STATIC_PATH_PATTERN = r"^/[\w.~-][\w.~/*?-]*$"
"""A path pattern of CloudFront that begins with a literal: `/*` would cache what has credentials."""
StaticPath = Annotated[str, Field(pattern=STATIC_PATH_PATTERN, max_length=255)]


class AppSpec(BaseModel):
    """stacks/app.yaml with the sizes and environment variables of one stack."""

    model_config = APP_FILE_MODEL_CONFIG

    source: str = "app"
    """The image's build context, a folder relative to the project."""
    dockerfile: str = ""
    """Your own Dockerfile, relative to the project; or `module`."""
    module: Annotated[str, Field(pattern=r"^(([\w]+\.)*[\w]+:[\w.]+)?$")] = ""
    """The ASGI app, `package.module:name`, for which docker/app builds an image and serves it; or `dockerfile`."""
    port: Annotated[int, Field(ge=1, le=65535)] = 8000
    metrics_port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """The port of Prometheus metrics at /metrics, which the load balancer does not reach. None: no metrics."""
    health: HealthSpec = HealthSpec()
    static_paths: Annotated[tuple[StaticPath, ...], Field(max_length=10)] = ("/static/*",)
    """Path patterns that CloudFront caches where a stack has `cdn: true`: files that are the same for every visitor."""
    request_timeout: Annotated[int, Field(ge=60, le=4000)] = constants.IDLE_TIMEOUT_SECONDS
    """Seconds that a request may take: the load balancer's idle time-out, which the server's keep-alive follows."""
    job_timeout: Annotated[int, Field(ge=1)] = constants.DEFAULT_JOB_TIMEOUT_SECONDS
    """Seconds that a job of the queue may take. SQS delivers its message again after one and a half times that."""
    processes: dict[str, ProcessSpec] = {"web": ProcessSpec()}
    release: Command = ()
    """The command that runs once before any process gets new code, for migrations. Empty: none."""
    release_plan: Command = ()
    """The command that prints the SQL of `release` without running it; not needed for `alembic upgrade`."""
    preview_seed: Command = ()
    """The command that, after `release`, fills the database that previews copy; for `previewData: template`."""
    needs: tuple[Need, ...] = ()
    environment: dict[VariableName, EnvironmentValue] = {}
    """Environment variables of all containers, as text."""
    variables: dict[VariableName, str] = {}
    """Environment variables with values of the kit, such as `DATABASE_HOST: database.host`."""
    secrets: dict[VariableName, Literal["required", "optional"]] = {}
    """Environment variables with secret values that you set: pulumi config set --secret --path 'secrets.NAME'."""

    @model_validator(mode="before")
    @classmethod
    def _complete_short_forms(cls, values: Any) -> Any:
        """Turns a list of secrets into a mapping, and a process without keys (`web:`) into one with defaults."""
        if not isinstance(values, dict):
            return values
        completed = dict(values)
        secrets = values.get("secrets")
        if isinstance(secrets, list) and all(isinstance(name, str) for name in secrets):
            completed["secrets"] = dict.fromkeys(secrets, "required")
        processes = values.get("processes")
        if isinstance(processes, dict):
            completed["processes"] = {name: {} if keys is None else keys for name, keys in processes.items()}
        return completed

    @model_validator(mode="after")
    def _check_image_source(self) -> Self:
        if bool(self.dockerfile) == bool(self.module):
            raise ValueError(
                "set one of module and dockerfile: `module: app.main:app` for an image of docker/app that serves it, "
                "or `dockerfile: backend/Dockerfile` for an image of your own"
            )
        return self

    @model_validator(mode="after")
    def _check_processes(self) -> Self:
        for name, process in self.processes.items():
            self._check_process(name, process)
        return self

    def _check_process(self, name: str, process: ProcessSpec) -> None:
        problem = names.name_error("process", name, names.MAX_PROCESS_NAME_LENGTH)
        if problem:
            raise ValueError(problem)
        if name in names.RESERVED_PROCESS_NAMES:
            raise ValueError(f"processes.{name}: the kit has a task of that name. Choose another name")
        if process.schedule and (process.paths or name == "web"):
            raise ValueError(f"processes.{name} has a schedule, which web and a process with paths cannot have")
        if process.manual and (process.schedule or process.paths or name == "web"):
            raise ValueError(
                f"processes.{name}.manual is true: it runs when `slipway run` starts it, so it has no schedule and no "
                "paths, and is not web"
            )
        if process.metrics and process.is_one_off:
            kind = "scheduled" if process.schedule else "manual"
            raise ValueError(f"processes.{name}.metrics is true, but a {kind} task ends before it is scraped")
        if process.metrics and not self.metrics_port:
            raise ValueError(f"processes.{name}.metrics is true, but metricsPort is missing")
        if process.health and process.schedule:
            raise ValueError(f"processes.{name}.health: a scheduled task ends by itself. Remove health")
        if process.health and not process.health.command and not process.paths and name != "web":
            raise ValueError(
                f"processes.{name}.health has no command: nothing asks a worker over HTTP. Set health.command to a "
                "command that exits 0 where the worker works"
            )
        if process.health:
            process.health.over(self.health)
        self._check_own_image(name, process)
        if process.port and name != "web" and not process.paths:
            raise ValueError(
                f"processes.{name}.port is {process.port}, but only a process behind the load balancer has one"
            )
        if not process.command and name != "web" and not process.has_own_image:
            raise ValueError(f"processes.{name}.command is missing: only web may run the image's own command")
        if process.effective_max_tasks < process.tasks:
            raise ValueError(
                f"processes.{name}.maxTasks is {process.effective_max_tasks}: it must be at least tasks, "
                f"{process.tasks}"
            )
        check_fargate_size(f"processes.{name}.cpu", process.cpu, f"processes.{name}.memory", process.memory)

    def _check_own_image(self, name: str, process: ProcessSpec) -> None:
        if process.image and process.dockerfile:
            raise ValueError(f"processes.{name} has image and dockerfile: set one of them")
        if process.source and not process.dockerfile:
            raise ValueError(f"processes.{name}.source is the build context of a dockerfile, which is missing")
        if process.has_own_image and name == "web":
            raise ValueError(
                "processes.web has an image of its own: web runs the app's, which `slipway promote` and `rollback` "
                "deploy. Set dockerfile of the app, or give the process another name and `paths: [/*]`"
            )

    @model_validator(mode="after")
    def _check_preview_seed(self) -> Self:
        if self.preview_seed and "database" not in self.stores:
            raise ValueError("previewSeed fills a database, but nothing needs one: add database to needs")
        return self

    @model_validator(mode="after")
    def _check_metrics_port(self) -> Self:
        if self.metrics_port == self.port:
            raise ValueError(f"metricsPort and port are both {self.port}: metrics would be public. Choose another one")
        return self

    @model_validator(mode="after")
    def _check_variables(self) -> Self:
        stores = self.stores
        for name, value in self.variables.items():
            if value not in INJECTABLE_VALUES:
                raise ValueError(f"variables.{name} is {value!r}: allowed are {', '.join(INJECTABLE_VALUES)}")
            store = INJECTABLE_VALUES[value]
            if store and store not in stores:
                raise ValueError(f"variables.{name} is {value}, but nothing needs the {store}: add it to needs")
            if value == "generated.former" and self.variables.get(name.removeprefix(FORMER_PREFIX)) != "generated":
                raise ValueError(
                    f"variables.{name} is generated.former: its name must be {FORMER_PREFIX} and the name of a "
                    "generated variable"
                )
        return self

    @model_validator(mode="after")
    def _check_secrets_of_processes(self) -> Self:
        for name, process in self.processes.items():
            unknown = [secret for secret in process.secrets or () if secret not in self.secret_variables]
            if unknown:
                raise ValueError(
                    f"processes.{name}.secrets: {', '.join(unknown)} is not a secret variable; there are "
                    f"{', '.join(sorted(self.secret_variables)) or 'none'}"
                )
        return self

    @model_validator(mode="after")
    def _check_duplicate_variables(self) -> Self:
        plain = set(self.environment)
        injected = set(self.variables)
        duplicates = (plain & injected) | (set(self.secrets) & (plain | injected))
        if duplicates:
            raise ValueError(
                f"{', '.join(sorted(duplicates))}: set in more than one of environment, variables and secrets"
            )
        return self

    @property
    def stores(self) -> set[str]:
        """The stores to create: those that the app or one of its processes needs."""
        needs = set(self.needs)
        for process in self.processes.values():
            needs |= set(process.needs or ())
        return {need.partition(".")[0] for need in needs}

    @property
    def secret_variables(self) -> set[str]:
        """The variables that come from Secrets Manager and belong to no store."""
        generated = {name for name, value in self.variables.items() if value in GENERATED_VALUES}
        return generated | set(self.secrets)

    @property
    def web_processes(self) -> dict[str, ProcessSpec]:
        """The processes behind the load balancer, each with its paths."""
        return {
            name: process.model_copy(update={"paths": process.paths or ("/*",)})
            for name, process in self.processes.items()
            if process.paths or name == "web"
        }

    @property
    def workers(self) -> dict[str, ProcessSpec]:
        """The processes that run all the time and are not behind the load balancer."""
        return {
            name: process
            for name, process in self.processes.items()
            if not process.is_one_off and not process.paths and name != "web"
        }

    @property
    def scheduled(self) -> dict[str, ProcessSpec]:
        """The processes that run on a schedule."""
        return {name: process for name, process in self.processes.items() if process.schedule}

    @property
    def manual(self) -> dict[str, ProcessSpec]:
        """The processes that run when `slipway run` starts them."""
        return {name: process for name, process in self.processes.items() if process.manual}

    def port_of(self, process: str) -> int:
        """Returns the port that a process behind the load balancer listens on."""
        return self.processes[process].port or self.port

    def health_of(self, process: str) -> HealthSpec:
        """Returns the health checks of a process: the app's with its own keys."""
        own = self.processes[process].health
        return own.over(self.health) if own else self.health

    def metrics_port_of(self, process: str) -> int | None:
        """Returns the port of a process's Prometheus metrics; None: it has none."""
        has_metrics = self.processes[process].metrics if process in self.processes else False
        if has_metrics is None:
            has_metrics = process in self.web_processes
        return self.metrics_port if has_metrics else None

    def missing_secrets(self, configured: Collection[str]) -> list[str]:
        """Returns the required secrets that are not among the `configured` ones."""
        return [name for name, kind in self.secrets.items() if kind == "required" and name not in configured]

    def needs_of(self, process: str) -> tuple[Need, ...]:
        """Returns what a process may use; `release` may use database and cache, where they exist."""
        if process == "release":
            of_release: tuple[Need, ...] = ("database", "cache")
            return tuple(store for store in of_release if store in self.stores)
        own = self.processes[process].needs
        return self.needs if own is None else own

    def secrets_of(self, process: str) -> set[str]:
        """Returns the secret variables, apart from stores' ones, that a process or `release` gets."""
        own = None if process == "release" else self.processes[process].secrets
        return self.secret_variables if own is None else set(own)

    def to_preview_spec(self) -> AppSpec:
        """Returns the app as a preview runs it: without queue and bucket, which are the environment's own, without
        scheduled and manual tasks and without processes that receive jobs."""

        def keep_own_stores(needs: tuple[Need, ...]) -> tuple[Need, ...]:
            return tuple(need for need in needs if need.partition(".")[0] in ("database", "cache"))

        processes = {
            name: process.model_copy(update={"needs": keep_own_stores(self.needs_of(name))})
            for name, process in self.processes.items()
            if not process.is_one_off and not {"queue", "queue.take"} & set(self.needs_of(name))
        }
        return self.model_copy(update={"processes": processes, "needs": keep_own_stores(self.needs)})

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """Returns the JSON schema of the file for editors (stacks/app.schema.json)."""
        schema = cls.model_json_schema()
        schema["properties"]["variables"]["additionalProperties"] = {"enum": list(INJECTABLE_VALUES)}
        secrets = schema["properties"]["secrets"]
        secrets["anyOf"] = [{"type": "array", "items": {"type": "string"}}, {"type": secrets.pop("type")}]
        return schema
