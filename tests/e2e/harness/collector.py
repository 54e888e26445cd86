"""A collector of OpenTelemetry's: it reads each request as the protocol's own schema has it."""

import base64
import contextlib
import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from .deadline import Deadline

#: Fields that are bytes in the schema, and hexadecimal in OTLP's own form of JSON.
IDENTIFIERS = ("traceId", "spanId", "parentSpanId")

MESSAGES = {
    "/v1/traces": ExportTraceServiceRequest,
    "/v1/metrics": ExportMetricsServiceRequest,
}


def in_base64(found):
    """The same JSON as protobuf's own reader wants it."""
    if isinstance(found, list):
        return [in_base64(one) for one in found]
    if not isinstance(found, dict):
        return found
    result = {}
    for key, value in found.items():
        if key in IDENTIFIERS:
            assert value == value.lower() and len(value) == (32 if key == "traceId" else 16), value
            result[key] = base64.b64encode(bytes.fromhex(value)).decode()
        else:
            result[key] = in_base64(value)
    return result


def attributes(found):
    """Attributes as a dict; none is there twice."""
    result = {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in found}
    assert len(result) == len(found), found
    return result


class Collector:
    """Listens until the end of the `with`. `answers` are statuses, with their headers, that the first
    requests get; all others get 200."""

    def __init__(self, answers=(), issued=None):
        self.answers = list(answers)
        self.heads, self.wrong = [], []
        self.spans, self.metrics, self.resource = [], {}, None
        self._changed = threading.Condition()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                status, headers = collector._answer(self.path, dict(self.headers), body)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                answer = b"{}" if status == 200 else b""
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        scheme = "http"
        if issued is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(issued.file, issued.key_file)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            scheme = "https"
        self.url = f"{scheme}://127.0.0.1:{self._server.server_port}"

    def __enter__(self):
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        assert not self.wrong, self.wrong

    def _answer(self, path, head, body):
        with self._changed:
            self.heads.append((path, {name.lower(): value for name, value in head.items()}))
            self._changed.notify_all()
            if self.answers:
                return self.answers.pop(0)
            try:
                self._take(path, body)
            except Exception as error:
                self.wrong.append(repr(error))
                return 400, {}
            return 200, {}

    def _take(self, path, body):
        message = MESSAGES[path]()
        # Strict: an unknown field or a value that does not fit is an error.
        json_format.ParseDict(in_base64(json.loads(body)), message)
        for one in getattr(message, "resource_spans", []):
            self.resource = attributes(one.resource.attributes)
            for scope in one.scope_spans:
                assert scope.scope.name == "nightjar"
                self.spans.extend(scope.spans)
        for one in getattr(message, "resource_metrics", []):
            self.resource = attributes(one.resource.attributes)
            for scope in one.scope_metrics:
                self.metrics = {metric.name: metric for metric in scope.metrics}

    def until(self, look):
        """What `look` finds, once it is something."""
        deadline = Deadline()
        with self._changed:
            while not (found := look(self)):
                assert not deadline.passed(), (self.heads, self.wrong, self.spans)
                self._changed.wait(deadline.left())
            return found

    def trace(self, trace_id, count):
        """The spans of a trace, once there are so many."""

        def look(it):
            found = [span for span in it.spans if span.trace_id.hex() == trace_id]
            return found if len(found) >= count else None

        return self.until(look)


@contextlib.contextmanager
def hung():
    """An address where connections are taken, and nothing is answered."""
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
