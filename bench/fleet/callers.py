"""Who calls a fleet: accounts with a session's token each, keys that no gateway has seen, and credentials of nobody."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.fleet.traffic import Case
from gateway.clock import Clock
from gateway.identity.accounts import Accounts, NewAccount
from gateway.identity.grants import Grants, Terms, session_claims
from gateway.identity.keys import Keys, active
from gateway.identity.model import Account
from gateway.identity.tokens import mint
from gateway.store.sql import Store

PATH = "/orders/42"
DAY = 86400.0
SHORT = 1800.0  # seconds: a token that an hour's jump of the clock ends


@dataclass(frozen=True, slots=True)
class Callers:
    """known: a case each, beside those of nobody. short: tokens of half an hour. new: each used once; they run out.

    doomed: the grant, its account, and its case, for who is to be revoked.
    """

    known: Sequence[Case]
    short: Sequence[Case]
    new: Iterator[Case]
    doomed: Iterator[tuple[str, Account, Case]]


async def make(store: Store, clock: Clock, url: str, accounts: int, keys: int) -> Callers:
    """url: the gateways' public one. keys: how many new callers there will be."""
    await Keys(store.keys, clock).ensure("EdDSA")
    people = Accounts(store.accounts, store.tenants, store.roles, clock)
    maker = _Maker(store, Grants(store.grants, store.keys, clock), url)
    tenant = await people.create_tenant("Fleet")
    made = []
    for number in range(accounts):
        account = await people.create_account(NewAccount(email=f"caller{number}@fleet.example"))
        await people.assign_role(account.id, tenant.id, "reader", "read")
        made.append(account)
    known = [(await maker.session(account, DAY))[2] for account in made[: accounts // 2]]
    short = [(await maker.session(account, SHORT))[2] for account in made[:4]]
    doomed = [await maker.session(account, DAY) for account in made[accounts // 2 :]]
    new = [await maker.key(made[number % (accounts // 2)]) for number in range(keys)]
    revoked = await maker.revoked(made[0])
    nobody = [
        revoked,
        Case("nobody", PATH, None),
        Case("nobody", PATH, ("Authorization", f"Bearer myc_{'A' * 43}")),
        Case("nobody", PATH, ("Authorization", f"{(known[0].header or ('', ''))[1][:-4]}AAAA")),
    ]
    return Callers([*known, *nobody], short, iter(new), iter(doomed))


class _Maker:
    def __init__(self, store: Store, grants: Grants, url: str) -> None:
        self._store = store
        self._grants = grants
        self._url = url

    async def session(self, account: Account, lifetime: float) -> tuple[str, Account, Case]:
        key = active(await self._store.keys.signing_keys(), "token")
        grant = await self._grants.issue_session(account.id, Terms(lifetime, name="fleet"))
        token = mint(session_claims(grant, account, self._url, self._url), key)
        return grant.id, account, Case("known", PATH, ("Authorization", f"Bearer {token}"), account.owner.email)

    async def key(self, account: Account) -> Case:
        handed = await self._grants.issue_opaque(account.id, Terms(DAY, name="fleet"))
        return Case("new", PATH, ("Authorization", f"Bearer {handed.secret}"), account.owner.email)

    async def revoked(self, account: Account) -> Case:
        grant_id, _, case = await self.session(account, DAY)
        await self._grants.revoke(grant_id)
        return Case("nobody", PATH, case.header)
