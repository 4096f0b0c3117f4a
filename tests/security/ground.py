"""The groups of routes, and one upstream that keeps what arrives on any of them, our own application's included."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

from edge.test_decide import DECIDE, KINDS, about
from edge.test_tunnel import HANDSHAKE, SWITCH
from harness.client import Answer, Client, request
from harness.people import People, api_key
from harness.site import Running, Site
from harness.upstream import OK, Got, Line, Upstream

__all__ = [
    "ASKING", "CONNECTION_STRING", "DECIDE", "FORGED", "GROUPS", "OURS", "PATHS", "PROXIED", "Ground", "api_key",
    "ground", "question", "reserved", "serve",
]  # fmt: skip

FORGED: Final = b"forged-by-the-client"
PATHS: Final[Mapping[str, str]] = {
    "public": "/public/x",
    "authenticated": "/auth/x",
    "protected": "/secure/x",
    "role": "/roles/x",
    "websocket": "/secure/ws",
    "login": "/_adm/beginners/profile",
}
GROUPS: Final = tuple(PATHS)
PROXIED: Final = GROUPS[:-1]
ASKING: Final = KINDS  # data planes
CONNECTION_STRING: Final = b"x-mycelium-connection-string: "

_ROUTE: Final = {b"x-mycelium-" + name for name in (b"security-group", b"service-name", b"request-id")}
_CALLER: Final = _ROUTE | {b"x-mycelium-email", b"x-mycelium-assertion"}
_PROFILE: Final = _CALLER | {b"x-mycelium-profile"}
# what of the reserved namespaces arrives when ada calls with her token
OURS: Final[Mapping[str, set[bytes]]] = {
    "public": _ROUTE,
    "authenticated": _CALLER,
    "protected": _PROFILE,
    "role": _PROFILE,
    "websocket": _PROFILE,
    "login": {b"x-gateway-" + name for name in (b"peer", b"direct", b"scheme", b"host", b"request-id")},
}


async def serve(line: Line) -> None:
    while True:
        got = await line.request()
        if got.all(b"upgrade"):
            line.send(SWITCH)
            await line.gone()
        line.send(OK)


class Ground:
    """running: its gateway. upstream: what every group's requests come to."""

    def __init__(self, site: Site, running: Running, upstream: Upstream) -> None:
        self.site = site
        self.running = running
        self.upstream = upstream
        self._client: Client | None = None

    @property
    def people(self) -> People:
        return self.running.people

    async def send(self, raw: bytes, method: str = "GET") -> Answer:
        """On the connection of the last one, where that is still good."""
        client = self._client or await self.site.client(self.running)
        await client.send(raw)
        head = await client.head()
        body = b"" if head.status == 101 else await client.body(head, method)
        answer = Answer(head.status, head.reason, head.fields, body)
        self._client = client
        if head.status == 101 or answer.all(b"connection") == [b"close"]:
            client.close()
            self._client = None
        return answer

    async def ask(self, group: str, *fields: bytes, credential: bytes | None = None, method: str = "GET") -> Answer:
        """credential: ada's token unless given; b"" for none. Public routes get none."""
        said = self.people.ada.field if credential is None and group != "public" else credential
        shake = HANDSHAKE if group == "websocket" else ()
        return await self.send(request(PATHS[group], *shake, *([said] if said else []), *fields, method=method), method)

    async def arrived(self, group: str, *fields: bytes, credential: bytes | None = None) -> Got:
        """What comes of a request that must get through."""
        before = len(self.upstream.requests)
        answer = await self.ask(group, *fields, credential=credential)
        assert answer.status == (101 if group == "websocket" else 200), (answer.status, answer.body, fields)
        return await self.upstream.got(before + 1)


async def ground(site: Site, **more: Any) -> Ground:
    """more: of the configuration. The built-in endpoints of the gateway end in the upstream as well."""
    upstream = await site.upstream(serve)
    running = await site.gateway(upstream, **more)
    edge = running.gateway.edge
    lanes = edge.generation.lanes
    (open_lane, *_) = (lane for route, lane in lanes.items() if not route.builtin)
    diverted = {
        route: dataclasses.replace(lane, upstream=open_lane.upstream) if route.builtin and lane.upstream else lane
        for route, lane in lanes.items()
    }
    edge.generation = dataclasses.replace(edge.generation, lanes=diverted)
    return Ground(site, running, upstream)


def reserved(got: Got) -> list[bytes]:
    """The lower-case names in the gateway's namespaces, sorted, as often as they are there."""
    names = sorted(name.lower() for name, _ in got.fields)
    return [name for name in names if name.startswith((b"x-mycelium-", b"x-gateway-"))]


def question(kind: str, target: str, *fields: bytes, method: str = "GET") -> bytes:
    """What a data plane asks about a request that it holds, which came to the host that `request` names."""
    return about(target, *fields, method=method, kind=kind, origin=b"http://gateway.test")
