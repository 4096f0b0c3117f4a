"""Seed 3, `mikrocloud-authentication`: both sample requests as curl sends them, then the bearer token in use.

The journey is made once; each test looks at one step of it.
"""

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import pytest
import zstandard
from argon2 import PasswordHasher
from harness.curl import Heard, curl
from harness.hosted import Hosted
from harness.people import People

from gateway.identity.model import Account, Owner

from .desk import BASE, opened

EMAIL, PASSWORD = "john@acme.com", "SDf345FCe"
ACCOUNT: Final = "b5e2f3a1-5678-4def-9abc-000000000002"
JSON: Final = ("-X", "POST", "-H", "Content-Type: application/json")
LOGIN: Final = """{
    "email": "john@acme.com",
    "password": "SDf345FCe"
}"""
PASSPORT: Final = """{
    "totp": null,
    "token": "%s"
}"""
TOKEN: Final = re.compile(r"[A-Za-z0-9+/]+==")
AUTH_TOKEN: Final = re.compile(r"[A-Za-z0-9+/]{43}=")


@dataclass
class Journey:
    """steps: what was answered. profile: what the service got."""

    host: Hosted
    steps: dict[str, Heard] = field(default_factory=dict)
    profile: Any = None
    access_log: str = ""

    def go(self, name: str, path: str, *arguments: str) -> Any:
        self.steps[name] = curl(self.host.url + path, *arguments)
        return self.steps[name].json()


async def settled(host: Hosted) -> None:
    phc = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1).hash(PASSWORD)
    await host.store.accounts.add_account(Account(ACCOUNT, "John", Owner(ACCOUNT, EMAIL)), EMAIL, None, phc)


def travelled(host: Hosted) -> Journey:
    host.do(settled(host))
    journey = Journey(host)
    journey.go("wrong password", "/user/login", *JSON, "-d", LOGIN.replace(PASSWORD, "SDf345FCf"))
    token = journey.go("login", "/user/login", *JSON, "-d", LOGIN)["token"]
    journey.go("token as bearer", "/secure/x", "-H", f"Authorization: Bearer {token}")
    journey.go("wrong token", "/user/passport", *JSON, "-d", PASSPORT % "eyJp....ifQ==")
    bearer = journey.go("passport", "/user/passport", *JSON, "-d", PASSPORT % token)["auth_token"]
    journey.go("again", "/user/passport", *JSON, "-d", PASSPORT % token)
    curl(host.url + "/secure/x", "-H", f"Authorization: Bearer {bearer}")
    journey.go("profile", f"{BASE}/profile", "-H", f"Authorization: Bearer {bearer}")
    host.do(host.stop())
    (sent,) = [value for got in host.upstream.requests for value in got.all(b"x-mycelium-profile")]
    journey.profile = json.loads(zstandard.ZstdDecompressor().decompress(base64.b64decode(sent)))
    journey.access_log = host.access_log()
    return journey


@pytest.fixture(scope="module")
def journey(people: People, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journey]:
    with opened(tmp_path_factory.mktemp("journey"), people, login={"mikrocloud": {}}) as desk:
        yield travelled(desk.host)


def test_the_sample_login_is_answered_as_the_page_shows(journey: Journey) -> None:
    """Its five members, with the page's values; the token is opaque base64."""
    found = journey.steps["login"].json()
    assert TOKEN.fullmatch(found.pop("token"))
    assert found == {
        "mfa_enabled": False,
        "mfa_verified": False,
        "mfa_svg": None,
        "message": "Login was successful",
    }


def test_the_sample_passport_is_answered_as_the_page_shows(journey: Journey) -> None:
    """Its two members; the auth_token is opaque base64."""
    found = journey.steps["passport"].json()
    assert AUTH_TOKEN.fullmatch(found.pop("auth_token"))
    assert found == {"message": "Login Successful"}


@pytest.mark.parametrize("name", ["login", "passport"])
def test_a_sample_request_is_answered_with_200(journey: Journey, name: str) -> None:
    """In JSON."""
    heard = journey.steps[name]
    assert (heard.status, heard.headers["content-type"]) == (200, ["application/json"])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("wrong password", "Invalid email or password"),
        ("wrong token", "Invalid or expired token"),
        ("again", "Invalid or expired token"),
    ],
)
def test_what_is_incorrect_is_401(journey: Journey, name: str, message: str) -> None:
    """As the page says of both calls."""
    assert (journey.steps[name].status, journey.steps[name].json()) == (401, {"message": message})


def test_the_token_is_no_authorization_token(journey: Journey) -> None:
    """It goes to the passport only."""
    assert journey.steps["token as bearer"].status == 401


def test_the_service_learns_who_calls(journey: Journey) -> None:
    """With the bearer header of the page."""
    assert (journey.profile["accId"], journey.profile) == (ACCOUNT, journey.steps["profile"].json())


def test_the_access_log_names_the_endpoints_and_no_secret(journey: Journey) -> None:
    """Neither token, nor password, nor address."""
    routes = {json.loads(line)["route"] for line in journey.access_log.splitlines()}
    secrets = [journey.steps["login"].json()["token"], journey.steps["passport"].json()["auth_token"], PASSWORD, EMAIL]
    assert {"POST /user/login", "POST /user/passport"} <= routes
    assert [value for value in secrets if value in journey.access_log] == []
