"""Several workers and what they share through a real Redis."""

from collections import Counter
from collections.abc import Iterator

import pytest
from harness.redis import Servers

from . import world
from .parts import until
from .several import said
from .world import Gateway, Home

BASE = "/_adm/beginners/users"
MAILS = 3  # to one address, in a quarter of an hour


@pytest.fixture
def sharing(home: Home, service: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Two workers, with a Redis."""
    servers = Servers(tmp_path_factory.mktemp("redis"))
    try:
        with world.running(home, {**said(service), "state": {"url": servers.single().url}}) as running:
            until(lambda: running.metric("gateway_state_up") == 1, "that both workers have it")
            yield running
    finally:
        servers.close()


def test_workers_have_one_limit(sharing: Gateway) -> None:
    """Whichever of them is asked; each of its own would let six through."""
    asked = [
        sharing.ask(f"{BASE}/magic-link/request", "POST", {"Content-Type": "application/json"}, b'{"email":"a@b.org"}')
        for _ in range(20)
    ]
    assert Counter(answer.status for answer in asked) == {200: MAILS, 429: 20 - MAILS}


def test_a_logout_at_one_worker_is_told_to_the_others(sharing: Gateway) -> None:
    """Both know the session; Redis brings the news, and none lets it in any more."""
    bob = sharing.home.bob.headers
    for _ in range(20):
        assert sharing.ask("/known/app/echo", headers=bob).status == 200
    assert sharing.metric("gateway_credential_cache_entries") == 2
    looks = sharing.metric("gateway_state_looks_total")
    assert sharing.ask(f"{BASE}/logout", "POST", bob).status == 204
    until(lambda: sharing.metric("gateway_state_looks_total") > looks, "the news")
    until(lambda: sharing.metric("gateway_credential_cache_entries") == 0, "that both have forgotten it", 5)
    assert {sharing.ask("/known/app/echo", headers=bob).status for _ in range(20)} == {401}
