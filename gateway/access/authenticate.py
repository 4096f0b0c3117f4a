"""Who is calling: the cache of verified credentials before the checks of `verifiers`.

The cache is what makes the gateway fast, and it is where a revoked credential could live on. So its key is the whole
credential, an entry dies with the credential at the latest, and a purge also undoes what is being verified right now.
"""

import asyncio
import types
from collections import Counter, OrderedDict
from collections.abc import Coroutine, Generator, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final, assert_never

from gateway.access.authorize import Permit, authorize
from gateway.access.verifiers import Verifiers
from gateway.errors import DependencyFailed, GatewayError, RequestRejected
from gateway.identity.model import Principal, Revocation
from gateway.routes.model import RoleRule, Route
from gateway.wire.credentials import Presented

if TYPE_CHECKING:
    from gateway.access.inject import Injected

# Entries in each map of a credential; a caller with more pays for them anew. In `blocks` a route has up to two.
MAX_BLOCKS: Final = 64
_ATTEMPTS: Final = 3  # verifications that a purge overtook, before the caller is sent away
_SWEPT: Final = 4  # dead entries dropped for each one that is made, so that they never pile up
_KINDS: Final = ("connection_string", "jwt", "opaque")
_NO_ACCOUNT: Final = ""  # in the index by account: callers that have none


class Verified:
    """A verified credential, until it has to be verified again. Plain and slotted: read on the hot path.

    since, until: seconds since the epoch. blocks, profiles: bytes for upstreams, kept by `inject`; they die with this.
    """

    __slots__ = ("blocks", "permits", "principal", "profiles", "since", "until")

    def __init__(self, principal: Principal, since: float, until: float) -> None:
        self.principal = principal
        self.since = since
        self.until = until
        self.permits: dict[Route, Permit] = {}
        self.blocks: dict[object, Injected] = {}
        self.profiles: dict[tuple[RoleRule, ...], bytes] = {}

    def permit(self, route: Route, now: float) -> Permit:
        """As `authorize`, remembered: the answer depends on nothing but the principal, the route and the expiry."""
        known = self.permits.get(route)
        if known is not None and now < known.until:
            return known
        if len(self.permits) >= MAX_BLOCKS:
            self.permits.clear()
        permit = self.permits[route] = authorize(self.principal, route, now)
        return permit


_Settled = tuple[Verified | GatewayError, int]  # the outcome of a verification, and the epoch it rests on


@dataclass(frozen=True, slots=True)
class CacheLimits:
    """credentials, negative: seconds that a good and a refused credential is remembered. size: entries of each."""

    credentials: float = 30.0
    negative: float = 2.0
    size: int = 100_000


@dataclass(frozen=True, slots=True)
class _Refusal:
    code: str
    detail: str
    since: float
    until: float


class Authenticator:
    """hits, misses, negative_hits, outcomes: counters for the metrics; outcomes by reason code, and `verified`."""

    def __init__(self, verifiers: Verifiers, limits: CacheLimits, generation: int = 0) -> None:
        """generation: of the configuration. What one verified, another does not recall."""
        self._verifiers = verifiers
        self._limits = limits
        self._salts = {kind: b"%d %s " % (generation, kind.encode()) for kind in _KINDS}
        # Two maps: a flood of wrong credentials must not push the good ones out.
        self._entries: OrderedDict[bytes, Verified] = OrderedDict()
        self._refusals: OrderedDict[bytes, _Refusal] = OrderedDict()
        self._by_grant: dict[str, set[bytes]] = {}
        self._by_account: dict[str, set[bytes]] = {}
        self._flights: dict[bytes, asyncio.Task[_Settled]] = {}
        self._epoch = 0
        self._used: dict[str, float] = {}
        self.hits = 0
        self.misses = 0
        self.negative_hits = 0
        self.outcomes: Counter[str] = Counter()

    @property
    def entries(self) -> int:
        """Good credentials remembered."""
        return len(self._entries)

    @property
    def refusals(self) -> int:
        """Refused credentials remembered."""
        return len(self._refusals)

    def recall(self, presented: Presented, now: float) -> Verified | RequestRejected | None:
        """What is remembered of this credential, None if it has to be verified. now: seconds since the epoch."""
        known = self._known(sha256(self._salts[presented.kind] + presented.raw).digest(), now)
        if isinstance(known, Verified):
            self.hits += 1
        elif known is None:
            self.misses += 1
        else:
            self.negative_hits += 1
        return known

    async def verify(self, presented: Presented, now: float) -> Verified:
        """Verifies, and remembers. Those who present the same credential meanwhile share one verification.

        Raises RequestRejected with a 401 code, DependencyFailed.
        """
        key = sha256(self._salts[presented.kind] + presented.raw).digest()
        known = self._known(key, now)  # another caller may have been served since `recall`
        if isinstance(known, Verified):
            return known
        if known is not None:
            raise known
        for _ in range(_ATTEMPTS):
            flight = self._flights.get(key)
            if flight is None:
                outcome, epoch = await self._begin(key, presented, now)
            else:
                outcome, epoch = await asyncio.shield(flight)  # it goes on for the others when this caller gives up
            if epoch != self._epoch:
                continue  # a purge came in between: what was read may be what it revoked
            if isinstance(outcome, Verified):
                return outcome
            raise outcome
        raise DependencyFailed("overloaded", retry_after=1)

    async def holder(self, grant_id: str, now: float) -> Verified:
        """As if its holder had presented a grant of ours: to explain a request, never to let one pass. Not remembered.

        Raises RequestRejected with a 401 code, DependencyFailed.
        """
        principal = await self._verifiers.holder(grant_id, now)
        return Verified(principal, now, min(principal.expires_at, now + self._limits.credentials))

    async def reload_keys(self) -> None:
        """Reads our own keys now. Raises DependencyFailed."""
        await self._verifiers.reload_keys()

    def purge(self, revocations: Iterable[Revocation]) -> None:
        """Forgets what these void, at once."""
        for revocation in revocations:
            match revocation.kind:
                case "grant":
                    self._forget(self._by_grant.get(revocation.subject))
                case "account":
                    self._forget(self._by_account.get(revocation.subject))
                    self._forget(self._by_account.get(_NO_ACCOUNT))  # one of them may have been given this account
                case "keys":
                    self._verifiers.forget_keys()
                    self._forget(list(self._entries))
                case "all":
                    self._forget(list(self._entries))
                case _:
                    assert_never(revocation.kind)
            self._refusals.clear()
            self._epoch += 1

    def purge_all(self) -> None:
        """Forgets everything, our own keys included."""
        self.purge((Revocation(0, "keys", ""),))

    def take_used(self) -> Mapping[str, float]:
        """When each grant was verified since the last call: that is not at each use, but at least each half minute."""
        used, self._used = self._used, {}
        return used

    async def aclose(self) -> None:
        """Ends the verifications under way."""
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    def _known(self, key: bytes, now: float) -> Verified | RequestRejected | None:
        entry = self._entries.get(key)
        if entry is not None:
            if entry.since <= now < entry.until:  # a clock set back must not lengthen a life
                return entry
            self._drop(key)
        refusal = self._refusals.get(key)
        if refusal is not None and refusal.since <= now < refusal.until:
            return RequestRejected(refusal.code, refusal.detail)
        return None

    async def _begin(self, key: bytes, presented: Presented, now: float) -> _Settled:
        """Most verifications never wait: they end here, at once. One that waits goes on as a task, for all to share."""
        work = self._settle(key, presented, now)
        try:
            waits_for = work.send(None)
        except StopIteration as ended:
            settled: _Settled = ended.value
            return settled
        flight = self._flights[key] = asyncio.create_task(_resumed(work, waits_for))
        # where it was cancelled before `work` could go on, `work` ends here, and takes itself out of the flights
        flight.add_done_callback(lambda _over: work.close())
        return await asyncio.shield(flight)

    async def _settle(self, key: bytes, presented: Presented, now: float) -> _Settled:
        """The outcome, and the epoch in which all that it rests on was read."""
        epoch = self._epoch
        try:
            outcome = await self._check(presented, now)
        finally:
            self._flights.pop(key, None)
        if epoch == self._epoch:
            self._remember(key, outcome, now)
        return outcome, epoch

    async def _check(self, presented: Presented, now: float) -> Verified | GatewayError:
        try:
            principal = await self._verifiers.principal(presented, now)
        except (RequestRejected, DependencyFailed) as fault:
            return fault
        return Verified(principal, now, min(principal.expires_at, now + self._limits.credentials))

    def _remember(self, key: bytes, outcome: Verified | GatewayError, now: float) -> None:
        if isinstance(outcome, Verified):
            self.outcomes["verified"] += 1
            self._keep(key, outcome, now)
            return
        self.outcomes[outcome.code] += 1
        if isinstance(outcome, RequestRejected):
            self._keep_refusal(key, _Refusal(outcome.code, outcome.detail, now, now + self._limits.negative))

    def _keep_refusal(self, key: bytes, refusal: _Refusal) -> None:
        self._refusals.pop(key, None)  # made anew, it goes to the end
        for _ in range(_SWEPT):
            oldest = next(iter(self._refusals.values()), None)
            if oldest is None or (len(self._refusals) < self._limits.size and refusal.since < oldest.until):
                break
            self._refusals.popitem(last=False)
        self._refusals[key] = refusal

    def _keep(self, key: bytes, verified: Verified, now: float) -> None:
        self._drop(key)
        for _ in range(_SWEPT):
            oldest = next(iter(self._entries), None)
            if oldest is None or (len(self._entries) < self._limits.size and now < self._entries[oldest].until):
                break
            self._drop(oldest)
        principal = verified.principal
        self._entries[key] = verified
        if principal.grant_id is not None:
            self._by_grant.setdefault(principal.grant_id, set()).add(key)
            self._used[principal.grant_id] = verified.since
        self._by_account.setdefault(_account_id(principal), set()).add(key)

    def _drop(self, key: bytes) -> None:
        verified = self._entries.pop(key, None)
        if verified is None:
            return
        verified.until = 0.0  # a connection may hold on to it
        if verified.principal.grant_id is not None:
            _discard(self._by_grant, verified.principal.grant_id, key)
        _discard(self._by_account, _account_id(verified.principal), key)

    def _forget(self, keys: Iterable[bytes] | None) -> None:
        for key in tuple(keys or ()):
            self._drop(key)


async def _resumed(work: Coroutine[object, None, _Settled], waits_for: object) -> _Settled:
    return await _rest(work, waits_for)


@types.coroutine
def _rest(work: Coroutine[object, None, _Settled], waits_for: object) -> Generator[object, None, _Settled]:
    """What is left of a coroutine that was driven to its first wait, which the awaiting task takes over."""
    try:
        while True:
            try:
                yield waits_for
            except BaseException as thrown:  # what it waited for failed, or the task was cancelled: it is for `work`
                waits_for = work.throw(thrown)
            else:
                waits_for = work.send(None)
    except StopIteration as ended:
        settled: _Settled = ended.value
        return settled


def _account_id(principal: Principal) -> str:
    return _NO_ACCOUNT if principal.account is None else principal.account.id


def _discard(index: dict[str, set[bytes]], owner: str, key: bytes) -> None:
    keys = index[owner]
    keys.discard(key)
    if not keys:
        del index[owner]
