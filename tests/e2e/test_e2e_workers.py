"""Several workers: what one of them does or suffers costs nobody a request, and they look like one gateway."""

import http.client
import json
import os
import resource
import shutil
import signal
import socket
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

import gateway as package

from . import world
from .parts import LOOPBACK, free_port, until
from .test_e2e_lifecycle import attempt, one_line, with_another_route
from .world import PROGRAM, Gateway, Home

STATE = {"url": "redis://127.0.0.1:1"}  # nobody listens there
LAUNCHER = "import sys\nsys.path.insert(0, {folder!r})\nfrom gateway.cli import main\nmain()\n"

ACTIVATION = """import os, socket, sys
os.dup2(socket.create_server({place!r}).detach(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv({program!r}, [{program!r}, *sys.argv[1:]])
"""


def said(service: int, workers: int = 2, **listen: Any) -> dict[str, Any]:
    """Configuration of several workers."""
    return world.configuration({"app": service}, listen={"workers": workers, **listen}, state=STATE)


@pytest.fixture
def gateway(home: Home, service: int) -> Iterator[Gateway]:
    with world.running(home, said(service)) as running:
        yield running


@pytest.fixture
def installed(home: Home, service: int) -> Iterator[tuple[Gateway, Path]]:
    """A gateway that runs from a copy of the program, which can be replaced, and that copy."""
    code = home.folder / "code"
    shutil.copytree(Path(package.__file__).parent, code / "gateway", ignore=shutil.ignore_patterns("__pycache__"))
    launcher = home.folder / "launch.py"
    launcher.write_text(LAUNCHER.format(folder=str(code)))
    with world.running(home, said(service), [sys.executable, launcher]) as running:
        yield running, code / "gateway"


def workers(gateway: Gateway) -> list[int]:
    """Process numbers, oldest first."""
    children = Path(f"/proc/{gateway.process.pid}/task/{gateway.process.pid}/children").read_text()
    return [int(pid) for pid in children.split()]


def sockets(pid: int) -> int:
    """How many a process has open."""
    folder = Path(f"/proc/{pid}/fd")
    return sum(os.readlink(link).startswith("socket:") for link in folder.iterdir())


def admin_token(gateway: Gateway) -> dict[str, str]:
    return world.bearer((gateway.home.folder / "var/admin.token").read_text().strip())


def unready(gateway: Gateway) -> list[str]:
    """What is told of workers; what else is warned of does not matter here."""
    told = world.ask(f"{gateway.admin}/readyz").json()
    return [line for line in (*told["reasons"], *told["warnings"]) if line.startswith("worker ")]


class Load:
    """Clients that ask without a pause, half of them with a connection for each request."""

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
        while not self._over.is_set():
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


# starting and ending


def test_workers_are_processes_of_one_gateway(home: Home, service: int) -> None:
    """As many as were written, which end with it."""
    with world.running(home, said(service, 3)) as gateway:
        pids = workers(gateway)
        assert len(pids) == 3
        assert gateway.process.stop() == 0
        assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def test_connections_are_spread(gateway: Gateway) -> None:
    """Neither of two workers has more than 60 of 100."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(2048, hard)), hard))
    address = urlsplit(gateway.url)
    before = [sockets(pid) for pid in workers(gateway)]
    with ExitStack() as stack:
        for _ in range(600):
            stack.enter_context(socket.create_connection((address.hostname, address.port or 0)))

        def taken() -> list[int]:
            return [sockets(pid) - old for pid, old in zip(workers(gateway), before, strict=True)]

        until(lambda: sum(taken()) >= 600, "that all are accepted")
        assert 240 <= min(taken()) <= max(taken()) <= 360


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


def test_workers_end_with_their_supervisor(gateway: Gateway) -> None:
    """Also when it is killed."""
    pids = workers(gateway)
    os.kill(gateway.process.pid, signal.SIGKILL)
    gateway.process.wait()
    until(lambda: not [pid for pid in pids if Path(f"/proc/{pid}").exists()], "the end of the workers")


def test_sigterm_lets_requests_end(gateway: Gateway, service: int) -> None:
    """As with a single process, whichever worker has it."""
    with ExitStack() as stack:
        held = [stack.enter_context(world.held(gateway)) for _ in range(4)]
        gateway.process.signal(signal.SIGTERM)
        until(lambda: gateway.events(event="draining"), "that it drains")
        for response, release in held:
            world.ask(f"http://{LOOPBACK}:{service}{release}")
            assert response.read() == b"firstlast."
    assert gateway.process.wait() == 0


def test_a_second_signal_ends_the_draining(gateway: Gateway, service: int) -> None:
    """In all workers."""
    with world.held(gateway) as (_, release):
        gateway.process.signal(signal.SIGTERM)
        until(lambda: gateway.events(event="draining"), "that it drains")
        gateway.process.signal(signal.SIGTERM)
        assert gateway.process.wait(10) == 0
        world.ask(f"http://{LOOPBACK}:{service}{release}")


# a worker that ends


def test_what_is_queued_at_a_worker_that_ends_is_answered_by_the_next(gateway: Gateway) -> None:
    """Connections wait on a socket that is the supervisor's."""
    victim = workers(gateway)[0]
    with ExitStack() as stack:
        with stopped(victim):
            connections = asked(gateway, stack, 40)
            os.kill(victim, signal.SIGKILL)
        assert [connection.getresponse().status for connection in connections] == [200] * 40
    (told,) = gateway.events(event="worker ended")
    assert (told["worker"], told["how"], told["restart_in"]) == (1, "signal 9", 0.0)


def test_a_worker_that_ends_again_and_again_is_waited_for_longer(gateway: Gateway) -> None:
    """Nothing the first time, then 0.1 s, 0.2 s, 0.4 s."""
    other = workers(gateway)[1]
    for number in range(4):
        victim = until(lambda: [pid for pid in workers(gateway) if pid != other], "a new worker")[0]
        until(lambda: unready(gateway) == [], "that it is ready")
        os.kill(victim, signal.SIGKILL)
        until(lambda: len(gateway.events(event="worker ended")) > number, "that its end is seen")  # noqa: B023
    assert [told["restart_in"] for told in gateway.events(event="worker ended")] == [0.0, 0.1, 0.2, 0.4]


def test_a_worker_that_is_killed_under_load_costs_what_it_had(gateway: Gateway) -> None:
    """At most one answer for each client; then there are two again."""
    with Load(gateway) as load:
        load.more()
        victim = workers(gateway)[0]
        os.kill(victim, signal.SIGKILL)
        until(lambda: len(workers(gateway)) == 2 and victim not in workers(gateway), "the next one")
        load.more()
    assert sum(count for answer, count in load.answers.items() if answer != 200) <= 4


def test_a_worker_that_starts_again_has_the_configuration_of_the_others(gateway: Gateway) -> None:
    """Not what somebody has begun to write."""
    (gateway.home.folder / "config.yaml").write_text("listen: { address: [")
    victim = workers(gateway)[0]
    os.kill(victim, signal.SIGKILL)
    until(lambda: gateway.events(event="worker ended"), "that its end is seen")
    until(lambda: unready(gateway) == [], "that there are two again")
    assert len(workers(gateway)) == 2
    gateway.configure(gateway.said)


def test_a_worker_that_cannot_start_is_tried_again_and_again(gateway: Gateway) -> None:
    """The reason is told, the others serve, and once it can start it does."""
    key = gateway.home.folder / "var/master.key"
    key.rename(key.with_suffix(".away"))
    os.kill(workers(gateway)[0], signal.SIGKILL)
    told = until(lambda: (found := gateway.events(event="worker cannot start"))[2:] and found, "three attempts")
    assert "gateway init" in told[0]["detail"]
    assert told[2]["restart_in"] > told[0]["restart_in"]
    assert unready(gateway) == ["worker 1: not running"]
    key.with_suffix(".away").rename(key)
    until(lambda: unready(gateway) == [], "that it is ready")


# reloading


@pytest.mark.parametrize("way", ["SIGHUP", "gateway reload"])
def test_a_reload_reaches_every_worker_and_loses_no_request(gateway: Gateway, service: int, way: str) -> None:
    """Under load, in the same processes."""
    pids = workers(gateway)
    gateway.configure(with_another_route(gateway.said, service))
    with Load(gateway) as load:
        load.more()
        if way == "SIGHUP":
            gateway.hang_up()
        else:
            assert gateway.home.told("reload") == {"reloaded": True, "faults": []}
        until(lambda: [e for e in gateway.events(event="reloaded") if e.get("workers") == 2], "the reload")
        load.more()
    assert set(load.answers) == {200}
    assert {gateway.ask("/public/more/echo").status for _ in range(20)} == {200}
    assert workers(gateway) == pids


@pytest.mark.parametrize(
    "more",
    [
        {"cache": {"sise": 1}},
        {"routes": [{"path": "/x/**", "upstream": "app", "access": "public"}] * 2},
        {"store": {"url": "sqlite:///var/other.db"}},
        {"listen": {"workers": 3}},
    ],
)
def test_a_reload_that_is_refused_changes_no_worker(gateway: Gateway, more: dict[str, Any]) -> None:
    """The faults are told once; what the workers have they keep."""
    new = {**gateway.said, "routes": gateway.said["routes"][:1]}
    for key, value in more.items():
        new[key] = {**new.get(key, {}), **value} if isinstance(value, dict) else value
    gateway.configure(new)
    answer = world.ask(f"{gateway.admin}/reload", "POST", admin_token(gateway))
    assert (answer.status, len(answer.json()["faults"])) == (422, 1)
    assert {gateway.ask("/public/app/echo").status for _ in range(20)} == {200}


def test_a_worker_that_cannot_follow_a_reload_is_replaced(gateway: Gateway, service: int) -> None:
    """It is stopped while the others take it; its successor starts with the new configuration."""
    gateway.configure(with_another_route(gateway.said, service))
    victim = workers(gateway)[1]
    with stopped(victim):
        gateway.hang_up()
        until(lambda: [e for e in gateway.events(event="reloaded") if e.get("worker") == 1], "the first reload")
        os.kill(victim, signal.SIGKILL)
    until(lambda: [e for e in gateway.events(event="reloaded") if e.get("workers") == 2], "the reload")
    until(lambda: unready(gateway) == [], "that there are two again")
    assert {gateway.ask("/public/more/echo").status for _ in range(20)} == {200}


# upgrading


def test_an_upgrade_runs_the_new_program_and_loses_no_request(installed: tuple[Gateway, Path]) -> None:
    """Workers and supervisor, under load, under the same process number."""
    gateway, code = installed
    pids = workers(gateway)
    for name, event in (("app/gateway.py", "reloaded"), ("cli/supervisor.py", "serving")):
        path = code / name
        path.write_text(path.read_text().replace(f'"{event}"', f'"{event} anew"'))
    with Load(gateway) as load:
        load.more()
        gateway.process.signal(signal.SIGUSR2)
        until(lambda: gateway.events(event="serving anew"), "the new supervisor")
        load.more()
    assert set(load.answers) == {200}
    assert len(workers(gateway)) == 2
    assert not set(workers(gateway)) & set(pids)
    gateway.hang_up()
    until(lambda: {e["worker"] for e in gateway.events(event="reloaded anew")} == {1, 2}, "new workers")


def test_an_upgrade_by_command_tells_its_end(gateway: Gateway) -> None:
    """And again: the new supervisor does it as the old one did."""
    for _ in range(2):
        pids = workers(gateway)
        assert gateway.home.told("upgrade") == {"upgraded": True, "faults": []}
        assert not set(workers(gateway)) & set(pids)
    os.kill(workers(gateway)[0], signal.SIGKILL)
    until(lambda: gateway.events(event="worker ended"), "that an adopted worker is looked after")
    until(lambda: unready(gateway) == [], "that there are two again")


@pytest.mark.parametrize("module", ["cli/worker.py", "cli/supervisor.py"])
def test_a_program_that_does_not_start_replaces_nothing(installed: tuple[Gateway, Path], module: str) -> None:
    """The fault is told, and the gateway goes on under load; of a broken supervisor, the old one stays."""
    gateway, code = installed
    pids = workers(gateway)
    right = (code / module).read_text()
    (code / module).write_text("raise SystemExit(9)\n")
    with Load(gateway) as load:
        answer = world.ask(f"{gateway.admin}/upgrade", "POST", admin_token(gateway))
        load.more()
    (code / module).write_text(right)
    assert (answer.status, "exit code 9" in answer.json()["faults"][0]["message"]) == (422, True)
    assert set(load.answers) == {200}
    assert len(workers(gateway)) == 2
    assert (workers(gateway) == pids) == (module == "cli/worker.py")
    assert gateway.home.told("upgrade") == {"upgraded": True, "faults": []}


def test_an_upgrade_lets_what_was_begun_end(gateway: Gateway, service: int) -> None:
    """An answer under way comes whole from the worker that began it."""
    with ExitStack() as stack:
        held = [stack.enter_context(world.held(gateway)) for _ in range(4)]
        gateway.process.signal(signal.SIGUSR2)
        until(lambda: gateway.events(event="worker replaced"), "the first successor")
        for response, release in held:
            world.ask(f"http://{LOOPBACK}:{service}{release}")
            assert response.read() == b"firstlast."
    until(lambda: len(gateway.events(event="serving")) == 2, "the end of the upgrade")


def test_an_upgrade_with_another_number_of_workers_is_refused(gateway: Gateway) -> None:
    """The sockets are there already."""
    new = {**gateway.said, "listen": {**gateway.said["listen"], "workers": 3}}
    gateway.configure(new)
    answer = world.ask(f"{gateway.admin}/upgrade", "POST", admin_token(gateway))
    assert (answer.status, answer.json()["faults"][0]["code"]) == (422, "needs_restart")


def test_a_single_process_says_that_it_cannot_be_upgraded(home: Home, service: int) -> None:
    """The signal does not end it, and the command names the key."""
    with world.running(home, world.configuration({"app": service})) as gateway:
        gateway.process.signal(signal.SIGUSR2)
        until(lambda: [e for e in gateway.events() if "listen.workers" in e["event"]], "the word")
        done = gateway.home.run("upgrade")
        assert (done.returncode, "listen.workers" in done.stderr) == (1, True)


# all as one


def requests(gateway: Gateway) -> float:
    return gateway.metric('gateway_requests_total{reason="",route="/public/app/**",status="2xx"}')


def test_metrics_are_of_all_workers_and_never_go_back(gateway: Gateway) -> None:
    """Not with a worker's end, nor with an upgrade."""
    for _ in range(50):
        gateway.ask("/public/app/echo")
    assert requests(gateway) == 50
    for pid in workers(gateway):
        os.kill(pid, signal.SIGKILL)
    until(lambda: len(gateway.events(event="worker ended")) == 2, "their end")
    until(lambda: unready(gateway) == [], "that there are two again")
    assert requests(gateway) == 50
    gateway.ask("/public/app/echo")
    gateway.home.told("upgrade")
    until(lambda: len(gateway.events(event="serving")) == 2, "the end of the upgrade")
    assert requests(gateway) == 51
    assert gateway.metric('gateway_worker_restarts_total{worker="2"}') == 1
    assert gateway.metric('process_resident_memory_bytes{worker="1"}') > 1e6


def test_a_gateway_is_ready_while_one_worker_is(gateway: Gateway) -> None:
    """The other is a warning; without any it is not ready."""
    one, two = workers(gateway)
    with stopped(one):
        assert world.ask(f"{gateway.admin}/readyz").status == 200
        assert unready(gateway) == ["worker 1: does not answer"]
        with stopped(two):
            answer = world.ask(f"{gateway.admin}/readyz")
            assert (answer.status, len(answer.json()["reasons"])) == (503, 2)
    assert world.ask(f"{gateway.admin}/healthz").status == 200


def test_a_purge_reaches_every_worker(gateway: Gateway) -> None:
    """What was remembered is verified anew."""
    for _ in range(20):
        gateway.ask("/app/echo", headers=gateway.home.ada.headers)
    assert gateway.metric("gateway_credential_cache_entries") == 2
    assert world.ask(f"{gateway.admin}/purge", "POST", admin_token(gateway)).status == 200
    assert gateway.metric("gateway_credential_cache_entries") == 0


def test_the_admin_listener_of_several_workers_wants_its_token(gateway: Gateway) -> None:
    """As that of one does."""
    for path in ("reload", "purge", "upgrade"):
        assert world.ask(f"{gateway.admin}/{path}", "POST").status == 401


def test_workers_write_one_access_log_in_whole_lines(gateway: Gateway) -> None:
    """Also after it was rotated."""
    path = gateway.home.folder / "access.log"
    with Load(gateway) as load:
        load.more(200)
        path.rename(path.with_suffix(".old"))
        assert gateway.home.told("reload")["reloaded"]
        load.more(200)
    assert gateway.process.stop() == 0
    old, new = (file.read_text().splitlines() for file in (path.with_suffix(".old"), path))
    assert min(len(old), len(new)) >= 100
    assert len([json.loads(line) for line in old + new]) == load.count


def test_lines_of_the_log_say_which_worker(gateway: Gateway) -> None:
    """A number from 1."""
    gateway.hang_up()
    until(lambda: len(gateway.events(event="reloaded")) == 3, "the reload")
    assert {event.get("worker") for event in gateway.events(event="reloaded")} == {1, 2, None}


def test_a_service_manager_is_told(home: Home, service: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """READY once requests are answered, RELOADING and READY, STOPPING; WATCHDOG meanwhile."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(home.folder / "notify"))
        manager.settimeout(20)
        monkeypatch.setenv("NOTIFY_SOCKET", str(home.folder / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "200000")
        told: list[str] = []

        def hear(word: str) -> None:
            while not told or word not in told[-1]:
                told.append(manager.recv(4096).decode())

        with world.running(home, said(service)) as gateway:
            hear("READY=1")
            assert f"MAINPID={gateway.process.pid}" in told[-1]
            hear("WATCHDOG=1")
            gateway.hang_up()
            hear("RELOADING=1")
            hear("READY=1")
            gateway.process.stop()
            hear("STOPPING=1")


@pytest.mark.parametrize("count", [1, 2])
def test_sockets_of_a_service_manager_are_served(home: Home, service: int, count: int) -> None:
    """In the place of `listen.address`, by one process or by several."""
    new = said(service, count)
    given = Path(home.folder / "activate.py")
    port = free_port()
    given.write_text(ACTIVATION.format(place=(LOOPBACK, port), program=str(PROGRAM)))
    with world.running(home, new, [sys.executable, given]) as gateway:
        assert world.ask(f"http://{LOOPBACK}:{port}/public/app/echo").status == 200
        with pytest.raises(ConnectionRefusedError):
            gateway.ask("/public/app/echo")


def test_an_idle_supervisor_costs_nothing(gateway: Gateway) -> None:
    """Its clock of processor time stands still while its workers' polls go on."""

    def ticks(pid: int) -> int:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    one = workers(gateway)[0]
    before, busy = ticks(gateway.process.pid), ticks(one)
    until(lambda: ticks(one) > busy, "that a worker has done something")
    assert ticks(gateway.process.pid) - before <= 1
