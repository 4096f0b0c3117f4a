"""Navak's login API (seed: `Navak`'s own documentation), a codec over the identity core."""

import base64
from typing import Protocol
from urllib.parse import urlsplit

from gateway.identity.approvals import Approvals
from gateway.identity.new_emails import NewEmails
from gateway.identity.registrations import Registrations
from gateway.identity.services import Services
from gateway.identity.steps import Form
from gateway.login.dialect import Dialect
from gateway.login.navak.account import AccountEndpoints
from gateway.login.navak.dialect import NAME, Navak
from gateway.login.navak.logins import LoginEndpoints
from gateway.login.pages.decisions import DecisionPages

TOKEN_BYTES = 256  # what the seed's sample decodes to: 344 characters, padding included
DAY = 86400.0


class Said(Protocol):
    """What the operator said."""

    @property
    def mount(self) -> str: ...

    @property
    def registration(self) -> str:
        """open or closed."""


FORM = Form(
    NAME,
    lifetime=365 * DAY,
    secret=lambda clock: base64.urlsafe_b64encode(clock.token_bytes(TOKEN_BYTES)).decode(),
    idle=90 * DAY,
)


def build(services: Services, said: Said) -> Dialect:
    page = f"{services.public_url}{said.mount}/confirm/"
    emails = NewEmails(services, NAME, page)
    registrations = Registrations(services, emails, FORM) if said.registration == "open" else None
    pages = DecisionPages(urlsplit(services.public_url).netloc)
    return Navak(
        LoginEndpoints(Approvals(services, emails, FORM, page), registrations, pages, said.mount),
        AccountEndpoints(services.sessions, emails, services.people, services.logins, services.clock.now, said.mount),
        pages,
    )
