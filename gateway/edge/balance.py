"""Which endpoint of an upstream takes the next request. Pure: sees counts, weights and times, no sockets.

On the measured path: nothing is allocated, and each choice looks at every endpoint once or twice.
"""

import zlib
from collections.abc import Callable, Sequence
from math import log
from typing import Final, Literal, Protocol, TypeVar

from gateway.edge.health import Health

Balance = Literal["round_robin", "least", "p2c", "hash"]


class Candidate(Protocol):
    """credit: what round robin owes it. seed: 32 bits of its name, the same in every process."""

    health: Health
    credit: float
    seed: int

    def share(self, now: float) -> float:
        """Its weight now, above 0."""


C = TypeVar("C", bound=Candidate)
Choose = Callable[[Sequence[C], float], C]
Below = Callable[[int], int]  # a random whole number from 0 to below this one


def round_robin() -> Choose[C]:
    """Each in turn over those that are well, as often as its weight says, and spread evenly: the one that is owed most
    goes first, and pays for the rest."""

    def choose(endpoints: Sequence[C], now: float) -> C:
        best: C | None = None
        total = 0.0
        for endpoint in endpoints:
            if endpoint.health.retry_at <= now:
                share = endpoint.share(now)
                total += share
                endpoint.credit += share
                if best is None or endpoint.credit > best.credit:
                    best = endpoint
        if best is None:
            return last_resort(endpoints, now)
        best.credit -= total
        return best

    return choose


def least() -> Choose[C]:
    """The one with the fewest exchanges under way for its weight; each in turn where that is a tie."""
    turn = 0

    def choose(endpoints: Sequence[C], now: float) -> C:
        nonlocal turn
        turn = at = (turn + 1) % len(endpoints)
        best: C | None = None
        lowest = 0.0
        for _ in endpoints:
            endpoint = endpoints[at]
            at = at + 1 if at + 1 < len(endpoints) else 0
            if endpoint.health.retry_at <= now:
                load = _load(endpoint, now)
                if best is None or load < lowest:
                    best, lowest = endpoint, load
        return last_resort(endpoints, now) if best is None else best

    return choose


def p2c(below: Below) -> Choose[C]:
    """Of two at random the one with less to do: many gateways that see only their own exchanges do not all run to the
    same endpoint, as they would with `least`."""

    def choose(endpoints: Sequence[C], now: float) -> C:
        well = 0
        for endpoint in endpoints:
            if endpoint.health.retry_at <= now:
                well += 1
        if not well:
            return last_resort(endpoints, now)
        one = _nth(endpoints, below(well), now)
        if well == 1:
            return one
        # of the others: a number below `well - 1` that skips the first
        other = _another(endpoints, below(well - 1), one, now)
        return one if _load(one, now) <= _load(other, now) else other

    return choose


def hashed(endpoints: Sequence[C], key: bytes, now: float) -> C:
    """The same one for the same key, in every process: rendezvous hashing. Keys of an endpoint that is out are shared
    by the others, all other keys stay where they are; a new one takes its part from each, and no key moves besides.

    Weights: the logarithmic method (Schindelhauer and Schomaker, 2005).
    """
    hashed_key = zlib.crc32(key)
    best: C | None = None
    highest = 0.0
    for endpoint in endpoints:
        if endpoint.health.retry_at <= now:
            score = endpoint.share(now) / -log((_mixed(hashed_key ^ endpoint.seed) + 0.5) / 4294967296.0)
            if best is None or score > highest:
                best, highest = endpoint, score
    return last_resort(endpoints, now) if best is None else best


def last_resort(endpoints: Sequence[C], now: float) -> C:
    """None is well. Then checks and ejections are not believed, as they may be wrong of all at once: those that do not
    rest after a failed connect take turns. Where all rest, the one that would be tried next is tried now, for there is
    nothing to lose."""
    best: C | None = None
    soonest = endpoints[0]
    total = 0.0
    for endpoint in endpoints:
        if endpoint.health.resting <= now:
            share = endpoint.share(now)
            total += share
            endpoint.credit += share
            if best is None or endpoint.credit > best.credit:
                best = endpoint
        elif endpoint.health.resting < soonest.health.resting:
            soonest = endpoint
    if best is None:
        return soonest
    best.credit -= total
    return best


def _load(endpoint: Candidate, now: float) -> float:
    return (endpoint.health.outstanding + 1) / endpoint.share(now)


def _nth(endpoints: Sequence[C], place: int, now: float) -> C:
    for endpoint in endpoints:
        if endpoint.health.retry_at <= now:
            if not place:
                return endpoint
            place -= 1
    return endpoints[0]


def _another(endpoints: Sequence[C], place: int, one: C, now: float) -> C:
    for endpoint in endpoints:
        if endpoint.health.retry_at <= now and endpoint is not one:
            if not place:
                return endpoint
            place -= 1
    return one


def _mixed(value: int) -> int:
    """The finalizer of MurmurHash3 (public domain): CRCs of two names differ by the same bits for every key, and their
    order alone would share keys unevenly."""
    value ^= value >> 16
    value = value * 0x85EBCA6B & _MASK
    value ^= value >> 13
    value = value * 0xC2B2AE35 & _MASK
    return value ^ (value >> 16)


_MASK: Final = 0xFFFFFFFF


def seed_of(name: str) -> int:
    """Of an endpoint, for `hashed`."""
    return zlib.crc32(name.encode())


def below(seed: bytes) -> Below:
    """Numbers that are spread evenly enough for `p2c`, and cost less than the system's: xorshift32 (Marsaglia, 2003).

    seed: 4 random bytes.
    """
    state = int.from_bytes(seed, "big") or 1

    def number(limit: int) -> int:
        nonlocal state
        state ^= state << 13 & _MASK
        state ^= state >> 17
        state ^= state << 5 & _MASK
        return (state * limit) >> 32

    return number
