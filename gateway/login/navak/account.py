"""What a session's holder may see and change: the account's sessions, and its address."""

from collections.abc import Callable, Sequence

from gateway.errors import RequestRejected
from gateway.identity import addresses
from gateway.identity.logins import Logins
from gateway.identity.model import Account
from gateway.identity.new_emails import NewEmails
from gateway.identity.people import People
from gateway.identity.sessions import Sessions
from gateway.login.caller import session_of
from gateway.login.dialect import NO_CONTENT, Call, Endpoint, Reply, replied
from gateway.login.ids import id_param
from gateway.login.navak.answers import listed

FRESH = 300.0  # seconds since a login that may do without the password


class AccountEndpoints:
    """now: seconds since the epoch."""

    def __init__(
        self,
        sessions: Sessions,
        emails: NewEmails,
        people: People,
        logins: Logins,
        now: Callable[[], float],
        mount: str,
    ) -> None:
        self._sessions = sessions
        self._emails = emails
        self._people = people
        self._logins = logins
        self._now = now
        self._mount = mount

    def endpoints(self) -> Sequence[Endpoint]:
        mount = self._mount
        return (
            Endpoint("GET", f"{mount}/sessions", self.sessions),
            Endpoint("DELETE", f"{mount}/sessions/{{id}}", self.end_session),
            Endpoint("PUT", f"{mount}/email", self.change_email, body="json"),
        )

    async def sessions(self, call: Call) -> Reply:
        """Live ones, newest first, of this API and of others."""
        account, grant_id = session_of(call)
        now, found = self._now(), await self._sessions.list(account.id)
        return replied([listed(held, grant_id) for held in found if not held.grant.ended(now)])

    async def end_session(self, call: Call) -> Reply:
        account, _ = session_of(call)
        await self._sessions.end(account.id, id_param(call, "id", "There is none of yours with this id."))
        return NO_CONTENT

    async def change_email(self, call: Call) -> Reply:
        """`{email}`, and `{password}` of an account that has one -> when its link ends.

        The address is the account's once that link was confirmed.
        """
        account, _ = session_of(call)
        address = addresses.address(call.text("email"))
        await self._proved(call, account)
        await self._emails.admit(address, call.origin)
        fresh = await self._people.account(account.id)  # what the proxy read has no epoch
        expires_at = await self._emails.ask(fresh, address, call.origin.platform, call.origin)
        return replied({"expiration_date": int(expires_at)})

    async def _proved(self, call: Call, account: Account) -> None:
        """A token alone must not make an account another's: its password, where it has one, or a login just now."""
        if await self._people.password(account.id) is not None:
            await self._logins.prove_password(account, call.text("password"), call.origin)
        elif account.owner.email and await self._sessions.since_login(call.caller) > FRESH:
            raise RequestRejected("login_too_old", "Log in again, then change the address.")
