"""The pages that mails of logins lead to: plain HTML that loads nothing and runs nothing.

They say what they are told. Whether a link is good, and what its code is, is not known here.
"""

import asyncio
import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from gateway.login.dialect import Reply

if TYPE_CHECKING:
    from jinja2 import Template

HTML = "text/html; charset=utf-8"

# What the pages need, and nothing else. `no-referrer`, because the address of the page holds the link's token; for it
# the browser sends `Origin: null` with the form. `no-store`, because the page holds the code.
HEADERS = {
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), publickey-credentials-get=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}
POLICY = "default-src 'none'; style-src 'sha256-{style}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"


@dataclass(frozen=True, slots=True)
class LoginView:
    """action: the path that the button posts to. address: shown masked. when: as people read it, with the zone.

    platform, ip: of whoever asked for the login; "" if unknown. minutes: until the link ends.
    """

    action: str
    address: str
    when: str
    platform: str
    ip: str
    minutes: int


class Pages:
    """product: the name in every title, as the operator wrote it. The first page reads and compiles the templates."""

    names: ClassVar[Sequence[str]] = ("ask", "code", "gone", "refused")

    def __init__(self, product: str) -> None:
        self._product = product
        self._templates: Mapping[str, Template] = {}
        self._headers: Mapping[str, str] = {}

    async def open(self) -> None:
        """Ahead of the first page: compiling the templates takes 40 ms, which the data plane shall not wait for."""
        if not self._templates:
            await asyncio.to_thread(self._open)

    def _open(self) -> None:
        from jinja2 import Environment, PackageLoader, StrictUndefined  # a worker that shows no page does without

        loader = PackageLoader("gateway.login.pages")
        environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
        environment.lstrip_blocks = True
        style = loader.get_source(environment, "style.css")[0]
        environment.globals |= {"product": self._product, "style": style}
        self._templates = {name: environment.get_template(f"{name}.html") for name in self.names}
        self._headers = HEADERS | {"Content-Security-Policy": POLICY.format(style=_sha256(style))}

    def ask(self, view: LoginView) -> Reply:
        """The answer to opening the link, which uses up nothing: mail scanners open links too."""
        return self._page(200, "ask", view=view, address=masked(view.address), left=span(60 * view.minutes))

    def code(self, view: LoginView, code: str) -> Reply:
        """The answer to the button. code: six digits."""
        return self._page(200, "code", view=view, code=code, spelt=" ".join(code), left=span(60 * view.minutes))

    def gone(self) -> Reply:
        """Used, expired or wrong: a 401 that does not tell which."""
        return self._page(401, "gone")

    def refused(self, status: int, title: str, detail: str, retry_after: int | None) -> Reply:
        """A fault. title, detail: sentences of ours. retry_after: seconds; the header is the caller's."""
        wait = None if retry_after is None else span(retry_after)
        return self._page(status, "refused", title=title, detail=detail, wait=wait)

    def shown(self, name: str, **values: object) -> Reply:
        """A page of a class below this one, with what it tells."""
        return self._page(200, name, **values)

    def _page(self, status: int, name: str, **values: object) -> Reply:
        if not self._templates:
            self._open()
        text = self._templates[name].render(values)
        return Reply(status, text.encode("utf-8", "replace"), HTML, self._headers)


def masked(address: str) -> str:
    """`a***@example.com`: its owner knows it, and who looks over a shoulder does not."""
    local, at, domain = address.rpartition("@")
    return f"{local[:1]}***{at}{domain}" if at else "***"


def span(seconds: int) -> str:
    """As people say it: seconds under a minute, else minutes, rounded up."""
    count, unit = (seconds, "second") if 0 < seconds < 60 else (-(-seconds // 60), "minute")
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"


def _sha256(style: str) -> str:
    """CSP 3 section 2.3.1: base64, of exactly what stands between the tags."""
    return base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
