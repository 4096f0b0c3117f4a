"""What a browser opens: the document of the API, Swagger UI to try it with, and the page of an invitation's link.

Swagger UI is the released distribution, unchanged, in the folder `swagger` with its licence. It is served from there;
nothing is fetched from elsewhere, and no script stands in a page.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import ClassVar, Final

from gateway.control.api.operation import Operation
from gateway.control.api.parts import Parts
from gateway.errors import GatewayError
from gateway.identity.notices import minute
from gateway.login.dialect import Call, Endpoint, Reply
from gateway.login.pages.render import HEADERS, HTML, Pages, masked
from gateway.wire.problems import PROBLEMS, told

FOLDER: Final = Path(__file__).parent / "swagger"
# The page's own files, and no others; `data:` are the icons in Swagger UI's style. React sets styles by script, which
# the policy allows; a style that stands in markup it does not.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
KEPT: Final = "public, max-age=3600"  # the files change with a release of the gateway alone
FILES: Final[Mapping[str, str]] = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "start.js": "text/javascript",
    "LICENSE": "text/plain",
}


class Documentation:
    """version: of the API, a path below the mount."""

    def __init__(self, operations: Sequence[Operation], mount: str, version: str) -> None:
        self._operations = operations
        self._mount = mount
        self._version = version
        self._text = b""

    def endpoints(self) -> Sequence[Endpoint]:
        docs = f"{self._mount}/docs"
        files = [Endpoint("GET", f"{docs}/{name}", _File(name, kind).serve, "nobody") for name, kind in FILES.items()]
        return (
            Endpoint("GET", f"{self._mount}/openapi.json", self.document, "nobody"),
            Endpoint("GET", docs, self.page, "nobody"),
            *files,
        )

    def made(self) -> Mapping[str, object]:
        from gateway.control.api.document import document  # builds every model, which a gateway does without

        return document(self._operations, self._mount, self._version)

    async def document(self, call: Call) -> Reply:
        if not self._text:
            self._text = await asyncio.to_thread(self._written)
        return Reply(body=self._text, headers={"Cache-Control": "public, max-age=60"})

    async def page(self, call: Call) -> Reply:
        text = await asyncio.to_thread((FOLDER / "index.html").read_text)
        page = text.replace("{docs}", f"{self._mount}/docs").replace("{document}", f"{self._mount}/openapi.json")
        return Reply(200, page.encode(), HTML, {**HEADERS, "Content-Security-Policy": POLICY})

    def _written(self) -> bytes:
        return json.dumps(self.made(), separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


class _File:
    def __init__(self, name: str, kind: str) -> None:
        self._name = name
        self._kind = kind

    async def serve(self, call: Call) -> Reply:
        return Reply(200, await asyncio.to_thread(_read, self._name), self._kind, {"Cache-Control": KEPT})


@lru_cache(len(FILES))
def _read(name: str) -> bytes:
    return (FOLDER / name).read_bytes()


class _InvitationPages(Pages):
    names: ClassVar[Sequence[str]] = ("invited", "refused")


class InvitationPage:
    def __init__(self, parts: Parts, mount: str, product: str) -> None:
        self._parts = parts
        self._path = f"{mount}/invitations/{{token}}"
        self._pages = _InvitationPages(product)

    def endpoints(self) -> Sequence[Endpoint]:
        return (Endpoint("GET", self._path, self.show, "nobody", page=True),)

    async def show(self, call: Call) -> Reply:
        """What waits, and how to take it. Changes nothing, and lets nobody in."""
        found = await self._parts.invitations.seen(call.params["token"], call.origin)
        await self._pages.open()
        if found is None:
            why = "It was taken already, taken back, or its time is over. Ask whoever invited you for another."
            return self._pages.refused(404, "This invitation does not work", why, None)
        invitation, tenant = found
        values = {"tenant": tenant.name, "role": invitation.role, "until": minute(invitation.expires_at)}
        return self._pages.shown("invited", address=masked(invitation.address), **values)

    def fault(self, fault: GatewayError) -> Reply:
        problem = PROBLEMS[fault.code]
        return self._pages.refused(problem.status, problem.title, told(fault), fault.retry_after)
