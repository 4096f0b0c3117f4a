"""S-47, S-49 at every API: no way around the second factor, and recovery codes that are shown once and count once."""

from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest
from conformance.adapters import ADAPTERS, Adapter
from dialects.desk import BASE, LINKS, PASSWORD, TOTP, Desk

from .code_places import Armed, armed

each = pytest.mark.parametrize("api", ADAPTERS, ids=lambda api: api.name)
BEGIN = {f"{TOTP}/enable": 400, "/v1/2fa/setup": 409, "/api/v1/auth/mfa/setup/": 400}
END: Mapping[str, Mapping[str, str]] = {
    f"{TOTP}/disable": {"token": ""},
    "/v1/2fa/disable": {"code": "", "password": PASSWORD},
    "/api/v1/auth/mfa/disable/": {"code": ""},
}


@each
def test_s47_no_api_lets_anybody_in_by_the_first_factor(desk: Desk, api: Adapter) -> None:
    """Where one is on, whichever API it was set up in: its first step hands out nothing that passes."""
    at = armed(desk)
    answer = api.first(desk, at.who, PASSWORD)
    assert (answer.status, api.credential(answer)) == (200, "")


@pytest.mark.parametrize("path", BEGIN)
def test_s47_no_enrolment_replaces_a_factor(desk: Desk, path: str) -> None:
    """With a session of its own holder: the factor that is on stays, and its codes count."""
    at = armed(desk)
    answer = desk.post(path, token=at.token)
    entered = ADAPTERS[0].enter(desk, at.who, desk.code(at.secret))
    assert (400 <= answer.status < 500, b"otpauth" in answer.body, desk.passes(entered)) == (True, False, True)


@pytest.mark.parametrize("path", END)
def test_s47_a_session_alone_ends_no_factor(desk: Desk, path: str) -> None:
    """Neither without a code nor with an empty, wrong or old one: what is fresh proves it."""
    at = armed(desk)
    name = next(name for name, value in END[path].items() if not value)
    found = []
    for code in (None, "", desk.wrong(at.secret), "no-recovery"):
        desk.hand.rest()
        body = {key: value for key, value in {**END[path], name: code}.items() if value is not None}
        found.append(desk.post(path, body, at.token).status)
    after = ADAPTERS[0].first(desk, at.who, PASSWORD).json()["totpRequired"]
    assert (all(400 <= status < 500 for status in found), after) == (True, True)


def test_s47_mployrs_end_of_a_factor_wants_the_password_too(desk: Desk) -> None:
    """As its page says."""
    at = armed(desk)
    body = {"code": desk.code(at.secret), "password": "wrong horse battery"}
    assert 400 <= desk.post("/v1/2fa/disable", body, at.token).status < 500


def test_s47_no_mail_skips_the_factor(desk: Desk) -> None:
    """Links, their codes and resets prove the mailbox: what they lead to waits for the app."""
    at = armed(desk)
    desk.hand.rest()
    half = desk.post(f"{LINKS}/verify", {"token": desk.link(at.who.email)}).json()
    desk.hand.rest()
    assert (half["totpRequired"], desk.passes(half["token"])) == (True, False)


def race(desk: Desk, at: Armed, code: str) -> tuple[Counter[int], int]:
    """One recovery code at twenty logins of theirs at once, five of each of four APIs. How many got in."""
    apis = [api for api in ADAPTERS if api.name != "navak"]
    halves = []
    for api in apis:
        desk.hand.rest()
        halves.append((api, api.begin(desk, at.who)))
    desk.hand.rest()
    work = [(api, half) for api, half in halves for _ in range(5)]
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda one: (one[0], one[0].finish(desk, at.who, one[1], code)), work))
    entered = [api.credential(answer) for api, answer in answers if answer.status == 200]
    return Counter(answer.status for _, answer in answers), len([token for token in entered if token])


def test_s49_a_recovery_code_counts_once_between_all_apis(desk: Desk) -> None:
    """At once, at logins that each wait for a code of their own."""
    at = armed(desk)
    found, entered = race(desk, at, at.codes[0])
    assert (entered, found[200], sum(found.values())) == (1, 1, 20)


def test_s49_how_many_are_left_is_told(desk: Desk) -> None:
    """Ten, and one less with each that was used; never which."""
    at = armed(desk)
    left = []
    for code in (None, at.codes[0], at.codes[1]):
        if code is not None:
            desk.hand.rest()
            assert desk.passes(ADAPTERS[0].enter(desk, at.who, code))
        answer = desk.ask("GET", "/v1/2fa/status", token=at.token)
        left.append(answer.json()["data"]["recovery_codes_remaining"])
        assert not any(one.encode() in answer.body for one in at.codes)
    assert left == [10, 9, 8]


def test_s49_codes_are_shown_once(desk: Desk) -> None:
    """Nothing that can be read later has one of them, or the secret."""
    at = armed(desk)
    paths = [f"{BASE}/profile", f"{BASE}/sessions", f"{BASE}/tokens", "/v1/me", "/v1/2fa/status", "/auth/sessions"]
    paths += ["/api/v1/auth/me/", "/api/v1/auth/mfa/status/", "/api/v1/users/me/keys"]
    answers = [desk.ask("GET", path, token=at.token) for path in paths]
    said = b"".join(answer.body for answer in answers)
    shown = [text for text in (*at.codes, at.secret) if text.encode() in said or text.replace("-", "").encode() in said]
    assert ({answer.status for answer in answers}, shown) == ({200}, [])


@pytest.mark.parametrize("path", [f"{TOTP}/recovery-codes", "/v1/2fa/recovery-codes"])
def test_s49_new_codes_void_the_old_at_every_api(desk: Desk, path: str) -> None:
    """All ten of them."""
    at = armed(desk)
    name = "token" if path.startswith(TOTP) else "code"
    assert desk.post(path, {name: desk.code(at.secret)}, at.token).status == 200
    found = []
    for api, code in zip((one for one in ADAPTERS if one.name != "navak"), at.codes, strict=False):
        desk.hand.rest()
        half = api.begin(desk, at.who)
        found.append(api.finish(desk, at.who, half, code).status)
    assert all(400 <= status < 500 for status in found)
