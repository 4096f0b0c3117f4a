"""What a command says when the running gateway does not answer."""

import socket

import pytest

from gateway.cli.options import Down
from gateway.cli.reload import post
from gateway.settings.values import Address


def test_one_that_is_slow_is_not_one_that_is_away() -> None:
    """It took the order, and goes on with it."""
    with socket.create_server(("127.0.0.1", 0)) as listening, pytest.raises(Down, match=r"still at it after 0\.1 s"):
        post(Address("127.0.0.1", listening.getsockname()[1]), "token", seconds=0.1)


def test_one_that_is_away_is_named() -> None:
    """By the address that was asked."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        with pytest.raises(Down, match=f"no gateway answers at 127.0.0.1:{port}"):
            post(Address("127.0.0.1", port), "token")
