"""Who the client is, and what upstreams are told about it."""

import ipaddress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.wire.peer import (
    MAX_HOPS,
    TrustedProxies,
    forwarded_fields,
    forwarded_prefix,
    forwarded_rest,
    normal_address,
)
from gateway.wire.target import read_host

FOR, PROTO, HOST, FORWARDED = b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"forwarded"
PROXY = "10.0.0.1"
PROXIES = TrustedProxies(["10.0.0.0/8", "2001:db8:f::/48"])
Fields = tuple[tuple[bytes, bytes], ...]


@pytest.mark.parametrize(
    ("socket_ip", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("127.0.0.1", "127.0.0.1"),
        ("::ffff:127.0.0.1", "127.0.0.1"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("", ""),
        ("/run/x.sock", ""),
    ],
)
def test_a_socket_address_has_one_spelling(socket_ip: str, address: str) -> None:
    """IPv4-mapped is IPv4, zones are dropped, sockets without addresses have none."""
    assert PROXIES.resolve(socket_ip, ()).address == address == normal_address(socket_ip)


LIES = [
    (b"x-forwarded-for", b"127.0.0.1"),
    (b"x-forwarded-proto", b"https"),
    (b"x-forwarded-host", b"evil.example"),
    (b"x-forwarded-port", b"443"),
    (b"x-forwarded-prefix", b"/x"),
    (b"x-forwarded-uri", b"/public"),
    (b"x-forwarded-method", b"GET"),
    (b"x-forwarded-server", b"evil"),
    (b"forwarded", b"for=127.0.0.1;proto=https;host=evil.example"),
    (b"x-real-ip", b"127.0.0.1"),
    (b"true-client-ip", b"127.0.0.1"),
]


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("proxies", [PROXIES, TrustedProxies([])])
def test_a_stranger_is_not_believed(proxies: TrustedProxies, lie: tuple[bytes, bytes]) -> None:
    """From a socket that is no trusted proxy each forwarding header is only a sign that it is not direct."""
    peer = proxies.resolve("192.0.2.1", (lie,))
    assert (peer.address, peer.scheme, peer.host, peer.direct) == ("192.0.2.1", None, None, False)


@pytest.mark.parametrize("lie", LIES)
def test_upstreams_are_not_told_what_a_stranger_says(lie: tuple[bytes, bytes]) -> None:
    """The lines for the upstream are the same with and without the lie."""
    told = [forwarded_fields(PROXIES.resolve("192.0.2.1", lies), b"h", b"http") for lies in ((), (lie,))]
    assert told[0] == told[1]


@pytest.mark.parametrize("socket_ip", ["192.0.2.1", "127.0.0.1", PROXY])
def test_without_forwarding_headers_a_peer_is_direct(socket_ip: str) -> None:
    """The socket is the client's own."""
    peer = PROXIES.resolve(socket_ip, ())
    assert (peer.address, peer.direct, peer.chain) == (socket_ip, True, (socket_ip,))


@pytest.mark.parametrize(("socket_ip", "trusted"), [("192.0.2.1", False), (PROXY, True), ("", False)])
@pytest.mark.parametrize("forwarding", [(), ((FOR, b"192.0.2.9"),)])
def test_a_peer_tells_whether_its_socket_is_believed(socket_ip: str, trusted: bool, forwarding: Fields) -> None:
    """With and without forwarding headers."""
    assert PROXIES.resolve(socket_ip, forwarding).trusted is trusted


@pytest.mark.parametrize("name", [b"x-real-ip", b"true-client-ip", b"x-forwarded-port"])
def test_other_headers_are_not_believed_from_a_proxy_either(name: bytes) -> None:
    """Only the two dialects name the client, but any forwarding header means that somebody forwarded."""
    peer = PROXIES.resolve(PROXY, ((name, b"192.0.2.9"),))
    assert (peer.address, peer.direct) == (PROXY, False)


WALKS = [
    ([b"192.0.2.9"], "192.0.2.9"),
    ([b"127.0.0.1, 192.0.2.9"], "192.0.2.9"),
    ([b"127.0.0.1", b"192.0.2.9"], "192.0.2.9"),
    ([b"1.1.1.1, 192.0.2.9, 10.1.1.1"], "192.0.2.9"),
    ([b"1.1.1.1,192.0.2.9\t,\t10.1.1.1 , 10.2.2.2"], "192.0.2.9"),
    ([b"10.3.3.3, 10.2.2.2"], "10.3.3.3"),
    ([b"192.0.2.9:4711"], "192.0.2.9"),
    ([b"2001:db8::9"], "2001:db8::9"),
    ([b"[2001:DB8::9]"], "2001:db8::9"),
    ([b"[2001:db8::9]:4711"], "2001:db8::9"),
    ([b"192.0.2.9, 2001:db8:f::1"], "192.0.2.9"),
    ([b"::ffff:192.0.2.9"], "192.0.2.9"),
    ([b"192.0.2.9, ::ffff:10.1.1.1"], "192.0.2.9"),
    ([b"192.0.2.9, 9.255.255.255"], "9.255.255.255"),
    ([b"192.0.2.9, 10.255.255.255"], "192.0.2.9"),
    ([b"192.0.2.9, 11.0.0.0"], "11.0.0.0"),
]
GARBAGE = [b"unknown", b"_hidden", b"", b"1.2.3", b"1.2.3.256", b"01.2.3.4", b"1.2.3.4:x", b"1.2.3.4:123456", b"::1]"]
GARBAGE += [
    b"[::1",
    b"[1.2.3.4]",
    b"fe80::1%eth0",
    b"localhost",
    b"1.2.3.4 5.6.7.8",
    b"'1.2.3.4'",
    b"\xff",
    b"1.2.3.4\n",
]


@pytest.mark.parametrize(("values", "address"), WALKS)
def test_the_first_hop_from_the_right_that_is_not_trusted_is_the_client(values: list[bytes], address: str) -> None:
    """X-Forwarded-For is read from right to left over all its lines, in every spelling of an address."""
    assert PROXIES.resolve(PROXY, tuple((FOR, value) for value in values)).address == address


@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_ends_the_walk(garbage: bytes) -> None:
    """The client is the hop before what cannot be read, never what stands left of it."""
    peers = [PROXIES.resolve(PROXY, ((FOR, b"192.0.2.9, " + garbage + end),)) for end in (b"", b", 10.1.1.1")]
    assert [peer.address for peer in peers] == [PROXY, "10.1.1.1"]


@pytest.mark.parametrize(
    ("value", "address"),
    [
        (b"for=192.0.2.9", "192.0.2.9"),
        (b"For=192.0.2.9;Proto=https", "192.0.2.9"),
        (b'for="192.0.2.9:80"', "192.0.2.9"),
        (b'for="[2001:db8::9]"', "2001:db8::9"),
        (b'by=10.0.0.1; for="[2001:db8::9]:4711" ;proto=http', "2001:db8::9"),
        (b"for=127.0.0.1, for=192.0.2.9, for=10.1.1.1", "192.0.2.9"),
        (b'for=127.0.0.1, for=192.0.2.9, for="[2001:db8:f::1]"', "192.0.2.9"),
        (b'for=", for=192.0.2.9', "192.0.2.9"),
        (b"for=10.3.3.3, for=10.2.2.2", "10.3.3.3"),
    ],
)
def test_forwarded_is_read_in_the_same_way(value: bytes, address: str) -> None:
    """RFC 7239 elements from right to left; a quote left open by the client does not hide what the proxy wrote."""
    assert PROXIES.resolve(PROXY, ((FORWARDED, value),)).address == address


GARBLED = [
    b"for=unknown",
    b"for=_x",
    b"proto=https",
    b"for=[::1]",
    b"for",
    b"for=",
    b"for =1.2.3.4",
    b"for=1.2.3.4;for=1.1.1.1",
]
GARBLED += [b'for="1.2.3.4', b'for="1\\.2.3.4"', b"for=1.2.3.4;;", b"=", b"", b'for="1.2.3.4";x', b'for=""']


@pytest.mark.parametrize("garbage", GARBLED)
def test_garbage_ends_the_walk_in_forwarded_too(garbage: bytes) -> None:
    """An element without an address, outside the grammar, or saying one thing twice."""
    peers = [
        PROXIES.resolve(PROXY, ((FORWARDED, b"for=9.9.9.9, " + garbage + end),)) for end in (b"", b", for=10.1.1.1")
    ]
    assert [peer.address for peer in peers] == [PROXY, "10.1.1.1"]


@pytest.mark.parametrize(("hops", "address"), [(MAX_HOPS - 1, "192.0.2.9"), (MAX_HOPS, "10.1.1.1")])
def test_no_more_hops_are_read_than_the_limit(hops: int, address: str) -> None:
    """The client stands at the last place that is read, and one place further left it is out of sight."""
    value = b"192.0.2.9" + b", 10.1.1.1" * hops
    assert PROXIES.resolve(PROXY, ((FOR, value),)).address == address


SAID: list[tuple[Fields, bytes | None, bytes | None]] = [
    (((PROTO, b"https"),), b"https", None),
    (((PROTO, b"HTTPS"), (HOST, b"a.example:8443")), b"https", b"a.example:8443"),
    (((FOR, b"192.0.2.9"), (PROTO, b"https"), (HOST, b"a.example")), b"https", b"a.example"),
    # each proxy appends: the client's place counts
    (((FOR, b"192.0.2.9, 10.1.1.1"), (PROTO, b"https, http")), b"https", None),
    (((FOR, b"1.1.1.1, 192.0.2.9"), (PROTO, b"https, http"), (HOST, b"evil, a.example")), b"http", b"a.example"),
    # the nearest overwrites, or the lists do not match: its word counts
    (((FOR, b"192.0.2.9, 10.1.1.1"), (PROTO, b"https")), b"https", None),
    (((FOR, b"192.0.2.9"), (PROTO, b"https, http")), b"http", None),
    (((FOR, b"unknown"), (PROTO, b"https")), b"https", None),
    (((PROTO, b"ftp"), (HOST, b"u@evil")), None, None),
    (((PROTO, b""), (HOST, b"")), None, None),
    (((HOST, b'a";for=1.2.3.4'),), None, None),
    (((FORWARDED, b"for=192.0.2.9;proto=https;host=a.example"),), b"https", b"a.example"),
    (((FORWARDED, b'for=192.0.2.9;host="a.example:8443"'),), None, b"a.example:8443"),
    (((FORWARDED, b"for=192.0.2.9;proto=https, for=10.1.1.1;proto=http"),), b"https", None),
    (((FORWARDED, b"for=1.1.1.1;proto=https;host=evil, for=192.0.2.9"),), None, None),
    (((FORWARDED, b"proto=https"),), b"https", None),
]


@pytest.mark.parametrize(("forwarding", "scheme", "host"), SAID)
def test_a_trusted_proxy_tells_scheme_and_host(forwarding: Fields, scheme: bytes | None, host: bytes | None) -> None:
    """What was said about the client itself, if it is a scheme and a host at all."""
    peer = PROXIES.resolve(PROXY, forwarding)
    assert (peer.scheme, peer.host) == (scheme, host)


BOTH: list[tuple[bytes, Fields, str, bytes | None, bytes | None]] = [
    (b"for=192.0.2.9", ((FOR, b"192.0.2.9"),), "192.0.2.9", None, None),
    (b"for=192.0.2.9;proto=https", ((FOR, b"192.0.2.9"), (PROTO, b"https")), "192.0.2.9", b"https", None),
    (b"for=192.0.2.9;proto=https", ((FOR, b"192.0.2.9"), (PROTO, b"http")), "192.0.2.9", None, None),
    (b"for=192.0.2.9;proto=https;host=evil.example", ((FOR, b"192.0.2.9"),), "192.0.2.9", None, None),
    (b"for=192.0.2.9;host=a", ((FOR, b"192.0.2.9"), (HOST, b"a")), "192.0.2.9", None, b"a"),
    (b"for=127.0.0.1;proto=https;host=a", ((FOR, b"192.0.2.9"), (PROTO, b"https"), (HOST, b"a")), PROXY, None, None),
    (b"for=192.0.2.9", ((FOR, b"127.0.0.1"),), PROXY, None, None),
    (b"host=evil.example", ((FOR, b"192.0.2.9"), (HOST, b"a")), PROXY, None, None),
    (b"for=192.0.2.9;proto=https", ((PROTO, b"https"),), PROXY, None, None),
]


@pytest.mark.parametrize(("forwarded", "others", "address", "scheme", "host"), BOTH)
def test_two_dialects_are_believed_where_they_agree(
    forwarded: bytes, others: Fields, address: str, scheme: bytes | None, host: bytes | None
) -> None:
    """One of them may be the client's own: another client, scheme or host in the other voids it."""
    peer = PROXIES.resolve(PROXY, ((FORWARDED, forwarded), *others))
    assert (peer.address, peer.scheme, peer.host) == (address, scheme, host)


def test_a_forwarded_client_is_not_direct() -> None:
    """Not even one on loopback: setup and resets ask for a direct peer."""
    assert not PROXIES.resolve(PROXY, ((FOR, b"127.0.0.1"),)).direct


LINES: list[tuple[str, Fields, bytes]] = [
    (
        "192.0.2.1",
        (),
        b"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\n"
        b'Forwarded: for=192.0.2.1;proto=http;host="h:80"\r\nX-Forwarded-Host: h:80\r\n',
    ),
    (
        "2001:db8::1",
        (),
        b"X-Forwarded-For: 2001:db8::1\r\nX-Forwarded-Proto: http\r\n"
        b'Forwarded: for="[2001:db8::1]";proto=http;host="h:80"\r\nX-Forwarded-Host: h:80\r\n',
    ),
    (
        "",
        (),
        b"X-Forwarded-For: unknown\r\nX-Forwarded-Proto: http\r\n"
        b'Forwarded: for=unknown;proto=http;host="h:80"\r\nX-Forwarded-Host: h:80\r\n',
    ),
    (
        PROXY,
        ((PROTO, b"https"), (HOST, b"a.example")),
        b"X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: https\r\n"
        b'Forwarded: for=10.0.0.1;proto=https;host="a.example"\r\nX-Forwarded-Host: a.example\r\n',
    ),
    (
        PROXY,
        ((FOR, b"1.1.1.1, 2001:db8::9, 10.2.2.2"), (PROTO, b"https"), (HOST, b"a.example")),
        b"X-Forwarded-For: 2001:db8::9, 10.2.2.2, 10.0.0.1\r\nX-Forwarded-Proto: https\r\n"
        b'Forwarded: for="[2001:db8::9]";proto=https;host="a.example", for=10.2.2.2, '
        b'for=10.0.0.1;proto=http;host="h:80"\r\nX-Forwarded-Host: a.example\r\n',
    ),
    (
        PROXY,
        ((FOR, b"192.0.2.9"),),
        b"X-Forwarded-For: 192.0.2.9, 10.0.0.1\r\nX-Forwarded-Proto: http\r\n"
        b'Forwarded: for=192.0.2.9;proto=http, for=10.0.0.1;proto=http;host="h:80"\r\nX-Forwarded-Host: h:80\r\n',
    ),
]


@pytest.mark.parametrize(("socket_ip", "forwarding", "lines"), LINES)
def test_upstreams_are_told_the_believed_chain(socket_ip: str, forwarding: Fields, lines: bytes) -> None:
    """A stranger as we saw it; from a proxy the chain up to the client, and the proxy itself added."""
    assert forwarded_fields(PROXIES.resolve(socket_ip, forwarding), b"h:80", b"http") == lines


def test_the_two_parts_make_the_whole() -> None:
    """A connection may keep the prefix and add the rest for each request."""
    peer = PROXIES.resolve("192.0.2.1", ())
    assert forwarded_prefix(peer, b"http") + forwarded_rest(peer, b"h") == forwarded_fields(peer, b"h", b"http")


def test_a_stranger_is_the_same_object_each_time() -> None:
    """What was made of a peer can be kept by its identity."""
    assert PROXIES.resolve("192.0.2.77", ()) is PROXIES.resolve("192.0.2.77", ())


def test_more_strangers_than_are_remembered_are_still_told_apart() -> None:
    """The memory of addresses starts over when it is full."""
    proxies = TrustedProxies([])
    addresses = [f"10.1.{index // 256}.{index % 256}" for index in range(4098)]
    assert [proxies.resolve(address, ()).address for address in addresses] == addresses


@pytest.mark.parametrize("network", ["10.0.0.1/8", "10.0.0.0/33", "proxy", ""])
def test_what_is_no_network_is_refused(network: str) -> None:
    """A slip in the configuration does not become trust in something else."""
    with pytest.raises(ValueError, match=r".+"):
        TrustedProxies([network])


@given(
    st.lists(
        st.tuples(
            st.sampled_from([FOR, PROTO, HOST, FORWARDED, b"x-real-ip"]),
            st.one_of(st.binary(max_size=30), st.text('for=;,"\\ 1.0:[]hostp', max_size=30).map(str.encode)),
        ),
        max_size=4,
    )
)
def test_hostile_forwarding_makes_lines_of_ours_only(forwarding: list[tuple[bytes, bytes]]) -> None:
    """Whatever arrives through a proxy: four lines, no other byte than printable ASCII, a host that is one."""
    peer = PROXIES.resolve(PROXY, forwarding)
    lines = forwarded_fields(peer, b"h", b"http").split(b"\r\n")
    assert peer.host is None or read_host(peer.host)
    assert len(lines) == 5
    assert all(line.decode("ascii").isprintable() for line in lines)


@pytest.mark.parametrize(
    ("address", "expected"),
    [("10.1.2.3", True), ("::ffff:10.1.2.3", True), ("11.1.2.3", False), ("::1", True), ("::2", False), ("", False)],
)
def test_who_is_believed_is_seen_by_the_sockets_address(address: str, expected: bool) -> None:
    """IPv4 in IPv6 is IPv4; a socket without an address is nobody's."""
    assert TrustedProxies(["10.0.0.0/8", "::1"]).believes(address) is expected


@given(
    address=st.ip_addresses(),
    network=st.ip_addresses(),
    bits=st.integers(0, 128),
)
@example(ipaddress.ip_address("0.0.0.1"), ipaddress.ip_address("::"), 96)
def test_a_network_has_the_addresses_that_it_says(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
    network: ipaddress.IPv4Address | ipaddress.IPv6Address,
    bits: int,
) -> None:
    """Of its own family: 0.0.0.1 is not in the network of ::1."""
    length = min(bits, network.max_prefixlen)
    around = ipaddress.ip_network((network, length), strict=False)
    near = around.network_address + int(address) % around.num_addresses
    last = around.broadcast_address
    beyond = last + 1 if int(last) + 1 < 1 << last.max_prefixlen else last
    believing = TrustedProxies([str(around)])
    for asked in (address, near, beyond):
        normal = ipaddress.ip_address(normal_address(str(asked)))
        assert believing.believes(str(asked)) is (normal in around)


@given(st.one_of(st.from_regex(r"[0-9]{0,4}(\.[0-9]{0,4}){2,4}", fullmatch=True), st.text(max_size=20)))
@example("010.0.0.1")
@example("10.0.0.1\0")
@example("10.0.0.1%1")
@example("\ud800")
def test_what_is_an_address_is_what_the_library_says(text: str) -> None:
    """Each has one spelling."""
    try:
        parsed = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        assert normal_address(text) == ""
    else:
        assert normal_address(text) == str(getattr(parsed, "ipv4_mapped", None) or parsed)


def test_nobody_is_believed_without_networks() -> None:
    """Least of all this machine."""
    assert not TrustedProxies([]).believes("127.0.0.1")
