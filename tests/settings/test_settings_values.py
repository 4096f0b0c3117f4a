"""Values written as text: both sides of every form."""

from collections.abc import Callable

import pytest

from gateway.settings import values
from gateway.settings.store_url import store_url
from gateway.settings.template import literal_prefix, prefix, refused_spellings, template
from gateway.settings.values import Address, Endpoint


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (values.size, "0B", 0), (values.size, "7KiB", 7168), (values.size, "2MiB", 2 << 20),
        (values.size, "1GiB", 1 << 30), (values.size, "999999999999B", 999_999_999_999),
        (values.duration, "500ms", 0.5), (values.duration, "0s", 0.0), (values.duration, "5m", 300.0),
        (values.duration, "24h", 86400.0), (values.duration, "3650d", 315_360_000.0),
        (values.address, "127.0.0.1:8080", Address("127.0.0.1", 8080)), (values.address, "[::1]:0", Address("::1", 0)),
        (values.address, "LocalHost:65535", Address("localhost", 65535)),
        (values.endpoint, "http://127.0.0.1:9001", Endpoint("http", "127.0.0.1", 9001)),
        (values.endpoint, "https://a.b", Endpoint("https", "a.b", 443)),
        (values.endpoint, "http://a_b:1/", Endpoint("http", "a_b", 1)),
        (values.endpoint, "http://[::1]:80/x/y/", Endpoint("http", "::1", 80, b"/x/y")),
        (values.endpoint, "http://a/x%20y", Endpoint("http", "a", 80, b"/x%20y")),
        (values.url, "https://a.example/x", "https://a.example/x"),
        (values.guarded_url, "https://a.example/", "https://a.example/"),
        (values.guarded_url, "http://127.0.0.1:1/jwks", "http://127.0.0.1:1/jwks"),
        (values.guarded_url, "http://[::1]/jwks", "http://[::1]/jwks"),
        (values.guarded_url, "http://localhost:1", "http://localhost:1"),
        (values.host_name, "API.example.org", "api.example.org"), (values.host_name, "0:0::1", "::1"),
        (values.host_header, "API.example.org", "api.example.org"), (values.host_header, "[0::1]", "[::1]"),
        (values.odd_header, "User_Id", "user_id"), (values.odd_header, "x.y", "x.y"),
        (values.credential_header, "X-Service-Key", "x-service-key"),
        (values.credential_header, "x-mycelium-connection-string", "x-mycelium-connection-string"),
        (values.encoded_spelling, "%2f", "%2F"), (values.encoded_spelling, ";", ";"),
        (values.encoded_spelling, "%25", "%25"), (values.encoded_spelling, "%5c", "%5C"),
        (values.encoded_spelling, "%41", "%41"), (values.encoded_spelling, "%7e", "%7E"),
        (store_url, "sqlite:///var/x.db", "sqlite:///var/x.db"),
        (values.upstream_name, "orders-v2.eu_1", "orders-v2.eu_1"), (values.slug, "a" * 64, "a" * 64),
        (values.issuer_name, "acme", "acme"), (values.scope, "a:b.c/d", "a:b.c/d"),
    ],
)  # fmt: skip
def test_what_is_read(parse: Callable[[str], object], text: str, value: object) -> None:
    """The text gives the value."""
    assert parse(text) == value


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (values.size, "32"), (values.size, "32KB"), (values.size, "32 KiB"), (values.size, "-1B"), (values.size, ""),
        (values.size, "1.5MiB"), (values.size, "1000000000000B"), (values.size, "32KiB\n"), (values.size, "٣B"),
        (values.duration, "10"), (values.duration, "10 s"), (values.duration, "1h30m"), (values.duration, "-1s"),
        (values.duration, "1.5s"), (values.duration, "10S"), (values.duration, "٣s"),
        (values.address, "8080"), (values.address, ":8080"), (values.address, "127.0.0.1"), (values.address, "a:65536"),
        (values.address, "::1:8080"), (values.address, "[zz]:1"), (values.address, "[1.2.3.4]:1"),
        (values.address, "999.1.1.1:80"), (values.address, "a b:80"),
        (values.endpoint, "127.0.0.1:9001"), (values.endpoint, "ftp://a"), (values.endpoint, "http://"),
        (values.endpoint, "http://u:p@a"), (values.endpoint, "http://a?x"), (values.endpoint, "http://a#x"),
        (values.endpoint, "http://a:0"), (values.endpoint, "http://a:65536"), (values.endpoint, "http://a:"),
        (values.endpoint, "http://a:x"), (values.endpoint, "http://a/../b"), (values.endpoint, "http://a/./b"),
        (values.endpoint, "http://a//b"), (values.endpoint, "http://a/%2e%2e"), (values.endpoint, "http://a/%2Fb"),
        (values.endpoint, "http://a/ b"), (values.endpoint, "http://a/ü"), (values.endpoint, "http://a/b\r\nX: y"),
        (values.endpoint, "http://[::1"), (values.endpoint, "http://a\\b"), (values.endpoint, "http://a/%0d"),
        (values.url, "https://a/"), (values.url, "a.example"), (values.url, "https://u@a"), (values.url, "https://a?"),
        (values.guarded_url, "http://id.example/jwks"), (values.guarded_url, "http://10.0.0.1"),
        (values.guarded_url, "http://localhost.evil.example"), (values.guarded_url, "http://127.0.0.1.evil.example"),
        (values.guarded_url, "file:///etc/passwd"),
        (values.host_name, "a..b"), (values.host_name, "1.2.3"), (values.host_name, "*.a"), (values.host_name, "a:80"),
        (values.host_name, ""), (values.host_name, "a" * 64), (values.host_name, "ü.example"),
        (values.host_header, "::1"), (values.host_header, "a:80"), (values.host_header, "[a]"),
        (values.odd_header, "user-id"), (values.odd_header, "x_mycelium_profile"),
        (values.odd_header, "x.gateway.peer"),
        (values.odd_header, "content_length"), (values.odd_header, "X_Forwarded_For"), (values.odd_header, "a b"),
        (values.odd_header, "a_b:"), (values.odd_header, "transfer.encoding"), (values.odd_header, "authorization_x "),
        (values.credential_header, "authorization"), (values.credential_header, "cookie"),
        (values.credential_header, "x-mycelium-profile"), (values.credential_header, "x-gateway-peer"),
        (values.credential_header, "x_key"), (values.credential_header, ""),
        (values.encoded_spelling, "%2e"), (values.encoded_spelling, "%00"), (values.encoded_spelling, "%20"),
        (values.encoded_spelling, "%2"), (values.encoded_spelling, "/"), (values.encoded_spelling, "%40"),
        (values.encoded_spelling, "%5B"), (values.encoded_spelling, "%2D%2E"),
        (store_url, "postgresql+asyncpg://a/b"), (store_url, "sqlite://"), (store_url, "x.db"),
        (store_url, "sqlite:///"), (store_url, "sqlite:///:memory:"), (store_url, "sqlite:///a?b"),
        (store_url, "sqlite:///a/"), (store_url, "sqlite+aiosqlite:///a"),
        (values.upstream_name, ""), (values.upstream_name, "a b"), (values.upstream_name, "a" * 65),
        (values.upstream_name, "-a"), (values.issuer_name, "internal"), (values.slug, "A"), (values.slug, "a;b"),
        (values.slug, "a" * 65), (values.slug, "a\n"), (values.scope, "a b"), (values.scope, ""), (values.scope, 'a"'),
    ],
)  # fmt: skip
def test_what_is_not_read(parse: Callable[[str], object], text: str) -> None:
    """The text is refused with a ValueError, and with no other exception."""
    with pytest.raises(ValueError, match=r"\S"):
        parse(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [("10.0.0.0/8", "10.0.0.0/8"), ("10.1.2.3", "10.1.2.3/32"), ("::1", "::1/128"), ("fd00::/8",) * 2],
)
def test_networks(text: str, value: str) -> None:
    """An address without a length is a network of one."""
    assert str(values.network(text)) == value


@pytest.mark.parametrize("text", ["10.0.0.1/8", "10.0.0.0/33", "all", "", "10.0.0", "fe80::1%eth0/64"])
def test_what_is_no_network(text: str) -> None:
    """Host bits, wrong lengths and words are refused: a network that is wider than meant trusts strangers."""
    with pytest.raises(ValueError, match="is not an address or a network"):
        values.network(text)


def test_host_bits_are_corrected() -> None:
    """The message says which network it is."""
    with pytest.raises(ValueError, match=r"the network is 10\.0\.0\.0/8"):
        values.network("10.0.0.1/8")


def test_addresses_and_endpoints_are_written_as_they_are_read() -> None:
    """IPv6 comes back in brackets."""
    assert [str(values.address("[::1]:80")), str(values.endpoint("http://[::1]:80/x"))] == [
        "[::1]:80",
        "http://[::1]:80/x",
    ]


@pytest.mark.parametrize(
    "text",
    ["/", "/**", "/orders", "/orders/", "/orders/**", "/a/{id}", "/{a}/{b}/**", "/a-b.c~d_e/@x:y", "/%20", "/%C3%A9",
     "/a%2Fb", "/a;b", "/.well-known/x", "/a|b", "/..."],
)  # fmt: skip
def test_paths_of_routes(text: str) -> None:
    """A template goes through as written."""
    assert template(text) == text


@pytest.mark.parametrize(
    "text",
    ["", "orders", "orders/**", "//", "/a//b", "/./a", "/a/..", "/a/**/b", "/a/*", "/a*", "/**x", "/{a}b", "/{}",
     "/{1}", "/{a", "/a}", "/{a}/{a}", "/a b", "/ü", "/%2", "/%zz", "/%2e%2e", "/%2E", "/%00", "/%0a", "/a?b", "/a#b",
     "/a\\b", "/a\n", "/" + "a" * 2048],
)  # fmt: skip
def test_what_is_no_path_of_a_route(text: str) -> None:
    """A path that no request can have, or that could be read in two ways, is refused."""
    with pytest.raises(ValueError, match=r"\S"):
        template(text)


@pytest.mark.parametrize(
    ("text", "spellings"),
    [
        ("/a", set()),
        ("/a%2fb", {"%2F"}),
        ("/a;b/%41%20", {";", "%41"}),
        ("/%5C%25", {"%5C", "%25"}),
        ("/%40%5B", set()),
    ],
)
def test_spellings_that_a_route_must_allow(text: str, spellings: set[str]) -> None:
    """What requests may only hold when the route lists it, in upper case."""
    assert refused_spellings(text) == spellings


@pytest.mark.parametrize(
    ("text", "literal"), [("/a/{b}/c", "/a"), ("/a/b/**", "/a/b"), ("/**", "/"), ("/{a}", "/"), ("/a/b", "/a/b")]
)
def test_the_literal_segments_of_a_path(text: str, literal: str) -> None:
    """Everything before the first {name} or **."""
    assert literal_prefix(text) == literal


@pytest.mark.parametrize("text", ["/", "/a/", "/a/{b}", "/a/**", "a", ""])
def test_what_is_no_prefix(text: str) -> None:
    """A prefix is whole literal segments."""
    with pytest.raises(ValueError, match=r"\S"):
        prefix(text)
