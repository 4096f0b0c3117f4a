"""S-55: who invents header names pays for them alone. Counted in names that have to be classified, not in time."""

import pytest
from harness.site import Site

# what a browser sends over HTTP/1.1, and what curl and Go do
HEADERS = (
    b"Host Connection Cache-Control sec-ch-ua sec-ch-ua-mobile sec-ch-ua-platform DNT Upgrade-Insecure-Requests"
    b" User-Agent Accept Sec-Fetch-Site Sec-Fetch-Mode Sec-Fetch-User Sec-Fetch-Dest Referer Accept-Encoding"
    b" Accept-Language Cookie If-None-Match If-Modified-Since Origin Pragma Priority Sec-GPC Content-Type"
    b" Content-Length Authorization Range X-Requested-With x-mycelium-connection-string user-agent accept Dnt"
).split()
FLOOD = 40  # requests of 90 names: the table has room for 2,048


@pytest.mark.parametrize("filler", [b"X", b"q" * 7000])
async def test_s55_invented_names_cost_nobody_else(site: Site, filler: bytes) -> None:
    """A stranger's flood leaves what everybody sends known, and what he sent is forgotten or was never kept."""
    running = await site.gateway(await site.upstream())
    names = running.gateway.edge.generation.names
    client = await site.client(running)
    for number in range(FLOOD):
        invented = [b"%b-%d-%d: 1" % (filler, number, each) for each in range(3 if len(filler) > 64 else 90)]
        assert (await client.ask("/nowhere", *invented)).status == 404
        assert len(names.known) <= 2048
    assert [name for name in HEADERS if name not in names.known] == []
    assert sum(map(len, names.known)) < 2048 * 64


async def test_s55_a_name_of_ones_own_is_learned_after_a_flood(site: Site) -> None:
    """Once: the next request with it costs no more than ever."""
    running = await site.gateway(await site.upstream())
    names = running.gateway.edge.generation.names
    client = await site.client(running)
    for number in range(FLOOD):
        await client.ask("/nowhere", *(b"X-%d-%d: 1" % (number, each) for each in range(90)))
    assert b"X-Our-Own" not in names.known
    await client.ask("/public/x", b"X-Our-Own: 1")
    assert b"X-Our-Own" in names.known
