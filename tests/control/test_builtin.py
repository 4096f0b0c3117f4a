"""The built-in application as the edge reaches it: over a socket pair, with the headers that the edge adds."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from aiohttp import http_parser, web

from gateway.control.builtin import Builtin, PureParserError, require_c_parser


async def echo(request: web.Request) -> web.Response:
    body = await request.read()
    return web.json_response({"length": len(body), "field": len(request.headers.get("x-long", ""))})


@pytest.fixture
async def builtin() -> AsyncIterator[Builtin]:
    application = web.Application()
    application.router.add_route("*", "/echo", echo)
    served = Builtin(application)
    await served.start()
    yield served
    await served.aclose()


async def exchange(builtin: Builtin, head: str, times: int = 1) -> list[tuple[int, dict[str, object]]]:
    """Status and JSON body of each answer, all on one connection."""
    reader, writer = await asyncio.open_connection(sock=await builtin.connect())
    answers = []
    for _ in range(times):
        writer.write(head.encode())
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
        length = next(int(line.partition(":")[2]) for line in lines if line.startswith("content-length:"))
        answers.append((int(lines[0].split()[1]), json.loads(await reader.readexactly(length))))
    writer.close()
    await writer.wait_closed()
    return answers


async def test_a_connection_serves_several_requests(builtin: Builtin) -> None:
    """The edge's end of a pair is a keep-alive connection like any other."""
    answers = await exchange(builtin, "GET /echo HTTP/1.1\r\nHost: a\r\n\r\n", times=3)
    assert [status for status, _ in answers] == [200, 200, 200]


async def test_a_field_over_the_usual_limit_of_aiohttp_is_read(builtin: Builtin) -> None:
    """aiohttp stops at 8190 bytes by default, which is below what the edge lets through."""
    ((status, body),) = await exchange(builtin, f"GET /echo HTTP/1.1\r\nHost: a\r\nx-long: {'v' * 60_000}\r\n\r\n")
    assert (status, body["field"]) == (200, 60_000)


async def test_more_fields_than_the_edge_allows_are_read(builtin: Builtin) -> None:
    """100 fields of the client, and what the edge adds."""
    fields = "".join(f"x-{number}: v\r\n" for number in range(150))
    ((status, _),) = await exchange(builtin, f"GET /echo HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
    assert status == 200


async def test_closing_ends_open_connections(builtin: Builtin) -> None:
    """The edge sees the end of the stream."""
    reader, writer = await asyncio.open_connection(sock=await builtin.connect())
    await builtin.aclose()
    assert await reader.read() == b""
    writer.close()


async def test_connecting_before_the_start_is_a_mistake_of_the_caller() -> None:
    """There is no server yet whose protocol could take the connection."""
    with pytest.raises(RuntimeError, match="start"):
        await Builtin(web.Application()).connect()


def test_the_compiled_parser_is_accepted() -> None:
    """What runs here is what has to run in production."""
    require_c_parser()


def test_the_python_parser_is_refused() -> None:
    """The message says what to change."""
    with pytest.raises(PureParserError, match="AIOHTTP_NO_EXTENSIONS"):
        require_c_parser(http_parser.HttpRequestParserPy)
