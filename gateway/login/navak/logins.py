"""Making an account, beginning a login, deciding it on the mail's page, and polling for its session."""

import re
from collections.abc import Sequence

from gateway.errors import RequestRejected
from gateway.identity.approvals import Approvals, Asked
from gateway.identity.registrations import Registrations
from gateway.login.dialect import Call, Endpoint, Reply, replied
from gateway.login.navak.answers import CLOSED, handed
from gateway.login.pages.decisions import DecisionPages, DecisionView, Question

_UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


class LoginEndpoints:
    """registrations: None where the operator closed them."""

    def __init__(
        self, approvals: Approvals, registrations: Registrations | None, pages: DecisionPages, mount: str
    ) -> None:
        self._approvals = approvals
        self._registrations = registrations
        self._pages = pages
        self._mount = mount

    def endpoints(self) -> Sequence[Endpoint]:
        mount = self._mount
        return (
            Endpoint("POST", f"{mount}/registration", self.register, "nobody", "json"),
            Endpoint("POST", f"{mount}/login", self.login, "nobody", "json"),
            Endpoint(
                "GET", f"{mount}/session/{{auth_id}}", self.poll, "nobody", safe=False
            ),  # it hands the token out, once
            Endpoint("GET", f"{mount}/confirm/{{link}}", self.ask, "nobody", page=True),
            Endpoint("POST", f"{mount}/confirm/{{link}}", self.decide, "nobody", "form", page=True),
        )

    async def register(self, call: Call) -> Reply:
        """`{username, email?, session_platform}`. Without an address that gets confirmed, the token is the only way
        in."""
        if self._registrations is None:
            raise RequestRejected("forbidden", CLOSED)
        typed = None if call.body.get("email") is None else call.text("email")
        platform = call.text("session_platform")
        made = await self._registrations.register(call.text("username"), typed, platform, call.origin)
        return handed(made.secret)

    async def login(self, call: Call) -> Reply:
        """`{username, email, session_platform}`; the same answer for a pair that is nobody's."""
        username, typed, platform = call.text("username"), call.text("email"), call.text("session_platform")
        begun = await self._approvals.begin(username, typed, platform, call.origin)
        return replied({"expiration_date": int(begun.expires_at), "auth_id": begun.auth_id})

    async def poll(self, call: Call) -> Reply:
        """The token, once. An answer that gets lost cannot be had again: the login has to be begun anew."""
        auth_id = call.params["auth_id"].lower()
        if not _UUID4.fullmatch(auth_id):
            raise RequestRejected("code_wrong")
        return handed((await self._approvals.claim(auth_id, call.origin)).secret)

    async def ask(self, call: Call) -> Reply:
        """GET changes nothing: mail scanners open links too (S-51)."""
        return await self._question(call)

    async def decide(self, call: Call) -> Reply:
        """The page's buttons: `decision` is approve or deny, `code` the second factor's."""
        link, decision = call.params["link"], call.body.get("decision")
        if decision not in ("approve", "deny"):
            raise RequestRejected("bad_parameter", "Press one of the two buttons.")
        try:
            if decision == "deny":
                outcome = await self._approvals.deny(link)
            else:
                outcome = await self._approvals.approve(link, str(call.body.get("code", "")), call.origin)
        except RequestRejected as fault:
            if fault.code != "mfa_code_wrong":
                raise
            return await self._question(call, wrong=True)
        await self._pages.open()
        return self._pages.gone() if outcome == "gone" else self._pages.decided(outcome)

    async def _question(self, call: Call, *, wrong: bool = False) -> Reply:
        asked = await self._approvals.view(call.params["link"], call.origin)
        await self._pages.open()
        return self._pages.gone() if asked is None else self._pages.question(_view(asked), wrong=wrong)


def _view(asked: Asked) -> DecisionView:
    question: Question = "approval" if asked.purpose == "approval" else "new_email"
    return DecisionView(
        question, asked.username, asked.address, asked.when, asked.platform, asked.ip, asked.minutes,
        asked.needs_code, asked.elsewhere,
    )  # fmt: skip
