"""Seed 1, `mycelium-authentication-flows`: every request of the page as curl sends it, in a user's order.

The journey is made once; each test looks at one step of it.
"""

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import jwt
import pyotp
import pytest
import zstandard
from harness.curl import Heard, curl
from harness.hosted import LINK, Hosted
from harness.people import People

from gateway.identity.model import Account, Owner, Tenant

from .desk import BASE, LINKS, SHOWN, TOKENS, TOTP, opened, secret_of

EMAIL: Final = "user@example.com"
TENANT: Final = "a3f1e2d0-1234-4abc-8def-000000000001"
ACCOUNT: Final = "b5e2f3a1-5678-4def-9abc-000000000002"
OWNER: Final = "c7d3e4b2-5678-4def-9abc-000000000003"
JSON: Final = ("-H", "Content-Type: application/json")
WANTED: Final = f"""{{
"tenantId": "{TENANT}",
"accountId": "{ACCOUNT}",
"role": "manager",
"expiresAt": "2027-01-01T00:00:00Z"
}}"""
# every method and path that the page names
NAMED: Final = """\
POST /_adm/beginners/users/magic-link/request
GET /_adm/beginners/users/magic-link/display/{token}
POST /_adm/beginners/users/magic-link/verify
POST /_adm/beginners/users/totp/enable
POST /_adm/beginners/users/totp/validate-app
POST /_adm/beginners/users/totp/check-token
POST /_adm/beginners/users/totp/disable
POST /_adm/beginners/tokens
GET /_adm/beginners/tokens
GET /_adm/beginners/profile""".splitlines()
USER: Final = {
    "id": OWNER,
    "username": EMAIL,
    "email": {"username": "user", "domain": "example.com"},
    "isActive": True,
    "isPrincipal": True,
    "account": ACCOUNT,
}


def bearer(token: str) -> tuple[str, str]:
    return ("-H", f"Authorization: Bearer {token}")


def data(**members: str) -> tuple[str, ...]:
    return (*JSON, "-d", json.dumps(members))


async def settled(host: Hosted) -> None:
    """The very ids of the page."""
    accounts, tenants, roles = host.store.accounts, host.store.tenants, host.store.roles
    await accounts.add_account(Account(ACCOUNT, "User", Owner(OWNER, EMAIL)), EMAIL)
    own = Account("d9e4f5c3-5678-4def-9abc-000000000004", "MyApp", Owner("e1f5a6d4-5678-4def-9abc-000000000005", ""))
    await tenants.add_tenant(Tenant(TENANT, "MyApp", own.id), own, None)
    await roles.assign(ACCOUNT, TENANT, "manager", "write")


@dataclass
class Journey:
    """steps: what was answered. secrets: what no log may hold. forwarded: the headers that the service got."""

    host: Hosted
    steps: dict[str, Heard] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    forwarded: list[bytes] = field(default_factory=list)
    access_log: str = ""

    def go(self, name: str, path: str, *arguments: str) -> Heard:
        self.steps[name] = curl(self.host.url + path, *arguments)
        return self.steps[name]

    def post(self, name: str, path: str, *arguments: str) -> Heard:
        return self.go(name, path, "-X", "POST", *arguments)

    def __getitem__(self, name: str) -> Any:
        """The JSON of an answer that was good."""
        heard = self.steps[name]
        assert heard.status == 200, heard.body
        return heard.json()

    def refusal(self, name: str) -> tuple[int, object, str]:
        """Status, code and the scheme that is asked for."""
        heard = self.steps[name]
        (challenge,) = heard.headers.get("www-authenticate", [""])
        return heard.status, heard.json()["code"], challenge.partition(" ")[0]

    def code(self, step: int = 1) -> str:
        """Of the authenticator app, so many steps of 30 seconds on."""
        self.host.hand.ahead += 30 * step
        return pyotp.TOTP(self.secrets["totp"]).at(int(self.host.hand.now()))

    def login(self, name: str) -> str:
        """The page's first diagram. The token. Time enough has passed since the last mail."""
        self.host.hand.rest()
        assert self.post(f"{name}: request", f"{LINKS}/request", *data(email=EMAIL)).status == 200
        link = self.secrets[f"{name}: link"] = self.host.mailed(EMAIL, LINK)
        self.go(f"{name}: display", f"{LINKS}/display/{link}")
        self.post(name, f"{LINKS}/verify", *data(token=link))
        token = self.secrets[f"{name}: jwt"] = str(self[name]["token"])
        return token

    def refused_everywhere(self, token: str) -> None:
        for name, path in (("proxy", "/secure/x"), ("profile", f"{BASE}/profile"), ("tokens", TOKENS)):
            self.go(f"restricted: {name}", path, *bearer(token))


def travelled(host: Hosted) -> Journey:
    host.do(settled(host))
    journey = Journey(host)
    enable(journey, log_in(journey))
    token = step_up(journey)
    connect(journey, token)
    disable(journey, token)
    host.do(host.stop())
    journey.forwarded = [value for got in host.upstream.requests for value in got.all(b"x-mycelium-profile")]
    journey.access_log = host.access_log()
    return journey


def log_in(journey: Journey) -> str:
    """Magic link, and using the JWT."""
    token = journey.login("login")
    journey.post("link again", f"{LINKS}/verify", *data(token=journey.secrets["login: link"]))
    journey.go("proxy", "/secure/x", *bearer(token))
    journey.go("profile", f"{BASE}/profile", *bearer(token))
    return token


def enable(journey: Journey, token: str) -> None:
    """Enabling 2FA."""
    journey.post("enable", f"{TOTP}/enable", *bearer(token))
    journey.secrets["totp"] = secret_of(journey["enable"]["totpUrl"])
    code = journey.code()
    journey.post("validate-app", f"{TOTP}/validate-app", *bearer(token), *data(token=code))
    for number, recovery in enumerate(journey["validate-app"]["recoveryCodes"]):
        journey.secrets[f"recovery {number}"] = recovery
    journey.go("after validate-app", f"{BASE}/profile", *bearer(token))
    pending = journey.login("spent code")
    journey.post("check-token with the spent code", f"{TOTP}/check-token", *bearer(pending), *data(token=code))


def step_up(journey: Journey) -> str:
    """Logging in with 2FA. The token of the login, which is restricted no longer."""
    token = journey.login("restricted")
    journey.refused_everywhere(token)
    code = journey.code()
    journey.post("check-token", f"{TOTP}/check-token", *bearer(token), *data(token=code))
    fresh = journey.secrets["fresh jwt"] = str(journey["check-token"]["token"])
    journey.post("disable with the spent code", f"{TOTP}/disable", *bearer(token), *data(token=code))
    for name, one in (("old", token), ("new", fresh)):
        journey.go(f"{name} on the proxy", "/secure/x", *bearer(one))
        journey.go(f"{name} on the profile", f"{BASE}/profile", *bearer(one))
    return token


def connect(journey: Journey, token: str) -> None:
    """Connection strings."""
    journey.post("create", TOKENS, *bearer(token), *JSON, "-d", WANTED)
    string = journey.secrets["string"] = str(journey["create"]["connectionString"])
    header = ("-H", f"x-mycelium-connection-string: {string}")
    journey.go("list", TOKENS, *bearer(token))
    journey.go("string", "/roles/x", *header)
    journey.go("string on the profile", f"{BASE}/profile", *header)
    journey.go("string first", "/roles/x", *header, *bearer("not.a.token"))
    journey.go("string as bearer", "/roles/x", *bearer(string))


def disable(journey: Journey, token: str) -> None:
    """Disabling 2FA."""
    code = journey.code()
    journey.post("disable", f"{TOTP}/disable", *bearer(token), *data(token=code))
    journey.login("without 2FA")


@pytest.fixture(scope="module")
def journey(people: People, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journey]:
    said = {"login": {"mycelium": {"totp_issuer": "MyApp"}}}
    with opened(tmp_path_factory.mktemp("journey"), people, **said) as desk:
        yield travelled(desk.host)


# magic link


def test_a_link_is_asked_for_with_an_address(journey: Journey) -> None:
    """And the answer says no more than that."""
    assert journey["login: request"] == {"sent": True}


def test_the_link_opens_a_page_that_gives_away_no_code(journey: Journey) -> None:
    """Mail scanners open links, too."""
    page = journey.steps["login: display"]
    assert (page.status, page.headers["content-type"], SHOWN.search(page.body.decode())) == (
        200,
        ["text/html; charset=utf-8"],
        None,
    )


def test_the_links_token_is_exchanged_for_a_jwt(journey: Journey) -> None:
    """The page's `token` and `type`, and what else a client of Mycelium reads."""
    token = journey.secrets["login: jwt"]
    pending = {"totp_required": False, "totpRequired": False}
    assert journey["login"] == {"token": token, "type": "Bearer", "duration": 86400, **pending, **USER}


def test_the_jwt_lives_as_long_as_the_page_says(journey: Journey) -> None:
    """jwtExpiresIn = 86400, the default."""
    claims = jwt.decode(journey.secrets["login: jwt"], options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == 86400


def test_a_link_works_once(journey: Journey) -> None:
    """It is a one-time link."""
    assert journey.refusal("link again") == (401, "MYC00008", "Bearer")


def test_the_jwt_passes_on_a_route(journey: Journey) -> None:
    """In every request, as the page says."""
    assert journey.steps["proxy"].status == 200


def test_the_profile_is_that_of_the_caller(journey: Journey) -> None:
    """With what they hold."""
    profile = journey["profile"]
    (licence,) = profile["licensedResources"]["records"]
    assert (profile["accId"], licence["tenantId"], licence["role"]) == (ACCOUNT, TENANT, "manager")


def test_the_profile_is_the_one_that_services_get(journey: Journey) -> None:
    """The same profile that is injected as x-mycelium-profile."""
    injected = zstandard.ZstdDecompressor().decompress(base64.b64decode(journey.forwarded[0]))
    assert json.loads(injected) == journey["profile"]


# two-factor authentication


def test_enabling_answers_an_otpauth_url(journey: Journey) -> None:
    """Exactly of the page's form."""
    shown = rf"otpauth://totp/MyApp:{EMAIL}\?secret=[A-Z2-7]{{32}}&issuer=MyApp"
    assert {name: bool(re.fullmatch(shown, url)) for name, url in journey["enable"].items()} == {"totpUrl": True}


def test_the_first_code_finishes_the_activation(journey: Journey) -> None:
    """With ten recovery codes."""
    found = journey["validate-app"]
    assert (sorted(found), found["finished"], len(found["recoveryCodes"])) == (["finished", "recoveryCodes"], True, 10)


def test_the_session_that_enabled_it_goes_on(journey: Journey) -> None:
    """It has just proved the factor."""
    assert journey.steps["after validate-app"].status == 200


def test_a_login_then_says_that_a_code_is_required(journey: Journey) -> None:
    """Otherwise it is the same object, of a token that lives five minutes."""
    token = journey.secrets["restricted: jwt"]
    pending = {"totp_required": True, "totpRequired": True}
    assert journey["restricted"] == {"token": token, "type": "Bearer", "duration": 300, **pending, **USER}


@pytest.mark.parametrize("where", ["proxy", "profile", "tokens"])
def test_a_session_without_its_second_factor_has_no_access(journey: Journey, where: str) -> None:
    """Only after a successful check does it."""
    assert journey.refusal(f"restricted: {where}") == (401, "mfa_required", "Bearer")


def test_the_check_hands_out_a_whole_session(journey: Journey) -> None:
    """A login object again."""
    token = journey.secrets["fresh jwt"]
    pending = {"totp_required": False, "totpRequired": False}
    assert journey["check-token"] == {"token": token, "type": "Bearer", "duration": 86400, **pending, **USER}


@pytest.mark.parametrize("which", ["old", "new"])
@pytest.mark.parametrize("where", ["proxy", "profile"])
def test_after_the_check_the_session_has_full_access(journey: Journey, which: str, where: str) -> None:
    """With the token of the login too: the page shows no other."""
    assert journey.steps[f"{which} on the {where}"].status == 200


@pytest.mark.parametrize("which", ["check-token", "disable"])
def test_no_code_counts_twice(journey: Journey, which: str) -> None:
    """Whatever it was used for (RFC 6238 section 5.2)."""
    assert journey.refusal(f"{which} with the spent code") == (400, "MYC00023", "")


def test_disabling_answers_nothing(journey: Journey) -> None:
    """204, as Mycelium does."""
    assert (journey.steps["disable"].status, journey.steps["disable"].body) == (204, b"")


def test_after_disabling_a_login_asks_for_no_code(journey: Journey) -> None:
    """It is a whole session at once."""
    assert journey["without 2FA"]["totp_required"] is False


# connection strings


def test_a_connection_string_has_the_form_of_the_page(journey: Journey) -> None:
    """With the account, the tenant, the role and the expiry that were asked for."""
    shown = rf"acc={ACCOUNT};tid={TENANT};r=manager;edt=2027-01-01T00:00:00Z;sig=[0-9a-f]{{64}}"
    assert re.fullmatch(shown, journey.secrets["string"])


def test_a_connection_string_is_answered_with_its_expiry(journey: Journey) -> None:
    """And with nothing else."""
    assert journey["create"] == {
        "connectionString": journey.secrets["string"],
        "expiresAt": "2027-01-01T00:00:00Z",
    }


def test_the_list_shows_the_string_without_its_secret(journey: Journey) -> None:
    """Whoever can list must not be able to rebuild one."""
    (found,) = journey["list"]
    assert {**found, "id": "", "createdAt": ""} == {
        "id": "",
        "name": "",
        "tenantId": TENANT,
        "accountId": ACCOUNT,
        "role": "manager",
        "permission": None,
        "createdAt": "",
        "expiresAt": "2027-01-01T00:00:00Z",
        "lastUsedAt": None,
        "revokedAt": None,
    }


@pytest.mark.parametrize("how", ["string", "string on the profile", "string first"])
def test_the_string_passes_in_its_own_header(journey: Journey, how: str) -> None:
    """And comes before a bearer token."""
    assert journey.steps[how].status == 200


def test_the_string_fails_as_a_bearer_token(journey: Journey) -> None:
    """As the page warns."""
    assert journey.refusal("string as bearer") == (401, "invalid_credential", "Bearer")


# what is written down of it


def test_every_answer_is_kept_out_of_caches_and_sniffers(journey: Journey) -> None:
    """All of our own; those of services are theirs."""
    ours = {
        name: (heard.headers.get("cache-control"), heard.headers.get("x-content-type-options"))
        for name, heard in journey.steps.items()
        if heard.body != b"" and b'"keys"' not in heard.body
    }
    assert ours == dict.fromkeys(ours, (["no-store"], ["nosniff"]))


def test_the_access_log_has_the_template_of_the_links_page(journey: Journey) -> None:
    """And no path, which would hold the token."""
    lines = [json.loads(line) for line in journey.access_log.splitlines()]
    shown = [(line["route"], line["path"]) for line in lines if "display" in line["route"]]
    assert shown == [(f"GET {LINKS}/display/{{token}}", None)] * 4


def test_the_access_log_holds_no_secret_and_no_mail_address(journey: Journey) -> None:
    """Of the whole journey."""
    assert [name for name, value in journey.secrets.items() if value in journey.access_log] == []
    assert EMAIL not in journey.access_log


def test_the_application_log_holds_no_secret_and_no_mail_address(journey: Journey) -> None:
    """Of the whole journey."""
    told = repr(journey.host.running.log.lines)
    assert [name for name, value in journey.secrets.items() if value in told] == []
    assert EMAIL not in told


def test_every_request_of_the_page_was_sent(journey: Journey) -> None:
    """And answered by the endpoint that it names."""
    answered = {json.loads(line)["route"] for line in journey.access_log.splitlines()}
    assert {line for line in NAMED if line not in answered} == set()
