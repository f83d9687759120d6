"""A sidecar that collects traces: OpenTelemetry in AWS's distribution, exporting to X-Ray."""

from __future__ import annotations

from dataclasses import replace

import pulumi

from slipway.components.iam_roles import Statement
from slipway.components.task_definition import ContainerDefinition

CONTAINER_NAME = "collector"
OTLP_HTTP_PORT = 4318
"""Port of OTLP over HTTP, inside the task's own network."""
TRACE_SAMPLING_RATIO = "0.05"
"""Share of the requests that no caller has traced already: a million requests a day cost 7.50 USD a month in X-Ray."""

XRAY_STATEMENTS: tuple[Statement, ...] = (
    # AWS knows no narrower resource for X-Ray's segments.
    {"Effect": "Allow", "Action": "xray:PutTraceSegments", "Resource": "*"},
)
"""Statements of the task role, which the sidecar shares with the process."""


def add_trace_collector(
    process: ContainerDefinition, image: pulumi.Input[str], region: pulumi.Input[str], service: str
) -> list[ContainerDefinition]:
    """Returns the process's container with the collector's address, and the collector; `service` is its name in traces.

    The process continues when the collector ends. The collector uses up to 120 MiB of the task's memory.
    """
    otel_environment = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{OTLP_HTTP_PORT}",
        "OTEL_SERVICE_NAME": service,
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": TRACE_SAMPLING_RATIO,
    }
    collector = ContainerDefinition(
        CONTAINER_NAME, image, environment={"AWS_REGION": region}, essential=False, scratch=False
    )
    return [
        replace(process, environment={**otel_environment, **process.environment}, wait_for_start=CONTAINER_NAME),
        collector,
    ]
