"""Which way mails go, by the configuration's URL."""

import ssl
import sys
from pathlib import Path
from typing import Literal, Protocol, TextIO

from gateway.mail.delivery import Transport
from gateway.mail.local import FolderTransport, StreamTransport
from gateway.mail.smtp import Server, SmtpTransport


class Url(Protocol):
    """`mail.url`, parsed (`settings.values.MailUrl`). folder: of `file`. The rest is that of `smtp` and `smtps`."""

    @property
    def scheme(self) -> Literal["smtp", "smtps", "file", "console"]: ...

    @property
    def host(self) -> str: ...

    @property
    def port(self) -> int: ...

    @property
    def starttls(self) -> bool: ...

    @property
    def user(self) -> str: ...

    @property
    def password(self) -> str: ...

    @property
    def folder(self) -> Path: ...


def make_transport(
    url: Url, password: str = "", *, context: ssl.SSLContext | None = None, stream: TextIO | None = None
) -> Transport:
    """password: the one kept outside of the URL, if any. context: for TLS; the system's authorities unless given.

    stream: of `console:`; stderr unless given. Raises ValueError for credentials that would go in clear.
    """
    match url.scheme:
        case "file":
            return FolderTransport(url.folder)
        case "console":
            return StreamTransport(stream or sys.stderr)
        case "smtps":
            return SmtpTransport(Server(url.host, url.port, "implicit", url.user, password or url.password), context)
        case "smtp":
            tls: Literal["starttls", "off"] = "starttls" if url.starttls else "off"
            return SmtpTransport(Server(url.host, url.port, tls, url.user, password or url.password), context)
