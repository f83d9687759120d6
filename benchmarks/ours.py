"""The bundled app, run by its production command with one worker and everything on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.load import SERVER_CORE
from tests.app.servers import Server, free_port

ROOT = Path(__file__).resolve().parents[1]
UNLIMITED = "1000000000"  # the limiter counts every request in Redis, and refuses none


@contextmanager
def running(
    work: Path,
    *,
    module: str = "app.main:app",
    name: str = "ours",
    root: Path = ROOT,
    python: str = sys.executable,
    **settings: str,
) -> Iterator[str]:
    """Its address; `settings` are environment variables, `root` is the checkout that it is run from, by `python`."""
    environment = os.environ | {
        "SECRET_KEY": "benchmark-only-0123456789-abcdefghijklmnop",
        "WEB_CONCURRENCY": "1",
        "RATE_LIMIT_PER_MINUTE": UNLIMITED,
        "LOGIN_RATE_LIMIT_PER_MINUTE": UNLIMITED,
        "METRICS_PORT": str(free_port()),
        "PYTHONPATH": str(root),
    }
    environment |= settings
    subprocess.run([python, "-m", "app.migrate"], cwd=root, env=environment, check=True, capture_output=True)
    port = free_port()
    command = ["taskset", "-c", str(SERVER_CORE), python, "-m", "gunicorn", "-c", "app/gunicorn.conf.py"]
    command += ["--bind", f"127.0.0.1:{port}", module]
    server = Server(command, port, None, work / f"{name}.log", environment, root)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop(signal.SIGTERM)
