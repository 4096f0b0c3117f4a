"""What is slow to begin takes turns, and all connections are looked at in parts: the quick goes on in between."""

import asyncio
import itertools
from collections.abc import Sequence

import pytest
from harness.client import Client, request
from harness.site import Running, Site, until

from gateway.edge.listener import OVERDUE_PER_TURN
from gateway.edge.roster import SHELVES, Roster
from gateway.edge.turns import PER_TURN, Turns

CROWD = 200
LOGIN = {"login": {"mployr": {"mount": "/in"}}}


class Watch:
    """Looks at the queue in each turn of the loop. longest: that it was. most: that left it in one turn."""

    def __init__(self, turns: Turns) -> None:
        self.longest = self.most = self._before = 0
        self._turns = turns
        self._loop = asyncio.get_running_loop()
        self._handle = self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        now = self._turns.waiting
        self.longest, self.most = max(self.longest, now), max(self.most, self._before - now)
        self._before = now
        self._handle = self._loop.call_soon(self._turn)

    def stop(self) -> None:
        self._handle.cancel()


async def test_a_few_begin_in_each_turn() -> None:
    """In the order that they came, and none is left."""
    turns, order = Turns(asyncio.get_running_loop()), []
    watch = Watch(turns)

    async def begin(number: int) -> None:
        await turns.take()
        order.append(number)

    await asyncio.gather(*map(begin, range(10 * PER_TURN)))
    watch.stop()
    assert (order, turns.waiting) == ([*range(10 * PER_TURN)], 0)
    assert (watch.longest, watch.most) == (9 * PER_TURN, PER_TURN)


async def test_who_left_takes_no_turn() -> None:
    """Cancelled before its turn, or as it is called: the others are not kept waiting for it."""
    turns = Turns(asyncio.get_running_loop())
    tasks = [asyncio.ensure_future(turns.take()) for _ in range(6 * PER_TURN)]
    await asyncio.sleep(0)
    for task in tasks[2 * PER_TURN : 4 * PER_TURN]:
        task.cancel()
    await asyncio.sleep(0)
    for task in tasks[PER_TURN : 2 * PER_TURN]:
        task.cancel()
    found = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 10)
    assert sum(one is None for one in found) >= 3 * PER_TURN
    await asyncio.wait_for(turns.take(), 10)


async def test_a_turn_that_nobody_wants_costs_nothing() -> None:
    """No callback stays behind: an idle loop sleeps."""
    turns = Turns(asyncio.get_running_loop())
    for _ in range(3):
        await asyncio.gather(*(turns.take() for _ in range(3 * PER_TURN)))
        await until(lambda: not turns._renewing)


@pytest.fixture
async def running(site: Site) -> Running:
    return await site.gateway(await site.upstream(), **LOGIN)


async def crowd(site: Site, running: Running, head: bytes) -> Sequence[Client]:
    """Their requests lie in the gateway's sockets before it reads any."""
    clients = [await site.client(running) for _ in range(CROWD)]
    await until(lambda: len(running.gateway.edge.clients) >= CROWD)
    for client in clients:
        client.writer.write(head)
    return clients


def heads(running: Running) -> dict[str, bytes]:
    """What is slow: requests to the built-in API, and credentials that nobody has seen."""
    form = b"Content-Type: application/json"
    return {
        "built-in": request("/in/login", form, method="POST", body=b'{"email":"nobody@example.com","password":"x"}'),
        "cold": request("/secure/x", b"x-mycelium-connection-string: " + b"t=9" * 30),
    }


@pytest.mark.parametrize("kind", ["built-in", "cold"])
async def test_what_is_slow_begins_a_few_at_a_time(site: Site, running: Running, kind: str) -> None:
    """However many come at once; each is answered."""
    watch = Watch(running.gateway.edge.turns)
    clients = await crowd(site, running, heads(running)[kind])
    statuses = {(await asyncio.wait_for(client.answer(), 20)).status for client in clients}
    watch.stop()
    assert statuses <= {401, 429, 503}
    assert watch.longest > CROWD / 2
    assert 1 <= watch.most <= PER_TURN


@pytest.mark.parametrize("kind", ["built-in", "cold"])
async def test_who_is_known_does_not_wait_behind_them(site: Site, running: Running, kind: str) -> None:
    """Sent last, and answered while some of what came before has not begun."""
    field = running.people.ada.field
    known = await site.client(running)
    assert (await known.ask("/secure/x", field)).status == 200
    clients = await crowd(site, running, heads(running)[kind])
    known.writer.write(request("/secure/x", field))
    assert (await asyncio.wait_for(known.answer(), 20)).status == 200
    left = running.gateway.edge.turns.waiting
    for client in clients:
        await asyncio.wait_for(client.answer(), 20)
    assert left > 0


async def test_the_roster_has_each_connection_on_one_shelf(site: Site) -> None:
    """Spread evenly, and all of them are found."""
    running = await site.gateway(await site.upstream())
    clients = [await site.client(running) for _ in range(3 * SHELVES)]
    roster: Roster = running.gateway.edge.clients
    await until(lambda: len(roster) == 3 * SHELVES)
    assert [len(shelf) for shelf in roster.shelves] == [3] * SHELVES
    assert len({*roster}) == roster.added == 3 * SHELVES
    for client in clients:
        client.close()
    await until(lambda: not roster)


async def test_each_connection_is_looked_at_once_in_a_second(site: Site) -> None:
    """By the timer: a part at a time, and no deadline is forgotten."""
    running = await site.gateway(await site.upstream(), listen={"timeouts": {"keep_alive": "100ms"}})
    clients = [await site.client(running) for _ in range(2 * SHELVES)]
    for client in clients:
        assert await asyncio.wait_for(client.rest(), 20) == b""


async def test_thousands_that_are_overdue_end_a_few_at_a_time(site: Site) -> None:
    """Others have their turns between them."""
    running = await site.gateway(await site.upstream())
    clients = [await site.client(running) for _ in range(10 * OVERDUE_PER_TURN)]
    roster = running.gateway.edge.clients
    await until(lambda: len(roster) == len(clients))
    running.hand.rested += 100
    steps: list[int] = []
    running.gateway.edge.sweep()
    while roster:
        steps.append(sum(client.transport.is_closing() for client in roster))
        await asyncio.sleep(0)
    assert steps[0] == OVERDUE_PER_TURN
    assert max(after - before for before, after in itertools.pairwise(steps)) <= OVERDUE_PER_TURN
    for client in clients:
        assert await asyncio.wait_for(client.rest(), 20) == b""
