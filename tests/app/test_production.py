"""The production commands themselves: gunicorn with several workers, and the Celery worker."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.app.conftest import KEY
from tests.app.servers import free_port

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 120


def eventually(done: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            answer = done()
        except OSError:
            answer = None
        if answer:
            return answer
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.1)


def environment(**more: str) -> dict[str, str]:
    # COVERAGE_PROCESS_*: what these processes run counts as tested, for it is.
    names = ("PATH", "HOME", "LANG", "COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START")
    kept = {key: value for key, value in os.environ.items() if key in names}
    return kept | {"SECRET_KEY": KEY, "PYTHONPATH": str(ROOT)} | more


class Gunicorn:
    """gunicorn with the app's own configuration, on a port of the test's; without `workers` with nothing set."""

    def __init__(self, folder: Path, workers: int | None, **more: str) -> None:
        self.port, self.metrics_port, self.log = free_port(), free_port(), folder / "gunicorn.log"
        command = [sys.executable, "-m", "gunicorn", "-c", "app/gunicorn.conf.py", "app.main:app"]
        variables = {"DATA_DIR": str(folder), "METRICS_PORT": str(self.metrics_port)}
        if workers is not None:
            variables |= {"DATABASE_URL": f"sqlite:///{folder}/app.db", "WEB_CONCURRENCY": str(workers)}
        known = environment(**variables | more)
        if workers is None:
            del known["SECRET_KEY"]
        with self.log.open("w") as out:
            self.process = subprocess.Popen(
                [*command, "--bind", f"127.0.0.1:{self.port}"], cwd=ROOT, env=known, stdout=out, stderr=out
            )
        try:
            eventually(lambda: self.get("/readyz")[0] == 200)
        except BaseException:
            self.stop()
            raise

    def get(self, path: str, port: int = 0, **headers: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=SECONDS)
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(SECONDS)


@pytest.fixture
def gunicorn(tmp_path: Path) -> Iterator[Gunicorn]:
    running = Gunicorn(tmp_path, workers=2)
    yield running
    if running.process.poll() is None:
        running.stop()


def test_metrics_are_the_sum_of_all_workers_on_a_port_of_their_own(gunicorn: Gunicorn) -> None:
    for _ in range(20):
        assert gunicorn.get("/api/v1/users/")[0] == 200
    assert gunicorn.get("/metrics")[0] == 404
    _, text = gunicorn.get("/metrics", gunicorn.metrics_port)
    name = 'http_request_duration_seconds_count{method="GET",route="/api/v1/users/",status="200"}'
    (line,) = [line for line in text.splitlines() if line.startswith(name)]
    assert float(line.split()[-1]) == 20


def test_every_line_of_the_log_is_json(gunicorn: Gunicorn) -> None:
    gunicorn.get("/api/v1/users/")
    assert gunicorn.stop() == 0
    lines = gunicorn.log.read_text().splitlines()
    events = [json.loads(line)["event"] for line in lines]
    assert "request" in events
    assert any("Listening" in event for event in events)


def test_a_request_in_flight_is_finished_after_sigterm(gunicorn: Gunicorn) -> None:
    body = json.dumps({"email": "a@example.com", "display_name": "Ada", "password": "correct horse battery"}).encode()
    with socket.create_connection(("127.0.0.1", gunicorn.port), timeout=SECONDS) as connection:
        head = "POST /api/v1/users/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body[:10])
        time.sleep(0.5)
        gunicorn.process.send_signal(signal.SIGTERM)
        time.sleep(1)
        connection.sendall(body[10:])
        assert connection.recv(100).startswith(b"HTTP/1.1 201")
    assert gunicorn.process.wait(SECONDS) == 0


def test_alembics_own_command_works_for_who_writes_migrations(tmp_path: Path) -> None:
    for arguments in (["upgrade", "head"], ["check"], ["downgrade", "base"]):
        done = subprocess.run(
            [sys.executable, "-m", "alembic", *arguments],
            cwd=ROOT / "app",
            env=environment(DATABASE_URL=f"sqlite:///{tmp_path}/a.db"),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("times", [1, 2])
def test_the_release_migrates_by_a_command_and_says_so(tmp_path: Path, times: int) -> None:
    for _ in range(times):
        done = subprocess.run(
            [sys.executable, "-m", "app.migrate"],
            cwd=ROOT,
            env=environment(DATABASE_URL=f"sqlite:///{tmp_path}/a.db"),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
    assert "database is up to date" in done.stdout + done.stderr


def test_a_migration_that_fails_exits_with_the_reason() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "app.migrate"],
        cwd=ROOT,
        env=environment(DATABASE_URL=f"postgresql://nobody@127.0.0.1:{free_port()}/none"),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "migration failed" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("module", "other"), [("app.main", "alembic"), ("app.migrate", "fastapi"), ("app.jobs.worker", "fastapi")]
)
def test_a_process_starts_without_what_only_another_needs(module: str, other: str) -> None:
    """Most of a start is imports, and on a quarter of a vCPU each takes four times as long."""
    program = f"import sys, {module}; raise SystemExit({other!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment()).returncode == 0


def metrics_folder(gunicorn: Gunicorn) -> Path:
    """Where this one's processes keep their metrics."""
    files = psutil.Process(gunicorn.process.pid).children()[0].memory_maps()
    (folder,) = {Path(file.path).parent for file in files if file.path.endswith(".db") and "metrics-" in file.path}
    return folder


def test_an_empty_or_broken_file_of_metrics_does_not_end_the_metrics(gunicorn: Gunicorn) -> None:
    assert gunicorn.get("/api/v1/users/")[0] == 200
    folder = metrics_folder(gunicorn)
    (folder / "counter_99999.db").touch()
    (folder / "histogram_99998.db").write_bytes(b"no metrics at all")
    status, text = gunicorn.get("/metrics", gunicorn.metrics_port)
    assert status == 200
    assert 'http_request_duration_seconds_count{method="GET",route="/api/v1/users/",status="200"} 1.0' in text


def test_what_ended_workers_counted_is_kept_in_one_file_of_each_kind(gunicorn: Gunicorn) -> None:
    name = 'http_request_duration_seconds_count{method="GET",route="/api/v1/users/",status="200"}'

    def counted() -> float:
        _, text = gunicorn.get("/metrics", gunicorn.metrics_port)
        return next((float(line.split()[-1]) for line in text.splitlines() if line.startswith(name)), 0)

    def is_counted(requests: int) -> bool:
        """A request is counted after its answer."""
        return counted() == requests

    for asked in range(1, 4):
        assert gunicorn.get("/api/v1/users/")[0] == 200
        eventually(partial(is_counted, asked))
        workers = psutil.Process(gunicorn.process.pid).children()
        for worker in workers:
            worker.kill()
        gone = {worker.pid for worker in workers}

        def replaced(gone: set[int] = gone) -> bool:
            now = {child.pid for child in psutil.Process(gunicorn.process.pid).children()}
            return len(now) == 2 and not now & gone

        eventually(replaced)
        eventually(lambda: gunicorn.get("/readyz")[0] == 200)
        assert counted() == asked
    parent = psutil.Process(gunicorn.process.pid)
    living = {f"_{process.pid}.db" for process in (parent, *parent.children())}
    files = [path.name for path in metrics_folder(gunicorn).glob("*.db")]
    ended = [file for file in files if not file.endswith(tuple(living))]
    assert sorted(ended) == ["counter_0.db", "histogram_0.db"]


def test_a_client_that_leaves_before_its_body_is_counted_as_that(gunicorn: Gunicorn) -> None:
    with socket.create_connection(("127.0.0.1", gunicorn.port), timeout=SECONDS) as connection:
        head = "POST /api/v1/users/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        connection.sendall(f"{head}Content-Length: 1000\r\n\r\n{{".encode())
        time.sleep(0.3)

    def counted() -> list[str]:
        _, text = gunicorn.get("/metrics", gunicorn.metrics_port)
        return [
            line for line in text.splitlines() if line.startswith('http_request_duration_seconds_count{method="POST')
        ]

    (line,) = eventually(counted)
    assert 'status="499"' in line
    lines = [json.loads(line) for line in gunicorn.log.read_text().splitlines()]
    (logged,) = [line for line in lines if line.get("method") == "POST"]
    assert (logged["status"], logged["level"]) == (499, "info")
