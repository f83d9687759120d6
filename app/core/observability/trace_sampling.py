"""Which traces are sent; imported where there is tracing alone."""

from collections.abc import Sequence

from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import Decision, ParentBased, Sampler, SamplingResult, TraceIdRatioBased
from opentelemetry.trace import Link, SpanKind, TraceState, get_current_span
from opentelemetry.util.types import Attributes


class TraceSampler(Sampler):
    """A share of those that begin here, and what a caller has decided on; never a lone statement, as of the probes and
    of what a process looks for on a schedule."""

    def __init__(self, share: float) -> None:
        self._sampler = ParentBased(TraceIdRatioBased(share))

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """See OpenTelemetry's Sampler."""
        if kind is SpanKind.CLIENT and not get_current_span(parent_context).get_span_context().is_valid:
            return SamplingResult(Decision.DROP)
        return self._sampler.should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)

    def get_description(self) -> str:
        """See OpenTelemetry's Sampler."""
        return f"TraceSampler({self._sampler.get_description()})"  # type: ignore[no-untyped-call]
