"""Several workers look like one gateway: to its operator, to a service manager, in its log."""

import json
import os
import signal
import socket

import pytest

from . import world
from .parts import until
from .several import Load, admin_token, said, stopped, unready, workers
from .world import Gateway, Home


def requests(gateway: Gateway) -> float:
    return gateway.metric('gateway_requests_total{reason="",route="/public/app/**",status="2xx"}')


def test_metrics_are_of_all_workers_and_never_go_back(own: Gateway) -> None:
    """Not with a worker's end, nor with an upgrade."""
    for _ in range(50):
        own.ask("/public/app/echo")
    assert requests(own) == 50
    for pid in workers(own):
        os.kill(pid, signal.SIGKILL)
    until(lambda: len(own.events(event="worker ended")) == 2, "their end")
    until(lambda: unready(own) == [], "that there are two again")
    assert requests(own) == 50
    own.ask("/public/app/echo")
    own.home.told("upgrade")
    until(lambda: len(own.events(event="serving")) == 2, "the end of the upgrade")
    assert requests(own) == 51
    assert own.metric('gateway_worker_restarts_total{worker="2"}') == 1
    assert own.metric('process_resident_memory_bytes{worker="1"}') > 1e6


def test_a_gateway_is_ready_while_one_worker_is(several: Gateway) -> None:
    """The other is a warning; without any it is not ready."""
    one, two = workers(several)
    with stopped(one):
        assert world.ask(f"{several.admin}/readyz").status == 200
        assert unready(several) == ["worker 1: does not answer"]
        with stopped(two):
            answer = world.ask(f"{several.admin}/readyz")
            assert (answer.status, len(answer.json()["reasons"])) == (503, 2)
    assert world.ask(f"{several.admin}/healthz").status == 200


def test_a_purge_reaches_every_worker(several: Gateway) -> None:
    """What was remembered is verified anew."""
    for _ in range(20):
        several.ask("/app/echo", headers=several.home.ada.headers)
    assert several.metric("gateway_credential_cache_entries") == 2
    assert world.ask(f"{several.admin}/purge", "POST", admin_token(several)).status == 200
    assert several.metric("gateway_credential_cache_entries") == 0


def test_the_admin_listener_of_several_workers_wants_its_token(several: Gateway) -> None:
    """As that of one does."""
    for path in ("reload", "purge", "upgrade"):
        assert world.ask(f"{several.admin}/{path}", "POST").status == 401


def test_workers_write_one_access_log_in_whole_lines(own: Gateway) -> None:
    """Also after it was rotated."""
    path = own.home.folder / "access.log"
    with Load(own) as load:
        load.more(200)
        path.rename(path.with_suffix(".old"))
        assert own.home.told("reload")["reloaded"]
        load.more(200)
    assert own.process.stop() == 0
    old, new = (file.read_text().splitlines() for file in (path.with_suffix(".old"), path))
    assert min(len(old), len(new)) >= 100
    assert len([json.loads(line) for line in old + new]) == load.count


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
