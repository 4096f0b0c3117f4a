"""How connections to endpoints are made, and what it is called when that fails."""

import asyncio
import errno
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, cast

from gateway.edge.sockets import keep_alive
from gateway.edge.upstream import UpstreamConnection
from gateway.errors import DependencyFailed
from gateway.wire.hops import ResponseNames

if TYPE_CHECKING:
    from gateway.edge.endpoint import Endpoint

Connector = Callable[["Endpoint"], Awaitable[UpstreamConnection]]


def tcp(host: str, port: int, tls: ssl.SSLContext | None = None, address: str = "") -> Connector:
    """Connects to a host, or to this address of it. tls: the certificate must name `host`."""
    names, to = ResponseNames(), address or host

    async def connector(endpoint: "Endpoint") -> UpstreamConnection:
        loop = asyncio.get_running_loop()
        connection = UpstreamConnection(endpoint, names)
        transport, _ = await loop.create_connection(
            lambda: cast(asyncio.Protocol, connection), to, port, ssl=tls, server_hostname=host if tls else None
        )
        if not transport.is_closing():
            keep_alive(transport.get_extra_info("socket"))
        return connection

    return connector


def in_process(connect: Callable[[], Awaitable[socket.socket]]) -> Connector:
    """Connects to our own application; its answers may use the reserved namespace."""
    names = ResponseNames(reserved=True)

    async def connector(endpoint: "Endpoint") -> UpstreamConnection:
        end = await connect()
        try:
            connection = UpstreamConnection(endpoint, names)
            await asyncio.get_running_loop().create_connection(lambda: cast(asyncio.Protocol, connection), sock=end)
        except BaseException:
            end.close()
            raise
        return connection

    return connector


def connect_fault(error: OSError) -> DependencyFailed:
    """What a failed connect is called. `overloaded` is our own fault, and says nothing about the endpoint."""
    if isinstance(error, TimeoutError):
        return DependencyFailed("upstream_timeout", "The connection was not made in time.")
    if isinstance(error, ssl.CertificateError):
        return DependencyFailed("upstream_unreachable", "The upstream's certificate is not valid for it.")
    if isinstance(error, ssl.SSLError):
        return DependencyFailed("upstream_unreachable", "The TLS handshake with the upstream failed.")
    if isinstance(error, socket.gaierror):
        return DependencyFailed("upstream_unreachable", "The upstream's name was not found.")
    if error.errno in _OURS:
        return DependencyFailed("overloaded", _OURS[error.errno])
    return DependencyFailed("upstream_unreachable", _THEIRS.get(error.errno or 0, "The connection was not made."))


_OURS: Final = {
    errno.EMFILE: "The gateway has no file descriptor left.",
    errno.ENFILE: "The gateway's machine has no file descriptor left.",
    errno.EADDRNOTAVAIL: "The gateway has no local port left for that address.",
    errno.ENOBUFS: "The gateway's machine has no memory left for sockets.",
}
_THEIRS: Final = {
    errno.ECONNREFUSED: "The connection was refused.",
    errno.ECONNRESET: "The connection was reset before it stood.",
    errno.EHOSTUNREACH: "The upstream's host cannot be reached.",
    errno.ENETUNREACH: "The upstream's network cannot be reached.",
    errno.ETIMEDOUT: "The upstream's host does not answer.",
}
