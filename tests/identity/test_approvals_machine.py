"""No order of beginning, opening, approving, denying and polling hands out a session that nobody approved, or a second.

The machine calls the real approvals over a real database; a model beside it says what each call must answer. There are
no limits here: only what a challenge bears itself.
"""

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from store.world import MASTER_KEY

from gateway.identity.accounts import Accounts, NewAccount
from gateway.identity.approvals import APPROVAL_SECONDS, Approvals, Started
from gateway.identity.new_emails import NewEmails
from gateway.identity.throttle import Throttle
from gateway.login.navak import FORM
from gateway.store.schema import migrate
from gateway.store.sql import open_store

from .core.world import STEP, App, Unlimited, outcome, tried
from .test_approvals import DESK, PHONE, Office, Ticking, services

T = TypeVar("T")

ADA = ("ada", "ada@example.org")
TRIES = 5
PICK = st.integers(0, 99)
PAGE = "https://gateway.example/auth/confirm/"


@dataclass
class Begun:
    """As the model has it. decoy: nobody got a mail. needs: a second factor was on when it began. state: pending,
    approved, denied, claimed, or over for one that a newer one ended."""

    started: Started
    link: str
    decoy: bool
    needs: bool
    state: str = "pending"
    tries: int = TRIES

    def waits(self, now: float) -> bool:
        return self.state == "pending" and not self.decoy and now < self.started.expires_at and self.tries > 0


class Machine(RuleBasedStateMachine):
    template: Path

    @initialize(enrolled=st.sampled_from((True, True, False)), wrong=st.sampled_from((0, 1, TRIES - 1, TRIES)))
    def begin_all(self, enrolled: bool, wrong: int) -> None:
        self.folder = Path(tempfile.mkdtemp())
        shutil.copytree(self.template, self.folder, dirs_exist_ok=True)
        self.runner = asyncio.Runner()
        self.begun: list[Begun] = []
        self.claimed = 0
        self.app: App | None = None
        self.run(self._open())
        if enrolled:
            self.app = App(self.run(self.office.approvals._core.factors.enable(self.office.ada)), self.office.hand)
            self.run(self.office.approvals._core.factors.confirm(self.office.ada, self.app.code(), "none", DESK))
        self.begin(ADA)  # else few examples would use up the tries
        for typed in (*["wrong"] * wrong, "right"):
            self._approve(self.begun[0], typed)

    async def _open(self) -> None:
        hand, made = Ticking(), list[bytes]()
        clock = hand.clock(made)
        store = await open_store(f"sqlite:///{self.folder}/gateway.db", MASTER_KEY, clock)
        await store.open_changes()
        ada = await store.changes().accounts.by_email("ada@example.org")
        assert ada is not None
        core = replace(services(store, clock), throttle=Throttle(clock, Unlimited()))
        core = replace(core, factors=type(core.factors)(
            store.changes().factors, core.throttle, store.pepper, core.notices, clock, "Gateway"
        ))  # fmt: skip
        emails = NewEmails(core, "navak", PAGE)
        self.office = Office(store, hand, made, emails, Approvals(core, emails, FORM, PAGE), ada)

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.run(self.office.store.aclose())
            self.runner.close()
            shutil.rmtree(self.folder)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    @property
    def now(self) -> float:
        return self.office.hand.at

    @rule(
        pair=st.sampled_from(
            (("ada", "ada@example.org"),) * 3 + (("eve", "ada@example.org"), ("ada", "eve@example.org"))
        )
    )
    def begin(self, pair: tuple[str, str]) -> None:
        started, link = self.run(self.office.begin(*pair))
        decoy = pair != ADA
        assert started.expires_at == self.now + APPROVAL_SECONDS
        for older in self.begun:
            if not decoy and not older.decoy and older.state in ("pending", "approved"):
                older.state = "over"
        self.begun.append(Begun(started, link, decoy, self.app is not None and not decoy))

    @precondition(lambda self: self.begun)
    @rule(pick=PICK)
    def look(self, pick: int) -> None:
        one = self._picked(pick)
        shown = self.run(self.office.approvals.view(one.link, PHONE))
        assert (shown is not None) == one.waits(self.now)
        assert shown is None or shown.needs_code == one.needs

    @precondition(lambda self: self.begun)
    @rule(pick=PICK, typed=st.sampled_from(("right", "wrong", "wrong", "")), times=st.sampled_from((1, 4, 5)))
    def approve(self, pick: int, typed: str, times: int) -> None:
        one = self._picked(pick)
        for _ in range(times):
            self._approve(one, typed)

    def _approve(self, one: Begun, typed: str) -> None:
        self.office.hand.at += STEP  # a code counts once
        code = "" if self.app is None or not typed else self.app.code() if typed == "right" else self.app.wrong()
        waits = one.waits(self.now)
        expected = "ok" if waits and (not one.needs or typed == "right") else "mfa_code_wrong" if waits else "ok"
        done, found = self.run(tried(self.office.approvals.approve(one.link, code, PHONE)))
        assert found == expected
        assert done == (("approved" if waits else "gone") if found == "ok" else None)
        if waits and one.needs and typed:
            one.tries -= 1
        if waits and found == "ok":
            one.state = "approved"

    @precondition(lambda self: self.begun)
    @rule(pick=PICK)
    def deny(self, pick: int) -> None:
        one = self._picked(pick)
        waits = one.waits(self.now)
        assert self.run(self.office.approvals.deny(one.link)) == ("denied" if waits else "gone")
        one.state = "denied" if waits else one.state

    @precondition(lambda self: self.begun)
    @rule(pick=PICK)
    def poll(self, pick: int) -> None:
        one = self._picked(pick)
        good = one.state == "approved" and self.now < one.started.expires_at
        entered, found = self.run(tried(self.office.approvals.claim(one.started.auth_id, DESK)))
        assert found == ("ok" if good else "code_wrong")
        if entered is not None:
            assert entered.account.id == self.office.ada.id
            one.state = "claimed"
            self.claimed += 1

    @precondition(lambda self: self.begun)
    @rule(pick=PICK)
    def each_for_the_other(self, pick: int) -> None:
        """The mail's link polls nothing, and the poll's token decides nothing."""
        one = self._picked(pick)
        assert self.run(outcome(self.office.approvals.claim(one.link, DESK))) == "code_wrong"
        assert self.run(self.office.approvals.approve(one.started.auth_id, "", PHONE)) == "gone"
        assert self.run(self.office.approvals.deny(one.started.auth_id)) == "gone"

    @rule(seconds=st.sampled_from((1, 1, 60, 899, 900)))
    def wait(self, seconds: int) -> None:
        self.office.hand.at += seconds

    @invariant()
    def there_are_as_many_sessions_as_claims(self) -> None:
        """By the database alone."""
        if hasattr(self, "runner"):
            held = self.run(self.office.store.changes().grants.held(self.office.ada.id, "session", live=False))
            assert len(held) == self.claimed

    def _picked(self, pick: int) -> Begun:
        return self.begun[-1 - pick % min(len(self.begun), 4)]


def test_no_order_of_steps_hands_out_what_nobody_approved(tmp_path: Path) -> None:
    """Every link, decision and poll is worth what the model says, and each approval one session."""
    asyncio.run(_settle(tmp_path))
    Machine.template = tmp_path
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=16,
            phases=(Phase.generate,),
            stateful_step_count=30,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


async def _settle(folder: Path) -> None:
    url, clock = f"sqlite:///{folder}/gateway.db", Ticking().clock([])
    await migrate(url)
    store = await open_store(url, MASTER_KEY, clock)
    try:
        await store.open_changes()
        accounts = Accounts(store.accounts, store.tenants, store.roles, clock)
        await accounts.create_account(NewAccount("ada@example.org", username="ada"))
    finally:
        await store.aclose()
