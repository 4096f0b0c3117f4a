"""Labels are bounded: whatever strangers send, the number of series that a gateway exports stays what it was."""

import asyncio
import base64
import json
from collections.abc import Iterator

from harness.client import Client, request
from harness.site import Running, Site
from harness.upstream import Line

FLOOD = 400  # of each kind
ISSUER = {
    "name": "acme",
    "issuer": "https://id.example",
    "jwks_url": "http://127.0.0.1:1/jwks",
    "audiences": ["gateway"],
    "algorithms": ["RS256"],
}


def hostile(number: int) -> Iterator[bytes]:
    """One request of each kind, unlike those with other numbers. None of them ends its connection."""
    odd = f"x{number:x}y"
    yield request(f"/public/{odd}")
    yield request(f"/{odd}/{odd}?{odd}={odd}")
    yield request(f"/public/{odd}", host=f"{odd}.example".encode())
    yield request(f"/auth/{odd}", f"Authorization: Bearer {odd}".encode())
    yield request(f"/auth/{odd}", f"Authorization: {odd} {odd}".encode())
    yield request(f"/auth/{odd}", b"Authorization: Bearer " + unsigned(kid=odd, iss="https://id.example"))
    yield request(f"/auth/{odd}", b"Authorization: Bearer " + unsigned(kid="k", iss=f"https://{odd}.example"))
    yield request(f"/auth/{odd}", f"x-mycelium-connection-string: acc={odd};sig={odd}".encode())
    yield request(f"/public/{odd}", f"{odd}: {odd}".encode(), b"X-Forwarded-For: 192.0.2.%d" % (number % 256))
    yield request(f"/_adm/beginners/{odd}")
    yield request(f"/_adm/beginners/users/magic-link/display/{odd}")


def unsigned(kid: str, iss: str) -> bytes:
    parts = ({"alg": "RS256", "kid": kid}, {"iss": iss, "sub": kid, "aud": "gateway", "exp": 4_000_000_000})
    return b".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (*parts, {}))


def ending(number: int) -> Iterator[bytes]:
    """Such that the connection ends with them."""
    odd = f"X{number:X}Y"
    yield request("/public/x", method=odd)
    yield request(f"/public/%2e%2e/{odd}")
    yield f"{odd} nonsense\r\n\r\n".encode()
    yield request("/public/x", host=f"{odd}@{odd}".encode())
    yield request("/public/x", f"Transfer-Encoding: {odd}".encode())
    yield request("/public/x", version=f"HTTP/{3 + number % 7}.{number % 10}")


async def series(running: Running) -> set[str]:
    text = (await asyncio.to_thread(running.gateway.metrics)).decode()
    return {line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")}


async def answered(client: Client, requests: list[bytes]) -> list[int]:
    await client.send(*requests)
    return [(await client.answer()).status for _ in requests]


async def test_no_stranger_makes_a_series(site: Site) -> None:
    """Odd methods, paths, hosts, headers, tokens with their key ids and issuers: one of each, then thousands."""
    running = await site.gateway(await site.upstream(), issuers=[ISSUER])
    client = await site.client(running)

    async def flood(numbers: range) -> set[int]:
        statuses: set[int] = set()
        for number in numbers:
            statuses.update(await answered(client, list(hostile(number))))
        return statuses

    async def end(numbers: range) -> set[int]:
        statuses: set[int] = set()
        for number in numbers:
            for sent in ending(number):
                short = await site.client(running)
                statuses.update(await answered(short, [sent]))
                short.close()
        return statuses

    first = await flood(range(16)) | await end(range(16))
    before = await series(running)
    then = await flood(range(16, FLOOD)) | await end(range(16, FLOOD // 4))
    assert {200, 400, 401, 404} <= then <= first | {429}
    assert await series(running) - before == set()


async def test_a_services_reasons_and_statuses_make_a_bounded_number(site: Site) -> None:
    """An upstream may answer any of 900 statuses, with any reason phrase: ten classes."""

    async def odd(line: Line) -> None:
        for status in range(200, 1000):
            await line.request()
            line.send(b"HTTP/1.1 %d odd-%d\r\ncontent-length: 0\r\n\r\n" % (status, status))

    running = await site.gateway(await site.upstream(odd))
    client = await site.client(running)
    for _ in range(200, 1000):
        await client.send(request())
        head = await client.head()
        assert head.status >= 200
    found = [name for name in await series(running) if name.startswith("gateway_upstream_requests_total")]
    assert len(found) == 8
