"""No sequence of calls yields a session without everything that its account needs at that moment.

The machine calls the real core over a real database, and a model beside it says what each call must answer. There are
no limits per network or account here: only what challenges, steps and codes bear themselves.
"""

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
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

from gateway.identity.model import Account

from .world import ADA, HERE, PASSWORD, STEP, App, Core, copied, in_folder, opened, outcome, settle, tried, wrong_code

T = TypeVar("T")

LIFETIME, LINK_LIFE, PENDING_LIFE, RESTRICTED_LIFE = 86400, 900, 900, 300
TRIES = 5
PASSWORDS = (PASSWORD, "another horse battery")
PICK = st.integers(0, 99)
MOVES = st.sampled_from((1, 29, 30, 30, 30, 31, 60, 60, 90, 299, 300, 899, 900, 86399))
OFTEN, SOMETIMES = ("now", "last", "fresh", "used", "used"), ("before", "after", "long before", "long after")
TYPED = st.sampled_from((*OFTEN, *OFTEN, *SOMETIMES, "wrong", "mail"))


@dataclass
class Mail:
    """A challenge that was mailed, as the model has it. token: "" for a reset."""

    token: str
    code: str
    expires_at: float
    tries: int = TRIES
    over: bool = False

    def live(self, now: float) -> bool:
        return not self.over and now < self.expires_at


@dataclass
class Held:
    """A session as the model has it. tries: of its second factor. aal: what it must have got to."""

    token: str
    grant_id: str
    restricted: bool
    expires_at: float
    tries: int = TRIES
    ended: bool = False
    aal: int = 1

    def live(self, now: float) -> bool:
        return not self.ended and now < self.expires_at


class Machine(RuleBasedStateMachine):
    template: Path

    @initialize(enrolled=st.sampled_from((True, True, False)))
    def begin(self, enrolled: bool) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.runner, self.stack = asyncio.Runner(), AsyncExitStack()
        self.core: Core = self.run(self.stack.enter_async_context(opened(copied(self.template, self.folder))))
        self.account: Account = self.run(self.core.account())
        self.links: list[Mail] = []
        self.resets: list[Mail] = []
        self.held: list[Held] = []
        self.word = PASSWORD
        self.active: App | None = None
        self.pending: tuple[App, float] | None = None
        self.last_step = 0
        self.last_code = ""
        self.fresh: list[str] = []
        self.used: list[str] = []
        if enrolled:  # else few examples would get that far
            self.password(0, True)
            self.password(0, True)
            self.enable(0)
            self.confirm(0, "pending", 0)

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.run(self.stack.aclose())
            self.runner.close()
            shutil.rmtree(self.folder)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    @property
    def now(self) -> float:
        return self.core.hand.at

    # first factors

    @rule()
    def request_link(self) -> None:
        token = self.run(self.core.link())
        for link in self.links:
            link.over = True
        self.links.append(Mail(token, self._code_of(token), self.now + LINK_LIFE))

    @precondition(lambda self: self.links)
    @rule(pick=PICK)
    def show_code(self, pick: int) -> None:
        link = self._picked(self.links, pick)
        shown = self.run(self.core.logins.show_code(link.token))
        assert (shown[1] if shown else None) == (link.code if link.live(self.now) else None)

    @precondition(lambda self: self.links)
    @rule(pick=PICK)
    def claim_link(self, pick: int) -> None:
        link = self._picked(self.links, pick)
        good = link.live(self.now)
        self._logs_in(self.core.logins.claim_link(link.token, HERE), good)
        link.over = link.over or good

    @precondition(lambda self: self.links)
    @rule(times=st.sampled_from((1, 4, 5)))
    def guess_code(self, times: int) -> None:
        newest = self.links[-1]
        for _ in range(times):
            self._guess(newest, wrong_code(newest.code))
            self._logs_in(self.core.logins.claim_code(ADA, wrong_code(newest.code), HERE), False)

    @precondition(lambda self: self.links)
    @rule(pick=PICK, kind=st.sampled_from(("right", "right", "older", "reset", "totp")))
    def claim_code(self, pick: int, kind: str) -> None:
        newest = self.links[-1]
        typed = {
            "right": newest.code,
            "older": self._picked(self.links, pick).code,
            "reset": self.resets[-1].code if self.resets else wrong_code(newest.code),
            "totp": self.active.code() if self.active else wrong_code(newest.code),
        }[kind]
        good = self._guess(newest, typed)
        self._logs_in(self.core.logins.claim_code(ADA, typed, HERE), good)
        newest.over = newest.over or good

    @rule(pick=PICK, right=st.booleans())
    def password(self, pick: int, right: bool) -> None:
        typed = self.word if right else next(word for word in PASSWORDS if word != self.word)
        self._logs_in(self.core.logins.password(ADA, typed, HERE), right)

    @rule()
    def request_reset(self) -> None:
        code = self.run(self.core.reset_code())
        for reset in self.resets:
            reset.over = True
        self.resets.append(Mail("", code, self.now + LINK_LIFE))

    @precondition(lambda self: self.resets)
    @rule(pick=PICK, kind=st.sampled_from(("right", "wrong", "mail")), word=st.sampled_from(PASSWORDS))
    def reset_password(self, pick: int, kind: str, word: str) -> None:
        newest = self.resets[-1]
        link = self.links[-1].code if self.links else wrong_code(newest.code)
        typed = {"right": newest.code, "wrong": wrong_code(newest.code), "mail": link}[kind]
        good = self._guess(newest, typed)
        found = self.run(outcome(self.core.logins.reset_password(ADA, typed, word, HERE)))
        assert found == ("ok" if good else "code_wrong")
        if good:
            self.word = word
            self._end_others(None)
            for mail in (*self.links, *self.resets):  # a mail that was sent before must not undo it
                mail.over = True

    # the second factor

    @precondition(lambda self: self.held)
    @rule(pick=PICK, typed=TYPED, other=PICK)
    def second_factor(self, pick: int, typed: str, other: int) -> None:
        waiting = [held for held in self.held if held.restricted and held.live(self.now)]
        held = self._picked(waiting or self.held, pick)
        caller = self._caller(held)
        if caller is None:
            return
        code = self._typed(typed, other)
        expected = self._second(held, code)
        session, found = self.run(tried(self.core.logins.second_factor(caller, code, HERE)))
        assert found == expected
        if session is None:
            return
        assert (session.grant.id, session.grant.aal) == (held.grant_id, 2)
        held.restricted, held.aal, held.expires_at, held.token = False, 2, self.now + LIFETIME, session.token

    @rule(typed=TYPED, again=TYPED, other=PICK, seconds=st.sampled_from((0, STEP, STEP)))
    def two_logins(self, typed: str, again: str, other: int, seconds: int) -> None:
        """Left to chance, few examples get to a second code."""
        for code in (typed, again):
            self.password(0, True)
            self.wait(seconds)
            self.second_factor(0, code, other)

    @precondition(lambda self: self._full())
    @rule(pick=PICK)
    def enable(self, pick: int) -> None:
        self._picked(self._full(), pick)
        url, found = self.run(tried(self.core.factors.enable(self.account)))
        assert found == ("mfa_enabled" if self.active else "ok")
        if url is not None:
            self.pending = App(url, self.core.hand), self.now + PENDING_LIFE

    @precondition(lambda self: self._full())
    @rule(pick=PICK, typed=st.sampled_from(("pending", "pending", "pending", "wrong", "mail")), other=PICK)
    def confirm(self, pick: int, typed: str, other: int) -> None:
        held, code = self._picked(self._full(), pick), self._typed(typed, other)
        step = self._step(self.pending[0], code) if self.pending else None
        expected = "ok" if step is not None else "mfa_code_wrong"
        if self.pending is None or self.now >= self.pending[1]:
            expected = "mfa_not_enabled"
        if self.active is not None:
            expected = "mfa_enabled"
        shown, found = self.run(tried(self.core.factors.confirm(self.account, code, held.grant_id, HERE)))
        assert found == expected
        if shown is None or step is None or self.pending is None:
            return
        self.active, self.pending, self.last_step, self.last_code = self.pending[0], None, step, code
        self.fresh, self.used = shown, []
        held.aal = 2
        self._end_others(held)

    @precondition(lambda self: self._full() and self.active)
    @rule(pick=PICK, typed=TYPED, other=PICK)
    def disable(self, pick: int, typed: str, other: int) -> None:
        held, code = self._picked(self._full(), pick), self._typed(typed, other)
        expected = self._prove(code)
        found = self.run(outcome(self.core.factors.disable(self.account, code, held.grant_id, HERE)))
        assert found == expected
        if found == "ok":
            self.active, self.fresh, self.used = None, [], []
            self._end_others(held)

    @precondition(lambda self: self._full() and self.active)
    @rule(typed=TYPED, other=PICK)
    def recovery_codes(self, typed: str, other: int) -> None:
        code = self._typed(typed, other)
        expected = self._prove(code) if code.isdigit() else "mfa_code_wrong"
        shown, found = self.run(tried(self.core.factors.new_recovery_codes(self.account, code, HERE)))
        assert found == expected
        if shown is not None:
            self.fresh, self.used = shown, []

    @rule(seconds=MOVES)
    def wait(self, seconds: int) -> None:
        self.core.hand.at += seconds

    # what holds after each of them

    @invariant()
    def the_store_has_the_grants_of_the_model(self) -> None:
        rows = self.run(self.core.rows("SELECT id, restricted, aal, expires_at, revoked_at FROM grant_"))
        found = {row[0]: (bool(row[1]), row[2], row[3], row[4] is not None) for row in rows}
        wanted = {held.grant_id: (held.restricted, held.aal, held.expires_at, held.ended) for held in self.held}
        assert found == wanted

    @invariant()
    def every_open_session_has_all_that_it_needs(self) -> None:
        """By the database alone."""
        live = f"revoked_at IS NULL AND NOT restricted AND expires_at > {self.now}"
        rows = self.run(self.core.rows(f"SELECT amr, aal FROM grant_ WHERE {live}"))
        for amr, aal in rows:
            methods = str(amr).split()
            assert methods[0] in ("email", "pwd")
            assert self.active is None or (aal == 2 and {"otp", "recovery"} & set(methods[1:]))

    @invariant()
    def an_open_session_is_let_in_and_a_restricted_one_is_marked(self) -> None:
        for held in self.held[-2:]:
            caller = self._caller(held)
            assert (caller is None) == (not held.live(self.now))
            assert caller is None or caller.restricted == held.restricted

    # the model

    def _code_of(self, token: str) -> str:
        shown = self.run(self.core.logins.show_code(token))
        assert shown is not None
        return shown[1]

    def _guess(self, newest: Mail, typed: str) -> bool:
        """Whether this opens the live challenge; a try is spent."""
        if not newest.live(self.now) or not newest.tries:
            return False
        newest.tries -= 1
        return typed == newest.code

    def _logs_in(self, work: Coroutine[Any, Any, Any], good: bool) -> None:
        session, found = self.run(tried(work))
        assert found == ("ok" if good else "code_wrong")
        if session is None:
            return
        pending = self.active is not None
        expires_at = self.now + (RESTRICTED_LIFE if pending else LIFETIME)
        assert session.grant.restricted == pending
        self.held.append(Held(session.token, session.grant.id, pending, expires_at))

    def _second(self, held: Held, code: str) -> str:
        if not held.restricted:
            return "mfa_not_enabled"
        if not held.tries:
            return "code_wrong"
        held.tries -= 1
        return self._prove(code)

    def _prove(self, code: str) -> str:
        """What a code is worth now; it is worth nothing afterwards."""
        if code in self.fresh:
            self.fresh.remove(code)
            self.used.append(code)
            return "ok"
        step = self._step(self.active, code) if self.active else None
        if step is None or step <= self.last_step:
            return "mfa_code_wrong"
        self.last_step, self.last_code = step, code
        return "ok"

    def _step(self, app: App, code: str) -> int | None:
        steps = [ahead for ahead in (-1, 0, 1) if app.code(ahead) == code]
        return int(self.now) // STEP + steps[-1] if steps else None

    def _typed(self, kind: str, other: int) -> str:
        app = self.active or (self.pending[0] if self.pending else None)
        wrong = app.wrong() if app else "000000"
        if app and kind in (ahead := {"now": 0, "before": -1, "after": 1, "long before": -2, "long after": 2}):
            return app.code(ahead[kind])
        return {
            "last": self.last_code or wrong,
            "mail": self.links[-1].code if self.links else wrong,
            "pending": self.pending[0].code() if self.pending else wrong,
            "fresh": self._picked(self.fresh, other) if self.fresh else wrong,
            "used": self._picked(self.used, other) if self.used else wrong,
        }.get(kind, wrong)

    def _full(self) -> list[Held]:
        return [held for held in self.held if held.live(self.now) and not held.restricted]

    def _caller(self, held: Held) -> Any:
        return self.run(tried(self.core.caller(held.token)))[0]

    def _end_others(self, keep: Held | None) -> None:
        for held in self.held:
            if held is not keep and held.live(self.now):
                held.ended = True

    def _picked(self, found: list[T], pick: int) -> T:
        return found[-1 - pick % len(found)]


def test_no_sequence_of_calls_lets_anybody_in_by_less(tmp_path: Path) -> None:
    """Every grant, restriction and level is as the model says, and no code counts twice."""
    asyncio.run(settle(in_folder(tmp_path)))
    Machine.template = tmp_path
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=16,
            phases=(Phase.generate,),  # shrinking takes minutes; the steps that led there are printed either way
            stateful_step_count=40,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
