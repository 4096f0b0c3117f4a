"""The identity headers for an upstream, as the very bytes that go out. Made once, then remembered with the credential.

x-mycelium-request-id and the forwarding headers differ from request to request and are not made here.
"""

import json
import math
from typing import Final

from gateway.access.assertion import Assertions
from gateway.access.authenticate import MAX_BLOCKS, Verified
from gateway.access.authorize import Permit
from gateway.access.profile import ProfileEncoder
from gateway.identity.model import Principal
from gateway.routes.model import Access, AccessKind, Route

_GROUPS: Final = {
    AccessKind.PUBLIC: "public",
    AccessKind.AUTHENTICATED: "authenticated",
    AccessKind.PROTECTED: "protected",
}
# Every header that can tell an upstream who is asking. A data plane that asks us sets them all: one that we left out
# would be its client's (CVE-2026-30851). x-mycelium-request-id is set for each request.
IDENTITY: Final = tuple(
    b"x-mycelium-profile x-mycelium-email x-mycelium-tenant-id x-mycelium-security-group x-mycelium-service-name"
    b" x-mycelium-assertion x-mycelium-role x-mycelium-scope".split()
)
_TOLD_PROFILE: Final = frozenset({AccessKind.PROTECTED, AccessKind.ROLES})


class Injected:
    """head: whole field lines. until: seconds since the epoch, when they have to be made anew. Neither changes."""

    __slots__ = ("_absent", "head", "until")

    def __init__(self, head: bytes, until: float) -> None:
        self.head = head
        self.until = until
        self._absent: bytes | None = None

    @property
    def absent(self) -> bytes:
        """The rest of IDENTITY, as lines without a value. Made when a data plane first asks: we send none."""
        if self._absent is None:
            told = {line.partition(b":")[0] for line in self.head.split(b"\r\n")}
            self._absent = b"".join([b"%s: \r\n" % name for name in IDENTITY if name not in told])
        return self._absent


class _Shared:
    """What the routes with the same upstream and access have: the key of each caller's one block in `Verified.blocks`.

    about: whole field lines, the same for every caller.
    """

    __slots__ = ("about",)

    def __init__(self, route: Route) -> None:
        self.about = _about_route(route)


class Injector:
    """One for each generation of the configuration: it remembers the lines of that one's routes."""

    def __init__(self, profiles: ProfileEncoder, assertions: Assertions) -> None:
        self._profiles = profiles
        self._assertions = assertions
        self._public: dict[Route, Injected] = {}
        self._shared: dict[Route, _Shared] = {}
        self._shared_by: dict[tuple[str, Access], _Shared] = {}

    def lines(self, verified: Verified | None, permit: Permit, now: float) -> Injected:
        """The field lines for this caller on this route. verified: None on a public one. now: seconds since the epoch.

        Every header that the route's kind of access has is in it, with an empty value if need be, so that a service
        never finds somebody else's in its place. Raises DependencyFailed.
        """
        route = permit.route
        known = (self._public if verified is None else verified.blocks).get(route)
        if known is not None and now < known.until:
            return known
        return self._public_lines(route) if verified is None else self._lines(verified, permit, now)

    def _public_lines(self, route: Route) -> Injected:
        injected = self._public[route] = Injected(_about_route(route), math.inf)
        return injected

    def _lines(self, verified: Verified, permit: Permit, now: float) -> Injected:
        """Routes with the same upstream and access share one block."""
        route, blocks = permit.route, verified.blocks
        shared = self._shared.get(route) or self._share(route)
        injected = blocks.get(shared)
        if injected is None or now >= injected.until:
            injected = self._made(verified, permit, shared.about, now)
        if len(blocks) >= MAX_BLOCKS:
            blocks.clear()
        blocks[route] = blocks[shared] = injected
        return injected

    def _share(self, route: Route) -> _Shared:
        terms = (route.upstream, route.access)
        shared = self._shared_by.get(terms)
        if shared is None:
            shared = self._shared_by[terms] = _Shared(route)
        self._shared[route] = shared
        return shared

    def _made(self, verified: Verified, permit: Permit, about: bytes, now: float) -> Injected:
        principal, access = permit.principal, permit.route.access
        if principal is None:
            raise ValueError("a public route is told of no caller")
        lines = [about, _about_caller(principal)]
        if access.kind in _TOLD_PROFILE:
            lines.append(b"x-mycelium-profile: %s\r\n" % self._profile(verified, permit))
        assertion, until = self._assertions.sign(permit, now)
        lines.append(b"x-mycelium-assertion: %s\r\n" % assertion.encode())
        return Injected(b"".join(lines), min(until, permit.until, verified.until))

    def _profile(self, verified: Verified, permit: Permit) -> bytes:
        """Encoded once for all routes that ask for the same roles, whatever their upstream."""
        profiles, roles = verified.profiles, permit.route.access.roles
        profile = profiles.get(roles)
        if profile is None:
            if len(profiles) >= MAX_BLOCKS:
                profiles.clear()
            profile = profiles[roles] = self._profiles.encode(permit)
        return profile


def _about_route(route: Route) -> bytes:
    return b"x-mycelium-security-group: %s\r\nx-mycelium-service-name: %s\r\n" % (
        _security_group(route.access),
        _field(route.upstream),
    )


def _about_caller(principal: Principal) -> bytes:
    lines = b"x-mycelium-email: %s\r\n" % _field(principal.email)
    if principal.tenant_id is not None:
        lines += b"x-mycelium-tenant-id: %s\r\n" % _field(principal.tenant_id)
    return lines


def _security_group(access: Access) -> bytes:
    group: object = _GROUPS.get(access.kind)
    if group is None:
        roles = [{"name": rule.role, "permission": "write" if rule.write else "read"} for rule in access.roles]
        group = {"protectedByRoles": roles}
    return json.dumps(group, separators=(",", ":")).encode()  # ASCII, with control characters escaped


def _field(text: str) -> bytes:
    """A header value, empty when the text is not printable ASCII: a line break would begin a header of its own."""
    return text.encode() if text.isascii() and text.isprintable() else b""
