"""One line for each exchange, with the id that the client and the upstream got, and nothing secret."""

import re

import pytest
from harness.client import request
from harness.site import Site

UUID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}").fullmatch
MINE = b"11111111-2222-4333-8444-555555555555"


async def test_the_id_is_the_same_everywhere(site: Site) -> None:
    """To the upstream, to the client, in the log: one UUID a request."""
    upstream = await site.upstream()
    running = await site.gateway(upstream)
    client = await site.client(running)
    answers = [await client.ask() for _ in range(300)]
    ids = [answer.one(b"x-mycelium-request-id") for answer in answers]
    assert all(map(UUID, ids))
    assert len(set(ids)) == 300
    assert [got.one(b"x-mycelium-request-id") for got in upstream.requests] == ids
    assert [line["id"].encode() for line in await running.lines()] == ids


async def test_a_clients_id_is_not_believed(site: Site) -> None:
    """It would let one caller write into the traces of another."""
    upstream = await site.upstream()
    client = await site.client(await site.gateway(upstream))
    answer = await client.ask("/public/x", b"x-mycelium-request-id: " + MINE, b"x-forwarded-for: 10.1.1.1")
    assert answer.one(b"x-mycelium-request-id") != MINE
    assert upstream.requests[0].one(b"x-mycelium-request-id") != MINE


@pytest.mark.parametrize(("sent", "kept"), [(MINE, True), (b"not-a-uuid", False), (b"", False)])
async def test_a_trusted_proxys_id_is_kept(site: Site, sent: bytes, kept: bool) -> None:
    """If it is one."""
    upstream = await site.upstream()
    running = await site.gateway(upstream, listen={"trusted_proxies": ["127.0.0.0/8"]})
    client = await site.client(running)
    answer = await client.ask("/public/x", b"x-mycelium-request-id: " + sent, b"x-forwarded-for: 10.1.1.1")
    assert (answer.one(b"x-mycelium-request-id") == sent) is kept
    (line,) = await running.lines()
    assert line["id"].encode() == answer.one(b"x-mycelium-request-id")
    assert line["client"] == "10.1.1.1"


@pytest.mark.parametrize(("proxies", "kept"), [(["127.0.0.0/8"], True), ([], False)])
async def test_a_trusted_proxys_id_needs_no_forwarding_headers(site: Site, proxies: list[str], kept: bool) -> None:
    """Who sends it is what counts."""
    client = await site.client(await site.gateway(await site.upstream(), listen={"trusted_proxies": proxies}))
    answer = await client.ask("/public/x", b"x-mycelium-request-id: " + MINE)
    assert (answer.one(b"x-mycelium-request-id") == MINE) is kept


async def test_a_line_tells_what_happened(site: Site) -> None:
    """Who, what, where to, how it ended, how much."""
    upstream = await site.upstream()
    running = await site.gateway(upstream)
    client = await site.client(running)
    await client.ask("/secure/x?secret=1", running.people.ada.field, method="POST", body=b"hello")
    (line,) = await running.lines()
    stages = [line.pop(name) for name in ("routing", "authentication", "first_byte")]
    assert 0 < max(stages) <= sum(stages) < line.pop("seconds")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    line.pop("id")
    assert re.fullmatch("[0-9a-f]{32}", line.pop("trace"))
    assert line == {
        "client": "127.0.0.1",
        "method": "POST",
        "host": "gateway.test",
        "route": "/secure/**",
        "path": "/secure/x",
        "upstream": "u",
        "endpoint": upstream.url,
        "status": 200,
        "reason": None,
        "account": running.people.ada.account_id,
        "grant": running.people.ada.grant_id,
        "bytes_in": 5,
        "bytes_out": 2,
    }


@pytest.mark.parametrize(
    ("path", "fields", "come_to"),
    [
        ("/nowhere", (), ["routing"]),
        ("/secure/x", (), ["routing"]),
        ("/public/x", (), ["routing", "authentication", "first_byte"]),
    ],
)
async def test_only_stages_that_were_come_to_have_a_duration(
    site: Site, path: str, fields: tuple[bytes, ...], come_to: list[str]
) -> None:
    """A refusal has null for what comes after it."""
    running = await site.gateway(await site.upstream())
    await (await site.client(running)).ask(path, *fields)
    (line,) = await running.lines()
    assert [name for name in ("routing", "authentication", "first_byte") if line[name] is not None] == come_to
    assert (line["endpoint"] is None) is ("first_byte" not in come_to)


async def test_an_endpoint_that_did_not_take_the_request_is_not_named(site: Site) -> None:
    """Nobody was there: the upstream is known, and no time to a first byte."""
    running = await site.gateway("http://127.0.0.1:1")
    await (await site.client(running)).ask("/public/x")
    (line,) = await running.lines()
    assert (line["upstream"], line["endpoint"], line["first_byte"]) == ("u", None, None)
    assert line["authentication"] is not None


@pytest.mark.parametrize(
    ("sent", "status", "reason", "path"),
    [
        (request("/nowhere?q=secret"), 404, "no_route", "/nowhere"),
        (request("/secure/x"), 401, "no_credential", "/secure/x"),
        (request("/secure/x", b"Authorization: Bearer secret"), 401, "invalid_credential", "/secure/x"),
        (request("/public/%2e%2e/x"), 400, "ambiguous_path", None),
        (b"secret nonsense\r\n\r\n", 400, "malformed_request", None),
    ],
)
async def test_a_refusal_has_a_line(site: Site, sent: bytes, status: int, reason: str, path: str | None) -> None:
    """With its reason code, and without a byte of what was secret (S-12, S-40)."""
    running = await site.gateway(await site.upstream())
    client = await site.client(running)
    await client.send(sent)
    await client.answer()
    (line,) = await running.lines()
    assert (line["status"], line["reason"], line["path"]) == (status, reason, path)
    assert "secret" not in (running.people.folder / "access.log").read_text().replace("/secure", "")


async def test_the_path_of_a_built_in_endpoint_is_not_logged(site: Site) -> None:
    """It may hold a token: the template is enough."""
    running = await site.gateway(await site.upstream())
    client = await site.client(running)
    await client.ask("/_adm/beginners/profile?token=secret", running.people.ada.field)
    (line,) = await running.lines()
    assert (line["status"], line["path"], line["route"]) == (200, None, "GET /_adm/beginners/profile")


async def test_malformed_requests_do_not_fill_the_log(site: Site) -> None:
    """S-21: each is one line of the access log, and no traceback."""
    running = await site.gateway(await site.upstream())
    for _ in range(200):
        client = await site.client(running)
        await client.send(b"nonsense\0\xff\r\n\r\n")
        assert (await client.answer()).status == 400
        client.close()
    assert running.log.lines == []
    assert len(await running.lines()) == 200
