"""New connections are accepted one in a turn, also where descriptors run out for a while."""

import asyncio
import resource
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from harness.site import until

from gateway.edge.acceptor import Acceptor

CLIENTS = 20


class Crowd:
    """Clients that have connected before anybody accepts. turns: of the loop, in which one was met."""

    def __init__(self) -> None:
        self.turns: list[int] = []
        self.faults: list[BaseException] = []
        self.turn = 0
        self.broken = 0
        self.transports: list[asyncio.BaseTransport] = []

    def make(self) -> asyncio.BaseProtocol:
        if self.broken:
            self.broken -= 1
            raise ZeroDivisionError("a mistake of ours")
        return _Met(self)

    def count(self) -> None:
        self.turn += 1
        self._next = asyncio.get_running_loop().call_soon(self.count)


class _Met(asyncio.Protocol):
    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._crowd.turns.append(self._crowd.turn)
        self._crowd.transports.append(transport)


@contextmanager
def waiting(listening: socket.socket, count: int = CLIENTS) -> Iterator[list[socket.socket]]:
    made: list[socket.socket] = []
    try:
        for _ in range(count):
            made.append(socket.create_connection(listening.getsockname(), timeout=20))
        yield made
    finally:
        for sock in made:
            sock.close()


@asynccontextmanager
async def accepting(sock: socket.socket, crowd: Crowd) -> AsyncIterator[Acceptor]:
    acceptor = Acceptor(sock, crowd.make, None, 1.0, crowd.faults.append)
    crowd.count()
    try:
        yield acceptor
    finally:
        crowd._next.cancel()
        await acceptor.close()
        for transport in crowd.transports:
            transport.close()
        await asyncio.sleep(0)


async def test_one_is_accepted_in_a_turn() -> None:
    """However many there are: no two are met in the same one."""
    crowd, listening = Crowd(), socket.create_server(("127.0.0.1", 0))
    with waiting(listening):
        async with accepting(listening, crowd):
            await until(lambda: len(crowd.turns) == CLIENTS)
    assert (len(set(crowd.turns)), crowd.faults) == (CLIENTS, [])


async def test_who_comes_while_there_is_no_descriptor_waits() -> None:
    """It is told once, and when there are some again everybody is accepted."""
    crowd, listening = Crowd(), socket.create_server(("127.0.0.1", 0))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with waiting(listening):
        async with accepting(listening, crowd):
            with socket.socket() as next_free:
                none = next_free.fileno()
            resource.setrlimit(resource.RLIMIT_NOFILE, (none, hard))
            try:
                await until(lambda: crowd.faults)
                await asyncio.sleep(0.3)  # it is tried again meanwhile
                met = len(crowd.turns)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            await until(lambda: len(crowd.turns) == CLIENTS)
    assert (met, [type(fault) for fault in crowd.faults]) == (0, [OSError])


async def test_who_waits_at_the_end_is_let_in() -> None:
    """And nobody later; a second end does nothing, and one that comes while it rests ends that too."""
    crowd, listening = Crowd(), socket.create_server(("127.0.0.1", 0))
    with waiting(listening):
        async with accepting(listening, crowd) as acceptor:
            acceptor._resting = asyncio.get_running_loop().call_later(0.01, acceptor._go_on)
            await acceptor.close()
            await acceptor.close()
            met = len(crowd.turns)
            await asyncio.sleep(0.1)
    assert (met, len(crowd.turns), listening.fileno(), crowd.faults) == (CLIENTS, CLIENTS, -1, [])


async def test_a_mistake_is_reported_and_costs_its_own_connection() -> None:
    crowd, listening = Crowd(), socket.create_server(("127.0.0.1", 0))
    crowd.broken = 1
    with waiting(listening, 3) as clients:
        async with accepting(listening, crowd):
            await until(lambda: len(crowd.turns) == 2 and crowd.faults)
            clients[0].setblocking(False)
            assert await asyncio.wait_for(asyncio.get_running_loop().sock_recv(clients[0], 1), 20) == b""
    assert [type(fault) for fault in crowd.faults] == [ZeroDivisionError]
