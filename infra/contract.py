"""What infrastructure and app agree on: ports, paths, time-outs. Numbers stand here once.

The chain of time-outs, each longer than the one before it, so that no request meets a closed socket:

    deregistration delay < gunicorn's graceful time-out < the container's stopTimeout
    load balancer's idle time-out < gunicorn's keep-alive
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

if TYPE_CHECKING:
    from infra.components.cache import Cache
    from infra.components.database import Database
    from infra.components.queue import Queue
    from infra.components.storage import Storage

WEB_PORT = 8000
METRICS_PORT = 9102
"""Not a port that the load balancer's security group may reach."""

LIVE_PATH = "/livez"
READY_PATH = "/readyz"

IDLE_TIMEOUT_SECONDS = 60
"""The load balancer's default."""
KEEPALIVE_SECONDS = 75
"""gunicorn's: a connection is closed by the load balancer, never by the app under a request."""

DEREGISTRATION_DELAY_SECONDS = 15
"""AWS's default is 300: the largest single part of a slow deployment."""
GRACEFUL_TIMEOUT_SECONDS = 30
STOP_TIMEOUT_SECONDS = 40

HEALTH_INTERVAL_SECONDS = 5
HEALTH_TIMEOUT_SECONDS = 3
HEALTHY_THRESHOLD = 2
UNHEALTHY_THRESHOLD = 2
START_GRACE_SECONDS = 60
"""Longer than a cold start: 3 to 5 s of boot, several times that on a quarter of a vCPU."""

DRAIN_SECONDS = 5
"""How long a task serves on after SIGTERM while /readyz says 503: ECS has deregistered it by then."""

DATABASE_PORT = 5433
CACHE_PORT = 6379
DATABASE_NAME = "app"
DATABASE_OWNER = "slipway_owner"
"""RDS.25: not the engine's default name."""
DATABASE_USER = "app"
"""The app's own role, which the migration makes."""
DATABASE_CA_PATH = "/srv/certs/rds.pem"
"""Where the image has the authorities of RDS (docker/app/Dockerfile, RDS_CA_URL)."""
DATABASE_CA_URL = "https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem"

WORKER_COMMAND = ("celery", "-A", "app.jobs.worker", "worker", "--concurrency", "1", "--without-mingle")
MIGRATE_COMMAND = ("python", "-m", "app.migrate")
CLEANUP_COMMAND = ("python", "-m", "app.jobs.cleanup")

EXPORT_DAYS = 30
"""Exports can be made again; the bucket keeps them as long as app/jobs/cleanup.py keeps their rows."""

WEB_CPU_TARGET_PERCENT = 60
"""Autoscaling holds this: a new task takes a minute to serve, and the load may grow by half until then."""
REQUESTS_PER_VCPU_AND_MINUTE = 18_000
"""300 a second, under half of what one core was measured at with lists of 20 (docs/app.md, Speed)."""
JOBS_PER_WORKER_TASK = 20
"""Waiting jobs for each worker task before another is started; an export takes about a second."""

SCRATCH_PATH = "/tmp"  # noqa: S108 - the only writable folder of a container, its own volume

APP_USER = "10001:10001"
"""By number, as Kubernetes and ECS.20 want it; the image has the same."""


def web_concurrency(cpu: int) -> int:
    """gunicorn workers for a task of `cpu` units: one a vCPU, never counted from the host's cores."""
    return max(1, cpu // 1024)


def requests_per_task(cpu: int) -> int:
    """Requests a minute at which autoscaling adds a task of `cpu` units."""
    return REQUESTS_PER_VCPU_AND_MINUTE * cpu // 1024


@dataclass(frozen=True)
class Endpoints:
    """Where the environment's services are."""

    database_host: pulumi.Input[str]
    database_port: pulumi.Input[int]
    cache_host: pulumi.Input[str]
    cache_port: pulumi.Input[int]
    queue_url: pulumi.Input[str]
    bucket: pulumi.Input[str]
    region: pulumi.Input[str]

    @classmethod
    def of(cls, database: Database, cache: Cache, queue: Queue, exports: Storage) -> Endpoints:
        """Those of an environment's components."""
        return cls(
            database_host=database.address,
            database_port=database.endpoint_port,
            cache_host=cache.address,
            cache_port=cache.endpoint_port,
            queue_url=queue.url,
            bucket=exports.bucket,
            region=aws.get_region_output().region,
        )


def app_environment(
    environment: str,
    endpoints: Endpoints,
    *,
    cpu: int,
    pool_size: int,
    trusted_proxies: Sequence[str],
    database_ca: str,
    cache_ca: str = "",
    cors_origins: Sequence[str] = (),
    trusted_hosts: Sequence[str] = ("*",),
) -> dict[str, pulumi.Input[str]]:
    """The plain environment variables of the app's containers; app/core/settings.py reads them."""
    found: dict[str, pulumi.Input[str]] = {
        "ENVIRONMENT": environment,
        "WEB_CONCURRENCY": str(web_concurrency(cpu)),
        "FORWARDED_ALLOW_IPS": ",".join(trusted_proxies),
        "METRICS_PORT": str(METRICS_PORT),
        "DRAIN_SECONDS": str(DRAIN_SECONDS),
        "DATABASE_HOST": endpoints.database_host,
        "DATABASE_PORT": pulumi.Output.format("{0}", endpoints.database_port),
        "DATABASE_NAME": DATABASE_NAME,
        "DATABASE_USER": DATABASE_USER,
        "DATABASE_SSL_CA": database_ca,
        "DATABASE_POOL_SIZE": str(pool_size),
        "DATABASE_MAX_OVERFLOW": "0",
        "REDIS_HOST": endpoints.cache_host,
        "REDIS_PORT": pulumi.Output.format("{0}", endpoints.cache_port),
        "REDIS_TLS": "true",
        "JOBS_QUEUE_URL": endpoints.queue_url,
        "EXPORTS_BUCKET": endpoints.bucket,
        "AWS_REGION": endpoints.region,
        "TRUSTED_HOSTS": ",".join(trusted_hosts),
    }
    if cache_ca:
        found["REDIS_SSL_CA"] = cache_ca
    if cors_origins:
        found["CORS_ORIGINS"] = ",".join(cors_origins)
    return found


APP_SECRETS = ("SECRET_KEY", "DATABASE_PASSWORD", "REDIS_PASSWORD")
"""What every container of the app gets from Secrets Manager."""


def owner_secrets(master_secret_arn: pulumi.Input[str]) -> dict[str, pulumi.Input[str]]:
    """What the migration task gets besides: RDS keeps the owner's name and password in one JSON secret."""
    return {
        "DATABASE_OWNER_USER": pulumi.Output.format("{0}:username::", master_secret_arn),
        "DATABASE_OWNER_PASSWORD": pulumi.Output.format("{0}:password::", master_secret_arn),
    }


def connections(*, web_tasks: int, worker_tasks: int, workers: int, pool_size: int) -> int:
    """Database connections at worst: a rollout runs both revisions, and 10 stay free for people and migrations."""
    return web_tasks * 2 * workers * pool_size + worker_tasks * 2 * pool_size + 10
