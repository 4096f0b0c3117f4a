"""A real PostgreSQL server of the test session's own, and a database of it for each test."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from e2e.parts import need

from gateway.store.postgres import engine as postgres_engine
from gateway.store.postgres import writes
from gateway.store.sqlite import engine as sqlite_engine
from gateway.store.sqlite import writes as sqlite_writes
from harness.ports import free_port

BINARIES = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True), Path("/usr/local/bin"), Path("/usr/bin")]
USER, PASSWORD = "gateway", "s3cret of the database"  # fmt: skip
PATIENCE = 30.0  # seconds that a start may take on a busy machine
SETTINGS = {
    "fsync": "off",  # a test's database need not survive the machine
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "autovacuum": "off",
    "log_min_messages": "fatal",
}


class Postgres:
    """folder: an empty one, which the server owns. It listens on loopback, where it asks for the password, and on a
    Unix socket, where it does not."""

    def __init__(self, binaries: Path, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._binaries = binaries
        self._settings = dict(SETTINGS)
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = count()
        self._templates: dict[str, str] = {}
        self._user = _somebody()
        if self._user is not None:
            shutil.chown(folder, self._user)

    # the server

    def make(self) -> None:
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        self._run(
            "initdb", "--pgdata", self._data, "--username", USER, "--pwfile", secret, "--auth-local", "trust",
            "--auth-host", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync", "--no-instructions",
        )  # fmt: skip

    def start(self, **settings: str) -> None:
        """Returns when it answers. settings: beside those that it had before."""
        self._settings |= settings
        options = [word for name, value in self._settings.items() for word in ("-c", f"{name}={value}")]
        with (self.folder.parent / f"{self.folder.name}.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._binaries / "postgres", "-D", self._data, "-k", self.folder, "-p", str(self.port), *options],
                user=self._user, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            assert self._process.poll() is None, (self.folder.parent / f"{self.folder.name}.log").read_text()
            assert time.monotonic() < deadline, "PostgreSQL does not start"
            time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT: it ends every session. SIGQUIT: at once, as a crash."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(PATIENCE)
            self._process = None

    def freeze(self) -> None:
        """It answers nobody any more, and no connection breaks, as with a network that swallows everything."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: signal.Signals) -> None:
        assert self._process is not None
        own = self._process.pid
        children = Path(f"/proc/{own}/task/{own}/children").read_text().split()
        for pid in (own, *map(int, children)):
            os.kill(pid, number)

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _answers(self) -> bool:
        ready = [self._binaries / "pg_isready", "-q", "-h", self.folder, "-p", str(self.port)]
        return subprocess.run(ready, check=False).returncode == 0

    def _run(self, program: str, *words: object) -> None:
        command: Sequence[object] = [self._binaries / program, *words]
        done = subprocess.run(
            list(map(str, command)), user=self._user, cwd=self.folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    # its databases

    def url(self, name: str) -> str:
        """By its Unix socket, without a password."""
        return f"postgresql+asyncpg://{USER}@:{self.port}/{name}?host={self.folder}"

    def tcp_url(self, name: str, more: str = "") -> str:
        return f"postgresql+asyncpg://{USER}@127.0.0.1:{self.port}/{name}{more}"

    async def connect(self, name: str = "postgres") -> Any:
        """A connection that is not the gateway's."""
        return await asyncpg.connect(user=USER, host=str(self.folder), port=self.port, database=name)

    async def execute(self, statement: str, name: str = "postgres") -> None:
        connection = await self.connect(name)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    @asynccontextmanager
    async def database(
        self, kind: str = "", prepare: Callable[[str], Awaitable[object]] | None = None
    ) -> AsyncIterator[str]:
        """The URL of a fresh one, which goes at the end. prepare: fills the first of this kind; others are copies."""
        name = f"test_{next(self._numbers)}"
        template = await self._template(kind, prepare) if prepare is not None else "template0"
        await self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            yield self.url(name)
        finally:
            await self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    async def _template(self, kind: str, prepare: Callable[[str], Awaitable[object]]) -> str:
        if kind not in self._templates:
            name = f"template_{kind}"
            await self.execute(f"DROP DATABASE IF EXISTS {name}")
            await self.execute(f"CREATE DATABASE {name} TEMPLATE template0")
            await prepare(self.url(name))
            self._templates[kind] = name
        return self._templates[kind]


def _somebody() -> str | None:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


@contextmanager
def running(**settings: str) -> Iterator[Postgres]:
    """A server that has its end with the block. settings: of it."""
    found = next((folder for folder in BINARIES if os.access(folder / "postgres", os.X_OK)), None)
    need(found, "PostgreSQL")
    assert found is not None
    folder = Path(tempfile.mkdtemp(prefix="gateway-pg-"))  # not below pytest's folders, which are their owner's alone
    server = Postgres(found, folder)
    try:
        server.make()
        server.start(**settings)
        yield server
    finally:
        server.stop(signal.SIGQUIT)
        shutil.rmtree(folder)
        (folder.parent / f"{folder.name}.log").unlink(missing_ok=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One for all tests, which leave it as it is: whoever stops a server has one of their own."""
    with running() as server:
        yield server


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes its turn at a database gets one, however long that is on a machine that is busy or stands still."""
    for module in (sqlite_writes, writes):
        monkeypatch.setattr(module, "open_database", partial(module.open_database, patience=50.0, turn=50.0))
    for engine in (sqlite_engine, postgres_engine):
        monkeypatch.setattr(engine, "Reader", partial(engine.Reader, patience=50.0))
