"""The settings in groups. A field's name is its environment variable's in lower case. Times are in seconds."""

import multiprocessing
import re
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field, SecretStr, field_validator
from pydantic_settings import NoDecode
from sqlalchemy import URL, make_url

from app.core.local_storage import FOLDER, find_folder, prepare, shared_key


class Environment(StrEnum):
    LOCAL = "local"
    DEV = "dev"
    STAGING = "staging"
    PROD = "prod"
    PREVIEW = "preview"


# Comma-separated in the environment: the form that a person and a task definition can both write.
Names = Annotated[list[str], NoDecode]


class ProcessSettings(BaseModel):
    project_name: str = "App"  # the documentation's title; names in Postgres, Redis and files derive from it
    environment: Environment = Environment.LOCAL
    release: str = "unknown"  # a git hash or an image digest; goes to logs, metrics and Sentry
    web_concurrency: int = Field(default=1, ge=1)  # processes of this container that serve requests
    drain_seconds: float = Field(default=0, ge=0)  # how long to serve on after SIGTERM while /readyz says 503
    data_dir: Path | None = None  # for the embedded database and signing key: app/core/local_storage.py

    @property
    def slug(self) -> str:
        """The project's name as other names can have it: lower case letters, digits and hyphens."""
        return re.sub(r"[^a-z0-9]+", "-", self.project_name.lower()).strip("-") or "app"

    @cached_property
    def data_folder(self) -> Path | None:
        """The folder of the embedded default; None when there is no place that could be written to."""
        return find_folder(self.data_dir, self.slug)

    @property
    def _folder(self) -> Path:
        return self.data_folder or Path(FOLDER)  # None is refused at the start, where the folder is needed


class DatabaseSettings(ProcessSettings):
    """The database: the parts, or one URL; with neither the embedded one."""

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

    @property
    def embedded(self) -> bool:
        return self.database_url is None and self.database_host is None

    @property
    def url(self) -> URL:
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
        return self.url.get_backend_name() == "postgresql"


class RedisSettings(ProcessSettings):
    """Redis: one URL, or the parts. Without either, cache and limits live in this process."""

    redis_url: SecretStr | None = None
    redis_host: str | None = None
    redis_port: int = 6379
    redis_password: SecretStr | None = None
    redis_tls: bool = False
    redis_ssl_ca: str | None = None
    redis_key_prefix: str | None = None  # the project's name, if several apps share one Redis
    redis_timeout: float = 0.25  # a slow Redis must not be slower than the database behind it
    cache_ttl: int = Field(default=30, ge=0)  # 0 switches the response cache off

    @property
    def on_redis(self) -> bool:
        return self.redis_url is not None or self.redis_host is not None

    @property
    def response_ttl(self) -> int:
        """Seconds that a response is cached; 0 where several processes have no Redis: none would see what another has
        changed. A parent is uvicorn's, which tells its workers in no other way that they are several."""
        alone = self.web_concurrency == 1 and multiprocessing.parent_process() is None
        return self.cache_ttl if alone or self.on_redis else 0


class AuthSettings(ProcessSettings):
    secret_key: SecretStr | None = None
    former_secret_key: SecretStr | None = None  # of before the last rotation: still verified, signs nothing
    access_token_lifetime: int = 15 * 60
    refresh_token_lifetime: int = 14 * 24 * 3600

    @property
    def signing_key(self) -> str:
        """The key that signs access tokens: SECRET_KEY, or on a laptop without one the data folder's."""
        return self.secret_key.get_secret_value() if self.secret_key else shared_key(self._folder)

    @property
    def former_signing_key(self) -> str | None:
        return self.former_secret_key.get_secret_value() if self.former_secret_key else None


class HttpSettings(BaseModel):
    cors_origins: Names = []
    trusted_hosts: Names = ["*"]  # names that the app answers to; `*.example.com` matches subdomains
    max_body_bytes: int = 1024 * 1024
    max_in_flight: int | None = Field(default=None, ge=1)  # requests at once of each process; beyond: 503
    rate_limit_per_minute: int = Field(default=600, ge=1)
    # Logins and registrations of an address, each; guesses of a user's current password.
    login_rate_limit_per_minute: int = Field(default=10, ge=1)

    @field_validator("cors_origins", "trusted_hosts", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


class JobSettings(BaseModel):
    """Jobs and exports. Without a queue (SQS), jobs run in this process; without a bucket, files go to the database."""

    jobs_queue_url: str | None = None
    job_time_limit: int = Field(default=600, ge=1)  # the queue's visibility time-out is longer by over 30
    exports_bucket: str | None = None
    exports_per_hour: int = Field(default=10, ge=1)  # of one user
    aws_region: str = "us-east-1"


class ObservabilitySettings(BaseModel):
    log_level: str = "info"
    log_sample_rate: float = Field(default=1, gt=0, le=1)  # of the requests that went well
    sentry_dsn: SecretStr | None = None
    # Traces: where an OpenTelemetry collector takes OTLP over HTTP, http://127.0.0.1:4318; without it there are none.
    otel_exporter_otlp_endpoint: str | None = None
    otel_traces_sampler_arg: float = Field(default=1, ge=0, le=1)  # the share of requests that are traced
    metrics_port: int | None = None  # never routed by the load balancer; gunicorn's default is 9102

    @field_validator("log_level")
    @classmethod
    def _known_level(cls, value: str) -> str:
        if value.lower() not in ("debug", "info", "warning", "error", "critical"):
            raise ValueError("use debug, info, warning, error or critical")
        return value.lower()
