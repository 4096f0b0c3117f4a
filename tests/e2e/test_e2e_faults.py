"""Full disks, locked and lost databases, services that die, clients that leave: each has its answer and its one line in
the log, and the gateway goes on.
"""

import http.client
import os
import socket
import sqlite3
import struct
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from harness.ports import free_port

from . import disk, upstream, world
from .disk import Disk
from .parts import LOOPBACK, PATIENCE, Process, took, until
from .provider import Provider, provided, trusting
from .seeding import licensed
from .world import Answer, Gateway, Home, Person

UNWRITTEN = "the access log cannot be written"
BRIEFLY = 5.0  # seconds
PROMPT = 1.0  # seconds: less than a lock is waited for


@pytest.fixture
def gateway(home: Home, service: int) -> Iterator[Gateway]:
    """It has just let ada in; bob is a stranger to its cache."""
    with world.running(home, world.configuration({"app": service})) as running:
        assert get(running, home.ada).status == 200
        yield running


def get(gateway: Gateway, person: Person, path: str = "/app/echo") -> Answer:
    return gateway.ask(path, headers=person.headers)


def is_store_unavailable(answer: Answer) -> bool:
    return (answer.status, answer.code) == (503, "store_unavailable")


# a full disk


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Disk]:
    folder = tmp_path / "small"
    folder.mkdir()
    with disk.small(folder) as found:
        yield found


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Provider]:
    with provided(tmp_path) as found:
        yield found


def test_a_full_disk_under_the_access_log_stops_nobody(small: Disk, template: Home, service: int) -> None:
    """Requests go on, the lost lines are counted, and later ones are written again."""
    home = template.copy(small.folder)
    with world.running(home, world.configuration({"app": service})) as gateway:
        small.fill(gateway.process.pid)
        lost = "gateway_access_log_dropped_total"
        until(lambda: get(gateway, home.ada).status == 200 and gateway.metric(lost) > 0, "lost lines", BRIEFLY)
        small.free(gateway.process.pid)
        until(lambda: get(gateway, home.ada, "/app/echo?again") and gateway.log_lines(status=200), "a line", BRIEFLY)


def test_a_sink_that_is_always_full_stops_nobody(home: Home, service: int) -> None:
    """/dev/full as the access log: the operator is told once."""
    with world.running(home, world.configuration({"app": service}, log={"access": "/dev/full"})) as gateway:
        lost = "gateway_access_log_dropped_total"
        until(lambda: get(gateway, home.ada).status == 200 and gateway.metric(lost) > 2, "lost lines", BRIEFLY)
        assert len(gateway.events(event=UNWRITTEN)) == 1


def test_a_full_disk_under_the_database_is_503_for_who_needs_a_row(
    small: Disk, template: Home, service: int, provider: Provider
) -> None:
    """A caller seen for the first time can have no account now; others are let in; with room again, so is the first."""
    home = template.copy(small.folder)
    with trusting(home, service, provider, provision=True) as gateway:
        until(lambda: gateway.ask("/known/app/echo", headers=token(provider, "early")).status == 200, "the keys")
        small.fill(gateway.process.pid)
        newcomer = token(provider, "newcomer")
        assert is_store_unavailable(gateway.ask("/app/echo", headers=newcomer))
        assert get(gateway, home.bob).status == 200
        small.free(gateway.process.pid)
        until(lambda: gateway.ask("/app/echo", headers=newcomer).status == 200, "an account", BRIEFLY)


def token(provider: Provider, subject: str) -> dict[str, str]:
    return world.bearer(provider.token("first", sub=subject))


def test_a_full_disk_refuses_a_command_in_one_line(small: Disk, template: Home) -> None:
    """Exit code 3; nothing half-made is left."""
    if isinstance(small, disk.Limited):
        pytest.skip("NOT TESTED: only root can make a small file system")
    home = template.copy(small.folder)
    small.fill(0)
    done = home.run("account", "create", "--email", "late@example.org")
    small.free(0)
    assert (done.returncode, len(done.stderr.splitlines())) == (3, 1)
    assert "late@example.org" not in {account["email"] for account in home.told("account", "list")}


# a locked database


@contextmanager
def written_to(home: Home) -> Iterator[None]:
    """Somebody else holds the write lock."""
    with closing(sqlite3.connect(home.database, isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        yield
        connection.execute("ROLLBACK")


@contextmanager
def locked(home: Home) -> Iterator[None]:
    """Nobody else can even read: a copy takes the file's place, and who put it there has not let go of it yet."""
    copy = home.folder / "copy.db"
    with closing(sqlite3.connect(home.database)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    with closing(sqlite3.connect(copy, isolation_level=None)) as holder:
        holder.execute("PRAGMA locking_mode = EXCLUSIVE")
        holder.execute("BEGIN EXCLUSIVE")
        for beside in ("-wal", "-shm"):
            Path(f"{home.database}{beside}").unlink(missing_ok=True)
        copy.rename(home.database)
        yield
        holder.execute("ROLLBACK")


def test_a_writer_beside_it_delays_nobody(gateway: Gateway) -> None:
    """Callers that nobody has seen yet are read while another process holds the write lock."""
    with written_to(gateway.home):
        assert get(gateway, gateway.home.bob).status == 200


def test_a_writer_beside_it_is_503_for_who_needs_a_row(home: Home, service: int, provider: Provider) -> None:
    """A caller seen for the first time waits for the lock in vain, and gets an account once it is gone."""
    newcomer = token(provider, "newcomer")
    with trusting(home, service, provider, provision=True) as gateway:
        with written_to(home):
            assert is_store_unavailable(gateway.ask("/app/echo", headers=newcomer))
        until(lambda: gateway.ask("/app/echo", headers=newcomer).status == 200, "an account", BRIEFLY)


def test_a_locked_database_is_503_for_strangers_alone(gateway: Gateway) -> None:
    """Who is in the cache goes on, and does not wait with those who are not; once it is free, these are let in too."""
    stranger = f"GET /app/echo HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {gateway.home.bob.token}\r\n\r\n"
    with locked(gateway.home), raw(gateway, stranger) as waiting:
        seconds = took(lambda: get(gateway, gateway.home.ada).status == 200, "200", BRIEFLY)
        answer = waiting.recv(65536)
    assert seconds < PROMPT
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"store_unavailable" in answer
    until(lambda: get(gateway, gateway.home.bob).status == 200, "that it recovers", BRIEFLY)


def test_a_locked_database_is_told_once(gateway: Gateway) -> None:
    """One line when revocations cannot be read, one when they can again. The audit trail and the outbox tell their own,
    if they have something to do meanwhile."""
    with locked(gateway.home):
        until(lambda: gateway.events(event="revocations cannot be read"), "the line", PATIENCE)
    until(lambda: gateway.events(event="revocations are read again"), "the line", PATIENCE)
    told = [line["event"] for line in gateway.events(level="error")]
    assert "revocations cannot be read" in told
    assert len(gateway.events(event="revocations are read again")) == 1
    assert len(told) == len(set(told))
    assert set(told) <= {"revocations cannot be read", "the audit trail waits", "the outbox cannot be used"}


def test_a_revocation_during_the_lock_is_obeyed_after_it(gateway: Gateway) -> None:
    """What could not be read while it was locked is read then, and the cache does not hide it."""
    guest = licensed(gateway.home, 0, "guest")
    assert get(gateway, guest).status == 200
    with locked(gateway.home):
        until(lambda: gateway.events(event="revocations cannot be read"), "the outage", PATIENCE)
    gateway.home.told("grant", "revoke", guest.grant)
    until(lambda: get(gateway, guest).status == 401, "that it is obeyed", BRIEFLY)


# a database that is gone


@contextmanager
def removed(home: Home) -> Iterator[None]:
    aside = home.folder / "aside.db"
    home.database.rename(aside)
    yield
    aside.rename(home.database)


def test_a_removed_database_is_503_for_strangers_alone(gateway: Gateway) -> None:
    """Nobody is answered from a file that is no longer there; when it is back, strangers are let in again."""
    with removed(gateway.home):
        assert is_store_unavailable(get(gateway, gateway.home.bob))
        assert get(gateway, gateway.home.ada).status == 200
    until(lambda: get(gateway, gateway.home.bob).status == 200, "that it recovers", BRIEFLY)


def test_a_removed_database_makes_it_unready_and_not_unhealthy(gateway: Gateway) -> None:
    """A balancer takes it out, an orchestrator does not kill it."""
    with removed(gateway.home):
        assert world.ask(f"{gateway.admin}/readyz").status == 503
        assert world.ask(f"{gateway.admin}/healthz").status == 200
    until(lambda: world.ask(f"{gateway.admin}/readyz").status == 200, "that it is ready again", BRIEFLY)


# a service that dies


class Service:
    """An aiohttp server that can be killed and started again on the same port, through a forwarding of ours."""

    def __init__(self, folder: Path, port: int) -> None:
        self.port = port
        self._folder = folder
        self.process = self._start()

    def _start(self) -> Process:
        command = [sys.executable, Path(upstream.__file__), self._folder, str(self.port)]
        process = Process(command, self._folder, "service")
        process.first_line()
        return process

    def restart(self) -> None:
        self.process = self._start()


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Service]:
    folder = tmp_path / "mortal"
    folder.mkdir()
    found = Service(folder, free_port())
    yield found
    found.process.kill()


@pytest.fixture
def fronting(home: Home, mortal: Service) -> Iterator[Gateway]:
    with world.running(home, world.configuration({"app": mortal.port})) as running:
        yield running


def test_a_service_killed_amid_its_answer_is_a_cut_connection(fronting: Gateway, mortal: Service) -> None:
    """The client has 5 of 10 bytes and learns that it has not all; the log has one line that says why."""
    with world.held(fronting) as (response, _):
        assert response.peek(5) == b"first"  # it is here, not on its way
        mortal.process.kill()
        with pytest.raises(http.client.IncompleteRead) as cut:
            response.read()
    assert cut.value.partial == b"first"
    assert fronting.logged(reason="upstream_closed")["status"] == 200


def test_a_service_that_is_gone_is_502(fronting: Gateway, mortal: Service) -> None:
    """Until it is back, which is noticed without a restart."""
    mortal.process.kill()
    assert get(fronting, fronting.home.ada).code == "upstream_unreachable"
    assert fronting.logged(reason="upstream_unreachable")["status"] == 502
    mortal.restart()
    until(lambda: get(fronting, fronting.home.ada).status == 200, "the service", PATIENCE)


def test_a_restarted_service_costs_no_request(fronting: Gateway, mortal: Service) -> None:
    """Idle connections to it have died: the request goes out again on a fresh one."""
    assert get(fronting, fronting.home.ada).status == 200
    mortal.process.kill()
    mortal.restart()
    assert get(fronting, fronting.home.ada).status == 200


def test_an_answer_that_breaks_off_is_never_followed_by_another(gateway: Gateway) -> None:
    """Not a byte after the 5 that came: no second status line."""
    with raw(gateway, f"GET /app/broken HTTP/1.1\r\nHost: x\r\n{credential(gateway)}\r\n") as connection:
        read = everything(connection)
    head, _, body = read.partition(b"\r\n\r\n")
    assert (head.split(b"\r\n")[0], body) == (b"HTTP/1.1 200 OK", b"first")


# a client that leaves


@contextmanager
def raw(gateway: Gateway, text: str) -> Iterator[socket.socket]:
    address = urlsplit(gateway.url)
    with socket.create_connection((LOOPBACK, address.port or 0), timeout=PATIENCE) as connection:
        connection.sendall(text.encode())
        yield connection


def credential(gateway: Gateway) -> str:
    return f"Authorization: Bearer {gateway.home.ada.token}\r\n"


def everything(connection: socket.socket) -> bytes:
    read = b""
    try:
        while part := connection.recv(65536):
            read += part
    except ConnectionResetError:
        pass
    return read


def connections(gateway: Gateway, *states: str) -> float:
    """To the service, in these states together."""
    return sum(gateway.metric(f'gateway_upstream_connections{{state="{state}",upstream="app"}}') for state in states)


def vanish(connection: socket.socket) -> None:
    """As a crashed machine or a closed laptop looks from here: a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def test_a_client_that_leaves_amid_a_download_is_one_line(gateway: Gateway) -> None:
    """The answer's status, and the reason why it did not end."""
    request = f"GET /app/chunked/{64 * 1024 * 1024} HTTP/1.1\r\nHost: x\r\n{credential(gateway)}\r\n"
    with raw(gateway, request) as connection:
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 OK")
        vanish(connection)
    assert gateway.logged(reason="client_gone")["status"] == 200
    assert get(gateway, gateway.home.ada).status == 200


def test_a_client_that_leaves_amid_an_upload_is_one_line(gateway: Gateway) -> None:
    """Nobody was answered."""
    request = f"POST /app/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n{credential(gateway)}\r\nhalf of it"
    with raw(gateway, request) as connection:
        until(lambda: connections(gateway, "busy") > 0, "the service to be asked")
        vanish(connection)
    assert gateway.logged(reason="client_gone")["method"] == "POST"
    assert get(gateway, gateway.home.ada).status == 200


def test_a_client_that_leaves_before_the_answer_frees_the_service(gateway: Gateway) -> None:
    """The connection to the service, which is still thinking, is closed."""
    before = connections(gateway, "busy", "idle", "connecting")
    name = os.urandom(8).hex()
    with raw(gateway, f"GET /app/held/{name} HTTP/1.1\r\nHost: x\r\n{credential(gateway)}\r\n") as connection:
        assert connection.recv(15) == b"HTTP/1.1 200 OK"
        vanish(connection)
    gateway.logged(reason="client_gone")
    until(
        lambda: connections(gateway, "busy", "idle", "connecting") < max(before, 1),
        "the connection to be closed",
        BRIEFLY,
    )
