"""Telegram Mini Apps: a tenant's bot, the link, and a login whose connection string really authenticates."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from identity.mini_app import ADA, TOKEN, of_user, signed_elsewhere

from gateway.errors import RequestRejected
from gateway.identity.accounts import NewAccount
from gateway.identity.model import Account, Principal, Tenant

from .linking import Linking, opened

CONFIG = "/_adm/tenant-owner/telegram/config"
LINK = "/auth/telegram/link"
LOGIN = "/auth/telegram/login/{tenant_id}"
NOBODY = "00000000-0000-4000-8000-000000000000"
BOT = {"botToken": TOKEN, "webhookSecret": "a-webhook_secret", "role": "manager", "lifetime": "24h"}


@dataclass
class Stage:
    """A tenant with an owner, and a member of it who holds `manager` there."""

    linking: Linking
    owner: Principal
    member: Principal
    tenant: Tenant

    @property
    def account(self) -> Account:
        assert self.member.account is not None
        return self.member.account

    def here(self, tenant_id: str | None = None) -> dict[str, str]:
        return {"x-mycelium-tenant-id": tenant_id or self.tenant.id}

    async def configure(self, **changes: object) -> int:
        body = {name: value for name, value in {**BOT, **changes}.items() if value is not None}
        return (await self.linking.call("POST", CONFIG, self.owner, headers=self.here(), body=body)).status

    async def link(self, text: str) -> int:
        return (await self.linking.call("POST", LINK, self.member, headers=self.here(), body={"initData": text})).status

    async def login(self, text: str) -> dict[str, str]:
        reply = await self.linking.call("POST", LOGIN, params={"tenant_id": self.tenant.id}, body={"initData": text})
        answer: dict[str, str] = json.loads(reply.body)
        return answer

    async def no_login(self, text: str, tenant_id: str | None = None) -> str:
        params = {"tenant_id": tenant_id or self.tenant.id}
        return await self.linking.refused("POST", LOGIN, params=params, body={"initData": text})

    async def no_link(self, text: str) -> str:
        return await self.linking.refused("POST", LINK, self.member, headers=self.here(), body={"initData": text})

    def now(self, user: object = ADA, token: str = TOKEN) -> str:
        return of_user(user, token, self.linking.world.hand.at)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with opened(tmp_path) as linking:
        world = linking.world
        owner, member = await world.ada("owner@example.org"), await world.ada()
        tenant = await world.accounts.create_tenant("Acme", owner.id)
        await world.accounts.assign_role(member.id, tenant.id, "manager", "write")
        yield Stage(linking, await linking.session(owner), await linking.session(member), tenant)


@pytest.fixture
async def linked(stage: Stage) -> Stage:
    await stage.configure()
    await stage.link(stage.now())
    return stage


async def test_a_login_really_authenticates(linked: Stage) -> None:
    """As the member, fixed to the tenant and the bot's role."""
    answer = await linked.login(linked.now())
    assert sorted(answer) == ["connectionString", "expiresAt"]
    found = await linked.linking.connected(answer["connectionString"])
    assert (found.account, found.tenant_id, found.role) == (linked.account, linked.tenant.id, "manager")


async def test_what_others_sign_logs_in(linked: Stage) -> None:
    """The npm package, as Telegram does it today: with `signature`."""
    order = {"token": TOKEN, "authDate": int(linked.linking.world.hand.at), "data": {"user": ADA, "signature": "x-_"}}
    (text,) = signed_elsewhere([order])
    found = await linked.linking.connected((await linked.login(text))["connectionString"])
    assert found.account == linked.account


@pytest.mark.parametrize(
    ("lifetime", "expires"),
    [
        ("24h", "2027-01-16T08:00:00Z"),
        (None, "2027-01-16T08:00:00Z"),
        (3600, "2027-01-15T09:00:00Z"),
        ("90s", "2027-01-15T08:01:30Z"),
        ("3650d", "2037-01-12T08:00:00Z"),
    ],
)
async def test_the_bot_says_how_long_a_login_lives(linked: Stage, lifetime: object, expires: str) -> None:
    """A day where it says nothing. The string says the same."""
    await linked.configure(lifetime=lifetime)
    answer = await linked.login(linked.now())
    assert answer["expiresAt"] == expires
    assert f"edt={expires};" in answer["connectionString"]


async def test_the_same_init_data_again_hands_out_another_string(linked: Stage) -> None:
    """It is a bearer value within its window."""
    text = linked.now()
    assert (await linked.login(text))["connectionString"] != (await linked.login(text))["connectionString"]


async def test_init_data_is_void_after_its_window(linked: Stage) -> None:
    """Both sides of it."""
    text = linked.now()
    linked.linking.world.hand.at += 300
    await linked.login(text)
    linked.linking.world.hand.at += 1
    assert await linked.no_login(text) == "invalid_telegram_init_data"


async def test_init_data_of_another_bot_does_not_log_in(linked: Stage) -> None:
    """Each tenant has its own."""
    assert await linked.no_login(linked.now(token="1:other")) == "invalid_telegram_init_data"


async def test_a_user_who_is_not_linked_does_not_log_in(linked: Stage) -> None:
    """A right signature is no account."""
    assert await linked.no_login(linked.now({**ADA, "id": 1})) == "no_account"


async def test_the_user_of_an_account_that_is_not_live_does_not_log_in(linked: Stage) -> None:
    """As if it were not there."""
    await linked.linking.world.accounts.disable(linked.account.id)
    assert await linked.no_login(linked.now()) == "no_account"


async def test_a_user_without_the_bots_role_does_not_log_in(linked: Stage) -> None:
    """The bot cannot give what the account does not hold."""
    await linked.configure(role="owner")
    assert await linked.no_login(linked.now()) == "role_missing"


async def test_the_role_is_lost_with_its_assignment(linked: Stage) -> None:
    """What the link says about roles is nothing."""
    await linked.linking.world.accounts.remove_role(linked.account.id, linked.tenant.id, "manager")
    assert await linked.no_login(linked.now()) == "role_missing"


async def test_a_tenant_without_a_bot_says_so(linked: Stage) -> None:
    """And one that is not there says the same."""
    other = await linked.linking.world.accounts.create_tenant("Other")
    found = [await linked.no_login(linked.now(), tenant_id) for tenant_id in (other.id, NOBODY)]
    assert found == ["telegram_not_configured_for_tenant"] * 2


async def test_a_bot_of_another_tenant_gives_nothing_here(linked: Stage) -> None:
    """Whoever knows one bot's token can speak as any Telegram user, to that tenant alone: links are made there anew."""
    world = linked.linking.world
    rogue = await world.ada("rogue@example.org")
    other = await world.accounts.create_tenant("Rogue", rogue.id)
    body = {**BOT, "botToken": "1:rogue"}
    await linked.linking.call(
        "POST", CONFIG, await linked.linking.session(rogue), headers=linked.here(other.id), body=body
    )
    assert await linked.no_login(linked.now(token="1:rogue")) == "invalid_telegram_init_data"
    assert await linked.no_login(linked.now(token="1:rogue"), other.id) == "no_account"


@pytest.mark.parametrize("tenant_id", ["x", "", NOBODY + "0", "..", "7A"])
async def test_a_path_that_names_no_tenant_is_not_found(stage: Stage, tenant_id: str) -> None:
    """An id is a UUID."""
    params = {"tenant_id": tenant_id}
    assert await stage.linking.refused("POST", LOGIN, params=params, body={"initData": "x"}) == "not_found"


@pytest.mark.parametrize("value", [None, "", 1, {"user": 1}])
async def test_a_login_without_init_data_is_a_bad_request(linked: Stage, value: object) -> None:
    """It is a text."""
    params = {"tenant_id": linked.tenant.id}
    assert await linked.linking.refused("POST", LOGIN, params=params, body={"initData": value}) == "bad_parameter"


async def test_linking_answers_nothing_and_is_told(stage: Stage) -> None:
    """To the gateway and by mail."""
    await stage.configure()
    assert await stage.link(stage.now()) == 204
    assert stage.linking.heard.log == ["changed", "posted"]


async def test_linking_again_is_no_fault(linked: Stage) -> None:
    """A client may try again."""
    assert await linked.link(linked.now()) == 204


async def test_a_telegram_user_of_another_account_is_a_conflict(linked: Stage) -> None:
    """One user, one account, in all tenants."""
    bob = await linked.linking.session(await linked.linking.world.ada("bob@example.org"))
    body = {"initData": linked.now()}
    assert await linked.linking.refused("POST", LINK, bob, headers=linked.here(), body=body) == "conflict"


@pytest.mark.parametrize(
    ("less", "code"),
    [
        ({"grant_kind": None, "grant_id": None, "issuer": "acme"}, "forbidden"),
        ({"grant_kind": "connection", "tenant_id": NOBODY, "role": "manager"}, "forbidden"),
        ({"grant_kind": "api_key"}, "forbidden"),
        ({"grant_kind": "service"}, "forbidden"),
        ({"restricted": True}, "mfa_required"),
        ({"account": None}, "no_account"),
    ],
)
async def test_less_than_a_session_changes_nothing(linked: Stage, less: dict[str, object], code: str) -> None:
    """Neither the link nor, for an owner, the bot: what a login hands out is no session either."""
    assert linked.owner.account is not None
    caller = await linked.linking.session(linked.owner.account, **less)
    found = [
        await linked.linking.refused("POST", LINK, caller, headers=linked.here(), body={"initData": linked.now()}),
        await linked.linking.refused("DELETE", LINK, caller),
        await linked.linking.refused("POST", CONFIG, caller, headers=linked.here(), body=BOT),
    ]
    assert found == [code] * 3


async def test_linking_wants_a_bot_and_its_init_data(stage: Stage) -> None:
    """Of the tenant that the header names."""

    async def refused(text: str, **headers: str) -> str:
        return await stage.linking.refused("POST", LINK, stage.member, headers=headers, body={"initData": text})

    assert await refused(stage.now(), **stage.here()) == "telegram_not_configured_for_tenant"
    await stage.configure()
    assert await refused(stage.now() + "0", **stage.here()) == "invalid_telegram_init_data"
    assert await refused(stage.now()) == "bad_parameter"
    assert await refused(stage.now(), **stage.here("x")) == "bad_parameter"


async def test_unlinking_ends_the_logins(linked: Stage) -> None:
    """And what was handed out before."""
    before = await linked.login(linked.now())
    assert (await linked.linking.call("DELETE", LINK, linked.member)).status == 204
    assert await linked.no_login(linked.now()) == "no_account"
    with pytest.raises(RequestRejected, match="revoked_credential"):
        await linked.linking.connected(before["connectionString"])


async def test_unlinking_what_is_not_linked_is_not_found(linked: Stage) -> None:
    """Nor is it somebody else's."""
    assert await linked.linking.refused("DELETE", LINK, linked.owner) == "not_found"
    await linked.login(linked.now())


async def test_a_revoked_login_does_not_authenticate(linked: Stage) -> None:
    """It is a grant, listed under the name `Telegram`."""
    answer = await linked.login(linked.now())
    grants = linked.linking.world.grants
    (grant,) = [grant for grant in await grants.grants(linked.account.id) if grant.name == "Telegram"]
    await grants.revoke(grant.id)
    with pytest.raises(RequestRejected, match="revoked_credential"):
        await linked.linking.connected(answer["connectionString"])


async def test_an_owner_sets_the_bot_of_the_tenant(stage: Stage) -> None:
    """And gets nothing back: the secrets are not to be read again."""
    reply = await stage.linking.call("POST", CONFIG, stage.owner, headers=stage.here(), body=BOT)
    assert (reply.status, reply.body) == (204, b"")


async def test_staff_set_the_bot_of_any_tenant_that_is_there(stage: Stage) -> None:
    """An unknown one is not found."""
    new = NewAccount("staff@example.org", is_staff=True)
    staff = await stage.linking.session(await stage.linking.world.accounts.create_account(new))
    assert (await stage.linking.call("POST", CONFIG, staff, headers=stage.here(), body=BOT)).status == 204
    assert await stage.linking.refused("POST", CONFIG, staff, headers=stage.here(NOBODY), body=BOT) == "not_found"


async def test_nobody_else_sets_a_bot(stage: Stage) -> None:
    """Not a member, nor the owner of another tenant; for them an unknown tenant is forbidden too."""
    rogue = await stage.linking.world.ada("rogue@example.org")
    await stage.linking.world.accounts.create_tenant("Rogue", rogue.id)
    callers = [stage.member, await stage.linking.session(rogue)]
    found = [
        await stage.linking.refused("POST", CONFIG, caller, headers=stage.here(tenant_id), body=BOT)
        for caller in callers
        for tenant_id in (stage.tenant.id, NOBODY)
    ]
    assert found == ["forbidden"] * 4


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"botToken": ""}, "bad_parameter"),
        ({"botToken": None}, "bad_parameter"),
        ({"botToken": "a b"}, "invalid_value"),
        ({"botToken": "1:é"}, "invalid_value"),
        ({"botToken": "1:" + "a" * 255}, "invalid_value"),
        ({"webhookSecret": 1}, "bad_parameter"),
        ({"webhookSecret": "a:b"}, "invalid_value"),
        ({"webhookSecret": "a" * 257}, "invalid_value"),
        ({"role": None}, "bad_parameter"),
        ({"role": "Manager"}, "invalid_value"),
        ({"role": "a;r=b"}, "invalid_value"),
        ({"lifetime": True}, "bad_parameter"),
        ({"lifetime": 3600.5}, "bad_parameter"),
        ({"lifetime": 0}, "bad_parameter"),
        ({"lifetime": -60}, "bad_parameter"),
        ({"lifetime": 10**400}, "bad_parameter"),
        ({"lifetime": "24"}, "bad_parameter"),
        ({"lifetime": "1d1h"}, "bad_parameter"),
        ({"lifetime": "٢٤h"}, "bad_parameter"),
        ({"lifetime": 59}, "invalid_value"),
        ({"lifetime": "3651d"}, "invalid_value"),
    ],
)
async def test_a_bot_out_of_form_is_refused(stage: Stage, change: dict[str, object], code: str) -> None:
    """And nothing is stored. A refusal does not repeat a secret."""
    body = {name: value for name, value in {**BOT, **change}.items() if value is not None}
    with pytest.raises(RequestRejected) as caught:
        await stage.linking.call("POST", CONFIG, stage.owner, headers=stage.here(), body=body)
    assert (caught.value.code, TOKEN in str(caught.value)) == (code, False)
    assert await stage.no_login(stage.now()) == "telegram_not_configured_for_tenant"


@pytest.mark.parametrize("header", [{}, {"x-mycelium-tenant-id": ""}, {"x-mycelium-tenant-id": "acme"}])
async def test_a_bot_is_some_tenants(stage: Stage, header: dict[str, str]) -> None:
    """The header names it."""
    assert await stage.linking.refused("POST", CONFIG, stage.owner, headers=header, body=BOT) == "bad_parameter"


def test_a_login_is_open(stage: Stage) -> None:
    """Everything else asks for a session."""
    found = {key: (end.caller, end.body) for key, end in stage.linking.endpoints.items()}
    assert {key: value for key, value in found.items() if "telegram" in key[1]} == {
        ("POST", CONFIG): ("session", "json"),
        ("POST", LINK): ("session", "json"),
        ("DELETE", LINK): ("session", "none"),
        ("POST", LOGIN): ("nobody", "json"),
    }


async def test_vain_logins_of_one_network_are_limited(linked: Stage) -> None:
    """Thirty in a minute; those that succeed do not count."""
    for _ in range(3):
        await linked.login(linked.now())
    codes = [await linked.no_login("x") for _ in range(31)]
    assert codes == ["invalid_telegram_init_data"] * 30 + ["too_many_attempts"]


async def test_vain_links_of_one_network_are_limited(linked: Stage) -> None:
    """They count with its vain logins: whoever tries initData out does not have the double by a session."""
    vain = [await linked.no_login("x") for _ in range(29)]
    vain += [await linked.no_link("x") for _ in range(2)]
    assert vain == ["invalid_telegram_init_data"] * 30 + ["too_many_attempts"]
