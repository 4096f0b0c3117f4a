"""S-18: other protocols that the parser takes for HTTP/1.1."""

import pytest
from harness.client import request
from harness.site import Site
from harness.upstream import Line, answering

RTSP = b"GET /public/b RTSP/1.1\r\nHost: gateway.test\r\n\r\n"


@pytest.mark.parametrize("before", [b"", request("/public/a"), b"\r\n"], ids=["first", "pipelined", "after CRLF"])
@pytest.mark.parametrize("line", [RTSP, RTSP.replace(b" RTSP", b"  RTSP"), RTSP.replace(b"GET", b"GET ")])
@pytest.mark.parametrize("at", [0, 20], ids=["at once", "in two"])
async def test_s18_a_request_of_another_protocol_is_refused(site: Site, before: bytes, line: bytes, at: int) -> None:
    """Wherever its head begins, and however many spaces there are."""
    upstream = await site.upstream()
    client = await site.client(await site.gateway(upstream))
    await (client.trickle(before + line, len(before) + at) if at else client.send(before + line))
    if before.strip():
        assert (await client.answer()).status == 200
    assert (await client.answer()).code == "bad_version"
    assert all(got.target == b"/public/a" for got in upstream.requests)


async def test_s18_ice_is_refused(site: Site) -> None:
    """It has a method of its own."""
    client = await site.client(await site.gateway(await site.upstream()))
    await client.send(b"SOURCE /public/x ICE/1.1\r\nHost: gateway.test\r\n\r\n")
    assert (await client.answer()).code == "bad_version"


async def test_s18_a_body_may_speak_of_another_protocol(site: Site) -> None:
    """Only the request's own line counts, also where it is not at the beginning of what arrives."""
    upstream = await site.upstream()
    client = await site.client(await site.gateway(upstream))
    one = request("/public/a", method="POST", body=RTSP)
    await client.send(one, one, b"\r\n", one)
    assert [(await client.answer()).status for _ in range(3)] == [200] * 3
    await client.trickle(one, 12)
    assert (await client.answer()).status == 200
    assert [got.body for got in upstream.requests] == [RTSP] * 4


@pytest.mark.parametrize("start", [b"RTSP/1.1", b"ICE/1.1", b"\r\nRTSP/1.1"])
async def test_s18_an_answer_of_another_protocol_is_refused(site: Site, start: bytes) -> None:
    """Its connection is not used again."""
    upstream = await site.upstream(answering(start + b" 200 OK\r\ncontent-length: 2\r\n\r\nok"))
    client = await site.client(await site.gateway(upstream))
    assert (await client.ask()).code == "upstream_bad_answer"


async def test_s18_an_answer_may_come_in_pieces(site: Site) -> None:
    """After an empty line, and byte by byte."""

    async def script(line: Line) -> None:
        await line.request()
        for byte in b"\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok":
            line.send(bytes([byte]))
            await line.writer.drain()
        await line.gone()

    client = await site.client(await site.gateway(await site.upstream(script)))
    assert (await client.ask()).body == b"ok"
