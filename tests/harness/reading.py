"""Heads through the readers and the real parser, without a socket."""

import httptools
import pytest

from gateway.wire import reader
from gateway.wire.hops import RequestNames, ResponseNames
from gateway.wire.message import Request
from gateway.wire.reader import Limits, RequestReader, ResponseReader

if not reader.__file__.endswith(".py"):
    # The same source is read by the same tests where it is interpreted.
    pytest.skip("a compiled reader cannot be subclassed by a test", allow_module_level=True)

CONNECTION_STRING = b"x-mycelium-connection-string"


class Requests(RequestReader):
    """requests: what was read."""

    def __init__(self, allowed: tuple[bytes, ...] = (), limits: Limits | None = None) -> None:
        super().__init__(RequestNames(CONNECTION_STRING, allowed), limits or Limits())
        self.requests: list[Request] = []
        self.bulky = True

    def on_request(self, request: Request) -> None:
        self.requests.append(request)


def read_request(head: bytes, *allowed: bytes, limits: Limits | None = None) -> Request:
    """The one request that the bytes begin with. Raises RequestRejected, or what the parser raises."""
    reader = Requests(allowed, limits)
    reader.opening = head
    parser = httptools.HttpRequestParser(reader)
    reader.parser = parser
    try:
        parser.feed_data(head)
    except httptools.HttpParserUpgrade:
        pass
    except httptools.HttpParserCallbackError as error:
        raise (reader.fault or error) from None
    (request,) = reader.requests
    return request


def read_response(head: bytes, reserved: bool = False) -> ResponseReader:
    """A reader that has read this. Raises BadAnswer, or what the parser raises."""
    reader = ResponseReader(ResponseNames(reserved))
    reader.bulky = True
    reader.opening = head
    parser = httptools.HttpResponseParser(reader)
    reader.parser = parser
    try:
        parser.feed_data(head)
    except httptools.HttpParserCallbackError as error:
        raise (error.__context__ or error) from None
    return reader


def pairs(fields: list[bytes]) -> list[tuple[bytes, bytes]]:
    """(name, value) of field pieces, whose separators are checked."""
    assert {b": "} >= set(fields[1::4])
    assert {b"\r\n"} >= set(fields[3::4])
    return list(zip(fields[::4], fields[2::4], strict=True))
