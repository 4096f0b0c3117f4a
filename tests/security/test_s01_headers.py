"""S-1 to S-4: nobody but the gateway says who the caller is, and what proves it stays here."""

import random
import string
from collections.abc import Iterator

import pytest
from edge.test_tunnel import HANDSHAKE
from harness.client import Answer, request
from harness.site import Site
from harness.upstream import OK, Line, answering

from .ground import (
    ASKING,
    CONNECTION_STRING,
    DECIDE,
    FORGED,
    GROUPS,
    OURS,
    PATHS,
    PROXIED,
    api_key,
    ground,
    question,
    reserved,
)

KNOWN = [
    b"x-mycelium-" + name
    for name in b"profile email assertion security-group service-name request-id role scope account -".split()
] + [b"x-gateway-" + name for name in b"peer direct scheme host request-id code".split()]
IDENTITY = KNOWN[:8]


def made_up(count: int) -> Iterator[bytes]:
    """Names below the two prefixes that nobody has thought of, in letters of both cases."""
    draw = random.Random(1)
    for _ in range(count):
        rest = "".join(draw.choices(string.ascii_letters + string.digits + "-", k=draw.randint(1, 20)))
        prefix = draw.choice(["x-mycelium-", "X-Mycelium-", "X-MYCELIUM-", "x-gateway-", "X-GateWay-"])
        name = f"{prefix}{rest}".encode()
        if name.lower() not in (b"x-mycelium-connection-string", b"x-mycelium-tenant-id"):
            yield name


@pytest.mark.parametrize("group", GROUPS)
async def test_s01_no_name_of_the_namespaces_gets_through(site: Site, group: str) -> None:
    """Known or made up, on every kind of route: what arrives under these names is the gateway's, each once."""
    place = await ground(site)
    names = [*KNOWN, *made_up(150)]
    for at in range(0, len(names), 60):
        got = await place.arrived(group, *(name + b": " + FORGED for name in names[at : at + 60]))
        assert FORGED not in got.raw
        assert reserved(got) == sorted(OURS[group])


@pytest.mark.parametrize("group", PROXIED)
async def test_s01_a_tenant_is_not_the_clients_to_say(site: Site, group: str) -> None:
    """It arrives where the credential fixes one, and is that one."""
    place = await ground(site)
    field = b"x-mycelium-tenant-id: " + FORGED
    assert (await place.arrived(group, field)).all(b"x-mycelium-tenant-id") == []
    got = await place.arrived(group, field, credential=CONNECTION_STRING + place.people.string)
    fixed = [] if group == "public" else [place.people.tenant_id.encode()]
    assert got.all(b"x-mycelium-tenant-id") == fixed


ERRORS = {
    400: request("/public/%2e", b"X-Mycelium-Profile: " + FORGED),
    401: request("/secure/x", b"X-Mycelium-Profile: " + FORGED),
    403: request("/roles/x", b"X-Mycelium-Profile: " + FORGED, b"X-Mycelium-Role: manager"),
    404: request("/nowhere", b"X-Mycelium-Profile: " + FORGED, b"X-Gateway-Peer: " + FORGED),
    405: request("/secure/x", b"X-Mycelium-Email: " + FORGED, method="OPTIONS"),
    413: request("/small/x", b"X-Mycelium-Email: " + FORGED, method="POST", body=b"12"),
    502: request("/dead/x", b"X-Mycelium-Profile: " + FORGED, b"X-Mycelium-Request-Id: " + FORGED),
}


@pytest.mark.parametrize("status", ERRORS)
async def test_s01_no_answer_of_the_gateway_repeats_one(site: Site, status: int) -> None:
    """Errors are answered here: nothing of the client's is in them or in the log, and no service hears of it."""
    routes = [
        {"path": "/dead/**", "upstream": "dead", "access": "public"},
        {"path": "/small/**", "access": "public", "limits": {"body": "1B"}},
        *({"path": path + "**", "access": kind} for path, kind in (("/public/", "public"), ("/secure/", "protected"))),
        {"path": "/roles/**", "access": {"roles": [{"role": "manager"}]}},
    ]
    place = await ground(site, routes=routes, upstreams={"dead": {"endpoints": ["http://127.0.0.1:1"]}})
    sent = ERRORS[status]
    if status == 403:
        sent = sent.replace(b"\r\n\r\n", b"\r\n" + place.people.bob.field + b"\r\n\r\n")
    answer = await place.send(sent)
    assert answer.status == status
    assert FORGED not in b"".join(value for _, value in answer.fields) + answer.body
    assert not place.upstream.requests
    (line,) = await place.running.lines()
    assert FORGED.decode() not in str(line)


@pytest.mark.parametrize("kind", ASKING)
async def test_s01_a_data_plane_is_told_ours_and_no_others(site: Site, kind: str) -> None:
    """Forward-auth: each identity header once, also without a value. nginx could not take out the rest: it is 403."""
    place = await ground(site, decide=DECIDE)
    for path in (PATHS["public"], PATHS["authenticated"], PATHS["protected"], PATHS["role"]):
        plain = await place.send(question(kind, path, place.people.ada.field))
        answer = await place.send(
            question(kind, path, place.people.ada.field, *(name + b": " + FORGED for name in [*KNOWN, *made_up(40)]))
        )
        assert FORGED not in b"".join(value for _, value in answer.fields) + answer.body
        if kind == "nginx":
            assert (answer.status, answer.code) == (403, "bad_header_name")
        else:
            assert (answer.status, _told(answer)) == (200, _told(plain))
        assert [name for name, _ in _told(plain)] == sorted([*IDENTITY, b"x-mycelium-tenant-id"])


def _told(answer: Answer) -> list[tuple[bytes, bytes]]:
    """What differs from request to request is only named."""
    changing = (b"x-mycelium-request-id", b"x-mycelium-assertion")
    fields = [(name, b"" if name in changing else value) for name, value in answer.fields]
    return sorted(field for field in fields if field[0].startswith(b"x-mycelium-"))


async def test_s01_a_request_that_is_sent_again_has_none_either(site: Site) -> None:
    """The connection that it went out on was closed: it is written a second time."""
    closed = False

    async def script(line: Line) -> None:
        nonlocal closed
        await line.request()
        line.send(OK)
        await line.request()
        if closed:
            line.send(OK)
        closed = True

    upstream = await site.upstream(script)
    running = await site.gateway(upstream)
    client = await site.client(running)
    fields = [name + b": " + FORGED for name in KNOWN]
    for _ in range(2):
        assert (await client.ask("/secure/x", running.people.ada.field, *fields)).status == 200
    assert len(upstream.lines) == 2
    assert len(upstream.requests) == 3
    assert all(reserved(got) == sorted(OURS["protected"]) for got in upstream.requests)
    assert not any(FORGED in line.received for line in upstream.lines)


def spellings(name: bytes) -> list[tuple[bytes, ...]]:
    """Copies, case, padding, and no value."""
    value = b": " + FORGED
    return [
        (name + value, name + value),
        (name + value, name.upper() + value, name.title() + value),
        (name + b":", name + value),
        (name + value, name + b":"),
        (name + b":    " + FORGED + b"    ",),
        (name + b":\t" + FORGED + b"\t",),
        (name + b":" + FORGED,),
        (name + b":",),
        (name + b":  \t ",),
        (name.upper() + b":",),
    ]


@pytest.mark.parametrize("group", GROUPS)
async def test_s02_copies_and_spellings_do_not_get_through(site: Site, group: str) -> None:
    """Each name twice and three times, in mixed case, padded with spaces and tabs, empty: ours is there, once."""
    place = await ground(site)
    for name in IDENTITY:
        for fields in spellings(name):
            got = await place.arrived(group, *fields)
            assert FORGED not in got.raw
            assert reserved(got) == sorted(OURS[group])
            assert b"" not in [value for key, value in got.fields if key.lower() in OURS[group]]


@pytest.mark.parametrize("kind", [kind for kind in ASKING if kind != "nginx"])
async def test_s02_nor_to_a_data_plane(site: Site, kind: str) -> None:
    """In its answer each name is there once."""
    place = await ground(site, decide=DECIDE)
    plain = _told(await place.send(question(kind, "/secure/x", place.people.ada.field)))
    for name in IDENTITY:
        for fields in spellings(name):
            assert _told(await place.send(question(kind, "/secure/x", place.people.ada.field, *fields))) == plain


LEAKS = b"".join(
    name + b": leak\r\n"
    for name in (*KNOWN, *made_up(10), b"X_Mycelium_Email", b"x.mycelium.profile", b"X_Gateway_Code")
)
REST = (
    b"Set-Cookie: a=1; Path=/\r\nset-cookie: b=2\r\nSet-Cookie: a=3\r\nLocation: /x?y#z\r\nContent-Type: x/y; z=1\r\n"
)
ANSWERS = {
    b"counted": b"HTTP/1.1 200 OK\r\n%bContent-Length: 2\r\n\r\nok",
    b"chunked": b"HTTP/1.1 200 OK\r\n%bTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    b"created": b"HTTP/1.1 201 Created\r\n%bContent-Length: 0\r\n\r\n",
    b"nothing": b"HTTP/1.1 204 No Content\r\n%b\r\n",
    b"moved": b"HTTP/1.1 302 Found\r\n%bContent-Length: 0\r\n\r\n",
    b"unchanged": b"HTTP/1.1 304 Not Modified\r\n%b\r\n",
    b"unauthorized": b"HTTP/1.1 401 Unauthorized\r\n%bContent-Length: 0\r\n\r\n",
    b"missing": b"HTTP/1.1 404 Not Found\r\n%bContent-Length: 0\r\n\r\n",
    b"broken": b"HTTP/1.1 500 Internal Server Error\r\n%bContent-Length: 0\r\n\r\n",
    b"old": b"HTTP/1.0 200 OK\r\n%bContent-Length: 2\r\n\r\nok",
}


async def test_s03_the_namespaces_do_not_come_back(site: Site) -> None:
    """With any status and framing, on every route; cookies, Location and Content-Type survive as they are."""

    async def script(line: Line) -> None:
        while True:
            got = await line.request()
            line.send(ANSWERS[got.target.rpartition(b"/")[2]] % (LEAKS + REST))

    running = await site.gateway(await site.upstream(script))
    for prefix in ("public", "auth", "secure", "roles"):
        for kind in ANSWERS:
            client = await site.client(running)
            answer = await client.ask(f"/{prefix}/{kind.decode()}", running.people.ada.field)
            assert b"leak" not in b"".join(value for _, value in answer.fields)
            ours = [name for name, _ in answer.fields if name.lower().startswith((b"x-mycelium", b"x-gateway"))]
            assert ours == [b"x-mycelium-request-id"]
            assert answer.all(b"set-cookie") == [b"a=1; Path=/", b"b=2", b"a=3"]
            assert (answer.one(b"location"), answer.one(b"content-type")) == (b"/x?y#z", b"x/y; z=1")
            client.close()


async def test_s03_not_in_an_early_hint_a_trailer_or_a_switch_either(site: Site) -> None:
    """Whatever has fields."""
    hint = b"HTTP/1.1 103 Early Hints\r\n%bLink: </x>\r\n\r\n" % LEAKS
    trailers = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n%b\r\n" % LEAKS
    switch = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n%b\r\n" % LEAKS
    client = await site.client(await site.gateway(await site.upstream(answering(hint + trailers, switch))))
    await client.send(request())
    hinted, answer = await client.head(), await client.answer()
    assert (hinted.status, hinted.fields) == (103, [(b"Link", b"</x>")])
    await client.send(request("/public/ws", *HANDSHAKE))
    switched = await client.head()
    assert (answer.status, answer.body, switched.status) == (200, b"ok", 101)
    assert b"leak" not in b"".join(value for _, value in answer.fields + switched.fields)


@pytest.mark.parametrize("forward", [False, True])
@pytest.mark.parametrize("group", PROXIED)
async def test_s04_credentials_stay_here(site: Site, group: str, forward: bool) -> None:
    """A connection string never goes on; `Authorization`, a key's too, where the route says so, and only alone."""
    place = await ground(site, route={"forward": {"authorization": forward}})
    people = place.people
    string, key = CONNECTION_STRING + people.string, await api_key(people)
    for bearer in (people.ada.field, key):
        got = await place.arrived(group, credential=bearer)
        sent = bearer.partition(b": ")[2]
        assert got.all(b"authorization") == ([sent] if forward else [])
        assert (sent.removeprefix(b"Bearer ") in got.raw) is forward
        got = await place.arrived(group, bearer, credential=string)
        assert people.string not in got.raw
        assert got.all(b"authorization") == got.all(b"x-mycelium-connection-string") == []
        assert sent.removeprefix(b"Bearer ") not in got.raw


@pytest.mark.parametrize("group", PROXIED)
async def test_s04_under_another_name_it_stays_here_too(site: Site, group: str) -> None:
    """Both the header that carries connection strings, and the one that would by default."""
    place = await ground(site, connection_strings={"header": "x-service-key"})
    string = place.people.string
    fields = (b"X-Service-KEY: " + string, CONNECTION_STRING + FORGED)
    got = await place.arrived(group, *fields, credential=b"")
    assert string not in got.raw
    assert FORGED not in got.raw
    assert not got.names & {b"x-service-key", b"x-mycelium-connection-string"}


async def test_s02_two_callers_on_one_upstream_connection_are_told_apart(site: Site) -> None:
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


async def test_s02_two_callers_on_one_client_connection_are_told_apart(site: Site) -> None:
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
