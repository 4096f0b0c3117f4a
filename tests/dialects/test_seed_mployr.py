"""Seed 2, `mployr-authentication`: every request of the page as curl sends it, in a user's order.

The journey is made once; each test looks at one step of it. `GET /v1/people` is a route of the operator's.
"""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import jwt
import pyotp
import pytest
from harness.curl import Heard, curl
from harness.hosted import Hosted, hosted
from harness.people import People
from harness.upstream import Upstream

from gateway.identity.model import Account, Owner

from .desk import phc

EMAIL: Final = "user@example.com"
PASSWORD: Final = "correct horse battery"
JSON: Final = ("-H", "Content-Type: application/json")
POST: Final = ("-X", "POST")
ACCOUNT: Final = "b5e2f3a1-5678-4def-9abc-000000000002"
UNAUTHENTICATED: Final = {"success": False, "message": "Unauthenticated."}
UNAUTHORIZED: Final = {"success": False, "message": "This action is unauthorized."}
# every method and path that the page names
NAMED: Final = """\
POST /v1/login
GET /v1/2fa/status
POST /v1/2fa/setup
POST /v1/2fa/enable
POST /v1/2fa/verify""".splitlines()


def bearer(token: str) -> tuple[str, str]:
    return ("-H", f"Authorization: Bearer {token}")


def body(**members: str) -> tuple[str, ...]:
    return (*JSON, "-d", json.dumps(members))


LOGIN: Final = (*POST, *body(email=EMAIL, password=PASSWORD))


def configure(_: Upstream) -> Mapping[str, Any]:
    """The mount is the default; beside it, routes that speak its errors."""
    people = {"path": "/v1/people", "access": "protected", "errors": "mployr"}
    payroll = {"path": "/v1/payroll", "access": {"roles": [{"role": "payroll", "permission": "read"}]}}
    return {"login": {"mployr": {}}, "routes": [people, {**payroll, "errors": "mployr"}]}


@dataclass
class Journey:
    """steps: what was answered. secrets: what no log may hold."""

    host: Hosted
    steps: dict[str, Heard] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    access_log: str = ""

    def go(self, name: str, path: str, *arguments: str) -> Heard:
        self.steps[name] = curl(self.host.url + path, *arguments)
        return self.steps[name]

    def data(self, name: str) -> Any:
        """Of an answer that was good."""
        heard = self.steps[name]
        assert (heard.status, heard.json()["success"]) == (200, True), heard.body
        return heard.json()["data"]

    def refusal(self, name: str) -> tuple[int, Any]:
        return self.steps[name].status, self.steps[name].json()

    def keep(self, name: str, step: str, member: str) -> str:
        self.secrets[name] = str(self.data(step)[member])
        return self.secrets[name]

    def code(self) -> str:
        """Of the authenticator app, one step on."""
        self.host.hand.ahead += 30
        return pyotp.TOTP(self.secrets["totp"]).at(int(self.host.hand.now()))


def travelled(host: Hosted) -> Journey:
    owner = Owner("c7d3e4b2-5678-4def-9abc-000000000003", EMAIL)
    host.do(host.store.accounts.add_account(Account(ACCOUNT, "John Doe", owner), EMAIL, phc=phc()))
    journey = Journey(host)
    enable(journey, log_in(journey))
    verify(journey)
    recover(journey)
    host.do(host.stop())
    journey.access_log = host.access_log()
    return journey


def log_in(journey: Journey) -> str:
    """Getting and using the access token."""
    journey.go("login", "/v1/login", *LOGIN)
    token = journey.keep("token", "login", "token")
    journey.go("people", "/v1/people", *bearer(token))
    journey.go("people without", "/v1/people")
    journey.go("payroll", "/v1/payroll", *bearer(token))
    return token


def enable(journey: Journey, token: str) -> None:
    """Setting up 2FA."""
    journey.go("status", "/v1/2fa/status", *bearer(token))
    journey.go("setup", "/v1/2fa/setup", *POST, *bearer(token))
    journey.keep("totp", "setup", "secret")
    journey.go("enable", "/v1/2fa/enable", *POST, *bearer(token), *body(code=journey.code()))
    for number, code in enumerate(journey.data("enable")["recovery_codes"]):
        journey.secrets[f"recovery {number}"] = code


def verify(journey: Journey) -> None:
    """Logging in with 2FA."""
    journey.go("first step", "/v1/login", *LOGIN)
    session = journey.keep("session", "first step", "session_token")
    journey.go("session on people", "/v1/people", *bearer(session))
    journey.go("session on status", "/v1/2fa/status", *bearer(session))
    code = journey.code()
    journey.go("verify", "/v1/2fa/verify", *POST, *body(session_token=session, code=code))
    token = journey.keep("second token", "verify", "token")
    journey.go("people after verify", "/v1/people", *bearer(token))
    journey.go("session again", "/v1/2fa/verify", *POST, *body(session_token=session, code=journey.code()))


def recover(journey: Journey) -> None:
    """Recovery codes, each once, and new ones."""
    for name in ("recovery", "recovery again"):
        journey.go(f"{name}: login", "/v1/login", *LOGIN)
        session = journey.keep(f"{name}: session", f"{name}: login", "session_token")
        said = body(session_token=session, code=journey.secrets["recovery 0"])
        journey.go(name, "/v1/2fa/verify", *POST, *said)
    token = journey.keep("third token", "recovery", "token")
    journey.go("new codes", "/v1/2fa/recovery-codes", *POST, *bearer(token), *body(code=journey.code()))
    journey.go("refresh", "/v1/refresh", *POST, *bearer(token))
    journey.keep("fourth token", "refresh", "token")
    journey.go("people after refresh", "/v1/people", *bearer(token))


@pytest.fixture(scope="module")
def journey(people: People, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journey]:
    with hosted(tmp_path_factory.mktemp("journey"), people, configure) as host:
        yield travelled(host)


def test_a_login_answers_as_the_page_shows(journey: Journey) -> None:
    """Token, type, expiry and user; the user's id is a number."""
    found = journey.data("login")
    number = found["user"]["id"]
    user = {"id": number, "name": "John Doe", "email": EMAIL}
    token = journey.secrets["token"]
    assert (type(number), found) == (
        int,
        {"token": token, "token_type": "Bearer", "expires_in": 86400, "user": user},
    )


def test_the_token_has_the_claims_of_the_page(journey: Journey) -> None:
    """business_id only where there is one."""
    token = journey.secrets["token"]
    said = jwt.decode(token, options={"verify_signature": False})
    header = jwt.get_unverified_header(token)
    assert (header["typ"], header["alg"], said["sub"]) == ("JWT", "RS256", str(journey.data("login")["user"]["id"]))
    assert (said["exp"] - said["iat"], said["scopes"], "business_id" in said) == (86400, [], False)


@pytest.mark.parametrize("step", ["people", "people after verify"])
def test_the_token_passes_on_a_route_beside_the_mount(journey: Journey, step: str) -> None:
    """Only the API's own paths are taken."""
    assert journey.steps[step].status == 200


def test_a_route_without_a_token_speaks_the_pages_401(journey: Journey) -> None:
    """Byte for byte the same object."""
    assert journey.refusal("people without") == (401, UNAUTHENTICATED)


def test_a_route_without_the_role_speaks_the_pages_403(journey: Journey) -> None:
    """A valid token, and not enough."""
    assert journey.refusal("payroll") == (403, UNAUTHORIZED)


def test_the_status_is_off_at_first(journey: Journey) -> None:
    """Nothing is set up."""
    assert journey.data("status") == {"enabled": False, "confirmed_at": None, "recovery_codes_remaining": 0}


def test_the_setup_answers_a_qr_code(journey: Journey) -> None:
    """An SVG that a page can show, and the same as text."""
    found = journey.data("setup")
    kind, _, image = found["qr_code"].partition(",")
    url = f"otpauth://totp/Mployr:{EMAIL}?secret={found['secret']}&issuer=Mployr"
    assert (kind, base64.b64decode(image)[:4], found["otpauth_url"]) == ("data:image/svg+xml;base64", b"<svg", url)


def test_enabling_answers_recovery_codes(journey: Journey) -> None:
    """Ten different ones."""
    found = journey.data("enable")
    assert (found["enabled"], len(set(found["recovery_codes"]))) == (True, 10)


def test_a_login_with_2fa_answers_a_session_token(journey: Journey) -> None:
    """Exactly the page's object."""
    found = journey.data("first step")
    assert found == {"requires_2fa": True, "session_token": journey.secrets["session"]}
    assert re.fullmatch(r"temp-[\w-]{43}", found["session_token"])


@pytest.mark.parametrize("where", ["people", "status"])
def test_a_session_token_is_no_access_token(journey: Journey, where: str) -> None:
    """Neither on routes nor here."""
    assert journey.refusal(f"session on {where}") == (401, UNAUTHENTICATED)


def test_the_code_is_exchanged_for_a_login(journey: Journey) -> None:
    """As without 2FA."""
    assert {**journey.data("verify"), "token": ""} == {**journey.data("login"), "token": ""}


def test_a_session_token_works_once(journey: Journey) -> None:
    """Then one has to log in again."""
    message = "Session expired. Please log in again."
    assert journey.refusal("session again") == (401, {"success": False, "message": message})


def test_a_recovery_code_stands_in_for_the_app(journey: Journey) -> None:
    """In the place of the code."""
    assert journey.data("recovery")["token_type"] == "Bearer"


def test_a_recovery_code_can_only_be_used_once(journey: Journey) -> None:
    """As the page says."""
    assert journey.steps["recovery again"].status == 422


def test_recovery_codes_can_be_regenerated(journey: Journey) -> None:
    """None of the old ones is among them."""
    fresh = journey.data("new codes")["recovery_codes"]
    assert (len(fresh), set(fresh) & set(journey.secrets.values())) == (10, set())


def test_a_refreshed_token_ends(journey: Journey) -> None:
    """The new one is for use from now on."""
    assert journey.refusal("people after refresh") == (401, UNAUTHENTICATED)


def test_every_answer_of_ours_tells_the_limit(journey: Journey) -> None:
    """In three headers; those of routes are the services' own."""
    names = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")
    ours = {
        name: [heard.headers[header][0].isdigit() for header in names if header in heard.headers]
        for name, heard in journey.steps.items()
        if not name.startswith("people") and name not in ("payroll", "session on people")
    }
    assert ours == {name: [True, True, True] for name in ours}


def test_no_log_holds_a_secret_or_a_mail_address(journey: Journey) -> None:
    """Of the whole journey."""
    told = journey.access_log + repr(journey.host.running.log.lines)
    assert [name for name, value in journey.secrets.items() if value in told] == []
    assert EMAIL not in told


def test_every_request_of_the_page_was_sent(journey: Journey) -> None:
    """And answered by the endpoint that it names."""
    answered = {json.loads(line)["route"] for line in journey.access_log.splitlines()}
    assert {line for line in NAMED if line not in answered} == set()
