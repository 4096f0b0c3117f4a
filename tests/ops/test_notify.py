"""What a service manager is told, over a real socket, and what it hands over."""

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.ops.notify import READY, Notify, activated


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(5)
        yield sock


def test_lines_are_one_message(manager: socket.socket) -> None:
    """As sd_notify(3) has it."""
    Notify({"NOTIFY_SOCKET": manager.getsockname()}).tell(READY, "MAINPID=7")
    assert manager.recv(100) == b"READY=1\nMAINPID=7"


def test_a_reload_tells_when_it_began(manager: socket.socket) -> None:
    """In microseconds of the monotonic clock, which `Type=notify-reload` compares."""
    Notify({"NOTIFY_SOCKET": manager.getsockname()}).reloading()
    first, second = manager.recv(100).decode().split("\n")
    assert first == "RELOADING=1"
    assert second.removeprefix("MONOTONIC_USEC=").isdigit()


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": "/nowhere/at/all"}])
def test_nobody_listens(environ: dict[str, str]) -> None:
    """That is no fault."""
    Notify(environ).tell(READY)


def test_a_socket_without_a_path_is_found() -> None:
    """Its name begins with @ where a zero byte is meant."""
    name = f"gateway-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(f"\0{name}")
        sock.settimeout(5)
        Notify({"NOTIFY_SOCKET": f"@{name}"}).tell(READY)
        assert sock.recv(100) == b"READY=1"


@pytest.mark.parametrize("environ", [{}, {"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}])
async def test_nobody_watches(environ: dict[str, str]) -> None:
    """Then nothing ticks; the watchdog of another process is not ours."""
    async with asyncio.timeout(5):
        await Notify(environ).watch()


@pytest.mark.parametrize("pid", ["1", ""])
def test_sockets_of_another_process_are_not_taken(pid: str) -> None:
    """The variables are inherited; the sockets may not be."""
    environ = {"LISTEN_PID": pid, "LISTEN_FDS": "2", "OTHER": "stays"}
    assert activated(environ) == []
    assert environ == {"OTHER": "stays"}


async def test_the_watchdog_hears_nothing_while_it_is_not_well(manager: socket.socket) -> None:
    """And hears again when it is: of several workers one hangs, and then is replaced."""
    well = iter([True, False, False, True])
    notify = Notify({"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "1000"})
    with pytest.raises(RuntimeError, match="StopIteration"):  # the fifth question has no answer
        await notify.watch(lambda: next(well))
    manager.setblocking(False)
    assert [manager.recv(100) for _ in range(2)] == [b"WATCHDOG=1"] * 2
    with pytest.raises(BlockingIOError):
        manager.recv(100)
