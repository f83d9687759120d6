"""Traces: spans of requests, statements, Redis and jobs, sent to an OpenTelemetry collector where one is named.

Without OTEL_EXPORTER_OTLP_ENDPOINT nothing that traces is imported, and `is_on` stays False: code that would call a
function here looks at it first.
OpenTelemetry's SDK reads more variables by itself: OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_BSP_*.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from app.core.observability import logging

if TYPE_CHECKING:
    from fastapi.telemetry import TelemetryConfig
    from sqlalchemy.ext.asyncio import AsyncEngine

    from app.core.settings import Settings

SCOPE = "app"
PROBES = ("/livez", "/readyz")
is_on = False
_provider: Any = None


def start_tracing(settings: Settings) -> None:
    """Send this process's spans where an endpoint is set. Its thread does not outlive a fork."""
    global is_on, _provider
    if settings.otel_exporter_otlp_endpoint is None or is_on:
        return
    if not find_spec("opentelemetry.sdk"):
        raise SystemExit(
            "The app cannot start: OTEL_EXPORTER_OTLP_ENDPOINT is set, and OpenTelemetry is not installed: that is the "
            "extra `tracing` of the app's pyproject.toml"
        )
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.instrumentation.redis import RedisInstrumentor
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    from app.core.observability.trace_sampling import TraceSampler

    attributes = {"service.version": settings.release, "deployment.environment.name": settings.environment.value}
    name = {} if "OTEL_SERVICE_NAME" in os.environ else {SERVICE_NAME: settings.slug}
    _provider = TracerProvider(
        sampler=TraceSampler(settings.otel_traces_sampler_arg), resource=Resource.create({**attributes, **name})
    )
    url = settings.otel_exporter_otlp_endpoint.rstrip("/") + "/v1/traces"
    _provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=url)))
    trace.set_tracer_provider(_provider)
    RedisInstrumentor().instrument(tracer_provider=_provider)
    if settings.jobs_queue_url:
        from opentelemetry.instrumentation.celery import CeleryInstrumentor

        CeleryInstrumentor().instrument(tracer_provider=_provider)  # type: ignore[no-untyped-call]
    logging.span_fields = trace_fields
    is_on = True


def stop_tracing() -> None:
    """Send what is left, and end."""
    if is_on:
        _provider.shutdown()


def requests_config() -> TelemetryConfig:
    """What FastAPI's own telemetry does: a span around each request, by its route's template, below the caller's where
    it sent a `traceparent`. Metrics and logs are the app's own."""
    return {
        "tracer_provider": _provider,
        "tracing": is_on,
        "metrics": False,
        "logs": False,
        "operation_spans": False,  # four more a request
        "exclude": lambda scope: scope["path"] in PROBES,
    }


def name_request(request_id: str) -> None:
    """Keep in the request's span the id that the response has."""
    from opentelemetry.trace import get_current_span

    get_current_span().set_attribute("app.request_id", request_id)


def trace_engine(engine: AsyncEngine) -> None:
    """A span for each statement, with its text and without its values."""
    from opentelemetry.instrumentation.sqlalchemy.engine import EngineTracer
    from opentelemetry.metrics import NoOpMeter

    # What the instrumentor does with an engine; it does so once, and each job of a worker has an engine of its own.
    unused = NoOpMeter(SCOPE).create_up_down_counter("connections")
    EngineTracer(_provider.get_tracer(SCOPE), engine.sync_engine, unused)  # type: ignore[no-untyped-call]


def statement_span(sql: str) -> AbstractContextManager[Any]:
    """The same for a statement that SQLAlchemy does not see."""
    from opentelemetry.trace import SpanKind

    attributes = {"db.system": "postgresql", "db.statement": sql}
    span: AbstractContextManager[Any] = _provider.get_tracer(SCOPE).start_as_current_span(
        sql.split(maxsplit=1)[0], kind=SpanKind.CLIENT, attributes=attributes
    )
    return span


def trace_fields() -> dict[str, str]:
    """The ids of the span in hand, for a log line; empty where there is none."""
    from opentelemetry.trace import get_current_span

    context = get_current_span().get_span_context()
    return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"} if context.is_valid else {}


def exemplar() -> dict[str, str] | None:
    """The same for a histogram's bucket, where the trace is one of those that are kept."""
    from opentelemetry.trace import get_current_span

    return trace_fields() if get_current_span().get_span_context().trace_flags.sampled else None
