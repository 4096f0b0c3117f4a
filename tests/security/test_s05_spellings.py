"""S-5, S-6: a header of the gateway's in a spelling that some server would read as the real one."""

import io
import json
import threading
from collections.abc import Callable, Iterator
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pytest
from harness.client import request
from harness.site import Site

from gateway.settings.faults import SettingsInvalid

from .ground import ASKING, DECIDE, FORGED, GROUPS, OURS, ground, question, reserved

TCHARS = b"!#$%&'*+.^_`|~"  # RFC 9110 section 5.6.2: what a name may have besides letters, digits and `-`
ODD = [
    b"x_mycelium_profile",
    b"X-Mycelium_Profile",
    b"X_MYCELIUM-EMAIL",
    b"x.mycelium.profile",
    b"x+mycelium~profile",
    b"X_GATEWAY_PEER",
    b"x_forwarded_for",
    b"Content_Length",
    b"x_mycelium_connection_string",
] + [form.replace(b"?", bytes((char,))) for char in TCHARS for form in (b"x?mycelium?email", b"x-mycelium-email?")]
FORBIDDEN = [
    "x_mycelium_profile",
    "X-Mycelium_Email",
    "x.mycelium.assertion",
    "x+mycelium~role",
    "x_gateway_peer",
    "x_mycelium_new",
    "x_mycelium_connection_string",
    "x_forwarded_for",
    "x.forwarded.host",
    "x_real_ip",
    "content_length",
    "transfer_encoding",
]


@pytest.mark.parametrize("group", GROUPS)
async def test_s05_other_characters_are_refused(site: Site, group: str) -> None:
    """CGI, WSGI and some proxies read each of them as `-` or `_`: 400, and no service hears of it."""
    place = await ground(site)
    for name in ODD:
        answer = await place.ask(group, name + b": " + FORGED)
        assert (answer.status, answer.code) == (400, "bad_header_name")
    assert not place.upstream.lines
    assert {line["reason"] for line in await place.running.lines()} == {"bad_header_name"}


@pytest.mark.parametrize("kind", ASKING)
async def test_s05_nor_does_a_data_plane_get_a_pass_for_them(site: Site, kind: str) -> None:
    """It would pass them on beside ours."""
    place = await ground(site, decide=DECIDE)
    for name in ODD:
        answer = await place.send(question(kind, "/secure/x", place.people.ada.field, name + b": " + FORGED))
        assert (answer.status, answer.code) == (403 if kind == "nginx" else 400, "bad_header_name")


PLACES: list[Callable[[bytes], bytes]] = [
    lambda byte: byte + b"x-mycelium-email",
    lambda byte: b"x-mycelium" + byte + b"email",
    lambda byte: b"x-mycelium-email" + byte,
]


@pytest.mark.parametrize("place", PLACES, ids=["before", "within", "after"])
async def test_s05_no_byte_is_let_through_in_a_name(site: Site, place: Callable[[bytes], bytes]) -> None:
    """Every byte but letters, digits and `-`: the tab and the space before a colon, too. A colon ends the name."""
    upstream = await site.upstream()
    running = await site.gateway(upstream)
    plain = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-:"
    for byte in sorted(set(range(256)) - set(plain)):
        client = await site.client(running)
        await client.send(request("/public/x", place(bytes((byte,))) + b": " + FORGED))
        answer = await client.answer()
        code = "bad_header_name" if byte in TCHARS else "malformed_request"
        assert (byte, answer.status, answer.code) == (byte, 400, code)
        client.close()
    assert not upstream.lines


@pytest.mark.parametrize("name", FORBIDDEN)
async def test_s05_such_a_name_cannot_be_let_through(site: Site, name: str) -> None:
    """`listen.allow_headers` is for odd names of others: one that folds to a header of the gateway's is no
    configuration.
    """
    with pytest.raises(SettingsInvalid, match="clients must not set"):
        await site.gateway(await site.upstream(), listen={"allow_headers": ["user_id", name]})


@pytest.mark.parametrize("group", GROUPS)
async def test_s05_one_that_is_let_through_stands_for_itself_alone(site: Site, group: str) -> None:
    """No other spelling of it, and nothing of ours, comes with it."""
    place = await ground(site, listen={"allow_headers": ["user_id"]})
    got = await place.arrived(group, b"USER_ID: 7", b"x-mycelium-profile: " + FORGED)
    assert (got.one(b"user_id"), reserved(got)) == (b"7", sorted(OURS[group]))
    assert (await place.ask(group, b"user.id: 7")).code == "bad_header_name"


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""

    def get_stderr(self) -> io.StringIO:
        return io.StringIO()


@pytest.fixture
def wsgi() -> Iterator[str]:
    """A real WSGI server that answers with the whole `environ` that it makes of a request."""

    def application(environ: dict[str, object], start_response: object) -> list[bytes]:
        body = json.dumps({key: str(value) for key, value in environ.items()}).encode()
        start_response("200 OK", [("Content-Length", str(len(body)))])  # type: ignore[operator]
        return [body]

    server = make_server("127.0.0.1", 0, application, WSGIServer, _Quiet)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


# each of these would be HTTP_X_MYCELIUM_..., HTTP_X_FORWARDED_FOR, HTTP_PROXY or the like
DROPPED = [
    name + b": " + FORGED
    for name in (
        b"x-mycelium-profile",
        b"X-Mycelium-Email",
        b"X-MYCELIUM-EMAIL",
        b"x-mycelium-Assertion",
        b"X-Mycelium-Request-Id",
        b"x-mycelium-tenant-id",
        b"x-gateway-peer",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-real-ip",
        b"Proxy",
    )
]
UNDERSCORED = [line.replace(b"-", b"_", line.partition(b": ")[0].count(b"-")) for line in DROPPED[:-1]]
TOLD = {
    "/public/x": {"SECURITY_GROUP", "SERVICE_NAME", "REQUEST_ID"},
    "/auth/x": {"SECURITY_GROUP", "SERVICE_NAME", "REQUEST_ID", "EMAIL", "ASSERTION"},
    "/secure/x": {"SECURITY_GROUP", "SERVICE_NAME", "REQUEST_ID", "EMAIL", "ASSERTION", "PROFILE"},
    "/roles/x": {"SECURITY_GROUP", "SERVICE_NAME", "REQUEST_ID", "EMAIL", "ASSERTION", "PROFILE"},
}


@pytest.mark.parametrize("path", TOLD)
async def test_s06_a_wsgi_service_sees_only_ours(site: Site, wsgi: str, path: str) -> None:
    """In all of `environ` nothing is the client's but what is let through, and ours is what it is."""
    running = await site.gateway(wsgi, listen={"allow_headers": ["user_id"]})
    client = await site.client(running)
    answer = await client.ask(path, running.people.ada.field, b"user_id: 7", *DROPPED)
    seen = json.loads(answer.body)
    assert FORGED.decode() not in answer.body.decode()
    found = {key.removeprefix("HTTP_X_MYCELIUM_") for key in seen if key.startswith("HTTP_X_MYCELIUM_")}
    assert (found, seen["HTTP_USER_ID"], seen["HTTP_X_FORWARDED_FOR"]) == (TOLD[path], "7", "127.0.0.1")
    assert (seen["HTTP_HOST"], seen["PATH_INFO"], seen["REQUEST_METHOD"]) == ("gateway.test", path, "GET")
    if path != "/public/x":
        assert seen["HTTP_X_MYCELIUM_EMAIL"] == "ada@example.org"
    assert not any("," in seen[f"HTTP_X_MYCELIUM_{name}"] for name in TOLD[path] & {"PROFILE", "EMAIL", "ASSERTION"})


async def test_s06_other_spellings_do_not_come_to_it(site: Site, wsgi: str) -> None:
    """The request stays here, with each of them alone and beside the real name."""
    running = await site.gateway(wsgi)
    for real, odd in zip(DROPPED, UNDERSCORED, strict=False):
        for fields in ((odd,), (real, odd), (odd, real)):
            client = await site.client(running)
            answer = await client.ask("/secure/x", running.people.ada.field, *fields)
            assert (answer.status, answer.code) == (400, "bad_header_name")
            client.close()
