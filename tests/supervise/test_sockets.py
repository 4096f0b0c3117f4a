"""Several sockets on one address, and nobody else's."""

import select
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from harness.ports import free_port

from gateway.supervise.sockets import bind_all


def test_all_have_one_address() -> None:
    """Also where the system chose the port."""
    made = bind_all("127.0.0.1", 0, 3)
    assert len({sock.getsockname() for sock in made}) == 1
    for sock in made:
        sock.close()


def test_somebody_elses_address_is_not_shared() -> None:
    """Not even of one who would share it: two gateways would take turns."""
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as taken, pytest.raises(OSError, match="in use"):
        bind_all("127.0.0.1", taken.getsockname()[1], 2)


def test_two_that_start_together_do_not_share_an_address() -> None:
    """The second is refused before any worker of the first listens."""
    first = bind_all("127.0.0.1", 0, 2)
    with pytest.raises(OSError, match="in use"):
        bind_all("127.0.0.1", first[0].getsockname()[1], 2)
    for sock in first:
        sock.close()


def test_of_many_at_the_same_moment_one_has_the_address() -> None:
    """However their steps interleave."""
    for _ in range(50):
        port = free_port()
        together = threading.Barrier(4)

        def attempt(port: int = port, together: threading.Barrier = together) -> list[socket.socket]:
            together.wait()
            try:
                return bind_all("127.0.0.1", port, 2)
            except OSError:
                return []

        with ThreadPoolExecutor(4) as threads:
            made = [future.result() for future in [threads.submit(attempt) for _ in range(4)]]
        for sock in [sock for sockets in made for sock in sockets]:
            sock.close()
        assert sum(map(bool, made)) == 1


def test_what_connects_before_a_worker_is_there_waits() -> None:
    """On one of the sockets."""
    made = bind_all("127.0.0.1", 0, 2)
    with socket.create_connection(made[0].getsockname()):
        assert len(select.select(made, [], [], 5)[0]) == 1
    for sock in made:
        sock.close()
