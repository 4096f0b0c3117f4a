"""Several workers: their start, their end, and what one that ends or hangs costs the others."""

import os
import resource
import signal
import socket
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from harness.ports import free_port

from . import world
from .parts import LOOPBACK, until
from .several import Load, asked, holding, said, stopped, unready, workers
from .test_e2e_lifecycle import attempt, one_line
from .world import PROGRAM, Gateway, Home

ACTIVATION = """import os, socket, sys
for number, place in enumerate({places!r}, 3):
    os.dup2(socket.create_server(place).detach(), number)
    os.set_inheritable(number, True)
os.environ.update(LISTEN_FDS=str(len({places!r})), LISTEN_PID=str(os.getpid()))
os.execv({program!r}, [{program!r}, *sys.argv[1:]])
"""


def test_workers_are_processes_of_one_gateway(home: Home, service: int) -> None:
    """As many as were written, which end with it."""
    with world.running(home, said(service, 3)) as gateway:
        pids = workers(gateway)
        assert len(pids) == 3
        assert gateway.process.stop() == 0
        assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def test_connections_are_spread(several: Gateway) -> None:
    """Neither of two workers has more than 60 of 100."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(2048, hard)), hard))
    address = urlsplit(several.url)
    with ExitStack() as stack:
        ends = [
            stack.enter_context(socket.create_connection((address.hostname, address.port or 0), timeout=20))
            for _ in range(600)
        ]
        for end in ends:  # who gets an answer was accepted
            end.sendall(b"GET /nowhere HTTP/1.1\r\nHost: gateway.test\r\n\r\n")
            assert end.recv(1 << 16).startswith(b"HTTP/1.1 404 ")
        held = [holding(pid, {end.getsockname()[1] for end in ends}) for pid in workers(several)]
        assert (sum(held), min(held) >= 240) == (600, True), held


@pytest.mark.parametrize(
    ("more", "code", "word"),
    [
        ({"routes": [{"path": "/{a}/{a}", "upstream": "app", "access": "public"}]}, 1, "config.yaml:"),
        ({"secrets": {"master_key": {"file": "var/other.key"}}}, 1, "other.key"),
    ],
)
def test_a_wrong_configuration_does_not_start(
    home: Home, service: int, more: dict[str, Any], code: int, word: str
) -> None:
    """With the message and the exit code that a single process has."""
    done = attempt(home, {**said(service), **more})
    assert (done.returncode, word in done.stderr, "Traceback" in done.stderr) == (code, True, False)


def test_a_missing_database_is_told_in_one_line(home: Home, service: int) -> None:
    """By the first worker, with exit code 3."""
    home.database.unlink()
    done = attempt(home, said(service))
    assert done.returncode == 3
    assert "gateway migrate" in one_line(done)


@pytest.mark.parametrize("listener", ["listen", "admin"])
def test_a_taken_port_is_told_in_one_line(home: Home, service: int, listener: str) -> None:
    """A port that is shared among workers is not shared with anybody else."""
    with socket.create_server((LOOPBACK, 0), reuse_port=True) as taken:
        address = f"{LOOPBACK}:{taken.getsockname()[1]}"
        new = said(service)
        new[listener]["address"] = address
        done = attempt(home, new)
    assert done.returncode == 3
    assert address in one_line(done)


def test_several_workers_without_a_shared_state_are_refused(home: Home, service: int) -> None:
    """At the line to change, with what to write."""
    done = attempt(home, {**said(service), "state": {"url": "memory"}})
    assert done.returncode == 1
    assert "state: { url: redis://" in done.stderr


def test_a_new_database_is_made_once(home: Home, service: int) -> None:
    """`--migrate` and the keys are the first worker's."""
    home.database.unlink()
    home.configure(said(service, 4))
    command = [PROGRAM, "serve", "-c", "config.yaml", "--migrate"]
    with world.Process(command, home.folder, "made") as process:
        until(lambda: "serving" in process.complained(), "the start")
        keys = home.told("keys", "list")
        assert process.stop() == 0
    active = sorted(key["purpose"] for key in keys if key["state"] == "active")
    assert active == ["assertion", "connection_string", "token"]


def test_workers_end_with_their_supervisor(own: Gateway) -> None:
    """Also when it is killed."""
    pids = workers(own)
    os.kill(own.process.pid, signal.SIGKILL)
    own.process.wait()
    until(lambda: not [pid for pid in pids if Path(f"/proc/{pid}").exists()], "the end of the workers")


def test_sigterm_lets_requests_end(own: Gateway, service: int) -> None:
    """As with a single process, whichever worker has it."""
    with ExitStack() as stack:
        held = [stack.enter_context(world.held(own)) for _ in range(4)]
        own.process.signal(signal.SIGTERM)
        until(lambda: own.events(event="draining"), "that it drains")
        for response, release in held:
            world.ask(f"http://{LOOPBACK}:{service}{release}")
            assert response.read() == b"firstlast."
    assert own.process.wait() == 0


def test_a_second_signal_ends_the_draining(own: Gateway, service: int) -> None:
    """In all workers."""
    with world.held(own) as (_, release):
        own.process.signal(signal.SIGTERM)
        until(lambda: own.events(event="draining"), "that it drains")
        own.process.signal(signal.SIGTERM)
        assert own.process.wait(10) == 0
        world.ask(f"http://{LOOPBACK}:{service}{release}")


@pytest.mark.parametrize("count", [1, 2])
def test_sockets_of_a_service_manager_are_served(home: Home, service: int, count: int) -> None:
    """In the place of `listen.address`, by one process or by several."""
    new = said(service, count)
    given = Path(home.folder / "activate.py")
    port = free_port()
    given.write_text(ACTIVATION.format(places=[(LOOPBACK, port)], program=str(PROGRAM)))
    with world.running(home, new, [sys.executable, given]) as gateway:
        assert world.ask(f"http://{LOOPBACK}:{port}/public/app/echo").status == 200
        with pytest.raises(ConnectionRefusedError):
            gateway.ask("/public/app/echo")


def test_what_is_queued_at_a_worker_that_ends_is_answered_by_the_next(several: Gateway) -> None:
    """Connections wait on a socket that is the supervisor's."""
    victim = workers(several)[0]
    with ExitStack() as stack:
        with stopped(victim):
            connections = asked(several, stack, 40)
            os.kill(victim, signal.SIGKILL)
        assert [connection.getresponse().status for connection in connections] == [200] * 40
    (told,) = several.events(event="worker ended")
    assert (told["worker"], told["how"]) == (1, "signal 9")


def test_a_worker_that_ends_again_and_again_is_waited_for_longer(own: Gateway) -> None:
    """Nothing the first time, then 0.1 s, 0.2 s, 0.4 s."""
    other = workers(own)[1]
    for number in range(4):
        victim = until(lambda: [pid for pid in workers(own) if pid != other], "a new worker")[0]
        until(lambda: unready(own) == [], "that it is ready")
        os.kill(victim, signal.SIGKILL)
        until(lambda: len(own.events(event="worker ended")) > number, "that its end is seen")  # noqa: B023
    assert [told["restart_in"] for told in own.events(event="worker ended")] == [0.0, 0.1, 0.2, 0.4]


def test_a_worker_that_is_killed_under_load_costs_what_it_had(several: Gateway) -> None:
    """At most one answer for each client; then there are two again."""
    with Load(several) as load:
        load.more()
        victim = workers(several)[0]
        os.kill(victim, signal.SIGKILL)
        until(lambda: len(workers(several)) == 2 and victim not in workers(several), "the next one")
        load.more()
    assert sum(count for answer, count in load.answers.items() if answer != 200) <= 4


def test_a_worker_that_cannot_start_is_tried_again_and_again(own: Gateway) -> None:
    """The reason is told, the others serve, and once it can start it does."""
    key = own.home.folder / "var/master.key"
    key.rename(key.with_suffix(".away"))
    os.kill(workers(own)[0], signal.SIGKILL)
    told = until(lambda: (found := own.events(event="worker cannot start"))[2:] and found, "three attempts")
    assert "gateway init" in told[0]["detail"]
    assert told[2]["restart_in"] > told[0]["restart_in"]
    assert unready(own) == ["worker 1: not running"]
    key.with_suffix(".away").rename(key)
    until(lambda: unready(own) == [], "that it is ready")


@pytest.mark.parametrize("count", [1, 2])
def test_a_socket_that_no_worker_would_accept_on_is_refused(home: Home, service: int, count: int) -> None:
    """In one line: its clients would wait for ever."""
    given = home.folder / "activate.py"
    given.write_text(ACTIVATION.format(places=[(LOOPBACK, 0)] * (count + 1), program=str(PROGRAM)))
    home.configure(said(service, count))
    with world.Process([sys.executable, given, "serve", "-c", "config.yaml"], home.folder, "given") as process:
        assert process.wait() == 1
        assert f"{count + 1} listening sockets" in process.complained()


def test_what_is_queued_at_the_end_is_answered_and_then_nobody_is_let_in(own: Gateway) -> None:
    """A client is refused at once; it does not wait for a worker that will not come."""
    address = urlsplit(own.url)
    one, two = workers(own)
    with ExitStack() as stack:
        held = stack.enter_context(world.held(own))
        with stopped(one), stopped(two):
            connections = asked(own, stack, 60)
            own.process.signal(signal.SIGTERM)
            until(lambda: own.events(event="draining"), "that it drains")
        assert [connection.getresponse().status for connection in connections] == [200] * 60

        def refused() -> bool:
            try:
                socket.create_connection((address.hostname, address.port or 0)).close()
            except ConnectionRefusedError:
                return True
            return False

        until(refused, "that nobody listens", 5)
        assert not own.process.ended()
        assert held[0].status == 200
        own.process.signal(signal.SIGTERM)
    assert own.process.wait() == 0


def test_a_worker_that_hangs_is_replaced(own: Gateway) -> None:
    """What waits on its socket is answered by the next one; until then it counts as down."""
    victim = workers(own)[0]
    with ExitStack() as stack, stopped(victim):
        connections = asked(own, stack, 20)
        until(lambda: own.metric('gateway_worker_up{worker="1"}') == 0, "that it is missed")
        (told,) = until(lambda: own.events(event="worker does not answer and is killed"), "its end", 40)
        assert told["worker"] == 1
        assert [connection.getresponse().status for connection in connections] == [200] * 20
    until(lambda: unready(own) == [], "that there are two again")
    assert victim not in workers(own)
