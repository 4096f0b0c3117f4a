"""A real OpenID Connect provider: its tokens are accepted, its key changes are followed, its outages are survived."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from . import world
from .parts import LOOPBACK, NODE, Process, need, program, until
from .world import Answer, Gateway, Home, bearer

AUDIENCE = "gateway"
ALGORITHMS = ("RS256", "ES256", "EdDSA")
SOON = 10.0  # seconds: what is to happen by itself within a few


@dataclass
class Provider:
    """issuer: as its discovery document says. control: where it takes orders."""

    issuer: str
    jwks_url: str
    control: str
    minted: int = 0

    def order(self, name: str, **arguments: object) -> Any:
        answer = world.ask(f"{self.control}/{name}", "POST", body=json.dumps(arguments).encode())
        assert answer.status == 200, answer.body
        return answer.json()

    def token(self, kid: str, **claims: object) -> str:
        """Never the same twice, so that no cache has it."""
        self.minted += 1
        said = {"aud": AUDIENCE, "sub": "caller", "jti": str(self.minted), **claims}
        return str(self.order("token", kid=kid, claims=said)["token"])


@contextmanager
def provided(folder: Path) -> Iterator[Provider]:
    """With one key, `first`."""
    node = program("node")
    need((NODE / "node_modules/oauth2-mock-server").is_dir(), "npm's oauth2-mock-server (npm install in tests/node)")
    with Process([node, NODE / "provider.mjs"], folder, "provider") as process:
        port, control = process.first_line().split()
        discovered = world.ask(f"http://{LOOPBACK}:{port}/.well-known/openid-configuration").json()
        found = Provider(discovered["issuer"], discovered["jwks_uri"], f"http://{LOOPBACK}:{control}")
        found.order("generate", algorithm="RS256", kid="first")
        yield found


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


@contextmanager
def trusting(provider: Provider, home: Home, service: int, **options: object) -> Iterator[Gateway]:
    issuer = {"name": "acme", "issuer": provider.issuer, "jwks_url": provider.jwks_url, "audiences": [AUDIENCE]}
    issuers = [{**issuer, "algorithms": [*ALGORITHMS], **options}]
    with world.running(home, world.configuration({"app": service}, issuers=issuers)) as gateway:
        yield gateway


def until_known(gateway: Gateway, provider: Provider) -> None:
    until(lambda: get(gateway, provider.token("first")).status == 200, "the first keys")


@pytest.fixture
def gateway(provider: Provider, home: Home, service: int) -> Iterator[Gateway]:
    """It has fetched the keys of `provider` once."""
    with trusting(provider, home, service) as gateway:
        until_known(gateway, provider)
        yield gateway


@pytest.fixture(scope="module")
def accepting(
    steady: Provider, template: Home, service: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    """It has the keys of `steady`, believes verified addresses and makes accounts."""
    home = template.copy(tmp_path_factory.mktemp("accepting"))
    with trusting(steady, home, service, provision=True, email="verified") as gateway:
        until_known(gateway, steady)
        yield gateway


def get(gateway: Gateway, token: str, path: str = "/known/app/echo") -> Answer:
    return gateway.ask(path, headers=bearer(token))


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
    with trusting(provider, home, service) as gateway:
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
    with trusting(provider, home, service) as gateway:
        answer = get(gateway, token)
        assert (answer.status, answer.code) == (503, "keys_unavailable")
        assert int(answer.headers["retry-after"]) > 0
        assert "keys_unavailable: acme" in world.ask(f"{gateway.admin}/readyz").json()["warnings"]
        provider.order("start")
        until(lambda: get(gateway, token).status == 200, "the keys of a provider that is back", SOON)


def test_the_age_of_the_keys_is_a_metric(gateway: Gateway) -> None:
    """Seconds since the last fetch, by the issuer's name."""
    assert 0 <= gateway.metric('gateway_jwks_age_seconds{issuer="acme"}') < SOON
