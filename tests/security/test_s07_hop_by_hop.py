"""S-7: what a client calls hop-by-hop does not take away what the gateway adds."""

import pytest
from harness.site import Site

from .ground import ASKING, CONNECTION_STRING, DECIDE, GROUPS, OURS, ground, question, reserved

ADDED = (
    b"x-mycelium-profile x-mycelium-email x-mycelium-assertion x-mycelium-security-group x-mycelium-service-name"
    b" x-mycelium-request-id x-mycelium-tenant-id x-gateway-peer x-gateway-direct x-gateway-host x-forwarded-for"
    b" x-forwarded-proto x-forwarded-host forwarded traceparent host authorization"
).split()
ALL = b", ".join(ADDED)
FORMS = [
    (b"Connection: close, x-mycelium-profile, X-Forwarded-For",),
    (b"Connection: " + ALL,),
    (b"CONNECTION: keep-alive," + ALL.upper(),),
    (b"Connection: " + ALL.title(), b"connection: close"),
    tuple(b"Connection: " + name for name in ADDED),
    (b"Connection:\t ,, " + b" ,\t".join(ADDED) + b" ,",),
    (b"Connection: " + ALL.replace(b"-", b"_"),),
    (b"Proxy-Connection: " + ALL,),
    (b"Keep-Alive: " + ALL, b"Connection: keep-alive"),
    (b"Connection: keep-alive", b"Proxy-Connection: " + ALL, b"Keep-Alive: " + ALL, b"Connection: " + ALL),
    (b"Connection: *",),
    (b'Connection: "x-mycelium-profile", x-mycelium-*',),
]


@pytest.mark.parametrize("group", GROUPS)
async def test_s07_ours_cannot_be_taken_away(site: Site, group: str) -> None:
    """In any case, in several lines, in the older headers: all of it arrives, once, with the value that it has."""
    place = await ground(site, route={"forward": {"authorization": True}})
    plain = await place.arrived(group)
    for fields in FORMS:
        got = await place.arrived(group, *fields)
        assert reserved(got) == sorted(OURS[group])
        assert got.names == plain.names
        for name in (b"host", b"x-forwarded-for", b"x-forwarded-host", b"forwarded", b"authorization"):
            assert got.all(name) == plain.all(name)
        assert got.all(b"x-mycelium-email") == plain.all(b"x-mycelium-email")


@pytest.mark.parametrize("group", GROUPS)
async def test_s07_nor_the_tenant_and_the_connection_string(site: Site, group: str) -> None:
    """What a connection string fixes is told; our own application gets the string."""
    place = await ground(site)
    listed = b"Connection: x-mycelium-tenant-id, x-mycelium-connection-string"
    got = await place.arrived(group, listed, credential=CONNECTION_STRING + place.people.string)
    told = {"public": [], "login": []}.get(group, [place.people.tenant_id.encode()])
    assert got.all(b"x-mycelium-tenant-id") == told
    assert got.all(b"x-mycelium-connection-string") == ([place.people.string] if group == "login" else [])


@pytest.mark.parametrize("group", GROUPS)
async def test_s07_what_a_client_lists_of_its_own_is_dropped(site: Site, group: str) -> None:
    """RFC 9110 section 7.6.1: it was for us alone. What it does not list goes on."""
    place = await ground(site)
    got = await place.arrived(group, b"X-Mine: 1", b"x-other: 2", b"Connection: X-MINE, x-absent")
    assert (got.all(b"x-mine"), got.all(b"x-other")) == ([], [b"2"])


@pytest.mark.parametrize("kind", ASKING)
async def test_s07_a_data_plane_is_told_all_the_same(site: Site, kind: str) -> None:
    """And what it says of the request stands."""
    place = await ground(site, decide=DECIDE)
    facts = b"Connection: x-original-uri, x-original-method, x-forwarded-uri, x-forwarded-method, x-forwarded-host"
    for fields in (*FORMS, (facts,)):
        answer = await place.send(question(kind, "/secure/x", place.people.ada.field, *fields))
        assert answer.status == 200
        told = [name for name, value in answer.fields if name.startswith(b"x-mycelium-") and value]
        assert sorted(told) == sorted(OURS["protected"])
        assert (await place.send(question(kind, "/secure/x", *fields))).code == "no_credential"
