"""External identities of the caller's account, below `users/links`."""

from collections.abc import Sequence

from gateway.identity.links import Links
from gateway.identity.model import LinkedIdentity
from gateway.login.dialect import NO_CONTENT, Call, Endpoint, Reply, replied
from gateway.login.ids import id_param


class LinkEndpoints:
    """mount: as `/_adm`."""

    def __init__(self, links: Links, mount: str) -> None:
        self._links = links
        self._path = f"{mount}/beginners/users/links"

    def endpoints(self) -> Sequence[Endpoint]:
        return (
            Endpoint("POST", self._path, self.link, body="json"),
            Endpoint("GET", self._path, self.links),
            Endpoint("DELETE", self._path + "/{id}", self.unlink),
        )

    async def link(self, call: Call) -> Reply:
        """`{token}` of an external issuer -> the link, made now or before."""
        return replied(_shown(await self._links.link(call.caller, call.text("token"), call.origin)))

    async def links(self, call: Call) -> Reply:
        return replied([_shown(link) for link in await self._links.links(call.caller)])

    async def unlink(self, call: Call) -> Reply:
        await self._links.unlink(call.caller, id_param(call, "id"))
        return NO_CONTENT


def _shown(link: LinkedIdentity) -> dict[str, str]:
    return {"id": link.id, "issuer": link.issuer, "subject": link.subject}
