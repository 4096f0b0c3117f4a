"""All that is shared in Redis, made over one client."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from gateway.clock import Clock
from gateway.identity.counting import MemoryCounters
from gateway.identity.meter import MemoryMeter
from gateway.state.channel import Channel
from gateway.state.connection import Said, connect
from gateway.state.counters import RedisCounters
from gateway.state.documents import Sealer, SharedDocuments
from gateway.state.falling_back import FallingBackCounters
from gateway.state.link import Link, Refused, Told
from gateway.state.meter import FallingBackMeter, RedisMeter
from gateway.state.names import Mac, Names
from gateway.state.rates import Rates


class SharedState:
    """counters, meter: the ports of the identity core. documents: that of `access.jwks`. rates: of routes' limits."""

    def __init__(
        self,
        said: Said,
        password: str | None,
        ca: Path | None,
        mac: Mac,
        sealer: Sealer,
        clock: Clock,
        told: Told,
        unsubscribed: Told,
        refused: Refused,
        failed: Callable[[Exception], object],
    ) -> None:
        """mac, sealer: under keys that come from the master key. told: why the state is away, None when it is back.

        unsubscribed: as in Channel. refused: as in Link. failed: as in Rates.
        """
        self._names = Names(mac)
        self._clock = clock
        self._unsubscribed = unsubscribed
        client = connect(said, password, ca)
        self._link = Link(client, self._names.probe, told, refused=refused, between=clock.between)
        self.counters = FallingBackCounters(RedisCounters(self._link, self._names, clock), MemoryCounters(clock), clock)
        self.meter = FallingBackMeter(RedisMeter(self._link, self._names, clock), MemoryMeter(clock))
        self.documents = SharedDocuments(self._link, self._names, sealer, clock)
        self.rates = Rates(self._link, self._names, clock, failed=failed)
        self._channel: Channel | None = None

    @property
    def alive(self) -> bool:
        return self._link.alive

    @property
    def outages(self) -> int:
        return self._link.outages

    @property
    def looks(self) -> int:
        """How often news made this node look."""
        return self._channel.looks if self._channel is not None else 0

    @property
    def subscribed(self) -> bool:
        """Whether news arrive."""
        return self._channel is not None and self._channel.subscribed

    @property
    def unheard(self) -> bool:
        """Whether the server is there, and news cannot arrive."""
        return self.alive and self._channel is not None and self._channel.failing

    async def open(self) -> None:
        """Tries it, once. A server that is not there now is found later. Raises DependencyFailed as Link does."""
        await self._link.open()

    def listen(self, look: Callable[[], Awaitable[None]]) -> None:
        """From now on `look` is called when another node tells of news."""
        told, between = self._unsubscribed, self._clock.between
        self._channel = Channel(self._link, self._names.channel, look, told=told, between=between)
        self._channel.start()

    async def publish(self) -> None:
        """There are news."""
        if self._channel is not None:
            await self._channel.publish()

    async def aclose(self) -> None:
        if self._channel is not None:
            await self._channel.aclose()
        await self.rates.aclose()
        await self._link.aclose()
