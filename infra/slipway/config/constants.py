"""Ports, paths, time-outs and images that infrastructure and app share; each number is defined once.

Each time-out is longer than the one before it, so that no request is sent to a closed socket:

    deregistration delay < gunicorn's graceful time-out < the container's stopTimeout
    load balancer's idle time-out < gunicorn's keep-alive
    load balancer's idle time-out < CloudFront's response time-out
    a job's time limit < its process is killed < the queue delivers its message again
    the load balancer takes an unhealthy task out < its container's health check stops it
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

TARGET_GROUP_PORT = 80
"""The target groups' default port, which no target uses: ECS registers each task with its own container port, so that a
changed port moves with the tasks."""

FIRST_RULE_PRIORITY, LAST_RULE_PRIORITY = 40_000, 50_000
"""Priorities of the load balancer rules of an environment's own services: those with paths first, in the file's order,
and /* last. Rules of previews, one host each, come before all of them."""
ATTACHMENT_PRIORITY_OFFSET = 500
"""Added to a rule's priority: that of the rule that only attaches its target group to the load balancer."""
GRAFANA_RULE_PRIORITY = LAST_RULE_PRIORITY - 1
UNKNOWN_PREVIEW_RULE_PRIORITY = FIRST_RULE_PRIORITY - 1
"""Priority of the rule for host names of previews that do not exist: after all previews."""

IDLE_TIMEOUT_SECONDS = 60
"""The load balancer's default, and the default of requestTimeout in app.yaml."""
CDN_RESPONSE_SECONDS = 120
"""CloudFront waits no longer for a response.
https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_CustomOriginConfig.html"""
CDN_MARGIN_SECONDS = 5
"""How much longer CloudFront waits than the load balancer, whose error it passes on: after its own time-out it would
send a GET again."""
APPEND_FORWARDED_FOR, PRESERVE_FORWARDED_FOR = "append", "preserve"
"""How the load balancer handles X-Forwarded-For: it appends the address that it sees, or leaves it to CloudFront."""
KEEPALIVE_MARGIN_SECONDS = 15
KEEPALIVE_SECONDS = IDLE_TIMEOUT_SECONDS + KEEPALIVE_MARGIN_SECONDS
"""The server's keep-alive: the load balancer closes idle connections, never the app while a request arrives."""
MAX_DRAIN_SECONDS = 100
"""Longest time for requests in flight in a release: ECS's longest stopTimeout, 120 s, less the time to stop."""


@dataclass(frozen=True)
class DeployProfile:
    """The time-outs of a rollout, in seconds, by the setting `deployProfile`."""

    deregistration_delay: int
    """Time for requests in flight when a target is deregistered. AWS's default of 300 is the largest part of a slow
    release."""
    graceful_timeout: int
    """The server's time for requests in flight after SIGTERM."""
    stop_timeout: int
    """After this ECS kills the container; at most 120."""
    alarms: bool = False
    """Whether CloudWatch alarms roll a deployment back, which ECS then watches for their evaluation period."""
    follows_request_timeout: bool = True
    """Whether requests that may take longer than the default get more time."""

    def for_request_timeout(self, seconds: int) -> DeployProfile:
        """Returns the profile for requests that may take `seconds`, of which a release grants `MAX_DRAIN_SECONDS`."""
        drain = min(seconds, MAX_DRAIN_SECONDS)
        if seconds <= IDLE_TIMEOUT_SECONDS or not self.follows_request_timeout or drain <= self.deregistration_delay:
            return self
        return replace(self, deregistration_delay=drain, graceful_timeout=drain + 5, stop_timeout=drain + 20)


DEPLOY_PROFILES = {
    "fast": DeployProfile(15, 30, 40),
    "safe": DeployProfile(15, 30, 40, alarms=True),
    "streaming": DeployProfile(100, 105, 120),
    "quick": DeployProfile(3, 10, 16, follows_request_timeout=False),
}

# A health check waits behind the requests of a busy event loop, and ECS replaces a task that fails them. In a spike it
# would replace one after the other, because the remaining tasks get the load. So the load balancer calls a target
# unhealthy after 4 x 6 + 5 = 29 s without an answer, and the container's check, for a process that hangs, after
# 5 x 10 + 4 x 5 = 70 s. These numbers do not slow a rollout, for a new target needs HEALTHY_THRESHOLD successes only.
HEALTH_INTERVAL_SECONDS = 6
HEALTH_TIMEOUT_SECONDS = 5
"""Must be below the interval."""
HEALTHY_STATUSES = "200"
HEALTHY_THRESHOLD = 2
UNHEALTHY_THRESHOLD = 5
CONTAINER_CHECK_INTERVAL_SECONDS = 5
"""From the end of a container's check to the next one: ECS's minimum, because a rollout waits for the first."""
CONTAINER_CHECK_TIMEOUT_SECONDS = 10
CONTAINER_CHECK_RETRIES = 5
HEALTH_CHECK_GRACE_SECONDS = 60
"""Longer than a cold start: 3 to 5 s, several times that on a quarter of a vCPU."""

RELEASE_CPU, RELEASE_MEMORY = 256, 1024
"""CPU units and MiB of the release task: one process and psql."""

DATABASE_PORT = 5433
CACHE_PORT = 6379
DATABASE_OWNER = "dbowner"
"""The database's master user: not the engine's default name (Security Hub RDS.25). The app never logs in with it."""
CA_FOLDER = "/etc/slipway"
"""The folder of CA certificates that the kit adds to the app's image."""
DATABASE_CA_PATH = f"{CA_FOLDER}/database.pem"
CACHE_CA_PATH = f"{CA_FOLDER}/cache.pem"
SYSTEM_CA_PATH = "/etc/ssl/certs/ca-certificates.crt"
"""The public CAs in Debian's and Alpine's images, which sign ElastiCache's certificates."""
DATABASE_CA_URL = "https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem"
"""RDS's own CAs, which are not among the public ones."""
MAX_STOP_TIMEOUT_SECONDS = 120
"""ECS's longest stopTimeout on Fargate. Longer jobs use ECS task protection."""
DEFAULT_JOB_TIMEOUT_SECONDS = 600
"""The default of jobTimeout in app.yaml."""
JOB_KILL_GRACE_SECONDS = 30
"""Time from a job's limit until its process is killed, as in app/jobs/worker.py."""
MAX_VISIBILITY_TIMEOUT_SECONDS = 12 * 3600
"""SQS's longest visibility time-out."""
RESERVED_CONNECTIONS = 10
"""Database connections for people and the release task."""
CONNECTIONS_PER_PREVIEW = 4
"""Connection limit of a preview's database role: pools of two, in the old and the new task during a rollout."""

WEB_CPU_TARGET_PERCENT = 60
"""Autoscaling's target: a new task takes a minute to serve, and the load may grow by half until then."""
REQUESTS_PER_VCPU_AND_MINUTE = 18_000
"""300 a second, below half of what one core was measured at with lists of 20 (docs/app.md, Speed)."""
JOBS_PER_WORKER_TASK = 20
"""Jobs in the queue for each worker task above which autoscaling adds one; an export takes about a second."""

MONITORING_IMAGES = {"prometheus": "prom/prometheus:v3.16.0", "alertmanager": "prom/alertmanager:v0.28.1"}
"""Base image by folder of docker/. Prometheus 3.8 is the first version with ECS service discovery."""

GRAFANA_IMAGE = "grafana/grafana:12.4.10"
"""Base image of docker/grafana."""

EXPORTER_IMAGES = {
    "database": "prometheuscommunity/postgres-exporter:v0.18.1",
    "cache": "oliver006/redis_exporter:v1.74.0-alpine",
}
"""Base image of docker/exporter-`store`, the store's Prometheus exporter, by store."""

COLLECTOR_IMAGE = "amazon/aws-otel-collector:v0.43.1"
"""Base image of docker/collector."""

SCRATCH_PATH = "/tmp"  # noqa: S108 - the only writable folder of a container, a volume of its own

APP_USER = "10001:10001"
"""User and group ids by number (Security Hub ECS.20); any image whose files are world-readable runs with them."""


def web_concurrency(cpu: int) -> int:
    """Returns the number of server processes of a task with `cpu` units: one for each vCPU, not the host's cores."""
    return max(1, cpu // 1024)


def requests_per_task(cpu: int) -> int:
    """Returns the requests a minute for each task of `cpu` units above which autoscaling adds one."""
    return REQUESTS_PER_VCPU_AND_MINUTE * cpu // 1024


def visibility_timeout_seconds(job_seconds: int) -> int:
    """Returns the seconds after which SQS delivers a message again, for jobs that may take `job_seconds`."""
    return job_seconds * 3 // 2


def keepalive_seconds(request_timeout: int) -> int:
    """Returns the server's keep-alive for requests that may take `request_timeout` seconds."""
    return request_timeout + KEEPALIVE_MARGIN_SECONDS


def status_ranges(statuses: str) -> list[tuple[int, int]]:
    """Returns the ranges of a list such as `200,300-399`, each with its first and last code."""
    parts = [part.partition("-") for part in statuses.split(",")]
    return [(int(first), int(last or first)) for first, _, last in parts]


def container_health_check(
    port: int,
    path: str,
    start_seconds: int = HEALTH_CHECK_GRACE_SECONDS,
    *,
    interval: int = CONTAINER_CHECK_INTERVAL_SECONDS,
    timeout: int = CONTAINER_CHECK_TIMEOUT_SECONDS,
    retries: int = CONTAINER_CHECK_RETRIES,
    statuses: str = HEALTHY_STATUSES,
) -> dict[str, object]:
    """Returns the health check of a container that serves HTTP at `port`, for a task definition.

    It uses the image's Python with a bare socket, which starts in 20 ms where an HTTP library takes 100; curl or wget
    where there is no Python. wget follows redirects and takes 2xx alone for healthy, whatever `statuses` are.
    """
    answer_seconds = timeout - 1
    ranges = status_ranges(statuses)
    python = (
        f"import socket; s = socket.create_connection(('127.0.0.1', {port}), {answer_seconds}); "
        f"s.settimeout({answer_seconds}); "
        f"s.sendall(b'GET {path} HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n'); "
        "code = int((s.recv(16).split(b' ') + [b'0'])[1]); "
        f"raise SystemExit(not any(a <= code <= b for a, b in {ranges}))"
    )
    url = f"http://127.0.0.1:{port}{path}"
    curl = " || ".join(f"{{ [ $c -ge {first} ] && [ $c -le {last} ]; }}" for first, last in ranges)
    shell = (
        f'for p in python3 python; do command -v $p >/dev/null && exec $p -I -S -c "{python}"; done; '
        f"command -v curl >/dev/null && {{ c=$(curl -s -m {answer_seconds} -o /dev/null -w '%{{http_code}}' {url}); "
        f"{curl}; exit; }}; "
        f"exec wget -q -T {answer_seconds} -O /dev/null {url}"
    )
    return _container_check(["CMD-SHELL", shell], start_seconds, interval, timeout, retries)


def command_health_check(
    command: Sequence[str], start_seconds: int, *, interval: int, timeout: int, retries: int
) -> dict[str, object]:
    """Returns a container's health check by a command of its own, without a shell, for a task definition."""
    return _container_check(["CMD", *command], start_seconds, interval, timeout, retries)


def _container_check(
    command: list[str], start_seconds: int, interval: int, timeout: int, retries: int
) -> dict[str, object]:
    return {
        "command": command,
        "interval": interval,
        "timeout": timeout,
        "retries": retries,
        "startPeriod": start_seconds,
    }
