"""S-39: a session is renewed by one of many, its predecessor is over, and no password change is outlived. (Mployr's API
alone renews. There is no refresh token beside the session's, and so no grace in which an old one would count.)
"""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from conformance.adapters import ADAPTERS, someone
from dialects.desk import BASE, PASSWORD, TOTP, Desk
from e2e.parts import until

API = next(api for api in ADAPTERS if api.name == "mployr")
REFRESH = "/v1/refresh"


def token(desk: Desk) -> str:
    return API.enter(desk, someone(desk))


def sessions(desk: Desk, held: str) -> int:
    """Of the account."""
    return len(desk.ask("GET", f"{BASE}/sessions", token=held).json())


def test_s39_two_renewals_at_once_are_one_session(desk: Desk) -> None:
    """Five times two: one wins, the other is told that its token is over; what was won passes, and there is one
    session of it, not two and not none."""
    for _ in range(5):
        held = token(desk)
        desk.hand.rest()
        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(lambda held: desk.post(REFRESH, token=held), (held, held)))
        (won,) = [answer.json()["data"]["token"] for answer in answers if answer.status == 200]
        assert (desk.passes(won), desk.passes(held), sessions(desk, won)) == (True, False, 1)


def test_s39_of_fifty_renewals_at_once_one_wins(desk: Desk) -> None:
    """And the winner's own token goes on being renewed."""
    held = token(desk)
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: desk.post(REFRESH, token=held), range(50)))
    found = Counter(answer.status for answer in answers)
    (won,) = [answer.json()["data"]["token"] for answer in answers if answer.status == 200]
    desk.hand.rest()
    assert (found[200], set(found) <= {200, 401, 429}, desk.post(REFRESH, token=won).status) == (1, True, 200)


def test_s39_a_token_that_was_renewed_is_of_no_use_again(desk: Desk) -> None:
    """The second and third use, now and later: neither renews nor passes; whoever holds the successor goes on."""
    held = token(desk)
    won = desk.post(REFRESH, token=held).json()["data"]["token"]
    found = []
    for _ in range(3):
        found.append((desk.post(REFRESH, token=held).status, desk.passes(held)))
        desk.hand.ahead += 40
    assert (set(found), desk.passes(won)) == ({(401, False)}, True)


def test_s39_a_change_of_password_is_not_outlived(desk: Desk) -> None:
    """By another session of the account: neither renewed nor passing after it; the one that made it is."""
    who = someone(desk)
    other, mine = API.enter(desk, who), API.enter(desk, who)
    body = {"currentPassword": PASSWORD, "newPassword": "another horse battery"}
    assert desk.ask("PUT", f"{BASE}/users/password", body, mine).status in (200, 204)
    found = [desk.post(REFRESH, token=held).status for held in (other, mine)]
    assert found == [401, 200]


def test_s39_a_logout_is_not_outlived(desk: Desk) -> None:
    """Nor a session that was ended from another one."""
    who = someone(desk)
    one, other = API.enter(desk, who), API.enter(desk, who)
    API.end(desk, one)
    assert desk.ask("DELETE", f"{BASE}/sessions", token=ADAPTERS[0].enter(desk, who)).status == 204
    assert [desk.post(REFRESH, token=held).status for held in (one, other)] == [401, 401]


def test_s39_a_disabled_account_renews_nothing(desk: Desk) -> None:
    """Within a second or two of what another process did."""
    who = someone(desk)
    held = API.enter(desk, who)
    desk.host.do(desk.host.store.accounts.set_status(who.account, "disabled"))
    until(lambda: not desk.passes(held), "the end of its session")
    assert desk.post(REFRESH, token=held).status == 401


def test_s39_a_factor_that_came_meanwhile_is_not_got_around(desk: Desk) -> None:
    """A session of before it is over, and cannot be renewed into one after it."""
    who = someone(desk)
    old, mine = API.enter(desk, who), ADAPTERS[0].enter(desk, who)
    secret = desk.begun(mine)
    assert desk.post(f"{TOTP}/validate-app", {"token": desk.code(secret)}, mine).status == 200
    assert desk.post(REFRESH, token=old).status == 401


def test_s39_half_a_login_is_not_renewed(desk: Desk) -> None:
    """A restricted token, a session of another API, a connection string: none is a session of this one."""
    who = someone(desk)
    mine = ADAPTERS[0].enter(desk, who)
    other = desk.post(REFRESH, token=mine).status
    said = {"tenantId": who.tenant, "role": "manager", "expiration": 3600}
    string = desk.post(f"{BASE}/tokens", said, mine).json()["connectionString"]
    connected = desk.ask("POST", REFRESH, string=string).status
    secret = desk.begun(mine)
    assert desk.post(f"{TOTP}/validate-app", {"token": desk.code(secret)}, mine).status == 200
    half = desk.post(f"{BASE}/users/login", {"email": who.email, "password": PASSWORD}).json()["token"]
    assert (other, connected, desk.post(REFRESH, token=half).status) == (403, 403, 401)
