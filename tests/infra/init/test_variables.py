"""Names of variables -> where their values come from."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from slipway.cli.init.env_names import EnvVariable
from slipway.cli.init.variable_rules import VALUES_BY_NAME, looks_secret, value_for
from slipway.cli.init.variables import MappedVariables, _stand_in
from tests.infra.init.apps import mapped, repository

APP = "from fastapi import FastAPI\napp = FastAPI()\n"


@pytest.mark.parametrize(
    ("names", "value"),
    [
        (
            "DATABASE_URL DB_URL POSTGRES_DSN PG_DSN SQLALCHEMY_DATABASE_URI ASYNC_DATABASE_URL DATABASE_ASYNC_URL "
            "WRITER_DB_URL APP_DB_URI",
            "database.url",
        ),
        ("DB_HOST DATABASE_HOST POSTGRES_SERVER PGHOST POSTGRES_HOST ORDERS_DB_HOST", "database.host"),
        ("DB_PORT POSTGRES_PORT PGPORT", "database.port"),
        ("DB_NAME POSTGRES_DB PGDATABASE DATABASE_NAME", "database.name"),
        ("DB_USER POSTGRES_USER PGUSER DATABASE_USERNAME", "database.user"),
        ("DB_PASSWORD POSTGRES_PASSWORD PGPASSWORD DB_PASS", "database.password"),
        ("DB_POOL_SIZE DATABASE_POOL_SIZE SQLALCHEMY_POOL_SIZE", "database.pool"),
        ("DATABASE_SSL_CA PGSSLROOTCERT DB_CA_FILE", "database.ca"),
        ("REDIS_URL CACHE_URL REDIS_DSN CELERY_BROKER_URL CELERY_RESULT_BACKEND BROKER_URL ARQ_REDIS_URL", "cache.url"),
        ("REDIS_HOST CACHE_HOST REDIS_QUEUE_HOST REDIS_RATE_LIMIT_HOST", "cache.host"),
        ("REDIS_PASSWORD", "cache.password"),
        ("REDIS_TLS REDIS_SSL REDIS_USE_TLS", "cache.tls"),
        ("JOBS_QUEUE_URL SQS_QUEUE_URL SQS_URL", "queue.url"),
        ("S3_BUCKET S3_BUCKET_NAME AWS_STORAGE_BUCKET_NAME EXPORTS_BUCKET", "bucket.name"),
        ("SECRET_KEY SECRET JWT_SECRET JWT_SECRET_KEY SESSION_SECRET APP_SECRET_KEY SIGNING_KEY", "generated"),
        ("ENVIRONMENT ENV APP_ENV STAGE SENTRY_ENVIRONMENT", "stack.tier"),
        ("PROJECT_NAME APP_NAME SERVICE_NAME", "stack.project"),
        ("ALLOWED_HOSTS TRUSTED_HOSTS", "stack.hosts"),
        (
            "CACHE_TTL DATABASE_ECHO STRIPE_SECRET_KEY AWS_SECRET_ACCESS_KEY FERNET_KEY LOG_LEVEL REDIS_DB TITLE "
            "API_SECRET ENCRYPTION_KEY",
            "",
        ),
    ],
)
def test_the_value_of_a_name(names: str, value: str) -> None:
    assert {name: value_for(name) for name in names.split()} == dict.fromkeys(names.split(), value)


def test_every_value_of_the_rules_is_one_that_the_kit_has() -> None:
    from slipway.config.app_spec.app import INJECTABLE_VALUES as VALUES

    assert {value for _, value in VALUES_BY_NAME} <= set(VALUES)


@pytest.mark.parametrize(
    ("name", "kind", "default", "is_secret"),
    [
        ("STRIPE_API_KEY", "str", "", True),
        ("SENTRY_DSN", "str | None", "", True),
        ("ANYTHING", "SecretStr", "", True),
        ("SMTP_PASSWORD", "", "", True),
        ("ACCESS_TOKEN_EXPIRE_MINUTES", "int", "30", False),
        ("TOKEN_LIMIT", "", "5", False),
        ("JWT_ALGORITHM", "str", "HS256", False),
        ("TOKEN_URL", "str", "", False),
        ("USE_TOKEN", "", "True", False),
        ("LOG_LEVEL", "str", "", False),
    ],
)
def test_what_nobody_should_read(name: str, kind: str, default: str, is_secret: bool) -> None:
    assert looks_secret(name, kind, default) is is_secret


@pytest.mark.parametrize(
    ("name", "kind", "value"),
    [
        ("SENTRY_DSN", "str", "https://placeholder@localhost/1"),
        ("WEBHOOK_URL", "", "http://localhost"),
        ("PARTNER", "HttpUrl", "http://localhost"),
        ("MAIL_SENDER", "", "nobody@example.com"),
        ("OPERATOR", "EmailStr", "nobody@example.com"),
        ("SMTP_PORT", "", "1"),
        ("WORKERS", "int", "1"),
        ("VERBOSE", "bool", "false"),
        ("PARTNERS", "list[str]", "[]"),
        ("LIMITS", "dict[str, int]", "{}"),
        ("STRIPE_API_KEY", "SecretStr", "placeholder"),
    ],
)
def test_the_stand_in_of_a_required_secret_is_one_that_its_type_takes(name: str, kind: str, value: str) -> None:
    assert _stand_in(EnvVariable(name, PurePosixPath("config.py"), 1, required=True, kind=kind)) == value


def of(folder: Path, source: str, packages: str = "", **files: str) -> MappedVariables:
    """The variables of an app with this `config.py` and these packages."""
    (folder / "requirements.txt").write_text(packages)
    return mapped(repository(folder, main_py=APP, config_py=source, **files))


def test_a_url_that_is_not_required_gives_way_to_its_parts(tmp_path: Path) -> None:
    source = """
        import os
        URL = os.getenv("DATABASE_URL")
        HOST, PASSWORD = os.environ["DB_HOST"], os.environ["DB_PASSWORD"]
    """
    assert of(tmp_path, source).variables == {"DB_HOST": "database.host", "DB_PASSWORD": "database.password"}


def test_parts_that_are_not_required_give_way_to_a_url_that_is(tmp_path: Path) -> None:
    source = """
        import os
        URL = os.environ["DATABASE_URL"]
        HOST, PASSWORD = os.getenv("DB_HOST"), os.getenv("DB_PASSWORD")
    """
    assert of(tmp_path, source).variables == {"DATABASE_URL": "database.url"}


@pytest.mark.parametrize(
    ("source", "packages", "value"),
    [
        ("URL = os.getenv('CELERY_BROKER_URL', 'redis://localhost')", "celery[redis]", "cache.url"),
        ("URL = os.getenv('CELERY_BROKER_URL', 'amqp://localhost')", "celery", None),
        ("URL = os.getenv('CELERY_BROKER_URL')", "celery[sqs]", None),
        ("QUEUE = os.environ['QUEUE_URL']", "celery[sqs]", "queue.url"),
        ("QUEUE = os.environ['CELERY_QUEUE_NAME']", "celery[redis]", None),
        ("import boto3\nboto3.client('s3')\nB = os.environ['REPORTS_BUCKET']", "boto3", "bucket.name"),
        ("BUCKET = os.environ['GOOGLE_BUCKET']", "google-cloud-storage", None),
    ],
)
def test_a_store_that_is_another_ones_gets_no_value(
    source: str, packages: str, value: str | None, tmp_path: Path
) -> None:
    found = of(tmp_path, f"import os\n{source}", packages).variables
    assert list(found.values()) == ([value] if value else [])


def test_an_example_url_with_a_password_is_written_nowhere_but_on_this_machine(tmp_path: Path) -> None:
    (tmp_path / ".env.example").write_text("SEARCH_ADDRESS=https://user:pass@search.internal/\n")
    found = of(tmp_path, "import os\nA = os.environ['SEARCH_ADDRESS']")
    assert (found.environment, found.secrets) == ({}, {"SEARCH_ADDRESS": "required"})


def test_a_prefix_of_the_settings_is_no_part_of_what_a_name_means(tmp_path: Path) -> None:
    source = """
        from pydantic_settings import BaseSettings
        class Settings(BaseSettings):
            model_config = {"env_prefix": "SHOP_"}
            stage: str
            project_name: str
            port: int = 8000
            secret: str
    """
    assert of(tmp_path, source).variables == {
        "SHOP_PROJECT_NAME": "stack.project",
        "SHOP_SECRET": "generated",
        "SHOP_STAGE": "stack.tier",
    }


def test_what_cannot_be_mapped_is_listed_with_its_place_and_has_to_be_configured(tmp_path: Path) -> None:
    found = of(tmp_path, "import os\nPARTNER = os.environ['PARTNER']\nMODE = os.getenv('MODE', 'a')")
    assert found.secrets == {"PARTNER": "required"}
    assert list(found.unmapped) == ["PARTNER"]
    assert found.unmapped["PARTNER"].startswith("config.py:2: ")
    assert found.defaults == ["MODE"]


def test_an_example_value_is_taken_for_a_plain_variable_and_never_for_a_secret_one(tmp_path: Path) -> None:
    (tmp_path / ".env.example").write_text("FRONTEND=http://localhost:5173\nSTRIPE_API_KEY=sk_test_1\n")
    found = of(tmp_path, "import os\nA = os.environ['FRONTEND'], os.environ['STRIPE_API_KEY']")
    assert (found.environment, found.secrets) == (
        {"FRONTEND": "http://localhost:5173"},
        {"STRIPE_API_KEY": "required"},
    )
    assert found.local_secrets == {"STRIPE_API_KEY": "sk_test_1"}
    assert found.from_examples == {"FRONTEND": "http://localhost:5173"}


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        ("str = 'local'", "stack.tier"),
        ("Literal['dev', 'staging', 'prod', 'local'] = 'local'", "stack.tier"),
        ("Literal['development', 'production'] = 'development'", "development development production production"),
        ("Literal['Local', 'Staging', 'Production'] = 'Local'", "Local Staging Staging Production"),
        ("str = 'development'", "development development staging production"),
    ],
)
def test_the_words_of_the_app_for_its_stage(annotation: str, expected: str, tmp_path: Path) -> None:
    source = f"""
        from typing import Literal
        from pydantic_settings import BaseSettings
        class Settings(BaseSettings):
            environment: {annotation}
    """
    found = of(tmp_path, source)
    by_stack = " ".join(
        found.of_stacks[s]["ENVIRONMENT"] for s in ("local", "dev", "staging", "prod") if found.of_stacks
    )
    assert (found.variables.get("ENVIRONMENT") or by_stack) == expected


def test_hosts_as_json_and_hosts_of_a_middleware_keep_their_default(tmp_path: Path) -> None:
    """`*` is no JSON, and TrustedHostMiddleware would answer the load balancer's health checks with 400."""
    settings = """
        from pydantic_settings import BaseSettings
        class Settings(BaseSettings):
            allowed_hosts: list[str] = ["*"]
    """
    assert of(tmp_path, settings).defaults == ["ALLOWED_HOSTS"]
    middleware = """
        import os
        from starlette.middleware.trustedhost import TrustedHostMiddleware
        HOSTS = os.getenv("ALLOWED_HOSTS", "*")
    """
    assert of(tmp_path, middleware).defaults == ["ALLOWED_HOSTS"]


def test_another_kind_of_database_is_not_given_postgres(tmp_path: Path) -> None:
    found = of(tmp_path, "import os\nURL = os.getenv('DATABASE_URL', 'mysql+aiomysql://root@localhost/a')")
    assert (found.variables, found.secrets) == ({}, {"DATABASE_URL": "required"})
    assert "the kit has no store for mysql+aiomysql" in found.unmapped["DATABASE_URL"]


def test_a_flag_of_production_is_true_where_it_has_to_be(tmp_path: Path) -> None:
    found = of(tmp_path, "import os\nPRODUCTION = os.environ['PRODUCTION'] == 'true'")
    flags = {stack: variables["PRODUCTION"] for stack, variables in found.of_stacks.items()}
    assert flags == {"local": "false", "dev": "false", "staging": "true", "prod": "true"}


def test_what_the_kit_sets_by_itself_has_no_entry(tmp_path: Path) -> None:
    found = of(tmp_path, "import os\nA = [os.environ[n] for n in ()]\nP = os.environ['PORT'], os.environ['AWS_REGION']")
    assert found == MappedVariables()


def test_keys_of_an_account_are_the_roles_business(tmp_path: Path) -> None:
    found = of(tmp_path, "import os\nK = os.environ['AWS_SECRET_ACCESS_KEY']")
    assert (found.secrets, list(found.unmapped)) == ({}, ["AWS_SECRET_ACCESS_KEY"])
