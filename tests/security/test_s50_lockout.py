"""S-50: guessing at somebody slows guessing at them down, and is no way to keep them out."""

import json

import pytest
from harness.client import Answer
from harness.site import Site
from identity.core.desk import ADA, BASE, BOB, JSON, PASSWORD, Desk, bearer

HOME, OFFICE = "203.0.113.7", "192.0.2.9"
LONGEST = 900  # seconds: of the gap that failures grow to


async def street(site: Site) -> Desk:
    """A gateway behind a proxy that says who is calling, with all of its limits on. Ada and Bob have passwords."""
    upstream = await site.upstream()
    said = {"mail": {"url": "file:./outbox"}, "listen": {"trusted_proxies": ["127.0.0.1/32"]}}
    desk = Desk(site, await site.gateway(upstream, **said), upstream)
    site._closers.append(desk.quiet)
    await desk.give_password(ADA)
    await desk.give_password(BOB)
    return desk


async def login(desk: Desk, network: str, password: str = PASSWORD, who: str = ADA) -> Answer:
    body = json.dumps({"email": who, "password": password}).encode()
    field = b"X-Forwarded-For: " + network.encode()
    return await desk.send("POST", f"{BASE}/users/login", JSON, field, body=body)


async def storm(desk: Desk, guesses: int = 40) -> list[int]:
    """The statuses of wrong passwords of Ada's, each from another network."""
    return [(await login(desk, f"198.51.100.{number}", "wrong horse")).status for number in range(1, guesses + 1)]


async def test_s50_a_storm_is_slowed_down(site: Site) -> None:
    """However many networks it comes from; the wait is told, and has an end."""
    desk = await street(site)
    found = await storm(desk)
    answer = await login(desk, "198.51.100.250", "wrong horse")
    assert (found.count(401) <= 15, found[-1], answer.status) == (True, 429, 429)
    assert 1 <= int(answer.one(b"retry-after")) <= LONGEST


async def test_s50_a_known_network_gets_in_during_a_storm(site: Site) -> None:
    """Where Ada has logged in from before she still can, with the right password at once."""
    desk = await street(site)
    before = (await login(desk, HOME)).status
    found = await storm(desk)
    assert (before, found[-1], (await login(desk, HOME)).status) == (200, 429, 200)


async def test_s50_elsewhere_the_right_password_waits_and_then_counts(site: Site) -> None:
    """From a network that is not known: after the gap, and never later than a quarter of an hour."""
    desk = await street(site)
    await storm(desk)
    during = await login(desk, OFFICE)
    desk.running.hand.rested += LONGEST
    assert (during.status, (await login(desk, OFFICE)).status) == (429, 200)


async def test_s50_a_storm_of_days_locks_nobody_out(site: Site) -> None:
    """Twenty gaps long, each used up by one more guess: at the end the owner waits for one of them, not for ever."""
    desk = await street(site)
    await storm(desk)
    for number in range(20):
        desk.running.hand.rested += LONGEST
        await login(desk, f"198.51.101.{number}", "wrong horse")
    desk.running.hand.rested += LONGEST
    assert (await login(desk, OFFICE)).status == 200


async def test_s50_a_storm_at_one_account_is_none_of_anothers(site: Site) -> None:
    """Bob logs in meanwhile, from a network that nobody knows."""
    desk = await street(site)
    await storm(desk)
    assert (await login(desk, OFFICE, who=BOB)).status == 200


async def test_s50_one_network_is_slowed_down_at_all_accounts(site: Site) -> None:
    """Thirty names a minute; others are not held up by it, and it is itself again a minute later."""
    desk = await street(site)
    found = [(await login(desk, HOME, "wrong horse", f"somebody-{number}@example.org")).status for number in range(40)]
    during = [(await login(desk, HOME)).status, (await login(desk, OFFICE)).status]
    desk.running.hand.rested += 61
    assert (found.count(401), found.count(429), during) == (30, 10, [429, 200])
    assert (await login(desk, HOME)).status == 200


async def test_s50_a_session_goes_on_during_a_storm(site: Site) -> None:
    """Who is in stays in, and can change the password meanwhile."""
    desk = await street(site)
    token = json.loads((await login(desk, HOME)).body)["token"]
    await storm(desk)
    assert (await desk.send("GET", "/secure/x", bearer(token))).status == 200


async def test_s50_the_mailbox_is_a_way_in_during_a_storm(site: Site) -> None:
    """A link is no guess: its holder proves more than a password, and is let in."""
    desk = await street(site)
    await storm(desk)
    link = await desk.link(ADA)
    assert (await desk.call("POST", "users/magic-link/verify", {"token": link})).status == 200


@pytest.mark.parametrize("forged", ["203.0.113.7", "203.0.113.7, 198.51.100.1", "::ffff:203.0.113.7"])
async def test_s50_a_network_cannot_be_claimed(site: Site, forged: str) -> None:
    """Without a trusted proxy in front, a field makes nobody a neighbour of Ada's."""
    upstream = await site.upstream()
    desk = Desk(site, await site.gateway(upstream, mail={"url": "file:./outbox"}), upstream)
    await desk.give_password(ADA)
    found = [(await login(desk, f"{forged}", "wrong horse")).status for _ in range(6)]
    others = [(await login(desk, f"198.51.100.{number}", "wrong horse")).status for number in range(3)]
    assert (found, set(others)) == ([401] * 5 + [429], {429})
