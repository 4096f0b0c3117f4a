"""Seed 4, `pipelit-authentication`: every request of the page as curl sends it, on a gateway that has no account yet.

The journey is made once; each test looks at one step of it.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import pyotp
import pytest
from argon2 import PasswordHasher
from harness.curl import Heard, curl
from harness.hosted import Hosted

from .pipelit import AUTH, KEY, empty, pipelit

JSON: Final = ("-H", "Content-Type: application/json")
SETUP: Final = '{"username": "admin", "password": "mypassword"}'
LOGIN: Final = '{"username": "admin", "password": "secret"}'
# every method and path that the page names
NAMED: Final = """\
POST /api/v1/auth/token/
GET /api/v1/auth/me/
GET /api/v1/auth/setup-status/
POST /api/v1/auth/setup/
POST /api/v1/auth/mfa/setup/
POST /api/v1/auth/mfa/verify/
POST /api/v1/auth/mfa/disable/
GET /api/v1/auth/mfa/status/
POST /api/v1/auth/mfa/login-verify/
POST /api/v1/auth/mfa/reset/""".splitlines()


@dataclass
class Journey:
    """steps: what was answered. secrets: what no log may hold."""

    host: Hosted
    steps: dict[str, Heard] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    access_log: str = ""

    def get(self, name: str, path: str, *arguments: str) -> None:
        self.steps[name] = curl(f"{self.host.url}{path}", *arguments)

    def post(self, name: str, path: str, *arguments: str) -> None:
        self.get(name, f"{AUTH}/{path}/", "-X", "POST", *arguments)

    def __getitem__(self, name: str) -> Any:
        """The JSON of an answer that was good."""
        heard = self.steps[name]
        assert heard.status == 200, heard.body
        return heard.json()

    def refusal(self, name: str) -> tuple[int, object]:
        return self.steps[name].status, self.steps[name].json()

    def key(self, name: str) -> tuple[str, str]:
        """The header that has the key of this step."""
        key = self.secrets[f"{name}: key"] = str(self[name]["key"])
        return ("-H", f"Authorization: Bearer {key}")

    def code(self) -> str:
        """Of the authenticator app, in its next step."""
        self.host.hand.ahead += 30
        return pyotp.TOTP(self.secrets["totp"]).at(int(self.host.hand.now()))


def travelled(host: Hosted) -> Journey:
    journey = Journey(host)
    first_account(journey)
    log_in(journey)
    enable(journey)
    log_in_with_mfa(journey)
    reset(journey)
    host.do(host.stop())
    journey.access_log = host.access_log()
    return journey


def first_account(journey: Journey) -> None:
    journey.get("empty", f"{AUTH}/setup-status/")
    journey.post("setup", "setup", *JSON, "-d", SETUP)
    journey.post("setup again", "setup", *JSON, "-d", SETUP)
    journey.get("settled", f"{AUTH}/setup-status/")
    journey.get("first key", "/secure/x", *journey.key("setup"))


def log_in(journey: Journey) -> None:
    """With a password that an earlier Pipelit may have had: ours must not refuse its length now."""
    journey.post("wrong password", "token", *JSON, "-d", LOGIN)
    journey.host.do(set_password(journey.host))
    journey.post("token", "token", *JSON, "-d", LOGIN)
    journey.get("proxy", "/secure/x", *journey.key("token"))
    journey.get("me", f"{AUTH}/me/", *journey.key("token"))
    journey.get("me without a key", f"{AUTH}/me/")


async def set_password(host: Hosted) -> None:
    accounts = host.store.changes().accounts
    admin = await accounts.by_username("admin")
    assert admin is not None
    await accounts.set_password(admin.id, PasswordHasher(2, 19 * 1024, 1).hash("secret"), None, None)


def enable(journey: Journey) -> None:
    bearer = journey.key("token")
    journey.get("status before", f"{AUTH}/mfa/status/", *bearer)
    journey.post("mfa setup", "mfa/setup", *bearer)
    journey.secrets["totp"] = journey["mfa setup"]["secret"]
    journey.post("verify", "mfa/verify", *bearer, *JSON, "-d", json.dumps({"code": journey.code()}))
    for number, recovery in enumerate(journey["verify"]["recovery_codes"]):
        journey.secrets[f"recovery {number}"] = recovery
    journey.post("mfa setup again", "mfa/setup", *bearer)
    journey.get("status after", f"{AUTH}/mfa/status/", *bearer)


def log_in_with_mfa(journey: Journey) -> None:
    code = journey.code()
    said = {"username": "admin", "code": code}
    journey.post("no password before", "mfa/login-verify", *JSON, "-d", json.dumps(said))
    journey.post("half a token", "token", *JSON, "-d", LOGIN)
    journey.secrets["mfa token"] = journey["half a token"]["mfa_token"]
    wrong = {"username": "admin", "code": f"{(int(code) + 1) % 1_000_000:06d}"}
    journey.post("wrong code", "mfa/login-verify", *JSON, "-d", json.dumps(wrong))
    journey.post("login-verify", "mfa/login-verify", *JSON, "-d", json.dumps(said))
    journey.get("proxy with mfa", "/secure/x", *journey.key("login-verify"))
    bearer = journey.key("login-verify")
    journey.post("disable", "mfa/disable", *bearer, *JSON, "-d", json.dumps({"code": journey.code()}))
    journey.get("status at the end", f"{AUTH}/mfa/status/", *bearer)


def reset(journey: Journey) -> None:
    bearer = journey.key("login-verify")
    journey.post("reset", "mfa/reset", *bearer)
    journey.post("reset from elsewhere", "mfa/reset", *bearer, "-H", "X-Forwarded-For: 203.0.113.9")


@pytest.fixture(scope="module")
def journey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journey]:
    with pipelit(tmp_path_factory.mktemp("journey"), empty(tmp_path_factory.mktemp("nobody"))) as booth:
        yield travelled(booth.host)


def whole(journey: Journey, name: str) -> bool:
    """Whether it is a key, and no more is required."""
    found = journey[name]
    return sorted(found) == ["key", "requires_mfa"] and bool(KEY.fullmatch(found["key"])) and not found["requires_mfa"]


# setup


@pytest.mark.parametrize(("step", "needed"), [("empty", True), ("settled", False)])
def test_setup_status_tells_whether_anybody_is_there(journey: Journey, step: str, needed: bool) -> None:
    """Before and after the first account."""
    assert journey[step] == {"needs_setup": needed}


def test_setup_hands_out_a_key(journey: Journey) -> None:
    """With the page's own password."""
    assert whole(journey, "setup")


def test_setup_works_once(journey: Journey) -> None:
    """In the page's words."""
    assert journey.refusal("setup again") == (409, {"detail": "Setup already completed."})


# token, me


def test_a_wrong_password_is_refused(journey: Journey) -> None:
    """In the page's words."""
    assert journey.refusal("wrong password") == (401, {"detail": "Invalid credentials."})


def test_a_password_is_exchanged_for_a_key(journey: Journey) -> None:
    """No more is required."""
    assert whole(journey, "token")


@pytest.mark.parametrize("step", ["first key", "proxy", "proxy with mfa"])
def test_every_key_passes_on_a_route(journey: Journey, step: str) -> None:
    """For subsequent Bearer token auth."""
    assert journey.steps[step].status == 200


def test_me_says_who_one_is(journey: Journey) -> None:
    """And no more than the page."""
    assert journey["me"] == {"username": "admin", "mfa_enabled": False}


def test_me_needs_a_key(journey: Journey) -> None:
    """Bearer token required."""
    assert journey.refusal("me without a key") == (401, {"detail": "Invalid or missing API key."})


# MFA


def test_mfa_setup_answers_secret_and_uri(journey: Journey) -> None:
    """The URI exactly of the page's form."""
    secret = journey.secrets["totp"]
    uri = f"otpauth://totp/Pipelit:admin?secret={secret}&issuer=Pipelit"
    assert journey["mfa setup"] == {"secret": secret, "provisioning_uri": uri}


def test_the_secret_is_base32(journey: Journey) -> None:
    """Of 160 bits."""
    assert re.fullmatch("[A-Z2-7]{32}", journey.secrets["totp"])


def test_the_first_code_enables_mfa(journey: Journey) -> None:
    """With recovery codes besides what the page shows."""
    found = journey["verify"]
    assert (sorted(found), found["mfa_enabled"]) == (["mfa_enabled", "recovery_codes"], True)


def test_mfa_is_set_up_once(journey: Journey) -> None:
    """In the page's words."""
    assert journey.refusal("mfa setup again") == (400, {"detail": "MFA is already enabled."})


@pytest.mark.parametrize(
    ("step", "enabled"), [("status before", False), ("status after", True), ("status at the end", False)]
)
def test_the_status_follows(journey: Journey, step: str, enabled: bool) -> None:
    """Before, with and after MFA."""
    assert journey[step] == {"mfa_enabled": enabled}


def test_a_password_alone_is_half_a_login_then(journey: Journey) -> None:
    """requires_mfa with an empty key, as on the page."""
    found = {name: journey["half a token"][name] for name in ("key", "requires_mfa")}
    assert found == {"key": "", "requires_mfa": True}


def test_a_code_finishes_the_login(journey: Journey) -> None:
    """With username and code alone."""
    assert whole(journey, "login-verify")


def test_a_code_without_a_password_is_refused(journey: Journey) -> None:
    """In the words that the page has for it."""
    assert journey.refusal("no password before") == (401, {"detail": "Invalid credentials."})


def test_a_wrong_code_is_refused(journey: Journey) -> None:
    """In the page's words."""
    assert journey.refusal("wrong code") == (401, {"detail": "Invalid TOTP code."})


def test_a_code_disables_mfa(journey: Journey) -> None:
    """By a session that it was proved in."""
    assert journey["disable"] == {"mfa_enabled": False}


def test_the_reset_works_on_this_machine(journey: Journey) -> None:
    """Also where MFA is off."""
    assert journey["reset"] == {"mfa_enabled": False}


def test_the_reset_works_nowhere_else(journey: Journey) -> None:
    """In the page's words."""
    assert journey.refusal("reset from elsewhere") == (403, {"detail": "MFA reset only allowed from localhost."})


# what is written down of it


def test_every_answer_is_kept_out_of_caches_and_sniffers(journey: Journey) -> None:
    """All of our own; those of services are theirs."""
    ours = {
        name: (heard.headers.get("cache-control"), heard.headers.get("x-content-type-options"))
        for name, heard in journey.steps.items()
        if name not in ("first key", "proxy", "proxy with mfa")
    }
    assert ours == dict.fromkeys(ours, (["no-store"], ["nosniff"]))


def test_no_log_holds_a_secret(journey: Journey) -> None:
    """Of the whole journey."""
    told = journey.access_log + repr(journey.host.running.log.lines)
    secrets = {**journey.secrets, "first": "mypassword"}
    assert [name for name, value in secrets.items() if value in told] == []


def test_every_request_of_the_page_was_sent(journey: Journey) -> None:
    """And answered by the endpoint that it names."""
    answered = {json.loads(line)["route"] for line in journey.access_log.splitlines()}
    assert {line for line in NAMED if line not in answered} == set()
