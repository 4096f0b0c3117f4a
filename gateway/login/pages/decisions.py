"""The pages that a link to approve or deny leads to: the question with its two buttons, and what became of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from gateway.login.dialect import Reply
from gateway.login.pages.render import Pages, masked, span

Question = Literal["approval", "new_email"]
Decided = Literal["approved", "confirmed", "denied"]

# title, and what follows
_SAID: Mapping[Decided, tuple[str, str]] = {
    "approved": ("The login is approved", "Go back to where you began it. It goes on there by itself."),
    "confirmed": ("The address is confirmed", "From now on, logins to your account ask it for approval."),
    "denied": ("It is denied", "Nobody gets in by it, and the link does not work any more."),
}


@dataclass(frozen=True, slots=True)
class DecisionView:
    """question: a login, or whose an address is. address: shown masked. when: as people read it, with the zone.

    platform, ip: of whoever asked; "" if unknown. minutes: until the link ends. needs_code: a field for the second
    factor. elsewhere: whoever asked was on another network than whoever reads.
    """

    question: Question
    username: str
    address: str
    when: str
    platform: str
    ip: str
    minutes: int
    needs_code: bool
    elsewhere: bool


class DecisionPages(Pages):
    names: ClassVar[Sequence[str]] = ("approve", "confirm", "gone", "refused")

    def question(self, view: DecisionView, *, wrong: bool = False) -> Reply:
        """The answer to opening the link, which changes nothing. wrong: the code was, and the page is shown again."""
        name = "approve" if view.question == "approval" else "confirm"
        left = span(60 * view.minutes)
        return self._page(400 if wrong else 200, name, view=view, address=masked(view.address), left=left, wrong=wrong)

    def decided(self, outcome: Decided) -> Reply:
        """The answer to a button."""
        title, detail = _SAID[outcome]
        return self._page(200, "refused", title=title, detail=detail, wait=None)
