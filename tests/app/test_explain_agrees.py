"""What `explain` says of a request is what a running gateway does with it."""

import base64
import json
import time
from collections.abc import Mapping
from typing import Any

import pytest
from harness.kept import Kept
from harness.people import MASTER_KEY, People, revoke
from harness.site import Running, Site
from harness.upstream import answering
from identity.forge import ISSUER, jwk, jwks, private_key, token

from gateway.app.checks import read
from gateway.app.explain import Asked, Explanation, explain, offline
from gateway.app.replay import replays
from gateway.clock import Clock
from gateway.ops.logged import Logged

ROUTES = (
    {"path": "/public/**", "access": "public", "methods": ["GET", "POST"]},
    {"path": "/auth/**", "access": "authenticated"},
    {"path": "/secure/**", "access": "protected"},
    {"path": "/roles/**", "access": {"roles": [{"role": "manager", "permission": "write"}]}},
    {"path": "/mfa/**", "access": {"kind": "protected", "mfa": "required"}},
    {"path": "/acme/**", "access": {"kind": "authenticated", "issuers": ["acme"]}},
    {"path": "/scoped/**", "access": {"kind": "protected", "scopes": ["orders"]}},
    {"path": "/odd/**", "access": "public", "allow_encoded": ["%2F"]},
    {"path": "/small/**", "access": "public", "limits": {"body": "10B"}},
    {
        "path": "/brief/**",
        "access": "public",
        "limits": {"head": "200B", "concurrency": 1, "rate": [{"by": "route", "at_most": 100, "in": "7d"}]},
    },
    {
        "path": "/moved/**",
        "access": "protected",
        "strip_prefix": "/moved",
        "forward": {"authorization": True, "host": "upstream"},
    },
    {"path": "/hosted/**", "host": "shop.example", "access": "public"},
    {
        "path": "/ruled/**",
        "methods": ["GET", "POST"],
        "access": "authenticated",
        "headers": {"request": {"set": {"x-a": "ours"}, "add": {"x-b": "ours"}, "remove": ["cookie"]}},
        "cors": {"origins": ["https://app.example"], "methods": ["GET"]},
        "websocket": {"origins": ["https://app.example"]},
    },
    {
        "path": "/strict/**",
        "methods": ["GET", "OPTIONS"],
        "access": "authenticated",
        "cors": {"origins": ["https://app.example"], "methods": ["GET"]},
        "websocket": {"origins": ["https://app.example"]},
        "limits": {"head": "2000B"},
    },
    {"path": "/tiny/**", "access": "authenticated", "limits": {"head": "64B"}},
)

UPGRADE = (
    "Connection: upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
)  # fmt: skip

OURS, FOREIGN = "Origin: https://app.example", "Origin: https://evil.example"
LARGE = f"X-Fill: {'x' * 2000}"
ASKING = "Access-Control-Request-Method: GET"
GONE = "Authorization: Bearer {gone}"

# Several checks would refuse these: which one does is the order. Target, fields but for the credential.
COMBINED: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("/strict/x", ()),
    ("/strict/x", (LARGE,)),
    ("/strict/x", (FOREIGN, *UPGRADE)),
    ("/strict/x", (FOREIGN, *UPGRADE, LARGE)),
    ("/strict/x", (OURS, *UPGRADE, LARGE)),
    ("/strict/a%2Fb", ()),
    ("/strict/a%2Fb", (LARGE,)),
    ("/strict/a%2Fb", (FOREIGN, *UPGRADE)),
    ("/public/x", (LARGE,)),
    ("/nowhere", (LARGE,)),
    ("/scoped/x", ()),
)

# method, target, fields
TABLE: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("GET", "/public/x?a=b", ()),
    ("HEAD", "/public/x", ()),
    ("POST", "/public/x", ()),
    ("PUT", "/public/x", ()),
    ("GET", "/public/x", ("Authorization: Bearer nobody",)),
    ("GET", "/public/x", ("X-Mycelium-Email: me", "X-Gateway-Peer: me", "X-Forwarded-For: 8.8.8.8")),
    ("GET", "/public/x", ("X_Mycelium_Email: me",)),
    ("GET", "/public/x", ("Connection: x-mine, close", "X-Mine: 1", "Accept: */*", "Accept: text/html")),
    ("GET", "/public/../x", ()),
    ("GET", "/public//x", ()),
    ("GET", "/public/a%2Fb", ()),
    ("GET", "/odd/a%2Fb", ()),
    ("GET", "/odd/a;b", ()),
    ("GET", "/nowhere", ()),
    ("OPTIONS", "*", ()),
    ("TRACE", "/public/x", ()),
    ("BREW", "/public/x", ()),
    ("GET", "/hosted/x", ()),
    ("GET", "http://gateway.test/public/x", ()),
    ("GET", "http://other.test/public/x", ()),
    ("GET", "/small/x", ("Content-Length: 11",)),
    ("GET", "/brief/x", ()),
    ("GET", "/brief/x", (f"X-Fill: {'x' * 200}",)),
    ("GET", "/public/x", ("Expect: a-miracle",)),
    ("GET", "/public/x", ("Transfer-Encoding: gzip",)),
    ("GET", "/public/" + "x" * 8192, ()),
    ("GET", "/public/" + "x" * 60000, ()),
    ("GET", "/public/x", ("X-Long: " + "x" * 8192,)),
    ("GET", "/auth/x", ()),
    ("GET", "/auth/x", ("Authorization: Basic YTpi",)),
    ("GET", "/auth/x", ("Authorization: Bearer nobody",)),
    ("GET", "/auth/x", ("Authorization: Bearer a.b",)),
    ("GET", "/auth/x", ("Authorization: Bearer {ada}", "Authorization: Bearer {bob}")),
    ("GET", "/auth/x", ("Authorization: Bearer {ada}",)),
    ("GET", "/auth/x", ("Authorization: Bearer {ada}x",)),
    ("GET", "/auth/x", ("Authorization: Bearer {acme}",)),
    ("GET", "/auth/x", ("Authorization: Bearer {stranger}",)),
    ("GET", "/auth/x", ("Authorization: Bearer {unknown}",)),
    ("GET", "/auth/x", ("Authorization: Bearer {expired}",)),
    ("GET", "/acme/x", ("Authorization: Bearer {ada}",)),
    ("GET", "/acme/x", ("Authorization: Bearer {acme}",)),
    ("GET", "/secure/x", ("Authorization: Bearer {acme}",)),
    ("GET", "/secure/x", ("Authorization: Bearer {ada}", "Cookie: a=b")),
    ("GET", "/secure/x", ("x-mycelium-connection-string: {string}",)),
    ("GET", "/secure/x", ("x-mycelium-connection-string: {string}0",)),
    ("GET", "/secure/x", ("x-mycelium-connection-string: {string}", "Authorization: Bearer nobody")),
    ("GET", "/roles/x", ("Authorization: Bearer {ada}",)),
    ("GET", "/roles/x", ("Authorization: Bearer {bob}",)),
    ("GET", "/mfa/x", ("Authorization: Bearer {ada}",)),
    ("GET", "/scoped/x", ("Authorization: Bearer {ada}",)),
    ("GET", "/moved/x", ("Authorization: Bearer {ada}",)),
    ("GET", "/moved", ("Authorization: Bearer {ada}",)),
    ("GET", "/ruled/x", ("Authorization: Bearer {ada}", "X-A: theirs", "x-b: theirs", "Cookie: a=b")),
    ("GET", "/ruled/x", ("Authorization: Bearer {ada}", "Origin: https://evil.example")),
    ("GET", "/ruled/x", ("Authorization: Bearer {ada}", "Origin: https://evil.example", *UPGRADE)),
    ("OPTIONS", "/ruled/x", ()),
    ("OPTIONS", "/ruled/x", ("Origin: https://evil.example", "Access-Control-Request-Method: GET")),
    ("OPTIONS", "/ruled/x", ("Origin: https://app.example", "Access-Control-Request-Method: POST")),
    ("OPTIONS", "/ruled/x", ("Origin: https://app.example", "Access-Control-Request-Method: GET")),
    ("OPTIONS", "/public/x", ("Origin: https://app.example", "Access-Control-Request-Method: GET")),
    ("OPTIONS", "/strict/x", (FOREIGN, ASKING, LARGE)),
    ("OPTIONS", "/strict/x", (OURS, ASKING, LARGE)),
    ("OPTIONS", "/strict/x", (OURS, LARGE)),
    ("OPTIONS", "/strict/a%2Fb", (OURS, ASKING)),
    *(("GET", target, fields) for target, fields in COMBINED),
    *(("GET", target, (*fields, GONE)) for target, fields in COMBINED),
)


def external(**changes: object) -> str:
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": "gateway", "sub": "alice", "iat": now, "exp": now + 600, **changes}
    return token(private_key("RS256"), claims=claims).decode()


def presented(people: People) -> Mapping[str, str]:
    now = int(time.time())
    return {
        "ada": people.ada.token,
        "bob": people.bob.token,
        "gone": people.bob.token,
        "string": people.string.decode(),
        "acme": external(),
        "stranger": external(iss="https://other.example"),
        "expired": external(exp=now - 600),
        "unknown": token(private_key("RS256", "other"), claims={"iss": ISSUER}, kid="k2").decode(),
    }


async def explained(
    running: Running, method: str, target: str, fields: list[bytes], grant: str | None = None
) -> Explanation:
    loaded = read(running.config, {})
    said = [(name, value) for name, _, value in (field.partition(b": ") for field in fields)]
    asked = Asked(method.encode(), target.encode(), ((b"Host", b"gateway.test"), *said), grant=grant)
    async with offline(loaded.settings, base64.b64decode(MASTER_KEY), Clock(), Kept()) as core:
        return await explain(core, asked, Clock())


def comparable(fields: Any) -> list[tuple[str, str]]:
    """What does not differ from one request to the next; credentials are not shown in full."""
    changing = {"x-mycelium-request-id", "x-mycelium-assertion", "authorization", "cookie", "traceparent"}
    return [(name, "" if name in changing else value) for name, value in fields]


@pytest.mark.parametrize(("method", "target", "fields"), TABLE, ids=range(len(TABLE)))
async def test_explain_agrees_with_a_running_gateway(
    site: Site, people: People, method: str, target: str, fields: tuple[str, ...]
) -> None:
    """The decision, the code, and every header that the upstream gets."""
    document = jwks(jwk(private_key("RS256")))
    head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(document)
    keys, upstream = await site.upstream(answering(head + document)), await site.upstream()
    issuer = {
        "name": "acme",
        "issuer": ISSUER,
        "jwks_url": f"{keys.url}/jwks",
        "audiences": ["gateway"],
        "algorithms": ["RS256"],
    }
    running = await site.gateway(f"{upstream.url}/base", routes=ROUTES, issuers=[issuer])
    if GONE in fields:
        await revoke(running.people, people.bob.grant_id)
    sent = [field.format(**presented(people)).encode() for field in fields]
    found = await explained(running, method, target, sent)
    answer = await (await site.client(running)).ask(target, *sent, method=method)
    if found.fault is not None:
        assert (found.fault.code, upstream.requests) == (json.loads(answer.body)["code"], [])
        return
    if found.answered:
        assert (answer.status, upstream.requests) == (204, [])
        return
    assert answer.status == 200
    assert found.sent is not None
    got = [(name.decode().lower(), value.decode()) for name, value in upstream.requests[0].fields]
    assert comparable(found.sent.fields) == comparable(got)
    assert found.sent.target.partition("?")[0].encode() == upstream.requests[0].target.partition(b"?")[0]


async def asked(site: Site, people: People, target: str, fields: list[bytes], caller: str) -> tuple[Running, str]:
    """A gateway that has decided it, and how: `forwarded`, or the code."""
    routes = [route for route in ROUTES if route["path"] != "/acme/**"]
    running = await site.gateway(await site.upstream(), routes=routes)
    if caller == "gone":
        await revoke(running.people, people.bob.grant_id)
    credential = f"Authorization: Bearer {presented(people)[caller]}".encode()
    answer = await (await site.client(running)).ask(target, *fields, credential)
    return running, "forwarded" if answer.status == 200 else json.loads(answer.body)["code"]


@pytest.mark.parametrize("caller", ["ada", "gone"])
@pytest.mark.parametrize(("target", "fields"), COMBINED, ids=range(len(COMBINED)))
async def test_a_caller_of_the_log_is_explained_as_the_running_gateway_decides(
    site: Site, people: People, target: str, fields: tuple[str, ...], caller: str
) -> None:
    """Known by the grant, without the credential: which check refuses first is the same."""
    sent = [field.encode() for field in fields]
    running, decided = await asked(site, people, target, sent, caller)
    grant = people.ada.grant_id if caller == "ada" else people.bob.grant_id
    found = await explained(running, "GET", target, sent, grant)
    assert ("forwarded" if found.fault is None else found.fault.code) == decided


@pytest.mark.parametrize("caller", ["ada", "bob", "gone"])
@pytest.mark.parametrize("target", ["/auth/x", "/roles/x", "/public/x", "/nowhere", "/auth/a%2Fb", "/tiny/" + "x" * 64])
async def test_a_line_of_the_log_is_replayed_as_the_running_gateway_decides(
    site: Site, people: People, target: str, caller: str
) -> None:
    """As far as the line has the request: `gateway diff` says nothing else than `gateway explain`."""
    running, decided = await asked(site, people, target, [], caller)
    grant = people.ada.grant_id if caller == "ada" else people.bob.grant_id
    line = Logged("", "", "127.0.0.1", "GET", "gateway.test", target, "", None, 0, None, None, grant)
    keys = (base64.b64decode(MASTER_KEY), None)
    async with replays([read(running.config, {}).settings], keys, Clock(), Kept()) as (replay,):
        assert (await replay.decide(line)).outcome == decided
