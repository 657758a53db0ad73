"""An OTLP receiver: HTTP with protobuf, as a collector takes it."""

from __future__ import annotations

import gzip
import threading
import typing as t
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class ReceivedSpan(t.NamedTuple):
    """A span. Its ids are hex, `parent` is empty for a root; `kind` is OpenTelemetry's number."""

    service: str
    name: str
    trace_id: str
    id: str
    parent: str
    kind: int
    attributes: dict[str, object]


class OTLPReceiver:
    """Receives spans and metrics at `url`."""

    def __init__(self) -> None:
        self.spans: list[ReceivedSpan] = []
        self.metrics: set[str] = set()
        received = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                size = self.headers["content-length"]
                body = self._chunks() if size is None else self.rfile.read(int(size))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                received.take(self.path, body)
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def _chunks(self) -> bytes:
                body = b""
                while (size := int(self.rfile.readline(), 16)) > 0:
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return body

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def take(self, path: str, body: bytes) -> None:
        """Take one export."""
        if path == "/v1/metrics":
            exported = ExportMetricsServiceRequest.FromString(body)
            self.metrics.update(
                metric.name
                for resource in exported.resource_metrics
                for scope in resource.scope_metrics
                for metric in scope.metrics
            )
            return
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            service = str(_attributes(resource.resource.attributes).get("service.name"))
            self.spans += [
                ReceivedSpan(
                    service,
                    span.name,
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    span.kind,
                    _attributes(span.attributes),
                )
                for scope in resource.scope_spans
                for span in scope.spans
            ]

    def stop(self) -> None:
        """Receive no more."""
        self._server.shutdown()
        self._server.server_close()


def _attributes(pairs: t.Iterable[t.Any]) -> dict[str, object]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}
