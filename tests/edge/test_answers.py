"""What goes back to the client: bodiless answers, old clients, informational heads, expectations, early answers."""

import asyncio

import pytest
from harness.client import chunked, request
from harness.site import Site
from harness.upstream import OK, Line, answering


@pytest.mark.parametrize(
    ("answer", "length"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n", [b"1234"]),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", []),
        (b"HTTP/1.1 200 OK\r\n\r\n", []),
        (b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", [b"0"]),
    ],
)
async def test_an_answer_to_head_has_no_body(site: Site, answer: bytes, length: list[bytes]) -> None:
    """Its Content-Length is what GET would have (RFC 9110 section 9.3.2), and the next request works."""
    upstream = await site.upstream(answering(answer, OK))
    client = await site.client(await site.gateway(upstream))
    await client.send(request(method="HEAD"), request())
    assert (await client.answer("HEAD")).all(b"content-length") == length
    assert (await client.answer()).body == b"ok"


async def test_body_bytes_after_head_are_not_taken_for_the_next_answer(site: Site) -> None:
    """The connection that sent them is not used again."""
    upstream = await site.upstream(answering(OK))
    client = await site.client(await site.gateway(upstream))
    await client.send(request(method="HEAD"), request())
    assert (await client.answer("HEAD")).body == b""
    assert (await client.answer()).body == b"ok"
    assert len(upstream.lines) == 2


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("framing", [b"", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"])
async def test_an_answer_without_content_has_no_body(site: Site, status: int, framing: bytes) -> None:
    """204 and 304, whatever their fields say (RFC 9112 section 6.3), and the connection goes on."""
    upstream = await site.upstream(answering(b"HTTP/1.1 %d Fine\r\n%b\r\n" % (status, framing), OK))
    client = await site.client(await site.gateway(upstream))
    answer = await client.ask()
    assert (answer.status, answer.all(b"transfer-encoding")) == (status, [])
    assert answer.all(b"content-length") == ([b"5"] if status == 304 and b"Length" in framing else [])
    assert (await client.ask()).body == b"ok"


async def test_body_bytes_of_a_204_are_not_relayed(site: Site) -> None:
    """They belong to nothing, and the connection that sent them is given up."""
    upstream = await site.upstream(answering(b"HTTP/1.1 204 None\r\nContent-Length: 5\r\n\r\nhello", OK))
    client = await site.client(await site.gateway(upstream))
    assert (await client.ask()).status == 204
    assert (await client.ask()).body == b"ok"
    assert len(upstream.lines) == 2


@pytest.mark.parametrize("keep", [False, True])
async def test_an_old_client_gets_a_chunked_answer_until_the_end(site: Site, keep: bool) -> None:
    """HTTP/1.0 knows no chunks: closing ends the body, also for one that would keep the connection."""
    whole = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"hel", b"lo")
    client = await site.client(await site.gateway(await site.upstream(answering(whole))))
    answer = await client.ask("/public/x", *([b"Connection: keep-alive"] if keep else []), version="HTTP/1.0")
    assert (answer.all(b"transfer-encoding"), answer.one(b"connection"), answer.body) == ([], b"close", b"hello")


async def test_an_old_client_may_keep_its_connection(site: Site) -> None:
    """With a counted answer, and told so."""
    client = await site.client(await site.gateway(await site.upstream()))
    for _ in range(2):
        answer = await client.ask("/public/x", b"Connection: keep-alive", version="HTTP/1.0")
        assert (answer.one(b"connection"), answer.body) == (b"keep-alive", b"ok")


@pytest.mark.parametrize("word", [b"RTSP/1.0", b"ICE/1.0", b"HTTP/1.0\r\n"])
async def test_an_old_request_may_hold_any_word(site: Site, word: bytes) -> None:
    """Only the request line says which protocol is spoken."""
    client = await site.client(await site.gateway(await site.upstream()))
    field = b"User-Agent: I speak " + word.strip() + b" too"
    assert (await client.ask("/public/x", field, version="HTTP/1.0")).status == 200


async def test_an_old_upstream_is_understood(site: Site) -> None:
    """HTTP/1.0 answers, counted and not; no connection of theirs is used again unless they say so."""
    answers = (
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok",
    )
    upstream = await site.upstream(answering(*answers))
    client = await site.client(await site.gateway(upstream))
    for _ in range(3):
        assert (await client.ask()).body == b"ok"
    assert len(upstream.lines) == 2


async def test_an_answer_that_ends_with_its_connection_leaves_none(site: Site) -> None:
    """What is gone is neither idle nor closed once more to make room for another."""

    async def script(line: Line) -> None:
        await line.request()
        line.send(b"HTTP/1.1 200 OK\r\n\r\nok")

    running = await site.gateway(await site.upstream(script))
    client = await site.client(running)
    assert [(await client.ask()).body for _ in range(3)] == [b"ok"] * 3
    (upstream,) = {
        lane.upstream for lane in running.gateway.edge.generation.lanes.values() if lane.label.endswith("/public/**")
    }
    assert upstream is not None
    assert upstream.usage() == {"busy": 0, "idle": 0, "connecting": 0}


async def test_early_hints_are_relayed(site: Site) -> None:
    """A 103, with its fields, before the answer (RFC 8297)."""
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nx-mycelium-x: 1\r\n\r\n"
    client = await site.client(await site.gateway(await site.upstream(answering(hints + OK))))
    await client.send(request())
    head = await client.head()
    assert (head.status, head.fields) == (103, [(b"Link", b"</a.css>")])
    assert (await client.answer()).body == b"ok"


async def test_early_hints_in_pieces_are_relayed_at_once(site: Site) -> None:
    """The final answer may be a long time off."""
    final = asyncio.Event()

    async def script(line: Line) -> None:
        await line.request()
        line.send(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        await final.wait()
        line.send(OK)

    client = await site.client(await site.gateway(await site.upstream(script)))
    await client.send(request())
    assert (await client.head()).status == 103
    final.set()
    assert (await client.answer()).status == 200


async def test_old_clients_get_no_informational_answer(site: Site) -> None:
    """HTTP/1.0 defines none (RFC 9110 section 15.2)."""
    hints = b"HTTP/1.1 103 Early Hints\r\n\r\n"
    client = await site.client(await site.gateway(await site.upstream(answering(hints + OK))))
    await client.send(request(version="HTTP/1.0"))
    assert (await client.head()).status == 200


async def test_a_100_of_the_upstream_is_not_relayed(site: Site) -> None:
    """100 Continue is the gateway's own to send."""
    client = await site.client(await site.gateway(await site.upstream(answering(b"HTTP/1.1 100 Go\r\n\r\n" + OK))))
    await client.send(request())
    assert (await client.head()).status == 200


async def test_informational_answers_without_end_are_a_bad_answer(site: Site) -> None:
    """64 KiB of them, and no more."""
    hint = b"HTTP/1.1 103 Early Hints\r\nLink: " + b"x" * 1000 + b"\r\n\r\n"

    async def script(line: Line) -> None:
        await line.request()
        while not line.writer.transport.is_closing():
            line.send(hint)
            await line.writer.drain()
            await asyncio.sleep(0)
        await line.gone()

    client = await site.client(await site.gateway(await site.upstream(script)))
    await client.send(request())
    answer = await asyncio.wait_for(client.answer(), 10)
    assert (answer.status, answer.code) == (502, "upstream_bad_answer")


EXPECTING = (b"Expect: 100-continue", b"Content-Length: 5")


async def test_100_continue_comes_when_the_body_is_wanted(site: Site) -> None:
    """Once, after authorization, when an upstream connection stands; and Expect itself is not forwarded."""
    upstream = await site.upstream()
    client = await site.client(await site.gateway(upstream))
    await client.send(request("/public/x", *EXPECTING, method="POST"))
    assert (await client.head()).status == 100
    await upstream.line()
    await client.send(b"hello")
    assert (await client.head()).status == 200
    assert (upstream.requests[0].body, upstream.requests[0].all(b"expect")) == (b"hello", [])


@pytest.mark.parametrize(
    ("path", "status"), [("/secure/x", 401), ("/nowhere", 404), ("/public/%2e/", 400)], ids=["401", "404", "400"]
)
async def test_a_refused_request_gets_no_100(site: Site, path: str, status: int) -> None:
    """The body is not wanted: the refusal is the first thing said, and the connection ends."""
    client = await site.client(await site.gateway(await site.upstream()))
    await client.send(request(path, *EXPECTING, method="POST"))
    assert (await client.head()).status == status


async def test_no_100_while_the_upstream_cannot_be_reached(site: Site) -> None:
    """502, and the client has kept its body."""
    client = await site.client(await site.gateway("http://127.0.0.1:1"))
    await client.send(request("/public/x", *EXPECTING, method="POST"))
    assert (await client.head()).status == 502


async def test_no_100_to_who_did_not_wait(site: Site) -> None:
    """RFC 9110 section 10.1.1: it may be left out when the body is there."""
    client = await site.client(await site.gateway(await site.upstream()))
    await client.send(request("/public/x", *EXPECTING, method="POST"), b"hello")
    assert (await client.head()).status == 200


async def test_no_100_to_an_old_client(site: Site) -> None:
    """RFC 9110 section 10.1.1: a 100-continue expectation in an HTTP/1.0 request is ignored."""
    upstream = await site.upstream()
    client = await site.client(await site.gateway(upstream))
    await client.send(request("/public/x", *EXPECTING, method="POST", version="HTTP/1.0"))
    await upstream.line()
    await client.send(b"hello")
    assert (await client.head()).status == 200


async def test_an_answer_before_the_end_of_the_body_is_relayed(site: Site) -> None:
    """Then the connection is closed: what still comes of the body must not be read as a request."""

    async def script(line: Line) -> None:
        await line.head()
        line.send(b"HTTP/1.1 403 No\r\ncontent-length: 2\r\n\r\nno")

    upstream = await site.upstream(script)
    client = await site.client(await site.gateway(upstream))
    await client.send(request("/public/x", b"Content-Length: 1000", method="POST"), b"x" * 10)
    answer = await client.answer()
    assert (answer.status, answer.body, answer.one(b"connection")) == (403, b"no", b"close")
    await client.send(request("/public/smuggled"))
    assert await client.rest() == b""
    assert not upstream.requests


async def test_an_early_answer_reaches_a_client_that_sends_on(site: Site) -> None:
    """No reset before it was read: the gateway stops reading rather than closing over unread bytes."""

    async def script(line: Line) -> None:
        await line.head()
        line.send(b"HTTP/1.1 413 Big\r\ncontent-length: 3\r\n\r\nbig")

    client = await site.client(await site.gateway(await site.upstream(script)))
    await client.send(request("/public/x", b"Content-Length: 100000000", method="POST"))
    client.writer.write(b"x" * (4 << 20))
    assert (await client.answer()).body == b"big"


async def test_fields_of_an_answer_survive_in_order(site: Site) -> None:
    """Repeated Set-Cookie above all; hop-by-hop fields and those that Connection names do not."""
    fields = (
        b"Set-Cookie: a=1\r\nLocation: /x\r\nSet-Cookie: b=2\r\nContent-Type: text/x\r\nX-Odd: \x85v\xa0\r\n"
        b"Keep-Alive: timeout=5\r\nConnection: X-Hop, keep-alive\r\nX-Hop: 1\r\nProxy-Authenticate: Basic\r\n"
    )
    whole = b"HTTP/1.1 200 All Right\r\n" + fields + b"Content-Length: 2\r\n\r\nok"
    client = await site.client(await site.gateway(await site.upstream(answering(whole))))
    answer = await client.ask()
    assert answer.reason == b"All Right"
    assert answer.fields[:5] == [
        (b"Set-Cookie", b"a=1"),
        (b"Location", b"/x"),
        (b"Set-Cookie", b"b=2"),
        (b"Content-Type", b"text/x"),
        (b"X-Odd", b"\x85v\xa0"),
    ]
    assert [name for name, _ in answer.fields[5:]] == [b"content-length", b"x-mycelium-request-id"]
