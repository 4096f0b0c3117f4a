"""For every kind of the audit trail, an operation that causes it, as the program does it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from identity.core.world import ADA, HERE, PASSWORD, outcome, wrong_code
from store.world import HOUR

from gateway.identity import addresses
from gateway.identity.accounts import NewAccount
from gateway.identity.audit import Kind, acting, asked_by
from gateway.identity.model import Account, TelegramBot
from gateway.identity.origin import Origin
from gateway.identity.setup import Setup

from .office import NEW, Office

Operation = Callable[[Office], Awaitable[object]]
BOT = TelegramBot("5768337691:AAH5YkoiEuPk8-FZa32hStHTqXiLPtAEhx8", "s3cret-of-the-webhook", "manager", 3600.0)


async def vain(work: Awaitable[object]) -> None:
    """What is refused gives nothing back."""
    assert await outcome(work) != "ok"


async def link_opened(office: Office) -> object:
    return await office.core.code()


async def login_waits(office: Office) -> object:
    return await office.waiting()


async def session_renewed(office: Office) -> object:
    _, caller = await office.entered()
    return await office.core.sessions.renew(caller, "mycelium", 3600.0, 86400.0, HERE)


async def factor_proved(office: Office) -> object:
    app, _, caller = await office.waiting()
    return await office.core.logins.second_factor(caller, app.code(), HERE)


async def factor_refused(office: Office) -> object:
    app, _, caller = await office.waiting()
    return await vain(office.core.logins.second_factor(caller, app.wrong(), HERE))


async def recovery_code_used(office: Office) -> object:
    _, recovery, caller = await office.waiting()
    return await office.core.logins.second_factor(caller, recovery[0], HERE)


async def approval_granted(office: Office) -> object:
    auth_id, link = await office.asked()
    assert await office.approvals.approve(link, "", HERE) == "approved"
    office.hand.at += 1
    return await office.approvals.claim(auth_id, HERE)


async def approval_denied(office: Office) -> object:
    _, link = await office.asked()
    return await office.approvals.deny(link)


async def registered(office: Office) -> object:
    return await office.registrations.register("carol", None, "cURL", HERE)


async def registration_refused(office: Office) -> object:
    await registered(office)
    return await vain(registered(office))


async def setup_done(office: Office) -> object:
    async with office.store.changes().database.writing() as connection:
        await connection.exec_driver_sql("DELETE FROM account")
    services = office.services
    setup = Setup(services.people, services.passwords, services.pepper, services.clock)
    return await setup.create("root", PASSWORD, None)


async def account_provisioned(office: Office) -> object:
    core = replace(office.core, provision=True)
    return await core.logins.claim_link(await core.link("new@example.org"), HERE)


async def password_changed(office: Office) -> object:
    _, caller = await office.entered()
    return await office.core.logins.change_password(caller, PASSWORD, NEW, HERE)


async def password_refused(office: Office) -> object:
    _, caller = await office.entered()
    return await vain(office.core.logins.change_password(caller, "not that one", NEW, HERE))


async def reset_refused(office: Office) -> object:
    code = await office.core.reset_code()
    return await vain(office.core.logins.reset_password(ADA, wrong_code(code), NEW, HERE))


async def password_reset(office: Office) -> object:
    return await office.core.logins.reset_password(ADA, await office.core.reset_code(), NEW, HERE)


async def factor_removed(office: Office) -> object:
    app, _, session = await office.core.enrolled()
    return await office.core.factors.disable(session.account, app.code(), session.grant.id, HERE)


async def recovery_codes_replaced(office: Office) -> object:
    app, _, session = await office.core.enrolled()
    return await office.core.factors.new_recovery_codes(session.account, app.code(), HERE)


async def email_change_asked(office: Office) -> object:
    return await office.emails.ask(await office.ada(), addresses.address("ada@example.net"), "cURL", HERE)


async def email_changed(office: Office) -> object:
    await email_change_asked(office)
    return await office.approvals.approve(await office.mailed(), "", HERE)


async def identity_linked(office: Office) -> object:
    _, caller = await office.entered()
    return await office.links.link(caller, "alice-of-elsewhere", HERE)


async def identity_unlinked(office: Office) -> object:
    _, caller = await office.entered()
    link = await office.links.link(caller, "alice-of-elsewhere", HERE)
    return await office.links.unlink(caller, link.id)


async def identity_refused(office: Office) -> object:
    _, caller = await office.entered()
    return await vain(office.links.link(caller, "wrong", HERE))


async def bot_configured(office: Office) -> object:
    _, caller = await office.entered()
    assert caller.account is not None
    staff = replace(caller, account=replace(caller.account, is_staff=True))
    return await office.telegram.configure(staff, (await office.manager())[1].id, BOT)


async def token_issued(office: Office) -> object:
    return await office.grants.issue_session((await office.ada()).id, HOUR)


async def api_key_issued(office: Office) -> object:
    return await office.grants.issue_key((await office.ada()).id, "ci", None, "pipelit", HERE)


async def connection_string_issued(office: Office) -> object:
    account, tenant = await office.manager()
    return await office.grants.create_connection_string(account.id, tenant.id, "manager", office.hand.at + 3600)


async def issue_refused(office: Office) -> object:
    while await outcome(api_key_issued(office)) == "ok":
        pass
    return None


async def grant_revoked(office: Office) -> object:
    session, _ = await office.entered()
    return await office.grants.revoke(session.grant.id)


async def grant_deleted(office: Office) -> object:
    account = await office.ada()
    handed = await office.grants.issue_key(account.id, "ci", None, "pipelit", HERE)
    return await office.core.sessions.end(account.id, handed.grant.id, "api_key", delete=True)


async def disabled(office: Office) -> Account:
    return await office.accounts.disable((await office.ada()).id)


async def role_removed(office: Office) -> object:
    account, tenant = await office.manager()
    return await office.accounts.remove_role(account.id, tenant.id, "manager")


async def refusals_dropped(office: Office) -> object:
    """From more networks than are told apart."""
    for number in range(40):
        origin = Origin(f"198.51.100.{number}")
        with acting(asked_by(origin, "anonymous", "mycelium")):
            await outcome(office.core.logins.password(ADA, "wrong wrong", origin))
    return None


async def trail_trimmed(office: Office) -> object:
    await office.store.changes().seals.seal()
    office.hand.at += 1
    return await office.store.changes().seals.trim(office.hand.at)


CAUSES: Mapping[Kind, Operation] = {
    "login_begun": lambda office: office.steps.begin(ADA, "email", PASSWORD, HERE, "mployr"),
    "link_sent": lambda office: office.core.logins.request_link(ADA, HERE),
    "link_opened": link_opened,
    "login_waits": login_waits,
    "login_succeeded": lambda office: office.core.logins.password(ADA, PASSWORD, HERE),
    "login_refused": lambda office: vain(office.core.logins.password(ADA, "wrong wrong", HERE)),
    "session_renewed": session_renewed,
    "factor_proved": factor_proved,
    "factor_refused": factor_refused,
    "recovery_code_used": recovery_code_used,
    "approval_asked": lambda office: office.asked(),
    "approval_granted": approval_granted,
    "approval_denied": approval_denied,
    "registered": registered,
    "registration_refused": registration_refused,
    "setup_done": setup_done,
    "account_provisioned": account_provisioned,
    "password_changed": password_changed,
    "password_refused": password_refused,
    "reset_sent": lambda office: office.core.logins.request_reset(ADA, HERE),
    "reset_refused": reset_refused,
    "password_reset": password_reset,
    "factor_begun": lambda office: _begun(office),
    "factor_enrolled": lambda office: office.core.enrolled(),
    "factor_removed": factor_removed,
    "recovery_codes_replaced": recovery_codes_replaced,
    "email_change_asked": email_change_asked,
    "email_changed": email_changed,
    "mail_refused": lambda office: office.core.logins.request_link("nobody@example.org", HERE),
    "identity_linked": identity_linked,
    "identity_unlinked": identity_unlinked,
    "identity_refused": identity_refused,
    "bot_configured": bot_configured,
    "token_issued": token_issued,
    "api_key_issued": api_key_issued,
    "connection_string_issued": connection_string_issued,
    "issue_refused": issue_refused,
    "grant_revoked": grant_revoked,
    "grant_deleted": grant_deleted,
    "account_created": lambda office: office.accounts.create_account(NewAccount("eve@example.org")),
    "account_disabled": disabled,
    "account_enabled": lambda office: _enabled(office),
    "account_deleted": lambda office: _deleted(office),
    "mfa_required": lambda office: _required(office, True),
    "mfa_not_required": lambda office: _required(office, False),
    "tenant_created": lambda office: office.accounts.create_tenant("Acme"),
    "role_assigned": lambda office: office.manager(),
    "role_removed": role_removed,
    "key_rotated": lambda office: office.keys.rotate_signing("EdDSA"),
    "mac_key_rotated": lambda office: office.keys.rotate_mac(),
    "trail_trimmed": trail_trimmed,
    "refusals_dropped": refusals_dropped,
}


async def _begun(office: Office) -> object:
    return await office.core.factors.enable(await office.ada())


async def _enabled(office: Office) -> object:
    return await office.accounts.enable((await disabled(office)).id)


async def _deleted(office: Office) -> object:
    return await office.store.accounts.set_status((await office.ada()).id, "deleted")


async def _required(office: Office, required: bool) -> object:
    account = await office.ada()
    await office.accounts.require_mfa(account.id, True)
    return await office.accounts.require_mfa(account.id, required)
