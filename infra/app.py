"""stacks/app.yaml: what the app is, typed and checked as a whole before anything is touched.

The file says what it builds from, which processes it has and what each needs; a stack's file may change sizes and plain
variables (`processes`, `environment`). A wrong value is a `SlipwayError` that names the key and what would be right.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, model_validator

from infra import contract, naming
from infra.app_process import OF_THE_FILE, Command, Health, Need, Process, Text, Variable
from infra.sizes import check_fargate

VALUES: dict[str, str | None] = {
    "database.url": "database",
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
"""What `variables` may ask for, and the store that it comes from."""
SECRET_VALUES = {"database.url", "database.password", "cache.url", "cache.password", "generated", "generated.former"}
"""Those that a container gets from Secrets Manager: a URL has the password in it."""

GENERATED = {"generated", "generated.former"}
FORMER = "FORMER_"
"""Before the name of a generated variable: the one that holds its value of before the last rotation."""


class App(BaseModel):
    """What stacks/app.yaml says, with a stack's sizes and variables in it."""

    model_config = OF_THE_FILE

    source: str = "app"
    """The folder that the image is built from, its build context, relative to the repository."""
    dockerfile: str = ""
    """Your own Dockerfile, relative to the repository ..."""
    module: Annotated[str, Field(pattern=r"^(([\w]+\.)*[\w]+:[\w.]+)?$")] = ""
    """... or the ASGI app, `package.module:name`, and docker/app builds the image and serves it."""
    port: Annotated[int, Field(ge=1, le=65535)] = 8000
    metrics_port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """Where processes answer Prometheus, on /metrics; the load balancer does not reach it. None: nowhere."""
    health: Health = Health()
    job_timeout: Annotated[int, Field(ge=1)] = contract.JOB_SECONDS
    """Seconds that a job of the queue may take. SQS gives its message to another worker after half as long again."""
    processes: dict[str, Process] = {"web": Process()}
    release: Command = ()
    """What runs once before any process gets new code: migrations. Empty: nothing."""
    release_plan: Command = ()
    """What prints the SQL that `release` would run, and changes nothing; `alembic upgrade` needs none."""
    preview_seed: Command = ()
    """What fills the database that previews begin with a copy of, after `release`; for `previewData: template`."""
    needs: tuple[Need, ...] = ()
    environment: dict[Variable, Text] = {}
    """Plain variables of every container."""
    variables: dict[Variable, str] = {}
    """Your name for a value of the kit: one of `VALUES`."""
    secrets: dict[Variable, Literal["required", "optional"]] = {}
    """Variables whose values are configured: pulumi config set --secret --path 'secrets.NAME'."""

    @model_validator(mode="before")
    @classmethod
    def _lists_of_secrets(cls, given: Any) -> Any:
        if isinstance(given, dict) and isinstance(given.get("secrets"), list):
            given = given | {"secrets": dict.fromkeys(given["secrets"], "required")}
        processes = given.get("processes") if isinstance(given, dict) else None
        if isinstance(processes, dict):  # `web:` with nothing after it is a process like any other
            given = given | {"processes": {name: {} if p is None else p for name, p in processes.items()}}
        return given

    @model_validator(mode="after")
    def _one_way_to_build(self) -> Self:
        if bool(self.dockerfile) == bool(self.module):
            raise ValueError(
                "say one of module and dockerfile: `module: app.main:app` has docker/app build and serve it, "
                "`dockerfile: backend/Dockerfile` is built as it is"
            )
        return self

    @model_validator(mode="after")
    def _processes_are_of_one_kind(self) -> Self:
        for name, process in self.processes.items():
            problem = naming.wrong("process", name, naming.LONGEST_PROCESS)
            if problem:
                raise ValueError(problem)
            if name in naming.OF_THE_KIT:
                raise ValueError(f"processes.{name}: the kit has a task of its own that is called so; take another")
            if process.schedule and (process.paths or name == "web"):
                raise ValueError(f"processes.{name} has both schedule and paths: it serves, or it runs by the clock")
            if process.metrics and (process.schedule or not self.metrics_port):
                why = "what runs by the clock ends before it is asked" if process.schedule else "metricsPort is missing"
                raise ValueError(f"processes.{name}.metrics is true, but {why}")
            if not process.command and name != "web":
                raise ValueError(f"processes.{name}.command is missing: only web may run the image's own")
            if process.most_tasks < process.tasks:
                raise ValueError(
                    f"processes.{name}.maxTasks is {process.most_tasks}: it must be at least tasks, {process.tasks}"
                )
            check_fargate(f"processes.{name}.cpu", process.cpu, f"processes.{name}.memory", process.memory)
        return self

    @model_validator(mode="after")
    def _seeds_a_database(self) -> Self:
        if self.preview_seed and "database" not in self.stores:
            raise ValueError("previewSeed fills a database, but nothing needs one: add database to needs")
        return self

    @model_validator(mode="after")
    def _metrics_are_not_public(self) -> Self:
        if self.metrics_port == self.port:
            raise ValueError(f"metricsPort is {self.port}, as port is: the load balancer would show the metrics to all")
        return self

    @model_validator(mode="after")
    def _variables_have_a_source(self) -> Self:
        stores = self.stores
        for name, value in self.variables.items():
            if value not in VALUES:
                raise ValueError(f"variables.{name} is {value!r}: the kit has {', '.join(VALUES)}")
            store = VALUES[value]
            if store and store not in stores:
                raise ValueError(f"variables.{name} is {value}, but nothing needs the {store}: add it to needs")
            if value == "generated.former" and self.variables.get(name.removeprefix(FORMER)) != "generated":
                raise ValueError(
                    f"variables.{name} is generated.former: call it {FORMER} and the name of a generated variable"
                )
        known = self.secret_variables
        for name, process in self.processes.items():
            unknown = [secret for secret in process.secrets or () if secret not in known]
            if unknown:
                raise ValueError(
                    f"processes.{name}.secrets: {', '.join(unknown)} is no secret variable; there are "
                    f"{', '.join(sorted(known)) or 'none'}"
                )
        twice = (set(self.environment) & set(self.variables)) | (
            set(self.secrets) & (set(self.environment) | set(self.variables))
        )
        if twice:
            raise ValueError(f"{', '.join(sorted(twice))}: said twice among environment, variables and secrets")
        return self

    @property
    def stores(self) -> set[str]:
        """What has to be created: what is not named is not created and not billed."""
        needs = set(self.needs)
        for process in self.processes.values():
            needs |= set(process.needs or ())
        return {need.partition(".")[0] for need in needs}

    @property
    def secret_variables(self) -> set[str]:
        """The variables that come from Secrets Manager and belong to no store."""
        return {name for name, value in self.variables.items() if value in GENERATED} | set(self.secrets)

    @property
    def served(self) -> dict[str, Process]:
        """The processes behind the load balancer, each with its paths."""
        return {
            name: process.model_copy(update={"paths": process.paths or ("/*",)})
            for name, process in self.processes.items()
            if process.paths or name == "web"
        }

    @property
    def workers(self) -> dict[str, Process]:
        """The processes that serve nobody and run all the time."""
        return {
            name: process
            for name, process in self.processes.items()
            if not process.schedule and not process.paths and name != "web"
        }

    @property
    def scheduled(self) -> dict[str, Process]:
        """The processes that run by the clock."""
        return {name: process for name, process in self.processes.items() if process.schedule}

    def metrics_port_of(self, process: str) -> int | None:
        """Where a process that runs all the time answers Prometheus; None: nowhere."""
        asked = self.processes[process].metrics if process in self.processes else False
        return self.metrics_port if asked or (asked is None and process in self.served) else None

    def unconfigured(self, given: Collection[str]) -> list[str]:
        """The secrets that have to be configured and are not among those `given`."""
        return [name for name, kind in self.secrets.items() if kind == "required" and name not in given]

    def needs_of(self, process: str) -> tuple[Need, ...]:
        """What a process may use; `release` gets to database and cache, where there are any."""
        if process == "release":
            both: tuple[Need, ...] = ("database", "cache")
            return tuple(store for store in both if store in self.stores)
        own = self.processes[process].needs
        return self.needs if own is None else own

    def secrets_of(self, process: str) -> set[str]:
        """The secret variables that belong to no store and that a process, or `release`, gets."""
        own = None if process == "release" else self.processes[process].secrets
        return self.secret_variables if own is None else set(own)

    def in_a_preview(self) -> App:
        """The app as a preview runs it: with neither queue nor bucket, for those would be the environment's own, and
        without what takes jobs from that queue or runs by the clock."""

        def kept(needs: tuple[Need, ...]) -> tuple[Need, ...]:
            return tuple(need for need in needs if need.partition(".")[0] in ("database", "cache"))

        processes = {
            name: process.model_copy(update={"needs": kept(self.needs_of(name))})
            for name, process in self.processes.items()
            if not process.schedule and not {"queue", "queue.take"} & set(self.needs_of(name))
        }
        return self.model_copy(update={"processes": processes, "needs": kept(self.needs)})

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """What editors know of the file (stacks/app.schema.json): keys, choices, and what each is for."""
        schema = cls.model_json_schema()
        schema["properties"]["variables"]["additionalProperties"] = {"enum": list(VALUES)}
        kinds = schema["properties"]["secrets"]
        kinds["anyOf"] = [{"type": "array", "items": {"type": "string"}}, {"type": kinds.pop("type")}]
        return schema
