"""Several workers: how they are configured here, looked at, and kept busy."""

import http.client
import os
import re
import signal
import threading
from collections import Counter
from collections.abc import Iterator, Set
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from . import world
from .parts import until
from .world import Gateway

STATE = {"url": "redis://127.0.0.1:1"}  # nobody listens there


def said(service: int, workers: int = 2, **listen: Any) -> dict[str, Any]:
    """Configuration of several workers."""
    return world.configuration({"app": service}, listen={"workers": workers, **listen}, state=STATE)


def workers(gateway: Gateway) -> list[int]:
    """Process numbers, in the order of the workers' own."""
    children = Path(f"/proc/{gateway.process.pid}/task/{gateway.process.pid}/children").read_text()
    return sorted(map(int, children.split()), key=_number)


def _number(pid: int) -> int:
    """Of a worker, as it was told at its start; 0 when it has just ended."""
    try:
        found = re.search(rb'GATEWAY_PART={[^\0]*"number": (\d+)', Path(f"/proc/{pid}/environ").read_bytes())
    except OSError:
        return 0
    return int(found[1]) if found else 0


def holding(pid: int, ports: Set[int]) -> int:
    """How many connections a process holds whose other end has one of these ports of loopback (proc_net_tcp(5))."""
    table = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    theirs = {f"socket:[{row[9]}]" for row in table if int(row[2].rpartition(":")[2], 16) in ports}
    return sum(_link(descriptor) in theirs for descriptor in Path(f"/proc/{pid}/fd").iterdir())


def _link(descriptor: Path) -> str:
    try:
        return os.readlink(descriptor)
    except FileNotFoundError:  # closed meanwhile
        return ""


def admin_token(gateway: Gateway) -> dict[str, str]:
    return world.bearer((gateway.home.folder / "var/admin.token").read_text().strip())


def unready(gateway: Gateway) -> list[str]:
    """What is told of workers; what else is warned of does not matter here."""
    told = world.ask(f"{gateway.admin}/readyz").json()
    return [line for line in (*told["reasons"], *told["warnings"]) if line.startswith("worker ")]


class Load:
    """Clients that ask again and again, half of them with a connection for each request. They pause, as what is tested
    beside them wants some of the machine too."""

    def __init__(self, gateway: Gateway, clients: int = 4) -> None:
        self.place = urlsplit(gateway.url).netloc
        self.answers: Counter[object] = Counter()
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(number % 2 == 0,)) for number in range(clients)]

    @property
    def count(self) -> int:
        return sum(self.answers.values())

    def more(self, requests: int = 100) -> None:
        """Until so many more are answered."""
        wanted = self.count + requests
        until(lambda: self.count >= wanted, f"{requests} more answers")

    def _ask(self, fresh: bool) -> None:
        connection = http.client.HTTPConnection(self.place, timeout=20)
        while not self._over.wait(0.001):
            try:
                connection.request("GET", "/public/app/echo")
                response = connection.getresponse()
                response.read()
                self.answers[response.status] += 1
            except (OSError, http.client.HTTPException) as error:
                self.answers[repr(error)] += 1
                connection.close()
            if fresh:
                connection.close()
        connection.close()

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def asked(gateway: Gateway, stack: ExitStack, count: int) -> list[http.client.HTTPConnection]:
    """Connections with a request on each."""
    made = []
    for _ in range(count):
        connection = http.client.HTTPConnection(urlsplit(gateway.url).netloc, timeout=20)
        stack.callback(connection.close)
        connection.request("GET", "/public/app/echo")
        made.append(connection)
    return made
