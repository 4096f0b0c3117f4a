"""Starting, reloading and stopping: a wrong configuration changes nothing, and nobody's request is lost."""

import http.client
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from . import world
from .parts import LOOPBACK, until
from .world import PROGRAM, Gateway, Home

PLACE = re.compile(r"^config\.yaml:\d+:\d+: ", re.M)


@pytest.fixture
def gateway(home: Home, service: int) -> Iterator[Gateway]:
    with world.running(home, world.configuration({"app": service})) as running:
        yield running


def attempt(home: Home, said: dict[str, Any] | str) -> "subprocess.CompletedProcess[str]":
    """A start that is going to fail."""
    if isinstance(said, str):
        (home.folder / "config.yaml").write_text(said)
    else:
        home.configure(said)
    command = [str(PROGRAM), "serve", "-c", "config.yaml"]
    return subprocess.run(command, cwd=home.folder, capture_output=True, text=True, timeout=20, check=False)


def one_line(done: "subprocess.CompletedProcess[str]") -> str:
    """What it complained, which must be a single line without a traceback."""
    (line,) = done.stderr.splitlines()
    assert "Traceback" not in line
    return line


# starting


def test_a_wrong_configuration_does_not_start(home: Home, service: int) -> None:
    """Exit code 1, and every fault with its place."""
    said = world.configuration({"app": service}, cache={"sise": 5}, log={"level": "loud"})
    done = attempt(home, said)
    assert (done.returncode, len(PLACE.findall(done.stderr))) == (1, 2)
    assert "did you mean 'size'?" in done.stderr


def test_a_file_that_is_no_yaml_does_not_start(home: Home) -> None:
    """The place of the fault is the parser's."""
    done = attempt(home, "listen: { address: [\n")
    assert done.returncode == 1
    assert PLACE.search(done.stderr)
    assert "Traceback" not in done.stderr


def test_a_missing_configuration_says_so(home: Home) -> None:
    """The name of the file that is not there."""
    (home.folder / "config.yaml").unlink()
    command = [str(PROGRAM), "serve", "-c", "config.yaml"]
    done = subprocess.run(command, cwd=home.folder, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 1
    assert "config.yaml" in one_line(done)


@pytest.mark.parametrize("listener", ["listen", "admin"])
def test_a_taken_port_is_told_in_one_line(home: Home, service: int, listener: str) -> None:
    """With the address, and exit code 3."""
    with socket.create_server((LOOPBACK, 0)) as taken:
        address = f"{LOOPBACK}:{taken.getsockname()[1]}"
        done = attempt(home, world.configuration({"app": service}, **{listener: {"address": address}}))
    assert done.returncode == 3
    assert address in one_line(done)


def test_a_missing_database_is_told_in_one_line(home: Home, service: int) -> None:
    """With the command that makes one, and exit code 3."""
    home.database.unlink()
    done = attempt(home, world.configuration({"app": service}))
    assert done.returncode == 3
    assert "gateway migrate" in one_line(done)


def test_a_missing_master_key_is_told_in_one_line(home: Home, service: int) -> None:
    """With the command that makes one, and exit code 3."""
    (home.folder / "var/master.key").unlink()
    done = attempt(home, world.configuration({"app": service}))
    assert done.returncode == 3
    assert "gateway init" in one_line(done)


def test_a_named_master_key_that_is_missing_is_told_at_its_place(home: Home, service: int) -> None:
    """Exit code 1: the configuration names a file that is not there."""
    done = attempt(home, world.configuration({"app": service}, secrets={"master_key": {"file": "var/other.key"}}))
    assert done.returncode == 1
    assert PLACE.match(done.stderr)
    assert "other.key" in done.stderr


def test_a_wrong_master_key_is_told_in_one_line(home: Home, service: int) -> None:
    """Another gateway's key opens nothing here; that is said, not how."""
    (home.folder / "var/master.key").write_text("A" * 43 + "=\n")
    done = attempt(home, world.configuration({"app": service}))
    assert done.returncode == 3
    assert "A" * 43 not in done.stderr
    assert "key" in one_line(done)


# reloading


def with_another_route(said: dict[str, Any], service: int) -> dict[str, Any]:
    more = world.configuration({"more": service})
    return {**said, "upstreams": {**said["upstreams"], **more["upstreams"]}, "routes": said["routes"] + more["routes"]}


@pytest.mark.parametrize("way", ["SIGHUP", "gateway reload"])
def test_a_reload_brings_new_routes(gateway: Gateway, service: int, way: str) -> None:
    """By signal and by command; the process stays the same."""
    assert gateway.ask("/public/more/echo").status == 404
    gateway.configure(with_another_route(gateway.said, service))
    if way == "SIGHUP":
        gateway.hang_up()
    else:
        assert gateway.home.told("reload") == {"reloaded": True, "faults": []}
    until(lambda: gateway.ask("/public/more/echo").status == 200, "the new route", 5)


def test_a_reload_takes_old_routes_away(gateway: Gateway) -> None:
    """What is no longer written is no longer served."""
    said = {**gateway.said, "routes": gateway.said["routes"][:1]}
    gateway.configure(said)
    gateway.hang_up()
    until(lambda: gateway.ask("/public/app/echo").status == 404, "the end of the old route", 5)


@pytest.mark.parametrize("way", ["SIGHUP", "gateway reload"])
def test_a_wrong_configuration_replaces_nothing(gateway: Gateway, service: int, way: str) -> None:
    """Not even the part of it that is right; the fault is told with its place."""
    gateway.configure({**with_another_route(gateway.said, service), "cache": {"sise": 1}})
    if way == "SIGHUP":
        gateway.hang_up()
        (told,) = until(lambda: gateway.events(event="reload refused"), "the refusal", 5)
        assert PLACE.match(f"{Path(told['place']).name}: ")
    else:
        done = gateway.home.run("reload")
        assert done.returncode != 0
        assert PLACE.search(done.stderr)
    assert gateway.ask("/public/more/echo").status == 404
    assert gateway.ask("/app/echo", headers=gateway.home.ada.headers).status == 200


def test_the_admin_listener_tells_the_faults_of_a_reload(gateway: Gateway) -> None:
    """422 with every fault as data; the old configuration stays."""
    gateway.configure({**gateway.said, "cache": {"sise": 1}})
    token = (gateway.home.folder / "var/admin.token").read_text().strip()
    answer = world.ask(f"{gateway.admin}/reload", "POST", world.bearer(token))
    (fault,) = answer.json()["faults"]
    assert (answer.status, answer.json()["reloaded"], fault["line"] > 0) == (422, False, True)
    assert gateway.ask("/public/app/echo").status == 200


def test_what_needs_a_restart_is_refused_by_a_reload(gateway: Gateway) -> None:
    """Another database is not swapped in under running sessions."""
    gateway.configure({**gateway.said, "store": {"url": "sqlite:///var/other.db"}})
    gateway.hang_up()
    (told,) = until(lambda: gateway.events(event="reload refused"), "the refusal", 5)
    assert "restart" in told["fault"]


def test_a_request_keeps_what_it_began_with(gateway: Gateway, service: int) -> None:
    """Its route is gone by the time it is answered, and it is answered all the same."""
    with world.held(gateway) as (response, release):
        gateway.configure({**gateway.said, "routes": []})
        gateway.hang_up()
        until(lambda: gateway.ask("/public/app/echo").status == 404, "the reload", 5)
        world.ask(f"http://{LOOPBACK}:{service}{release}")
        assert response.read() == b"firstlast."


# stopping


def test_sigterm_ends_an_idle_gateway_at_once(gateway: Gateway) -> None:
    """Exit code 0, also with idle connections open."""
    connection = http.client.HTTPConnection(urlsplit(gateway.url).netloc, timeout=20)
    connection.request("GET", "/public/app/echo")
    connection.getresponse().read()
    assert gateway.process.stop() == 0
    connection.close()


def test_sigterm_lets_a_request_end(gateway: Gateway, service: int) -> None:
    """New connections are refused, the answer under way comes whole, then the exit code is 0."""
    with world.held(gateway) as (response, release):
        gateway.process.signal(signal.SIGTERM)
        until(lambda: refused(gateway), "that nobody listens any more", 5)
        assert not gateway.process.ended()
        world.ask(f"http://{LOOPBACK}:{service}{release}")
        assert response.read() == b"firstlast."
    assert gateway.process.wait() == 0


def test_sigterm_cuts_what_does_not_end(home: Home, service: int) -> None:
    """After `listen.timeouts.drain` the rest is cut, and the exit code is still 0."""
    said = world.configuration({"app": service})
    said["listen"]["timeouts"] = {"drain": "300ms"}
    with world.running(home, said) as gateway, world.held(gateway) as (response, release):
        assert gateway.process.stop() == 0
        with pytest.raises(http.client.IncompleteRead):
            response.read()
        world.ask(f"http://{LOOPBACK}:{service}{release}")


def test_a_second_signal_ends_the_draining(gateway: Gateway, service: int) -> None:
    """Whoever sends it does not want to wait for `listen.timeouts.drain`, which is half a minute."""
    with world.held(gateway) as (response, release):
        gateway.process.signal(signal.SIGTERM)
        until(lambda: gateway.events(event="draining"), "that it drains", 5)
        gateway.process.signal(signal.SIGTERM)
        until(gateway.process.ended, "the end", 5)
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            response.read()
        world.ask(f"http://{LOOPBACK}:{service}{release}")
    assert gateway.process.wait() == 0


def test_as_many_files_may_be_open_as_the_system_allows(gateway: Gateway) -> None:
    """The soft limit is the hard one."""
    limits = Path(f"/proc/{gateway.process.pid}/limits").read_text()
    (soft, hard) = re.search(r"Max open files +(\S+) +(\S+)", limits).groups()  # type: ignore[union-attr]
    assert soft == hard


def test_a_reload_changes_what_is_logged(gateway: Gateway) -> None:
    """Up, so that its own line is not there any more."""
    gateway.configure(gateway.said | {"log": gateway.said["log"] | {"level": "error"}})
    assert gateway.home.run("reload").returncode == 0
    gateway.process.stop()
    assert [line["event"] for line in gateway.events()] == ["serving"]


def test_a_stop_is_told(gateway: Gateway) -> None:
    """One line each for serving, draining and the end."""
    gateway.process.stop()
    assert [line["event"] for line in gateway.events()] == ["serving", "draining", "stopped"]


def refused(gateway: Gateway) -> bool:
    try:
        gateway.ask("/public/app/echo")
    except OSError:
        return True
    return False
