"""S-44: a step of the app counts once: for all endpoints that take its code, on every node, whichever came first."""

import pyotp
import pytest
from dialects.desk import TOTP, Desk
from harness.site import Running, Site
from identity.core.desk import ADA, seated
from identity.core.desk import Desk as Wired

from .code_places import APP, ENROLMENTS, HELD, armed

STEP = 30


@pytest.mark.parametrize("first", APP)
def test_s44_a_code_that_was_accepted_is_refused_everywhere(desk: Desk, first: str) -> None:
    """At every endpoint that takes one, the one that took it included."""
    at = armed(desk)
    others = {name: place(desk, at) for name, place in APP.items() if name != first}
    present = APP[first](desk, at)
    code = desk.code(at.secret)
    desk.hand.rest()
    assert present(code).status in (200, 204)
    found = {}
    for name, again in {**others, f"{first}, again": APP[first](desk, at) if first in HELD else present}.items():
        desk.hand.rest()
        found[name] = again(code).status
    assert {name: status for name, status in found.items() if not 400 <= status < 500} == {}


def test_s44_an_older_step_is_refused_within_the_drift(desk: Desk) -> None:
    """A clock may be off by a step, but what is older than the last accepted one is a replay. The next one is good."""
    at = armed(desk)
    present = {name: place(desk, at) for name, place in APP.items() if "disable" not in name}
    assert present.pop("mycelium, second step")(desk.code(at.secret)).status == 200
    older = pyotp.TOTP(at.secret).at(int(desk.hand.now()) - STEP)
    found = {}
    for name, again in present.items():
        desk.hand.rest()
        found[name] = again(older).status
    desk.hand.rest()
    after = present["mycelium, recovery codes"](desk.code(at.secret)).status
    assert ({name: status for name, status in found.items() if status < 400}, after) == ({}, 200)


@pytest.mark.parametrize("where", ENROLMENTS)
def test_s44_the_code_that_enrolled_logs_nobody_in(desk: Desk, where: str) -> None:
    """It was accepted: at the enrolment, and again at the next step's endpoints."""
    secret, present = ENROLMENTS[where](desk)
    code = desk.code(secret)
    first, again = present(code).status, present(code).status
    assert (first, 400 <= again < 500) == (200, True)


def test_s44_the_code_that_enrolled_is_spent(desk: Desk) -> None:
    """For all second steps, and for what takes the factor away."""
    at = armed(desk)  # its enrolment took the code of this very step
    code = pyotp.TOTP(at.secret).at(int(desk.hand.now()))
    found = {}
    for name, place in APP.items():
        desk.hand.rest()
        found[name] = place(desk, at)(code).status
    assert {name: status for name, status in found.items() if not 400 <= status < 500} == {}


def test_s44_a_new_factor_begins_anew(desk: Desk) -> None:
    """What the last one accepted says nothing about its successor, in the same step."""
    at = armed(desk)
    assert desk.post(f"{TOTP}/disable", {"token": at.codes[0]}, at.token).status == 204
    secret = desk.begun(at.token)
    code = pyotp.TOTP(secret).at(int(desk.hand.now()))
    assert desk.post(f"{TOTP}/validate-app", {"token": code}, at.token).status == 200


async def test_s44_a_code_counts_once_on_two_nodes(site: Site) -> None:
    """Over one store, with nothing in common but that: one of them takes it."""
    first = await seated(site)
    await first.give_password(ADA)
    app, _ = await first.enrol(await first.login(ADA))
    running = Running(first.running.people)
    running.hand = first.running.hand
    await running.start(site.said(first.upstream, mail={"url": "file:./outbox"}))
    site._gateways.append(running)
    second = Wired(site, running, first.upstream)
    waiting = [await first.login(ADA) for _ in range(2)]
    body, found = {"token": app.code()}, []
    for desk, token in zip((first, second), waiting, strict=True):
        found.append((await desk.call("POST", "users/totp/check-token", body, token)).status)
    assert found == [200, 400]
