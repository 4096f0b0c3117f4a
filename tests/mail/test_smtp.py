"""Real SMTP: what is encrypted, what is refused, and what a failure is called."""

import asyncio
import socket
from collections.abc import AsyncIterator
from email.message import EmailMessage
from urllib.parse import quote

import pytest
from harness.certificates import Authority

from gateway.mail.delivery import Undelivered
from gateway.mail.smtp import Server as Submission
from gateway.mail.smtp import SmtpTransport
from gateway.mail.transport import make_transport
from gateway.settings.values import mail_url

from .office import LETTER, RENDERER
from .server import HOST, PASSWORD, USER, Server

LOGIN = f"{USER}:{quote(PASSWORD, safe='')}@"


@pytest.fixture
def message() -> EmailMessage:
    return RENDERER(LETTER, "some-id", 1_800_000_000.0)


async def ended(server: Server) -> None:
    """TLS takes an answer to close, which the client must hear before its loop ends."""
    await asyncio.to_thread(server.close)
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture
async def starttls(authority: Authority) -> AsyncIterator[Server]:
    found = Server(starttls=authority.server(HOST))
    found.start()
    yield found
    await ended(found)


@pytest.fixture
async def smtps(authority: Authority) -> AsyncIterator[Server]:
    found = Server(tls=authority.server(HOST))
    found.start()
    yield found
    await ended(found)


async def refused(url: str, message: EmailMessage, authority: Authority | None = None) -> Undelivered:
    context = None if authority is None else authority.client()
    with pytest.raises(Undelivered) as caught:
        await make_transport(mail_url(url), context=context).send(message)
    return caught.value


async def test_in_clear_to_loopback(server: Server, message: EmailMessage) -> None:
    """Without credentials there is nothing to protect from anybody."""
    await make_transport(mail_url(f"smtp://{HOST}:{server.port}")).send(message)
    assert [mail["Message-ID"] for mail in server.mails] == ["<some-id@example.org>"]


async def test_credentials_go_over_starttls(starttls: Server, message: EmailMessage, authority: Authority) -> None:
    """Percent-decoded."""
    url = mail_url(f"smtp://{LOGIN}{HOST}:{starttls.port}")
    await make_transport(url, context=authority.client()).send(message)
    assert (len(starttls.mails), starttls.logins) == (1, [(USER, PASSWORD)])


async def test_credentials_go_over_tls_from_the_start(
    smtps: Server, message: EmailMessage, authority: Authority
) -> None:
    """The password from beside the URL."""
    url = mail_url(f"smtps://{USER}@{HOST}:{smtps.port}")
    await make_transport(url, PASSWORD, context=authority.client()).send(message)
    assert (len(smtps.mails), smtps.logins) == (1, [(USER, PASSWORD)])


async def test_credentials_are_not_sent_in_clear(server: Server, message: EmailMessage) -> None:
    """A server without STARTTLS, or somebody in between who took it out, gets none."""
    failure = await refused(f"smtp://{LOGIN}{HOST}:{server.port}", message)
    assert (failure.reason, failure.permanent) == (
        "the server offers no STARTTLS, or no AUTH that is known here",
        False,
    )
    assert (server.logins, server.mails) == ([], [])


def test_a_transport_for_credentials_in_clear_cannot_be_made() -> None:
    """Whoever wires it."""
    with pytest.raises(ValueError, match="never sent in clear"):
        SmtpTransport(Submission(HOST, 25, "off", USER, PASSWORD))


async def test_a_certificate_that_nobody_vouches_for_is_refused(starttls: Server, message: EmailMessage) -> None:
    """Before any credential."""
    failure = await refused(f"smtp://{LOGIN}{HOST}:{starttls.port}", message)
    assert (failure.reason, starttls.logins) == ("the server's certificate is not believed", [])


async def test_a_certificate_of_another_name_is_refused(
    smtps: Server, message: EmailMessage, authority: Authority
) -> None:
    """With TLS from the start too."""
    failure = await refused(f"smtps://{LOGIN}localhost:{smtps.port}", message, authority)
    assert (failure.reason, smtps.logins) == ("the server's certificate is not believed", [])


async def test_a_wrong_password_is_not_the_mails_end(
    starttls: Server, message: EmailMessage, authority: Authority
) -> None:
    """The operator repairs it, and the mail goes."""
    failure = await refused(f"smtp://{USER}:wrong@{HOST}:{starttls.port}", message, authority)
    assert (failure.reason, failure.permanent) == ("SMTPAuthenticationError: SMTP 535", False)


@pytest.mark.parametrize(
    ("answer", "permanent"), [("450 later", False), ("499 later", False), ("500 never", True), ("550 never", True)]
)
async def test_a_recipient_refused(server: Server, message: EmailMessage, answer: str, permanent: bool) -> None:
    """4yz is for now, 5yz for good (RFC 5321 section 4.2.1)."""
    server.refusals = [answer]
    failure = await refused(f"smtp://{HOST}:{server.port}", message)
    assert (failure.reason, failure.permanent) == (f"the recipient was refused: SMTP {answer[:3]}", permanent)


@pytest.mark.parametrize(("answer", "permanent"), [("451 later", False), ("554 spam", True)])
async def test_a_message_refused(server: Server, message: EmailMessage, answer: str, permanent: bool) -> None:
    """After DATA."""
    server.data_answer = answer
    failure = await refused(f"smtp://{HOST}:{server.port}", message)
    assert (failure.reason, failure.permanent) == (f"the message was refused: SMTP {answer[:3]}", permanent)


async def test_nobody_listens(message: EmailMessage) -> None:
    """For now."""
    with socket.socket() as taken:
        taken.bind((HOST, 0))  # without listening
        failure = await refused(f"smtp://{HOST}:{taken.getsockname()[1]}", message)
    assert (failure.reason, failure.permanent) == ("ConnectionRefusedError", False)


async def test_a_server_that_says_nothing_is_left(server: Server, message: EmailMessage) -> None:
    """After the time for the whole."""
    server.silent.set()
    transport = SmtpTransport(Submission(HOST, server.port, "off"), whole=0.2)
    with pytest.raises(Undelivered, match="did not answer in time"):
        await transport.send(message)


def test_a_password_is_in_no_text() -> None:
    """Of the server that it is for."""
    assert "s3cret" not in repr(Submission(HOST, 25, "implicit", USER, "s3cret"))
