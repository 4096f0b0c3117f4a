"""The access log's line of a request that was refused: who was refused, where, and why."""

from typing import Any

import pytest
from harness.people import People
from harness.site import Running, Site


async def line(site: Site, running: Running, path: str, *fields: bytes, times: int = 1) -> dict[str, Any]:
    """Of the last of some requests on one connection."""
    client = await site.client(running)
    for _ in range(times):
        await client.ask(path, *fields)
    return (await running.lines())[-1]


@pytest.mark.parametrize("times", [1, 2])
async def test_a_refused_caller_is_named(site: Site, people: People, times: int) -> None:
    """Also when the credential is remembered."""
    running = await site.gateway(await site.upstream())
    told = await line(site, running, "/roles/x", people.bob.field, times=times)
    assert (told["status"], told["reason"]) == (403, "role_missing")
    assert (told["account"], told["grant"]) == (people.bob.account_id, people.bob.grant_id)


@pytest.mark.parametrize(
    ("path", "field", "status", "reason"),
    [
        ("/secure/x", b"X-Y: z", 401, "no_credential"),
        ("/secure/x", b"Authorization: Bearer nobody", 401, "invalid_credential"),
        ("/nowhere", b"X-Y: z", 404, "no_route"),
    ],
)
async def test_nobody_is_named_where_nobody_is_known(
    site: Site, path: str, field: bytes, status: int, reason: str
) -> None:
    """No credential, a wrong one, no route."""
    told = await line(site, await site.gateway(await site.upstream()), path, field)
    assert (told["status"], told["reason"], told["account"], told["grant"]) == (status, reason, None, None)


async def test_who_was_admitted_before_is_not_named_for_the_next(site: Site, people: People) -> None:
    """One connection, another credential: the refusal is about that one."""
    running = await site.gateway(await site.upstream())
    client = await site.client(running)
    await client.ask("/secure/x", people.ada.field)
    await client.ask("/roles/x", people.bob.field)
    await client.ask("/secure/x")
    accounts = [told["account"] for told in await running.lines()]
    assert accounts == [people.ada.account_id, people.bob.account_id, None]
