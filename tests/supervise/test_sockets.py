"""Several sockets on one address, and nobody else's."""

import socket

import pytest

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
