"""How gunicorn runs the app in production: `gunicorn -c gunicorn.conf.py app.main:app` in this folder.

The time-outs form a chain with the load balancer and ECS; the infrastructure's tests compare both sides, so change a
number here only together with them.
"""

import gc
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from app.core.observability.logging import logging_config
from app.core.settings import get_settings

os.environ.setdefault("WEB_CONCURRENCY", "4")  # the workers read it too
get_settings()  # what is wrong with them is said here, in one line, and not by each worker with a traceback

bind = f"0.0.0.0:{os.environ.get('PORT', '8000')}"
worker_class = "uvicorn_worker.UvicornWorker"
workers = int(os.environ["WEB_CONCURRENCY"])
loglevel = os.environ.get("LOG_LEVEL", "info").lower()
logconfig_dict = logging_config(loglevel, os.environ.get("RELEASE", "unknown"))

# Longer than the load balancer's idle time-out (requestTimeout): a connection is never closed by the side that serves
# it, which the load balancer would report as a 502.
keepalive = int(os.environ.get("KEEPALIVE", "75"))
# How long requests in flight may take after SIGTERM; shorter than the container's stopTimeout.
graceful_timeout = int(os.environ.get("GRACEFUL_TIMEOUT", "30"))
timeout = int(os.environ.get("REQUEST_TIMEOUT", "60"))

# The root file system is read-only: heartbeats and metrics go to memory, and there is no control socket.
worker_tmp_dir = "/dev/shm"  # noqa: S108
control_socket_disable = True
# prometheus_client looks at this when it is imported.
metrics_folder = tempfile.mkdtemp(prefix="metrics-", dir=worker_tmp_dir if Path(worker_tmp_dir).is_dir() else None)
os.environ["PROMETHEUS_MULTIPROC_DIR"] = metrics_folder

# Imported once, here: workers are forked from this process, begin without it and share its memory. `app.main` itself is
# left to them, for it makes the app and starts what does not outlive a fork (traces, Sentry).
from app import resources  # noqa: E402, F401
from app.api import health, v1  # noqa: E402, F401
from app.core.observability.metrics import serve_metrics  # noqa: E402
from app.core.observability.multiprocess import forget_process  # noqa: E402


def when_ready(server: Any) -> None:
    """Serve the sum of all workers' metrics, on a port that the load balancer does not know."""
    serve_metrics(int(os.environ.get("METRICS_PORT") or 9102))


def child_exit(server: Any, worker: Any) -> None:
    """A dead worker's requests are not in flight any more."""
    forget_process(worker.pid)


def on_exit(server: Any) -> None:
    """Leave nothing in memory."""
    shutil.rmtree(metrics_folder, ignore_errors=True)


def post_worker_init(worker: Any) -> None:
    """Take what is there for good out of the garbage collector's sight: its full runs stalled requests for 60 ms.

    Measured with benchmarks/app_against_template.py: p99 of a read 85 ms before, 20 to 30 ms after.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
