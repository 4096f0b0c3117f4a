"""Gateways, upstreams and clients of one test, and their end."""

import asyncio
import json
import shutil
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.app.checks import read
from gateway.app.gateway import Gateway
from gateway.app.lookups import Resolver, system_resolver
from gateway.clock import Clock
from harness.client import Client
from harness.kept import Kept
from harness.people import PUBLIC_URL, People
from harness.upstream import Script, Upstream

ROUTES: Sequence[Mapping[str, Any]] = (
    {"path": "/public/**", "methods": ["GET", "POST", "PUT", "DELETE", "OPTIONS"], "access": "public"},
    {"path": "/auth/**", "access": "authenticated"},
    {"path": "/secure/**", "access": "protected"},
    {"path": "/roles/**", "access": {"roles": [{"role": "manager", "permission": "write"}]}},
)

# A machine that stands still for some seconds is no upstream that cannot be reached.
PATIENT: Mapping[str, Any] = {"upstream": "u", "timeouts": {"connect": "30s"}}


@dataclass
class Hand:
    """Moves the clocks of a gateway. ahead: seconds, of the wall clock. rested: of the other, which deadlines go by."""

    ahead: float = 0.0
    rested: float = 0.0

    @property
    def clock(self) -> Clock:
        real = Clock()
        return Clock(now=lambda: real.now() + self.ahead, monotonic=lambda: real.monotonic() + self.rested)


class Running:
    """A gateway in this process, on a free port."""

    def __init__(self, people: People) -> None:
        self.people = people
        self.log = Kept()
        self.hand = Hand()
        self.resolve: Resolver = system_resolver
        self.gateway: Gateway
        self._stopped = False

    @property
    def config(self) -> Path:
        return self.people.folder / "config.yaml"

    async def start(self, said: Mapping[str, Any]) -> None:
        self.write(said)
        loaded = read(self.config, {})
        self.gateway = Gateway(loaded, self.hand.clock, self.log, lambda: read(self.config, {}), resolve=self.resolve)
        await self.gateway.start()

    def write(self, said: Mapping[str, Any]) -> None:
        self.config.write_text(json.dumps(said, indent=1))

    async def stop(self) -> None:
        if not self._stopped:
            self._stopped = True
            try:
                await self.gateway.drain()
            finally:
                await self.gateway.aclose()

    async def warnings(self) -> tuple[str, ...]:
        """Those of /readyz, but for the one that a machine causes which stands still for seconds."""
        return tuple(said for said in (await self.gateway.readiness()).warnings if said != "revocations_late")

    async def lines(self) -> list[dict[str, Any]]:
        """Stops the gateway, and gives back its access log."""
        await self.stop()
        return [json.loads(line) for line in (self.people.folder / "access.log").read_text().splitlines()]


def merged(base: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Mappings are merged, everything else is replaced."""
    result = dict(base)
    for key, value in more.items():
        below = result.get(key)
        result[key] = merged(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return result


class Site:
    """What a test has running. `expected_errors`: whether the gateway's log may hold errors at the end.

    resolve: finds the addresses of upstreams' names, for the gateways that are started from now on.
    """

    def __init__(self, folder: Path, people: People) -> None:
        self._folder = folder
        self._people = people
        self._closers: list[Any] = []
        self._gateways: list[Running] = []
        self.surprises: list[Mapping[str, Any]] = []
        self.expected_errors = False
        self.resolve: Resolver = system_resolver
        asyncio.get_running_loop().set_exception_handler(lambda _, context: self.surprises.append(context))

    async def upstream(
        self, script: Script | None = None, tls: ssl.SSLContext | None = None, port: int = 0, host: str = "127.0.0.1"
    ) -> Upstream:
        """host: another address of the loopback network, for several servers on one port."""
        upstream = Upstream(script) if script else Upstream()
        await upstream.start(tls, port, host)
        self._closers.append(upstream.aclose)
        return upstream

    def said(
        self, *upstreams: Upstream | str | Mapping[str, Any], route: Mapping[str, Any] = {}, **more: Any
    ) -> dict[str, Any]:
        """A configuration. route: keys for every route. more: merged into it; `upstream` into that of the routes."""
        urls = [upstream.url if isinstance(upstream, Upstream) else upstream for upstream in upstreams]
        base = {
            "public_url": PUBLIC_URL,
            "listen": {"address": "127.0.0.1:0", "timeouts": {"drain": "200ms"}},
            "admin": {"address": "127.0.0.1:0", "token": {"file": "admin.token"}},
            "store": {"url": "sqlite:///gateway.db"},
            "secrets": {"master_key": {"file": "master.key"}},
            "log": {"access": "./access.log"},
            "upstreams": {"u": merged({"endpoints": urls}, more.pop("upstream", {}))},
            "routes": [merged({**PATIENT, **said}, route) for said in more.pop("routes", ROUTES)],
        }
        return merged(base, more)

    async def gateway(self, *upstreams: Upstream | str | Mapping[str, Any], **more: Any) -> Running:
        folder = self._folder / f"gateway-{len(self._gateways)}"
        shutil.copytree(self._people.folder, folder)
        running = Running(self._people.at(folder))
        running.resolve = self.resolve
        await running.start(self.said(*upstreams, **more))
        self._gateways.append(running)
        return running

    async def client(self, running: Running, tls: ssl.SSLContext | None = None, receive: int | None = None) -> Client:
        """receive: bytes of the socket's receive buffer, for a client that is to be slow."""
        sock = socket.socket()
        sock.setblocking(False)
        if receive is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        try:
            await asyncio.get_running_loop().sock_connect(sock, running.gateway.address)
        except OSError:
            sock.close()
            raise
        name = "gateway.test" if tls else None
        reader, writer = await asyncio.open_connection(sock=sock, ssl=tls, server_hostname=name, limit=1 << 20)
        client = Client(reader, writer)
        self._closers.append(lambda: _close(client))
        return client

    async def aclose(self) -> None:
        """Stops everything, whatever fails; a traceback or an error in the log of a gateway fails the test.

        A loop with a gateway that still runs may never close.
        """
        faults: list[Exception] = []
        for close in (*reversed(self._closers), *(running.stop for running in self._gateways)):
            try:
                await close()
            except Exception as fault:
                faults.append(fault)
        if faults:
            raise ExceptionGroup("what was running did not end well", faults)
        for running in self._gateways:
            assert self.expected_errors or not running.log.errors, running.log.errors
        assert not self.surprises, self.surprises


async def until(condition: Callable[[], object], seconds: float = 30) -> None:
    """For what has no event to wait for. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - nobody sets an event for it
            await asyncio.sleep(0.01)


async def _close(client: Client) -> None:
    client.writer.transport.abort()
