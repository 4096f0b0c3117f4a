"""Real Redis servers on free loopback ports: alone, over TLS, behind Sentinel, as a Cluster. Nothing is on disk."""

import asyncio
import hmac
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Self, cast

import pytest

from gateway.settings.state_url import state_url
from gateway.state.connection import Client, connect
from gateway.state.link import Link
from gateway.state.names import Names
from harness.certificates import Authority
from harness.ports import free_port

LOOPBACK: Final = "127.0.0.1"
PATIENCE: Final = 45.0  # seconds, on a busy machine
SLOTS: Final = 16384
SERVICE: Final = "gateway"


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None and os.environ.get("GATEWAY_CI"):
        pytest.fail(f"{name} is not installed, and GATEWAY_CI is set")
    if found is None:
        pytest.skip(f"NOT TESTED: {name} is not installed")
    return found


class Server:
    """One process. It can be killed, stopped and started anew at the same port, with nothing in it."""

    def __init__(self, folder: Path, *options: str, name: str = "redis-server", config: str = "") -> None:
        """config: of a sentinel, which writes to it. `{port}` in it and in the options is the server's own."""
        self.port = free_port()
        self._folder = folder / f"{name}-{self.port}"
        self._folder.mkdir()
        self._program = program(name)
        self._options = options
        self._config = config
        self.tls = "--tls-port" in options
        self.ca = options[options.index("--tls-ca-cert-file") + 1] if self.tls else ""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"{'rediss' if self.tls else 'redis'}://{LOOPBACK}:{self.port}"

    def start(self) -> None:
        port = ["--port", "0"] if self.tls else ["--port", str(self.port)]
        command = [self._program]
        if self._config:
            path = self._folder / "sentinel.conf"
            path.write_text(self._config)
            command.append(str(path))
        options = [option.replace("{port}", str(self.port)) for option in self._options]
        command += [*port, "--bind", LOOPBACK, "--dir", str(self._folder), *options]
        if not self._config:
            command += ["--save", "", "--appendonly", "no"]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        until(self._answers, f"a connection to {self._program}")

    def kill(self) -> None:
        """As the kernel does it."""
        self.signal(signal.SIGKILL)
        assert self._process is not None
        self._process.wait()
        self._process = None

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def close(self) -> None:
        if self._process is not None:
            self.kill()

    def cli(self, *words: str) -> str:
        tls = ("--tls", "--cacert", self.ca) if self.tls else ()
        command = [program("redis-cli"), "-p", str(self.port), *tls, *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True).stdout

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._folder / "log").read_text()
        try:
            with socket.create_connection((LOOPBACK, self.port), 1.0) as sock:
                if self.tls:
                    return True
                sock.sendall(b"PING\r\n")
                return sock.recv(64).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False


class Servers:
    """Started by a test, and ended after it. url: of `state`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._all: list[Server] = []

    def close(self) -> None:
        for server in self._all:
            try:
                server.signal(signal.SIGCONT)
            except (AssertionError, ProcessLookupError):
                continue
        for server in self._all:
            server.close()

    def single(self, *options: str, authority: Authority | None = None) -> Server:
        """authority: for TLS, also to its replica and in its cluster."""
        return self._start(Server(self._folder, *_tls(authority), *options))

    def sentinel(self, authority: Authority | None = None) -> tuple[Server, Server, Sequence[Server]]:
        """A master, its replica, and three sentinels that know both."""
        master = self.single(authority=authority)
        replica = self.single("--replicaof", f"{LOOPBACK} {master.port}", authority=authority)
        until(lambda: "master_link_status:up" in replica.cli("INFO", "replication"), "a replica")
        config = (
            f"sentinel monitor {SERVICE} {LOOPBACK} {master.port} 2\n"
            f"sentinel down-after-milliseconds {SERVICE} 500\nsentinel failover-timeout {SERVICE} 2000\n"
        )
        watchers = [
            self._start(Server(self._folder, *_tls(authority), name="redis-sentinel", config=config)) for _ in range(3)
        ]
        for watcher in watchers:
            until(lambda at=watcher: _knows_all(at), "sentinels that know each other")
        return master, replica, watchers

    def cluster(self, authority: Authority | None = None) -> Sequence[Server]:
        """Three masters that share the slots."""
        options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--cluster-port")
        buses = [free_port() for _ in range(3)]
        nodes = [self.single(*options, str(bus), authority=authority) for bus in buses]
        for number, node in enumerate(nodes):
            first, last = SLOTS * number // 3, SLOTS * (number + 1) // 3 - 1
            node.cli("CLUSTER", "ADDSLOTSRANGE", str(first), str(last))
            node.cli("CONFIG", "SET", "cluster-announce-ip", LOOPBACK)
            node.cli("CLUSTER", "SET-CONFIG-EPOCH", str(number + 1))
        for node, bus in zip(nodes[1:], buses[1:], strict=True):
            nodes[0].cli("CLUSTER", "MEET", LOOPBACK, str(node.port), str(bus))
        for node in nodes:
            until(lambda at=node: "cluster_state:ok" in at.cli("CLUSTER", "INFO"), "a cluster")
            until(lambda at=node: at.cli("CLUSTER", "SHARDS").count("online") >= 3, "three shards")
        return nodes

    def _start(self, server: Server) -> Server:
        self._all.append(server)
        server.start()
        return server


def _tls(authority: Authority | None) -> tuple[str, ...]:
    if authority is None:
        return ()
    cert, key = authority.issue(LOOPBACK)
    own = ("--tls-cert-file", str(cert), "--tls-key-file", str(key), "--tls-ca-cert-file", str(authority.ca))
    others = ("--tls-auth-clients", "no", "--tls-replication", "yes", "--tls-cluster", "yes")
    return ("--tls-port", "{port}", *own, *others)


def _knows_all(watcher: Server) -> bool:
    words = watcher.cli("SENTINEL", "MASTER", SERVICE).split()
    return words[words.index("num-slaves") + 1] == "1" and words[words.index("num-other-sentinels") + 1] == "2"


def until(look: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not look():
        assert time.monotonic() < deadline, f"not within {PATIENCE:g} s: {what}"
        time.sleep(0.02)


async def until_async(look: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not look():
        assert time.monotonic() < deadline, f"not within {PATIENCE:g} s: {what}"
        await asyncio.sleep(0.01)


class Way:
    """A link to a server, with names that no other way has. told: why it was lost, None for back."""

    def __init__(
        self, url: str, password: str | None = None, ca: Path | None = None, patience: float = 5.0, turn: float = 1.0
    ) -> None:
        """patience: longer than in production, as the tests that do not ask for it run on busy machines."""
        secret = os.urandom(16)
        self.told: list[str | None] = []
        self.refusals: list[str] = []
        self.names = Names(lambda purpose, value: hmac.digest(secret, purpose.encode() + b"\0" + value, "sha256"))
        self.client: Client = connect(state_url(url), password, ca, patience)
        self.link = Link(
            self.client, self.names.probe, self.told.append, patience, refused=self.refusals.append, turn=turn
        )

    async def keys(self) -> int:
        """In the index of attempts: those that are not given back or cleared."""
        count = "return redis.call('ZCARD', KEYS[1])"
        return int(cast(int, await self.link.do(lambda client: client.eval(count, 1, self.names.index))))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.link.aclose()
