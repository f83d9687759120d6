"""Everything that the environment decides, read once: `Settings` is the app's whole contract with infrastructure.

Values come from environment variables, or from `.env` on a laptop (`.env.example` lists them). With nothing set at
all the app runs on SQLite and in memory. Outside `local` there is no default for anything secret or shared, and a
missing or weak value stops the start with one line that says all that is wrong.
"""

import multiprocessing
import re
from enum import StrEnum
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from sqlalchemy import URL, make_url

from app.core.embedded import FOLDER, find_folder, prepare, shared_key

MINIMUM_SECRET_LENGTH = 32  # bytes; RFC 7518 section 3.2 for HMAC with SHA-256
PLACEHOLDERS = ("changeme", "change-me", "secret", "password", "example", "placeholder")


class Environment(StrEnum):
    """The kind of stack that the app runs in."""

    LOCAL = "local"
    DEV = "dev"
    STAGING = "staging"
    PROD = "prod"
    PREVIEW = "preview"


# Comma-separated in the environment: the form that a person and a task definition can both write.
Names = Annotated[list[str], NoDecode]


class Settings(BaseSettings):
    """One typed object; field names are the environment variables' names in lower case."""

    model_config = SettingsConfigDict(
        env_file=".env",
        extra="ignore",
        env_ignore_empty=True,
        hide_input_in_errors=True,  # a rejected password must not be printed with the reason
    )

    project_name: str = "App"  # the documentation's title; names in Postgres, Redis and files derive from it
    environment: Environment = Environment.LOCAL
    release: str = "unknown"  # a git hash or an image digest; goes to logs, metrics and Sentry
    log_level: str = "info"
    log_sample_rate: float = Field(default=1, gt=0, le=1)  # of the requests that went well: app/core/sampling.py
    web_concurrency: int = Field(default=1, ge=1)  # processes of this container that serve requests
    drain_seconds: float = Field(default=0, ge=0)  # how long to serve on after SIGTERM while /readyz says 503

    # Where the embedded default keeps its database and signing key: see app/core/embedded.py.
    data_dir: Path | None = None

    # Database: the parts, or one URL. Times are in seconds.
    database_url: SecretStr | None = None
    database_host: str | None = None
    database_port: int = 5432
    database_name: str = "app"
    database_user: str = "app"
    database_password: SecretStr | None = None
    database_ssl_ca: str | None = None  # PEM text or a file's path; when set, certificate and name are verified
    # No overflow: under load its connections would be opened and closed for single requests.
    database_pool_size: int = Field(default=10, ge=1)
    database_max_overflow: int = Field(default=0, ge=0)
    database_pool_timeout: float = 3
    database_connect_timeout: float = 3
    database_statement_timeout: float = 5
    database_lock_timeout: float = 2
    migration_lock_timeout: float = 10  # requests for the table that a migration waits for queue behind it

    # Redis: one URL, or the parts. Without either, cache and limits live in this process.
    redis_url: SecretStr | None = None
    redis_host: str | None = None
    redis_port: int = 6379
    redis_password: SecretStr | None = None
    redis_tls: bool = False
    redis_ssl_ca: str | None = None
    redis_key_prefix: str | None = None  # the project's name, if several apps share one Redis
    redis_timeout: float = 0.25  # a slow Redis must not be slower than the database behind it

    # Security. Lifetimes are in seconds.
    secret_key: SecretStr | None = None
    former_secret_key: SecretStr | None = None  # of before the last rotation: still verified, signs nothing
    access_token_lifetime: int = 15 * 60
    refresh_token_lifetime: int = 14 * 24 * 3600
    cors_origins: Names = []
    trusted_hosts: Names = ["*"]  # names that the app answers to; `*.example.com` matches subdomains
    max_body_bytes: int = 1024 * 1024
    max_in_flight: int | None = Field(default=None, ge=1)  # requests at once of each process; beyond: 503
    rate_limit_per_minute: int = Field(default=600, ge=1)
    # Logins and registrations of an address, each; guesses of a user's current password.
    login_rate_limit_per_minute: int = Field(default=10, ge=1)

    cache_ttl: int = Field(default=30, ge=0)  # seconds; 0 switches the response cache off

    # Jobs and exports. Without a queue (SQS), jobs run in this process; without a bucket, files go to the database.
    jobs_queue_url: str | None = None
    job_time_limit: int = Field(default=600, ge=1)  # seconds; the queue's visibility time-out is longer by over 30
    exports_bucket: str | None = None
    exports_per_hour: int = Field(default=10, ge=1)  # of one user
    aws_region: str = "us-east-1"

    sentry_dsn: SecretStr | None = None
    # Traces: where an OpenTelemetry collector takes OTLP over HTTP, http://127.0.0.1:4318; without it there are none.
    otel_exporter_otlp_endpoint: str | None = None
    otel_traces_sampler_arg: float = Field(default=1, ge=0, le=1)  # the share of requests that are traced
    metrics_port: int | None = None  # never routed by the load balancer; gunicorn's default is 9102

    @field_validator("cors_origins", "trusted_hosts", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("log_level")
    @classmethod
    def _known_level(cls, value: str) -> str:
        if value.lower() not in ("debug", "info", "warning", "error", "critical"):
            raise ValueError("use debug, info, warning, error or critical")
        return value.lower()

    @model_validator(mode="after")
    def _fit_for_environment(self) -> Self:
        problems = list(self._problems())
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _problems(self) -> list[str]:
        """All that is missing or weak, each with the variable to set."""
        found: list[str] = []
        if "*" in self.cors_origins:
            found.append("CORS_ORIGINS must list origins: '*' would let any site use a visitor's credentials")
        for name, secret in (("SECRET_KEY", self.secret_key), ("FORMER_SECRET_KEY", self.former_secret_key)):
            key = secret.get_secret_value() if secret else None
            if key is None:
                continue
            if len(key.encode()) < MINIMUM_SECRET_LENGTH or len(set(key)) < 10:
                found.append(f"{name} must have at least {MINIMUM_SECRET_LENGTH} random bytes")
            elif any(word in key.lower() for word in PLACEHOLDERS):
                found.append(f"{name} is a placeholder")
        if self.otel_exporter_otlp_endpoint and not self.otel_exporter_otlp_endpoint.startswith(
            ("https://", "http://")
        ):
            found.append("OTEL_EXPORTER_OTLP_ENDPOINT must be a URL: http://127.0.0.1:4318")
        if self.jobs_queue_url and not self.jobs_queue_url.startswith(("https://", "http://")):
            found.append("JOBS_QUEUE_URL must be the URL of an SQS queue")
        if self.environment is Environment.LOCAL:
            needed = [("DATABASE_URL", self.embedded), ("SECRET_KEY", self.secret_key is None)]
            missing = [name for name, is_missing in needed if is_missing]
            if missing and self.data_folder is None:
                place = self.data_dir or f"{Path.cwd()} and the temporary directory"
                found.append(f"{place}: not writable; set DATA_DIR to a folder that is, or {' and '.join(missing)}")
            return found
        if self.secret_key is None:
            found.append("SECRET_KEY is missing")
        if self.database_url is None and self.database_host is None:
            found.append("DATABASE_HOST (or DATABASE_URL) is missing")
        elif not self.on_postgres:
            found.append("DATABASE_URL must be Postgres: SQLite is for a laptop")
        if self.database_host is not None and self.database_password is None:
            found.append("DATABASE_PASSWORD is missing")
        if not self.on_redis:
            found.append("REDIS_URL (or REDIS_HOST) is missing: processes could not share limits")
        return found

    @property
    def most_in_flight(self) -> int:
        """Requests that a process answers at once: MAX_IN_FLIGHT, or 20 for each of its database connections. A
        request holds one for some milliseconds; by arithmetic, no load over capacity was measured."""
        return self.max_in_flight or 20 * self.database_pool_size

    @property
    def slug(self) -> str:
        """The project's name as other names can have it: lower case letters, digits and hyphens."""
        return re.sub(r"[^a-z0-9]+", "-", self.project_name.lower()).strip("-") or "app"

    @property
    def embedded(self) -> bool:
        """Whether the database is the embedded one, for no other is named."""
        return self.database_url is None and self.database_host is None

    @cached_property
    def data_folder(self) -> Path | None:
        """The folder of the embedded default; None when there is no place that could be written to."""
        return find_folder(self.data_dir, self.slug)

    @property
    def url(self) -> URL:
        """Where the database is, and as whom."""
        if self.database_host is not None:
            return URL.create(
                "postgresql+asyncpg",
                username=self.database_user,
                password=self.database_password.get_secret_value() if self.database_password else None,
                host=self.database_host,
                port=self.database_port,
                database=self.database_name,
            )
        if self.database_url is None:
            prepare(self._folder)  # SQLite makes a file, and no folder for it
            return make_url(f"sqlite+aiosqlite:///{self._folder / self.slug}.db")
        url = make_url(self.database_url.get_secret_value())
        drivers = {"postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg", "sqlite": "sqlite+aiosqlite"}
        return url.set(drivername=drivers.get(url.drivername, url.drivername))

    @property
    def on_postgres(self) -> bool:
        """Whether the database is Postgres; otherwise it is SQLite."""
        return self.url.get_backend_name() == "postgresql"

    @property
    def answers_kept(self) -> int:
        """Seconds that an answer is cached; 0 where several processes have no Redis: none would see what another has
        changed. A parent is uvicorn's, which tells its workers in no other way that they are several."""
        alone = self.web_concurrency == 1 and multiprocessing.parent_process() is None
        return self.cache_ttl if alone or self.on_redis else 0

    @property
    def on_redis(self) -> bool:
        """Whether counters and cached answers are in Redis; otherwise each process has its own."""
        return self.redis_url is not None or self.redis_host is not None

    @property
    def signing_key(self) -> str:
        """The key that signs access tokens: SECRET_KEY, or on a laptop without one the data folder's."""
        return self.secret_key.get_secret_value() if self.secret_key else shared_key(self._folder)

    @property
    def former_signing_key(self) -> str | None:
        """The key that signed before SECRET_KEY did, and still verifies."""
        return self.former_secret_key.get_secret_value() if self.former_secret_key else None

    @property
    def _folder(self) -> Path:
        return self.data_folder or Path(FOLDER)  # None is refused above, where the folder is needed


@lru_cache
def get_settings() -> Settings:
    """The process's settings. Wrong ones end the process with one line: a traceback would tell an operator less."""
    try:
        return Settings()
    except ValidationError as error:
        found = [f"{'.'.join(map(str, e['loc'])).upper()}: {e['msg']}".removeprefix(": ") for e in error.errors()]
        raise SystemExit("The app cannot start: " + "; ".join(w.removeprefix("Value error, ") for w in found)) from None
