"""What infrastructure and app agree on: ports, paths, time-outs. Numbers stand here once.

The chain of time-outs, each longer than the one before it, so that no request meets a closed socket:

    deregistration delay < gunicorn's graceful time-out < the container's stopTimeout
    load balancer's idle time-out < gunicorn's keep-alive
"""

from __future__ import annotations

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

SCRATCH_PATH = "/tmp"  # noqa: S108 - the only writable folder of a container, its own volume

APP_USER = "10001:10001"
"""By number, as Kubernetes and ECS.20 want it; the image has the same."""


def web_concurrency(cpu: int) -> int:
    """gunicorn workers for a task of `cpu` units: one a vCPU, never counted from the host's cores."""
    return max(1, cpu // 1024)


def web_environment(environment: str, *, cpu: int, trusted_proxies: list[str]) -> dict[str, str]:
    """The plain environment variables of a web container."""
    return {
        "ENVIRONMENT": environment,
        "WEB_CONCURRENCY": str(web_concurrency(cpu)),
        "FORWARDED_ALLOW_IPS": ",".join(trusted_proxies),
        "METRICS_PORT": str(METRICS_PORT),
        # Until the environment has a database of its own, each task has one in its scratch volume.
        "DATABASE_URL": f"sqlite:///{SCRATCH_PATH}/app.db",
    }
