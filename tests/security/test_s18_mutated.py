"""S-18, S-20: good requests in which bytes were changed. Whatever is left of them, the upstream gets requests that can
be read in one way, and each of them has one answer. MUTATED=40000 MUTATED_TIMEOUT=600 in the environment tries more.
"""

import asyncio
import contextlib
import os
import random
import re
from collections.abc import Sequence

import pytest
from harness.client import chunked, request
from harness.site import Running, Site
from harness.upstream import Got, Line

from .mutations import KINDS, spoil

SEED = 21
CASES = int(os.environ.get("MUTATED", "2000"))
AT_ONCE = 16
FORGED = b"forged"
BASES = (
    request("/public/a?b=c", b"X-Mycelium-Profile: " + FORGED, b"Accept: */*", b"Connection: keep-alive, x-hop"),
    request("/public/a", b"Content-Type: text/plain", method="POST", body=b"GET /public/b HTTP/1.1\r\nHost: b\r\n\r\n"),
    request("/public/a", b"Transfer-Encoding: chunked", method="POST") + chunked(b"hello", b"GET / HTTP/1.1\r\n\r\n"),
    request("/public/a", b"Transfer-Encoding: chunked", b"Trailer: X-T", method="PUT")
    + b'5;a="b"\r\nhello\r\n0;c\r\nX-T: x\r\nX-Mycelium-Email: ' + FORGED + b"\r\n\r\n",
    request("/public/a", b"Connection: upgrade", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"),
    request("/public/a", b"Expect: 100-continue", method="POST", body=b"x" * 40),
    request("/public/a", b"Connection: keep-alive", b"X-Forwarded-For: " + FORGED, version="HTTP/1.0"),
    request("http://gateway.test/public/a", b"X-Long: " + b"a" * 300),
    request("/public/a%20b/c,d;e") + request("/public/b", method="POST", body=b"0\r\n\r\n") + request("/public/c"),
)  # fmt: skip
BYTES = tuple(bytes([byte]) for byte in b"\0\t\n\r :;,/.%?#\\\"'_-+=0159afxAZ\x0b\x7f\x80\x85\xa0\xff")
WORDS = (
    b"\r\n", b"\n", b"\r\n\r\n", b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n",
    b"Host: evil.test\r\n", b"0\r\n\r\n", b" HTTP/1.1\r\n", b"Connection: close\r\n", b"X-Mycelium-Email: forged\r\n",
    b"chunked, ", b"GET /public/x HTTP/1.1\r\nHost: a\r\n\r\n", b"Upgrade: websocket\r\n", b"../", b"//", b"%2e%2e/",
)  # fmt: skip
TOKEN = re.compile(rb"[A-Za-z0-9-]+").fullmatch
VALUE = re.compile(rb"[\t -~\x80-\xff]*").fullmatch
FRAMING = re.compile(rb"chunked|0|[1-9][0-9]*").fullmatch
OURS = re.compile(rb"x-mycelium-.*|x-gateway-.*|x-forwarded-for|forwarded", re.IGNORECASE).fullmatch
HOPS = {b"te", b"trailer", b"upgrade", b"expect", b"http2-settings", b"connection", b"keep-alive"}
TARGET = re.compile(rb"/public(?:[/?][!-~]*)?").fullmatch


def mutated(chance: random.Random) -> bytes:
    data = bytearray(chance.choice(BASES))
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        at = chance.randrange(len(data))
        kind = chance.randrange(KINDS + 2)
        if kind < KINDS:
            spoil(data, at, kind, chance, BYTES, WORDS)
        elif kind == KINDS:  # a line again
            begin = data.rfind(b"\n", 0, at) + 1
            end = data.find(b"\n", at) + 1 or len(data)
            data[begin:begin] = data[begin:end]
        else:
            data[at : at + 1] = data[at : at + 1].swapcase()
    return bytes(data)


@pytest.mark.timeout(int(os.environ.get("MUTATED_TIMEOUT", "120")))
async def test_s18_whatever_is_changed_one_request_is_one_request(site: Site) -> None:
    """And none of them arrives ambiguous, or with what only the gateway may say."""
    numbers: dict[int, Got] = {}

    async def script(line: Line) -> None:
        while True:
            got = await line.request()
            numbers[len(numbers) + 1] = got
            body = b"number %d." % len(numbers)
            line.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))

    upstream = await site.upstream(script)
    running = await site.gateway(upstream, routes=[{"path": "/public/**", "access": "public"}])
    chance = random.Random(SEED)
    cases = [(mutated(chance), chance.random()) for _ in range(CASES)]
    answered: list[int] = []
    for at in range(0, CASES, AT_ONCE):
        batch = cases[at : at + AT_ONCE]
        answers = await asyncio.gather(*(asked(site, running, *case) for case in batch))
        for (sent, _), raw in zip(batch, answers, strict=True):
            answered += judged(sent, raw, numbers)
    assert sorted(answered) == sorted(numbers)
    lines = await running.lines()
    assert sum(line["status"] == 200 for line in lines) == len(numbers)
    assert CASES // 5 < len(numbers) < CASES * 3
    assert sum(line["status"] == 400 for line in lines) > CASES // 5


async def asked(site: Site, running: Running, sent: bytes, cut: float) -> bytes:
    """All that comes back, where it is sent in two pieces and nothing more."""
    client = await site.client(running)
    parts = []
    with contextlib.suppress(OSError):  # a gateway that refuses may be gone before all is sent
        await client.trickle(sent, int(len(sent) * cut))
        client.half_close()
        while part := await asyncio.wait_for(client.some(), 20):
            parts.append(part)
    client.close()
    return b"".join(parts)


def judged(sent: bytes, raw: bytes, numbers: dict[int, Got]) -> Sequence[int]:
    """The numbers of its answers by the upstream, whose requests were as they should be."""
    answers = [int(number) for number in re.findall(rb"\r\n\r\nnumber (\d+)\.", raw)]
    assert len(answers) == len(re.findall(rb"HTTP/1\.1 200 ", raw)) or b"HEAD" in sent, (sent, raw)
    for number in answers:
        got = numbers[number]
        assert TARGET(got.target), (sent, got)
        assert b".." not in got.target.partition(b"?")[0].split(b"/"), (sent, got)
        assert got.target in sent, (sent, got)
        assert got.method in sent, (sent, got)
        assert all(TOKEN(name) and VALUE(value) for name, value in got.fields), (sent, got)
        assert len(got.all(b"host")) == 1, (sent, got)
        framing = got.all(b"content-length") + got.all(b"transfer-encoding")
        assert len(framing) <= 1, (sent, got)
        assert not framing or FRAMING(framing[0]), (sent, got)
        ours = [value for name, value in got.fields if OURS(name)]
        assert FORGED not in b"".join(ours), (sent, got)
        assert not got.names & HOPS, (sent, got)
    return answers
