"""S-45: guesses are counted before they are looked at: of two hundred at once five count, wherever a code is taken."""

from collections import Counter
from collections.abc import Container, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from dialects.desk import Desk

from gateway.identity.factors import Factor, Factors
from gateway.login.dialect import Endpoint

from .code_places import APP, ENROLMENTS, HELD, MAILED, SECOND, Present, armed, unarmed

GUESSES = 200
LOOKED_AT = 5  # of one network at one account in a minute, and of one challenge at all
# The endpoints that take a code, as they are in the table below: one that comes along has to be thought about.
TAKING: Mapping[str, tuple[str, ...]] = {
    "mycelium": (
        "magic-link/verify", "reset-password", "validate-app", "check-token", "totp/disable", "recovery-codes",
    ),
    "mployr": ("2fa/verify", "2fa/enable", "2fa/disable", "2fa/recovery-codes"),
    "mikrocloud": ("passport",),
    "pipelit": ("mfa/login-verify", "mfa/verify", "mfa/disable"),
    "navak": ("confirm/{link}",),
}  # fmt: skip
WITHOUT: Mapping[str, tuple[str, ...]] = {
    "mycelium": (
        "magic-link/request", "magic-link/display", "magic-link/display/{token}", "users/login", "start-password-reset",
        "users/password", "beginners/tokens", "users/links", "telegram/config", "telegram/link",
        "telegram/login/{tenant_id}",
    ),
    "mployr": ("v1/login",),
    "mikrocloud": ("user/login",),
    "pipelit": ("auth/token", "auth/setup", "me/keys"),
    "navak": ("auth/registration", "auth/login", "auth/email"),
}  # fmt: skip


def wrong(right: Container[str], count: int) -> list[str]:
    return [code for code in (f"{number:06d}" for number in range(count + 20)) if code not in right][:count]


def guesses(present: Present, right: Container[str]) -> Counter[int]:
    """The statuses of two hundred wrong codes, sent at once."""
    with ThreadPoolExecutor(GUESSES) as pool:
        return Counter(answer.status for answer in pool.map(present, wrong(right, GUESSES)))


def looked_at(found: Counter[int]) -> int:
    """How many were not turned away with 429."""
    assert sum(found.values()) == GUESSES
    assert not {status for status in found if status < 400 or status >= 500}, found
    return GUESSES - found[429]


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Codes that are compared with a factor's. Navak's page says 401 both of the last try and of what came after."""
    found: list[str] = []
    accepts = Factors._accepts

    async def noted(self: Factors, factor: Factor, typed: str) -> bool:
        found.append(typed)
        return await accepts(self, factor, typed)

    monkeypatch.setattr(Factors, "_accepts", noted)
    return found


@pytest.mark.parametrize("where", SECOND)
def test_s45_two_hundred_second_steps_are_two_hundred(desk: Desk, where: str, looks: list[str]) -> None:
    """Five are looked at; then the login is over: the right code is of no use, also later."""
    at = armed(desk)
    present = SECOND[where](desk, at)
    found = guesses(present, desk.around(at.secret))
    desk.hand.rest()
    assert looked_at(found) >= LOOKED_AT
    assert (present(desk.code(at.secret)).status >= 400, len(looks)) == (True, LOOKED_AT), found


@pytest.mark.parametrize("where", HELD)
def test_s45_two_hundred_codes_of_a_session_are_two_hundred(desk: Desk, where: str) -> None:
    """Five are looked at; the right one has to wait like any other, and counts after that: nobody is locked out."""
    at = armed(desk)
    present = HELD[where](desk, at)
    found = guesses(present, desk.around(at.secret))
    early = present(desk.code(at.secret)).status
    desk.hand.rest()
    late = present(desk.code(at.secret)).status
    assert (looked_at(found) == LOOKED_AT, early, late in (200, 204)) == (True, 429, True)


@pytest.mark.parametrize("where", ENROLMENTS)
def test_s45_two_hundred_codes_of_an_enrolment_are_two_hundred(desk: Desk, where: str) -> None:
    """An app that somebody else has begun to set up is not confirmed by guessing."""
    secret, present = ENROLMENTS[where](desk)
    found = guesses(present, desk.around(secret))
    assert (looked_at(found) == LOOKED_AT, present(desk.code(secret)).status) == (True, 429)


@pytest.mark.parametrize("where", MAILED)
def test_s45_two_hundred_mailed_codes_are_two_hundred(desk: Desk, where: str) -> None:
    """Five are looked at, and then the code is spent."""
    right, present = MAILED[where](desk)
    found = guesses(present, {right})
    desk.hand.rest()
    assert (looked_at(found) == LOOKED_AT, present(right).status >= 400) == (True, True)


def test_s45_all_of_an_accounts_places_count_together(desk: Desk, looks: list[str]) -> None:
    """Twenty wrong codes at each of all places at once: five are looked at in all."""
    at = armed(desk)
    places = [place(desk, at) for place in APP.values()]
    desk.hand.rest()
    work = [(present, code) for code in wrong(desk.around(at.secret), 20) for present in places]
    with ThreadPoolExecutor(GUESSES) as pool:
        found = Counter(answer.status for answer in pool.map(lambda one: one[0](one[1]), work))
    assert (len(looks), found[429] > len(work) // 2, max(found) < 500) == (LOOKED_AT, True, True)


def test_s45_guesses_at_a_password_are_guesses(desk: Desk) -> None:
    """Two hundred at once, two thirds of them where other APIs ask for it."""
    who, _ = unarmed(desk)
    desk.hand.rest()
    bodies = [{"email": who.email, "password": f"wrong horse {number}"} for number in range(GUESSES)]
    paths = ("/_adm/beginners/users/login", "/v1/login", "/user/login")
    with ThreadPoolExecutor(GUESSES) as pool:
        answers = pool.map(lambda one: desk.post(paths[one[0] % 3], one[1]), enumerate(bodies))
        found = Counter(answer.status for answer in answers)
    assert GUESSES - found[429] - found[503] == LOOKED_AT


def test_s45_every_endpoint_that_takes_a_code_is_among_them(table: Mapping[str, Sequence[Endpoint]]) -> None:
    """By the tables of all APIs: what reads a body is known to take a code, or known to take none."""
    reading = {f"{name} {one.path}" for name, ends in table.items() for one in ends if one.body != "none"}
    known = {
        path
        for path in reading
        for name, ends in (*TAKING.items(), *WITHOUT.items())
        if path.startswith(f"{name} ") and path.endswith(ends)
    }
    assert reading - known == set()
