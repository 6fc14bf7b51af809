"""An OpenTelemetry collector on loopback, in a thread: OTLP over HTTP, decoded as its messages."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span

KINDS = {"/v1/traces": ExportTraceServiceRequest, "/v1/metrics": ExportMetricsServiceRequest}


class Collector:
    """What came, in `traces` and `metrics`; `raw` is every body. `release` ends an answer that hangs."""

    def __init__(self, *, hangs: bool = False) -> None:
        self.raw: list[bytes] = []
        self.requests: list[Any] = []
        self.headers: list[dict[str, str]] = []
        self._released = threading.Event()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                body = gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body
                collector.raw.append(body)
                collector.headers.append({name.lower(): value for name, value in self.headers.items()})
                collector.requests.append(KINDS[self.path].FromString(body))
                if hangs:
                    collector._released.wait()
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        self._thread.start()

    def spans(self) -> list[Span]:
        return [span for _, span in self._spans()]

    def resource(self) -> dict[str, Any]:
        """Attributes of the resource of the first span."""
        return attributes(next(self._spans())[0])

    def metrics(self) -> dict[str, Metric]:
        """The last word on each metric."""
        return {
            metric.name: metric
            for request in list(self.requests)
            for resource in getattr(request, "resource_metrics", ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def _spans(self) -> Iterator[tuple[Any, Span]]:
        for request in list(self.requests):
            for resource in getattr(request, "resource_spans", ()):
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        yield resource.resource, span

    def close(self) -> None:
        self._released.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


def attributes(of: Any) -> dict[str, Any]:
    """Of a span, a resource or a data point."""
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in of.attributes}
