"""S-4: a head is classified by the configuration that decides on it, also the first one after a reload."""

import json

import pytest
from harness.client import request
from harness.site import Site, until

NEW = b"x-new-secret"


@pytest.mark.parametrize("begun", [0, 30], ids=["idle", "in a head"])
async def test_s04_a_credential_in_a_renamed_header_is_not_forwarded(site: Site, begun: int) -> None:
    """On a connection from before the reload, in the first request and in those pipelined behind it."""
    upstream = await site.upstream()
    running = await site.gateway(upstream)
    client = await site.client(running)
    assert (await client.ask()).status == 200
    ask = request("/public/x", NEW + b": " + running.people.string) + request(
        "/secure/x", NEW + b": " + running.people.string
    )
    before, rest = ask[:begun], ask[begun:]
    if before:
        await client.send(before)
        (theirs,) = running.gateway.edge.clients
        await until(lambda: theirs._partial)
    said = json.loads(running.config.read_text())
    said["connection_strings"] = {"header": NEW.decode()}
    running.write(said)
    assert await running.gateway.reload() == []
    await client.send(rest)
    assert [(await client.answer()).status for _ in range(2)] == [200, 200]
    assert [NEW in got.names for got in upstream.requests] == [False] * 3


async def test_s04_limits_hold_from_the_first_request_after_a_reload(site: Site) -> None:
    """Smaller ones, too."""
    running = await site.gateway(await site.upstream())
    client = await site.client(running)
    assert (await client.ask()).status == 200
    said = json.loads(running.config.read_text())
    said["listen"]["limits"] = {"head": "2KiB", "field": "1KiB", "target": "512B"}
    running.write(said)
    assert await running.gateway.reload() == []
    assert (await client.ask("/public/x", b"x-big: " + b"a" * 1500)).code == "head_too_large"
