"""S-25: what a permit had begun when it ended: after a revocation all of it ends, after an expiry what has no end."""

import asyncio

import pytest
from harness.client import Client, chunked, request
from harness.people import DAY, revoke
from harness.site import Running, Site, until
from harness.upstream import OK, Line

COUNTED = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n12345\r\n"
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\n\r\n12345"


async def withdraw(running: Running, how: str) -> None:
    """Until the edge knows it."""
    if how == "expired":
        running.hand.ahead += 2 * DAY
    else:
        await revoke(running.people, running.people.ada.grant_id)
    edge = running.gateway.edge
    await until(lambda: all(c.active is None or c.active.dead for c in edge.clients))


async def started(site: Site, first: bytes, last: bytes = b"") -> tuple[Running, Client, Line, asyncio.Event]:
    """An answer of which the first part is under way; the rest comes after the event."""
    go_on = asyncio.Event()

    async def script(line: Line) -> None:
        await line.request()
        line.send(first)
        await go_on.wait()
        line.send(last)
        await line.gone()

    upstream = await site.upstream(script)
    running = await site.gateway(upstream)
    client = await site.client(running)
    await client.send(request("/secure/x", running.people.ada.field))
    await upstream.got()
    return running, client, upstream.lines[0], go_on


@pytest.mark.parametrize(
    ("how", "first"),
    [
        ("revoked", COUNTED),
        ("revoked", CHUNKED),
        ("revoked", UNTIL_CLOSE),
        ("expired", CHUNKED),
        ("expired", UNTIL_CLOSE),
    ],
)
async def test_s25_an_answer_that_has_begun_is_cut(site: Site, how: str, first: bytes) -> None:
    """However it is framed; and the upstream is told."""
    running, client, line, go_on = await started(site, first)
    await client.head()
    await withdraw(running, how)
    assert len(await asyncio.wait_for(client.rest(), 5)) <= 10
    go_on.set()
    await asyncio.wait_for(line.ended.wait(), 5)
    (entry,) = await running.lines()
    assert entry["reason"] == f"{how}_credential"


async def test_s25_a_counted_answer_outlives_its_credential(site: Site) -> None:
    """A download that was begun in good order is finished: it has said where it ends."""
    running, client, _, go_on = await started(site, COUNTED, b"67890")
    head = await client.head()
    await withdraw(running, "expired")
    go_on.set()
    assert await client.body(head) == b"1234567890"


async def test_s25_but_not_its_revocation_after_that(site: Site) -> None:
    """An expired credential can still be revoked."""
    running, client, line, go_on = await started(site, COUNTED)
    await client.head()
    await withdraw(running, "expired")
    await revoke(running.people, running.people.ada.grant_id)
    assert len(await asyncio.wait_for(client.rest(), 5)) <= 5
    go_on.set()
    await asyncio.wait_for(line.ended.wait(), 5)


@pytest.mark.parametrize(
    ("how", "late", "status"),
    [
        ("revoked", OK, 200),
        ("revoked", COUNTED, 401),
        ("revoked", CHUNKED, 401),
        ("revoked", CHUNKED + b"0\r\n\r\n", 200),
        ("expired", OK, 200),
        ("expired", COUNTED, 200),
        ("expired", CHUNKED, 401),
    ],
)
async def test_s25_an_answer_that_comes_after_it(site: Site, how: str, late: bytes, status: int) -> None:
    """The request was complete: an answer in one read still counts, one that goes on does not begin."""
    running, client, _, go_on = await started(site, b"", late)
    await withdraw(running, how)
    go_on.set()
    assert (await client.head()).status == status


@pytest.mark.parametrize("begun", [False, True], ids=["no answer", "an answer"])
@pytest.mark.parametrize(
    ("how", "framing"),
    [("revoked", "counted"), ("revoked", "chunked"), ("expired", "chunked"), ("expired", "counted")],
)
async def test_s25_an_upload_under_way(site: Site, how: str, framing: str, begun: bool) -> None:
    """It ends, with 401 where no answer has begun; only one whose length is known outlives its credential."""

    async def script(line: Line) -> None:
        await line.head()
        await line.until(b"hello")
        if begun:
            line.send(COUNTED)
        if how == "expired" and framing == "counted":
            await line.exactly(5)
            line.send(b"67890" if begun else OK)
        await line.gone()

    upstream = await site.upstream(script)
    running = await site.gateway(upstream)
    client, field = await site.client(running), running.people.ada.field
    if framing == "counted":
        await client.send(request("/secure/x", b"Content-Length: 10", field, method="POST"), b"hello")
    else:
        await client.send(request("/secure/x", b"Transfer-Encoding: chunked", field, method="POST"))
        await client.send(chunked(b"hello", last=b""))
    line = await upstream.line()
    await until(lambda: b"hello" in line.received)
    head = await client.head() if begun else None
    await withdraw(running, how)
    if how == "expired" and framing == "counted":
        await client.send(b"world")
        answer = await client.body(head) if head else (await client.answer()).body
        assert answer == (b"1234567890" if begun else b"ok")
        return
    if begun:
        assert len(await asyncio.wait_for(client.rest(), 5)) <= 5
    else:
        assert (await client.answer()).code == f"{how}_credential"
    await asyncio.wait_for(line.ended.wait(), 5)
