"""Challenges: logins on their way. Each is moved by guarded updates and ends in one claim, or in none.

    open --the page is opened--> shown --claim--> claimed (exactly one grant)
    open, shown --by who holds the mail--> approved --claim, by who began it--> claimed; or denied
    open, shown, approved -> superseded (a newer one was begun); past `expires_at`, or without tries, it is dead

Whoever has the link's token may claim a login by mail, or decide an approval; who types a code has `tries_left` of
them; who began a login in two steps claims it by the client's token. A decoy is begun for an address that nobody has:
it has the key of that address alone, and never gets anywhere.
"""

from dataclasses import dataclass, field
from typing import Literal, Protocol

from gateway.identity.letters import Letter
from gateway.identity.model import Confirmed, Issue

Purpose = Literal["login", "step_up", "reset_password", "approval", "new_email"]
State = Literal["open", "shown", "approved", "denied", "claimed", "superseded"]

TRIES = 5  # wrong codes, then only a new challenge helps


@dataclass(frozen=True, slots=True)
class Challenge:
    """account_id: None for a decoy, and for an address that may get an account. grant_id: the restricted grant that a
    step_up lifts. address_key: newer ones of the same end this one; of an approval and a new_email it is the account's
    id, so that a stranger who names an address ends nothing. epoch: of the account when it was begun, for those in two
    steps. needs_code: a second factor is to come. draft: a TOTP secret (base32) that this login enrols.

    platform: what the client calls itself. method: of the second factor that approved it (`Factors.prove`). Times are
    seconds since the epoch.
    """

    id: str
    purpose: Purpose
    created_at: float
    expires_at: float
    dialect: str = "mycelium"
    state: State = "open"
    account_id: str | None = None
    address: str | None = None
    address_key: str | None = None
    grant_id: str | None = None
    tries_left: int = TRIES
    code_mac: bytes | None = field(default=None, repr=False)
    ip: str | None = None
    user_agent: str | None = None
    epoch: int = 0
    needs_code: bool = False
    draft: str | None = field(default=None, repr=False)
    platform: str = ""
    method: str | None = None

    def is_live(self, now: float) -> bool:
        return self.state in ("open", "shown", "approved") and now < self.expires_at


@dataclass(frozen=True, slots=True)
class Mailed:
    """A challenge to be begun. link: the digest of what its letter opens."""

    challenge: Challenge
    link: bytes | None = field(repr=False)
    letter: Letter


class ChallengeStore(Protocol):
    """Raises as the other stores do (`identity.ports`)."""

    async def begin(
        self, challenge: Challenge, link: bytes | None, letter: Letter | None, client: bytes | None = None
    ) -> None:
        """Store it, the digests of its link and of the client's token, and its letter, at once; live ones of the same
        purpose and address end."""

    async def by_link(self, link: bytes) -> Challenge | None:
        """In whatever state."""

    async def by_client(self, client: bytes) -> Challenge | None:
        """In whatever state."""

    async def begun_by(self, account_id: str, dialect: str, ip: str, user_agent: str) -> Challenge | None:
        """The newest live login that needs a code, and that this client began."""

    async def decide(
        self, challenge_id: str, approved: bool, method: str | None = None, letter: Letter | None = None
    ) -> bool:
        """Approve or deny. method: of the second factor that was proved. False when it is dead, or decided; then no
        letter goes either."""

    async def confirm_email(
        self, challenge_id: str, account_id: str, address: str, key: str, letter: Letter | None
    ) -> bool:
        """End a new_email: the address is the account's proven one, in place of its last; its logins by mail under way
        end. False when it is dead. May be "conflict": another account has proved it."""

    async def by_address(self, purpose: Purpose, address_key: str) -> Challenge | None:
        """The live one."""

    async def by_grant(self, grant_id: str) -> Challenge | None:
        """The live step_up of a restricted grant."""

    async def show(self, challenge_id: str) -> bool:
        """Its page was opened. Whether it is live."""

    async def spend_try(self, challenge_id: str, spare: int = 0) -> bool:
        """Take one of the tries left, but for `spare`. False when it is dead or none is left. Parallel ones add up."""

    async def claim(
        self, challenge_id: str, issue: Issue, epoch: int, step_up: Challenge | None, *, single: bool = False
    ) -> bool:
        """End it in this grant, with the challenge for its second factor. epoch: of the account when it was looked at.

        single: the account's other live sessions of this dialect end. False when it is dead or was claimed, or when
        the account's password or factors have changed since. May be "not_found" or "conflict", as
        GrantStore.add_grant; then nothing has changed.
        """

    async def claim_enrolling(
        self, challenge_id: str, issue: Issue, epoch: int, factor: Confirmed, letter: Letter | None
    ) -> bool:
        """The same, and its factor becomes active, with its recovery codes; all other grants of the account end."""

    async def lift(self, challenge_id: str, grant_id: str, expires_at: float, amr: str) -> bool:
        """End a step_up: its grant is restricted no longer, has aal 2 and this expiry. False when either is dead."""

    async def reset_password(self, challenge_id: str, account_id: str, phc: str, letter: Letter | None) -> bool:
        """End it in a new password; all grants end. False when it is dead. May be "not_found" or "conflict"."""
