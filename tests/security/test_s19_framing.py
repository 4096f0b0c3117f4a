"""S-19: what frames a request is written anew from what was read; none of the client's words for it goes on."""

import pytest
from edge.test_tunnel import HANDSHAKE
from harness.client import chunked, request
from harness.site import Site

from .ground import PATHS, ground

HOP = {b"te", b"trailer", b"upgrade", b"http2-settings", b"expect", b"connection", b"keep-alive", b"proxy-connection"}
FRAMING = (
    (b"TE: trailers, deflate;q=0.5",),
    (b"te: chunked", b"TE: gzip"),
    (b"Trailer: x-mycelium-profile, Content-Length",),
    (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__"),
    (b"Upgrade: websocket, h2c, TLS/1.0",),
    (b"upgrade: websocket", b"HTTP2-Settings: AA", b"http2-settings: BB"),
    (b"Proxy-Connection: keep-alive", b"Keep-Alive: timeout=600, max=1000", b"Connection: keep-alive"),
    (b"Connection: close, TE", b"TE: trailers"),
    (b"Proxy-Authorization: Basic YTpi", b"Proxy-Authenticate: Basic"),
)
GROUPS = ("public", "authenticated", "protected", "role", "login")


@pytest.mark.parametrize("group", GROUPS)
async def test_s19_no_word_about_the_connection_goes_on(site: Site, group: str) -> None:
    """However it is written, alone and together: the upstream gets the fields of a request that has none of them."""
    place = await ground(site)
    plain = await place.arrived(group)
    for fields in (*FRAMING, tuple(field for some in FRAMING for field in some)):
        got = await place.arrived(group, *fields)
        assert got.names == plain.names
        assert not got.names & (HOP | {b"proxy-authorization", b"proxy-authenticate"})


LENGTHS = ((b"5", b"hello"), (b"0005", b"hello"), (b"0000000000000000005", b"hello"), (b"5 ", b"hello"), (b"00", b""))


@pytest.mark.parametrize("group", ["public", "protected"])
async def test_s19_a_length_is_written_as_it_was_read(site: Site, group: str) -> None:
    """One spelling, once, of the bytes that follow."""
    place = await ground(site)
    for text, body in LENGTHS:
        field = (b"CONTENT-length:" + text, b"Expect:  100-CONTINUE")
        ada = place.people.ada.field
        assert (await place.send(request(PATHS[group], ada, *field, method="POST") + body)).status == 200
        got = place.upstream.requests[-1]
        assert (got.all(b"content-length"), got.body) == ([b"%d" % len(body)], body)
        assert not got.names & (HOP | {b"transfer-encoding"})


CHUNKS = (
    chunked(b"hel", b"lo"),
    b"005\r\nhello\r\n000\r\n\r\n",
    b'5;name=value;other="x"\r\nhello\r\n0;last\r\n\r\n',
    b"5\r\nhello\r\n0\r\nx-mycelium-profile: forged\r\nAuthorization: Bearer x\r\n\r\n",
    b"3;a\r\nhel\r\n2\r\nlo\r\n0\r\nHost: evil.test\r\nX-Forwarded-For: 6.6.6.6\r\nCookie: a\r\n\r\n",
)


@pytest.mark.parametrize("group", ["public", "protected"])
async def test_s19_chunks_are_cut_anew(site: Site, group: str) -> None:
    """Without extensions and trailers, of which an upstream may make fields of the request."""
    place = await ground(site)
    for body in CHUNKS:
        for name in (b"Transfer-Encoding: chunked", b"tRANSFER-eNCODING:\t CHUNKED ", b"transfer-encoding:Chunked"):
            fields = (place.people.ada.field, name, b"TE: trailers", b"Trailer: x-mycelium-profile")
            assert (await place.send(request(PATHS[group], *fields, method="POST") + body)).status == 200
            got = place.upstream.requests[-1]
            assert (got.all(b"transfer-encoding"), got.body) == ([b"chunked"], b"hello")
            assert not got.names & (HOP | {b"content-length"})
            framed = got.raw.partition(b"\r\n\r\n")[2]
            assert not any(word in framed for word in (b";", b":", b"forged", b"evil"))


async def test_s19_a_length_beside_chunks_is_no_request(site: Site) -> None:
    """Neither is believed, and nothing is repaired."""
    place = await ground(site)
    for fields in ((b"Content-Length: 5", b"Transfer-Encoding: chunked"), (b"Transfer-Encoding: identity, chunked",)):
        answer = await place.send(request(PATHS["public"], *fields, method="POST") + chunked(b"hello"))
        assert answer.status == 400
    assert not place.upstream.requests


@pytest.mark.parametrize("field", [b"Content-Length: 7", b"Transfer-Encoding: chunked"])
async def test_s19_a_trailer_frames_nothing(site: Site, field: bytes) -> None:
    """RFC 9110 section 6.5.1: it is refused, and no whole request arrives."""
    place = await ground(site)
    raw = request(PATHS["public"], b"Transfer-Encoding: chunked", method="POST")
    answer = await place.send(raw + chunked(b"hello", last=b"0\r\n%b\r\n\r\n" % field))
    assert answer.status == 400
    assert not place.upstream.requests


async def test_s19_an_upgrade_is_written_in_our_words(site: Site) -> None:
    """Of a WebSocket's handshake alone, once each."""
    place = await ground(site)
    shake = [field.replace(b"Upgrade: websocket", b"UPGRADE: WebSocket") for field in HANDSHAKE]
    shake[0] = b"connection: UPGRADE, x-mine"
    fields = (*shake, b"TE: trailers", b"x-mine: 1", b"HTTP2-Settings: AA", b"Keep-Alive: 5")
    assert (await place.send(request("/public/ws", *fields))).status == 101
    got = place.upstream.requests[-1]
    assert (got.all(b"upgrade"), got.all(b"connection")) == ([b"websocket"], [b"upgrade"])
    assert not got.names & ((HOP - {b"upgrade", b"connection"}) | {b"x-mine"})
