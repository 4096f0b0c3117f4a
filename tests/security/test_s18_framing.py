"""S-13, S-18: what the rules saw is what the upstream got, and one request is one request."""

import asyncio

import pytest
from harness.client import request
from harness.site import Site
from harness.upstream import OK, Line
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SMUGGLED = b"GET /public/smuggled HTTP/1.1\r\nHost: gateway.test\r\n\r\n"


def post(*lines: bytes, body: bytes = b"") -> bytes:
    return b"\r\n".join((b"POST /public/x HTTP/1.1", b"Host: gateway.test", *lines, b"", body))


CL = b"Content-Length: %d" % len(SMUGGLED)
TE = b"Transfer-Encoding: chunked"
TRICKS = {
    "cl-te": post(CL, TE, body=b"0\r\n\r\n" + SMUGGLED),
    "te-cl": post(TE, b"Content-Length: 4", body=b"0\r\n\r\n" + SMUGGLED),
    "te-te": post(TE, b"Transfer-Encoding: x", body=b"0\r\n\r\n" + SMUGGLED),
    "te-cow": post(b"Transfer-Encoding: cow", CL, body=SMUGGLED),
    "te-space": post(b"Transfer-Encoding : chunked", CL, body=SMUGGLED),
    "te-tab": post(b"Transfer-Encoding:\tchunked\t", body=b"0\r\n\r\n"),
    "te-vt": post(b"Transfer-Encoding:\x0bchunked", CL, body=SMUGGLED),
    "te-fold": post(b"Transfer-Encoding:", b" chunked", CL, body=SMUGGLED),
    "te-quoted": post(b'Transfer-Encoding: "chunked"', CL, body=SMUGGLED),
    "te-identity": post(b"Transfer-Encoding: identity", CL, body=SMUGGLED),
    "te-nul": post(b"Transfer-Encoding: chunked\0", CL, body=SMUGGLED),
    "te-underscore": post(b"Transfer_Encoding: chunked", CL, body=SMUGGLED),
    "te-in-10": post(TE, body=b"0\r\n\r\n" + SMUGGLED).replace(b"HTTP/1.1", b"HTTP/1.0", 1),
    "cl-cl": post(b"Content-Length: 0", CL, body=SMUGGLED),
    "cl-plus": post(b"Content-Length: +%d" % len(SMUGGLED), body=SMUGGLED),
    "cl-comma": post(b"Content-Length: 0, %d" % len(SMUGGLED), body=SMUGGLED),
    "cl-underscore": post(b"Content_Length: %d" % len(SMUGGLED), body=SMUGGLED),
    "cl-space": post(b"Content-Length: 0 %d" % len(SMUGGLED), body=SMUGGLED),
    "chunk-size": post(TE, body=b"0x0\r\n\r\n" + SMUGGLED),
    "chunk-minus": post(TE, body=b"-0\r\n\r\n" + SMUGGLED),
    "chunk-lf": post(TE, body=b"0\n\n" + SMUGGLED),
    "chunk-ext-lf": post(TE, body=b"0;\n" + SMUGGLED),
    "chunk-ext-cr": post(TE, body=b"1;a\rb\r\nx\r\n0\r\n\r\n" + SMUGGLED),
    "chunk-no-end": post(TE, body=b"1\r\nxx0\r\n\r\n" + SMUGGLED),
    "bare-lf-head": post(CL).replace(b"\r\n\r\n", b"\r\n\n") + SMUGGLED,
    "bare-cr": post(b"X: a\r" + CL, body=SMUGGLED),
    "upgrade-body": post(b"Connection: upgrade", b"Upgrade: h2c", CL, body=SMUGGLED),
}


@pytest.mark.parametrize("sent", TRICKS.values(), ids=TRICKS.keys())
async def test_s18_nothing_is_smuggled(site: Site, sent: bytes) -> None:
    """The upstream sees what the gateway saw: at most the outer request, or both, never another number of them."""
    upstream = await site.upstream()
    running = await site.gateway(upstream)
    client = await site.client(running)
    await client.send(sent)
    client.half_close()
    raw = await asyncio.wait_for(client.rest(), 10)
    served = raw.count(b"HTTP/1.1 200 ")
    assert len(upstream.requests) == served
    assert len([line for line in await running.lines() if line["status"] == 200]) == served
    if raw.startswith(b"HTTP/1.1 400 "):
        assert served == 0
    for got in upstream.requests:
        assert got.target == b"/public/x"
        assert len(got.all(b"content-length")) + len(got.all(b"transfer-encoding")) <= 1


SEGMENTS = st.text(alphabet="abAZ09-_.~!$&'()*+,=:@%2FfEe5cC;/\\#?", max_size=12)


async def test_s13_the_path_that_was_judged_is_the_path_that_was_sent(site: Site) -> None:
    """Over many targets that were made up: what the upstream gets begins, byte for byte, as the rule said."""
    upstream = await site.upstream()
    running = await site.gateway(upstream)
    targets = ["/public/", "/public/../secure/"]  # one that passes, and one that does not

    @settings(max_examples=300, database=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(["/public/", "/public", "/secure/", "/", "//", "/public/../secure/"]), SEGMENTS)
    def collect(start: str, rest: str) -> None:
        targets.append(start + rest)

    collect()
    passed = []
    client = await site.client(running)
    for target in targets:
        await client.send(request(target))
        answer = await client.answer()
        if answer.status == 200:
            passed.append(target.encode())
        if answer.all(b"connection") == [b"close"]:
            client = await site.client(running)
    assert [got.target for got in upstream.requests] == passed
    assert all(
        target.startswith(b"/public") and b".." not in target.partition(b"?")[0].split(b"/") for target in passed
    )
    assert 0 < len(passed) < len(targets)


async def test_s18_an_answer_goes_to_who_asked(site: Site) -> None:
    """Many clients over few connections, answers of odd sizes in odd pieces: none gets another's bytes."""

    async def script(line: Line) -> None:
        while True:
            got = await line.request()
            body = got.target * 50
            whole = OK.replace(b"length: 2", b"length: %d" % len(body)).replace(b"ok", body)
            for at in range(0, len(whole), 333):
                line.send(whole[at : at + 333])
                await asyncio.sleep(0)

    upstream = await site.upstream(script)
    running = await site.gateway(upstream, upstream={"pool": 2})

    async def one(number: int) -> None:
        client = await site.client(running)
        for turn in range(10):
            path = f"/public/{number}-{turn}"
            assert (await client.ask(path)).body == path.encode() * 50

    await asyncio.gather(*(one(number) for number in range(20)))


async def test_s18_a_client_that_leaves_does_not_leave_its_answer_to_another(site: Site) -> None:
    """Its upstream connection ends with it, whatever was still to come."""

    async def script(line: Line) -> None:
        while True:
            got = await line.request()
            if b"slow" in got.target:
                left.set()
                await gone.wait()
            line.send(OK.replace(b"ok", got.target[-2:]))

    left, gone = asyncio.Event(), asyncio.Event()
    running = await site.gateway(await site.upstream(script))
    client = await site.client(running)
    await client.send(request("/public/slow-01"))
    await left.wait()
    client.reset()
    other = await site.client(running)
    gone.set()
    for number in (b"02", b"03", b"04"):
        assert (await other.ask("/public/" + number.decode())).body == number
