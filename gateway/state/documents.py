"""Key documents of issuers that one node has fetched, for all: the port `access.jwks.Documents`.

Each is sealed under a key that comes from the master key, and bound to its issuer and address: whoever can write to
Redis can take a document away, or put an older one of the same issuer back for as long as it would be fresh anyway.
"""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from gateway.access.jwks import FETCH_SECONDS, UNKNOWN_KID_WINDOW, Fetched, KeySource, refresh_seconds
from gateway.clock import Clock
from gateway.errors import DependencyFailed
from gateway.state.link import CODE, Link
from gateway.state.names import Names

SKEW: Final = 60.0  # seconds that the clock of another node may be ahead
TURN_SECONDS: Final = FETCH_SECONDS + 1.0  # that one node has alone: as long as its fetch may take, and a bit
LOOK_SECONDS: Final = 0.1  # between looks for what another node is fetching
LOOKS: Final = round(TURN_SECONDS / LOOK_SECONDS) + 1
FAILED: Final = b"failed"  # in the place of when a turn began


class Sealer(Protocol):
    def seal(self, secret: bytes, place: str) -> bytes: ...
    def open(self, sealed: bytes, place: str) -> bytes:
        """Raises DependencyFailed when it was sealed with another key, for another place, or altered."""
        ...


class SharedDocuments:
    """A node whose Redis is away fetches for itself."""

    def __init__(
        self,
        link: Link,
        names: Names,
        sealer: Sealer,
        clock: Clock,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._link = link
        self._names = names
        self._sealer = sealer
        self._now = clock.now
        self._sleep = sleep

    async def newer(
        self, source: KeySource, held: float, again: bool, fetch: Callable[[], Awaitable[Fetched]]
    ) -> Fetched | None:
        """As in the port. Raises what `fetch` does, and DependencyFailed("keys_unavailable")."""
        try:
            found = await self._shared(source, held, again)
        except DependencyFailed as failure:
            if failure.code != CODE:
                raise
            return await fetch()
        if found is not _MINE:
            return found
        try:
            fetched = await fetch()
        except BaseException:
            await self._give_up(self._lease(source, again), again)
            raise
        await self._offer(source, fetched)
        return fetched

    async def _shared(self, source: KeySource, held: float, again: bool) -> Fetched | None:
        """_MINE: it is for this node to fetch."""
        found = await self._read(source, held)
        if found is not None:
            return found
        lease, at = self._lease(source, again), repr(self._now()).encode()
        seconds = UNKNOWN_KID_WINDOW if again else TURN_SECONDS
        if await self._link.do(lambda client: client.set(lease, at, px=int(seconds * 1000), nx=True)):
            return _MINE
        for _ in range(LOOKS):
            turn = await self._link.do(lambda client: client.get(lease))
            found = await self._read(source, held)
            if found is not None:
                return found
            begun = _seconds(turn)
            if again and begun is not None and held >= begun:
                return None  # what is held was fetched in this window
            if turn is None or turn == FAILED:
                break
            await self._sleep(LOOK_SECONDS)
        if again:
            raise DependencyFailed("keys_unavailable", "the node whose turn it was has not fetched them")
        return _MINE

    def _lease(self, source: KeySource, again: bool) -> str:
        return f"{self._names.document(source.issuer, source.url)}:{'again' if again else 'turn'}"

    async def _give_up(self, lease: str, again: bool) -> None:
        """Nobody waits for this node. The window of unknown `kid`s stays: it has had its fetch."""
        life = UNKNOWN_KID_WINDOW if again else LOOK_SECONDS
        with contextlib.suppress(DependencyFailed):
            await self._link.do(lambda client: client.set(lease, FAILED, px=int(life * 1000)))

    async def _read(self, source: KeySource, held: float) -> Fetched | None:
        """What is there, if it can be believed, is fresh, and newer than what is held."""
        name = self._names.document(source.issuer, source.url)
        sealed = await self._link.do(lambda client: client.get(name))
        found = None if sealed is None else self._opened(sealed, source)
        now = self._now()
        if found is None or not held < found.at <= now + SKEW or now - found.at >= refresh_seconds(found.max_age):
            return None
        return found

    def _opened(self, sealed: bytes, source: KeySource) -> Fetched | None:
        try:
            said = json.loads(self._sealer.open(sealed, _place(source)))
        except (DependencyFailed, ValueError):
            return None  # not ours, whoever put it there
        return Fetched(said["body"].encode("latin-1"), said["max_age"], said["at"])

    async def _offer(self, source: KeySource, fetched: Fetched) -> None:
        said = {"body": fetched.body.decode("latin-1"), "max_age": fetched.max_age, "at": self._now()}
        sealed = self._sealer.seal(json.dumps(said).encode(), _place(source))
        name = self._names.document(source.issuer, source.url)
        life = int(refresh_seconds(fetched.max_age) * 1000)
        try:
            await self._link.do(lambda client: client.set(name, sealed, px=life))
        except DependencyFailed:
            return


_MINE: Final = Fetched(b"")


def _place(source: KeySource) -> str:
    return f"state:keys:{source.issuer}:{source.url}"


def _seconds(written: bytes | None) -> float | None:
    try:
        return None if written is None else float(written)
    except ValueError:
        return None
