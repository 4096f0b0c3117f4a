"""Load at a constant rate, which does not wait for answers: a request has its time, and its latency counts from then.

A load that sends when an answer has come asks less often just when answers are slow, and so leaves out the very waits
that it is to find ("coordinated omission"). Here a request whose time has come waits for a free connection if it must,
and that wait is a part of its latency.
"""

import select
import socket
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack

from bench.load import CONNECTIONS, Client, LoadFailedError, Target, Waits, whole
from bench.processes import LOOPBACK

PATIENCE = 10.0  # seconds without an answer


class OpenLoop:
    """One target over keep-alive connections. Each answer has to be 200, with the body of the first one."""

    def __init__(self, target: Target, connections: int = CONNECTIONS) -> None:
        first = Client(target)
        first.ask()
        first.close()
        self._end = b"\r\n\r\n" + first.body
        self._target = target
        self._connections = connections

    def run(self, rate: float, seconds: float, over: Callable[[], bool] = lambda: False) -> list[float]:
        """Seconds of each request, by the time of its answer. rate: requests a second. over: asked with each: the end
        comes then, or after so many seconds. Raises LoadFailedError.
        """
        with ExitStack() as opened, select.epoll() as poll:
            sockets: dict[int, socket.socket] = {}
            for _ in range(self._connections):
                made = opened.enter_context(socket.create_connection((LOOPBACK, self._target.port), timeout=PATIENCE))
                made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                poll.register(made, select.EPOLLIN)
                sockets[made.fileno()] = made
            return self._drive(poll, sockets, 1 / rate, round(rate * seconds), over)

    def _drive(
        self,
        poll: select.epoll,
        sockets: dict[int, socket.socket],
        gap: float,
        count: int,
        over: Callable[[], bool],
    ) -> list[float]:
        request, clock, idle = self._target.request, time.perf_counter, deque(sockets)
        under_way: dict[int, float] = {}  # when it should have been sent
        parts: dict[int, bytes] = {}
        took: list[float] = []
        began, sent = clock() + gap, 0
        while sent < count or under_way:
            now = clock()
            while idle and sent < count and (due := began + sent * gap) <= now:
                number = idle.popleft()
                under_way[number] = due
                sockets[number].send(request)
                sent += 1
                if over():
                    count = sent
            sleep = max(0.0, began + sent * gap - now) if idle and sent < count else PATIENCE
            # epoll waits in whole milliseconds, select in microseconds
            if not select.select([poll], [], [], sleep)[0]:
                if sleep == PATIENCE:
                    raise LoadFailedError("no answer came")
                continue
            for number, _ in poll.poll(0):
                data = sockets[number].recv(65536)
                answer = parts.pop(number, b"") + data
                if answer.endswith(self._end) and answer.startswith(b"HTTP/1.1 200 "):
                    took.append(clock() - under_way.pop(number))
                    idle.append(number)
                elif data and number in under_way and not whole(answer):
                    parts[number] = answer
                else:
                    raise LoadFailedError(f"answered {answer[:300]!r}")
        return took

    def waits(self, rate: float, seconds: float) -> Waits:
        return Waits.of(self.run(rate, seconds))
