"""Records of exchanges as OpenTelemetry spans, sent over OTLP/HTTP: the only home of OpenTelemetry's libraries.

They come with the extra `otel`; this module is loaded where `tracing.otlp` names a collector, and nowhere else. Names
are those of the semantic conventions for HTTP (https://opentelemetry.io/docs/specs/semconv/http/http-spans/).
"""

import os
import secrets
import socket
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import requests
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from gateway.errors import UPSTREAM_FAULTS
from gateway.ops.heard import Heard
from gateway.ops.spans import Exchanged

_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
# Those of RFC 9110 and RFC 5789. A client may send any other, and each would be a name of its own.
_METHODS: Final = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"))
_LIBRARY: Final = "opentelemetry"

Attributes = dict[str, str | int]


class Otlp:
    """Sends to one collector. A `spans.Sender`."""

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        ca: str | None,
        timeout: float,
        service: str,
        version: str,
        heard: Heard,
    ) -> None:
        """url: of the collector's traces. ca: a PEM file, None for the system's. timeout: seconds, retries included.

        heard: of the library, which tells why it failed in no other way.
        """
        self._heard = heard
        heard.attend(_LIBRARY)
        session = requests.Session()
        session.trust_env = False  # no proxy and no password that only the environment or a .netrc knows of
        self._exporter = OTLPSpanExporter(
            endpoint=url,
            certificate_file=ca,
            headers=headers,
            timeout=timeout,
            compression=Compression.Gzip,
            session=session,
        )
        place = f"{socket.gethostname()}:{os.getpid()}"
        self._resource = Resource({"service.name": service, "service.version": version, "service.instance.id": place})
        self._scope = InstrumentationScope("gateway", version)

    def send(self, records: Sequence[Exchanged]) -> str | None:
        """Why they were not taken; None when they were."""
        self._heard.forget()
        try:
            spans = [span for record in records for span in self._spans(record)]
            if self._exporter.export(spans) is SpanExportResult.SUCCESS:
                return None
        except Exception as error:  # whatever the library did not foresee: the thread goes on
            return f"{type(error).__name__}: {error}"
        return self._heard.last or "the collector did not take them"

    def close(self) -> None:
        self._exporter.shutdown()  # type: ignore[no-untyped-call]

    def _spans(self, record: Exchanged) -> Iterator[ReadableSpan]:
        """The exchange, and its parts. What went on names `span_id` as its parent, which is that of the last of us."""
        state = TraceState.from_header([record.state.decode("ascii")]) if record.state else TraceState()
        outer = secrets.token_hex(8).encode() if record.forwarded else record.span_id
        parent = _context(record, record.parent_id, state, remote=True) if record.parent_id else None
        server = _context(record, outer, state)
        name = record.method if record.method in _METHODS else "HTTP"
        yield self._span(
            f"{name} {record.route}" if record.route else name, SpanKind.SERVER, server, parent, record, record.began,
            0.0, _of_server(record), _failed(record, ours=True),
        )  # fmt: skip
        if record.waited:
            start = record.admitted if record.asked else record.routed
            end = 0.0 if record.asked or record.admitted < 0 else record.admitted
            own = _context(record, secrets.token_hex(8).encode(), state)
            yield self._span("authenticate", SpanKind.INTERNAL, own, server, record, start, end, {}, Status())
        if record.forwarded:
            own = _context(record, record.span_id, state)
            yield self._span(
                name, SpanKind.CLIENT, own, server, record, record.admitted, 0.0, _of_client(record),
                _failed(record, ours=False), _milestones(record),
            )  # fmt: skip

    def _span(
        self,
        name: str,
        kind: SpanKind,
        context: SpanContext,
        parent: SpanContext | None,
        record: Exchanged,
        start: float,
        end: float,
        attributes: Attributes,
        status: Status,
        events: Sequence[Event] = (),
    ) -> ReadableSpan:
        """start, end: seconds before the record's end."""
        return ReadableSpan(
            name=name,
            context=context,
            parent=parent,
            resource=self._resource,
            attributes=attributes,
            events=events,
            kind=kind,
            status=status,
            start_time=_nanoseconds(record, start),
            end_time=_nanoseconds(record, end),
            instrumentation_scope=self._scope,
        )


def _context(record: Exchanged, span_id: bytes, state: TraceState, remote: bool = False) -> SpanContext:
    return SpanContext(int(record.trace_id, 16), int(span_id, 16), remote, _SAMPLED, state)


def _nanoseconds(record: Exchanged, before: float) -> int:
    return int((record.ended - before) * 1e9)


def _milestones(record: Exchanged) -> list[Event]:
    marks = (("request sent", record.sent), ("response head received", record.answered))
    return [Event(name, timestamp=_nanoseconds(record, at)) for name, at in marks if at >= 0]


def _of_server(record: Exchanged) -> Attributes:
    attributes: Attributes = {
        "http.request.method": record.method if record.method in _METHODS else "_OTHER",
        "url.scheme": record.scheme,
        "client.address": record.client,
        "gateway.request_id": record.request_id,
    }
    attributes |= _address(record.host)
    if record.path is not None:
        attributes["url.path"] = record.path
    if record.route is not None:
        attributes["http.route"] = record.route
    return attributes | _outcome(record)


def _of_client(record: Exchanged) -> Attributes:
    """Without `url.full`, which would have what the path and the query may not tell."""
    attributes: Attributes = {"http.request.method": record.method if record.method in _METHODS else "_OTHER"}
    if record.upstream is not None:
        attributes["gateway.upstream"] = record.upstream
    if record.endpoint is not None:
        attributes |= _address(record.endpoint)
    answered = record.answered >= 0
    return attributes | ({key: value for key, value in _outcome(record).items() if answered or key == "error.type"})


def _outcome(record: Exchanged) -> Attributes:
    attributes: Attributes = {}
    if record.status:
        attributes["http.response.status_code"] = record.status
    if record.reason is not None:
        attributes["error.type"] = record.reason
    elif record.status >= 500:
        attributes["error.type"] = str(record.status)
    return attributes


def _failed(record: Exchanged, ours: bool) -> Status:
    """A server's 4xx is its client's error, and a client's is its own."""
    broken = record.reason in UPSTREAM_FAULTS  # also where the answer had begun
    if broken or record.status >= (500 if ours else 400):
        return Status(StatusCode.ERROR)
    return Status()


def _address(authority: str) -> Attributes:
    """host[:port]; IPv6 in brackets."""
    host, _, port = authority.rpartition(":")
    if not host or not port.isdecimal() or authority.endswith("]"):
        return {"server.address": authority.strip("[]")} if authority else {}
    return {"server.address": host.strip("[]"), "server.port": int(port)}
