"""Requests that go where their grant, account, address, path or header says, and what happens when that is out."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from harness.site import Running, Site
from harness.upstream import OK, Line, Upstream, answering

FAILING = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n"


async def named(site: Site, count: int = 3) -> list[Upstream]:
    return [await site.upstream(answering(OK.replace(b"ok", b"u%d" % number))) for number in range(count)]


async def asked(site: Site, running: Running, *requests: tuple[str, tuple[bytes, ...]]) -> list[bytes]:
    """Who answered, each on a connection of its own."""
    found = []
    for path, fields in requests:
        found.append((await (await site.client(running)).ask(path, *fields)).body)
    return found


async def test_requests_of_one_grant_stay_together(site: Site) -> None:
    """Of two callers, each has one endpoint, on whatever connection and path."""
    running = await site.gateway(*await named(site), upstream={"sticky": "grant"})
    for caller in (running.people.ada, running.people.bob):
        requests = [(f"/secure/{number}", (caller.field,)) for number in range(6)]
        assert len(set(await asked(site, running, *requests))) == 1


async def test_requests_without_a_grant_are_balanced(site: Site) -> None:
    """Those of public routes are nobody's."""
    running = await site.gateway(*await named(site), upstream={"sticky": "grant", "balance": "round_robin"})
    answers = await asked(site, running, *[(f"/public/{number}", ()) for number in range(6)])
    assert sorted(answers) == sorted([b"u0", b"u1", b"u2"] * 2)


@pytest.mark.parametrize(
    ("by", "same", "other"),
    [
        ("path", [("/public/a", ())] * 4, [(f"/public/{number}", ()) for number in range(60)]),
        (
            {"header": "X-Shard"},
            [(f"/public/{number}", (b"x-shard: 7",)) for number in range(4)],
            [("/public/a", (b"x-shard: %d" % number,)) for number in range(60)],
        ),
    ],
)
async def test_a_hash_is_of_what_was_said(site: Site, by: Any, same: list[Any], other: list[Any]) -> None:
    """The same goes to one endpoint, others to all."""
    running = await site.gateway(*await named(site), upstream={"balance": "hash", "hash": {"by": by}})
    assert len(set(await asked(site, running, *same))) == 1
    assert len(set(await asked(site, running, *other))) == 3


@pytest.mark.parametrize("lines", [(b"%d \t",), (b"", b"%d"), (b"%d", b" ")])
async def test_a_hash_is_of_the_value_without_blanks(site: Site, lines: tuple[bytes, ...]) -> None:
    """Whoever writes it otherwise meets no other endpoint."""
    running = await site.gateway(
        *await named(site), upstream={"balance": "hash", "hash": {"by": {"header": "x-shard"}}}
    )
    plain = [("/public/a", (b"X-Shard: %d" % number,)) for number in range(12)]
    other = [
        ("/public/a", tuple(b"X-Shard:" + (line % number if line.strip() else line) for line in lines))
        for number in range(12)
    ]
    assert await asked(site, running, *plain) == await asked(site, running, *other)


async def test_a_header_that_is_repeated_decides_nothing(site: Site) -> None:
    """It is balanced like a request without it."""
    said = {"balance": "hash", "hash": {"by": {"header": "x-shard"}}}
    running = await site.gateway(*await named(site), upstream=said)
    requests = [("/public/a", (b"X-Shard: 7", b"X-Shard: 8"))] * 6
    assert sorted(await asked(site, running, *requests)) == sorted([b"u0", b"u1", b"u2"] * 2)


@pytest.mark.parametrize("by", ["address", "account", "grant"])
async def test_a_hash_of_the_caller(site: Site, by: str) -> None:
    """One caller at one address, whatever is asked for."""
    running = await site.gateway(*await named(site), upstream={"balance": "hash", "hash": {"by": by}})
    ada = running.people.ada.field
    assert len(set(await asked(site, running, *[(f"/secure/{number}", (ada,)) for number in range(6)]))) == 1


async def test_a_grant_whose_endpoint_is_out_goes_elsewhere_and_comes_back(site: Site) -> None:
    """It fails over to one other, and returns when its own is well again."""
    ill: set[int] = set()

    def script(number: int) -> Any:
        async def answer(line: Line) -> None:
            while True:
                await line.request()
                line.send(FAILING if number in ill else OK.replace(b"ok", b"u%d" % number))

        return answer

    upstreams = [await site.upstream(script(number)) for number in range(3)]
    outlier: Mapping[str, Any] = {"errors": 1, "eject": "1h"}
    running = await site.gateway(*upstreams, upstream={"sticky": "grant", "outlier": outlier})
    ada = ("/secure/x", (running.people.ada.field,))
    (home,) = await asked(site, running, ada)
    ill.add(int(home[1:]))
    assert await asked(site, running, ada) == [b""]
    away = set(await asked(site, running, *[ada] * 4))
    assert len(away) == 1
    assert away != {home}
    ill.clear()
    running.hand.rested += 3600
    assert await asked(site, running, *[ada] * 3) == [home] * 3


async def test_weights_share_requests(site: Site) -> None:
    """Three to one, to the request."""
    first, second = await named(site, 2)
    endpoints = [{"url": first.url, "weight": 3}, second.url]
    running = await site.gateway(*endpoints, upstream={"balance": "round_robin"})
    client = await site.client(running)
    answers = [(await client.ask()).body for _ in range(8)]
    assert (answers.count(b"u0"), answers.count(b"u1")) == (6, 2)


async def test_p2c_uses_every_endpoint(site: Site) -> None:
    """A busy one is passed over: with one of two hanging, each request compares both."""
    hang = asyncio.Event()

    async def hung(line: Line) -> None:
        await line.request()
        await hang.wait()
        line.send(OK)

    slow, (fast,) = await site.upstream(hung), await named(site, 1)
    running = await site.gateway(slow, fast, upstream={"balance": "p2c"})
    tasks, met = [], asyncio.create_task(slow.got())
    while not met.done():  # which of two idle ones gets a request is chance
        tasks.append(asyncio.create_task((await site.client(running)).ask()))
        await asyncio.wait([tasks[-1], met], return_when=asyncio.FIRST_COMPLETED)
    other = await site.client(running)
    assert [(await other.ask()).body for _ in range(6)] == [b"u0"] * 6
    hang.set()
    await asyncio.gather(*tasks)
