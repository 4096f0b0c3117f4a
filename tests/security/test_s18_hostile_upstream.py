"""S-18, S-3: an upstream that tries to write into what the client takes for another answer."""

import asyncio

import pytest
from harness.client import request
from harness.site import Site
from harness.upstream import OK, Line, answering

FORGED = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nSet-Cookie: s=evil\r\n\r\nEVIL!"
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.mark.parametrize(
    "first",
    [
        b"HTTP/1.1 104 Hm\r\nContent-Length: %d\r\n\r\n" % len(FORGED) + FORGED,
        b"HTTP/1.1 150 Hm\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nEVIL!\r\n0\r\n\r\n",
        b"HTTP/1.1 099 Hm\r\nContent-Length: 5\r\n\r\nEVIL!",
        b"HTTP/1.1 000 Hm\r\n\r\n",
    ],
    ids=["counted", "chunked", "below 100", "zero"],
)
async def test_s18_an_informational_answer_has_no_body(site: Site, first: bytes) -> None:
    """llhttp reads one where the head says so, and it would stand before the real answer's."""
    client = await site.client(await site.gateway(await site.upstream(answering(first + GOOD))))
    answer = await client.ask()
    assert (answer.status, answer.code) == (502, "upstream_bad_answer")


async def test_s18_an_informational_answer_may_say_that_it_is_empty(site: Site) -> None:
    """A length of zero is no body."""
    hint = b"HTTP/1.1 103 Early Hints\r\nContent-Length: 0\r\n\r\n"
    client = await site.client(await site.gateway(await site.upstream(answering(hint + GOOD))))
    await client.send(request())
    assert [(await client.head()).status, (await client.answer()).body] == [103, b"ok"]


async def test_s18_a_second_head_does_not_replace_the_first(site: Site) -> None:
    """Two answers in one read: the first goes out as it is, and its connection serves nobody else."""
    second = b"HTTP/1.1 201 Created\r\nContent-Length: 200\r\nSet-Cookie: s=evil\r\n\r\n"
    upstream = await site.upstream(answering(GOOD + second, GOOD))
    client = await site.client(await site.gateway(upstream))
    first = await client.ask()
    assert (first.status, first.body, first.all(b"set-cookie")) == (200, b"ok", [])
    assert (await client.ask()).body == b"ok"
    assert len(upstream.lines) == 2


@pytest.mark.parametrize(("reason", "seen"), [(b"O\x00K", b""), (b"O\x1bK", b""), (b"All \xe9 good", b"All \xe9 good")])
async def test_s20_a_reason_phrase_has_no_control_characters(site: Site, reason: bytes, seen: bytes) -> None:
    """RFC 9112 section 4: it is dropped, for some clients show it to people."""
    raw = b"HTTP/1.1 200 " + reason + b"\r\nContent-Length: 0\r\n\r\n"
    client = await site.client(await site.gateway(await site.upstream(answering(raw))))
    assert (await client.ask()).reason == seen


async def test_s55_a_head_that_drips_is_504(site: Site) -> None:
    """S-55: each byte in time is not a head in time."""
    over = asyncio.Event()

    async def script(line: Line) -> None:
        await line.request()
        for byte in b"HTTP/1.1 200 OK\r\nX: " + b"a" * 10_000:
            line.send(bytes((byte,)))
            try:
                await asyncio.wait_for(over.wait(), 0.1)
            except TimeoutError:
                continue
            break

    timeouts = {"first_byte": "300ms", "idle": "300ms"}
    client = await site.client(await site.gateway(await site.upstream(script), route={"timeouts": timeouts}))
    answer = await client.ask()
    over.set()
    assert (answer.status, answer.code) == (504, "upstream_timeout")


@pytest.mark.parametrize(("digits", "status"), [(b"0" * 18 + b"2", 200), (b"0" * 19 + b"2", 400)])
async def test_s21_a_length_has_a_bounded_number_of_digits(site: Site, digits: bytes, status: int) -> None:
    """S-21: 19 are enough for 2**63; 5,000 would be an error of ours."""
    client = await site.client(await site.gateway(await site.upstream(answering(OK))))
    await client.send(request("/public/x", b"Content-Length: " + digits, method="POST"), b"ok")
    assert (await client.answer()).status == status


async def test_s06_the_header_that_cgi_takes_for_a_proxy_is_dropped(site: Site) -> None:
    """CVE-2016-5385."""
    upstream = await site.upstream(answering(OK))
    client = await site.client(await site.gateway(upstream))
    await client.ask("/public/x", b"Proxy: http://evil.test")
    assert upstream.requests[0].all(b"proxy") == []


async def test_s18_a_body_cannot_pass_for_the_request_line_of_rtsp(site: Site) -> None:
    """llhttp reads RTSP/1.0 as HTTP/1.0; what stands before it in the same read proves nothing."""
    first = request("/public/a", method="POST", body=b"\nGET /public/b HTTP/1.0\r\n")
    client = await site.client(await site.gateway(await site.upstream(answering(OK))))
    await client.send(first + b"GET /public/b RTSP/1.0\r\nHost: gateway.test\r\n\r\n")
    assert [(await client.answer()).status, (await client.answer()).code] == [200, "bad_version"]
