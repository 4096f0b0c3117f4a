"""S-27: two credentials on one request: the first counts, alone, and nothing rescues it; of one kind there is one."""

from collections.abc import Iterator
from itertools import product

import pytest
from edge.test_tunnel import HANDSHAKE
from harness.client import request
from harness.people import DAY, People, issue, open_people, revoke
from harness.site import Running, Site

from gateway.clock import Clock
from gateway.identity.grants import Grants

from .ground import ASKING, CONNECTION_STRING, DECIDE, PATHS, api_key, question, serve

BEARER = b"Authorization: Bearer "
GOOD = {"string", "token", "key"}


async def hand_out(people: People) -> dict[str, bytes]:
    """Field lines by what they are. Strings are ada's, tokens are bob's, so that it can be told which one counted."""
    store = await open_people(people)
    try:
        grants = Grants(store.grants, store.keys, Clock())
        bob = await store.changes().accounts.by_email("bob@example.org")
        assert bob is not None
        over = await issue(store, bob)
        until = Clock().now() + DAY
        lost = await grants.create_connection_string(people.ada.account_id, people.tenant_id, "manager", until, "lost")
    finally:
        await store.aclose()
    await revoke(people, over.grant_id)
    await revoke(people, lost.grant.id)
    string, token = people.string, people.bob.token.encode()
    return {
        "string": CONNECTION_STRING + string,
        "forged string": CONNECTION_STRING + string[:-1] + (b"1" if string.endswith(b"0") else b"0"),
        "cut string": CONNECTION_STRING + string[:-1],
        "revoked string": CONNECTION_STRING + lost.secret.encode(),
        "empty string": CONNECTION_STRING.rstrip(),
        "odd string": CONNECTION_STRING + b"\xff",
        "token as string": CONNECTION_STRING + token,
        "token": BEARER + token,
        "key": await api_key(people),
        "forged token": BEARER + token[:-4] + (b"AAAA" if not token.endswith(b"AAAA") else b"BBBB"),
        "cut token": BEARER + token[:-1],
        "revoked token": BEARER + over.token.encode(),
        "empty token": BEARER.rstrip(),
        "blank token": BEARER + b"  ",
        "no token": b"Authorization:",
        "odd token": BEARER + b"\xff\xfe",
        "string as token": BEARER + string,
        "other scheme": b"Authorization: Basic YWRhOmE=",
        "scheme alone": b"Authorization: Bearer",
        "no scheme": b"Authorization: " + token,
    }


STRINGS = ("string", "forged string", "cut string", "revoked string", "empty string", "odd string", "token as string")
TOKENS = (
    "token", "key", "forged token", "cut token", "revoked token", "empty token", "blank token", "no token", "odd token",
    "string as token", "other scheme", "scheme alone", "no scheme",
)  # fmt: skip


def alone(names: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    yield ()
    yield from ((name,) for name in names)


class Door:
    """Asks, each time on a connection of its own where the last one has ended."""

    def __init__(self, site: Site, running: Running) -> None:
        self.site = site
        self.running = running

    async def ask(self, raw: bytes) -> tuple[int, str]:
        client = await self.site.client(self.running)
        await client.send(raw)
        head = await client.head()
        body = b"" if head.status == 101 else await client.body(head)
        client.close()
        return head.status, "" if b'"code"' not in body else body.split(b'"code":"')[1].split(b'"')[0].decode()


@pytest.mark.parametrize("path", [PATHS["authenticated"], PATHS["protected"], PATHS["login"]])
async def test_s27_the_first_counts_and_nothing_rescues_it(site: Site, path: str) -> None:
    """Every kind of string with every kind of token, in both orders: a string decides, else the token does."""
    upstream = await site.upstream(serve)
    running = await site.gateway(upstream)
    known = await hand_out(running.people)
    door = Door(site, running)
    for string, token in product(alone(STRINGS), alone(TOKENS)):
        first = (*string, *token)[:1]
        for names in {(*string, *token), (*token, *string)}:
            before = len(upstream.requests)
            status, _ = await door.ask(request(path, *(known[name] for name in names)))
            assert (names, status) == (names, 200 if set(first) & GOOD else 401)
            emails = [got.one(b"x-mycelium-email") for got in upstream.requests[before:]]
            who = b"bob@example.org" if first == ("token",) else b"ada@example.org"
            assert (names, emails) == (names, [who] if status == 200 and path != PATHS["login"] else [])


PLACES = ("public", "authenticated", "protected", "role", "websocket", "login")


def doubled(known: dict[str, bytes]) -> list[tuple[bytes, ...]]:
    """Two of one kind: the same, a good and a bad one in both orders, three, in other spellings, in one line."""
    string, bad = known["string"], known["forged string"]
    token, wrong, key = known["token"], known["forged token"], known["key"]
    basic = known["other scheme"]
    upper = CONNECTION_STRING.title() + string.removeprefix(CONNECTION_STRING)
    pairs = [(token, wrong), (token, key), (token, basic), (token, known["empty token"]), (token, known["no token"])]
    pairs += [(string, bad), (string, upper), (string, known["empty string"])]
    found = [pair for a, b in pairs for pair in ((a, b), (b, a), (a, a), (a, b, a))]
    found += [(string, token, wrong), (token, string, token), (bad, token, string)]
    return [*found, (b"AUTHORIZATION" + token.removeprefix(b"Authorization"), token)]


@pytest.mark.parametrize("group", PLACES)
async def test_s27_there_are_no_two_of_one_kind(site: Site, group: str) -> None:
    """400 on every route, public ones too, and whichever of them is good."""
    upstream = await site.upstream(serve)
    running = await site.gateway(upstream)
    door = Door(site, running)
    shake = HANDSHAKE if group == "websocket" else ()
    for fields in doubled(await hand_out(running.people)):
        found = await door.ask(request(PATHS[group], *shake, *fields))
        assert (fields, found) == (fields, (400, "duplicate_credential"))
    assert not upstream.lines


def joined(known: dict[str, bytes]) -> list[bytes]:
    """Two in one line, as a proxy may fold them (RFC 9110 section 5.3)."""
    values = [known[name].partition(b": ")[2] for name in ("token", "key", "forged token", "other scheme")]
    found = [
        b"Authorization: " + a + cut + b
        for a, b in product(values, values)
        for cut in (b", ", b",", b" , ")
        if b"Bearer" in a + b
    ]
    token = values[0].removeprefix(b"Bearer ")
    return [*found, BEARER + token + b"," + token, BEARER + token + b", bearer " + token]


@pytest.mark.parametrize("group", ["authenticated", "protected", "role", "websocket", "login"])
async def test_s27_nor_two_in_one_line(site: Site, group: str) -> None:
    """400, whichever is good and wherever it stands. A comma in a connection string is a wrong one."""
    upstream = await site.upstream(serve)
    running = await site.gateway(upstream)
    known = await hand_out(running.people)
    door = Door(site, running)
    shake = HANDSHAKE if group == "websocket" else ()
    for field in joined(known):
        found = await door.ask(request(PATHS[group], *shake, field))
        assert (field, found) == (field, (400, "duplicate_credential"))
    string = known["string"]
    for field in (
        string + b", " + running.people.string,
        string + b"," + b"x",
        b" ".join((string, running.people.string)),
    ):
        assert (await door.ask(request(PATHS[group], *shake, field, running.people.ada.field)))[0] == 401
    assert not upstream.lines


@pytest.mark.parametrize("kind", ASKING)
async def test_s27_a_data_plane_is_told_the_same(site: Site, kind: str) -> None:
    """It passes the client's headers on, two of a kind among them."""
    running = await site.gateway(await site.upstream(serve), decide=DECIDE)
    known = await hand_out(running.people)
    door = Door(site, running)
    bad = 403 if kind == "nginx" else 400
    for fields in doubled(known):
        assert await door.ask(question(kind, "/secure/x", *fields)) == (bad, "duplicate_credential")
    for field in joined(known):
        assert (await door.ask(question(kind, "/secure/x", field)))[0] == bad
    for names, status in (
        (("string", "forged token"), 200),
        (("forged string", "token"), 401),
        (("empty string", "token"), 401),
        (("revoked string", "key"), 401),
        (("token", "string"), 200),
    ):
        assert (await door.ask(question(kind, "/secure/x", *(known[name] for name in names))))[0] == status


async def test_s27_a_tenant_is_said_once(site: Site) -> None:
    """It narrows the credential, so it counts as one."""
    running = await site.gateway(await site.upstream(serve))
    door = Door(site, running)
    tenant = b"x-mycelium-tenant-id: "
    for group in ("public", "protected", "login"):
        for values in ((b"a", b"a"), (b"a", b"b"), (running.people.tenant_id.encode(), b"")):
            fields = (running.people.ada.field, *(tenant + value for value in values))
            assert await door.ask(request(PATHS[group], *fields)) == (400, "duplicate_credential")
