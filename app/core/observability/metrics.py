"""Prometheus metrics: what there is to count, and how it leaves the process.

Under gunicorn and Celery several processes count together (multiprocess.py), and the parent serves their sum on its own
port, which the load balancer does not know.
"""

import os
from bisect import bisect_left
from functools import lru_cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, start_http_server
from prometheus_client.utils import floatToGoString

from app.core.observability import multiprocess, tracing

disable_created_metrics()  # type: ignore[no-untyped-call]  # half of all series would be creation times
_SEVERAL_PROCESSES = "PROMETHEUS_MULTIPROC_DIR" in os.environ

# Buckets in seconds: an answer from the cache, a query, the alert's threshold, a time-out.
BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

REQUESTS = Histogram(
    "http_request_duration_seconds",
    "Time from the request's first byte to the answer's last, by route template",
    ["method", "route", "status"],
    buckets=BUCKETS,
)
REFUSED = Counter("http_requests_refused_total", "Requests answered 503 because MAX_IN_FLIGHT others were being served")
IN_FLIGHT = Gauge("http_requests_in_flight", "Requests being served", multiprocess_mode="livesum")
POOL_IN_USE = Gauge("db_connections_in_use", "Database connections checked out", multiprocess_mode="livesum")
POOL_SIZE = Gauge("db_connections_max", "Database connections that the pool may open", multiprocess_mode="livesum")
CACHE = Counter("cache_lookups_total", "Cached endpoints by result: hit, miss, bypass, unavailable", ["result"])
LIMITER = Counter("rate_limit_checks_total", "Rate limit checks by result: allowed, refused, unavailable", ["result"])
JOBS = Counter("jobs_total", "Background jobs by outcome: sent, unsent, done, retried, dead", ["job", "outcome"])
JOB_SECONDS = Histogram("job_duration_seconds", "Run time of background jobs", ["job"], buckets=BUCKETS)

_BOUNDS: list[str] = [floatToGoString(bound) for bound in (*BUCKETS, float("inf"))]  # type: ignore[no-untyped-call]
request_timer = lru_cache(maxsize=1024)(REQUESTS.labels)  # routes by methods by statuses


def observe_with_trace(histogram: Histogram, labels: dict[str, str], seconds: float) -> None:
    """Observe the time, with the trace in hand where it is one of those that are kept."""
    trace = tracing.exemplar() if tracing.is_on else None
    histogram.labels(**labels).observe(seconds, trace)
    if trace and _SEVERAL_PROCESSES:
        bucket = f"{next(iter(histogram.describe())).name}_bucket"
        labels = labels | {"le": _BOUNDS[bisect_left(BUCKETS, seconds)]}
        multiprocess.keep_exemplar(bucket, labels, trace, seconds)


def serve_metrics(port: int) -> None:
    """Answer Prometheus in a thread of this process: the sum over all processes when there are several."""
    if _SEVERAL_PROCESSES:
        registry = CollectorRegistry()
        registry.register(multiprocess.AllProcesses())
        start_http_server(port, registry=registry)
    else:
        start_http_server(port)
