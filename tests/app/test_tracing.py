"""Traces, logs and metrics meet: the app as it is in production, and a collector that takes what it sends."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import httpx2 as httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Sent
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from app.core.settings import Settings
from app.migrate import upgrade
from tests.app.conftest import KEY, PASSWORD, new_database
from tests.app.servers import Server, aws
from tests.app.test_aws import CREDENTIALS, make_queue
from tests.app.test_production import ROOT, SECONDS, Gunicorn, environment, eventually

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


@dataclass(frozen=True)
class Span:
    """One span, as it came."""

    service: str
    name: str
    kind: int
    trace: str
    id: str
    parent: str
    about: dict[str, Any]


class Collector:
    """Takes OTLP over HTTP, as OpenTelemetry's collector does."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.envelopes: list[str] = []
        """What Sentry's SDK sends."""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.path == "/v1/traces":
                    outer.take(ExportTraceServiceRequest.FromString(body))
                elif self.path == "/api/1/envelope/":
                    packed = self.headers["content-encoding"] == "gzip"
                    outer.envelopes.append((gzip.decompress(body) if packed else body).decode())
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, request: ExportTraceServiceRequest) -> None:
        for sent in request.resource_spans:
            service = attributes(sent.resource.attributes)["service.name"]
            for scope in sent.scope_spans:
                self.spans += [made(service, span) for span in scope.spans]

    def of(self, trace: str) -> list[Span]:
        return [span for span in self.spans if span.trace == trace]


def attributes(found: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in found}


def made(service: str, span: Sent) -> Span:
    ids = span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()
    return Span(service, span.name, span.kind, *ids, attributes(span.attributes))


@pytest.fixture
def collector() -> Iterator[Collector]:
    running = Collector()
    yield running
    running.server.shutdown()
    running.server.server_close()


def lines(log: Path) -> list[dict[str, Any]]:
    """The structured ones: Celery greets on its own."""
    return [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]


def test_a_request_its_statements_redis_and_its_job_are_one_trace_which_the_log_names(
    collector: Collector,
    tmp_path: Path,
    postgres_server: tuple[Server, str],
    redis_server: tuple[Server, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    settings = Settings(_env_file=None, secret_key=KEY, database_url=asyncio.run(new_database(postgres_server[1])))  # type: ignore[call-arg]
    upgrade(settings)
    with aws(tmp_path) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        queue, _ = make_queue()
        bucket = f"b-{uuid.uuid4().hex}"
        boto3.client("s3").create_bucket(Bucket=bucket)
        known = CREDENTIALS | {
            "DATABASE_URL": settings.url.render_as_string(hide_password=False),
            "REDIS_URL": redis_server[1],
            "JOBS_QUEUE_URL": queue,
            "EXPORTS_BUCKET": bucket,
            "AWS_ENDPOINT_URL": address,
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_BSP_SCHEDULE_DELAY": "100",
        }
        web = Gunicorn(tmp_path, 1, **known, OTEL_SERVICE_NAME="shop-web")
        log = tmp_path / "worker.log"
        command = [sys.executable, "-m", "celery", "-A", "app.jobs.worker", "worker", "--concurrency", "1"]
        with log.open("w") as out:
            variables = environment(**known, OTEL_SERVICE_NAME="shop-worker")
            worker = subprocess.Popen(command, cwd=ROOT, env=variables, stdout=out, stderr=out)
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{web.port}/api/v1", timeout=60) as api:
                _one_trace(api, collector, web)
                _a_job(api, collector, log)
        finally:
            worker.terminate()
            web.stop()
            worker.wait(SECONDS)


def _one_trace(api: httpx.Client, collector: Collector, web: Gunicorn) -> None:
    account = {"email": "ada@example.com", "display_name": "Ada", "password": PASSWORD}
    assert api.post("/users/", json=account).status_code == 201
    form = {"username": account["email"], "password": PASSWORD}
    api.headers["authorization"] = f"Bearer {api.post('/auth/token', data=form).json()['access_token']}"
    item = api.post("/items/", json={"title": "Lighthouse"}).json()["id"]
    trace, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    answer = api.get(f"/items/{item}", headers={"traceparent": f"00-{trace}-{parent}-01", "x-request-id": "mine"})
    assert (answer.status_code, answer.headers["x-request-id"]) == (200, "mine")
    route = "/api/v1/items/{item_id}"

    def whole() -> list[Span]:
        found = collector.of(trace)
        return found if any(span.name == f"GET {route}" for span in found) else []

    spans = eventually(whole)
    (request,) = (span for span in spans if span.name == f"GET {route}")
    assert (request.service, request.kind, request.parent) == ("shop-web", Sent.SPAN_KIND_SERVER, parent)
    assert (request.about["http.route"], request.about["app.request_id"]) == (route, "mine")
    below = {(span.about.get("db.system"), span.kind) for span in spans if span is not request}
    assert below == {("postgresql", Sent.SPAN_KIND_CLIENT), ("redis", Sent.SPAN_KIND_CLIENT)}
    assert all(span.parent == request.id for span in spans if span is not request)
    statements = [span.about["db.statement"] for span in spans if span.about.get("db.system") == "postgresql"]
    assert len(statements) == len(set(statements))  # each once, whoever ran it
    assert not [text for text in statements if item in text]
    (line,) = (line for line in lines(web.log) if line.get("request_id") == "mine")
    assert (line["trace_id"], line["span_id"]) == (trace, request.id)
    # Who is not traced by the caller begins a trace here; the probes begin none.
    (made,) = (line for line in lines(web.log) if line.get("route") == "/api/v1/items/" and line["method"] == "POST")
    assert re.fullmatch("[0-9a-f]{32}", made["trace_id"])
    inserts = eventually(lambda: [s for s in collector.of(made["trace_id"]) if s.name.startswith("INSERT")])
    assert inserts[0].about["db.system"] == "postgresql"
    assert web.get("/readyz")[0] == 200
    roots = {span.name for span in collector.spans if not span.parent}
    assert all(name.startswith(("POST /api", "GET /api")) for name in roots), roots
    _, text = web.get("/metrics", web.metrics_port, accept=OPENMETRICS)
    kept = [
        sample.exemplar.labels
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "http_request_duration_seconds_bucket" and sample.labels["route"] == route and sample.exemplar
    ]
    assert kept == [{"trace_id": trace, "span_id": request.id}]


def _a_job(api: httpx.Client, collector: Collector, log: Path) -> None:
    export = api.post("/items/exports").headers["location"].split("/api/v1", 1)[1]
    eventually(lambda: api.get(export).json()["status"] == "done")

    def job() -> list[dict[str, Any]]:
        return [line for line in lines(log) if line["event"] == "job done"]

    (line,) = eventually(job)

    def whole() -> list[Span]:
        found = collector.of(line["trace_id"])
        return found if {span.kind for span in found} >= {Sent.SPAN_KIND_SERVER, Sent.SPAN_KIND_CONSUMER} else []

    spans = eventually(whole)
    by = {(span.service, span.kind): span for span in spans}
    request = by["shop-web", Sent.SPAN_KIND_SERVER]
    sent, run = by["shop-web", Sent.SPAN_KIND_PRODUCER], by["shop-worker", Sent.SPAN_KIND_CONSUMER]
    assert (request.name, sent.parent, run.parent) == ("POST /api/v1/items/exports", request.id, sent.id)
    assert run.id == line["span_id"]
    assert {s.parent for s in spans if s.service == "shop-worker" and "db.system" in s.about} == {run.id}


@pytest.mark.parametrize("dsn", ["", "https://nobody@127.0.0.1:9/1"])
def test_without_an_endpoint_nothing_is_imported_that_traces(tmp_path: Path, dsn: str) -> None:
    """FastAPI imports OpenTelemetry's API, and redis-py what the SDK has for metrics: by themselves."""
    program = (
        "import sys, app.main, app.jobs.worker\n"
        "from fastapi.testclient import TestClient\n"
        "with TestClient(app.main.app) as client: assert client.get('/api/v1/users/').status_code == 200\n"
        "parts = tuple(f'opentelemetry.{part}' for part in ('exporter', 'instrumentation', 'proto', 'sdk.trace'))\n"
        "print([name for name in sys.modules if name.startswith(parts)], flush=True)"
    )
    variables = environment(DATABASE_URL=f"sqlite:///{tmp_path}/a.db", **({"SENTRY_DSN": dsn} if dsn else {}))
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "[]" in done.stdout.splitlines()


def test_sentry_is_told_our_traces_id_and_makes_no_traces_of_its_own(collector: Collector, tmp_path: Path) -> None:
    program = (
        "import app.main\n"
        "from fastapi.testclient import TestClient\n"
        "@app.main.app.get('/wrong')\n"
        "async def wrong() -> None: raise ZeroDivisionError\n"
        "trace = {'traceparent': '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'}\n"
        "with TestClient(app.main.app) as client: assert client.get('/wrong', headers=trace).status_code == 500\n"
    )
    dsn = f"http://key@{collector.url.removeprefix('http://')}/1"
    given = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "SENTRY_DSN": dsn, "LOG_LEVEL": "error"}
    variables = environment(DATABASE_URL=f"sqlite:///{tmp_path}/a.db", **given)
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (request,) = (span for span in collector.spans if span.name == "GET /wrong")
    told = [json.loads(line) for envelope in collector.envelopes for line in envelope.splitlines()]
    errors = [each["contexts"]["trace"] for each in told if "exception" in each]
    assert [(error["trace_id"], error["span_id"]) for error in errors] == [(request.trace, request.id)]
    assert not [each for each in told if each.get("type") in ("transaction", "span")]


def test_an_endpoint_without_what_traces_is_told_in_one_line(tmp_path: Path) -> None:
    program = (
        "import importlib.util; found = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name: None if name == 'opentelemetry.sdk' else found(name)\n"
        "import app.main"
    )
    variables = environment(DATABASE_URL=f"sqlite:///{tmp_path}/a.db", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=variables, capture_output=True, text=True)
    assert done.returncode == 1
    assert re.fullmatch(r"The app cannot start: .* the extra `tracing` .*\n", done.stderr)


def test_a_collector_that_is_away_costs_no_request(tmp_path: Path) -> None:
    web = Gunicorn(tmp_path, 1, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9", OTEL_BSP_SCHEDULE_DELAY="100")
    try:
        assert [web.get("/api/v1/users/")[0] for _ in range(20)] == [200] * 20
    finally:
        assert web.stop() == 0
