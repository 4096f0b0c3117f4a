"""What a login gives, what half of one gives, and how both end."""

import pytest
from dialects.desk import BASE, LINKS, PASSWORD, TOTP, Desk, Person, secret_of
from e2e.parts import until

from .adapters import ADAPTERS, NOBODY, Adapter, Someone, someone, strings

each = pytest.mark.parametrize("api", ADAPTERS, ids=lambda api: api.name)


def armed(desk: Desk) -> tuple[Someone, str]:
    """Somebody with a second factor, and its secret."""
    who = someone(desk)
    token = ADAPTERS[0].enter(desk, who)
    secret = secret_of(desk.post(f"{TOTP}/enable", token=token).json()["totpUrl"])
    assert desk.post(f"{TOTP}/validate-app", {"token": desk.code(secret)}, token).status == 200
    return who, secret


def refusals(desk: Desk, text: str) -> dict[str, int]:
    """The status of every place that takes a credential for callers, and does not take this one."""
    read = {"protected": "/secure/x", "profile": f"{BASE}/profile"}
    read |= {api.name: api.mine for api in ADAPTERS if api.mine}
    found = {f"{name} by token": desk.ask("GET", path, token=text).status for name, path in read.items()}
    found |= {f"{name} by string": desk.ask("GET", path, string=text).status for name, path in read.items()}
    found["magic link"] = desk.post(f"{LINKS}/verify", {"token": text}).status
    return {name: status for name, status in found.items() if status != 401}


def injected(desk: Desk, token: str) -> bytes:
    """The profile that the service behind a protected route gets."""
    assert desk.passes(token)
    return desk.host.upstream.requests[-1].one(b"x-mycelium-profile")


def looked_at(desk: Desk, tokens: list[str]) -> tuple[set[bytes], set[bytes]]:
    return {desk.ask("GET", f"{BASE}/profile", token=token).body for token in tokens}, {
        injected(desk, token) for token in tokens
    }


@each
def test_a_whole_login_passes_at_the_proxy(desk: Desk, api: Adapter) -> None:
    """On a route for callers."""
    assert desk.passes(api.enter(desk, someone(desk)))


@each
def test_a_whole_login_is_known_to_every_api(desk: Desk, api: Adapter) -> None:
    """It is the same account, whoever let it in."""
    token = api.enter(desk, someone(desk))
    assert {other.name: desk.ask("GET", other.mine, token=token).status for other in ADAPTERS if other.mine} == {
        other.name: 200 for other in ADAPTERS if other.mine
    }


def test_every_api_gives_the_same_profile(desk: Desk) -> None:
    """Of one account, byte for byte: at the endpoint, and at the service."""
    who = someone(desk)
    answered, sent = looked_at(desk, [api.enter(desk, who) for api in ADAPTERS])
    assert (len(answered), len(sent)) == (1, 1)
    assert who.tenant.encode() in answered.pop()


def test_every_api_gives_the_same_profile_after_a_second_factor(desk: Desk) -> None:
    """Of one account, byte for byte."""
    who, secret = armed(desk)
    answered, sent = looked_at(desk, [api.enter(desk, who, desk.code(secret)) for api in ADAPTERS])
    assert (len(answered), len(sent)) == (1, 1)


# half a login


@each
def test_s46_the_first_step_alone_gives_nothing_that_passes(desk: Desk, api: Adapter) -> None:
    """Where a second factor is on: no text of its answer, nor of its cookies."""
    who, _ = armed(desk)
    answer = api.first(desk, who, PASSWORD)
    cookies = [said.partition(";")[0].partition("=")[2] for said in answer.headers.get_all("Set-Cookie", [])]
    told = [text for text in [*strings(answer.json()), *cookies] if text and text.isascii()]
    assert (answer.status, api.credential(answer)) == (200, "")
    assert [text for text in told if desk.passes(text)] == []


@each
def test_s46_half_a_login_is_refused_everywhere(desk: Desk, api: Adapter) -> None:
    """As a bearer token, as a connection string, and as a link."""
    who, _ = armed(desk)
    half = api.begin(desk, who)
    assert {text: found for text in (half.secret, half.raw) if (found := refusals(desk, text))} == {}


@each
def test_s46_half_a_login_is_refused_by_the_other_second_steps(desk: Desk, api: Adapter) -> None:
    """As it is, and in the others' clothing; its own takes it afterwards, with the same code."""
    who, secret = armed(desk)
    half, code = api.begin(desk, who), desk.code(secret)
    for other in ADAPTERS:
        for text in (half.secret, half.raw, other.wrap(half.raw)) if other is not api else ():
            answer = other.second(desk, who, text, code)
            assert (answer.status in (400, 401), other.faulty(answer.json())) == (True, True), (other.name, answer.body)
            desk.hand.rest()
    assert desk.passes(api.credential(api.finish(desk, who, half, code)))


@each
def test_s46_half_a_login_is_good_once(desk: Desk, api: Adapter) -> None:
    """A second answer of the same step, with a fresh code, gives nothing."""
    who, secret = armed(desk)
    half = api.begin(desk, who)
    assert api.credential(api.finish(desk, who, half, desk.code(secret)))
    again = api.finish(desk, who, half, desk.code(secret)), api.second(desk, who, half.secret, desk.code(secret))
    assert [(answer.status in (400, 401), api.credential(answer)) for answer in again] == [(True, "")] * 2


@each
def test_s45_five_wrong_codes_end_half_a_login(desk: Desk, api: Adapter) -> None:
    """Then the right one is too late; four leave it alive."""
    who, secret = armed(desk)
    passed = []
    for count in (4, 5):
        half = api.begin(desk, who)
        for _ in range(count):
            assert api.credential(api.finish(desk, who, half, desk.wrong(secret))) == ""
            desk.hand.rest()
        passed.append(bool(api.credential(api.finish(desk, who, half, desk.code(secret)))))
        desk.hand.rest()
    assert passed == [True, False]


# the end


@each
def test_an_ended_session_passes_no_more(desk: Desk, api: Adapter) -> None:
    """On the very next request, though it was believed a moment ago; the account's others go on."""
    who = someone(desk)
    ended, other = api.enter(desk, who), api.enter(desk, who)
    assert desk.passes(ended)
    assert api.end(desk, ended).status in (200, 204)
    assert (refusals(desk, ended), desk.passes(other)) == ({}, True)


def test_disabling_an_account_ends_all_that_it_has(desk: Desk) -> None:
    """Within a second: sessions of every API, connection strings; and what was begun comes to nothing."""
    who, secret = armed(desk)
    tokens = [api.enter(desk, who, desk.code(secret)) for api in ADAPTERS]
    string = desk.string(Person(who.email, who.account, who.tenant), tokens[0])
    desk.hand.rest()
    begun = [(api, api.begin(desk, who)) for api in ADAPTERS]
    assert desk.ask("GET", "/roles/x", string=string).status == 200
    desk.host.do(desk.accounts.disable(who.account))
    until(lambda: not any(desk.passes(token) for token in tokens), "the end of a disabled account's sessions")
    assert desk.ask("GET", "/roles/x", string=string).status == 401
    assert [api.credential(api.finish(desk, who, half, desk.code(secret))) for api, half in begun] == [""] * 5
    assert [api.first(desk, who, PASSWORD).status for api in ADAPTERS if api.tells] == [401] * 4


# guesses


@each
def test_s48_a_wrong_guess_answers_as_an_unknown_name_does(desk: Desk, api: Adapter) -> None:
    """By status, fields and body, but for what is another each time."""
    volatile = {"request_id", "auth_id", "expiration_date"}
    seen = []
    for who in (someone(desk), NOBODY):
        answer = api.first(desk, who, "wrong horse battery")
        body = {name: "" if name in volatile else value for name, value in answer.json().items()}
        names = sorted(name.lower() for name in answer.headers if not name.lower().startswith("x-ratelimit"))
        seen.append((answer.status, names, body))
        assert (answer.status, api.faulty(answer.json())) == ((401, True) if api.tells else (200, False))
    assert seen[0] == seen[1]


@each
@pytest.mark.parametrize("known", [True, False])
def test_too_many_guesses_are_told_when_to_come_again(desk: Desk, api: Adapter, known: bool) -> None:
    """The sixth in a minute at the latest, of somebody and of nobody alike, in the API's own words."""
    who = someone(desk) if known else NOBODY
    answers = [api.first(desk, who, "wrong horse battery") for _ in range(6)]
    late = answers[-1]
    assert (late.status, int(late.headers["Retry-After"]) > 0, api.faulty(late.json())) == (429, True, True)
    assert answers[0].status != 429
