"""S-56: five hundred logins at once. Passwords are hashed beside the loop, in a queue that is bounded: who is over gets
503 and when to come again, and what is only passed through waits for none of them.
"""

import asyncio
import json
from collections import Counter
from threading import Event

import pytest
from harness.client import Answer, request
from harness.site import Site
from identity.core.desk import ADA, BASE, JSON, PASSWORD, Desk, seated

pytestmark = pytest.mark.usefixtures("patient")

LOGINS = 500
PASSED = 200


def said(number: int, password: str = "wrong horse battery") -> bytes:
    body = {"email": f"somebody-{number}@example.org", "password": password}
    return request(f"{BASE}/users/login", JSON, method="POST", body=json.dumps(body).encode())


async def login(desk: Desk, raw: bytes) -> Answer:
    client = await desk.site.client(desk.running)
    await client.send(raw)
    try:
        return await client.answer("POST")
    finally:
        client.close()


def told(desk: Desk, *others: str) -> list[str]:
    """Of overload, and other codes: an error, once, for whoever runs the gateway; any other error fails the test."""
    desk.site.expected_errors = True
    codes = [str(fields.get("code", event)) for _, event, fields in desk.running.log.errors]
    assert set(codes) <= {"overloaded", *others}, desk.running.log.errors
    return codes


def room(desk: Desk) -> int:
    """Hashes that may run and wait at once: it grows with the cores."""
    passwords = desk.running.gateway.passwords
    return passwords._room._value  # type: ignore[attr-defined,no-any-return]


async def passed(desk: Desk) -> Counter[int]:
    """The statuses of two hundred requests for the service, from one client."""
    client, field = await desk.site.client(desk.running), desk.running.people.ada.field
    return Counter([(await client.ask("/secure/x", field)).status for _ in range(PASSED)])


async def test_s56_no_proxied_request_waits_for_a_hash(site: Site) -> None:
    """The threads stand still, with the queue full: two hundred requests are answered, and not one login that waits.
    All over the queue's room were told 503 before; when the threads go on, whoever waited gets an answer."""
    desk = await seated(site)
    passwords, go_on = desk.running.gateway.passwords, Event()
    count = room(desk)
    logins = max(LOGINS, count + 100)
    for _ in range(passwords._threads):
        passwords._pool.submit(go_on.wait)
    try:
        tasks = [asyncio.create_task(login(desk, said(number))) for number in range(logins)]
        turned_away = []
        async with asyncio.timeout(60):
            for done in asyncio.as_completed(tasks):
                turned_away.append(await done)
                if len(turned_away) == logins - count:
                    break
        found = await passed(desk)
        waiting = sum(not task.done() for task in tasks)
    finally:
        go_on.set()
    answers = await asyncio.gather(*tasks)
    assert (found, waiting) == ({200: PASSED}, count)
    assert {(answer.status, bool(answer.all(b"retry-after"))) for answer in turned_away} == {(503, True)}
    assert (Counter(answer.status for answer in answers), len(told(desk))) == ({503: logins - count, 401: count}, 1)


async def test_s56_proxied_requests_are_answered_while_passwords_are_hashed(site: Site) -> None:
    """With real hashes: five hundred logins and two hundred requests end well, each in its way."""
    desk = await seated(site)
    tasks = [asyncio.create_task(login(desk, said(number))) for number in range(LOGINS)]
    found = await passed(desk)
    answers = Counter(answer.status for answer in await asyncio.gather(*tasks))
    assert (found, sum(answers.values())) == ({200: PASSED}, LOGINS)
    assert set(answers) <= {401, 503}
    assert answers[401] >= desk.running.gateway.passwords._threads
    assert len(told(desk)) <= 1


async def test_s56_after_a_rush_there_is_room_again(site: Site) -> None:
    """Nobody's place is lost, also not of those who hung up while they waited."""
    desk = await seated(site)
    await desk.give_password(ADA)
    before = room(desk)
    for number in range(60):
        client = await site.client(desk.running)
        await client.send(said(number))
        client.reset()
    await asyncio.gather(*(login(desk, said(number)) for number in range(60)))
    async with asyncio.timeout(20):
        while room(desk) != before:  # noqa: ASYNC110 - nobody sets an event for it
            await asyncio.sleep(0.01)
    body = json.dumps({"email": ADA, "password": PASSWORD}).encode()
    status = (await login(desk, request(f"{BASE}/users/login", JSON, method="POST", body=body))).status
    assert (status, len(told(desk)) <= 1) == (200, True)


async def test_s56_a_login_that_was_not_looked_at_is_no_guess(site: Site) -> None:
    """With the limits on: forty that were turned away, and then all five of a minute are left."""
    upstream = await site.upstream()
    desk = Desk(site, await site.gateway(upstream, mail={"url": "file:./outbox"}), upstream)
    passwords, taken = desk.running.gateway.passwords, 0
    while passwords._room.acquire(blocking=False):
        taken += 1
    over = [(await login(desk, said(1))).status for _ in range(40)]
    passwords._room.release(taken)
    after = [(await login(desk, said(1))).status for _ in range(6)]
    assert (set(over), after, len(told(desk))) == ({503}, [401] * 5 + [429], 1)
