"""The postman of a worker, with what it needs opened by the first mail: Jinja2 and an SMTP client are half a start."""

import asyncio
from collections.abc import Callable
from email.message import EmailMessage
from typing import TYPE_CHECKING

from gateway.clock import Clock
from gateway.identity.letters import Letter
from gateway.mail.outbox import Outbox, Postman
from gateway.ops.logs import Log
from gateway.settings.model import Settings
from gateway.store.sql import Store

if TYPE_CHECKING:
    from gateway.mail.delivery import Transport
    from gateway.mail.render import Renderer


class Mails:
    """settings: asked for when they are needed, so that a reload is followed."""

    def __init__(self, store: Store, settings: Callable[[], Settings], clock: Clock, log: Log) -> None:
        self._store = store
        self._settings = settings
        self._made_from: Settings | None = None
        self._renderer: Renderer
        self._transport: Transport
        self.postman = Postman(store.mail_is_due, self._open, self._render, self, clock, log)

    async def send(self, message: EmailMessage) -> None:
        """The transport of the moment."""
        await self._transport.send(message)

    def _render(self, letter: Letter, letter_id: str, at: float) -> EmailMessage:
        return self._renderer(letter, letter_id, at)

    async def _open(self) -> Outbox:
        """Called before any mail is written."""
        settings = self._settings()
        if self._made_from is not settings:
            self._renderer, self._transport = await asyncio.to_thread(_made, settings)
            self._made_from = settings
        await self._store.open_changes()
        return self._store.changes().outbox


def _made(settings: Settings) -> "tuple[Renderer, Transport]":
    from gateway.mail.transport import make_transport

    said = settings.mail
    password = said.password.get_secret_value() if said.password is not None else ""
    return make_renderer(settings), make_transport(said.url, password)


def make_renderer(settings: Settings) -> "Renderer":
    """Tries every template. Raises TemplateBroken."""
    from gateway.mail.render import Renderer

    return Renderer(sender=settings.mail.from_, site=settings.public_url, templates=settings.mail.templates)
