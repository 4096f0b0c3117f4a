"""The way to Redis (or Valkey, which speaks the same): alone, behind Sentinel, as a Cluster, over TLS.

What is done there is in the modules beside. No retries, no waits of the library's own: `link` bounds every call.
"""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from copy import copy
from hashlib import sha1
from pathlib import Path
from typing import Final, Literal, Protocol, cast

from redis.asyncio import Redis
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError

SOCKET_SECONDS: Final = 1.0  # a bound on what runs without `link`: the subscriber's handshake, Sentinel's answers
CONNECTIONS: Final = 72  # calls at once (`link.CALLS`), the subscriber, a probe, and room


class Host(Protocol):
    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...


class Said(Protocol):
    """What the operator said. hosts: the server, the sentinels, or some nodes of the cluster. path: of a socket."""

    @property
    def form(self) -> Literal["memory", "single", "sentinel", "cluster", "unix"]: ...
    @property
    def tls(self) -> bool: ...
    @property
    def hosts(self) -> Sequence[Host]: ...
    @property
    def user(self) -> str: ...
    @property
    def database(self) -> int: ...
    @property
    def service(self) -> str: ...
    @property
    def path(self) -> str: ...


class Subscription(Protocol):
    """The library's PubSub, as far as it is used."""

    async def subscribe(self, *names: str) -> object: ...
    async def get_message(
        self,
        ignore_subscribe_messages: bool = False,
        timeout: float | None = 0.0,  # noqa: ASYNC109 - the library's
    ) -> Mapping[str, object] | None: ...
    async def ping(self) -> object: ...
    async def aclose(self) -> None: ...


class Client(Protocol):
    """The library's client of either kind, as far as it is used."""

    def evalsha(self, sha: str, numkeys: int, *keys_and_args: str | bytes) -> Awaitable[object]: ...
    def eval(self, script: str, numkeys: int, *keys_and_args: str | bytes) -> Awaitable[object]: ...
    def get(self, name: str) -> Awaitable[bytes | None]: ...
    def set(self, name: str, value: bytes, *, px: int, nx: bool = False) -> Awaitable[object]: ...
    def publish(self, channel: str, message: bytes) -> Awaitable[object]: ...
    def pubsub(self) -> Subscription: ...
    async def aclose(self) -> None: ...


class Script:
    """A Lua script, sent once to each server."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._digest = sha1(text.encode(), usedforsecurity=False).hexdigest()  # how EVALSHA names it

    async def run(self, client: Client, keys: Sequence[str], values: Sequence[str]) -> object:
        try:
            return await client.evalsha(self._digest, len(keys), *keys, *values)
        except NoScriptError:  # a server that was started, or took over, since
            return await client.eval(self._text, len(keys), *keys, *values)


class Sentinels(Sentinel):
    """The library moves the sentinel that answered to the front of a list that other calls go through meanwhile: they
    ask one twice and another never, and one may be lost from it, neither asked again nor closed.
    """

    async def discover_master(self, service_name: str) -> object:
        own = copy(self)
        own.sentinels = list(self.sentinels)
        found = await Sentinel.discover_master(own, service_name)
        self.sentinels = own.sentinels
        return found


def connect(said: Said, password: str | None, ca: Path | None, seconds: float = SOCKET_SECONDS) -> Client:
    """Opens nothing yet. ca: certificates that sign the server's, PEM; None for the system's. seconds: for a call."""
    options: dict[str, object] = {
        "username": said.user or None,
        "password": password,
        "socket_timeout": seconds,
        "socket_connect_timeout": seconds,
        # once more at once: a pooled connection may have been closed meanwhile. Every script bears being run twice.
        "retry": Retry(NoBackoff(), 1),
        "max_connections": CONNECTIONS,
        "protocol": 2,
        "driver_info": None,
    }
    if said.tls:
        options |= {"ssl": True, "ssl_cert_reqs": "required", "ssl_check_hostname": True}
        options["ssl_ca_certs"] = str(ca) if ca is not None else None
    return cast(Client, _client(said, options))


async def disconnect(client: Client) -> None:
    """All of it: the connections to sentinels are not closed with their client."""
    closing = [client.aclose()]
    manager = getattr(getattr(client, "connection_pool", None), "sentinel_manager", None)
    if manager is not None:
        closing.append(manager.aclose())
    for error in await asyncio.gather(*closing, return_exceptions=True):
        if error is not None:
            raise error


def _client(said: Said, options: dict[str, object]) -> object:
    first = said.hosts[0] if said.hosts else None
    match said.form:
        case "sentinel":
            # sentinels have no password of their own here, and the same TLS as the server
            own = {name: value for name, value in options.items() if name.startswith(("socket_", "ssl", "retry"))}
            at = [(host.host, host.port) for host in said.hosts]
            sentinel = Sentinels(at, sentinel_kwargs=own | {"protocol": 2})  # type: ignore[no-untyped-call]
            return sentinel.master_for(said.service, db=said.database, **options)  # type: ignore[arg-type]
        case "cluster":
            nodes = [ClusterNode(at.host, at.port) for at in said.hosts]
            return RedisCluster(startup_nodes=nodes, **options)  # type: ignore[arg-type]
        case "unix":
            return Redis(unix_socket_path=said.path, db=said.database, **options)  # type: ignore[arg-type]
        case _:
            assert first is not None
            return Redis(host=first.host, port=first.port, db=said.database, **options)  # type: ignore[arg-type]
