"""Health checks of upstreams: one GET, whose status is all that counts."""

import asyncio
import ssl
from dataclasses import dataclass
from typing import Final

import aiohttp

from gateway.errors import DependencyFailed

AGENT: Final = "mycelium-gateway-check"


@dataclass(frozen=True, slots=True)
class Target:
    """url: with the address that is connected to. host: the Host that is sent. name: that a certificate must have."""

    url: str
    host: str
    name: str
    tls: ssl.SSLContext | None


class Probe:
    """Each check has a connection of its own: an old one that still works would say nothing of the next request.

    No redirects (they would lead it to an address nobody configured), no cookies, no proxy of the environment; the body
    is not read.
    """

    def __init__(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, force_close=True, use_dns_cache=False),
            trust_env=False,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": AGENT},
            timeout=aiohttp.ClientTimeout(total=None),
        )

    async def aclose(self) -> None:
        await self._session.close()

    async def __call__(self, target: Target, seconds: float) -> int:
        """The status. Raises DependencyFailed where none came in time."""
        try:
            async with (
                asyncio.timeout(seconds),
                self._session.get(
                    target.url,
                    headers={"Host": target.host},
                    allow_redirects=False,
                    ssl=target.tls if target.tls is not None else True,
                    server_hostname=target.name if target.tls is not None else None,
                ) as response,
            ):
                return response.status
        except TimeoutError as error:
            raise DependencyFailed("upstream_timeout", "The check was not answered in time.") from error
        except aiohttp.ClientSSLError as error:
            raise DependencyFailed("upstream_unreachable", "The TLS handshake of the check failed.") from error
        except (aiohttp.ClientConnectorError, OSError) as error:
            raise DependencyFailed("upstream_unreachable", "The check found no connection.") from error
        except (aiohttp.ClientError, ValueError) as error:
            raise DependencyFailed("upstream_bad_answer", "The check's answer is not valid.") from error
