"""A collector of traces beside a process: OpenTelemetry's, in AWS's distribution, to X-Ray."""

from __future__ import annotations

import pulumi

from infra.components.roles import Statement
from infra.components.task import Container

NAME = "collector"
PORT = 4318
"""Where it takes OTLP over HTTP, in the task's own network."""
SHARE = "0.05"
"""Of the requests that no caller has traced already: a million a day are then 7.50 USD a month in X-Ray."""

STATEMENTS: tuple[Statement, ...] = (
    # AWS knows no narrower resource for X-Ray's segments.
    {"Effect": "Allow", "Action": "xray:PutTraceSegments", "Resource": "*"},
)
"""What its task may do: it has the role of the process beside it."""


def traced(process: Container, image: pulumi.Input[str], region: pulumi.Input[str], service: str) -> list[Container]:
    """The process, told where its collector is, and the collector; the process is called `service` in its traces.

    The process goes on where the collector ends. It takes up to 120 MiB of the task's memory, and no CPU of its own.
    """
    told = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{PORT}",
        "OTEL_SERVICE_NAME": service,
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": SHARE,
    }
    collector = Container(NAME, image, environment={"AWS_REGION": region}, essential=False, scratch=False)
    return [process.but(environment={**told, **process.environment}, beside=NAME), collector]
