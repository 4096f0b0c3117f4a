"""A collector of the tests: receives OTLP over HTTP on a real socket, and reads it with OpenTelemetry's own classes."""

import gzip
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from harness.site import Site, until
from harness.upstream import Script, Upstream, answering
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

TAKEN: Final = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n"
SERVER, CLIENT, INTERNAL = Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CLIENT, Span.SPAN_KIND_INTERNAL


def values(attributes: Iterable[KeyValue]) -> dict[str, Any]:
    found = {}
    for attribute in attributes:
        kind = attribute.value.WhichOneof("value")
        assert kind is not None
        found[attribute.key] = getattr(attribute.value, kind)
    return found


@dataclass
class Collector:
    """It takes what comes, unless its script says something else."""

    upstream: Upstream

    @property
    def url(self) -> str:
        return self.upstream.url

    @property
    def bodies(self) -> list[bytes]:
        return [
            gzip.decompress(got.body) if got.all(b"content-encoding") == [b"gzip"] else got.body
            for got in self.upstream.requests
        ]

    @property
    def requests(self) -> list[ExportTraceServiceRequest]:
        return [ExportTraceServiceRequest.FromString(body) for body in self.bodies]

    @property
    def spans(self) -> list[Span]:
        return [
            span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    async def got(self, count: int) -> list[Span]:
        """So many spans and no more, once they have come."""
        await until(lambda: len(self.spans) >= count)
        assert len(self.spans) == count, self.spans
        return self.spans


async def collecting(site: Site, script: Script | None = None, port: int = 0) -> Collector:
    return Collector(await site.upstream(script or answering(TAKEN), port=port))


def of(spans: Iterable[Span], kind: int) -> Span:
    """The one of this kind."""
    (found,) = [span for span in spans if span.kind == kind]
    return found
