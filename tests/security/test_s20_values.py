"""S-20, S-21: odd bytes and broken requests make no second line anywhere, no crash and no flood of words."""

import json
import random
from collections.abc import Iterator

import pytest
from harness.client import chunked, request
from harness.site import Running, Site
from harness.upstream import answering
from identity.core.desk import BASE, BOB, JSON, message, plain, seated

from .ground import FORGED, GROUPS, ground

INJECTED = b"x-mycelium-profile: " + FORGED
# line breaks as somebody may read them; each splits a value
BREAKS = (b"\r\n", b"\n", b"\r", b"\n\r", b"\r\r\n", b"\0", b"\0\r\n", b"\x0b", b"\x0c", b"\x1c", b"\x1e", b"\x7f")


@pytest.mark.parametrize("group", GROUPS)
async def test_s20_a_line_break_in_a_value_makes_no_field_of_ours(site: Site, group: str) -> None:
    """CR, LF and NUL end the request, or the line for all who read it: what follows is a field of the client's."""
    place = await ground(site)
    for cut in BREAKS:
        for value in (b"a" + cut + INJECTED, cut + INJECTED, b"a" + cut, cut):
            answer = await place.ask(group, b"X-Mine: " + value)
            found = [got for got in place.upstream.requests if FORGED in got.raw]
            assert (value, found) == (value, [])
            if cut != b"\r\n":
                assert (value, answer.status, answer.code) == (value, 400, "malformed_request")
    lines = await place.running.lines()
    assert len(lines) == len(BREAKS) * 4
    assert FORGED.decode() not in str(lines)


NAMES = (
    b"X-Mine",
    b"User-Agent",
    b"Cookie",
    b"Referer",
    b"Accept-Language",
    b"Content-Type",
    b"traceparent",
    b"tracestate",
)


async def test_s20_every_high_byte_arrives_as_it_was_sent(site: Site) -> None:
    """0x80 to 0xff: NEL, no-break space, halves of surrogates, broken UTF-8. One line of the log for each request."""
    upstream = await site.upstream()
    running = await site.gateway(upstream)
    client = await site.client(running)
    odd = [bytes((byte,)) for byte in range(0x80, 0x100)]
    odd += [
        b"\xed\xb2\x80",
        b"\xed\xa0\x80\xed\xb0\x80",
        b"\xe2\x80\xa8",
        b"\xe2\x80\xa9",
        b"\xc2\x85",
        b"\xc0\x8a",
        b"\xff\xfe",
    ]
    values = [form % byte for byte in odd for form in (b"%b", b"a%bb", b"%badmin%%0d%%0a")]
    for value in values:
        fields = [name + b": " + value for name in NAMES[:6]]
        assert (await client.ask("/public/x", *fields, *(name + b": " + value for name in NAMES[6:]))).status == 200
    assert [got.one(b"x-mine") for got in upstream.requests] == values
    assert [got.one(b"user-agent") for got in upstream.requests] == values
    path = running.people.folder / "access.log"
    assert len(await running.lines()) == len(values)
    assert path.read_bytes().isascii()


def claims(value: bytes) -> list[bytes]:
    """Where a client's own words may come to be shown."""
    return [
        b"User-Agent: " + value,
        b"X-Forwarded-For: " + value,
        b"Forwarded: for=" + value,
        b"x-mycelium-request-id: " + value,
        b"traceparent: " + value,
        b"Authorization: Bearer " + value,
        b"x-mycelium-connection-string: " + value,
        b"x-mycelium-tenant-id: " + value,
        b"Origin: " + value,
        b"Cookie: mfa=" + value,
    ]


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize("path", ["/public/x", "/secure/x", "/nowhere", "/_adm/beginners/profile"])
async def test_s20_no_log_has_more_lines_than_requests(site: Site, path: str, form: str) -> None:
    """In both forms, with the words of a trusted proxy, whatever is in them: printable, and one line each."""
    said = {"access": "./access.log", "format": form}
    running = await site.gateway(await site.upstream(), log=said, listen={"trusted_proxies": ["127.0.0.1"]})
    count = 0
    for value in (
        b'\x85\xe2\x80\xa8{"x":1}',
        b"\xed\xb2\x80",
        b"\xff",
        b"a\tb",
        b'"},{"',
        b"\\n\\u000a",
        b"%0d%0a",
        b"\x9b31m",
    ):
        for claim in (*claims(value), *claims(b"127.0.0.1" + value)):
            client = await site.client(running)
            await client.ask(path, claim)
            count += 1
            client.close()
    await running.stop()
    raw = (running.people.folder / "access.log").read_bytes()
    assert raw.count(b"\n") == len(raw.splitlines()) == count
    assert not [byte for byte in raw.replace(b"\n", b"") if byte < 0x20 or byte > 0x7E]
    assert not running.log.lines


@pytest.mark.parametrize("odd", [b"a\rb", b"a\nb", b"a\0b", b"a\r\n b", b"a\x01b", b"a\x7fb"])
async def test_s20_nor_does_an_upstream_break_a_line(site: Site, odd: bytes) -> None:
    """Such an answer is none: 502, and nothing of it comes through."""
    raw = b"HTTP/1.1 200 OK\r\nX-Odd: %b\r\nContent-Length: 2\r\n\r\nok" % odd.replace(b"b", b"Set-Cookie: s=evil")
    client = await site.client(await site.gateway(await site.upstream(answering(raw))))
    answer = await client.ask()
    assert (answer.status, answer.code, answer.all(b"set-cookie")) == (502, "upstream_bad_answer", [])


@pytest.mark.parametrize(
    "address",
    ["bob@example.org\r\nBcc: eve@evil.test", "bob@example.org\nX: y", "bob\0@example.org", "bob@example.org\udc80"],
)
async def test_s20_an_address_puts_nothing_into_a_mail(site: Site, address: str) -> None:
    """It is no address, and nobody gets a mail."""
    desk = await seated(site)
    body = json.dumps({"email": address}).encode()
    answer = await desk.send("POST", f"{BASE}/users/magic-link/request", JSON, body=body)
    assert 400 <= answer.status < 500
    await desk.quiet()
    assert not list(desk.outbox.glob("*.eml"))


async def test_s20_nor_does_what_a_browser_calls_itself(site: Site) -> None:
    """The mail tells it: on one line, and in no header."""
    desk = await seated(site)
    agent = b"User-Agent: Mozilla/5.0 (X11\x85\xe2\x80\xa8Bcc: eve@evil.test\xed\xb2\x80\xff) Firefox/130"
    body = json.dumps({"email": BOB}).encode()
    answer = await desk.send("POST", f"{BASE}/users/magic-link/request", JSON, agent, body=body)
    assert answer.status == 200
    await desk.quiet()
    (mail,) = desk.outbox.glob("*.eml")
    assert "evil.test" not in str(message(mail).items())
    assert not any(line.startswith("Bcc") for line in plain(mail).splitlines())


SECRET = b"SeCrEt-0451"


def malformed(count: int) -> Iterator[bytes]:
    """Requests that nobody can read, each with a word in it that must not be repeated."""
    draw = random.Random(7)
    whole = (
        request("/public/" + SECRET.decode(), b"X-Mine: " + SECRET, b"Content-Length: 5", method="POST") + SECRET[:5]
    )
    shapes = (
        lambda: SECRET + b"\0\xff\r\n\r\n",
        lambda: b"GET /%b HTTP/1.1\r\n\r\n" % SECRET,
        lambda: b"GET /%b HTTP/9.9\r\nHost: %b\r\n\r\n" % (SECRET, SECRET),
        lambda: request("/" + SECRET.decode() + "/%2e%2e"),
        lambda: request("/x", b"%b : 1" % SECRET),
        lambda: request("/x", b"X_%b: 1" % SECRET),
        lambda: request("/x", b"X-Mine: %b\0%b" % (SECRET, SECRET)),
        lambda: request("/x", b"Transfer-Encoding: %b" % SECRET, method="POST"),
        lambda: request("/x", b"Transfer-Encoding: chunked", method="POST") + chunked(SECRET, last=SECRET + b"\r\n"),
        lambda: request("/x", b"Content-Length: " + SECRET, method="POST"),
        lambda: request("/x", host=SECRET + b"@gateway.test"),
        lambda: request(f"http://{SECRET.decode()}/x"),
        lambda: request("/x", b"Authorization: Bearer " + SECRET, b"Authorization: Bearer " + SECRET),
        lambda: request("/x" + SECRET.decode() * 800),
        lambda: request("/x", b"X-Mine: " + SECRET * 800),
        lambda: request("/x", b"X-Mine: \x1b[31m" + SECRET),
        lambda: b"\x16\x03\x01" + SECRET + draw.randbytes(40) + b"\r\n\r\n",
    )
    for number in range(count):
        raw = shapes[number % (len(shapes) + 3)]() if number % (len(shapes) + 3) < len(shapes) else b""
        if not raw:  # one byte of a whole request is another one
            at = draw.randrange(0, 10)
            raw = whole[:at] + bytes((draw.choice(b"\0\x01\x80\xff\r\n"),)) + whole[at + 1 :]
        yield raw


async def answered(site: Site, running: Running, raw: bytes) -> bytes:
    client = await site.client(running)
    await client.send(raw)
    client.half_close()
    try:
        return await client.rest()
    finally:
        client.close()


async def test_s21_a_thousand_malformed_requests_are_a_thousand_short_lines(site: Site) -> None:
    """No traceback, no word of theirs in any answer or line, and the gateway goes on."""
    running = await site.gateway(await site.upstream())
    statuses: dict[bytes, int] = {}
    for raw in malformed(1000):
        answer = await answered(site, running, raw)
        assert SECRET not in answer
        assert len(answer) < 1024
        statuses[answer[9:12]] = statuses.get(answer[9:12], 0) + 1
    assert set(statuses) <= {b"400", b"414", b"431"}
    assert sum(statuses.values()) == 1000
    assert running.log.lines == []
    client = await site.client(running)
    assert (await client.ask()).status == 200
    await running.stop()
    raw_log = (running.people.folder / "access.log").read_bytes()
    lines = raw_log.splitlines()
    assert len(lines) == 1001
    assert max(map(len, lines)) < 1024
    assert SECRET not in raw_log
    assert {json.loads(line)["status"] for line in lines} == {200, 400, 414, 431}


async def test_s21_the_longest_line_is_bounded_by_the_limits(site: Site) -> None:
    """Of a request that can be read, as long as it may be; what is over it is refused, and not logged."""
    running = await site.gateway(await site.upstream())
    client = await site.client(running)
    long = "/public/" + "%22" * 2700
    host = b".".join([b"a" * 60] * 4) + b".test"
    for path in (long, long + "?" + "q" * 80):
        assert (await client.ask(path, running.people.ada.field, host=host)).status in (200, 414)
    assert (await client.ask(long + "%22" * 100)).status == 414
    await running.stop()
    lines = (running.people.folder / "access.log").read_bytes().splitlines()
    assert len(lines) == 3
    assert max(map(len, lines)) < 8192 + 1024


async def test_s21_a_traceback_would_have_been_seen(site: Site) -> None:
    """What the tests above look at is where one of ours comes to be told."""
    site.expected_errors = True
    running = await site.gateway(await site.upstream())
    try:
        raise ZeroDivisionError
    except ZeroDivisionError as error:
        running.gateway.edge.report(error)
    assert len(running.log.errors) == 1
