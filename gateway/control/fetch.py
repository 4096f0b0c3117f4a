"""Documents fetched from outside over HTTP: the key sets of issuers. No request has a say in the address."""

import ipaddress
import re
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

import aiohttp

from gateway.access.jwks import FETCH_SECONDS, MAX_BODY_BYTES, Fetched
from gateway.errors import DependencyFailed

_MAX_AGE: Final = re.compile(r"(?:^|,)\s*max-age=(\d{1,9})\s*(?=,|$)", re.IGNORECASE).search


class HttpFetch:
    """Implements `access.jwks.Fetch`. An asynchronous context manager, since it owns a session.

    No redirects (they would lead a fetch to an address nobody configured), no cookies, no proxy of the environment, no
    compression (a small body could unpack to a huge one).
    """

    def __init__(self, seconds: float = FETCH_SECONDS, limit: int = MAX_BODY_BYTES) -> None:
        """seconds: for the whole exchange. limit: bytes of body."""
        self._limit = limit
        self._session = aiohttp.ClientSession(
            trust_env=False,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            requote_redirect_url=False,
            headers={"Accept": "application/json", "Accept-Encoding": "identity"},
            timeout=aiohttp.ClientTimeout(total=seconds),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._session.close()

    async def __call__(self, url: str) -> Fetched:
        """Raises DependencyFailed("keys_unavailable") for anything but a whole, plain answer with status 200."""
        try:
            if not _is_allowed(url):
                raise DependencyFailed("keys_unavailable", "only https, or http to loopback, is fetched")
            async with self._session.get(url, allow_redirects=False) as response:
                return Fetched(await self._body(response), _max_age(response.headers.get("Cache-Control", "")))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise DependencyFailed("keys_unavailable", "the address does not answer") from error

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        if response.status != 200:
            raise DependencyFailed("keys_unavailable", f"the address answered {response.status}")
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise DependencyFailed("keys_unavailable", "the answer is compressed")
        body = bytearray()
        async for chunk in response.content.iter_chunked(65536):
            body += chunk
            if len(body) > self._limit:
                raise DependencyFailed("keys_unavailable", "the answer is too large")
        return bytes(body)


def _is_allowed(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname or ""))


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _max_age(value: str) -> float | None:
    """RFC 9111 section 5.2.2.1; no-store and no-cache come out as no life at all, which the caller bounds."""
    if "no-store" in value.lower() or "no-cache" in value.lower():
        return 0.0
    found = _MAX_AGE(value)
    return float(found[1]) if found else None
