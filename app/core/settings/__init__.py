"""Everything that the environment decides, read once: `Settings` is the app's whole contract with infrastructure.

Values come from environment variables, or from `.env` on a laptop (`.env.example` lists them). With nothing set at
all the app runs on SQLite and in memory. Outside `local` there is no default for anything secret or shared, and a
missing or weak value stops the start with one line that says all that is wrong.
"""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Self

from pydantic import ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.core.settings.groups import (
    AuthSettings,
    DatabaseSettings,
    Environment,
    HttpSettings,
    JobSettings,
    ObservabilitySettings,
    RedisSettings,
)

__all__ = ["Environment", "Settings", "get_settings"]
MINIMUM_SECRET_LENGTH = 32  # bytes; RFC 7518 section 3.2 for HMAC with SHA-256
PLACEHOLDERS = ("changeme", "change-me", "secret", "password", "example", "placeholder")
URL_SCHEMES = ("https://", "http://")


class Settings(
    DatabaseSettings, RedisSettings, AuthSettings, HttpSettings, JobSettings, ObservabilitySettings, BaseSettings
):
    """All settings; the groups say what each is."""

    model_config = SettingsConfigDict(
        env_file=".env",
        extra="ignore",
        env_ignore_empty=True,
        hide_input_in_errors=True,  # a rejected password must not be printed with the reason
    )

    @property
    def max_requests_in_flight(self) -> int:
        """Requests that a process answers at once: MAX_IN_FLIGHT, or 20 for each of its database connections. A
        request holds one for some milliseconds; by arithmetic, no load over capacity was measured."""
        return self.max_in_flight or 20 * self.database_pool_size

    @model_validator(mode="after")
    def _fit_for_environment(self) -> Self:
        problems = [*self._invalid(), *(self._no_storage() if self._is_local else self._missing())]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @property
    def _is_local(self) -> bool:
        return self.environment is Environment.LOCAL

    def _invalid(self) -> Iterator[str]:
        """What is wrong anywhere, each with the variable to set."""
        if "*" in self.cors_origins:
            yield "CORS_ORIGINS must list origins: '*' would let any site use a visitor's credentials"
        for name, secret in (("SECRET_KEY", self.secret_key), ("FORMER_SECRET_KEY", self.former_secret_key)):
            key = secret.get_secret_value() if secret else None
            if key is None:
                continue
            if len(key.encode()) < MINIMUM_SECRET_LENGTH or len(set(key)) < 10:
                yield f"{name} must have at least {MINIMUM_SECRET_LENGTH} random bytes"
            elif any(word in key.lower() for word in PLACEHOLDERS):
                yield f"{name} is a placeholder"
        if self.otel_exporter_otlp_endpoint and not self.otel_exporter_otlp_endpoint.startswith(URL_SCHEMES):
            yield "OTEL_EXPORTER_OTLP_ENDPOINT must be a URL: http://127.0.0.1:4318"
        if self.jobs_queue_url and not self.jobs_queue_url.startswith(URL_SCHEMES):
            yield "JOBS_QUEUE_URL must be the URL of an SQS queue"

    def _no_storage(self) -> Iterator[str]:
        """What the embedded default would have to keep, and has no place for."""
        needed = {"DATABASE_URL": self.embedded, "SECRET_KEY": self.secret_key is None}
        unset = [name for name, is_unset in needed.items() if is_unset]
        if unset and self.data_folder is None:
            place = self.data_dir or f"{Path.cwd()} and the temporary directory"
            yield f"{place}: not writable; set DATA_DIR to a folder that is, or {' and '.join(unset)}"

    def _missing(self) -> Iterator[str]:
        """What must be set outside of `local`."""
        if self.secret_key is None:
            yield "SECRET_KEY is missing"
        if self.database_url is None and self.database_host is None:
            yield "DATABASE_HOST (or DATABASE_URL) is missing"
        elif not self.on_postgres:
            yield "DATABASE_URL must be Postgres: SQLite is for a laptop"
        if self.database_host is not None and self.database_password is None:
            yield "DATABASE_PASSWORD is missing"
        if not self.on_redis:
            yield "REDIS_URL (or REDIS_HOST) is missing: processes could not share limits"


@lru_cache
def get_settings() -> Settings:
    """The process's settings. Wrong ones end the process with one line: a traceback would tell an operator less."""
    try:
        return Settings()
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, e['loc'])).upper()}: {e['msg']}".removeprefix(": ") for e in error.errors()]
        text = "; ".join(problem.removeprefix("Value error, ") for problem in problems)
        raise SystemExit(f"The app cannot start: {text}") from None
