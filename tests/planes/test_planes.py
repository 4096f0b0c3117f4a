"""What every data plane has to do with the gateway's decisions: one table, each of them in front of a real service."""

import contextlib
import re
import uuid
from collections.abc import Sequence
from http.client import HTTPException

import pytest
from e2e.parts import until
from e2e.world import CONNECTION_STRING, Gateway, Person

from gateway.cli.demo import decode_profile

from .planes import Plane
from .service import Answer, Connection, Got, Service, ask

IDENTITY = ("profile", "email", "tenant-id", "security-group", "service-name", "assertion")
_DOTS = re.compile(r"(?i)(?:\.|%2e)(?:\.|%2e)|//|%2f|%5c|\\")


MINE = "11111111-2222-4333-8444-555555555555"


def bearer(token: str) -> str:
    return f"Authorization: Bearer {token}"


def through(
    service: Service, plane: Plane, target: str, method: str = "GET", *lines: str, body: bytes = b""
) -> tuple[Answer, list[Got]]:
    """The answer, and what arrived at the service."""
    before = len(service.got)
    answer = ask(plane.port, target, method, *lines, body=body)
    return answer, service.got[before:]


def refused(plane: Plane, answer: Answer, status: int, code: str, arrived: list[Got]) -> None:
    """As this data plane can say it."""
    assert arrived == []
    assert answer.status == (status if not plane.few or status in (401, 403) else 403)
    assert code.encode() in answer.body


def anonymous(got: Got) -> None:
    """The service is told of nobody."""
    assert {name: got.value(f"x-mycelium-{name}") for name in ("profile", "email", "tenant-id", "assertion")} == {
        "profile": "", "email": "", "tenant-id": "", "assertion": "",
    }  # fmt: skip


def without_credential(got: Got) -> None:
    assert got.values("authorization") == []
    assert got.values(CONNECTION_STRING) == []
    assert "Bearer" not in str(got.fields)


def test_a_public_route_needs_no_credential(plane: Plane, service: Service) -> None:
    """And the service is told which route it is, and of nobody."""
    answer, (got,) = through(service, plane, "/public/a?b=%2F&c")
    assert (answer.status, answer.body, got.target) == (200, b"arrived", "/public/a?b=%2F&c")
    anonymous(got)
    assert (got.value("x-mycelium-security-group"), got.value("x-mycelium-service-name")) == ('"public"', "app")


def test_a_public_route_tells_nothing_of_a_caller_who_could_be_known(
    plane: Plane, service: Service, gateway: Gateway
) -> None:
    """The token is not looked at, and does not go on."""
    answer, (got,) = through(service, plane, "/public/a", "GET", bearer(gateway.home.ada.token))
    assert answer.status == 200
    anonymous(got)
    without_credential(got)


def test_a_protected_route_without_a_credential_is_401(plane: Plane, service: Service) -> None:
    """With the challenge that says what to send."""
    answer, arrived = through(service, plane, "/secret/a")
    refused(plane, answer, 401, "no_credential", arrived)
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("line", ["Authorization: Bearer nobody", f"{CONNECTION_STRING}: acc=x;sig=y"])
def test_a_wrong_credential_is_401(plane: Plane, service: Service, line: str) -> None:
    """Also on a connection over which a right one went."""
    answer, arrived = through(service, plane, "/secret/a", "GET", line)
    refused(plane, answer, 401, "invalid_credential", arrived)
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


def test_a_wrong_credential_is_not_rescued_by_a_right_one(plane: Plane, service: Service, gateway: Gateway) -> None:
    """Whichever comes first, and of whatever kind."""
    good, bad = bearer(gateway.home.ada.token), "Authorization: Bearer x"
    string, wrong = f"{CONNECTION_STRING}: {gateway.home.string}", f"{CONNECTION_STRING}: acc=x;sig=y"
    for lines in ((good, bad), (bad, good), (good, good), (string, wrong), (wrong, string), (wrong, good)):
        answer, arrived = through(service, plane, "/secret/a", "GET", *lines)
        assert answer.status in (400, 401, 403)
        assert arrived == []


def test_a_token_opens_a_protected_route(plane: Plane, service: Service, gateway: Gateway) -> None:
    """The service gets the profile of its holder, the assertion, and no credential."""
    ada = gateway.home.ada
    for _ in range(2):  # the second time it is remembered
        answer, (got,) = through(service, plane, "/secret/a", "GET", bearer(ada.token))
        assert (answer.status, answer.body) == (200, b"arrived")
        profile = decode_profile(got.value("x-mycelium-profile"))
        assert isinstance(profile, dict)
        assert (profile["accId"], got.value("x-mycelium-email")) == (ada.account, "ada@example.org")
        assert got.value("x-mycelium-assertion").count(".") == 2
        assert len(got.value("x-mycelium-request-id")) == 36
        without_credential(got)


def test_a_connection_string_opens_a_protected_route(plane: Plane, service: Service, gateway: Gateway) -> None:
    """And fixes the tenant."""
    home = gateway.home
    answer, (got,) = through(service, plane, "/manager/a", "GET", f"{CONNECTION_STRING}: {home.string}")
    assert (answer.status, got.value("x-mycelium-tenant-id")) == (200, home.tenant)
    without_credential(got)


def test_an_authenticated_route_tells_the_address_alone(plane: Plane, service: Service, gateway: Gateway) -> None:
    """No profile."""
    answer, (got,) = through(service, plane, "/known/a", "GET", bearer(gateway.home.bob.token))
    assert (answer.status, got.value("x-mycelium-email")) == (200, "bob@example.org")
    assert (got.value("x-mycelium-profile"), got.value("x-mycelium-tenant-id")) == ("", "")


def test_a_missing_role_is_403(plane: Plane, service: Service, gateway: Gateway) -> None:
    """bob reads where a manager writes."""
    answer, arrived = through(service, plane, "/manager/a", "GET", bearer(gateway.home.bob.token))
    refused(plane, answer, 403, "role_missing", arrived)


def test_what_no_route_has_is_refused(plane: Plane, service: Service, gateway: Gateway) -> None:
    """A method that the path does not have, too."""
    answer, arrived = through(service, plane, "/elsewhere", "GET", bearer(gateway.home.ada.token))
    refused(plane, answer, 404, "no_route", arrived)
    answer, arrived = through(service, plane, "/public/a", "DELETE")
    refused(plane, answer, 405, "method_not_allowed", arrived)


@pytest.mark.parametrize(
    "target", ["/_gateway/decide/nginx", "/_gateway/decide/envoy/public/a", "/_adm/beginners/profile"]
)
def test_the_gateways_own_paths_are_not_the_services(plane: Plane, service: Service, target: str) -> None:
    """Nobody is let through to them, and nobody asks through a data plane."""
    lines = ("X-Original-Method: GET", "X-Original-URI: /public/a")
    answer, arrived = through(service, plane, target, "GET", *lines)
    refused(plane, answer, 404, "no_route", arrived)


FORGED: Sequence[tuple[str, ...]] = (
    ("X-Mycelium-Profile: forged",),
    ("x-mycelium-profile: forged", "X-MYCELIUM-PROFILE: forged"),
    ("x_mycelium_profile: forged",),
    ("X-Mycelium_Profile: forged",),
    ("x.mycelium.profile: forged",),
    ("x-mycelium-profile: forged", "Connection: x-mycelium-profile"),
    ("Connection: x-mycelium-profile, x-mycelium-email, x-mycelium-assertion, close",),
    ("X-Mycelium-Email: forged", "Connection: Upgrade, x-mycelium-profile", "Connection: X-MYCELIUM-EMAIL"),
    ("Connection: X-Original-URI, X-Forwarded-Uri, X-Forwarded-Method, X-Original-Method", "X-Original-URI: /public/a"),
    ("X-Mycelium-Email: forged", "X-Mycelium-Tenant-Id: forged", "X-Mycelium-Security-Group: forged"),
    ("X-Mycelium-Assertion: forged", "X-Mycelium-Service-Name: forged", "X-Mycelium-Request-Id: forged"),
    (f"X-Mycelium-Request-Id: {MINE}", "X-Forwarded-For: 10.9.9.9", "Forwarded: for=10.9.9.9"),
    ("X-Mycelium-Role: forged", "X-Mycelium-Scope: forged"),
    ("X-Original-URI: /public/forged", "X-Original-Method: GET"),
    ("X-Forwarded-Uri: /public/forged", "X-Forwarded-Method: GET", "X-Forwarded-Host: forged.example"),
    ("X-Forwarded-Uri: /public/forged", "X-Forwarded-Uri: /public/forged", "X-Original-URI: /public/forged"),
    ("X-Gateway-Peer: forged", "X-Gateway-Code: forged"),
)


@pytest.mark.parametrize("lines", FORGED, ids=" ".join)
@pytest.mark.parametrize("path", ["/public/a", "/known/a", "/secret/a", "/manager/a"])
def test_a_forged_identity_never_arrives(
    plane: Plane, service: Service, gateway: Gateway, lines: tuple[str, ...], path: str
) -> None:
    """The service gets the gateway's, each header once, or nothing at all."""
    answer, arrived = through(service, plane, path, "GET", bearer(gateway.home.ada.token), *lines)
    assert answer.status in (200, 400, 403)
    assert len(arrived) == (answer.status == 200)
    for got in arrived:
        told = [(name, value) for name, value in got.fields if "mycelium" in name]
        assert "forged" not in str(told)
        assert MINE not in str(told)
        names = [name for name, _ in told]
        assert len(names) == len(set(names)) == len({"".join(filter(str.isalnum, name)) for name in names})
        profile = got.value("x-mycelium-profile")
        if path in ("/public/a", "/known/a"):
            assert profile == ""
        else:
            assert isinstance(decoded := decode_profile(profile), dict)
            assert decoded["accId"] == gateway.home.ada.account
        without_credential(got)


@pytest.mark.parametrize("lines", FORGED, ids=" ".join)
def test_a_forged_header_opens_nothing(plane: Plane, service: Service, lines: tuple[str, ...]) -> None:
    """Without a credential a protected route stays closed, whatever else is said."""
    answer, arrived = through(service, plane, "/secret/a", "GET", *lines)
    assert answer.status in (400, 401, 403)
    assert arrived == []


TRICKS = (
    "/public/../secret", "/public/../secret/a", "//secret", "//secret/a", "/public//../secret/a", "/./secret/a",
    "/secret%2f..%2fpublic", "/secret/..%2fpublic", "/public/%2e%2e/secret", "/public/%2e%2e/secret/a",
    "/public/..%2fsecret/a", "/public/%2e%2e%2fsecret/a", "/public/..%5csecret/a", "/public/..\\secret/a",
    "/public/%252e%252e/secret/a", "/public/..;/secret/a", "/public/;/../secret/a", "/%73ecret/a", "/secre%74/a",
    "/secret/a#/../../public", "/public/a#/../../secret/a", "/public/%00/../secret/a", "/secret/%2e",
    "/public/%c0%ae%c0%ae/secret/a",
    "/public/a?/../../secret/a", "/secret/a?/../../public/a", "/SECRET/a", "/secret;a=/public", "/public/a%zz",
)  # fmt: skip


@pytest.mark.parametrize("target", TRICKS)
def test_the_path_that_was_judged_is_the_one_that_arrives(plane: Plane, service: Service, target: str) -> None:
    """Without a credential nothing arrives below /secret, however it is written; what arrives is plain."""
    before = len(service.got)
    with contextlib.suppress(HTTPException, OSError):  # some close the connection without a word
        answer = ask(plane.port, target)
        assert answer.status in (200, 301, 302, 307, 308, 400, 401, 403, 404)
        assert len(service.got) - before == (answer.status == 200)
    for got in service.got[before:]:
        path = got.target.partition("?")[0]
        assert path.startswith("/public/")
        assert not _DOTS.search(path)


PLAIN = (
    "", "?", "?a=/../b&c=%2F%2e", "a", "a/", "a%20b", "%E2%82%AC", "a:b@c,d", "~a-b_c.d", "(a)", "a+b=c&d$e!f*g'h",
    "[a]", ".a", "a..b", "...",
)  # fmt: skip


def judged(gateway: Gateway, place: str, count: int) -> list[str]:
    """The paths below a place that the gateway has in its log, once there are so many."""

    def look() -> list[str]:
        found = [line["path"] for line in gateway.log_lines() if place in (line["path"] or "")]
        return found if len(found) == count else []

    return until(look, "the log's lines")


def test_a_plain_path_is_judged_and_arrives_as_it_was_sent(plane: Plane, service: Service, gateway: Gateway) -> None:
    """The gateway's log, the service and the client agree on it."""
    place = f"/public/{uuid.uuid4().hex}/"
    before = len(service.got)
    assert {ask(plane.port, place + rest).status for rest in PLAIN} == {200}
    arrived = [got.target for got in service.got[before:]]
    assert arrived == [place + rest for rest in PLAIN]
    assert [target.partition("?")[0] for target in arrived] == judged(gateway, place, len(PLAIN))


def test_a_path_that_is_written_anew_is_judged_as_it_arrives(plane: Plane, service: Service, gateway: Gateway) -> None:
    """Caddy and Traefik encode what RFC 3986 does not list, and ask about that."""
    place = f"/public/{uuid.uuid4().hex}/"
    before = len(service.got)
    assert ask(plane.port, f"{place}a|b").status == 200
    assert [got.target for got in service.got[before:]] == judged(gateway, place, 1)


def test_the_log_has_the_clients_address_and_not_what_it_says(plane: Plane, gateway: Gateway) -> None:
    """Where the gateway believes the data plane. Envoy adds its own machine's address, which is not listed here."""
    path = f"/secret/{uuid.uuid4().hex}"
    assert ask(plane.port, path, "GET", "X-Forwarded-For: 10.9.9.9", "Forwarded: for=10.9.9.9").status == 401
    line = until(lambda: gateway.log_lines(path=path), "the log's line")[0]
    assert (line["route"], line["upstream"], line["reason"]) == ("decide /secret/**", None, "no_credential")
    assert line["client"] != "10.9.9.9"
    assert line["client"] == "127.0.0.1" or plane.name == "envoy"


def test_a_path_in_absolute_form_is_judged_as_it_arrives(plane: Plane, service: Service) -> None:
    """The other authority is not the one that is asked about while this one gets it."""
    answer, arrived = through(service, plane, "http://app.example/secret/a")
    assert (answer.status in (400, 401, 403), arrived) == (True, [])
    answer, arrived = through(service, plane, "http://other.example/public/a")
    for got in arrived:
        assert got.value("host") in ("other.example", "app.example")


def test_a_body_arrives_whole(plane: Plane, service: Service, gateway: Gateway) -> None:
    """1 MiB, though the gateway was asked without it."""
    body = bytes(range(256)) * 4096
    answer, (got,) = through(service, plane, "/secret/a", "POST", bearer(gateway.home.ada.token), body=body)
    assert (answer.status, got.method, got.body == body) == (200, "POST", True)


def test_a_chunked_body_arrives_whole(plane: Plane, service: Service, gateway: Gateway) -> None:
    """However it is framed then."""
    before = len(service.got)
    with Connection(plane.port) as connection:
        chunked = b"5\r\nfirst\r\n6\r\nsecond\r\n0\r\n\r\n"
        lines = (bearer(gateway.home.ada.token), "Transfer-Encoding: chunked")
        connection.socket.sendall(
            ("POST /secret/a HTTP/1.1\r\nHost: app.example\r\n" + "\r\n".join(lines) + "\r\n\r\n").encode() + chunked
        )
        assert connection.socket.recv(65536).startswith(b"HTTP/1.1 200")
    (got,) = service.got[before:]
    assert (got.method, got.body) == ("POST", b"firstsecond")


def test_a_body_without_a_credential_does_not_arrive(plane: Plane, service: Service) -> None:
    """Nor its head."""
    answer, arrived = through(service, plane, "/secret/a", "POST", body=b"x" * 1000)
    refused(plane, answer, 401, "no_credential", arrived)


def test_head_is_judged_as_get_and_stays_head(plane: Plane, service: Service, gateway: Gateway) -> None:
    """With and without a credential, one after the other on one connection."""
    good = bearer(gateway.home.ada.token)
    with Connection(plane.port) as connection:
        assert connection.ask("/secret/a", "HEAD", good).status == 200
        assert service.got[-1].method == "HEAD"
    answer, arrived = through(service, plane, "/secret/a", "HEAD")
    assert (answer.status, answer.body, arrived) == (401, b"", [])
    assert ask(plane.port, "/secret/a", "GET", good).body == b"arrived"


def test_callers_on_one_connection_are_told_apart(plane: Plane, service: Service, gateway: Gateway) -> None:
    """Each request is its own caller's, also between nobody's."""
    home = gateway.home
    with Connection(plane.port) as connection:
        for person, address in (
            (home.ada, "ada@example.org"),
            (home.bob, "bob@example.org"),
            (home.ada, "ada@example.org"),
        ):
            assert connection.ask("/secret/a", "GET", bearer(person.token)).status == 200
            got = service.got[-1]
            assert isinstance(profile := decode_profile(got.value("x-mycelium-profile")), dict)
            assert (profile["accId"], got.value("x-mycelium-email")) == (person.account, address)
            assert connection.ask("/public/a").status == 200
            anonymous(service.got[-1])


def test_a_dialects_errors_are_said_where_the_answer_is_relayed(plane: Plane, service: Service) -> None:
    """The route has Mployr's envelope; nginx has no body but its own."""
    answer, arrived = through(service, plane, "/mployr/a")
    assert (answer.status, arrived) == (401, [])
    if not plane.few:
        assert b'"message":"Unauthenticated."' in answer.body


def test_a_profile_of_seven_kibibytes_arrives_whole(plane: Plane, service: Service, important: Person) -> None:
    """With its assertion, beside a client's own headers of 7 KiB: every buffer on the way is large enough."""
    cookie = f"Cookie: session={'x' * 7000}"
    answer, (got,) = through(service, plane, "/secret/a", "GET", bearer(important.token), cookie)
    assert (answer.status, got.value("cookie")) == (200, cookie.removeprefix("Cookie: "))
    profile = got.value("x-mycelium-profile")
    assert 6000 < len(profile) <= 7168
    assert isinstance(decoded := decode_profile(profile), dict)
    assert decoded["accId"] == important.account


_HANDSHAKE = (
    "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)  # fmt: skip


def test_a_websocket_is_opened_by_the_route(plane: Plane, service: Service, gateway: Gateway) -> None:
    """101, then bytes both ways; the service knows who it is."""
    with Connection(plane.port) as connection:
        lines = (bearer(gateway.home.ada.token), "X-Mycelium-Profile: forged", *_HANDSHAKE)
        head = "\r\n".join(("GET /secret/a HTTP/1.1", "Host: app.example", *lines, "", ""))
        connection.socket.sendall(head.encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            data = connection.socket.recv(65536)
            assert data, answer
            answer += data
        assert answer.startswith(b"HTTP/1.1 101 ")
        connection.socket.sendall(b"\x81\x85\x00\x00\x00\x00hello")
        assert connection.socket.recv(65536) == b"\x81\x85\x00\x00\x00\x00hello"
    assert isinstance(profile := decode_profile(service.got[-1].value("x-mycelium-profile")), dict)
    assert profile["accId"] == gateway.home.ada.account


def test_a_websocket_without_a_credential_is_401(plane: Plane, service: Service) -> None:
    """As any request."""
    answer, arrived = through(service, plane, "/secret/a", "GET", *_HANDSHAKE)
    assert (answer.status, arrived) == (401, [])
