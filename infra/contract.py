"""What infrastructure and app agree on: ports, paths, time-outs. Numbers stand here once.

The chain of time-outs, each longer than the one before it, so that no request meets a closed socket:

    deregistration delay < gunicorn's graceful time-out < the container's stopTimeout
    load balancer's idle time-out < gunicorn's keep-alive
    a job's time limit < its process is killed < the queue gives its message to another worker
    the load balancer takes a busy task out < its container's check ends it
"""

from __future__ import annotations

from dataclasses import dataclass

TARGET_PORT = 80
"""The target groups' default, which no target uses: ECS registers each task with the port of its own container, so that
another port of the app moves with its tasks."""

FIRST_PRIORITY, LAST_PRIORITY = 40_000, 50_000
"""Of a load balancer's rules for an environment's own services. /* is asked last; a process with paths of its own goes
before it, in the file's order. Previews, which have a host each, go before them all."""
GRAFANA_PRIORITY = LAST_PRIORITY - 1
NO_PREVIEW_PRIORITY = FIRST_PRIORITY - 1
"""Of the rule for names that could be a preview's and are none's: after all previews."""

IDLE_TIMEOUT_SECONDS = 60
"""The load balancer's default."""
KEEPALIVE_SECONDS = 75
"""The server's: a connection is closed by the load balancer, never by the app under a request."""


@dataclass(frozen=True)
class Rollout:
    """The levers of a release, as a named set: `deployProfile`. All are seconds."""

    deregistration_delay: int
    """How long a task that leaves may still answer. AWS's default is 300: the largest single part of a slow release."""
    graceful_timeout: int
    """The server's, for requests in flight after SIGTERM."""
    stop_timeout: int
    """Then ECS kills; at most 120."""
    alarms: bool = False
    """Whether alarms of the service roll it back, and it is watched for as long as they look back."""


ROLLOUTS = {
    "fast": Rollout(15, 30, 40),
    "safe": Rollout(15, 30, 40, alarms=True),
    "streaming": Rollout(100, 105, 120),
    "quick": Rollout(3, 10, 16),
}

# A probe waits in line with the requests of a busy event loop, and ECS replaces a task that fails its probes: in a
# spike one after the other, for the others get its load. So an event loop may be silent for 4 x 6 + 5 = 29 s until the
# load balancer takes its task for dead, and by its container's check, which is for a process that hangs, for
# 5 x 10 + 4 x 5 = 70 s. A new target needs one success, so that a rollout waits no longer than with fewer failures
# allowed; a process that ends is not waited for at all.
HEALTH_INTERVAL_SECONDS = 6
HEALTH_TIMEOUT_SECONDS = 5
"""A load balancer wants less than its interval."""
HEALTHY_THRESHOLD = 2
UNHEALTHY_THRESHOLD = 5
CHECK_INTERVAL_SECONDS = 5
"""From the end of a container's check to the next one: ECS's least, for a rollout waits for the first."""
CHECK_TIMEOUT_SECONDS = 10
CHECK_RETRIES = 5
START_GRACE_SECONDS = 60
"""Longer than a cold start: 3 to 5 s of boot, several times that on a quarter of a vCPU."""

RELEASE_CPU, RELEASE_MEMORY = 256, 1024
"""CPU units and MiB of the release step: one process and psql."""

DATABASE_PORT = 5433
CACHE_PORT = 6379
DATABASE_OWNER = "dbowner"
"""RDS.25: not the engine's default name. The kit's own step logs in with it, no code of the app."""
CA_FOLDER = "/etc/slipway"
"""Where the kit puts the certificates' authorities into the app's image, whatever its Dockerfile does."""
DATABASE_CA_PATH = f"{CA_FOLDER}/database.pem"
CACHE_CA_PATH = f"{CA_FOLDER}/cache.pem"
SYSTEM_CA_PATH = "/etc/ssl/certs/ca-certificates.crt"
"""Where Debian's and Alpine's images have the public authorities, which sign ElastiCache's certificates."""
DATABASE_CA_URL = "https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem"
"""RDS's authorities are in no system's list."""
LONGEST_STOP_SECONDS = 120
"""ECS's longest stopTimeout on Fargate. A job that takes longer asks ECS to protect its task."""
JOB_SECONDS = 600
"""What a job may take where app.yaml says nothing."""
JOB_KILL_SECONDS = 30
"""A job that has not ended so long after its time limit is killed with its process, as app/jobs/worker.py has it."""
LONGEST_VISIBILITY_SECONDS = 12 * 3600
"""SQS's."""
SPARE_CONNECTIONS = 10
"""Of the database, for people and the release step."""
PREVIEW_CONNECTIONS = 4
"""Of a preview's role: a pool of two, in the old task and in the new one while a rollout runs both."""

WEB_CPU_TARGET_PERCENT = 60
"""Autoscaling holds this: a new task takes a minute to serve, and the load may grow by half until then."""
REQUESTS_PER_VCPU_AND_MINUTE = 18_000
"""300 a second, under half of what one core was measured at with lists of 20 (docs/app.md, Speed)."""
JOBS_PER_WORKER_TASK = 20
"""Waiting jobs for each worker task before another is started; an export takes about a second."""

MONITORING_IMAGES = {"prometheus": "prom/prometheus:v3.16.0", "alertmanager": "prom/alertmanager:v0.28.1"}
"""Folder of docker/ -> what the kit's own image is made from. Prometheus 3.8 is the first that finds ECS's tasks."""

GRAFANA_IMAGE = "grafana/grafana:12.4.10"
"""What docker/grafana is made from."""

EXPORTER_IMAGES = {
    "database": "prometheuscommunity/postgres-exporter:v0.18.1",
    "cache": "oliver006/redis_exporter:v1.74.0-alpine",
}
"""Store -> what docker/exporter-`store` is made from: it measures that store for Prometheus."""

COLLECTOR_IMAGE = "amazon/aws-otel-collector:v0.43.1"
"""What docker/collector is made from."""

SCRATCH_PATH = "/tmp"  # noqa: S108 - the only writable folder of a container, its own volume

APP_USER = "10001:10001"
"""By number, as Kubernetes and ECS.20 want it; any image runs as it whose files others may read."""


def web_concurrency(cpu: int) -> int:
    """Server processes for a task of `cpu` units: one a vCPU, never counted from the host's cores."""
    return max(1, cpu // 1024)


def requests_per_task(cpu: int) -> int:
    """Requests a minute at which autoscaling adds a task of `cpu` units."""
    return REQUESTS_PER_VCPU_AND_MINUTE * cpu // 1024


def visibility_seconds(job_seconds: int) -> int:
    """When SQS takes a worker for dead and gives its message to another, for jobs that may take `job_seconds`."""
    return job_seconds * 3 // 2


def health_check(port: int, path: str) -> dict[str, object]:
    """A container's check of itself, from port and path alone.

    An image need not have curl: it asks with the image's Python, over a bare socket, for that starts in 20 ms where an
    HTTP library takes 100; with wget or curl where there is no Python.
    """
    patience = CHECK_TIMEOUT_SECONDS - 1
    python = (
        f"import socket; s = socket.create_connection(('127.0.0.1', {port}), {patience}); s.settimeout({patience}); "
        f"s.sendall(b'GET {path} HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n'); "
        "raise SystemExit(s.recv(16).split(b' ')[1:2] != [b'200'])"
    )
    url = f"http://127.0.0.1:{port}{path}"
    shell = (
        f'for p in python3 python; do command -v $p >/dev/null && exec $p -I -S -c "{python}"; done; '
        f"command -v curl >/dev/null && exec curl -fsS -m {patience} -o /dev/null {url}; "
        f"exec wget -q -T {patience} -O /dev/null {url}"
    )
    return {
        "command": ["CMD-SHELL", shell],
        "interval": CHECK_INTERVAL_SECONDS,
        "timeout": CHECK_TIMEOUT_SECONDS,
        "retries": CHECK_RETRIES,
        "startPeriod": START_GRACE_SECONDS,
    }
