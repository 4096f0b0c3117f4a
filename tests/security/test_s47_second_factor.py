"""S-47 and S-49: no way in leads around the second factor, and recovery codes are no second door."""

from harness.site import Site
from identity.core.desk import ADA, PASSWORD, Desk, seated
from identity.core.world import App

NEW = "another horse battery"


async def enrolled(site: Site) -> tuple[Desk, App, list[str], str]:
    desk = await seated(site)
    await desk.give_password(ADA)
    token = await desk.login(ADA)
    app, recovery = await desk.enrol(token)
    return desk, app, recovery, token


async def test_s47_no_way_in_skips_the_second_factor(site: Site) -> None:
    """Link, code, password, and the password that a reset has set."""
    desk, _, _, _ = await enrolled(site)
    ways = [
        await desk.done("POST", "users/magic-link/verify", {"token": await desk.link(ADA)}),
        await desk.done(
            "POST", "users/magic-link/verify", {"email": ADA, "code": await desk.code(await desk.link(ADA))}
        ),
        await desk.done("POST", "users/login", {"email": ADA, "password": PASSWORD}),
    ]
    body = {"email": ADA, "token": await desk.reset_code(ADA), "newPassword": NEW}
    await desk.done("POST", "users/reset-password", body)
    ways.append(await desk.done("POST", "users/login", {"email": ADA, "password": NEW}))
    assert [way["totpRequired"] for way in ways] == [True] * 4


async def test_s47_a_reset_leaves_the_factor_and_its_codes(site: Site) -> None:
    """It proves the mailbox, and nothing more."""
    desk, _, recovery, _ = await enrolled(site)
    await desk.reset(ADA)
    done = await desk.done("POST", "users/totp/check-token", {"token": recovery[0]}, await desk.login(ADA))
    assert done["totpRequired"] is False


async def test_s47_an_enrolment_does_not_replace_a_factor(site: Site) -> None:
    """A stolen session cannot put its own app in the place of the owner's."""
    desk, app, _, token = await enrolled(site)
    answers = [await desk.call("POST", f"users/totp/enable{query}", token=token) for query in ("", "?qr_code=true")]
    done = await desk.done("POST", "users/totp/check-token", {"token": app.code()}, await desk.login(ADA))
    assert ([answer.status for answer in answers], done["totpRequired"]) == ([400, 400], False)


async def test_s47_a_pending_factor_asks_nobody_for_codes(site: Site) -> None:
    """Or an enrolment that was never finished would lock its owner out."""
    desk = await seated(site)
    await desk.give_password(ADA)
    await desk.enable(await desk.login(ADA))
    assert (await desk.done("POST", "users/login", {"email": ADA, "password": PASSWORD}))["totpRequired"] is False


async def test_s47_the_second_enrolment_voids_the_first(site: Site) -> None:
    """What was photographed before is of no use."""
    desk = await seated(site)
    await desk.give_password(ADA)
    token = await desk.login(ADA)
    first, second = await desk.enable(token), await desk.enable(token)
    found = [
        await desk.call("POST", "users/totp/validate-app", {"token": app.code()}, token) for app in (first, second)
    ]
    assert [answer.status for answer in found] == [400, 200]


async def test_s47_a_secret_is_shown_once(site: Site) -> None:
    """Enrolling is the only time that it can be read."""
    desk, app, _, token = await enrolled(site)
    pages = [(await desk.call("GET", path, token=token)).body for path in ("profile", "sessions", "tokens")]
    assert not any(app.secret.encode() in page for page in pages)


async def test_s49_new_recovery_codes_void_the_old(site: Site) -> None:
    """All ten of them, used or not."""
    desk, app, old, token = await enrolled(site)
    new = (await desk.done("POST", "users/totp/recovery-codes", {"token": app.code()}, token))["recoveryCodes"]
    found = []
    for code in (old[0], old[9], new[0]):
        waiting = await desk.login(ADA)
        found.append((await desk.call("POST", "users/totp/check-token", {"token": code}, waiting)).status)
    assert found == [400, 400, 200]


async def test_s49_a_recovery_code_begets_no_others(site: Site) -> None:
    """It would never end."""
    desk, _, recovery, token = await enrolled(site)
    body = {"token": recovery[0]}
    refused = await desk.call("POST", "users/totp/recovery-codes", body, token)
    after = await desk.call("POST", "users/totp/check-token", body, await desk.login(ADA))
    assert (refused.status, after.status) == (400, 200)


async def test_s49_a_recovery_code_is_read_as_people_write_it(site: Site) -> None:
    """With or without the dash, in either case: and counts once all the same."""
    desk, _, recovery, _ = await enrolled(site)
    found = []
    for typed in (recovery[0].upper().replace("-", " "), recovery[0], recovery[0].replace("-", "")):
        waiting = await desk.login(ADA)
        found.append((await desk.call("POST", "users/totp/check-token", {"token": typed}, waiting)).status)
    assert found == [200, 400, 400]


async def test_s49_the_codes_of_one_factor_do_not_outlive_it(site: Site) -> None:
    """A new one has ten of its own."""
    desk, app, old, token = await enrolled(site)
    await desk.done("POST", "users/totp/disable", {"token": app.code()}, token)
    await desk.enrol(token)
    waiting = await desk.login(ADA)
    assert (await desk.call("POST", "users/totp/check-token", {"token": old[0]}, waiting)).status == 400


async def test_s49_ten_codes_are_ten(site: Site) -> None:
    """Of fifty bits each."""
    _, _, recovery, _ = await enrolled(site)
    assert (len(set(recovery)), {len(code) for code in recovery}) == (10, {11})
