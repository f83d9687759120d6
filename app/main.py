"""The application: `app` is what gunicorn serves."""

from typing import Any

import sentry_sdk
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from app.api import health, v1
from app.api.cache import CacheHit, on_cache_hit
from app.api.deps import ResourcesMiddleware
from app.api.responses import add_problem_schema
from app.core.http.middleware import ConcurrencyLimitMiddleware, GuardMiddleware, RequestMiddleware
from app.core.http.problems import install_error_handlers
from app.core.observability import tracing
from app.core.observability.logging import configure_logging
from app.core.settings import Settings, get_settings
from app.resources import lifespan

EXPOSED = ["ETag", "Link", "Location", "Retry-After", "Content-Disposition", "WWW-Authenticate", "X-Total-Count"]
EXPOSED += ["RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "X-Request-ID"]


class Application(FastAPI):
    """FastAPI with the schema of errors in its documentation."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            add_problem_schema(super().openapi())
        return self.openapi_schema or {}


def create_app(settings: Settings | None = None) -> FastAPI:
    """An app of its own, with these settings or the environment's."""
    settings = settings or get_settings()
    configure_logging(settings.log_level, settings.release, settings.log_sample_rate)
    tracing.start_tracing(settings)
    _start_sentry(settings)
    app = Application(
        title=settings.project_name,
        description="Users, items, logins and exports.",
        version="1.0.0",
        lifespan=lifespan,
        telemetry=tracing.requests_config(),
    )
    app.state.settings, app.state.resources = settings, None
    # From the innermost to the outermost.
    app.add_middleware(ResourcesMiddleware)
    app.add_middleware(GuardMiddleware, settings=settings)
    app.add_middleware(ConcurrencyLimitMiddleware, limit=settings.max_requests_in_flight)
    app.include_router(health.router)
    for router in v1.ROUTERS:
        app.include_router(router)
    install_error_handlers(app)
    app.add_exception_handler(CacheHit, on_cache_hit)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_credentials=True,
            allow_methods=["GET", "POST", "PATCH", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "If-Match", "If-None-Match", "Idempotency-Key"],
            expose_headers=EXPOSED,
        )
    app.add_middleware(RequestMiddleware, sample_rate=settings.log_sample_rate)
    return app


def _start_sentry(settings: Settings) -> None:
    """Errors go to Sentry when there is a DSN; no personal data goes with them, as is the SDK's default. Its own traces
    are off; where ours are on, an error has our trace's id."""
    if settings.sentry_dsn is None:
        return
    integrations: list[Any] = []
    if settings.otel_exporter_otlp_endpoint is not None:
        from sentry_sdk.integrations.otlp import OTLPIntegration

        integrations = [OTLPIntegration(setup_otlp_traces_exporter=False, setup_propagator=False)]
    sentry_sdk.init(
        dsn=settings.sentry_dsn.get_secret_value(),
        environment=settings.environment.value,
        release=settings.release,
        max_request_body_size="never",
        include_local_variables=False,
        integrations=integrations,
    )


app = create_app()
