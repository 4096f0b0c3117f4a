"""Accounts of people and programs."""

from collections.abc import Sequence

from gateway.control.api import answers, asks
from gateway.control.api.operation import Asked, Operation, Unfit, mark, marked
from gateway.control.api.parts import Parts
from gateway.identity.accounts import NewAccount
from gateway.identity.model import Account
from gateway.login import shown

ACCOUNT = "/accounts/{accountId}"


class Accounts:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._administration = parts.administration
        self._accounts = parts.administration.accounts

    def operations(self) -> Sequence[Operation]:
        answer = answers.Account
        return (
            Operation(
                "createAccount", "POST", "/accounts", "accounts", "Create an account",
                self.create, answer, asks.NewAccount, status=201,
            ),
            Operation(
                "listAccounts", "GET", "/accounts", "accounts", "List accounts, oldest first, or search for some",
                self.list, answers.Accounts, query=asks.AccountQuery,
            ),
            Operation("showAccount", "GET", ACCOUNT, "accounts", "Show an account", self.show, answer),
            Operation(
                "deleteAccount", "DELETE", ACCOUNT, "accounts",
                "Delete an account that holds no role and owns no tenant",
                self.delete, description="What is known of its holder goes, and all its credentials end.",
            ),
            Operation(
                "disableAccount", "POST", f"{ACCOUNT}/disable", "accounts",
                "Stop all its credentials, within a second", self.disable, answer,
            ),
            Operation(
                "enableAccount", "POST", f"{ACCOUNT}/enable", "accounts",
                "Let a disabled account in again, with the credentials it had", self.enable, answer,
            ),
            Operation(
                "resetMfa", "POST", f"{ACCOUNT}/reset-mfa", "accounts",
                "Take its second factor away, for somebody who has lost it", self.reset_mfa, answers.MfaReset,
                description="All its credentials end, within a second.",
            ),
            Operation(
                "requireMfa", "POST", f"{ACCOUNT}/require-mfa", "accounts", "Demand a second factor",
                self.require_mfa, answer,
                description="Until it has one, only MikroCloud's login, which enrols one, lets it in.",
            ),
            Operation(
                "allowNoMfa", "POST", f"{ACCOUNT}/allow-no-mfa", "accounts", "Ask for a second factor no longer",
                self.allow_no_mfa, answer, description="One that is on stays on.",
            ),
            Operation(
                "setPassword", "PUT", f"{ACCOUNT}/password", "accounts", "Set its password",
                self.set_password, body=asks.NewPassword,
                description="All its credentials end, within a second, and a mail tells its holder.",
            ),
            Operation(
                "sendReset", "POST", f"{ACCOUNT}/send-reset", "accounts",
                "Mail its holder a code that sets a new password, once", self.send_reset,
            ),
            Operation(
                "setRank", "PUT", f"{ACCOUNT}/rank", "accounts", "Make it one of the staff, a manager, or neither",
                self.set_rank, answer, asks.NewRank,
            ),
        )  # fmt: skip

    async def create(self, asked: Asked) -> object:
        said = asked.said(asks.NewAccount)
        if said.password is not None and said.password_hash is not None:
            raise Unfit([("body.passwordHash", "give a password or a hash, not both")])
        new = NewAccount(said.email, said.username, said.name)
        made = await self._administration.create_account(new, self._parts.passwords, said.password, said.password_hash)
        return _shown(made)

    async def list(self, asked: Asked) -> object:
        said = asked.sought(asks.AccountQuery)
        page = await self._parts.listings.accounts(said.limit, mark(said.after, int), said.q or "", said.status)
        return marked(page, _shown)

    async def show(self, asked: Asked) -> object:
        return _shown(await self._accounts.account(asked.params["accountId"]))

    async def delete(self, asked: Asked) -> object:
        await self._administration.governance.delete_account(asked.params["accountId"], asked.authority.on)
        return None

    async def disable(self, asked: Asked) -> object:
        account_id, guard = asked.params["accountId"], asked.authority.on
        return _shown(await self._accounts.disable(account_id, guard, keep_staff=True))

    async def enable(self, asked: Asked) -> object:
        return _shown(await self._accounts.enable(asked.params["accountId"], asked.authority.on))

    async def reset_mfa(self, asked: Asked) -> object:
        account_id, guard = asked.params["accountId"], asked.authority.on
        found, removed = await self._administration.reset_mfa(account_id, asked.origin, guard)
        return {"id": found.id, "removed": removed}

    async def require_mfa(self, asked: Asked) -> object:
        return _shown(await self._accounts.require_mfa(asked.params["accountId"], True, asked.authority.on))

    async def allow_no_mfa(self, asked: Asked) -> object:
        return _shown(await self._accounts.require_mfa(asked.params["accountId"], False, asked.authority.on))

    async def set_password(self, asked: Asked) -> object:
        password, guard = asked.said(asks.NewPassword).password, asked.authority.on
        await self._administration.set_password(
            asked.params["accountId"], password, self._parts.passwords, asked.origin, guard
        )
        return None

    async def send_reset(self, asked: Asked) -> object:
        account_id, guard = asked.params["accountId"], asked.authority.on
        await self._administration.send_reset(account_id, self._parts.logins, asked.origin, guard)
        return None

    async def set_rank(self, asked: Asked) -> object:
        account_id, rank = asked.params["accountId"], asked.said(asks.NewRank).rank
        await self._administration.governance.set_rank(account_id, rank, asked.authority.on)
        return _shown(await self._accounts.account(account_id))


def _shown(account: Account) -> shown.Fields:
    return {**shown.account_details(account), **shown.requirement(account)}
