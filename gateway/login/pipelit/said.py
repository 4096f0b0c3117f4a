"""What the operator said of Pipelit's API, and the sessions that follow from it."""

from typing import Literal, Protocol

from gateway.identity import codes
from gateway.identity.steps import Form

NAME = "pipelit"
DAY = 86400.0  # seconds


class Said(Protocol):
    """binding: whether a login's second call may be known by address and program alone. Paths are without a slash at
    the end."""

    @property
    def mount(self) -> str: ...

    @property
    def keys_mount(self) -> str: ...

    @property
    def binding(self) -> Literal["compat", "strict"]: ...

    @property
    def reset(self) -> Literal["loopback", "off"]: ...

    @property
    def single_session(self) -> bool: ...


def form(said: Said) -> Form:
    """Keys as Pipelit's `token_urlsafe(32)`, 43 characters. Upstream's never end; ours after a month, or a week
    without use."""
    return Form(NAME, 30 * DAY, codes.link_token, idle=7 * DAY, single=said.single_session)
