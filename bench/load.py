"""Load on a system: warm by `wrk`, one credential per request by `wrk` with a script, and a single prober beside."""

import re
import socket
import ssl
import statistics
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from bench.processes import LOOPBACK, Process

CONNECTIONS = 64
MEASURABLE = 0.2  # seconds: with steps of 10 ms at both ends, an error of at most 5 %

# Each line of the file is one header value, used once; when all are used, the connections wait for the end.
# `delay` is asked before each request. wrk calls `request` once at start to see what it makes: that one is not sent.
SCRIPT = """
local requests, turn, probed = {}, 0, false
function init(args)
  for line in io.lines(args[1]) do
    requests[#requests + 1] = wrk.format("GET", args[3], {["Host"] = "bench", [args[2]] = line})
  end
end
function delay() if turn >= #requests then return 3600000 end return 0 end
function request()
  if not probed then probed = true return requests[1] end
  turn = turn + 1
  return requests[turn] or requests[#requests]
end
"""


class LoadFailedError(Exception):
    """A load whose answers were not all good: its figures would mean something else."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where the requests go. header: the name and value of the credential. beside: more header lines."""

    port: int
    path: str
    header: tuple[str, str]
    beside: tuple[tuple[str, str], ...] = ()

    @property
    def request(self) -> bytes:
        """The same request as bytes, for the clients written here."""
        return self.head("GET")

    def head(self, method: str, *beside: tuple[str, str]) -> bytes:
        """Of a request with another method, and with more header lines."""
        lines = "".join(f"{name}: {value}\r\n" for name, value in (self.header, *self.beside, *beside))
        return f"{method} {self.path} HTTP/1.1\r\nHost: bench\r\n{lines}\r\n".encode()


def _command(target: Target, seconds: float, connections: int, options: Sequence[str]) -> list[str]:
    """wrk takes whole seconds only."""
    rounded = max(1, round(seconds))
    url = f"http://{LOOPBACK}:{target.port}{target.path}"
    return ["wrk", "-t1", f"-c{connections}", f"-d{rounded}s", "--timeout", "10s", *options, url]


def _served(output: str) -> int:
    """Answers that wrk counted. Raises LoadFailedError if one of them was not 2xx or a connection broke."""
    count = re.search(r"(\d+) requests in", output)
    if count is None or int(count[1]) == 0:
        raise LoadFailedError(f"no request was served: {output.strip()[-300:]}")
    if wrong := re.search(r"Non-2xx or 3xx responses: (\d+)", output):
        raise LoadFailedError(f"{wrong[1]} of {count[1]} answers were not 2xx")
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+)", output)
    if broken and any(int(number) for number in broken.groups()):
        raise LoadFailedError(broken[0])
    return int(count[1])


def warm(target: Target, seconds: float) -> int:
    """Requests served with one credential over 64 keep-alive connections."""
    lines = [f"{name}: {value}" for name, value in (target.header, *target.beside, ("Host", "bench"))]
    options = [word for line in lines for word in ("-H", line)]
    command = _command(target, seconds, CONNECTIONS, options)
    return _served(subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30).stdout)


class Fresh:
    """A load in which each value of the target's header is sent once, over so many connections. Ends by itself."""

    def __init__(self, target: Target, values: Iterable[str], seconds: float, connections: int, folder: Path) -> None:
        script, lines = folder / "fresh.lua", folder / "fresh.txt"
        script.write_text(SCRIPT)
        lines.write_text("".join(f"{value}\n" for value in values))
        command = _command(target, seconds, connections, ["-s", str(script)])
        command += ["--", str(lines), target.header[0], target.path]
        self._seconds = seconds
        self._popen = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._popen.kill()
        self._popen.communicate()

    @property
    def running(self) -> bool:
        return self._popen.poll() is None

    def served(self) -> int:
        """Wait for the end; requests served."""
        output, _ = self._popen.communicate(timeout=self._seconds + 30)
        return _served(output)


class Client:
    """One keep-alive connection that asks for the target again and again. head, body: of the last answer."""

    def __init__(self, target: Target, tls: ssl.SSLContext | None = None) -> None:
        self.head = self.body = b""
        self._request = target.request
        plain = socket.create_connection((LOOPBACK, target.port), timeout=10)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = tls.wrap_socket(plain) if tls else plain

    def ask(self, request: bytes = b"") -> float:
        """Seconds until the whole answer was there. request: another than the target's. Raises LoadFailedError if it
        was not 200.
        """
        began = time.perf_counter()
        self._socket.sendall(request or self._request)
        answer = self._socket.recv(65536)
        while answer and not whole(answer):
            answer += self._socket.recv(65536)
        took = time.perf_counter() - began
        if not answer.startswith(b"HTTP/1.1 200 "):
            raise LoadFailedError(f"answered {answer[:300]!r}")
        self.head, _, self.body = answer.partition(b"\r\n\r\n")
        return took

    def close(self) -> None:
        self._socket.close()


def whole(answer: bytes) -> bool:
    """Whether a counted answer is complete."""
    head, end, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    return bool(end) and len(body) >= (int(length[1]) if length else 0)


def cost(process: Process, load: Callable[[], int]) -> float:
    """CPU microseconds of the process's family for each request that `load` served. Raises LoadFailedError if that was
    so little that the clock's steps would be the result.
    """
    used, served = used_by(process, load)
    return used / served * 1e6


def used_by(process: Process, load: Callable[[], int]) -> tuple[float, int]:
    """CPU seconds of the process's family for what `load` says that it did. Raises as `cost`."""
    before = process.cpu_seconds()
    served = load()
    used = process.cpu_seconds() - before
    if used < MEASURABLE:
        raise LoadFailedError(f"{process.name} used {used:.2f} s of CPU, too little to measure in steps of 10 ms")
    return used, served


@dataclass(frozen=True, slots=True)
class Waits:
    """Milliseconds."""

    median: float
    p99: float
    longest: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Self:
        ordered = sorted(value * 1e3 for value in seconds)
        return cls(statistics.median(ordered), ordered[int(len(ordered) * 0.99)], ordered[-1])
