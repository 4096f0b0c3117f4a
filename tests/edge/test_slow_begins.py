"""What is slow to begin takes turns, and all connections are looked at in parts: the quick goes on in between."""

import asyncio
import itertools
from collections.abc import Sequence

import pytest
from harness.client import Client, request
from harness.site import Running, Site, until

from gateway.edge.listener import OVERDUE_PER_TURN, SECONDS_PER_TURN
from gateway.edge.roster import SHELVES, Roster
from gateway.edge.turns import AT_ONCE, MOST, MOST_PER_TURN, PER_TURN, Burst, Turns
from gateway.errors import DependencyFailed

CROWD = 200
YEARS = 1e8  # seconds
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
    turns, order = Turns(asyncio.get_running_loop(), lambda: 0.0), []
    watch = Watch(turns)

    async def begin(number: int) -> None:
        await turns.take()
        order.append(number)

    await asyncio.gather(*map(begin, range(10 * PER_TURN)))
    watch.stop()
    assert (order, turns.waiting) == ([*range(10 * PER_TURN)], 0)
    assert (watch.longest, watch.most) == (9 * PER_TURN, PER_TURN)


async def test_who_left_takes_no_turn() -> None:
    """Those behind the cancelled begin in the next turn, as if they had not been there."""
    loop = asyncio.get_running_loop()
    turns = Turns(loop, lambda: 0.0)
    tasks = [loop.create_task(turns.take()) for _ in range(4 * PER_TURN)]
    renewals = 0
    await asyncio.sleep(0)  # the first have begun, and the others wait
    for task in tasks[PER_TURN : 3 * PER_TURN]:
        task.cancel()
    while turns.waiting:
        renewals += 1
        await asyncio.sleep(0)
    found = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 10)
    assert [one is None for one in found] == [True] * PER_TURN + [False] * 2 * PER_TURN + [True] * PER_TURN
    assert renewals == 1


@pytest.mark.parametrize(("seconds", "begun"), [(0.0, PER_TURN), (0.0001, PER_TURN), (0.003, 3), (1.0, MOST_PER_TURN)])
async def test_long_turns_begin_more(seconds: float, begun: int) -> None:
    """A busy core does not starve them; but they do not feed themselves."""
    looks = itertools.count()  # at the clock: at the end of a turn, and at that of the next one
    turns = Turns(asyncio.get_running_loop(), lambda: seconds * next(looks))
    watch = Watch(turns)
    await asyncio.gather(*(turns.take() for _ in range(200)))
    watch.stop()
    assert watch.most == begun


async def test_too_many_that_wait_are_refused() -> None:
    """At once, and who waits already goes on waiting."""
    loop = asyncio.get_running_loop()
    turns = Turns(loop, lambda: 0.0)
    tasks = [loop.create_task(turns.take()) for _ in range(PER_TURN + MOST)]
    await asyncio.sleep(0)
    with pytest.raises(DependencyFailed, match="overloaded") as caught:
        await turns.take()
    assert (turns.waiting, caught.value.retry_after) == (MOST, 1)
    await asyncio.wait_for(asyncio.gather(*tasks), 30)
    await turns.take()


async def test_a_turn_that_nobody_wants_costs_nothing() -> None:
    """No callback stays behind: an idle loop sleeps."""
    turns = Turns(asyncio.get_running_loop(), lambda: 0.0)
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


async def test_a_credential_that_expires_before_its_turn_is_refused(site: Site) -> None:
    """What counts is when it is verified, not when the request came."""
    upstream = await site.upstream()
    running = await site.gateway(upstream)
    turns, go = running.gateway.edge.turns, asyncio.Event()

    async def begin() -> None:
        while not go.is_set():
            await turns.take()

    others = [asyncio.get_running_loop().create_task(begin()) for _ in range(500)]
    client = await site.client(running)
    await client.ask("/public/x")  # a connection to the upstream stands: nothing but the verification comes in between
    await client.send(request("/secure/x", running.people.ada.field))
    while not any(c.active is not None and c.active.waited for c in running.gateway.edge.clients):  # noqa: ASYNC110
        await asyncio.sleep(0)
    for _ in range(5):  # it has got into the queue, and its turn comes after 250 of the loop
        await asyncio.sleep(0)
    running.hand.ahead += YEARS
    go.set()
    answer = await asyncio.wait_for(client.answer(), 20)
    await asyncio.gather(*others)
    assert (answer.status, answer.code, len(upstream.requests)) == (401, "expired_credential", 1)


async def test_who_has_reset_the_connection_has_no_turn(site: Site) -> None:
    """Though it is not read while more waits on it, and so does not tell: its request is not verified."""
    upstream = await site.upstream()
    running = await site.gateway(upstream)
    edge, go = running.gateway.edge, asyncio.Event()

    async def begin() -> None:
        while not go.is_set():
            await edge.turns.take()

    client = await site.client(running)
    others = [asyncio.get_running_loop().create_task(begin()) for _ in range(500)]
    await client.send(request("/secure/x", running.people.ada.field) * 3)
    while not any(c.active is not None and c.active.waited for c in edge.clients):  # noqa: ASYNC110
        await asyncio.sleep(0)
    client.reset()
    for _ in range(5):
        await asyncio.sleep(0)
    before = len(edge.clients)
    go.set()
    await asyncio.gather(*others)
    await until(lambda: not edge.clients)
    assert (before, upstream.requests) == (1, [])


async def test_pipelines_share_a_turn() -> None:
    """So many are answered at once, whoever they belong to, and the next ones in the next turn."""
    burst, found = Burst(asyncio.get_running_loop()), []
    for _ in range(3):
        found.append([burst.take() for _ in range(2 * AT_ONCE)].count(True))
        await asyncio.sleep(0)
    assert found == [AT_ONCE] * 3


async def test_twenty_pipelines_take_turns(site: Site) -> None:
    """Each gets all of its answers; in a turn there are no more than of a single one, and one for each connection."""
    running = await site.gateway(await site.upstream())
    lines = 20
    clients = [await site.client(running) for _ in range(lines)]
    await until(lambda: len(running.gateway.edge.clients) == lines)
    counters = running.gateway.core.generation.unmatched.counters
    counted = [0]

    def count() -> None:
        counted.append(sum(counters.refused.values()))
        handle[0] = loop.call_soon(count)

    loop = asyncio.get_running_loop()
    handle = [loop.call_soon(count)]
    for client in clients:
        client.writer.write(request("/nowhere") * 100)
    for client in clients:
        for _ in range(100):
            assert (await asyncio.wait_for(client.answer(), 20)).status == 404
    handle[0].cancel()
    assert counted[-1] > 0
    assert max(after - before for before, after in itertools.pairwise(counted)) <= AT_ONCE + lines


async def test_each_shelf_is_looked_at_once_in_a_second(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the timer, a shelf at a time; and upstreams once in that second."""
    running = await site.gateway(await site.upstream())
    edge = running.gateway.edge
    for _ in range(2 * SHELVES):
        await site.client(running)
    await until(lambda: len(edge.clients) == 2 * SHELVES)
    looks: list[list[Client]] = []
    upstreams: list[int] = []
    monkeypatch.setattr(edge, "_sweep_clients", lambda clients: looks.append([*clients]))
    monkeypatch.setattr(edge, "_sweep_upstreams", lambda: upstreams.append(len(looks)))
    await until(lambda: len(looks) >= 2 * SHELVES)
    assert {len(look) for look in looks} == {2}
    assert {*itertools.chain(*looks[:SHELVES])} == {*edge.clients}
    assert looks[:SHELVES] == looks[SHELVES : 2 * SHELVES]
    assert len(upstreams) == 2


async def test_a_mistake_with_one_does_not_keep_the_others(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told, and everybody else's time is over as it should be."""
    site.expected_errors = True
    running = await site.gateway(await site.upstream())
    edge = running.gateway.edge
    clients = [await site.client(running) for _ in range(3 * OVERDUE_PER_TURN)]
    await until(lambda: len(edge.clients) == len(clients))
    running.hand.rested += 100

    class Broken:
        deadline = 0.0

        def overdue(self) -> None:
            raise ZeroDivisionError("a mistake of ours")

    edge._overdue.append(Broken())  # type: ignore[arg-type]
    edge._end_overdue()
    edge.sweep()
    for client in clients:
        assert await asyncio.wait_for(client.rest(), 20) == b""
    assert len(running.log.errors) == 1


async def test_thousands_that_are_overdue_end_a_few_at_a_time(site: Site) -> None:
    """Of whatever shelves, however often they are looked at meanwhile."""
    running = await site.gateway(await site.upstream())
    clients = [await site.client(running) for _ in range(10 * OVERDUE_PER_TURN)]
    edge = running.gateway.edge
    await until(lambda: len(edge.clients) == len(clients))
    theirs, closing = [*edge.clients], [0]
    running.hand.rested += 100
    while closing[-1] < len(clients):
        edge.sweep()
        closing.append(sum(client.transport.is_closing() for client in theirs))
        await asyncio.sleep(0)
    assert max(after - before for before, after in itertools.pairwise(closing)) <= OVERDUE_PER_TURN
    for client in clients:
        assert await asyncio.wait_for(client.rest(), 20) == b""


async def test_one_that_takes_long_to_end_ends_alone_in_its_turn(site: Site) -> None:
    """Freeing what a client has never read, and what its upstream was to send, takes ten times as long as most."""
    running = await site.gateway(await site.upstream())
    edge, ended = running.gateway.edge, 0

    class Full:
        deadline = 0.0

        def overdue(self) -> None:
            nonlocal ended
            ended += 1
            running.hand.rested += 2 * SECONDS_PER_TURN

    edge._overdue += [Full(), Full(), Full()]  # type: ignore[list-item]
    edge._end_overdue()
    counts = [ended]
    for _ in range(4):
        await asyncio.sleep(0)
        counts.append(ended)
    assert counts == [1, 2, 3, 3, 3]
