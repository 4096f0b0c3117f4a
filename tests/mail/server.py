"""A mail server on loopback that tests talk real SMTP to, and that answers as the test says."""

import asyncio
import ssl
import threading
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any, cast

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from harness.ports import free_port

HOST = "127.0.0.1"
USER, PASSWORD = "gateway", "s3cret p@ss/w"


class Server(Controller):
    """mails: what it took. refusals: what it answers first, to RCPT TO; one each. port: 0 takes a free one.

    logins: user and password, as they were presented.
    """

    def __init__(
        self, port: int | None = None, *, starttls: ssl.SSLContext | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        self.mails: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.refusals: list[str] = []
        self.data_answer = "250 OK"
        self.logins: list[tuple[str, str]] = []
        self.silent = threading.Event()  # set: RCPT TO gets no answer
        super().__init__(
            self, HOST, port or free_port(), ssl_context=tls, tls_context=starttls,
            require_starttls=starttls is not None, authenticator=self._authenticate, auth_require_tls=tls is None,
        )  # fmt: skip

    def close(self) -> None:
        """May have happened before."""
        if self._thread is not None:
            self.stop()

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        if self.silent.is_set():
            await asyncio.sleep(60)  # cancelled when the server stops
        if self.refusals:
            return self.refusals.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if self.data_answer.startswith("250"):
            self.mails.append(cast(EmailMessage, message_from_bytes(envelope.content, policy=default)))
            self.recipients += envelope.rcpt_tos
        return self.data_answer

    def _authenticate(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        found = data.login.decode(), data.password.decode()
        self.logins.append(found)
        return AuthResult(success=found == (USER, PASSWORD), handled=False)
