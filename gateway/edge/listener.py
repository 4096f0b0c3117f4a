"""The listening side of the data plane: accepts clients, watches deadlines, swaps generations, drains."""

import asyncio
import contextlib
import socket
import ssl
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, Protocol, cast

from gateway.clock import Clock
from gateway.edge.answering import Answering
from gateway.edge.client import Client
from gateway.edge.generation import Generation
from gateway.edge.ids import Ids
from gateway.edge.read_queues import read_queues
from gateway.edge.roster import SHELVES, Roster
from gateway.edge.sockets import keep_alive
from gateway.edge.tunnel import GOING_AWAY, POLICY_VIOLATION, Tunnel
from gateway.edge.turns import Burst, Turns
from gateway.errors import RequestRejected
from gateway.pipeline import Permit

BACKLOG: Final = 4096
SWEEP_SECONDS: Final = 1.0
OVERDUE_PER_TURN: Final = 8  # connections that are ended in one turn of the loop: most cost 30 us each
SECONDS_PER_TURN: Final = 0.0005  # of that; then the rest waits, as full buffers take ten times as long to free
MOST_UNREAD: Final = 64  # of a worker's that linger and have sent more than is read: the kernel holds megabytes of each


class Observer(Protocol):
    """Counts and logs what is over."""

    def exchange(self, exchange: Answering) -> None: ...
    def unread(self, client: Client, fault: RequestRejected, request_id: bytes) -> None: ...
    def settled(self, seconds: float) -> None: ...
    def report(self, error: BaseException) -> None: ...


class Edge:
    """All client connections of one worker.

    generation: what new exchanges go by. clients, tunnels: those open now. turns: of what is slow to begin. burst: of
    pipelines. reads: that wait for their turn. draining: each answer says that it is its connection's last. patient:
    yet a connection without a request may wait for one.
    """

    def __init__(self, generation: Generation, observer: Observer, clock: Clock) -> None:
        self.loop = asyncio.get_running_loop()
        self.generation = generation
        self.clock = clock
        self.monotonic = clock.monotonic
        self.ids = Ids()
        self.clients = Roster()
        self.turns = Turns(self.loop, clock.monotonic)
        self.burst = Burst(self.loop)
        self.reads = read_queues(self.loop)
        self.tunnels: set[Tunnel] = set()
        self.draining = self.patient = False
        self.observe = observer.exchange
        self.observe_unread = observer.unread
        self.report = observer.report
        self.settled = observer.settled
        self._servers: list[asyncio.Server] = []
        self._sweeper: asyncio.TimerHandle | None = None
        self._swept = 0  # shelves, in this second
        self._overdue: deque[Client] = deque()
        self._unread: dict[Client, None] = {}  # in the order that they came
        self._empty = asyncio.Event()

    async def listen(self, sock: socket.socket, tls: ssl.SSLContext | None) -> None:
        """Accepts on a bound socket. tls: the context of the listener's certificate, or None."""
        keep_alive(sock)
        patience = self.generation.waits.head if tls else None  # the handshake is as slow as its client wants it
        server = await self.loop.create_server(
            lambda: cast(asyncio.Protocol, Client(self)),
            sock=sock,
            ssl=tls,
            backlog=BACKLOG,
            ssl_handshake_timeout=patience,
        )
        self._servers.append(server)
        if self._sweeper is None:
            self._sweeper = self.loop.call_later(SWEEP_SECONDS / SHELVES, self._sweep_on)

    def adopt(self, generation: Generation) -> None:
        """New exchanges go by this one; those under way keep theirs. Unused connections to old upstreams close."""
        old, self.generation = self.generation, generation
        for upstream in {lane.upstream for lane in old.lanes.values()} - {None}:
            assert upstream is not None
            upstream.retire()

    def left(self, client: Client) -> None:
        """A connection is closed."""
        self.clients.discard(client)
        self._unread.pop(client, None)
        if self.draining and not self.clients:
            self._empty.set()

    def lingers_unread(self, client: Client) -> None:
        """It sends more than is read while it lingers. Where too many do, the oldest has had time enough; a close that
        waits, for what it has not taken or for TLS, would leave it what it has sent in the kernel."""
        self._unread[client] = None
        if len(self._unread) > MOST_UNREAD:
            oldest = next(iter(self._unread))
            del self._unread[oldest]
            oldest.cut()

    def end(self, dead: Callable[[Permit], bool], reason: str = "revoked_credential") -> None:
        """Ends the tunnels that go by these permits, and answers without a declared end, now or as they begin."""
        _end(self.clients, dead, reason)

    async def drain(self, seconds: float, patience: float = 0.0) -> None:
        """Stops accepting, lets exchanges end, then cuts what is left.

        patience: seconds that an idle connection may go on for, until its next answer, which says `close`. With 0 they
        close at once, which loses a request that is on its way: of the last process that does not matter.
        """
        self.draining, self.patient = True, patience > 0
        for server in self._servers:
            server.close()
        await asyncio.sleep(0)  # connection_made of what was accepted in this turn
        if patience and self.clients:
            await self._emptied(min(patience, seconds))
            seconds = max(seconds - patience, 0.0)
        self.patient = False
        for client in tuple(self.clients):
            client.drain()
        for tunnel in tuple(self.tunnels):
            tunnel.close(GOING_AWAY, "draining")
        if self.clients:
            await self._emptied(seconds)
        await self.aclose()

    async def aclose(self) -> None:
        """Stops accepting, and cuts what is left: a drain that was cancelled has not. May be called again."""
        self.draining, self.patient = True, False
        for server in self._servers:
            server.close()
        for tunnel in tuple(self.tunnels):
            tunnel.close(GOING_AWAY, "draining")
        for client in tuple(self.clients):
            if client.active is not None:
                client.active.reason = client.active.reason or "draining"
            client.cut()
        if self._sweeper is not None:
            self._sweeper.cancel()
        for upstream in {lane.upstream for lane in self.generation.lanes.values()} - {None}:
            assert upstream is not None
            upstream.retire()
        await asyncio.sleep(0)  # connection_lost of what was cut

    async def _emptied(self, seconds: float) -> None:
        """Until no client is connected, or so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._empty.wait()

    def _sweep_on(self) -> None:
        """A shelf, so that each comes once per second: deadlines instead of a timer per request. In parts, as 10,000
        clients take a millisecond."""
        self._sweeper = self.loop.call_later(SWEEP_SECONDS / SHELVES, self._sweep_on)
        shelf = self._swept
        self._swept = (shelf + 1) % SHELVES
        if not self._swept:
            self._sweep_upstreams()
        self._sweep_clients(self.clients.shelves[shelf])

    def sweep(self) -> None:
        """All that is done in a second, at once."""
        self._sweep_clients(self.clients)
        self._sweep_upstreams()

    def _sweep_clients(self, clients: Iterable[Client]) -> None:
        now, wall = self.monotonic(), self.clock.now()
        waiting = bool(self._overdue)
        self._overdue += [client for client in clients if client.deadline < now]
        if self._overdue and not waiting:
            self._end_overdue()
        _end(clients, lambda permit: permit.until <= wall, "expired_credential")

    def _end_overdue(self) -> None:
        """A few, and the rest in the next turns: thousands may have come in the same moment."""
        now, left = self.monotonic(), OVERDUE_PER_TURN
        while left and self._overdue:
            client = self._overdue.popleft()
            if client.deadline < now:  # neither gone on meanwhile, nor in here twice
                left -= 1
                try:
                    client.overdue()
                except Exception as error:  # the others have deadlines, too
                    self.report(error)
                if self.monotonic() - now > SECONDS_PER_TURN:
                    break
        if self._overdue:
            self.loop.call_soon(self._end_overdue)

    def _sweep_upstreams(self) -> None:
        now = self.monotonic()
        for upstream in {lane.upstream for lane in self.generation.lanes.values()}:
            if upstream is not None:
                upstream.sweep(now)


def bind(host: str, port: int) -> socket.socket:
    """A listening address; raises OSError. Port 0 takes a free one."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    sock = socket.socket(family, kind, protocol)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock


def _end(clients: Iterable[Client], dead: Callable[[Permit], bool], reason: str) -> None:
    for client in [client for client in clients if client.active is not None]:
        active = client.active
        if active is None or not _holds(active, dead):
            continue
        if client.tunnel is not None:
            client.tunnel.close(POLICY_VIOLATION, reason)
        else:
            active.withdraw(reason)


def _holds(exchange: Answering, dead: Callable[[Permit], bool]) -> bool:
    permit = exchange.permit
    return permit is not None and permit.principal is not None and dead(permit)
