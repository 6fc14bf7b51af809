"""OpenTelemetry's providers, made as the standard OTEL_ variables say. Imports the SDK, where it is wanted.

In: the names of exporters for each signal. Out: global providers, and what shuts them down. Exporters are
found as the SDK finds them, by their entry points, so whatever is installed works. Errors: ImportError for a
package that is not there, ValueError for a name that nothing installed has.
Source: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from . import names

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..config import Deployment

PROTOCOLS = {"http/protobuf": "otlp_proto_http", "grpc": "otlp_proto_grpc"}
PACKAGES = {
    "otlp_proto_http": "opentelemetry-exporter-otlp-proto-http",
    "otlp_proto_grpc": "opentelemetry-exporter-otlp-proto-grpc",
}


def set_up(
    deployment: Deployment, environ: Mapping[str, str], exporters: Mapping[str, list[str]]
) -> Callable[[], None]:
    """Set the global providers; returns what flushes and ends them."""
    made = {
        signal: [_exporter(signal, name, environ)() for name in given] for signal, given in exporters.items()
    }
    resource = _resource(deployment)
    ends = []
    if spans := made.get("TRACES"):
        tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
        for exporter in spans:
            tracers.add_span_processor(BatchSpanProcessor(exporter))
        trace.set_tracer_provider(tracers)
        ends.append(tracers.shutdown)
    if measures := made.get("METRICS"):
        readers = [m if isinstance(m, MetricReader) else PeriodicExportingMetricReader(m) for m in measures]
        meters = MeterProvider(readers, resource=resource, shutdown_on_exit=False)
        metrics.set_meter_provider(meters)
        ends.append(meters.shutdown)

    def end() -> None:
        for one in ends:
            one()

    return end


def _resource(deployment: Deployment) -> Resource:
    """What the variables say goes before what we know."""
    known = {
        names.SERVICE_NAME: deployment.manifest.name,
        names.SERVICE_VERSION: deployment.revision,
        names.REVISION: deployment.revision,
        names.ENVIRONMENT: deployment.environment,
    }
    said = dict(Resource.create().attributes)
    if str(said.get(names.SERVICE_NAME)).startswith("unknown_service"):  # the SDK's own filling
        del said[names.SERVICE_NAME]
    return Resource({**known, **said})


def _exporter(signal: str, name: str, environ: Mapping[str, str]) -> Any:
    if name == "otlp":
        own, general = f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"
        protocol = environ.get(own) or environ.get(general) or "http/protobuf"
        if protocol not in PROTOCOLS:
            raise ValueError(
                f'{general} is "{protocol}"; expected http/protobuf, or grpc with its own exporter'
            )
        name = PROTOCOLS[protocol]
    found = entry_points(group=f"opentelemetry_{signal.lower()}_exporter", name=name)
    if not found:
        package = PACKAGES.get(name)
        todo = f"add {package} to the project's dependencies" if package else "no package installed has it"
        raise ValueError(f'OTEL_{signal}_EXPORTER: no exporter "{name}" here; {todo}')
    return next(iter(found)).load()
