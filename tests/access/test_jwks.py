"""Keys of external issuers: when they are fetched, how long they last, and what a caller is told."""

import asyncio
from dataclasses import replace

import pytest
from identity.forge import jwk, jwks, rsa_key

from gateway.access.jwks import REFRESH_DEFAULT, REFRESH_LEAST, REFRESH_MOST, RETRY_LAST, Fetched, Jwks, KeySource
from gateway.clock import Clock
from gateway.errors import DependencyFailed

from .world import Site, Time

FIRST, SECOND = jwk(rsa_key(), "k1"), jwk(rsa_key(name="other"), "k2")


class Nap:
    """Stands in for asyncio.sleep: each sleep lasts until `wake`. slept: seconds asked for."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self._began = asyncio.Semaphore(0)
        self._wake = asyncio.Event()

    async def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._wake.clear()
        self._began.release()
        await self._wake.wait()

    async def next(self) -> None:
        """Waits for a sleep to begin."""
        await self._began.acquire()

    def wake(self) -> None:
        self._wake.set()


def made(stale: float = 86400.0, *names: str) -> tuple[Jwks, Site, Time]:
    site, time = Site(), Time()
    site.publish(FIRST)
    sources = [KeySource(name, f"http://127.0.0.1/{name}", stale) for name in names or ("acme",)]
    return Jwks(sources, site, time.clock), site, time


async def unavailable(keys: Jwks, kid: str = "k1") -> int | None:
    with pytest.raises(DependencyFailed) as caught:
        await keys.key("acme", kid)
    assert caught.value.code == "keys_unavailable"
    return caught.value.retry_after


async def test_the_first_caller_waits_for_the_first_fetch() -> None:
    """Keys are there on the first request, without a background refresh."""
    keys, site, _ = made()
    assert (await keys.key("acme", "k1")) is not None
    assert site.fetches == 1


async def test_known_keys_cost_no_fetch() -> None:
    """One fetch serves all later callers."""
    keys, site, _ = made()
    for _ in range(10):
        await keys.key("acme", "k1")
    assert site.fetches == 1


async def test_callers_share_one_fetch() -> None:
    """However many wait, the issuer is asked once."""
    keys, site, _ = made()
    found = await asyncio.gather(*(keys.key("acme", "k1") for _ in range(50)))
    assert None not in found
    assert site.fetches == 1


async def test_a_caller_who_gives_up_does_not_end_the_fetch() -> None:
    """A cancelled request is nobody else's problem."""
    keys, site, _ = made()
    site.gate = asyncio.Event()
    first, second = (asyncio.create_task(keys.key("acme", "k1")) for _ in range(2))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    first.cancel()
    site.gate.set()
    assert (await second) is not None


async def test_an_unknown_kid_is_looked_for_at_once() -> None:
    """S-33: a rotated key is found by the first token that it signed."""
    keys, site, _ = made()
    await keys.key("acme", "k1")
    site.publish(FIRST, SECOND)
    assert (await keys.key("acme", "k2")) is not None


async def test_ten_thousand_random_kids_cause_one_fetch_in_a_window() -> None:
    """S-33: what tokens say cannot make the gateway flood the issuer."""
    keys, site, _ = made()
    await keys.key("acme", "k1")
    before = site.fetches
    for number in range(10_000):
        assert (await keys.key("acme", f"random-{number}")) is None
    assert site.fetches == before + 1


@pytest.mark.parametrize(("seconds", "fetches"), [(29.999, 2), (30.0, 3)])
async def test_the_window_is_30_seconds_long(seconds: float, fetches: int) -> None:
    """Both sides of its end."""
    keys, site, time = made()
    await keys.key("acme", "k1")
    await keys.key("acme", "x")
    time.pass_(seconds)
    await keys.key("acme", "y")
    assert site.fetches == fetches


async def test_a_rotation_inside_the_window_is_found_at_its_end() -> None:
    """S-33: a flood of random kids delays a new key by one window at most."""
    keys, site, time = made()
    await keys.key("acme", "x")
    await keys.key("acme", "x")
    site.publish(SECOND)
    assert (await keys.key("acme", "k2")) is None
    time.pass_(30)
    assert (await keys.key("acme", "k2")) is not None


async def test_a_removed_key_stops_with_the_next_fetch() -> None:
    """S-33: the set that was fetched last is the set."""
    keys, site, _ = made()
    await keys.key("acme", "k1")
    site.publish(SECOND)
    await keys.refresh()
    assert (await keys.key("acme", "k1")) is None


async def test_no_keys_is_unavailable_and_says_when_to_retry() -> None:
    """S-26: 503 with Retry-After, never 401, never a pass."""
    keys, site, _ = made()
    site.fails = True
    retry_after = await unavailable(keys)
    assert retry_after is not None
    assert retry_after >= 1


async def test_a_failing_issuer_is_not_asked_by_every_caller() -> None:
    """The next attempt waits, and callers are told so without one."""
    keys, site, _ = made()
    site.fails = True
    for _ in range(100):
        await unavailable(keys)
    assert site.fetches == 1


async def test_a_failing_issuer_is_asked_again_after_the_wait() -> None:
    """Both sides of the first second."""
    keys, site, time = made()
    site.fails = True
    await unavailable(keys)
    site.fails = False
    time.pass_(0.999)
    await unavailable(keys)
    time.pass_(0.001)
    assert (await keys.key("acme", "k1")) is not None


@pytest.mark.parametrize(("beyond", "there"), [(-0.001, True), (0.0, False)])
async def test_keys_outlive_their_refresh_by_the_stale_time(beyond: float, there: bool) -> None:
    """Keys that we hold stay good for the refresh interval and `stale`, then they are gone: 503."""
    keys, site, time = made(100.0)
    await keys.key("acme", "k1")
    site.fails = True
    time.pass_(REFRESH_DEFAULT + 100.0 + beyond)
    if there:
        assert (await keys.key("acme", "k1")) is not None
    else:
        await unavailable(keys)


async def test_an_unknown_kid_while_the_issuer_is_down_is_unavailable() -> None:
    """It may be a new key: 401 would make clients throw good sessions away."""
    keys, site, _ = made()
    await keys.key("acme", "k1")
    site.fails = True
    await unavailable(keys, "k2")
    await unavailable(keys, "k2")
    assert site.fetches == 2


@pytest.mark.parametrize("document", [b"", b"<html></html>", b'{"keys":[]}', b'{"keys":[{"kty":"oct","k":"AAAA"}]}'])
async def test_a_useless_answer_keeps_the_keys_that_we_hold(document: bytes) -> None:
    """S-32: an answer without a usable key is a failed fetch, not an empty set."""
    keys, site, _ = made()
    await keys.key("acme", "k1")
    site.document = document
    await keys.refresh()
    assert (await keys.key("acme", "k1")) is not None


async def test_a_fetch_that_hangs_is_given_up() -> None:
    """S-26: whoever implements the fetch, nobody waits for ever."""
    site = Site(gate=asyncio.Event())
    keys = Jwks([KeySource("acme", "http://127.0.0.1/")], site, Time().clock, patience=0.001)
    await unavailable(keys)


async def test_a_kid_belongs_to_its_issuer() -> None:
    """S-30: the same kid at two issuers is two keys (CVE-2026-49998 and its like)."""
    keys, site, _ = made(86400.0, "acme", "other")
    mine = await keys.key("acme", "k1")
    site.publish({**SECOND, "kid": "k1"})
    theirs = await keys.key("other", "k1")
    assert mine is not None
    assert theirs is not None
    assert mine.key != theirs.key


async def test_ages_tell_who_has_no_keys() -> None:
    """For the metrics and for readiness."""
    keys, _, time = made(86400.0, "acme", "other")
    await keys.key("acme", "k1")
    time.pass_(7)
    assert keys.ages() == {"acme": 7.0, "other": None}


@pytest.mark.parametrize("fails", [False, True])
async def test_an_issuer_is_pending_until_its_first_fetch_has_ended(fails: bool) -> None:
    """Well or badly."""
    keys, site, _ = made()
    site.fails, site.gate = fails, asyncio.Event()
    fetching = asyncio.create_task(keys.refresh())
    await asyncio.sleep(0)
    before = keys.pending()
    site.gate.set()
    await fetching
    assert (before, keys.pending()) == ({"acme"}, frozenset())


def chance(time: Time, byte: bytes) -> Clock:
    """Of a time whose chance is always this one."""
    return replace(time.clock, token_bytes=lambda count: byte * count)


@pytest.mark.parametrize(
    ("max_age", "sleeps"),
    [
        (None, REFRESH_DEFAULT),
        (0.0, REFRESH_LEAST),
        (59.0, REFRESH_LEAST),
        (61.0, 61.0),
        (3599.0, 3599.0),
        (86400.0, REFRESH_MOST),
    ],
)
@pytest.mark.parametrize(("byte", "part"), [(b"\x00", 0.9), (b"\xff", 1.0)])
async def test_the_background_refresh_follows_cache_control_within_bounds(
    max_age: float | None, sleeps: float, byte: bytes, part: float
) -> None:
    """One minute to one hour, five minutes when the issuer says nothing; a tenth of it earlier at most, by chance."""
    nap, site, time = Nap(), Site(max_age=max_age), Time()
    site.publish(FIRST)
    keys = Jwks([KeySource("acme", "http://127.0.0.1/")], site, chance(time, byte), nap)
    keys.start()
    await nap.next()
    await keys.aclose()
    assert nap.slept == pytest.approx([sleeps * part])


async def test_the_background_refresh_backs_off_while_it_fails() -> None:
    """1, 2, 4 seconds and so on, half a minute at most; then back to the interval."""
    nap, site, time = Nap(), Site(fails=True), Time()
    site.publish(FIRST)
    keys = Jwks([KeySource("acme", "http://127.0.0.1/")], site, chance(time, b"\xff"), nap)
    keys.start()
    for sleeps in range(1, 8):
        await nap.next()
        time.pass_(nap.slept[-1])
        site.fails = sleeps < 7
        nap.wake()
    await nap.next()
    await keys.aclose()
    assert nap.slept == [1, 2, 4, 8, 16, RETRY_LAST, RETRY_LAST, pytest.approx(REFRESH_DEFAULT)]


async def test_the_background_refresh_outlives_whatever_a_fetch_raises() -> None:
    """A fault of the library that reads the answer is no reason to keep an issuer's old keys for good."""
    nap, site, time = Nap(), Site(), Time()
    site.publish(FIRST)
    raised = [ValueError("never seen before")]

    async def fetch(url: str) -> Fetched:
        if raised:
            raise raised.pop()
        return await site(url)

    keys = Jwks([KeySource("acme", "http://127.0.0.1/")], fetch, time.clock, nap)
    keys.start()
    await nap.next()
    time.pass_(nap.slept[-1])
    nap.wake()
    await nap.next()
    assert await keys.key("acme", "k1") is not None
    await keys.aclose()


async def test_an_outage_of_an_issuer_is_told_once_and_so_is_its_end() -> None:
    """With the reason; None is the end."""
    site, time = Site(fails=True), Time()
    site.publish(FIRST)
    heard: list[tuple[str, str]] = []
    keys = Jwks(
        [KeySource("acme", "http://127.0.0.1/")],
        site,
        time.clock,
        told=lambda *said: heard.append((said[0], str(said[1]))),
    )
    await keys.refresh()
    await keys.refresh()
    site.fails = False
    await keys.refresh()
    await keys.refresh()
    assert heard == [("acme", "keys_unavailable"), ("acme", "None")]


async def test_closing_ends_refresh_and_fetch() -> None:
    """No task is left behind, not even one that waits for the issuer."""
    keys, site, _ = made()
    site.gate = asyncio.Event()
    keys.start()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await keys.aclose()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_fetches_are_counted_by_what_came_of_them() -> None:
    """Of an issuer that answers, does not, and answers again."""
    counted: list[tuple[str, str]] = []
    site, time = Site(), Time()
    site.publish(FIRST)
    keys = Jwks([KeySource("acme", "http://127.0.0.1/")], site, time.clock, counted=lambda *what: counted.append(what))
    await keys.refresh()
    site.fails = True
    await keys.refresh()
    site.fails = False
    await keys.refresh()
    assert counted == [("acme", "fetched"), ("acme", "failed"), ("acme", "fetched")]


@pytest.mark.parametrize(("found", "outcome"), [(None, "same"), (5.0, "shared"), (0.0, "fetched")])
async def test_what_another_node_has_fetched_is_counted_as_such(found: float | None, outcome: str) -> None:
    """And what nobody had to fetch."""

    class Others:
        async def newer(self, *_: object) -> Fetched | None:
            return None if found is None else Fetched(jwks(FIRST), at=found)

    counted: list[tuple[str, str]] = []
    keys = Jwks(
        [KeySource("acme", "http://127.0.0.1/")],
        Site(),
        Time().clock,
        documents=Others(),
        counted=lambda *what: counted.append(what),
    )
    await keys.refresh()
    assert counted == [("acme", outcome)]
