"""A receiver of spans by OTLP over HTTP: as small as can be, it keeps what it is sent."""

import threading
from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from deploy.local.ports import LOOPBACK


@dataclass(slots=True)
class SpanReceiver:
    """What was received.

    Attributes:
        url: as OTEL_EXPORTER_OTLP_ENDPOINT.
        bodies: as they came.
        traces: names of spans as `program: name`, by trace id.
    """

    url: str = ""
    bodies: list[bytes] = field(default_factory=list)
    traces: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def take(self, body: bytes) -> None:
        self.bodies.append(body)
        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            named = {one.key: one.value.string_value for one in group.resource.attributes}
            for scope in group.scope_spans:
                for span in scope.spans:
                    name = f"{named['service.name']}: {span.name}"
                    self.traces[span.trace_id.hex()].add(name)

    def trace_with(self, *names: str, besides: Collection[str] = ()) -> str | None:
        """Return the id of a trace that has all of these, other than some."""
        having = (one for one, has in self.traces.items() if has.issuperset(names))
        return next((one for one in having if one not in besides), None)


@contextmanager
def receiving_spans() -> Iterator[SpanReceiver]:
    """Listen on a free port meanwhile."""
    receiver = SpanReceiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            receiver.take(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
            """Say nothing."""

    with ThreadingHTTPServer((LOOPBACK, 0), Handler) as server:
        receiver.url = f"http://{LOOPBACK}:{server.server_port}"
        listening = threading.Thread(target=server.serve_forever, daemon=True)
        listening.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            listening.join()
