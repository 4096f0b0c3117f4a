"""The signing keys of external issuers: fetched, kept fresh in the background, and never mixed between issuers.

Three laws. Keys that we hold stay good while the issuer does not answer, for a bounded time. A caller is told 503, not
401, as long as we cannot know better. What tokens say (random `kid`s) causes at most one fetch per issuer and window.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from gateway.clock import Clock
from gateway.errors import DependencyFailed
from gateway.identity.tokens import VerifyingKey, parse_jwks

UNKNOWN_KID_WINDOW: Final = 30.0  # seconds between fetches that unknown `kid`s may cause
FETCH_SECONDS: Final = 5.0
MAX_BODY_BYTES: Final = 1 << 20
# Seconds between background refreshes: what the issuer's Cache-Control says, within bounds.
REFRESH_DEFAULT: Final = 300.0
REFRESH_LEAST: Final = 60.0
REFRESH_MOST: Final = 3600.0
# Seconds before a failed fetch is repeated: doubled from the first to the last.
RETRY_FIRST: Final = 1.0
RETRY_LAST: Final = 30.0


@dataclass(frozen=True, slots=True)
class Fetched:
    """A document. max_age: seconds from its Cache-Control, None if it says nothing.

    at: when another node fetched it, in seconds since the epoch; 0 when it was fetched here and now.
    """

    body: bytes
    max_age: float | None = None
    at: float = 0.0


class Fetch(Protocol):
    """Reads a document of at most MAX_BODY_BYTES, following no redirect."""

    async def __call__(self, url: str) -> Fetched:
        """Raises DependencyFailed("keys_unavailable") for anything but a whole answer with status 200."""


@dataclass(frozen=True, slots=True)
class KeySource:
    """issuer: its configured name. stale: seconds that keys stay good after the refresh that should replace them."""

    issuer: str
    url: str
    stale: float = 86400.0


class Documents(Protocol):
    """What other nodes have fetched."""

    async def newer(
        self, source: KeySource, held: float, again: bool, fetch: Callable[[], Awaitable[Fetched]]
    ) -> Fetched | None:
        """A document newer than the one fetched at `held` (seconds since the epoch, 0 for none): of another node, or
        by `fetch`, which raises.

        again: it is for an unknown `kid`; then None, when the one that is held is of this window.
        """
        ...


Counted = Callable[[str, str], object]  # an issuer's name, and what came of a fetch: fetched, shared, same or failed
Told = Callable[[str, Exception | None], object]  # an issuer's name, and why its keys were not fetched; None: they were


class Jwks:
    """The keys of all issuers. Times are monotonic seconds of `clock`."""

    def __init__(
        self,
        sources: Iterable[KeySource],
        fetch: Fetch,
        clock: Clock,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        patience: float = FETCH_SECONDS,
        told: Told = lambda _issuer, _reason: None,
        documents: Documents | None = None,
        counted: Counted = lambda _issuer, _outcome: None,
    ) -> None:
        """patience: seconds that one fetch of this node may take. told: of outages, each once, and of their end.
        counted: of each fetch.

        documents: shared with other nodes; None for a node alone.
        """
        self._issuers = {
            source.issuer: _IssuerKeys(source, fetch, clock, patience, told, documents, counted) for source in sources
        }
        self._sleep = sleep
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begins the background refresh, with a first fetch at once."""
        self._tasks += [asyncio.create_task(keys.keep_fresh(self._sleep)) for keys in self._issuers.values()]

    async def key(self, issuer: str, kid: str) -> VerifyingKey | None:
        """The key of that issuer, None if the issuer has no such key.

        Raises DependencyFailed("keys_unavailable") with retry_after when that cannot be known now.
        """
        return await self._issuers[issuer].key(kid)

    async def refresh(self) -> None:
        """Fetches all key sets now, whatever the windows say. Those that fail keep their keys."""
        await asyncio.gather(*(keys.load() for keys in self._issuers.values()))

    def ages(self) -> dict[str, float | None]:
        """Seconds since the last successful fetch by issuer name, None where there was none or the keys are too old."""
        return {name: keys.age() for name, keys in self._issuers.items()}

    def pending(self) -> frozenset[str]:
        """Names of the issuers whose first fetch has not ended, well or badly."""
        return frozenset(name for name, keys in self._issuers.items() if not keys.tried)

    async def aclose(self) -> None:
        """Ends the background refresh and whatever is being fetched."""
        tasks = [*self._tasks, *(keys.flight for keys in self._issuers.values() if keys.flight is not None)]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _IssuerKeys:
    def __init__(
        self,
        source: KeySource,
        fetch: Fetch,
        clock: Clock,
        patience: float,
        told: Told,
        documents: Documents | None,
        counted: Counted,
    ) -> None:
        self._source = source
        self._counted = counted
        self._told = told
        self._fetch = fetch
        self._documents = documents
        self._now = clock.monotonic
        self._epoch_now = clock.now
        self._held = 0.0  # when the document was fetched, by whichever node, in seconds since the epoch
        self._between = clock.between
        self._early = 1.0  # of the time until the next refresh: nodes that fetched together do not ask together
        self._patience = patience
        self._keys: Mapping[str, VerifyingKey] = {}
        self._fetched_at: float | None = None
        self._refresh_in = REFRESH_DEFAULT
        self._failures = 0
        self._retry_at = 0.0
        self._window_ends: float | None = None
        self.tried = False  # whether a fetch has ended
        self.flight: asyncio.Task[None] | None = None

    def age(self) -> float | None:
        if self._fetched_at is None:
            return None
        age = self._now() - self._fetched_at
        return age if age < self._refresh_in + self._source.stale else None

    async def key(self, kid: str) -> VerifyingKey | None:
        if self.age() is None:
            if self.flight is not None or self._now() >= self._retry_at:
                await self.load()
            if self.age() is None:
                raise self._unavailable()
            return self._keys.get(kid)
        found = self._keys.get(kid)
        if found is None:
            await self._look_again()
            found = self._keys.get(kid)
            if found is None and self._failures:
                raise self._unavailable()  # it may be a new key that we could not fetch
        return found

    async def load(self, again: bool = False) -> None:
        """One fetch, shared by all who wait; it goes on when one of them gives up. Never raises its failure.

        again: as in Documents.
        """
        if self.flight is None:
            self.flight = asyncio.create_task(self._load(again))
        await asyncio.shield(self.flight)

    async def keep_fresh(self, sleep: Callable[[float], Awaitable[object]]) -> None:
        while True:
            await self.load()
            await sleep(max((self._retry_at if self._failures else self._refresh_at()) - self._now(), 0.0))

    def _refresh_at(self) -> float:
        return (self._now() if self._fetched_at is None else self._fetched_at) + self._refresh_in * self._early

    async def _look_again(self) -> None:
        if self.flight is None:
            if self._window_ends is not None and self._now() < self._window_ends:
                return
            self._window_ends = self._now() + UNKNOWN_KID_WINDOW
        await self.load(again=True)

    async def _load(self, again: bool) -> None:
        try:
            fetched = await self._newest(again)
            keys = self._keys if fetched is None else parse_jwks(fetched.body)
        except Exception as error:  # whatever an issuer sends: the refresh goes on
            self._counted(self._source.issuer, "failed")
            if not self._failures:
                self._told(self._source.issuer, error)
            self._failures += 1
            self._retry_at = self._now() + min(RETRY_FIRST * 2 ** min(self._failures - 1, 10), RETRY_LAST)
        else:
            if self._failures:
                self._told(self._source.issuer, None)
            self._failures = 0
            self._counted(self._source.issuer, _kind(fetched))
            if fetched is not None:
                self._keep(keys, fetched)
        finally:
            self.tried = True
            self.flight = None

    async def _newest(self, again: bool) -> Fetched | None:
        if self._documents is None:
            return await self._bounded()
        return await self._documents.newer(self._source, self._held, again, self._checked)

    async def _checked(self) -> Fetched:
        """What is not a key set is offered to nobody."""
        fetched = await self._bounded()
        parse_jwks(fetched.body)
        return fetched

    async def _bounded(self) -> Fetched:
        async with asyncio.timeout(self._patience):
            return await self._fetch(self._source.url)

    def _keep(self, keys: Mapping[str, VerifyingKey], fetched: Fetched) -> None:
        now = self._epoch_now()
        self._keys = keys
        self._held = fetched.at or now
        self._fetched_at = self._now() - max(now - self._held, 0.0)
        self._refresh_in = refresh_seconds(fetched.max_age)
        self._early = self._between(0.9, 1.0)

    def _unavailable(self) -> DependencyFailed:
        wait = max(self._retry_at - self._now(), 1.0)
        return DependencyFailed("keys_unavailable", f"issuer {self._source.issuer}", retry_after=round(wait + 0.5))


def _kind(fetched: Fetched | None) -> str:
    """`same`: what is held is of this window. `shared`: another node has fetched it."""
    if fetched is None:
        return "same"
    return "shared" if fetched.at else "fetched"


def refresh_seconds(max_age: float | None) -> float:
    """After how long a document is to be fetched anew."""
    return REFRESH_DEFAULT if max_age is None else min(max(max_age, REFRESH_LEAST), REFRESH_MOST)
