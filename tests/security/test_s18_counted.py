"""S-18: with real servers behind it, each sees just the requests that the gateway says it sent, in any framing."""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness.client import Client, chunked, request
from harness.site import Running, Site, until

from .counting import SERVERS, Counting
from .test_s18_framing import TRICKS

SEED = 18
TURNS = 60  # of each kind below
SMUGGLED = b"GET /public/smuggled HTTP/1.1\r\nHost: gateway.test\r\n\r\n"


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Counting]:
    folder = tmp_path / "server"
    folder.mkdir()
    with SERVERS[request.param](folder) as running:
        yield running


class Callers:
    """Requests of every framing, each with a path of its own, over connections that are used again."""

    def __init__(self, site: Site, running: Running, server: Counting) -> None:
        self._site = site
        self._server = server
        self._running = running
        self._chance = random.Random(SEED)
        self._count = 0
        self._client: Client | None = None

    async def client(self) -> Client:
        self._client = self._client or await self._site.client(self._running)
        return self._client

    def leave(self) -> None:
        self._client = None

    def path(self) -> str:
        self._count += 1
        return f"/public/{self._count}"

    def body(self) -> bytes:
        chance = self._chance
        parts = (b"a" * chance.randint(0, 5000), SMUGGLED, b"0\r\n\r\n", b"\r\n" * 5)
        return b"".join(chance.sample(parts, chance.randint(0, 3)))

    def counted(self) -> tuple[bytes, bytes]:
        """A request with a length; its body."""
        body = self.body()
        return request(self.path(), method="POST", body=body), body

    def chunks(self) -> tuple[bytes, bytes]:
        """One in chunks of odd sizes, some with extensions, some with trailers; its body."""
        body, at, parts = self.body(), 0, []
        while at < len(body):
            parts.append(body[at : at + self._chance.randint(1, 2000)])
            at += len(parts[-1])
        last = self._chance.choice((b"0\r\n\r\n", b"0\r\nX-T: a\r\nHost: b\r\n\r\n", b"000;a=b\r\n\r\n"))
        return request(self.path(), b"Transfer-Encoding: chunked", method="POST") + chunked(*parts, last=last), body

    def plain(self) -> tuple[bytes, bytes]:
        return request(self.path()), b""

    def any(self) -> tuple[bytes, bytes]:
        return self._chance.choice((self.counted, self.chunks, self.plain))()

    async def whole(self) -> None:
        """One, in pieces."""
        raw, body = self.any()
        client = await self.client()
        cuts = sorted(self._chance.sample(range(len(raw)), self._chance.randint(0, 3)))
        with self.perhaps_closed():
            for begin, end in zip([0, *cuts], [*cuts, len(raw)], strict=True):
                await client.send(raw[begin:end])
            await self.answered(client, body)

    async def pipeline(self) -> None:
        """Several in one write."""
        made = [self.any() for _ in range(self._chance.randint(2, 8))]
        client = await self.client()
        with self.perhaps_closed():
            await client.send(b"".join(raw for raw, _ in made))
            for _, body in made:
                await self.answered(client, body)

    async def answered(self, client: Client, body: bytes) -> None:
        answer = await client.answer()
        assert answer.status == 200
        assert not self._server.sizes or answer.body == b"%d\n" % len(body)

    @contextlib.contextmanager
    def perhaps_closed(self) -> Iterator[None]:
        """Who answers before a body is whole has its answer passed on, and the client's connection closed."""
        try:
            yield
        except (asyncio.IncompleteReadError, ConnectionError):
            assert self._server.hasty
            self.leave()

    async def aborted(self) -> None:
        """A body that breaks off, by an end or by a reset; what it holds looks like a request."""
        raw, _ = self._chance.choice((self.counted, self.chunks))()
        client = await self.client()
        await client.send(raw[: self._chance.randint(raw.index(b"\r\n\r\n") + 4, len(raw))])
        self._chance.choice((client.half_close, client.reset, client.close))()
        with contextlib.suppress(ConnectionError):
            await asyncio.wait_for(client.rest(), 10)
        self.leave()

    async def trick(self, raw: bytes) -> None:
        client = await self.client()
        await client.send(raw.replace(b"/public/x", self.path().encode()))
        client.half_close()
        await asyncio.wait_for(client.rest(), 10)
        self.leave()


@pytest.mark.timeout(120)
async def test_s18_a_server_sees_what_was_sent_and_nothing_else(site: Site, server: Counting) -> None:
    """Whole, in pieces, many at once, broken off, with every trick of framing, on connections that are used again."""
    running = await site.gateway(f"http://127.0.0.1:{server.port}")
    callers = Callers(site, running, server)
    tricks = iter(TRICKS.values())
    for turn in range(TURNS):
        await callers.whole()
        await callers.pipeline()
        await callers.aborted()
        for raw in [next(tricks, b"")] if turn % 2 else []:
            await callers.trick(raw or TRICKS["cl-te"])
    await callers.whole()
    lines = [line for line in await running.lines() if line["endpoint"] is not None]
    sent = Counter(str(line["path"]) for line in lines)
    await until(lambda: Counter(server.told().paths) == sent)
    told = server.told()
    assert Counter(told.paths) == sent
    assert told.malformed == 0
    assert len(sent) > TURNS * 4
    await malformed(server.port)
    await until(lambda: server.told().malformed == 1)


async def malformed(port: int) -> None:
    """Past the gateway: that the server would have told."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n")
    await reader.read()
    writer.close()
