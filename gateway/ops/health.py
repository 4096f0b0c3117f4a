"""Readiness: whether a balancer should send this copy new requests, and why not."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from gateway.errors import DependencyFailed

CHECK_SECONDS = 1.5  # a probe has 2 or 3 s; of several workers, the supervisor waits for their answers

# Whether a condition takes the copy out of service. What hits every copy alike must not: taking all of them out turns
# a part that fails into a whole that fails. A condition without a row does.
FATAL: dict[str, bool] = {
    "draining": True,  # new connections would be refused
    "store_unavailable": True,  # its own file: only cached callers and public routes are served
    "shared_store_unavailable": False,  # a server that every copy asks: known callers are served by each
    "revocations_late": False,  # the table does not answer: until it does, the caches' own bound holds
    "revocations_unread": True,  # this copy alone would let revoked callers in, for as long as its cache lives
    "keys_pending": True,  # the first fetch of an issuer's keys has not ended: another copy may have them
    "keys_unavailable": False,  # it has ended without keys: one issuer's outage is not ours, its callers get 503
    "state_unavailable": False,  # limits count per process and news come by polling: every copy has the same outage
    "state_unsubscribed": False,  # news come by polling, half a second later
    "upstream_degraded": False,  # some of its endpoints are out: the others take their requests
    "upstream_unresolved": False,  # a name of it was not found: the addresses that it had are used
    "configuration_refused": False,  # the one before it runs whole, and what was written reaches every copy alike
    "upstream_unreachable": False,  # no live endpoint: its routes get 502, from every copy
}


@dataclass(frozen=True, slots=True)
class Condition:
    """code: a row of FATAL. subject: the issuer or upstream it is about, "" when there is only one."""

    code: str
    subject: str = ""

    def __str__(self) -> str:
        return f"{self.code}: {self.subject}" if self.subject else self.code


@dataclass(frozen=True, slots=True)
class Readiness:
    """reasons: why it is not ready; empty when it is. warnings: what else is wrong."""

    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


Check = Callable[[], Awaitable[Iterable[Condition]]]


async def readiness(checks: Sequence[Check], seconds: float = CHECK_SECONDS) -> Readiness:
    """Run all checks at once. One that raises DependencyFailed has found that code; one that takes longer is fatal."""
    groups = await asyncio.gather(*(_run(check, seconds) for check in checks))
    found = [condition for group in groups for condition in group]
    return Readiness(
        reasons=tuple(str(condition) for condition in found if FATAL.get(condition.code, True)),
        warnings=tuple(str(condition) for condition in found if not FATAL.get(condition.code, True)),
    )


async def _run(check: Check, seconds: float) -> tuple[Condition, ...]:
    try:
        async with asyncio.timeout(seconds):
            return tuple(await check())
    except DependencyFailed as failure:
        return (Condition(failure.code, failure.detail),)
    except TimeoutError:
        return (Condition("check_timeout"),)
