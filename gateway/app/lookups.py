"""Names of upstreams looked up again and again: all addresses of a name are endpoints."""

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from gateway.app.assembly import Assembly
from gateway.clock import Clock
from gateway.errors import DependencyFailed
from gateway.ops.logs import Log

LEAST_SECONDS: Final = 1.0  # between two look-ups for one upstream, however many connects fail
LOOKUP_SECONDS: Final = 5.0  # one that takes longer has failed; the system's resolver gives up after as long
FIRST_SECONDS: Final = 1.5  # that a start waits for addresses; after that it goes on with the names themselves
AT_ONCE: Final = 16  # look-ups under way: each takes a thread of the few that the process has for such things
MOST_ADDRESSES: Final = 64  # of one name: as many endpoints are logged and checked

Resolver = Callable[[str], Awaitable[Sequence[str]]]


async def system_resolver(name: str) -> Sequence[str]:
    """Addresses as the system finds them (hosts file, DNS). Raises DependencyFailed where there are none."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise DependencyFailed("upstream_unreachable", "The upstream's name was not found.") from error
    return [str(address[0]) for *_, address in found]


class Lookups:
    """One task for each upstream that has names. moved: is told when endpoints have changed."""

    def __init__(self, resolve: Resolver, clock: Clock, log: Log, moved: Callable[[], None]) -> None:
        self._resolve = resolve
        self._clock = clock
        self._log = log
        self._moved = moved
        self._assemblies: dict[str, Assembly] = {}
        self._hurry: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._room = asyncio.Semaphore(AT_ONCE)

    async def first(self, assemblies: Mapping[str, Assembly]) -> None:
        """Of names that were never looked up: before anything is sent there, for a while."""
        new = {
            name: unknown
            for name, assembly in assemblies.items()
            if (unknown := [host for host in assembly.names if host not in assembly.record.addresses])
        }
        if not new:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FIRST_SECONDS):
                looks = (self._look(name, assemblies[name], unknown) for name, unknown in new.items())
                await asyncio.gather(*looks, return_exceptions=True)  # `_run` meets what is raised, and tells it
        for name in new:
            assemblies[name].readdress()

    def adopt(self, assemblies: Mapping[str, Assembly]) -> None:
        """The names of these are looked up from now on, and no others. Addresses may have changed since they were made;
        until now that was told to those before them."""
        self._assemblies = {name: assembly for name, assembly in assemblies.items() if assembly.names}
        for name in self._tasks.keys() - self._assemblies.keys():
            self._tasks.pop(name).cancel()
        for name, assembly in self._assemblies.items():
            assembly.readdress()
            event = self._hurry.setdefault(name, asyncio.Event())
            assembly.upstream.changed = event.set
            if name not in self._tasks:
                self._tasks[name] = asyncio.create_task(self._run(name, event))

    async def aclose(self) -> None:
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, name: str, hurry: asyncio.Event) -> None:
        failing = ""
        while True:
            await asyncio.sleep(LEAST_SECONDS)
            with contextlib.suppress(TimeoutError):
                seconds = self._assemblies[name].said.resolve * self._clock.between(0.9, 1.1) - LEAST_SECONDS
                async with asyncio.timeout(max(seconds, 0.0)):
                    await hurry.wait()
            hurry.clear()
            try:
                await self._follow(name)
                failing = ""
            except Exception as error:  # whatever it was: it is tried again
                if repr(error) != failing:
                    self._log.error("look-ups fail", upstream=name, exc_info=error)
                failing = repr(error)

    async def _follow(self, name: str) -> None:
        assembly = self._assemblies[name]
        try:
            await self._look(name, assembly, assembly.names)
        finally:
            if self._assemblies[name].readdress():  # it may be another by now
                self._moved()

    async def _look(self, upstream: str, assembly: Assembly, names: Sequence[str]) -> None:
        """Records the addresses of these. What cannot be found stays where it was, and holds up no other."""
        looks = (self._look_up(upstream, assembly, name) for name in names)
        for ended in await asyncio.gather(*looks, return_exceptions=True):
            if ended is not None:
                raise ended

    async def _look_up(self, upstream: str, assembly: Assembly, name: str) -> None:
        record = assembly.record
        found = await self._found(name)
        record.ledger.lookups["done" if found else "failed"] += 1
        self._told(upstream, name, assembly, bool(found))
        if found and found != record.addresses.get(name):
            if name in record.addresses:
                self._log.info("addresses changed", upstream=upstream, name=name, addresses=list(found))
            record.addresses[name] = found

    async def _found(self, name: str) -> tuple[str, ...]:
        """None where it is not found in time."""
        try:
            async with self._room, asyncio.timeout(LOOKUP_SECONDS):
                return usable(await self._resolve(name))
        except (DependencyFailed, TimeoutError):
            return ()

    def _told(self, upstream: str, name: str, assembly: Assembly, found: bool) -> None:
        unresolved = assembly.record.unresolved
        if not found and name not in unresolved:
            unresolved.add(name)
            self._log.warning("name not found", upstream=upstream, name=name)
        elif found and name in unresolved:
            unresolved.discard(name)
            self._log.info("name found again", upstream=upstream, name=name)


def usable(found: Sequence[str]) -> tuple[str, ...]:
    """In an order that is always the same. Of both families the one with four bytes: a server that has an address of
    each is one server, and networks that lose IPv6 packets are more common than those that lose IPv4's."""
    addresses = {ipaddress.ip_address(address) for address in found}
    old = [address for address in addresses if address.version == 4]
    return tuple(str(address) for address in sorted(old or addresses, key=int)[:MOST_ADDRESSES])
