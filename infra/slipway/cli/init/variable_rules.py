"""Maps names of variables to values of the kit."""

from __future__ import annotations

import re

_DATABASE = r"(?:\w+_)??(?:DATABASE|DB|POSTGRES|POSTGRESQL|PG|SQLALCHEMY|SQLALCHEMY_DATABASE|RDS)"
_DATABASE += r"(?:_(?:ASYNC|SYNC|ASYNCPG|MAIN|PRIMARY|READER|WRITER|READ|WRITE|REPLICA))?"
_CACHE = r"(?:\w+_)??(?:REDIS|CACHE|VALKEY|ELASTICACHE)(?:_[A-Z]+){0,2}?"
_SIGNING = r"(?:(?:APP|JWT|AUTH|SESSION|COOKIE|CSRF|TOKEN|ACCESS|REFRESH|ACCESS_TOKEN|REFRESH_TOKEN|USER_MANAGER)_)*"

VALUES_BY_NAME: tuple[tuple[str, str], ...] = (
    (rf"{_DATABASE}_(?:URL|URI|DSN|CONNECTION|CONNECTION_STRING|CONNECTION_URL)", "database.url"),
    (rf"{_DATABASE}_?(?:HOST|HOSTNAME|SERVER|ADDRESS)", "database.host"),
    (rf"{_DATABASE}_?PORT", "database.port"),
    (rf"{_DATABASE}_?(?:NAME|DB|DATABASE|DBNAME)|DATABASE", "database.name"),
    (rf"{_DATABASE}_?(?:USER|USERNAME|ROLE)", "database.user"),
    (rf"{_DATABASE}_?(?:PASSWORD|PASS|PASSWD|PWD)", "database.password"),
    (rf"{_DATABASE}_?(?:SSL_?CA|CA|CA_CERT|CA_FILE|SSL_?ROOT_?CERT|SSL_CA_CERTS?|SSL_CERT)", "database.ca"),
    (rf"{_DATABASE}_?(?:POOL|POOL_SIZE|POOLSIZE|MAX_POOL_SIZE|POOL_MAX_SIZE|POOL_MAX)", "database.pool"),
    (rf"{_CACHE}_(?:URL|URI|DSN|CONNECTION_STRING)", "cache.url"),
    (r"(?:\w+_)?BROKER(?:_URL|_URI)?|(?:\w+_)?RESULT_BACKEND(?:_URL|_URI)?", "cache.url"),
    (r"RATE_?LIMIT(?:ER)?_STORAGE_(?:URL|URI)|(?:\w+_)?LIMITER_STORAGE_(?:URL|URI)", "cache.url"),
    (rf"{_CACHE}_(?:HOST|HOSTNAME|SERVER|ADDRESS)", "cache.host"),
    (rf"{_CACHE}_PORT", "cache.port"),
    (rf"{_CACHE}_(?:PASSWORD|PASS|PASSWD|PWD|AUTH|AUTH_TOKEN)", "cache.password"),
    (rf"{_CACHE}_(?:SSL_?CA|CA|CA_CERTS?|CA_FILE|SSL_CA_CERTS?|TLS_CA)", "cache.ca"),
    (rf"{_CACHE}_(?:TLS|SSL|USE_TLS|USE_SSL|TLS_ENABLED|SSL_ENABLED)", "cache.tls"),
    (r"(?:\w+_)?(?:QUEUE|SQS)_(?:URL|URI)|(?:\w+_)?SQS_QUEUE|SQS_QUEUE_URL", "queue.url"),
    (r"(?:\w+_)?QUEUE_NAME", "queue.name"),
    (r"(?:JOB|TASK)S?_(?:TIME_LIMIT|TIMEOUT|TIME_OUT)", "queue.timeout"),
    (r"(?:\w+_)?BUCKET(?:_NAME)?", "bucket.name"),
    (rf"{_SIGNING}(?:SECRET|SECRET_KEY|SIGNING_KEY|SIGNING_SECRET|HMAC_KEY|JWT_KEY)", "generated"),
    (r"(?:APP_|DEPLOY_|SENTRY_)?(?:ENVIRONMENT|ENV|STAGE|ENV_NAME|TIER)|FASTAPI_ENV|PYTHON_ENV", "stack.tier"),
    (r"(?:PROJECT|APP|SERVICE|APPLICATION)_NAME", "stack.project"),
    (r"(?:TRUSTED|ALLOWED)_HOSTS?", "stack.hosts"),
)
"""Pattern of a whole name, without the settings class's prefix -> value; the first that fits counts."""

GIVEN = {
    "PORT": "the kit sets it to the app's port",
    "HOST": "the server listens on 0.0.0.0",
    "WEB_CONCURRENCY": "the kit sets it to a process for each vCPU",
    "FORWARDED_ALLOW_IPS": "the kit sets it to the load balancer's networks",
    "GRACEFUL_TIMEOUT": "the kit sets it",
    "RELEASE": "the kit sets it to the release's id",
    "METRICS_PORT": "the kit sets it to metricsPort",
    "AWS_REGION": "the kit sets it",
    "PGSSLMODE": "the kit sets it",
    "PGSSLROOTCERT": "the kit sets it",
    "AWS_ACCESS_KEY_ID": "boto3 uses the task's role: leave it unset",
    "AWS_SECRET_ACCESS_KEY": "boto3 uses the task's role: leave it unset",
    "AWS_SESSION_TOKEN": "boto3 uses the task's role: leave it unset",
}
"""Names that need no entry, and why."""
NOT_THE_APPS = re.compile(
    r"^(PATH|HOME|USER|PWD|TMPDIR|TZ|LANG|LC_\w+|HOSTNAME|CI|PYTHON\w+|ECS_\w+|AWS_EXECUTION_ENV|AWS_LAMBDA_\w+|"
    r"PROMETHEUS_MULTIPROC_DIR|OTEL_\w+|SSL_CERT_FILE|REQUESTS_CA_BUNDLE|KUBERNETES_\w+|PYTEST_\w+|TEST_\w+|\w+_TEST_\w+|"
    r"GITHUB_\w+|VIRTUAL_ENV|GUNICORN_\w+|UVICORN_\w+)$"
)
"""Names that the system or a tool sets, or that only tests read."""
REGION = re.compile(r"^(?:AWS_|S3_|SQS_|AWS_S3_)?(?:DEFAULT_|BUCKET_)?REGION(?:_NAME)?$")
OVERFLOW = re.compile(rf"^{_DATABASE}_?(?:MAX_OVERFLOW|POOL_OVERFLOW|OVERFLOW)$")
SSL_MODE = re.compile(rf"^{_DATABASE}_?(?:SSL_?MODE)$")
CACHE_NUMBER = re.compile(rf"^{_CACHE}_(?:DB|DATABASE|INDEX|DB_INDEX)$")
IS_PRODUCTION = re.compile(r"^(?:IS_)?PROD(?:UCTION)?$")
WITH_PASSWORD = re.compile(r"://[^/\s:@]*:[^/\s@]+@")
"""Suffixes of URL names."""
SECRET = re.compile(
    r"SECRET|PASSWORD|PASSWD|TOKEN|API_?KEY|PRIVATE_?KEY|_KEY$|_DSN$|CREDENTIAL|WEBHOOK_URL|_PEPPER$|_SALT$"
)
NO_SECRET = re.compile(
    r"(_EXPIRES?(_\w+)?|_LIFETIME|_TTL|_ALGORITHM|_AGE|_MINUTES|_SECONDS|_HOURS|_DAYS|_LENGTH|_URL|_NAME|_PREFIX|_ISSUER|"
    r"_TYPE|_LIMIT|_ENABLED|_ID|_PATH|_FILE|_HEADER|PUBLIC_KEY)$"
)
FORMER = re.compile(r"^(?:FORMER|PREVIOUS|OLD)_(?P<name>\w+)$")
LONG_WORDS = {"dev": "development", "staging": "staging", "prod": "production"}
"""Tier -> the common name of apps for it."""
TIER_WORDS = {
    "local": ("local", "dev", "development", "develop"),
    "dev": ("dev", "development", "develop", "test", "testing", "staging", "local"),
    "staging": ("staging", "stage", "stg", "preprod", "production", "prod"),
    "prod": ("prod", "production", "live", "prd"),
}
"""Stack -> matching names of an app, the best one first."""


def value_for(name: str) -> str:
    """Returns the kit's value of a name without its prefix; empty for none."""
    return next((value for pattern, value in VALUES_BY_NAME if re.fullmatch(pattern, name)), "")


def looks_secret(name: str, kind: str, default: str) -> bool:
    """Whether a variable contains a secret."""
    if "Secret" in kind:
        return True
    is_number = kind.split(" ")[0] in ("int", "float", "bool", "timedelta") or default.replace(".", "").isdigit()
    is_flag = default in ("True", "False")
    return bool(SECRET.search(name)) and not (NO_SECRET.search(name) or is_number or is_flag)
