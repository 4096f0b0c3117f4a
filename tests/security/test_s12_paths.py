"""S-12: a path that somebody could read in another way is 400 in any place, with its reason in answer and log."""

import pytest
from harness.client import Client, request
from harness.site import Running, Site
from harness.upstream import Upstream

from .ground import ASKING, DECIDE, ground, question

# Where the bytes stand: before, inside and behind a segment, as a whole one, and behind the path's last slash.
PLACES = ("?x/y", "x?y/z", "x/y?", "x/?/y", "x/?", "?")
GROUPS = ("/public/", "/secure/", "/roles/", "/nowhere/", "/_adm/beginners/", "/")
ENCODED = [
    spelling
    for code in ("2f", "2F", "5c", "5C", "00", "2e", "2E")
    for spelling in (f"%{code}", f"%25{code}", f"%2525{code}", f".%{code}", f"%{code}.")
] + [
    "%2e%2e", ".%2e", "%2E.", "..%2f", "..%5c", "%2f..", "%2e%2f", "..%00", "%2f%2f",
    "%25%32%66", "%252e%252e", "%25", "%2525",
    "%61", "%7e", "%2d", "%5F", "%39", "%5a",  # letters, digits and the like: another spelling of themselves
    "%c0%ae", "%c0%af", "%e0%80%af", "%f0%80%80%af", "%C1%9c",  # overlong
]  # fmt: skip
BROKEN = ["%", "%2", "%zz", "%g0", "%0g", "%%", "%2%", "%-1", "% 41", "%u002f", "%2x2f"]
RAW = ["\\", "\\..\\", "..\\", "#", "#/", ";", ";x=1", "..;", ".;", ";/.."]


def statuses(text: str) -> str:
    """The codes that are right for it: a blank in a target is no target."""
    return "malformed_request" if " " in text else "ambiguous_path"


async def refused(site: Site, running: Running, raw: bytes) -> tuple[int, str]:
    client = await site.client(running)
    await client.send(raw)
    answer = await client.answer()
    client.close()
    assert answer.one(b"connection") == b"close"
    return answer.status, answer.code


async def all_refused(site: Site, targets: list[bytes], codes: list[str]) -> None:
    """Each is 400 with its code, in the answer and in the log; no service hears of any."""
    upstream = await site.upstream()
    running = await site.gateway(upstream)
    ada = running.people.ada.field
    found = []
    for target in targets:
        raw = b"GET %b HTTP/1.1\r\nHost: gateway.test\r\n%b\r\n\r\n" % (target, ada)
        found.append((target, *await refused(site, running, raw)))
    assert found == [(target, 400, code) for target, code in zip(targets, codes, strict=True)]
    lines = [(line["status"], line["reason"]) for line in await running.lines()]
    assert lines == [(400, code) for code in codes]
    assert not upstream.lines


@pytest.mark.parametrize("group", GROUPS)
async def test_s12_every_encoding_in_every_place_is_refused(site: Site, group: str) -> None:
    """Slash, backslash, NUL, dot and percent, once and more times encoded; what is no encoding; raw ones."""
    texts = [place.replace("?", odd) for odd in (*ENCODED, *BROKEN, *RAW) for place in PLACES]
    targets = [(group + text).encode() for text in texts]
    await all_refused(site, targets, [statuses(text) for text in texts])


@pytest.mark.parametrize("group", GROUPS)
async def test_s12_empty_and_dot_segments_are_refused(site: Site, group: str) -> None:
    """Wherever they stand."""
    texts = [
        "/",
        "x//y",
        "x//",
        "//x",
        "./x",
        "../x",
        "x/./y",
        "x/../y",
        "x/.",
        "x/..",
        ".",
        "..",
        "x/../../y",
        "..%3b",
        "x/..%3bx/y",
        "x/.%253B",
        *("%20../y", "x/%09../y", "%0d..", "x/%1f../y", "%20..%20/y", "..%85/y", "x/..%C2%A0/y", "..%3Fx", "x/..%23/y"),
        *("%20./y", "x/.%A0", "%E3%80%80../y", "%20..%20;x", "x/%2520../y"),
    ]
    await all_refused(site, [(group + text).encode() for text in texts], ["ambiguous_path"] * len(texts))


@pytest.mark.parametrize("place", PLACES)
async def test_s12_no_control_and_no_high_byte_gets_through(site: Site, place: str) -> None:
    """Each of them, in the path and in the query."""
    odd = [byte for byte in range(256) if not 0x20 < byte < 0x7F]
    if place.endswith("?"):
        odd.remove(0x20)  # with another one behind it, it is not in the target (RFC 9112 section 3)
    before, after = place.encode().split(b"?")
    paths = [b"/public/%b%c%b" % (before, byte, after) for byte in odd]
    targets = [*paths, *(b"/public/x?" + path for path in paths)]
    await all_refused(site, targets, ["malformed_request"] * len(targets))


@pytest.mark.parametrize("group", ["/public/", "/secure/", "/nowhere/"])
async def test_s12_a_fragment_is_none_behind_a_query_either(site: Site, group: str) -> None:
    """A request target has no fragment."""
    targets = [(group + text).encode() for text in ("x?#", "x?y#z", "x?y=1#/public/x", "?#")]
    await all_refused(site, targets, ["ambiguous_path"] * len(targets))


@pytest.mark.parametrize(
    ("target", "host"),
    [
        (b"http://other.test/public/x", b"gateway.test"),
        (b"http://gateway.test/public/x", b"other.test"),
        (b"http://gateway.test:81/public/x", b"gateway.test"),
        (b"http://gateway.test/public/x", b"gateway.test:80"),
        (b"https://other.test/public/x", b"gateway.test"),
        (b"HTTP://OTHER.test/public/x", b"gateway.test"),
        (b"http://gateway.test./public/x", b"gateway.test"),
    ],
)
async def test_s12_an_absolute_target_is_of_the_host_that_is_said(site: Site, target: bytes, host: bytes) -> None:
    """Else one of them was for the rule and the other for the upstream."""
    upstream = await site.upstream()
    running = await site.gateway(upstream)
    raw = b"GET %b HTTP/1.1\r\nHost: %b\r\n\r\n" % (target, host)
    assert await refused(site, running, raw) == (400, "authority_mismatch")
    (line,) = await running.lines()
    assert (line["status"], line["reason"]) == (400, "authority_mismatch")
    assert not upstream.lines


@pytest.mark.parametrize("target", [b"http://user@gateway.test/public/x", b"http:///public/x", b"http://a b/public/x"])
async def test_s12_an_authority_has_no_user_and_is_not_empty(site: Site, target: bytes) -> None:
    """RFC 9110 section 4.2.4: to be treated as an error."""
    running = await site.gateway(await site.upstream())
    status, code = await refused(site, running, b"GET %b HTTP/1.1\r\nHost: gateway.test\r\n\r\n" % target)
    assert (status, code in ("bad_host", "malformed_request")) == (400, True)


@pytest.mark.parametrize("kind", ASKING)
async def test_s12_a_data_plane_is_told_no(site: Site, kind: str) -> None:
    """About the same paths, with the same reason."""
    place = await ground(site, decide=DECIDE)
    for odd in (*ENCODED, *(text for text in BROKEN if " " not in text), *RAW):
        for where in PLACES[:3]:
            text = where.replace("?", odd)
            answer = await place.send(question(kind, f"/secure/{text}", place.people.ada.field))
            status = 403 if kind == "nginx" else 400
            assert (text, answer.status, answer.code) == (text, status, "ambiguous_path")


RELAXED = {
    "%2F": ["a%2Fb", "a%2fb", "%2Fa", "a%2F", "a%2F%2fb", "%2F%2F", "a%2Fb?c=%2F"],
    "%5C": ["a%5Cb", "a%5cb", "%5C"],
    "%25": ["100%25", "a%2541", "%2525"],
    ";": ["a;b", "a;jsessionid=1", ";a", "a;", "a/;b/c"],
}
# what stays refused wherever one of them is listed
NEVER = [
    "..%2Fx", "%2F..%2Fx", "a%2F..", "a%2F.%2Fb", "%2e", "%00", "a//b", "..;x", "a\\b", "a#b", "%zz", "..%5Cx", "%252e",
    "%20..%2Fx", "a%2F%20..%2Fx", "a%5C..%C2%A0%5Cx", "%2520..", "..%3F", "%20..;x",
]  # fmt: skip


async def asked(site: Site, running: Running, target: str) -> int:
    client: Client = await site.client(running)
    await client.send(request(target, running.people.ada.field))
    answer = await client.answer()
    client.close()
    return answer.status


@pytest.mark.parametrize("listed", RELAXED)
async def test_s12_a_route_lists_what_it_takes_and_gets_it_as_it_was_sent(site: Site, listed: str) -> None:
    """Byte for byte; the other spellings, and other routes, stay as strict as they were."""
    upstream: Upstream = await site.upstream()
    routes = [
        {"path": "/files/**", "access": "protected", "allow_encoded": [listed]},
        {"path": "/strict/**", "access": "public"},
    ]
    running = await site.gateway(upstream, routes=routes)
    for spelling, texts in RELAXED.items():
        for text in texts:
            expected = 200 if spelling == listed else 400
            assert (text, await asked(site, running, f"/files/{text}")) == (text, expected)
            assert (text, await asked(site, running, f"/strict/{text}")) == (text, 400)
    for text in NEVER:
        assert (text, await asked(site, running, f"/files/{text}")) == (text, 400)
    assert [got.target.decode() for got in upstream.requests] == [f"/files/{text}" for text in RELAXED[listed]]


async def test_s12_what_is_listed_is_matched_as_it_stands(site: Site) -> None:
    """An encoded slash does not part segments, and parameters are of the segment that they stand in."""
    upstream = await site.upstream()
    more = {"allow_encoded": ["%2F", ";"], "methods": ["GET"]}
    routes = [
        {"path": "/files/{name}", "access": "public", **more},
        {"path": "/files/{name}/secret", "access": "protected", **more},
        {"path": "/files/admin", "access": "protected", **more},
    ]
    client = await site.client(await site.gateway(upstream, routes=routes))
    for target in ("/files/a%2Fsecret", "/files/admin;x=1", "/files/admin%2F"):
        assert (await client.ask(target)).status == 200
    for target in ("/files/a/secret", "/files/a%2Fb/secret", "/files/admin"):
        assert (await client.ask(target)).status == 401
    assert [got.target for got in upstream.requests] == [b"/files/a%2Fsecret", b"/files/admin;x=1", b"/files/admin%2F"]
