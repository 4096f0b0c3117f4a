"""Fetching key sets: what is asked, what is taken, and what is not."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from harness.ports import free_port

from gateway.control.fetch import HttpFetch
from gateway.errors import DependencyFailed

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
BODY = b'{"keys":[]}'


class Site:
    """A server that answers what it is told, and keeps the headers that it was asked with."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []
        self.answer: Handler = self._plain
        application = web.Application()
        application.router.add_get("/{path:.*}", self._handle)
        self.server = TestServer(application)

    def url(self, path: str = "/jwks") -> str:
        return str(self.server.make_url(path))

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append({name.lower(): value for name, value in request.headers.items()})
        return await self.answer(request)

    async def _plain(self, request: web.Request) -> web.StreamResponse:
        return web.Response(body=BODY)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    made = Site()
    await made.server.start_server()
    yield made
    await made.server.close()


async def refused(url: str, seconds: float = 5.0, limit: int = 1 << 20) -> str:
    async with HttpFetch(seconds, limit) as fetch:
        with pytest.raises(DependencyFailed) as caught:
            await fetch(url)
    assert caught.value.code == "keys_unavailable"
    return caught.value.detail


async def test_a_document_is_fetched_whole(site: Site) -> None:
    """Status 200 and its bytes."""
    async with HttpFetch() as fetch:
        assert (await fetch(site.url())).body == BODY


async def test_what_is_asked_carries_nothing_that_could_go_wrong(site: Site) -> None:
    """No compression is asked for, no cookie sent."""
    async with HttpFetch() as fetch:
        await fetch(site.url())
    assert site.asked[0]["accept-encoding"] == "identity"
    assert "cookie" not in site.asked[0]


async def test_a_cookie_is_not_kept(site: Site) -> None:
    """Fetches know nothing of each other."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.Response(body=BODY)
        response.set_cookie("a", "b")
        return response

    site.answer = answer
    async with HttpFetch() as fetch:
        await fetch(site.url())
        await fetch(site.url())
    assert "cookie" not in site.asked[1]


@pytest.mark.parametrize(
    ("value", "max_age"),
    [
        ("", None),
        ("public", None),
        ("max-age=60", 60.0),
        ("public, MAX-AGE=60, must-revalidate", 60.0),
        ("s-maxage=60", None),
        ("max-age=", None),
        ("max-age=-1", None),
        ("max-age=1.5", None),
        ("max-age=60, no-cache", 0.0),
        ("no-store", 0.0),
    ],
)
async def test_max_age_is_read_from_cache_control(site: Site, value: str, max_age: float | None) -> None:
    """RFC 9111; what is not a number of seconds says nothing."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(body=BODY, headers={"Cache-Control": value})

    site.answer = answer
    async with HttpFetch() as fetch:
        assert (await fetch(site.url())).max_age == max_age


@pytest.mark.parametrize("status", [201, 204, 206, 400, 404, 500, 503])
async def test_any_other_status_is_a_failure(site: Site, status: int) -> None:
    """Only 200 is an answer."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status)

    site.answer = answer
    assert str(status) in await refused(site.url())


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(site: Site, status: int) -> None:
    """S-32: it could lead to an address of the inner network."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, headers={"Location": site.url("/elsewhere")})

    site.answer = answer
    await refused(site.url())
    assert len(site.asked) == 1


@pytest.mark.parametrize(("size", "taken"), [(1000, True), (1001, False)])
@pytest.mark.parametrize("chunked", [False, True])
async def test_a_document_has_a_size_limit(site: Site, size: int, taken: bool, chunked: bool) -> None:
    """S-32: both sides of it, whether the length was announced or not."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        if chunked:
            response.enable_chunked_encoding()
        else:
            response.content_length = size
        await response.prepare(request)
        await response.write(b" " * size)
        return response

    site.answer = answer
    if taken:
        async with HttpFetch(limit=1000) as fetch:
            assert len((await fetch(site.url())).body) == size
    else:
        assert "too large" in await refused(site.url(), limit=1000)


async def test_a_slow_drip_runs_out_of_time(site: Site) -> None:
    """S-32: the time is for the whole of it, not for each byte."""
    closing = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"{")
        await closing.wait()
        return response

    site.answer = answer
    await refused(site.url(), seconds=0.2)
    closing.set()


async def test_a_compressed_document_is_refused(site: Site) -> None:
    """S-32: nobody asked for one, and a small one may unpack to a huge one."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(body=b"\x1f\x8b", headers={"Content-Encoding": "gzip"})

    site.answer = answer
    assert "compressed" in await refused(site.url())


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/hostname",
        "ftp://127.0.0.1/jwks",
        "http://192.0.2.1/jwks",
        "http://id.example/jwks",
        "http://127.0.0.1.example/jwks",
        "http://localhost.example/jwks",
        "http://169.254.169.254/latest",
        "http:///jwks",
        "http://[::1/jwks",
        "jwks",
        "",
    ],
)
async def test_only_https_or_loopback_is_fetched(url: str) -> None:
    """S-32: refused before anything is resolved or connected."""
    await refused(url)


async def test_an_address_where_nobody_listens_is_a_failure() -> None:
    """Of ours, not the caller's."""
    await refused(f"http://127.0.0.1:{free_port()}/jwks")


async def test_an_answer_that_is_not_http_is_a_failure() -> None:
    """Whatever listens there."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(json.dumps({"keys": []}).encode() + b"\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        await refused(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/jwks")
