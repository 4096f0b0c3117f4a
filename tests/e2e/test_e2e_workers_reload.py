"""Several workers: a configuration reaches all of them or none."""

import os
import signal
from typing import Any

import pytest

from . import world
from .parts import until
from .several import Load, admin_token, stopped, unready, workers
from .test_e2e_lifecycle import with_another_route
from .world import Gateway


def test_a_worker_that_starts_again_has_the_configuration_of_the_others(several: Gateway) -> None:
    """Not what somebody has begun to write."""
    (several.home.folder / "config.yaml").write_text("listen: { address: [")
    victim = workers(several)[0]
    os.kill(victim, signal.SIGKILL)
    until(lambda: several.events(event="worker ended"), "that its end is seen")
    until(lambda: unready(several) == [], "that there are two again")
    assert len(workers(several)) == 2
    several.configure(several.said)


@pytest.mark.parametrize("way", ["SIGHUP", "gateway reload"])
def test_a_reload_reaches_every_worker_and_loses_no_request(several: Gateway, service: int, way: str) -> None:
    """Under load, in the same processes."""
    pids = workers(several)
    several.configure(with_another_route(several.said, service))
    with Load(several) as load:
        load.more()
        if way == "SIGHUP":
            several.hang_up()
        else:
            assert several.home.told("reload") == {"reloaded": True, "faults": []}
        until(lambda: [e for e in several.events(event="reloaded") if e.get("workers") == 2], "the reload")
        load.more()
    assert set(load.answers) == {200}
    assert {several.ask("/public/more/echo").status for _ in range(20)} == {200}
    assert workers(several) == pids


@pytest.mark.parametrize(
    "more",
    [
        {"cache": {"sise": 1}},
        {"routes": [{"path": "/x/**", "upstream": "app", "access": "public"}] * 2},
        {"store": {"url": "sqlite:///var/other.db"}},
        {"listen": {"workers": 3}},
    ],
)
def test_a_reload_that_is_refused_changes_no_worker(several: Gateway, more: dict[str, Any]) -> None:
    """The faults are told once; what the workers have they keep."""
    new = {**several.said, "routes": several.said["routes"][:1]}
    for key, value in more.items():
        new[key] = {**new.get(key, {}), **value} if isinstance(value, dict) else value
    several.configure(new)
    answer = world.ask(f"{several.admin}/reload", "POST", admin_token(several))
    assert (answer.status, len(answer.json()["faults"])) == (422, 1)
    assert {several.ask("/public/app/echo").status for _ in range(20)} == {200}


def test_a_worker_that_cannot_follow_a_reload_is_replaced(several: Gateway, service: int) -> None:
    """It is stopped while the others take it; its successor starts with the new configuration."""
    several.configure(with_another_route(several.said, service))
    victim = workers(several)[1]
    with stopped(victim):
        several.hang_up()
        until(lambda: [e for e in several.events(event="reloaded") if e.get("worker") == 1], "the first reload")
        os.kill(victim, signal.SIGKILL)
    until(lambda: [e for e in several.events(event="reloaded") if e.get("workers") == 2], "the reload")
    until(lambda: unready(several) == [], "that there are two again")
    assert {several.ask("/public/more/echo").status for _ in range(20)} == {200}


def test_lines_of_the_log_say_which_worker(several: Gateway) -> None:
    """A number from 1."""
    several.hang_up()
    until(lambda: len(several.events(event="reloaded")) == 3, "the reload")
    assert {event.get("worker") for event in several.events(event="reloaded")} == {1, 2, None}


def test_a_worker_starts_while_another_does_not_answer_a_reload(several: Gateway, service: int) -> None:
    """It does not wait for the reload to end, and has the new configuration in the end, as the other has."""
    several.configure(with_another_route(several.said, service))
    hanging, healthy = workers(several)
    with stopped(hanging):
        several.hang_up()
        os.kill(healthy, signal.SIGKILL)
        until(lambda: unready(several) == ["worker 1: does not answer"], "a successor of the other", 10)
        assert healthy not in workers(several)
    until(lambda: several.events(event="reloaded", workers=2), "the reload")
    until(lambda: unready(several) == [], "that there are two")
    assert {several.ask("/public/more/echo").status for _ in range(20)} == {200}


def test_counts_of_a_route_that_is_gone_go_with_the_last_worker_that_had_it(own: Gateway, service: int) -> None:
    """Others stay, also those of workers that have ended."""
    own.configure(with_another_route(own.said, service))
    assert own.home.told("reload")["reloaded"]
    for path in ("more", "app"):
        assert own.ask(f"/public/{path}/echo").status == 200
    counted = 'gateway_requests_total{{reason="",route="/public/{}/**",status="2xx"}}'.format
    assert (own.metric(counted("more")), own.metric(counted("app"))) == (1, 1)
    for pid in workers(own):
        os.kill(pid, signal.SIGKILL)
    until(lambda: len(own.events(event="worker ended")) == 2, "their end")
    until(lambda: unready(own) == [], "that there are two again")
    assert own.metric(counted("more")) == 1
    own.configure(own.said)
    assert own.home.told("reload")["reloaded"]
    assert own.metric(counted("app")) == 1
    assert "/public/more" not in world.ask(f"{own.admin}/metrics").body.decode()
