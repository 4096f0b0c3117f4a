"""What the identity core tells the running gateway and the people concerned."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Protocol

from gateway.identity.letters import Letter, LetterKind
from gateway.identity.model import Account
from gateway.identity.origin import Origin


class Notices(Protocol):
    """The running gateway. On the command line nobody listens: workers read the table of revocations by themselves."""

    async def changed(self, grant_id: str | None) -> None:
        """Revocations were written: obey them now. grant_id: what is remembered of this one is out of date too."""

    def posted(self) -> None:
        """A letter waits."""


class Unheard:
    """Nobody listens."""

    async def changed(self, grant_id: str | None) -> None:
        return

    def posted(self) -> None:
        return


def minute(at: float) -> str:
    """For people: minutes, UTC."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"


def stamp(origin: Origin, at: float) -> Mapping[str, str]:
    """What every letter tells of where it comes from."""
    return {"when": minute(at), "ip": origin.address, "platform": origin.platform}


def written(kind: LetterKind, account: Account, origin: Origin, at: float, **values: str) -> Letter | None:
    """A letter to the account's holder; None where there is no address."""
    if not account.owner.email:
        return None
    return Letter(kind, account.owner.email, {**stamp(origin, at), **values})
