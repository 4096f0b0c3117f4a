"""The first account of an empty store, which its operator makes by a request: once, and from where only they can be, or
with a secret that only they can read.
"""

import asyncio
import base64
import hmac
import unicodedata

from gateway.clock import Clock
from gateway.errors import RequestRejected
from gateway.identity import addresses
from gateway.identity.codes import Pepper
from gateway.identity.model import Account, Owner
from gateway.identity.passwords import MAX_LENGTH, MIN_LENGTH, Passwords
from gateway.identity.people import People


def setup_token(pepper: Pepper) -> str:
    """The bootstrap secret, 43 characters of base64url. It hangs on the master key alone: all workers have the same."""
    return base64.urlsafe_b64encode(pepper("setup token", b"")).rstrip(b"=").decode()


class Setup:
    def __init__(self, people: People, passwords: Passwords, pepper: Pepper, clock: Clock) -> None:
        self._people = people
        self._passwords = passwords
        self._pepper = pepper
        self._clock = clock
        # whoever else calls meanwhile must not keep the threads busy with hashes that lead nowhere
        self._alone = asyncio.Lock()

    async def is_needed(self) -> bool:
        """Whether no account of a person is there."""
        return not await self._people.has_people()

    def check(self, password: str, username: str, *, local: bool) -> None:
        """Whether it may be the first one's. Raises RequestRejected("invalid_value"), which says why not.

        local: whoever sits at the machine may take a common one, as the seed's own example is; its length counts.
        """
        if not local:
            self._passwords.check(password, (username,))
        elif not MIN_LENGTH <= len(unicodedata.normalize("NFC", password)) <= MAX_LENGTH:
            raise RequestRejected("invalid_value", f"a password has {MIN_LENGTH} to {MAX_LENGTH} characters")

    async def create(self, username: str, password: str, token: str | None) -> Account:
        """A member of staff. token: as the caller sent it; None for somebody local, of whom none is asked.

        Raises RequestRejected: "conflict" (there is somebody already), "forbidden" (the token), "invalid_value".
        """
        async with self._alone:
            if not await self.is_needed():
                raise RequestRejected("conflict")
            self._check_token(token)
            self.check(password, username, local=token is None)
            shown, key = addresses.username(username)
            owner = Owner(self._clock.uuid4(), "", username=shown)
            account = Account(self._clock.uuid4(), shown, owner, is_staff=True, is_manager=True)
            # checked above: what `hash` would refuse may be the seed's
            if not await self._people.add_first(account, key, await self._passwords.rehash(password)):
                raise RequestRejected("conflict")  # another worker was faster
            return account

    def _check_token(self, token: str | None) -> None:
        good = setup_token(self._pepper).encode()
        if token is not None and not hmac.compare_digest(token.encode("utf-8", "surrogatepass"), good):
            raise RequestRejected("forbidden")
