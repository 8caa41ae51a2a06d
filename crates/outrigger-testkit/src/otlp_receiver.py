"""An OTLP receiver for tests. Decodes with OpenTelemetry's published protobuf messages, shares no code with Outrigger.

Usage: otlp_receiver.py FILE [CERTIFICATE KEY]
Listens on free ports of 127.0.0.1 and prints one line: {"http_port": N, "grpc_port": N}; with a certificate and its key
(PEM) over HTTPS too, on "https_port".
Accepts POST /v1/metrics and /v1/traces (protobuf; gzip or deflate allowed) and the gRPC export methods.
Appends each data point and span to FILE as one JSON object a line, and serves on the HTTP port:
  GET /received/points?metric=NAME[&latest=1]   GET /received/metrics   GET /received/spans   GET /received/requests
  PUT /received/answer {"status": 503, "retry_after": 1}   refuses exports; {"status": null} accepts again
  DELETE /received   forgets everything
"""

import collections
import concurrent.futures
import gzip
import http.server
import json
import ssl
import sys
import threading
import urllib.parse
import zlib

import grpc
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.metrics.v1 import metrics_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

MOST_KEPT = 200_000
MOST_SERIES = 200_000
LONGEST_BODY = 256 * 1024 * 1024

TEMPORALITY = {
    metrics_pb2.AGGREGATION_TEMPORALITY_UNSPECIFIED: "unspecified",
    metrics_pb2.AGGREGATION_TEMPORALITY_DELTA: "delta",
    metrics_pb2.AGGREGATION_TEMPORALITY_CUMULATIVE: "cumulative",
}


def any_value(value):
    which = value.WhichOneof("value")
    if which is None:
        return None
    if which == "array_value":
        return [any_value(item) for item in value.array_value.values]
    if which == "kvlist_value":
        return attributes(value.kvlist_value.values)
    if which == "bytes_value":
        return value.bytes_value.hex()
    return getattr(value, which)


def attributes(pairs):
    return {pair.key: any_value(pair.value) for pair in pairs}


def number(point):
    which = point.WhichOneof("value")
    return None if which is None else getattr(point, which)


def exemplar(item):
    return {
        "value": number(item),
        "time_unix_nano": item.time_unix_nano,
        "trace_id": item.trace_id.hex(),
        "span_id": item.span_id.hex(),
        "attributes": attributes(item.filtered_attributes),
    }


def point_fields(kind, point):
    if kind in ("gauge", "sum"):
        return {"value": number(point)}
    if kind == "histogram":
        return {
            "count": point.count,
            "sum": point.sum if point.HasField("sum") else None,
            "explicit_bounds": list(point.explicit_bounds),
            "bucket_counts": list(point.bucket_counts),
        }
    if kind == "exponential_histogram":
        return {
            "count": point.count,
            "sum": point.sum if point.HasField("sum") else None,
            "scale": point.scale,
            "zero_count": point.zero_count,
            "positive": {"offset": point.positive.offset, "bucket_counts": list(point.positive.bucket_counts)},
            "negative": {"offset": point.negative.offset, "bucket_counts": list(point.negative.bucket_counts)},
        }
    return {
        "count": point.count,
        "sum": point.sum,
        "quantiles": [{"quantile": q.quantile, "value": q.value} for q in point.quantile_values],
    }


def points(request):
    for resource_metrics in request.resource_metrics:
        resource = attributes(resource_metrics.resource.attributes)
        for scope_metrics in resource_metrics.scope_metrics:
            scope = {"name": scope_metrics.scope.name, "version": scope_metrics.scope.version}
            for metric in scope_metrics.metrics:
                kind = metric.WhichOneof("data")
                if kind is None:
                    continue
                data = getattr(metric, kind)
                for point in data.data_points:
                    flat = {
                        "metric": metric.name,
                        "description": metric.description,
                        "unit": metric.unit,
                        "type": kind,
                        "resource": resource,
                        "scope": scope,
                        "attributes": attributes(point.attributes),
                        "start_time_unix_nano": point.start_time_unix_nano,
                        "time_unix_nano": point.time_unix_nano,
                        "flags": point.flags,
                    }
                    if kind in ("sum", "histogram", "exponential_histogram"):
                        flat["temporality"] = TEMPORALITY.get(data.aggregation_temporality, "unknown")
                    if kind == "sum":
                        flat["monotonic"] = data.is_monotonic
                    flat.update(point_fields(kind, point))
                    if kind != "summary" and point.exemplars:
                        flat["exemplars"] = [exemplar(item) for item in point.exemplars]
                    yield flat


def spans(request):
    for resource_spans in request.resource_spans:
        resource = attributes(resource_spans.resource.attributes)
        for scope_spans in resource_spans.scope_spans:
            scope = {"name": scope_spans.scope.name, "version": scope_spans.scope.version}
            for span in scope_spans.spans:
                yield {
                    "name": span.name,
                    "kind": trace_pb2.Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
                    "trace_id": span.trace_id.hex(),
                    "span_id": span.span_id.hex(),
                    "parent_span_id": span.parent_span_id.hex(),
                    "resource": resource,
                    "scope": scope,
                    "attributes": attributes(span.attributes),
                    "status": {
                        "code": trace_pb2.Status.StatusCode.Name(span.status.code).removeprefix("STATUS_CODE_").lower(),
                        "message": span.status.message,
                    },
                    "start_time_unix_nano": span.start_time_unix_nano,
                    "end_time_unix_nano": span.end_time_unix_nano,
                    "events": [
                        {"name": event.name, "time_unix_nano": event.time_unix_nano, "attributes": attributes(event.attributes)}
                        for event in span.events
                    ],
                }


class Received:
    """Everything received, behind one lock."""

    def __init__(self, path):
        self.lock = threading.Lock()
        self.file = open(path, "w", encoding="utf-8")
        self.answer = {"status": None, "retry_after": None}
        self.forget()

    def forget(self):
        self.points = collections.deque(maxlen=MOST_KEPT)
        self.spans = collections.deque(maxlen=MOST_KEPT)
        self.requests = collections.deque(maxlen=MOST_KEPT)
        self.latest = collections.OrderedDict()

    def add(self, request, new_points, new_spans):
        with self.lock:
            self.requests.append(request)
            for point in new_points:
                self.points.append(point)
                identity = json.dumps([point["metric"], point["resource"], point["attributes"]], sort_keys=True)
                self.latest[identity] = point
                self.latest.move_to_end(identity)
            while len(self.latest) > MOST_SERIES:
                self.latest.popitem(last=False)
            self.spans.extend(new_spans)
            for item in [*new_points, *new_spans]:
                self.file.write(json.dumps(item) + "\n")
            self.file.flush()

    def refusal(self):
        with self.lock:
            return self.answer["status"], self.answer["retry_after"]


SIGNALS = {
    "/v1/metrics": (
        "metrics",
        metrics_service_pb2.ExportMetricsServiceRequest,
        metrics_service_pb2.ExportMetricsServiceResponse,
        points,
    ),
    "/v1/traces": (
        "traces",
        trace_service_pb2.ExportTraceServiceRequest,
        trace_service_pb2.ExportTraceServiceResponse,
        spans,
    ),
}


def accept(received, signal, items, request):
    request["items"] = len(items)
    received.add(request, items if signal == "metrics" else [], items if signal == "traces" else [])


def decompressed(body, encoding):
    if encoding in ("", "identity"):
        return body
    if encoding == "gzip":
        return gzip.decompress(body)
    if encoding == "deflate":
        return zlib.decompress(body)
    raise ValueError(f"content-encoding {encoding!r} is not one of gzip, deflate, identity")


def handler(received):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_args):
            pass

        def send(self, status, content_type, body, headers=()):
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            for name, value in headers:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def send_json(self, value, status=200):
            self.send(status, "application/json", json.dumps(value).encode())

        def body(self):
            if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
                body = b""
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                while self.rfile.readline().strip():
                    pass
                return body
            return self.rfile.read(min(int(self.headers.get("Content-Length", "0")), LONGEST_BODY))

        def do_POST(self):
            body = self.body()
            url = urllib.parse.urlparse(self.path)
            if url.path not in SIGNALS:
                return self.send_json({"error": f"no such path: {url.path}"}, 404)
            signal, request_type, response_type, flatten = SIGNALS[url.path]
            encoding = self.headers.get("Content-Encoding", "").strip().lower()
            request = {
                "protocol": "http/protobuf",
                "signal": signal,
                "encoding": encoding,
                "bytes": len(body),
                "items": 0,
                "headers": {name.lower(): value for name, value in self.headers.items()},
            }

            def refuse(status, why, headers=()):
                request.update(answer=status, error=why)
                received.add(request, [], [])
                self.send(status, "text/plain", why.encode(), headers)

            status, retry_after = received.refusal()
            if status is not None:
                headers = [("Retry-After", str(retry_after))] if retry_after is not None else []
                return refuse(status, "told to refuse", headers)
            content_type = self.headers.get("Content-Type", "").split(";")[0].strip()
            if content_type != "application/x-protobuf":
                return refuse(415, f"content-type {content_type!r} is not application/x-protobuf")
            try:
                message = request_type.FromString(decompressed(body, encoding))
            except (DecodeError, ValueError, OSError, EOFError, zlib.error) as error:
                return refuse(400, f"cannot decode: {error}")
            request["answer"] = 200
            accept(received, signal, list(flatten(message)), request)
            self.send(200, "application/x-protobuf", response_type().SerializeToString())

        def do_GET(self):
            url = urllib.parse.urlparse(self.path)
            query = urllib.parse.parse_qs(url.query)
            with received.lock:
                if url.path == "/received/points":
                    source = received.latest.values() if "latest" in query else received.points
                    wanted = query.get("metric")
                    answer = [point for point in source if wanted is None or point["metric"] in wanted]
                elif url.path == "/received/metrics":
                    answer = sorted({point["metric"] for point in received.points})
                elif url.path == "/received/spans":
                    answer = list(received.spans)
                elif url.path == "/received/requests":
                    answer = list(received.requests)
                else:
                    answer = None
            if answer is None:
                return self.send_json({"error": f"no such path: {url.path}"}, 404)
            self.send_json(answer)

        def do_PUT(self):
            wanted = json.loads(self.body())
            with received.lock:
                received.answer = {"status": wanted.get("status"), "retry_after": wanted.get("retry_after")}
            self.send_json({})

        def do_DELETE(self):
            with received.lock:
                received.forget()
            self.send_json({})

    return Handler


def grpc_service(received, path):
    signal, _, response_type, flatten = SIGNALS[path]

    def export(_self, message, context):
        headers = {key: value if isinstance(value, str) else value.hex() for key, value in context.invocation_metadata()}
        request = {
            "protocol": "grpc",
            "signal": signal,
            "encoding": "",
            "bytes": message.ByteSize(),
            "items": 0,
            "headers": headers,
        }
        status, _ = received.refusal()
        if status is not None:
            request.update(answer="UNAVAILABLE", error="told to refuse")
            received.add(request, [], [])
            context.abort(grpc.StatusCode.UNAVAILABLE, "told to refuse")
        request["answer"] = "OK"
        accept(received, signal, list(flatten(message)), request)
        return response_type()

    return export


def main():
    received = Received(sys.argv[1])

    metrics_base = metrics_service_pb2_grpc.MetricsServiceServicer
    trace_base = trace_service_pb2_grpc.TraceServiceServicer
    metrics_service = type("Metrics", (metrics_base,), {"Export": grpc_service(received, "/v1/metrics")})()
    trace_service = type("Traces", (trace_base,), {"Export": grpc_service(received, "/v1/traces")})()
    options = [("grpc.max_receive_message_length", LONGEST_BODY), ("grpc.so_reuseport", 0)]
    grpc_server = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=4), options=options)
    metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(metrics_service, grpc_server)
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(trace_service, grpc_server)
    grpc_port = grpc_server.add_insecure_port("127.0.0.1:0")
    grpc_server.start()

    http_server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler(received))
    http_server.daemon_threads = True
    ports = {"http_port": http_server.server_address[1], "grpc_port": grpc_port}
    if len(sys.argv) == 4:
        https_server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler(received))
        https_server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[2], sys.argv[3])
        # The handshake is left to each connection's thread: a client that makes none holds nobody up.
        https_server.socket = context.wrap_socket(https_server.socket, server_side=True, do_handshake_on_connect=False)
        ports["https_port"] = https_server.server_address[1]
        threading.Thread(target=https_server.serve_forever, daemon=True).start()
    print(json.dumps(ports), flush=True)
    http_server.serve_forever()


if __name__ == "__main__":
    main()
