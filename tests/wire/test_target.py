"""Targets and hosts: what is taken goes on byte for byte, what two programs could read in two ways is refused."""

import re
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.errors import RequestRejected
from gateway.wire.target import read_host, read_target


def code_of(raw: bytes, method: bytes = b"GET") -> str:
    with pytest.raises(RequestRejected) as caught:
        read_target(raw, method)
    return caught.value.code


PLAIN = [
    (b"/", b"/", None, [b""]),
    (b"/a", b"/a", None, [b"a"]),
    (b"/a/", b"/a/", None, [b"a", b""]),
    (b"/a/b.json", b"/a/b.json", None, [b"a", b"b.json"]),
    (b"/.well-known/x", b"/.well-known/x", None, [b".well-known", b"x"]),
    (b"/...", b"/...", None, [b"..."]),
    (b"/..a/.b/c..", b"/..a/.b/c..", None, [b"..a", b".b", b"c.."]),
    (b"/A/a", b"/A/a", None, [b"A", b"a"]),
    (b"/%C3%A9/%20", b"/%C3%A9/%20", None, [b"%C3%A9", b"%20"]),
    (b"/%c3%a9", b"/%c3%a9", None, [b"%c3%a9"]),
    (b"/-_~!$&'()*+,=:@|[]", b"/-_~!$&'()*+,=:@|[]", None, [b"-_~!$&'()*+,=:@|[]"]),
    (b"/a?", b"/a", b"", [b"a"]),
    (b"/a?b?c=/../d", b"/a", b"b?c=/../d", [b"a"]),
    (b"/?x", b"/", b"x", [b""]),
    (b'/a?u=//h/%2e%2e\\%zz;{|}^`<>"', b"/a", b'u=//h/%2e%2e\\%zz;{|}^`<>"', [b"a"]),
    (b"/%20?100%", b"/%20", b"100%", [b"%20"]),
]


@pytest.mark.parametrize(("raw", "path", "query", "segments"), PLAIN)
def test_a_plain_target_is_kept_as_sent(raw: bytes, path: bytes, query: bytes | None, segments: list[bytes]) -> None:
    """Path, query and segments of a plain target are its own bytes."""
    target, authority = read_target(raw, b"GET")
    assert (target.raw, target.path, target.query, target.segments) == (raw, path, query, segments)
    assert (target.oddities, authority) == (frozenset(), None)


@pytest.mark.parametrize(
    "raw",
    [
        b"//",
        b"//evil.example/a",
        b"/a//b",
        b"/a//",
        b"/.",
        b"/..",
        b"/./a",
        b"/../a",
        b"/a/.",
        b"/a/..",
        b"/a/./b",
        b"/a/../b",
        b"/a/..?x",
        b"/a/..;x/b",
        b"/a/..%20/b",
        b"/a/.%09",
        b"/a/..%250a/b",
        b"/a/.;x",
        b"/a/..;",
        b"/a/..%3bx",
        b"/a/..%253Bx",
        b"/a;x/../b",
        b"/%2e",
        b"/%2E%2e/a",
        b"/.%2e/a",
        b"/a/%2e./b",
        b"/file%2ejson",
        b"/%252e%252e/a",
        b"/%25252e",
        b"/a%2f..%2fb",
        b"/a%2F..",
        b"/a/..%2fb",
        b"/a%5c..%5cb",
        b"/a%252f..%252fb",
        b"/a%00",
        b"/a%00.jpg",
        b"/a%2500",
        b"/a\\b",
        b"/\\evil.example",
        b"/a/..\\b",
        b"/a#b",
        b"/#",
        b"/a?b#c",
        b"/a#b?c",
        b"/a%",
        b"/a%2",
        b"/a%zz",
        b"/a%%41",
        b"/a%u002f",
        b"/%c0%ae",
        b"/%c1%9c",
        b"/%e0%80%af",
        b"/%F0%80%80%AE",
    ],
)
def test_an_ambiguous_target_is_refused(raw: bytes) -> None:
    """What one server resolves, merges, cuts or decodes where another does not is refused on every route."""
    assert code_of(raw) == "ambiguous_path"


# what servers trim from a name: blanks of C, of Python and of Java, controls, and Unicode's, in Latin-1 and in UTF-8
BLANKS = (
    "%20 %09 %0a %0D %0b %0C %00 %01 %1f %7F %80 %85 %9f %A0 %C2%85 %C2%A0 %c2%ad %E1%9A%80 %E1%A0%8E %E2%80%80"
    " %E2%80%8B %e2%80%8f %E2%80%A8 %E2%80%AF %E2%81%9F %E2%81%A0 %E2%81%AF %E3%80%80 %EF%BB%BF %2520 %25C2%25A0"
)
TRIMMED = [
    dots.join(sides)
    for dots in (".", "..")
    for blank in BLANKS.split()
    for sides in ((blank, ""), ("", blank), (blank, blank))
]
TRIMMED += ["%20%09..", "..%0d%0a", "%C2%A0%20..%85%20", "%20.%20.", ".%09.", "%20..;x", "%20..%20;x", "%20..%20%3Bx"]
TRIMMED += ["..%3Fx", "..%3f", "..%23", "..%23x", ".%23", ".%3Fx", "..%20%3Fx", "..%253Fx", "%1f..%2523x"]


@pytest.mark.parametrize("segment", TRIMMED)
def test_a_segment_that_is_dots_to_who_trims_or_cuts_is_refused(segment: str) -> None:
    """First, last, in between, and between encoded slashes: the upstream would go up where no rule saw it."""
    for around in ("/?", "/a/?", "/?/b", "/a/?/b", "/a%2F?%2fb", "/a%5C?", "/a%252f?%255Cb", "http://h/?/b"):
        assert code_of(around.replace("?", segment).encode()) == "ambiguous_path"


NO_DOTS = (
    "/a..b /..a /a.. /.a /a. /... /a%20b /%20 /%20/%C2%A0 /%20a /a%20 /%20.a /%20..a /a..%20 /a%20.. /a%20..%20b"
    " /%20... /...%20 /%C3%A0.. /..%C3%A0 /%C3%A0.%C3%A0 /..%E2%80%A6 /..%E2%80%A7 /%E2%80%90.. /%E2%81%9E.."
    " /..%E2%81%B0 /..%A1 /..%AD /..%C2 /..%C2%A1 /%E3%80%81.. /%EF%BB%BE.. /..%3Cx /..%22x /..%24x /..%3Ax /a%3F.."
    " /a%23.. /%3F /%23 /%3Fa /%23.. /%3F.. /a%09b/c%0d /%1f /%20/..a /..a/%20 /x?%20../y"
)


@pytest.mark.parametrize("path", NO_DOTS.split())
def test_a_segment_that_is_dots_to_nobody_goes_on(path: str) -> None:
    """Dots within a name, blanks without dots, and characters next to those that are trimmed."""
    assert read_target(path.encode(), b"GET")[0].raw == path.encode()


MALFORMED = [
    b"",
    b"a",
    b"a/b",
    b"?x",
    b"*",
    b"*/",
    b"/a b",
    b"/a?b c",
    b"/a\tb",
    b"/\x00",
    b"/a\x7f",
    b"/a\x1f",
    b"/\x80",
]
MALFORMED += [
    b"/\xc3\xa9",
    b"/a?\xff",
    b"/a?\x7f",
    b"/a\r\nX: y",
    b"/a\n",
    b"/a?b\n",
    b"host:80",
    b"ftp://h/",
    b"http:/h/",
]
MALFORMED += [b'/a"b', b"/<a>", b"/a^", b"/a`", b"/{a}", b"/a}"]


@pytest.mark.parametrize("raw", MALFORMED)
def test_a_target_outside_the_grammar_is_refused(raw: bytes) -> None:
    """Bytes and forms that RFC 3986 and RFC 9112 do not have are malformed."""
    assert code_of(raw) == "malformed_request"


@pytest.mark.parametrize("byte", [bytes([value]) for value in (*range(0x21), *range(0x7F, 0x100))])
def test_no_control_space_or_high_byte_gets_through(byte: bytes) -> None:
    """Every byte that is not printable ASCII is refused in the path and in the query."""
    assert (code_of(b"/a" + byte), code_of(b"/a?" + byte)) == ("malformed_request", "malformed_request")


ODD = [
    (b"/a%2fb", {b"%2F"}),
    (b"/a%2Fb%5c", {b"%2F", b"%5C"}),
    (b"/a%25b", {b"%25"}),
    (b"/a%252fb", {b"%25"}),
    (b"/a;b", {b";"}),
    (b"/a;jsessionid=1", {b";"}),
    (b"/a;", {b";"}),
    (b"/%61dmin", {b"%61"}),
    (b"/%7e%5F%2d", {b"%7E", b"%5F", b"%2D"}),
    (b"/%30%39%41%5a%61%7A", {b"%30", b"%39", b"%41", b"%5A", b"%61", b"%7A"}),
    (b"/%2f%3A%40%5B%60%7B%3B", {b"%2F"}),
    (b"/%01%1f%7F%80%FF", set()),
    (b"/a?%2f;%61", set()),
]


@pytest.mark.parametrize(("raw", "oddities"), ODD)
def test_odd_spellings_are_named(raw: bytes, oddities: set[bytes]) -> None:
    """Spellings that a route has to list are told in upper case, both sides of every range."""
    assert read_target(raw, b"GET")[0].oddities == oddities


@pytest.mark.parametrize("raw", [raw for raw, _ in ODD])
def test_odd_targets_are_kept_as_sent(raw: bytes) -> None:
    """An odd spelling is forwarded and matched in the bytes that came."""
    target, _ = read_target(raw, b"GET")
    assert target.raw == raw == b"/" + b"/".join(target.segments) + raw[len(target.path) :]


def test_every_encoded_unreserved_character_is_odd_or_refused() -> None:
    """RFC 3986 section 2.3: encoded or not it is the same character, so its encoded form is never a plain path."""
    unreserved = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_~"
    assert all(read_target(b"/%%%02x" % byte, b"GET")[0].oddities for byte in unreserved)


@pytest.mark.parametrize(
    ("raw", "on", "authority"),
    [
        (b"http://h/a?b", b"/a?b", b"h"),
        (b"HTTPS://H:8443/a", b"/a", b"H:8443"),
        (b"http://h", b"/", b"h"),
        (b"http://h?x", b"/?x", b"h"),
        (b"http://h.:80/", b"/", b"h.:80"),
        (b"http://[::1]:80/a", b"/a", b"[::1]:80"),
    ],
)
def test_absolute_form_goes_on_as_origin_form(raw: bytes, on: bytes, authority: bytes) -> None:
    """The authority is handed out as sent, the rest goes on, and an empty path is /."""
    target, named = read_target(raw, b"GET")
    assert (target.raw, named) == (on, authority)


@pytest.mark.parametrize("raw", [b"http://u@h/", b"http://u:p@h/", b"http:///a", b"http://h\\@e/", b"http://h:x/"])
def test_absolute_form_with_a_bad_authority_is_refused(raw: bytes) -> None:
    """User information, an empty host and what is no host are refused."""
    assert code_of(raw) == "bad_host"


@pytest.mark.parametrize("raw", [b"http://h/a/../b", b"http://h//", b"http://h/%2e", b"http://h#f"])
def test_absolute_form_paths_obey_the_same_rules(raw: bytes) -> None:
    """Absolute-form is no way around the rules for paths."""
    assert code_of(raw) == "ambiguous_path"


@pytest.mark.parametrize("raw", [b"*", b"http://h"])
def test_asterisk_form_has_no_segments(raw: bytes) -> None:
    """OPTIONS for the whole server goes on as * and has no path that a route could match."""
    target, _ = read_target(raw, b"OPTIONS")
    assert (target.raw, target.segments) == (b"*", [])


@pytest.mark.parametrize(("method", "on"), [(b"GET", b"/"), (b"HEAD", b"/"), (b"options", b"/"), (b"OPTIONS", b"*")])
def test_only_options_asks_for_the_whole_server(method: bytes, on: bytes) -> None:
    """An empty path in absolute-form is * for OPTIONS alone."""
    assert read_target(b"http://h", method)[0].raw == on


def test_a_target_does_not_print_its_query() -> None:
    """A token in a query is not written to a log by printing the target."""
    assert "secret" not in repr(read_target(b"/a?token=secret", b"GET")[0])


@given(st.binary(max_size=40).map(lambda tail: b"/" + tail))
@example(b"/a;b%2F?c")
def test_whatever_is_taken_comes_out_as_it_went_in(raw: bytes) -> None:
    """Hostile bytes are refused or kept: path, query and segments always rebuild the target."""
    try:
        target, _ = read_target(raw, b"GET")
    except RequestRejected:
        return
    rebuilt = b"/" + b"/".join(target.segments)
    assert raw == target.raw == rebuilt + (b"" if target.query is None else b"?" + target.query)


PIECES = st.sampled_from(
    [
        b"/",
        b"a",
        b".",
        b"..",
        b"%",
        b"2e",
        b"2F",
        b"25",
        b"5c",
        b";",
        b"%2f",
        b"%2E",
        b"%25",
        b"%00",
        b"\\",
        b"3b",
        b"?",
        b"%20",
        b"%c2%a0",
        b"%3F",
    ]
)


def decoded(path: bytes) -> bytes:
    """The path as the most eager upstream could see it: decoded until it stays, both slashes one, parameters and
    what else ends a path cut, names trimmed."""
    while (once := unquote_to_bytes(path)) != path:
        path = once
    segments = path.replace(b"\\", b"/").decode("utf-8", "replace").split("/")
    return b"/".join(re.split("[;?#]", segment)[0].strip().encode() for segment in segments)


@given(st.lists(PIECES, max_size=14).map(lambda parts: b"/" + b"".join(parts)))
def test_no_spelling_hides_a_dot_segment(raw: bytes) -> None:
    """However often an upstream decodes what was taken, it never finds a segment of dots or a NUL."""
    try:
        target, _ = read_target(raw, b"GET")
    except RequestRejected:
        return
    seen = decoded(target.path)
    assert not {b".", b".."} & set(seen.split(b"/"))
    assert b"\0" not in seen


HOSTS = [
    (b"example.org", b"example.org"),
    (b"Example.ORG:8080", b"example.org"),
    (b"example.org.", b"example.org"),
    (b"example.org.:80", b"example.org"),
    (b"example.org:", b"example.org"),
    (b"xn--bcher-kva.example", b"xn--bcher-kva.example"),
    (b"my_service", b"my_service"),
    (b"127.0.0.1:80", b"127.0.0.1"),
    (b"[::1]:80", b"[::1]"),
    (b"[2001:DB8:0::1]", b"[2001:db8::1]"),
    (b"a" * 63 + b".b", b"a" * 63 + b".b"),
    (b".".join([b"a" * 62] * 4), b".".join([b"a" * 62] * 4)),
]


@pytest.mark.parametrize(("authority", "name"), HOSTS)
def test_a_host_is_compared_by_its_name(authority: bytes, name: bytes) -> None:
    """Case, port and one trailing dot do not make another host."""
    assert read_host(authority) == name


NO_HOSTS = [
    b"",
    b".",
    b":80",
    b"a..b",
    b".a",
    b"a..",
    b"u@a",
    b"u:p@a",
    b"a b",
    b"a,b",
    b"a/b",
    b"a\\b",
    b"a#b",
    b"a?b",
    b'a"b',
]
NO_HOSTS += ["bücher.example".encode(), b"a%2eb", b"a:80:80", b"a:x", b"a:123456", b"a\n", b"a:80\n", b"a" * 64]
NO_HOSTS += [b".".join([b"a" * 63] * 4), b"[::1", b"::1", b"[]", b"[::1]x", b"[1.2.3.4]", b"[fe80::1%25eth0]", b"[:::]"]


@pytest.mark.parametrize("authority", NO_HOSTS)
def test_what_is_no_host_is_refused(authority: bytes) -> None:
    """Empty, user information, other scripts than ASCII, lists, and labels or names that are too long."""
    with pytest.raises(RequestRejected) as caught:
        read_host(authority)
    assert caught.value.code == "bad_host"


def patterns(value: object) -> Iterator[re.Pattern[Any]]:
    """Those in a module's variable: itself, the one whose method it is, or of a table."""
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(getattr(value, "__self__", None), re.Pattern):
        yield value.__self__  # type: ignore[attr-defined]
    elif isinstance(value, tuple | list):
        for one in value:
            yield from patterns(one)


def possessive(pattern: re.Pattern[Any]) -> bool:
    parsed = str(list(re._parser.parse(pattern.pattern, pattern.flags)))  # type: ignore[attr-defined]
    return "POSSESSIVE" in parsed or "ATOMIC" in parsed


def test_no_pattern_is_possessive() -> None:
    """CPython before 3.11.5 lets such ones match too much (python/cpython 106052): `/a//` was a path that nobody reads
    in two ways."""
    modules = [module for name, module in sys.modules.items() if name.startswith("gateway.")]
    found = {pattern for module in modules for value in vars(module).values() for pattern in patterns(value)}
    assert len(found) > 10
    assert [pattern.pattern for pattern in found if possessive(pattern)] == []
    assert possessive(re.compile("a*+"))
