"""Seed 5, `navak-authentication`: every request of the page as curl sends it, in a user's order.

The journey is made once; each test looks at one step of it.
"""

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import pytest
from harness.curl import Heard, curl
from harness.hosted import Hosted
from harness.people import People

from .desk import BASE
from .navak import LINK, door

NAME: Final = "yun"
EMAIL: Final = "yun@example.org"
JSON: Final = ("-H", "Content-Type: application/json")
ALONE: Final = '{"username": "nobody-else", "session_platform": "cURL"}'
WITH_EMAIL: Final = f'{{"username": "{NAME}", "email": "{EMAIL}", "session_platform": "cURL"}}'
# the page's own sample
SAMPLE: Final = (
    "nUrFGl-tfQ_tCBupuhUPAkcgjA3-qnYZevJrQ-rrWLqDi3vN44rJxULHeLN2VADq2_D5vZYDgyMIVnSJt9BwlmmKjLRNP2qOaQTz1HJ7U0Heh34k"
    "x3_rqPAqls1x4qwZFwS0qAexqkF-nU8l_koR41H4OSrK3Ef_6ZYDPxBBfXdEZtDAuvHtHzgv3_382wFvY7ospg1C53XERuojDCUEPCjytwOStmhj"
    "Gm1NCMrOftpB4Fpp5THL_0qj6xk-VuE4kfxISpzeG86COYq8ThO7ldmx1OIS056XJAsukzNixRnuopqfT7Waw4CpXTQh5ike6dMAkCZd63QGyg5_"
    "mGSqOw=="
)
FORM_OF_SAMPLE: Final = re.compile(r"[A-Za-z0-9_-]{342}==")


@dataclass
class Journey:
    host: Hosted
    steps: dict[str, Heard] = field(default_factory=dict)
    log: str = ""

    def go(self, name: str, path: str, *arguments: str) -> Heard:
        self.steps[name] = curl(self.host.url + path, *arguments)
        return self.steps[name]

    def __getitem__(self, name: str) -> Any:
        return self.steps[name].json()

    def poll(self, name: str) -> None:
        """A second after the last."""
        self.host.hand.rested += 1
        self.go(name, f"/auth/session/{self['login']['auth_id']}")


def travelled(host: Hosted) -> Journey:
    journey = Journey(host)
    journey.go("alone", "/auth/registration", *JSON, "-X", "POST", "-d", ALONE)
    journey.go("with e-mail", "/auth/registration", *JSON, "-X", "POST", "-d", WITH_EMAIL)
    confirm = host.mailed(EMAIL, LINK)
    journey.go("confirmed", f"/auth/confirm/{confirm}", "-d", "decision=approve")
    journey.go("login", "/auth/login", *JSON, "-d", WITH_EMAIL)
    link = host.mailed(EMAIL, LINK)
    journey.poll("too early")
    journey.go("page", f"/auth/confirm/{link}")
    journey.poll("page opened")
    journey.go("approved", f"/auth/confirm/{link}", "-d", "decision=approve")
    journey.poll("session")
    journey.poll("again")
    for name in ("with e-mail", "session"):
        bearer = ("-H", f"Authorization: Bearer {journey[name]['session_token']}")
        journey.go(f"{name}: proxy", "/secure/x", *bearer)
        journey.go(f"{name}: profile", f"{BASE}/profile", *bearer)
    host.do(host.stop())
    journey.log = host.access_log()
    return journey


@pytest.fixture(scope="module")
def journey(people: People, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journey]:
    with door(tmp_path_factory.mktemp("journey"), people) as desk:
        yield travelled(desk.host)


def test_the_sample_is_of_256_bytes() -> None:
    """So ours are."""
    assert (len(base64.urlsafe_b64decode(SAMPLE)), bool(FORM_OF_SAMPLE.fullmatch(SAMPLE))) == (256, True)


@pytest.mark.parametrize("name", ["alone", "with e-mail", "session"])
def test_a_session_token_has_the_samples_form(journey: Journey, name: str) -> None:
    """And the answer has nothing else."""
    assert (journey.steps[name].status, list(journey[name])) == (200, ["session_token"])
    assert FORM_OF_SAMPLE.fullmatch(journey[name]["session_token"])


def test_a_login_answers_when_it_ends_and_what_to_poll(journey: Journey) -> None:
    """An integer of epoch seconds, and a UUID of version 4."""
    begun = journey["login"]
    assert (journey.steps["login"].status, sorted(begun)) == (200, ["auth_id", "expiration_date"])
    assert type(begun["expiration_date"]) is int
    assert re.fullmatch(r"[0-9a-f]{8}-([0-9a-f]{4}-){1}4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", begun["auth_id"])


@pytest.mark.parametrize("name", ["too early", "page opened", "again"])
def test_the_poll_fails_in_the_pages_words(journey: Journey, name: str) -> None:
    """Until the login is approved, and once it was claimed."""
    told = {"error": "The auth id is invalid, expired, or not yet authorized"}
    assert (journey.steps[name].status, journey[name]) == (400, told)


def test_the_link_opens_a_page(journey: Journey) -> None:
    """With the platform, to recognise the client by."""
    page = journey.steps["page"]
    assert (page.status, b"cURL" in page.body) == (200, True)


@pytest.mark.parametrize("name", ["with e-mail", "session"])
def test_each_session_passes_at_the_proxy(journey: Journey, name: str) -> None:
    """In every request, as a bearer token."""
    assert journey.steps[f"{name}: proxy"].status == 200


def test_both_sessions_are_of_the_same_account(journey: Journey) -> None:
    """With the address that was confirmed."""
    first, second = journey["with e-mail: profile"], journey["session: profile"]
    assert (first, first["owners"][0]["email"]) == (second, EMAIL)


def test_the_access_log_has_none_of_the_secrets(journey: Journey) -> None:
    """Paths are noted by their templates."""
    secrets = [journey["login"]["auth_id"], *(journey[name]["session_token"] for name in ("alone", "session"))]
    assert [secret for secret in secrets if secret in journey.log] == []
