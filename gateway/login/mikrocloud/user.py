"""The two calls: login, and the passport that ends it."""

import asyncio
import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Final

from gateway.identity.factors import Factors
from gateway.identity.steps import Form, Steps
from gateway.login import qr
from gateway.login.dialect import Call, Endpoint, Reply
from gateway.login.mikrocloud.answers import begun, invalid, passed

NAME: Final = "mikrocloud"
LIFETIME, IDLE = 24 * 3600.0, 8 * 3600.0  # seconds; the seed says none
AUTH_TOKEN_BYTES = 32  # 44 characters, as the seed's `RjhVb.......sqGRs=`

FORM: Final = Form(
    NAME,
    LIFETIME,
    secret=lambda clock: base64.b64encode(clock.token_bytes(AUTH_TOKEN_BYTES)).decode(),
    idle=IDLE,
)


class User:
    def __init__(self, steps: Steps, factors: Factors, mount: str) -> None:
        self._steps = steps
        self._factors = factors
        self._mount = mount

    def endpoints(self) -> Sequence[Endpoint]:
        return (
            Endpoint("POST", f"{self._mount}/login", self.login, "nobody", "json"),
            Endpoint("POST", f"{self._mount}/passport", self.passport, "nobody", "json"),
        )

    async def login(self, call: Call) -> Reply:
        """`{email, password}`. `mfa_verified` means that the factor is set up, not that this login has proved it: else
        whoever has a password would be shown the secret."""
        errors = _missing(call.body, "email", "password")
        if errors:
            return invalid(errors)
        email, password = call.text("email"), call.text("password")
        found = await self._steps.begin(email, "email", password, call.origin, NAME, draft=self._factors.draft())
        svg = None
        if found.draft is not None:
            url = self._factors.url(found.account, found.draft)
            svg = (await asyncio.to_thread(qr.svg, url)).decode().strip()
        enabled = found.factor_on or svg is not None
        return begun(wrapped(found.token), enabled=enabled, verified=found.factor_on, svg=svg)

    async def passport(self, call: Call) -> Reply:
        """`{token, totp}`: a text of six digits, a recovery code, or null."""
        code = call.body.get("totp")
        errors = _missing(call.body, "token")
        if code is not None and not isinstance(code, str):  # a number has lost its zeros in front
            errors["totp"] = "The totp must be a string or null."
        if errors:
            return invalid(errors)
        typed = code if isinstance(code, str) and code.strip() else None
        entered = await self._steps.finish(unwrapped(call.text("token")), typed, call.origin, FORM)
        return passed(entered.secret, entered.recovery_codes)


def wrapped(token: str) -> str:
    """As the seed's `eyJp....ifQ==`: base64, and nothing that a client could read."""
    return base64.b64encode(token.encode()).decode()


def unwrapped(text: str) -> str:
    """ "" for what is none of ours."""
    try:
        return base64.b64decode(text.encode("ascii"), validate=True).decode("ascii")
    except (UnicodeError, binascii.Error):
        return ""


def _missing(body: Mapping[str, object], *names: str) -> dict[str, str]:
    """What is to be said of members that are no texts."""
    return {name: f"The {name} must be a string." for name in names if not _text(body.get(name))}


def _text(value: object) -> bool:
    return isinstance(value, str) and value != ""
