"""Mails to a submission server (RFC 6409), in STARTTLS or TLS from the start. The only home of aiosmtplib.

Credentials go over TLS alone: a URL that gives some means STARTTLS, and a server that does not offer it gets nothing.
"""

import asyncio
import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Literal

import aiosmtplib

from gateway.mail.delivery import Undelivered

CONNECT = 10.0  # seconds
QUIT = 2.0
WHOLE = 30.0  # seconds for everything; below `outbox.LEASE`


@dataclass(frozen=True, slots=True)
class Server:
    """tls: "implicit" from the first byte (smtps), "starttls" or not at all, "off" in clear. user: "" for none."""

    host: str
    port: int
    tls: Literal["implicit", "starttls", "off"]
    user: str = ""
    password: str = field(default="", repr=False)


class SmtpTransport:
    """A connection for each mail: logins are rare, and an idle connection is one that the server has closed.

    context: what is believed of the server's certificate; the system's authorities unless given.
    """

    def __init__(self, server: Server, context: ssl.SSLContext | None = None, whole: float = WHOLE) -> None:
        """Raises ValueError for credentials that would go in clear."""
        if server.user and server.tls == "off":
            raise ValueError("credentials are never sent in clear: they need STARTTLS or smtps://")
        self._server = server
        self._context = None if server.tls == "off" else context or ssl.create_default_context()
        self._whole = whole

    async def send(self, message: EmailMessage) -> None:
        client = self._client()
        try:
            async with asyncio.timeout(self._whole):
                await client.connect()
                await client.send_message(message)
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            client.close()
            raise _undelivered(error) from error
        except BaseException:
            client.close()
            raise
        await _part(client)

    def _client(self) -> aiosmtplib.SMTP:
        server = self._server
        return aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            username=server.user or None,
            password=server.password if server.user else None,
            timeout=CONNECT,
            use_tls=server.tls == "implicit",
            start_tls=server.tls == "starttls",  # True: a server without it is an error
            tls_context=self._context,
        )


async def _part(client: aiosmtplib.SMTP) -> None:
    """The server has the mail: whatever happens now must not send it again."""
    with suppress(aiosmtplib.SMTPException, OSError):
        await client.quit(timeout=QUIT)
    client.close()


def _undelivered(error: Exception) -> Undelivered:
    """A server's words are left out: they often repeat the address.

    Permanent is what is said of this mail, its recipient or its content (RFC 5321 section 4.2.1: 5yz). What is said of
    our credentials or our address is the operator's to repair, and the mail waits.
    """
    match error:
        case aiosmtplib.SMTPRecipientsRefused(recipients=[refused, *_]):
            return Undelivered(f"the recipient was refused: SMTP {refused.code}", permanent=refused.code >= 500)
        case aiosmtplib.SMTPDataError():
            return Undelivered(f"the message was refused: SMTP {error.code}", permanent=error.code >= 500)
        case aiosmtplib.SMTPResponseException():
            return Undelivered(f"{type(error).__name__}: SMTP {error.code}")
        case TimeoutError():
            return Undelivered("the server did not answer in time")
    cause = error.__cause__ or error  # aiosmtplib's own error says only that there is no connection
    if isinstance(cause, ssl.SSLCertVerificationError):
        return Undelivered("the server's certificate is not believed")
    if type(error) is aiosmtplib.SMTPException:
        return Undelivered("the server offers no STARTTLS, or no AUTH that is known here")
    return Undelivered(type(cause).__name__)
