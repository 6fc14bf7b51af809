"""Spans and measures of turns, by OpenTelemetry's conventions for generative AI (`names`).

In: turns as they begin, and their outcomes. Out: `invoke_agent NAME`, current while the agent runs, so that
spans of the agent's own libraries lie below it; `execute_tool TOOL` for each call of a tool, made at the end
from what the agent told; durations and tokens. What was said is never recorded: no message, no argument, no
result, no text of an exception. Imports opentelemetry-api: only where there are spans.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from opentelemetry import context as contexts
from opentelemetry import metrics, propagate, trace
from opentelemetry.trace import SpanKind, StatusCode

from .. import __version__
from . import names
from .counts import type_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry.trace import Span

    from ..config import Deployment
    from ..context import Context
    from ..contract import Model, Outcome
    from .outcomes import Ended
    from .tally import Tally, ToolUse

SCOPE = "shipway"
BOUNDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600)

_span: ContextVar[Span | None] = ContextVar("shipway_span", default=None)


class Spans:
    """Of one agent. `begin` and `take` are called in the turn's own context."""

    def __init__(self, deployment: Deployment) -> None:
        self._agent = deployment.manifest.name
        self._constant = {names.AGENT: self._agent, names.AGENT_VERSION: deployment.revision}
        self._constant |= {names.REVISION: deployment.revision}
        self._tracer = trace.get_tracer(SCOPE, __version__)
        self._measures = _Measures(self._agent)

    def begin(self, context: Context, carried: Mapping[str, str]) -> Callable[[], None]:
        """Start the span of a turn, below the one that its request brought; returns what leaves it."""
        above = propagate.extract(carried) if carried else contexts.get_current()
        attributes: dict[str, str | int] = {
            names.OPERATION: names.INVOKE_AGENT,
            **self._constant,
            **_model(context.model),
        }
        attributes |= {names.CONVERSATION: context.conversation, names.TURN: context.turn}
        name = f"{names.INVOKE_AGENT} {self._agent}"
        span = self._tracer.start_span(name, above, SpanKind.INTERNAL, attributes)
        current, ours = contexts.attach(trace.set_span_in_context(span, above)), _span.set(span)

        def leave() -> None:
            contexts.detach(current)
            _span.reset(ours)
            if span.is_recording():
                span.end()

        return leave

    def take(self, ended: Ended) -> None:
        """End the span of a turn that is over. One that was denied never had a span."""
        span, outcome = _span.get(), ended.outcome
        if span is None:
            return
        end = int(outcome.finished * 1e9)
        failure = _failure(outcome, ended.error)
        for use in ended.tally.tools:
            self._execute(span, use, end)
        span.set_attributes(_result(outcome, ended.tally) | failure)
        if outcome.status == "error":
            span.set_status(StatusCode.ERROR)
        span.end(end)
        self._measures.take(ended, _model(ended.model), failure)

    def ids(self) -> Mapping[str, str]:
        """Of the innermost span, which may be one of the agent's own."""
        found = trace.get_current_span().get_span_context()
        if not found.is_valid:
            return {}
        return {
            "trace_id": trace.format_trace_id(found.trace_id),
            "span_id": trace.format_span_id(found.span_id),
        }

    def _execute(self, above: Span, use: ToolUse, end: int) -> None:
        attributes = {names.OPERATION: names.EXECUTE_TOOL, names.TOOL: use.call.name}
        attributes |= {names.TOOL_CALL: use.call.id, names.TOOL_TYPE: names.FUNCTION}
        attributes |= _tool_failure(use)
        span = self._tracer.start_span(
            f"{names.EXECUTE_TOOL} {use.call.name}",
            trace.set_span_in_context(above),
            SpanKind.INTERNAL,
            attributes,
            start_time=use.began,
        )
        if use.outcome != "ok":
            span.set_status(StatusCode.ERROR)
        span.end(use.ended or end)


class _Measures:
    def __init__(self, agent: str) -> None:
        meter = metrics.get_meter(SCOPE, __version__)

        def seconds(name: str, unit: str, description: str) -> metrics.Histogram:
            return meter.create_histogram(
                name, unit, description, explicit_bucket_boundaries_advisory=list(BOUNDS)
            )

        self._agent = agent
        self._turn, self._tool = seconds(*names.AGENT_DURATION), seconds(*names.TOOL_DURATION)
        self._tokens = {
            "input": meter.create_counter(*names.USED_INPUT),
            "output": meter.create_counter(*names.USED_OUTPUT),
            "cached": meter.create_counter(*names.USED_CACHED),
            "reasoning": meter.create_counter(*names.USED_REASONING),
        }

    def take(self, ended: Ended, model: dict[str, str], failure: dict[str, str]) -> None:
        self._turn.record(ended.outcome.latency_s, {names.AGENT: self._agent, **model, **failure})
        for use in ended.tally.tools:
            if use.ended is not None:
                took = (use.ended - use.began) / 1e9
                self._tool.record(took, {names.TOOL: use.call.name, **_tool_failure(use)})
        for usage in ended.tally.usages:
            about = {**model, names.OPERATION: names.CHAT, names.MODALITY: names.UNKNOWN_MODALITY}
            about |= {names.MODEL: usage.model} if usage.model else {}
            for kind, counter in self._tokens.items():
                counter.add(getattr(usage, kind), about)


def _model(model: Model | None) -> dict[str, str]:
    if model is None:
        return {}
    provider = names.PROVIDERS.get(model.provider) or urlsplit(model.provider).hostname or model.provider
    return {names.MODEL: model.name, names.PROVIDER: provider}


def _result(outcome: Outcome, tally: Tally) -> dict[str, Any]:
    found: dict[str, Any] = {names.STATUS: outcome.status}
    if tally.usages:
        found |= {names.INPUT_TOKENS: tally.input, names.OUTPUT_TOKENS: tally.output}
        found |= {names.CACHED_TOKENS: tally.cached, names.REASONING_TOKENS: tally.reasoning}
    return found if outcome.cost is None else found | {names.COST: outcome.cost}


def _failure(outcome: Outcome, error: BaseException | None) -> dict[str, str]:
    if outcome.status == "ok":
        return {}
    return {names.ERROR_TYPE: type_of(error) if error else outcome.status}


def _tool_failure(use: ToolUse) -> dict[str, str]:
    return {} if use.outcome == "ok" else {names.ERROR_TYPE: f"tool_{use.outcome}"}
