"""S-54: the first account by Pipelit's API: once, and by whoever runs the machine."""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from dialects.desk import BASE
from dialects.pipelit import AUTH, HERE, Booth, empty, pipelit
from e2e.world import Answer
from harness.people import MASTER_KEY

from gateway.clock import Clock
from gateway.identity.origin import Origin
from gateway.identity.setup import setup_token
from gateway.login.dialect import Call
from gateway.login.pipelit.local import is_local
from gateway.store.seal import Sealer, master_key

PUBLIC = "https://gateway.example"
TOKEN = setup_token(Sealer(master_key(MASTER_KEY), Clock().token_bytes).mac)
GOOD = {"username": "admin", "password": "a horse of my own"}
BARRED = {"detail": "Setup from elsewhere needs the gateway's setup token in x-setup-token."}

Open = Callable[..., Booth]


@pytest.fixture
def booth(tmp_path: Path) -> Iterator[Booth]:
    """With no account at all."""
    (tmp_path / "people").mkdir()
    (tmp_path / "site").mkdir()
    with pipelit(tmp_path / "site", empty(tmp_path / "people")) as found:
        yield found


def set_up(booth: Booth, **headers: str) -> Answer:
    return booth.auth("setup/", GOOD, **headers)


def needed(booth: Booth) -> object:
    return booth.ask("GET", f"{AUTH}/setup-status/").json()


def test_s54_the_first_account_is_made_and_logged_in(booth: Booth) -> None:
    """With the password that it was given."""
    key = str(set_up(booth).json()["key"])
    assert (booth.passes(key), booth.token("admin", GOOD["password"]).status) == (True, 200)


def test_s54_the_first_account_is_of_the_staff(booth: Booth) -> None:
    """Pipelit's has the role admin."""
    key = str(set_up(booth).json()["key"])
    profile = booth.ask("GET", f"{BASE}/profile", token=key).json()
    assert (profile["isStaff"], profile["isManager"]) == (True, True)


def test_s54_setup_is_needed_until_it_is_done(booth: Booth) -> None:
    """By the first account of a person."""
    before = needed(booth)
    set_up(booth)
    assert (before, needed(booth)) == ({"needs_setup": True}, {"needs_setup": False})


def test_s54_of_fifty_setups_at_once_one_wins(booth: Booth) -> None:
    """The others are told that it is done."""
    with ThreadPoolExecutor(50) as pool:
        bodies = [{"username": f"admin-{number}", "password": "a horse of my own"} for number in range(50)]
        answers = list(pool.map(lambda body: booth.auth("setup/", body), bodies))
    assert Counter(answer.status for answer in answers) == {200: 1, 409: 49}


def test_s54_another_worker_may_be_faster(booth: Booth) -> None:
    """The store decides: an account of another API counts too."""
    booth.person()
    assert (set_up(booth).status, needed(booth)) == (409, {"needs_setup": False})


@pytest.mark.parametrize(
    "headers",
    [HERE, {"x_forwarded_for": "127.0.0.1"}, {**HERE, "x_setup_token": "x"}, {"origin": "http://evil.example"}],
)
def test_s54_from_elsewhere_setup_needs_the_token(booth: Booth, headers: dict[str, str]) -> None:
    """Another site's page in this machine's browser is elsewhere too (DNS rebinding)."""
    answer = set_up(booth, **headers)
    assert (answer.status, answer.json(), needed(booth)) == (403, BARRED, {"needs_setup": True})


def test_s54_from_elsewhere_the_token_does(booth: Booth) -> None:
    """Whoever reads what the gateway prints runs it."""
    assert set_up(booth, x_setup_token=TOKEN, **HERE).status == 200


def test_s54_the_token_can_be_told_before_there_is_a_request(booth: Booth) -> None:
    """All workers have the same one, of 256 bits."""
    assert (setup_token(booth.host.store.pepper), len(TOKEN)) == (TOKEN, 43)


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({}, [("missing", "username"), ("missing", "password")]),
        ({"username": "", "password": "1234567"}, [("string_too_short", "username"), ("string_too_short", "password")]),
        ({"username": "a b", "password": "x" * 129}, [("value_error", "username"), ("string_too_long", "password")]),
    ],
)
def test_s54_a_setup_out_of_form_changes_nothing(booth: Booth, body: object, wrong: list[tuple[str, str]]) -> None:
    """All that is wrong is told at once."""
    answer = booth.auth("setup/", body)
    told = [(entry["type"], entry["loc"][1]) for entry in answer.json()["detail"]]
    assert (answer.status, told, needed(booth)) == (422, wrong, {"needs_setup": True})


def test_s54_from_elsewhere_a_common_password_is_refused(booth: Booth) -> None:
    """On the machine itself the seed's own example has to work."""
    answer = booth.auth("setup/", {"username": "admin", "password": "mypassword"}, x_setup_token=TOKEN, **HERE)
    assert (answer.status, answer.json()["detail"][0]["type"]) == (422, "value_error")


@pytest.mark.parametrize(
    ("address", "direct", "origin", "local"),
    [
        ("127.0.0.1", True, None, True),
        ("127.8.0.1", True, None, True),
        ("::1", True, None, True),
        ("::ffff:127.0.0.1", True, None, True),
        ("::ffff:192.0.2.1", True, None, False),
        ("192.0.2.1", True, None, False),
        ("127.0.0.1", False, None, False),
        ("", True, None, False),
        ("localhost", True, "http://localhost:8080", True),
        ("127.0.0.1", True, "http://[::1]:8080", True),
        ("127.0.0.1", True, PUBLIC, True),
        ("127.0.0.1", True, f"{PUBLIC}.evil.example", False),
        ("127.0.0.1", True, "null", False),
        ("127.0.0.1", True, "http://[", False),
    ],
)
def test_s54_local_is_who_sits_at_the_machine(address: str, direct: bool, origin: str | None, local: bool) -> None:
    """By the socket, with nobody in between, and not by the page of another site."""
    headers = {"host": "127.0.0.1:8080"} | ({} if origin is None else {"origin": origin})
    assert is_local(Call(Origin(address, direct=direct), headers=headers), PUBLIC) is local


@pytest.mark.parametrize(
    ("headers", "local"),
    [
        ({"host": "127.0.0.1:8080"}, True),
        ({"host": "[::1]:8080"}, True),
        ({"host": "localhost"}, True),
        ({"host": "gateway.example"}, False),
        ({}, False),
        ({"host": "localhost", "via": "1.1 edge"}, False),
        ({"host": "localhost", "x-real-ip": "127.0.0.1"}, False),
        ({"host": "localhost", "cf-connecting-ip": "192.0.2.1"}, False),
        ({"host": "localhost", "fastly-client-ip": "192.0.2.1"}, False),
        ({"host": "localhost", "x_real_ip": "192.0.2.1"}, False),
        ({"host": "localhost", "x-gateway-peer": "127.0.0.1", "user-agent": "x", "x-request-id": "1"}, True),
    ],
)
def test_s54_what_came_through_a_relay_is_not_local(headers: dict[str, str], local: bool) -> None:
    """One on the same machine shows in the Host that it was meant for, or in what it adds."""
    assert is_local(Call(Origin("127.0.0.1", direct=True), headers=headers), PUBLIC) is local


MARKS = (
    "Via X-Real-IP CF-Connecting-IP CF-RAY Fastly-Client-IP X-Envoy-External-Address CDN-Loop X-Original-Forwarded-For"
    " X-Forwarded X-Remote-IP X-Originating-IP Max-Forwards X-Forwarded-For X-Forwarded-Proto Forwarded True-Client-IP"
    " X-Client-IP X-Cluster-Client-IP X-Amz-Cf-Id X-Amzn-Trace-Id X-Azure-ClientIP Fly-Client-IP X-Forwarded-Tls"
)


@pytest.mark.parametrize("name", MARKS.split())
def test_s54_a_relays_mark_is_seen(booth: Booth, name: str) -> None:
    """Also where `Connection` names it, which takes it out before the API could look."""
    listed = [name.lower(), f"keep-alive, {name}", f"close ,{name.upper()}"]
    answers = [set_up(booth, **{name: "203.0.113.9"})]
    answers += [set_up(booth, **{name: "203.0.113.9", "Connection": connection}) for connection in listed]
    assert [(answer.status, answer.json()) for answer in answers] == [(403, BARRED)] * 4


@pytest.mark.parametrize("name", ["origin", "via", "x-real-ip", "cookie", "x-anything"])
def test_s54_who_hides_a_field_is_not_local(booth: Booth, name: str) -> None:
    """A caller at the machine has no reason to; an `Origin` that is taken out is of another site."""
    answer = set_up(booth, Origin="https://evil.example", Connection=name)
    assert (answer.status, answer.json()) == (403, BARRED)
    assert set_up(booth, Connection=name).status == 403


@pytest.mark.parametrize("connection", ["keep-alive", "Close", "TE, close", "Upgrade, HTTP2-Settings", ""])
def test_s54_what_connections_have_of_their_own_hides_nothing(booth: Booth, connection: str) -> None:
    """What clients at the machine send."""
    assert (
        set_up(booth, Connection=connection, **{"User-Agent": "curl/8", "Accept": "*/*", "Cookie": "a=1"}).status == 200
    )
