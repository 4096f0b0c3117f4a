"""S-1 to S-8: nobody but the gateway says who the caller is."""

import io
import json
import threading
from collections.abc import Iterator
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pytest
from harness.client import request
from harness.site import Running, Site
from harness.upstream import OK, Upstream, answering

NAMES = (
    b"profile email request-id security-group service-name tenant-id assertion role scope connection-string account"
    b" x -".split()
)
GROUPS = ("/public/x", "/auth/x", "/secure/x", "/roles/x")
ODD = (b"x_mycelium_profile", b"X-Mycelium_Profile", b"x.mycelium.profile", b"x+mycelium~profile", b"X_GATEWAY_PEER")
FORGED = b"forged-by-the-client"


async def _asked(site: Site, path: str, *fields: bytes) -> tuple[Running, Upstream, int]:
    upstream = await site.upstream()
    running = await site.gateway(upstream)
    client = await site.client(running)
    credential = () if path == "/public/x" else (running.people.ada.field,)
    return running, upstream, (await client.ask(path, *credential, *fields)).status


@pytest.mark.parametrize("path", GROUPS)
async def test_s1_no_value_of_the_namespace_gets_through(site: Site, path: str) -> None:
    """Every name of it, on every kind of route."""
    names = [name for name in NAMES if name not in (b"connection-string", b"tenant-id")]
    fields = [b"X-Mycelium-" + name + b": " + FORGED for name in names]
    _, upstream, status = await _asked(site, path, *fields, b"x-gateway-peer: " + FORGED)
    assert status == 200
    assert FORGED not in bytes(upstream.lines[0].received)


@pytest.mark.parametrize("path", GROUPS)
@pytest.mark.parametrize(
    "fields",
    [
        (b"x-mycelium-profile: " + FORGED, b"x-mycelium-profile: " + FORGED),
        (b"X-MYCELIUM-PROFILE: " + FORGED, b"x-mycelium-Profile: " + FORGED),
        (b"x-mycelium-profile:   " + FORGED + b"   ",),
        (b"x-mycelium-profile:",),
        (b"x-mycelium-email:\t" + FORGED,),
    ],
)
async def test_s2_copies_and_spellings_do_not_get_through(site: Site, path: str, fields: tuple[bytes, ...]) -> None:
    """Two of them, mixed case, padded, empty: what arrives is there once and is ours, or is not there."""
    _, upstream, status = await _asked(site, path, *fields)
    assert status == 200
    got = upstream.requests[0]
    assert FORGED not in got.raw
    assert len(got.all(b"x-mycelium-profile")) == (path in ("/secure/x", "/roles/x"))
    assert len(got.all(b"x-mycelium-email")) == (path != "/public/x")


async def test_s3_the_namespace_does_not_come_back(site: Site) -> None:
    """In any spelling; what else the upstream says survives."""
    fields = b"x-mycelium-profile: leak\r\nX_Mycelium_Email: leak\r\nx-gateway-x: leak\r\n"
    rest = b"Set-Cookie: a\r\nSet-Cookie: b\r\nLocation: /x\r\nContent-Type: x/y\r\n"
    upstream = await site.upstream(answering(OK.replace(b"content-length", fields + rest + b"content-length")))
    client = await site.client(await site.gateway(upstream))
    answer = await client.ask()
    assert b"leak" not in b"".join(value for _, value in answer.fields)
    assert answer.all(b"set-cookie") == [b"a", b"b"]
    assert (answer.one(b"location"), answer.one(b"content-type")) == (b"/x", b"x/y")


@pytest.mark.parametrize(("forward", "there"), [(False, False), (True, True)])
async def test_s4_credentials_stay_here(site: Site, forward: bool, there: bool) -> None:
    """Authorization goes on only where the route says so; a connection string never."""
    upstream = await site.upstream()
    running = await site.gateway(upstream, route={"forward": {"authorization": forward}})
    client = await site.client(running)
    ada = running.people.ada
    assert (await client.ask("/secure/x", ada.field)).status == 200
    assert (ada.token.encode() in upstream.requests[0].raw) is there
    string = b"x-mycelium-connection-string: " + running.people.string
    assert (await client.ask("/secure/x", string)).status == 200
    assert running.people.string not in upstream.requests[1].raw


async def test_s4_credentials_stay_here_on_public_routes(site: Site) -> None:
    """Where they are not even looked at."""
    upstream = await site.upstream()
    running = await site.gateway(upstream)
    string = b"x-mycelium-connection-string: " + running.people.string
    client = await site.client(running)
    assert (await client.ask("/public/x", string, running.people.ada.field)).status == 200
    got = upstream.requests[0]
    assert running.people.string not in got.raw
    assert running.people.ada.token.encode() not in got.raw
    assert not got.all(b"x-mycelium-profile")


@pytest.mark.parametrize("name", ODD, ids=bytes.decode)
@pytest.mark.parametrize("path", GROUPS)
async def test_s5_other_characters_are_refused(site: Site, path: str, name: bytes) -> None:
    """CGI and WSGI would read them as the real name."""
    _, upstream, status = await _asked(site, path, name + b": " + FORGED)
    assert status == 400
    assert not upstream.requests


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""

    def get_stderr(self) -> io.StringIO:
        return io.StringIO()


@pytest.fixture
def wsgi() -> Iterator[str]:
    """A real WSGI server that answers with what it makes of the headers."""

    def application(environ: dict[str, object], start_response: object) -> list[bytes]:
        seen = {key: str(value) for key, value in environ.items() if key.startswith("HTTP_")}
        body = json.dumps(seen).encode()
        start_response("200 OK", [("Content-Length", str(len(body)))])  # type: ignore[operator]
        return [body]

    server = make_server("127.0.0.1", 0, application, WSGIServer, _Quiet)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


async def test_s6_a_wsgi_service_sees_only_ours(site: Site, wsgi: str) -> None:
    """Even with odd names let through: those that fold to one of ours are dropped."""
    listen = {"allow_headers": ["user_id"]}
    running = await site.gateway(wsgi, listen=listen)
    client = await site.client(running)
    fields = (b"user_id: 7", b"x-mycelium-profile: " + FORGED, b"X-Mycelium-Email: " + FORGED)
    answer = await client.ask("/secure/x", running.people.ada.field, *fields)
    seen = json.loads(answer.body)
    assert FORGED.decode() not in answer.body.decode()
    assert seen["HTTP_USER_ID"] == "7"
    assert seen["HTTP_X_MYCELIUM_EMAIL"] == "ada@example.org"
    assert "," not in seen["HTTP_X_MYCELIUM_PROFILE"]


@pytest.mark.parametrize(
    "fields",
    [
        (b"Connection: close, x-mycelium-profile, X-Forwarded-For",),
        (b"Connection: X-MYCELIUM-PROFILE", b"connection: x-forwarded-for, x-mycelium-request-id"),
        (b"Proxy-Connection: x-mycelium-profile", b"Keep-Alive: x-mycelium-profile"),
        (b"Connection: host, x-mycelium-assertion, forwarded, x-mycelium-email",),
    ],
)
async def test_s7_ours_cannot_be_taken_away(site: Site, fields: tuple[bytes, ...]) -> None:
    """Not by naming them as hop-by-hop."""
    _, upstream, status = await _asked(site, "/secure/x", *fields)
    assert status == 200
    ours = (b"profile", b"email", b"request-id", b"assertion", b"security-group", b"service-name")
    got = upstream.requests[0]
    assert all(len(got.all(b"x-mycelium-" + name)) == 1 for name in ours)
    assert got.one(b"x-forwarded-for") == b"127.0.0.1"
    assert got.one(b"host") == b"gateway.test"


CLAIMS = (
    b"X-Forwarded-For: 6.6.6.6",
    b"X-Forwarded-Proto: https",
    b"X-Forwarded-Host: evil.test",
    b"X-Forwarded-Port: 6",
    b"X-Forwarded-Prefix: /evil",
    b"X-Forwarded-Uri: /evil",
    b"X-Forwarded-Method: EVIL",
    b"X-Forwarded-Server: evil",
    b"Forwarded: for=6.6.6.6;host=evil.test;proto=https",
    b"X-Real-IP: 6.6.6.6",
    b"X-Original-URL: /evil",
    b"X-Original-URI: /evil",
    b"X-Original-Method: EVIL",
    b"X-Rewrite-URL: /evil",
    b"True-Client-IP: 6.6.6.6",
    b"X-HTTP-Method-Override: EVIL",
)


async def test_s8_what_a_stranger_claims_has_no_effect(site: Site) -> None:
    """The upstream and the log see what was seen."""
    running, upstream, status = await _asked(site, "/public/x", *CLAIMS)
    assert status == 200
    got = upstream.requests[0]
    assert not any(word in got.raw.lower() for word in (b"6.6.6.6", b"evil", b"https"))
    assert got.one(b"x-forwarded-for") == b"127.0.0.1"
    assert got.one(b"forwarded") == b'for=127.0.0.1;proto=http;host="gateway.test"'
    (line,) = await running.lines()
    assert line["client"] == "127.0.0.1"


async def test_s8_what_a_trusted_proxy_says_counts(site: Site) -> None:
    """The chain goes on with the proxy added."""
    upstream = await site.upstream()
    running = await site.gateway(upstream, listen={"trusted_proxies": ["127.0.0.1"]})
    await (await site.client(running)).ask("/public/x", b"X-Forwarded-For: 6.6.6.6", b"X-Forwarded-Proto: https")
    got = upstream.requests[0]
    assert got.one(b"x-forwarded-for") == b"6.6.6.6, 127.0.0.1"
    assert got.one(b"x-forwarded-proto") == b"https"


async def test_two_callers_on_one_upstream_connection_are_told_apart(site: Site) -> None:
    """Whoever asks next on a connection is asked for by name again."""
    upstream = await site.upstream()
    running = await site.gateway(upstream)
    clients = [await site.client(running) for _ in range(2)]
    for _ in range(3):
        for client, who in zip(clients, (running.people.ada, running.people.bob), strict=True):
            await client.ask("/secure/x", who.field)
    emails = [got.one(b"x-mycelium-email") for got in upstream.requests]
    assert emails == [b"ada@example.org", b"bob@example.org"] * 3
    assert len(upstream.lines) == 1


async def test_two_callers_on_one_client_connection_are_told_apart(site: Site) -> None:
    """A proxy in front may send one after the other, pipelined: what is remembered is for the same bytes only."""
    upstream = await site.upstream()
    running = await site.gateway(upstream)
    people = running.people
    string = b"x-mycelium-connection-string: " + people.string
    fields = [people.ada.field, people.bob.field, string, people.bob.field, people.ada.field]
    client = await site.client(running)
    for _ in range(2):
        await client.send(b"".join(request("/secure/x", field) for field in fields), request("/secure/x"))
        assert [(await client.answer()).status for _ in range(6)] == [200] * 5 + [401]
    emails = [got.one(b"x-mycelium-email").partition(b"@")[0] for got in upstream.requests]
    assert emails == [b"ada", b"bob", b"ada", b"bob", b"ada"] * 2
    tenants = [got.all(b"x-mycelium-tenant-id") for got in upstream.requests[:5]]
    assert tenants == [[], [], [people.tenant_id.encode()], [], []]


async def test_an_upgrade_of_a_stranger_is_not_forwarded(site: Site) -> None:
    """Nor anything else of the connection between it and us."""
    fields = (b"TE: trailers", b"Trailer: x", b"Upgrade: h2c", b"Connection: upgrade, te", b"Proxy-Authorization: x")
    _, upstream, status = await _asked(site, "/public/x", *fields)
    assert status == 200
    assert not upstream.requests[0].names & {b"te", b"trailer", b"upgrade", b"connection", b"proxy-authorization"}
