"""The peer: fastapi/full-stack-fastapi-template at one commit, run as its Dockerfile runs it, with one worker."""

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

REPOSITORY = "https://github.com/fastapi/full-stack-fastapi-template"
COMMIT = "a727535488542228dc19b13f217a104ad317c122"
"""The last one for Python 3.10 to 3.13, so that both sides run on the same interpreter (25 June 2026)."""
PASSWORD = "benchmark-only-password"  # noqa: S105 - of a server on loopback
UV = Path(__file__).resolve().parents[1] / ".venv" / "bin" / "uv"  # the kit's: the app's environment has none


def prepare(folder: Path, repository: str) -> Path:
    """Its source at the commit, and its locked packages in a virtual environment of its own."""
    if not (folder / "backend").exists():
        print(f"Fetching {repository} at {COMMIT[:8]}", flush=True)
        folder.mkdir(parents=True, exist_ok=True)
        git = ["git", "-C", str(folder)]
        subprocess.run([*git, "init", "-q"], check=True)
        subprocess.run([*git, "fetch", "-q", "--depth", "1", repository, COMMIT], check=True)
        subprocess.run([*git, "checkout", "-q", "FETCH_HEAD"], check=True)
    environment = {key: value for key, value in os.environ.items() if key != "VIRTUAL_ENV"}
    sync = [str(UV), "sync", "--frozen", "--no-dev", "--package", "app", "-q", "--python", sys.executable]
    subprocess.run(sync, cwd=folder, env=environment, check=True)
    return folder


@contextmanager
def running(source: Path, work: Path, host: str, port: int, database: str) -> Iterator[str]:
    """Its address. Its own release steps are run first: migrations and first data."""
    bin_folder = source / ".venv" / "bin"
    environment = os.environ | {
        "PROJECT_NAME": "benchmark",
        "POSTGRES_SERVER": host,
        "POSTGRES_PORT": str(port),
        "POSTGRES_USER": "owner",
        "POSTGRES_PASSWORD": PASSWORD,
        "POSTGRES_DB": database,
        "FIRST_SUPERUSER": "admin@example.com",
        "FIRST_SUPERUSER_PASSWORD": PASSWORD,
        "SECRET_KEY": PASSWORD * 2,
        "ENVIRONMENT": "production",
        "PATH": f"{bin_folder}:{os.environ['PATH']}",
        "PYTHONPATH": str(source / "backend"),
    }
    backend = source / "backend"
    for step in (["alembic", "upgrade", "head"], ["python", "app/initial_data.py"]):
        subprocess.run([bin_folder / step[0], *step[1:]], cwd=backend, env=environment, check=True, capture_output=True)
    listen = free_port()
    command = ["taskset", "-c", str(SERVER_CORE), str(bin_folder / "fastapi"), "run", "--workers", "1"]
    command += ["--host", "127.0.0.1", "--port", str(listen), "app/main.py"]
    server = Server(command, listen, None, work / "template.log", environment, backend)
    try:
        yield f"http://127.0.0.1:{listen}"
    finally:
        server.stop(signal.SIGTERM)
