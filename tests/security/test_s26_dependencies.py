"""S-26: what the gateway depends on is gone, slow or wrong: 503, never a pass, and never a "wrong credential"; where it
is not there at the start, no start. Its own keys are no such thing: what is lost of them is made anew.
"""

import asyncio
import base64
import json
import sqlite3
from collections.abc import Mapping
from typing import Any

import pytest
from edge.test_tunnel import HANDSHAKE
from harness.client import Answer, request
from harness.site import Running, Site
from harness.upstream import Line, Script, Upstream
from identity.forge import AUDIENCE, ISSUER, jwk, jwks, private_key

from gateway.app.opening import StartFailed
from gateway.settings.faults import SettingsInvalid

from .ground import ASKING, CONNECTION_STRING, DECIDE, PATHS, api_key, question
from .outside import good, whole

WANTING = ("authenticated", "protected", "role", "websocket")


async def ask(site: Site, running: Running, raw: bytes) -> Answer:
    client = await site.client(running)
    await client.send(raw)
    answer = await asyncio.wait_for(client.answer(), 20)
    client.close()
    return answer


def about(group: str, *fields: bytes) -> bytes:
    return request(PATHS[group], *(HANDSHAKE if group == "websocket" else ()), *fields)


@pytest.mark.parametrize(
    ("how", "status", "code"),
    [
        ("away", 503, "store_unavailable"),
        ("no database", 503, "store_unavailable"),
        ("no tables", 500, "internal_error"),
    ],
)
async def test_s26_without_its_database_nobody_new_passes(site: Site, how: str, status: int, code: str) -> None:
    """For every kind of credential, on every route and to every data plane that asks; at its own endpoints too. Who is
    remembered goes on, and who has nothing is told that.
    """
    site.expected_errors = True
    upstream = await site.upstream()
    running = await site.gateway(upstream, decide=DECIDE)
    people = running.people
    key = await api_key(people)
    assert (await ask(site, running, about("protected", people.ada.field))).status == 200
    database = people.folder / "gateway.db"
    if how == "no tables":
        with sqlite3.connect(database) as connection:
            connection.execute("DROP TABLE grant_")
        connection.close()
    else:
        for leftover in people.folder.glob("gateway.db-*"):
            leftover.unlink()
        database.rename(people.folder / "gone.db")
    if how == "no database":
        database.write_bytes(b"this is no database" * 1000)
    for credential in (people.bob.field, CONNECTION_STRING + people.string, key):
        for group in (*WANTING, "login"):
            answer = await ask(site, running, about(group, credential))
            assert (group, credential, answer.status) == (group, credential, status)
            assert code.encode() in answer.body
        for kind in ASKING:
            answer = await ask(site, running, question(kind, "/secure/x", credential))
            assert (answer.status, answer.code) == (403 if kind == "nginx" else status, code)
    assert (await ask(site, running, about("protected"))).code == "no_credential"
    assert (await ask(site, running, about("protected", b"Authorization: Bearer a.b"))).code == code
    assert len(upstream.requests) == 1
    assert (await ask(site, running, about("protected", people.ada.field))).status == 200
    assert (await ask(site, running, about("public"))).status == 200


def outside() -> bytes:
    """A good token of the external issuer."""
    return b"Authorization: Bearer " + good()


def trusting(url: str) -> Mapping[str, Any]:
    issuer = {"name": "outside", "issuer": ISSUER, "jwks_url": url, "audiences": [AUDIENCE], "algorithms": ["RS256"]}
    return {"issuers": [issuer]}


def fixed(answer: bytes) -> Script:
    async def script(line: Line) -> None:
        while True:
            await line.request()
            line.send(answer)

    return script


KEYS = jwks(jwk(private_key("RS256")))
BROKEN = {
    "an error": whole(KEYS, b"500 Internal Server Error"),
    "not found": whole(KEYS, b"404 Not Found"),
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "a redirect": whole(b"", b"302 Found", b"Location: /elsewhere"),
    "no json": whole(b"<html>maintenance</html>"),
    "another json": whole(b"[]"),
    "cut": whole(KEYS)[:-20].replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
    "no http": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "no answer": b"",
}


async def keyed(site: Site, script: Script | None) -> tuple[Running, Upstream]:
    """script None: nobody is there."""
    upstream = await site.upstream()
    issuer = await site.upstream(script)
    if script is None:
        await issuer.aclose()
    return await site.gateway(upstream, decide=DECIDE, **trusting(f"{issuer.url}/jwks")), upstream


async def closing(line: Line) -> None:
    await line.request()
    line.writer.close()


@pytest.mark.parametrize("how", [*BROKEN, "nobody there"])
async def test_s26_without_the_issuers_keys_nobody_passes(site: Site, how: str) -> None:
    """503 with Retry-After, so that clients keep their sessions: not 401, and no pass."""
    script = None if how == "nobody there" else closing if how in ("cut", "no answer") else fixed(BROKEN[how])
    if how == "cut":

        async def script(line: Line) -> None:
            await line.request()
            line.send(BROKEN["cut"])
            line.writer.close()

    running, upstream = await keyed(site, script)
    for group in ("authenticated", "websocket"):
        answer = await ask(site, running, about(group, outside()))
        assert (answer.status, answer.code) == (503, "keys_unavailable")
        assert int(answer.one(b"retry-after")) > 0
    for kind in ASKING:
        answer = await ask(site, running, question(kind, PATHS["authenticated"], outside()))
        assert (answer.status, answer.code) == (403 if kind == "nginx" else 503, "keys_unavailable")
    assert not upstream.requests
    assert (await ask(site, running, about("protected", running.people.ada.field))).status == 200


async def test_s26_with_the_keys_the_same_token_passes(site: Site) -> None:
    """Which is what makes the refusals above ones of the keys."""
    running, upstream = await keyed(site, fixed(whole(KEYS, b"200 OK", b"Content-Type: application/json")))
    assert (await ask(site, running, about("authenticated", outside()))).status == 200
    assert len(upstream.requests) == 1


async def test_s26_an_issuer_that_says_nothing_is_not_waited_for_without_end(site: Site) -> None:
    """The fetch has a bound of its own; the caller is told 503 then, and others are served meanwhile."""
    over = asyncio.Event()

    async def script(line: Line) -> None:
        await line.request()
        await over.wait()

    running, upstream = await keyed(site, script)
    waiting = asyncio.create_task(ask(site, running, about("authenticated", outside())))
    assert (await ask(site, running, about("protected", running.people.ada.field))).status == 200
    answer = await waiting
    over.set()
    assert (answer.status, answer.code) == (503, "keys_unavailable")
    assert len(upstream.requests) == 1


async def test_s26_a_caller_that_leaves_while_it_is_looked_at_is_not_forwarded(site: Site) -> None:
    """The task that verifies is cancelled, or comes to its end for nobody."""
    asked, over = asyncio.Event(), asyncio.Event()

    async def script(line: Line) -> None:
        await line.request()
        asked.set()
        await over.wait()
        line.send(whole(KEYS, b"200 OK", b"Content-Type: application/json"))

    running, upstream = await keyed(site, script)
    client = await site.client(running)
    await client.send(about("authenticated", outside()))
    await asked.wait()
    client.reset()
    other = await site.client(running)
    assert (await other.ask("/public/x")).status == 200
    over.set()
    assert (await other.ask("/auth/x", outside())).status == 200
    assert [got.target for got in upstream.requests] == [b"/public/x", b"/auth/x"]


SECRETS: list[Mapping[str, Any]] = [
    {"secrets": {"master_key": {"env": "NOT_SET"}}},
    {"secrets": {"master_key": {"file": "nowhere.key"}}},
    {"secrets": {"master_key": {"file": "config.yaml"}}},
    {"route": {"headers": {"request": {"set": {"x-key": {"env": "NOT_SET"}}}}}},
    {"route": {"headers": {"request": {"set": {"x-key": {"file": "nowhere"}}}}}},
    {"upstream": {"tls": {"ca": "nowhere.pem"}}},
    {"listen": {"tls": {"cert": "nowhere.pem", "key": "nowhere.key"}}},
    {"store": {"url": "postgresql+asyncpg://gateway@127.0.0.1/gateway", "password": {"env": "NOT_SET"}}},
]


@pytest.mark.parametrize("said", SECRETS, ids=[json.dumps(said)[:60] for said in SECRETS])
async def test_s26_a_secret_that_is_missing_is_no_start(site: Site, said: Mapping[str, Any]) -> None:
    """Neither without the check that needs it, nor with an empty one."""
    with pytest.raises((SettingsInvalid, StartFailed)):
        await site.gateway(await site.upstream(), **said)


@pytest.mark.parametrize("key", [b"", b"short", base64.b64encode(b"x" * 31), base64.b64encode(b"y" * 32)])
async def test_s26_a_master_key_that_is_not_the_one_opens_nothing(site: Site, key: bytes) -> None:
    """Empty, too short, or of another gateway: no start."""
    running = await site.gateway(await site.upstream())
    await running.stop()
    (running.people.folder / "master.key").write_bytes(key)
    again = Running(running.people)
    with pytest.raises((SettingsInvalid, StartFailed)):
        await again.start(json.loads(running.config.read_text()))


@pytest.mark.parametrize("table", ["signing_key", "mac_key"])
async def test_s26_what_keys_that_are_lost_have_signed_is_not_good(site: Site, table: str) -> None:
    """The gateway makes new ones at its start. By those the old credentials are wrong, which no second try would mend;
    what the lost keys have not signed passes.
    """
    upstream = await site.upstream()
    running = await site.gateway(upstream)
    await running.stop()
    with sqlite3.connect(running.people.folder / "gateway.db") as connection:
        connection.execute("DELETE FROM signing_key" if table == "signing_key" else "DELETE FROM mac_key")
    connection.close()
    again = Running(running.people)
    site._closers.append(again.stop)
    await again.start(json.loads(running.config.read_text()))
    people = running.people
    token, string = people.ada.field, CONNECTION_STRING + people.string
    lost, kept = (token, string) if table == "signing_key" else (string, token)
    for group in ("authenticated", "protected"):
        answer = await ask(site, again, about(group, lost))
        assert (answer.status, answer.code) == (401, "invalid_credential")
    assert not upstream.requests
    assert (await ask(site, again, about("protected", kept))).status == 200
