"""The collector's own configuration, run: `app/.venv/bin/python -m benchmarks.collector [--binary PATH]`.

Builds OpenTelemetry's collector (benchmarks/collector.yaml; five minutes, once, into `--folder`), has it look at
docker/collector/collector.yaml, and runs it so between the app as in production and a server that takes what X-Ray is
sent. Prints what came, and fails where request id, trace id or a statement of the database is not in it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2 as httpx
import psutil

from benchmarks import ours
from tests.app.servers import find, postgres, redis

ROOT = Path(__file__).resolve().parents[1]
OURS = ROOT / "docker" / "collector" / "collector.yaml"
BUILDER = "go.opentelemetry.io/collector/cmd/builder@v0.120.0"
ENDPOINT = "http://127.0.0.1:4318"
TRACE, PARENT, REQUEST = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", "of-the-benchmark"
SECONDS = 60


def build(folder: Path) -> Path:
    """The binary in `folder`, built where it is not there."""
    binary = folder / "build" / "collector"
    if not binary.exists():
        folder.mkdir(parents=True, exist_ok=True)
        go = shutil.which("go") or "/usr/local/go/bin/go"
        path = f"{Path(go).parent}:{os.environ['PATH']}"
        command = [go, "run", BUILDER, f"--config={ROOT / 'benchmarks' / 'collector.yaml'}"]
        subprocess.run(command, cwd=folder, env=os.environ | {"PATH": path}, check=True)
    return binary


@contextmanager
def xray() -> Iterator[tuple[str, list[dict[str, Any]], set[str]]]:
    """Its address, the segments that it was sent, and what was called."""
    segments: list[dict[str, Any]] = []
    paths: set[str] = set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            paths.add(self.path)
            sent = json.loads(self.rfile.read(int(self.headers["content-length"])))
            segments.extend(json.loads(each) for each in sent.get("TraceSegmentDocuments", []))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", segments, paths
    server.shutdown()


@contextmanager
def collecting(binary: Path, work: Path, address: str) -> Iterator[psutil.Process]:
    """The collector with its own configuration, but for where X-Ray is."""
    greater_than = work / "over.yaml"
    # There is no EC2 here to ask which machine this is.
    greater_than.write_text(json.dumps({"exporters": {"awsxray": {"endpoint": address, "local_mode": True}}}))
    variables = os.environ | {"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    subprocess.run([binary, "validate", f"--config={OURS}"], env=variables, check=True)
    with (work / "collector.log").open("w") as log:
        command = [binary, f"--config={OURS}", f"--config={greater_than}"]
        process = subprocess.Popen(command, env=variables, stdout=log, stderr=log)
        try:
            eventually(lambda: _listens() or process.poll() is not None)
            yield psutil.Process(process.pid)
        finally:
            process.terminate()
            process.wait(SECONDS)
            print((work / "collector.log").read_text() or "(the collector wrote no log)")


def _listens() -> bool:
    try:
        return httpx.post(
            f"{ENDPOINT}/v1/traces", headers={"content-type": "application/json"}, content="{}"
        ).is_success
    except httpx.HTTPError:
        return False


def eventually(found: Any) -> Any:
    end = time.monotonic() + SECONDS
    while not (answer := found()):
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.1)
    return answer


def ask(url: str) -> None:
    """One item, read by a caller that is traced already."""
    with httpx.Client(base_url=f"{url}/api/v1", timeout=20) as api:
        ada = {"email": "ada@example.com", "display_name": "Ada", "password": "correct horse battery"}
        assert api.post("/users/", json=ada).status_code == 201
        form = {"username": ada["email"], "password": ada["password"]}
        api.headers["authorization"] = f"Bearer {api.post('/auth/token', data=form).json()['access_token']}"
        item = api.post("/items/", json={"title": "Lighthouse"}).json()["id"]
        traced = {"traceparent": f"00-{TRACE}-{PARENT}-01", "x-request-id": REQUEST}
        assert api.get(f"/items/{item}", headers=traced).status_code == 200


def main() -> None:
    """Build it, run it, ask the app, and show what X-Ray was sent."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path.home() / ".cache" / "slipway" / "collector")
    parser.add_argument("--binary", type=Path, help="an installed collector")
    arguments = parser.parse_args()
    binary = (arguments.binary or build(arguments.folder)).absolute()
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        work.chmod(0o755)
        _, owner = stack.enter_context(postgres())
        _, redis_url = stack.enter_context(redis(work))
        subprocess.run([find("psql"), owner, "-qc", "CREATE DATABASE app"], check=True)
        address, segments, paths = stack.enter_context(xray())
        collector = stack.enter_context(collecting(binary, work, address))
        url = stack.enter_context(
            ours.running(
                work,
                DATABASE_URL=owner.replace("/postgres", "/app"),
                REDIS_URL=redis_url,
                OTEL_EXPORTER_OTLP_ENDPOINT=ENDPOINT,
                OTEL_SERVICE_NAME="shop-web",
                OTEL_TRACES_SAMPLER="parentbased_traceidratio",
                OTEL_TRACES_SAMPLER_ARG="0",  # the caller's trace alone
            )
        )
        ask(url)
        theirs = f"1-{TRACE[:8]}-{TRACE[8:]}"
        (request,) = eventually(lambda: [each for each in segments if "http" in each])
        below = eventually(lambda: [each for each in segments if each.get("parent_id") == request["id"]])
        print(json.dumps(request, indent=2))
        assert {each["trace_id"] for each in segments} == {theirs}
        assert (request["name"], request["parent_id"]) == ("shop-web", PARENT)
        assert REQUEST in request["annotations"].values()
        assert any(each.get("sql") or each.get("metadata") for each in below)
        assert paths == {"/TraceSegments"}  # PutTraceSegments, which is all that the task's role may do
        print(f"{len(segments)} segments of {theirs}; below the request: {sorted(each['name'] for each in below)}")
        print(f"the collector takes {collector.memory_info().rss / 2**20:.0f} MiB")


if __name__ == "__main__":
    main()
