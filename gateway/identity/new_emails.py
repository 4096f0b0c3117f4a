"""Addresses that an account is to have: each is nothing but a wish until its link was opened and confirmed."""

from gateway.identity import addresses, codes
from gateway.identity.challenge import Challenge, Mailed
from gateway.identity.letters import Letter
from gateway.identity.model import Account
from gateway.identity.notices import stamp, written
from gateway.identity.origin import Origin
from gateway.identity.services import Services

CONFIRM_SECONDS = 3600.0


class NewEmails:
    """dialect: whose page the link opens. page: the URL that a link's token is put behind."""

    def __init__(self, services: Services, dialect: str, page: str) -> None:
        self._core = services
        self._dialect = dialect
        self._page = page

    async def admit(self, address: addresses.Address, origin: Origin) -> None:
        """Counts the mail that `ask` is to send. Raises RequestRejected("too_many_attempts")."""
        await self._core.throttle.mail(origin, address.key)

    async def ask(self, account: Account, address: addresses.Address, platform: str, origin: Origin) -> float:
        """Mails a link to the address, whosoever it is: that is not told. When it ends, in seconds since the epoch.

        The account's older wishes end.
        """
        on = (await self._core.factors.held(account.id)).active is not None
        wish = self.wish(account, address, platform, origin, needs_code=on)
        await self._core.challenges.begin(wish.challenge, wish.link, wish.letter)
        self._core.notices.posted()
        return wish.challenge.expires_at

    def wish(
        self, account: Account, address: addresses.Address, platform: str, origin: Origin, *, needs_code: bool
    ) -> Mailed:
        """What `ask` begins, for whoever stores it with more. needs_code: a second factor is on."""
        clock = self._core.clock
        now, link = clock.now(), codes.link_token(clock)
        challenge = Challenge(
            clock.uuid4(), "new_email", now, now + CONFIRM_SECONDS, self._dialect, account_id=account.id,
            address=address.text, address_key=account.id, ip=origin.address, user_agent=origin.agent,
            epoch=account.epoch, needs_code=needs_code, platform=platform,
        )  # fmt: skip
        told = {**stamp(origin, now), "link": f"{self._page}{link}", "minutes": str(round(CONFIRM_SECONDS / 60))}
        return Mailed(challenge, codes.link_digest(link), Letter("email_confirmation", address.text, told))

    async def take(self, challenge: Challenge, account: Account, origin: Origin) -> bool:
        """Makes the address the account's own, in place of the old one, which is told. Logins under way end.

        False when the link was used. Raises RequestRejected("conflict") for another account's address.
        """
        address = addresses.address(challenge.address or "")
        same = account.owner.email.casefold() == address.key
        letter = None if same else written("email_changed", account, origin, self._core.clock.now())
        done = await self._core.challenges.confirm_email(challenge.id, account.id, address.text, address.key, letter)
        if done:
            await self._core.notices.changed(None)
            self._core.notices.posted()
        return done
