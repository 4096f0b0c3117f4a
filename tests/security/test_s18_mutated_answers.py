"""S-18, S-3: answers in which bytes were changed. What a client is told is one answer to its own request, or it is cut
off, and whoever comes next on either connection gets theirs. MUTATED and MUTATED_TIMEOUT as for requests.
"""

import asyncio
import os
import random
import re

import pytest
from harness.client import Answer, Client, chunked, request
from harness.site import Site
from harness.upstream import Line

from .mutations import KINDS, spoil

SEED = 22
CASES = int(os.environ.get("MUTATED", "400"))
EVIL = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX-Mycelium-Email: evil\r\n\r\nevil"
BASES = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nSet-Cookie: a=b\r\nX-Mycelium-Profile: evil\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(EVIL), EVIL),
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"hello", EVIL),
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n5;a=b\r\nhello\r\n0\r\nX-T: x\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 5\r\n\r\n",
    b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nConnection: close, x-hop\r\nX-Hop: 1\r\n\r\nuntil the end",
)  # fmt: skip
BYTES = tuple(bytes([byte]) for byte in b"\0\t\n\r :;,/.\"'_-+=0125afxAZ\x0b\x7f\x80\xa0\xff")
WORDS = (
    b"\r\n", b"\n", b"\r\n\r\n", b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n",
    b"0\r\n\r\n", b" HTTP/1.1\r\n", b"Connection: upgrade\r\nUpgrade: x\r\n", b"chunked, ", EVIL,
    b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n",
)  # fmt: skip
TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch


def mutated(chance: random.Random) -> bytes:
    data = bytearray(chance.choice(BASES))
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        at = chance.randrange(min(len(data), chance.choice((20, 80, 1000))))
        kind = chance.randrange(KINDS + 1)
        if kind < KINDS:
            spoil(data, at, kind, chance, BYTES, WORDS)
        else:
            data += chance.choice((EVIL, b"\r\n", b"x", b"0\r\n\r\n"))
    return bytes(data)


@pytest.mark.timeout(int(os.environ.get("MUTATED_TIMEOUT", "120")))
async def test_s18_whatever_comes_back_each_gets_their_own(site: Site) -> None:
    """Over one connection at a time to the upstream, and one of the client's for as long as it stands."""
    answers: dict[bytes, tuple[bytes, float, bool]] = {}

    async def script(line: Line) -> None:
        while True:
            target = (await line.request()).target
            if target.startswith(b"/public/good"):
                line.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(target), target))
                continue
            raw, cut, end = answers[target]
            line.send(raw[: int(len(raw) * cut)])
            await asyncio.sleep(0)
            line.send(raw[int(len(raw) * cut) :])
            if end:
                return

    timeouts = {"first_byte": "300ms", "idle": "300ms"}
    running = await site.gateway(await site.upstream(script), route={"timeouts": timeouts}, upstream={"pool": 1})
    chance = random.Random(SEED)
    client = None
    counts = {"whole": 0, "refused": 0, "cut": 0}
    for number in range(CASES):
        path = f"/public/{number}"
        answers[path.encode()] = mutated(chance), chance.random(), chance.random() < 0.7
        client = client or await site.client(running)
        told = await asked(client, path, chance.choice(("GET", "GET", "POST", "HEAD")))
        counts["cut" if told is None else "refused" if told.status in (502, 504) else "whole"] += 1
        if told is None or told.all(b"connection") == [b"close"]:
            client.close()
            client = await site.client(running)
        good = f"/public/good{number}"
        answer = await client.ask(good)
        assert (answer.status, answer.body) == (200, good.encode()), (answers[path.encode()], told, answer)
    assert min(counts.values()) > CASES // 50, counts


async def asked(client: Client, path: str, method: str) -> Answer | None:
    """Read strictly; None where it is cut off."""
    await client.send(request(path, method=method))
    try:
        told = await client.answer(method)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    assert 200 <= told.status <= 999
    assert all(TOKEN(name) and not re.search(rb"[\0\r\n]", value) for name, value in told.fields), told
    assert {name for name, _ in told.fields if name.lower().startswith(b"x-mycelium-")} <= {b"x-mycelium-request-id"}, (
        told
    )
    assert not any(b"evil" in value for name, value in told.fields if name.lower().startswith(b"x-mycelium-")), told
    return told
