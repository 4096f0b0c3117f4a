"""A real OpenID Connect provider: its tokens are accepted, its key changes are followed, its outages are survived."""

import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from . import world
from .parts import until
from .provider import ALGORITHMS, AUDIENCE, Provider, provided, trusting
from .world import Answer, Gateway, Home, bearer

SOON = 10.0  # seconds: what is to happen by itself within a few


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Provider]:
    """For tests that change its keys or stop it."""
    with provided(tmp_path) as provider:
        yield provider


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    """For tests that do neither. A key for each algorithm, of the algorithm's name."""
    with provided(tmp_path_factory.mktemp("provider")) as provider:
        for algorithm in ALGORITHMS:
            provider.order("generate", algorithm=algorithm, kid=algorithm)
        yield provider


def get(gateway: Gateway, token: str, path: str = "/known/app/echo") -> Answer:
    return gateway.ask(path, headers=bearer(token))


def until_known(gateway: Gateway, provider: Provider) -> None:
    until(lambda: get(gateway, provider.token("first")).status == 200, "the first keys")


@pytest.fixture
def gateway(home: Home, service: int, provider: Provider) -> Iterator[Gateway]:
    """It has fetched the keys of `provider` once."""
    with trusting(home, service, provider) as gateway:
        until_known(gateway, provider)
        yield gateway


@pytest.fixture(scope="module")
def accepting(
    steady: Provider, template: Home, service: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    """It has the keys of `steady`, believes verified addresses and makes accounts."""
    home = template.copy(tmp_path_factory.mktemp("accepting"))
    with trusting(home, service, steady, provision=True, email="verified") as gateway:
        until_known(gateway, steady)
        yield gateway


def test_a_token_of_the_token_endpoint_is_accepted(steady: Provider, accepting: Gateway) -> None:
    """The ID token that a login at the provider gives, as it comes."""
    form = urlencode({"grant_type": "password", "username": "u", "password": "p", "client_id": AUDIENCE}).encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    granted = world.ask(f"{steady.issuer}/token", "POST", headers, form).json()
    assert get(accepting, granted["id_token"]).status == 200


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_configured_algorithm_of_it_is_accepted(steady: Provider, accepting: Gateway, algorithm: str) -> None:
    """RSA, elliptic curve and Edwards curve keys as it publishes them."""
    assert get(accepting, steady.token(algorithm)).status == 200


def test_a_token_for_somebody_else_is_refused(steady: Provider, accepting: Gateway) -> None:
    """Right key, wrong audience."""
    assert get(accepting, steady.token("first", aud="another-service")).status == 401


def test_an_expired_token_is_refused(steady: Provider, accepting: Gateway) -> None:
    """Beyond the leeway of 30 seconds."""
    answer = get(accepting, steady.token("first", exp=int(time.time()) - 40))
    assert (answer.status, answer.code) == (401, "expired_credential")


def test_a_caller_seen_for_the_first_time_gets_an_account(steady: Provider, accepting: Gateway) -> None:
    """With the address that the provider has verified, and a profile for the service."""
    claims = {"sub": "newcomer", "email": "new@example.org", "email_verified": True}
    seen = get(accepting, steady.token("first", **claims), "/app/echo").json()
    assert "x-mycelium-profile" in {name.lower() for name, _ in seen["headers"]}
    assert "new@example.org" in {account["email"] for account in accepting.home.told("account", "list")}


def test_an_address_that_is_not_verified_is_not_believed(steady: Provider, accepting: Gateway) -> None:
    """The caller gets an account, without the address."""
    token = steady.token("first", sub="liar", email="ada@example.org", email_verified=False)
    assert get(accepting, token, "/app/echo").status == 200
    accounts = accepting.home.told("account", "list")
    assert [account["id"] for account in accounts if account["email"] == "ada@example.org"] == [
        accepting.home.ada.account
    ]


def test_without_provisioning_a_stranger_has_no_account(provider: Provider, home: Home, service: int) -> None:
    """They are known, but nothing that wants a profile lets them in."""
    with trusting(home, service, provider) as gateway:
        until_known(gateway, provider)
        answer = get(gateway, provider.token("first"), "/app/echo")
    assert (answer.status, answer.code) == (403, "no_account")


def test_a_new_key_works_at_once(provider: Provider, gateway: Gateway) -> None:
    """The first token with an unknown `kid` makes the gateway look again, before it answers."""
    provider.order("generate", algorithm="RS256", kid="second")
    assert get(gateway, provider.token("second")).status == 200


def test_a_second_new_key_waits_for_the_window(provider: Provider, gateway: Gateway) -> None:
    """Unknown `kid`s cause one fetch per 30 seconds: the next one is refused, and what is known still works."""
    for kid in ("second", "third"):
        provider.order("generate", algorithm="RS256", kid=kid)
        answered = get(gateway, provider.token(kid)).status
    assert answered == 401
    assert get(gateway, provider.token("second")).status == 200


def test_a_removed_key_stops(provider: Provider, gateway: Gateway) -> None:
    """Once the keys are fetched again, a token that it signed before, and that nobody has shown yet, is refused."""
    leftover = provider.token("first")
    provider.order("generate", algorithm="RS256", kid="second")
    provider.order("remove", kid="first")
    assert get(gateway, provider.token("second")).status == 200
    assert get(gateway, leftover).status == 401


def test_the_keys_outlive_the_provider(provider: Provider, gateway: Gateway) -> None:
    """While it is down, tokens that nobody has shown yet are checked with the keys that are known."""
    token = provider.token("first")
    provider.order("stop")
    assert get(gateway, token).status == 200


def test_an_unknown_key_of_a_provider_that_is_down_is_not_the_callers_fault(
    provider: Provider, gateway: Gateway
) -> None:
    """It may be a new one: 503 with the time to wait, never 401."""
    provider.order("generate", algorithm="RS256", kid="second")
    token = provider.token("second")
    provider.order("stop")
    answer = get(gateway, token)
    assert (answer.status, answer.code) == (503, "keys_unavailable")
    assert int(answer.headers["retry-after"]) > 0


def test_without_any_keys_it_is_503_until_the_provider_is_back(provider: Provider, home: Home, service: int) -> None:
    """A gateway that starts while it is down says when to come back, warns, and recovers without a restart."""
    token = provider.token("first")
    provider.order("stop")
    with trusting(home, service, provider) as gateway:
        answer = get(gateway, token)
        assert (answer.status, answer.code) == (503, "keys_unavailable")
        assert int(answer.headers["retry-after"]) > 0
        assert "keys_unavailable: acme" in world.ask(f"{gateway.admin}/readyz").json()["warnings"]
        provider.order("start")
        until(lambda: get(gateway, token).status == 200, "the keys of a provider that is back", SOON)


def test_the_age_of_the_keys_is_a_metric(gateway: Gateway) -> None:
    """Seconds since the last fetch, by the issuer's name."""
    assert 0 <= gateway.metric('gateway_jwks_age_seconds{issuer="acme"}') < SOON
