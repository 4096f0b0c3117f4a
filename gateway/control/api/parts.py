"""What the operations of the admin API stand on."""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.identity.administration import Administration
from gateway.identity.audit import Refusals
from gateway.identity.invitations import Invitations
from gateway.identity.listing import Listings
from gateway.identity.logins import Logins
from gateway.identity.notices import Notices
from gateway.identity.passwords import Passwords
from gateway.identity.sessions import Sessions
from gateway.identity.trail import Trail


@dataclass(frozen=True, slots=True)
class Parts:
    """now: seconds since the epoch."""

    administration: Administration
    listings: Listings
    invitations: Invitations
    sessions: Sessions
    logins: Logins
    passwords: Passwords
    notices: Notices
    now: Callable[[], float]
    trail: Trail
    refusals: Refusals
