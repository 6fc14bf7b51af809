"""Where OpenTelemetry is: with spans, with its context alone, or not at all.

In: the standard OTEL_ variables, and what the agent's own code has set up. Out: `begin`, called with each
turn.

    the agent's code set up a TracerProvider      its provider is used, and nothing is added to it
    OTEL_ variables name an exporter              providers of ours (`exporting`), shut down at the end
    opentelemetry-api is loaded, no more          no spans; a request's context is the current one, so that
                                                  clients which inject it (MCP's, HTTP's) pass it on
    else                                          nothing is imported, nothing costs anything
"""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

from . import log

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..config import Deployment
    from ..context import Context
    from .spans import Spans

FLUSH_S = 3.0  # for the last spans, while the process ends
SIGNALS = ("TRACES", "METRICS")

_spans: Spans | None = None  # process-wide, as OpenTelemetry's own providers are


def wanted(environ: Mapping[str, str]) -> dict[str, list[str]]:
    """Which exporters the environment names for each signal; `otlp` where only an endpoint is given."""
    if _disabled(environ):
        return {}
    found: dict[str, list[str]] = {}
    for signal in SIGNALS:
        general, own = "OTEL_EXPORTER_OTLP_ENDPOINT", f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT"
        default = "otlp" if environ.get(general) or environ.get(own) else ""
        named = environ.get(f"OTEL_{signal}_EXPORTER") or default
        names = [name for part in named.split(",") if (name := part.strip()) not in ("", "none")]
        found |= {signal: names} if names else {}
    return found


def start(deployment: Deployment, environ: Mapping[str, str]) -> Callable[[], None]:
    """Begin to make spans, if there is somebody to make them for. Call it once the agent was imported.

    Returns what ends it, within FLUSH_S.
    """
    global _spans
    theirs = _set_up_already()
    close = _nothing if theirs else _set_up(deployment, environ)
    if close is None or _disabled(environ):
        return _nothing
    log.info("OpenTelemetry: %s", "the agent's own TracerProvider" if theirs else _describe(wanted(environ)))
    from . import outcomes
    from .spans import Spans

    _spans = Spans(deployment)
    deaf = outcomes.listen(_spans.take)

    def end() -> None:
        global _spans
        _spans = None
        deaf()
        ender = threading.Thread(target=close, name="shipway-otel-end", daemon=True)
        ender.start()
        ender.join(FLUSH_S)
        if ender.is_alive():
            log.warning("the last spans and metrics did not leave within %g s; left behind", FLUSH_S)

    return end


def _set_up(deployment: Deployment, environ: Mapping[str, str]) -> Callable[[], None] | None:
    """Make providers as the environment says; None where it says nothing, or what cannot be done."""
    if not (exporters := wanted(environ)):
        return None
    try:
        from .exporting import set_up

        return set_up(deployment, environ, exporters)
    except ImportError as error:
        log.warning(
            "%s asks for OpenTelemetry, and %s is not installed: no spans. Add opentelemetry-sdk and "
            "opentelemetry-exporter-otlp-proto-http to the project's dependencies, or shipway-runtime[otel]",
            *(_asking(environ), error.name),
        )
    except Exception as error:  # noqa: BLE001 - others' code, and a setting of the environment's
        log.warning("OpenTelemetry could not be set up as the environment says, no spans: %s", error)
    return None


def begin(context: Context, carried: Mapping[str, str]) -> Callable[[], None]:
    """A turn begins, in a request that `carried` these headers. Returns what ends it."""
    if _spans:
        return _spans.begin(context, carried)
    if carried and "opentelemetry.trace" in sys.modules:
        return _pass_on(carried)
    return _nothing


def ids() -> Mapping[str, str]:
    """`trace_id` and `span_id` of the innermost span; empty without OpenTelemetry."""
    return _spans.ids() if _spans else {}


def outgoing() -> Mapping[str, str]:
    """The headers of the innermost span; empty without OpenTelemetry."""
    if not _spans:
        return {}
    from opentelemetry import propagate

    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return carrier


def _pass_on(carried: Mapping[str, str]) -> Callable[[], None]:
    from opentelemetry import context, propagate

    token = context.attach(propagate.extract(carried))
    return lambda: context.detach(token)


def _set_up_already() -> bool:
    """Whether a TracerProvider was set by somebody else, or by an earlier start."""
    trace: Any = sys.modules.get("opentelemetry.trace")
    return trace is not None and not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


def _describe(exporters: Mapping[str, list[str]]) -> str:
    """`traces to otlp, metrics to otlp`"""
    return ", ".join(f"{signal.lower()} to {' and '.join(names)}" for signal, names in exporters.items())


def _disabled(environ: Mapping[str, str]) -> bool:
    return environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"


def _asking(environ: Mapping[str, str]) -> str:
    names = [f"OTEL_EXPORTER_OTLP_{part}ENDPOINT" for part in ("", "TRACES_", "METRICS_")]
    names += [f"OTEL_{signal}_EXPORTER" for signal in SIGNALS]
    return next(name for name in names if environ.get(name))


def _nothing() -> None:
    """Where there is nothing to end."""
