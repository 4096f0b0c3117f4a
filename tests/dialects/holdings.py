"""Golden exchanges about what people hold: connection strings, sessions, external identities, Telegram."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from e2e.world import Answer
from identity.mini_app import TOKEN

from .desk import BASE, NOBODY, TOKENS, Desk, Person
from .golden import ID, TIME, Golden, refused

SESSIONS: Final = f"{BASE}/sessions"
IDENTITIES: Final = f"{BASE}/users/links"
CONFIG: Final = "/_adm/tenant-owner/telegram/config"
MINI_APP, MINI_APP_LOGIN = "/auth/telegram/link", "/auth/telegram/login"
STRING: Final = re.compile(r"acc=[0-9a-f-]{36};tid=[0-9a-f-]{36};r=manager;edt=20\d\d-[\d:TZ-]+;sig=[0-9a-f]{64}")
CREATED: Final = {"connectionString": STRING, "expiresAt": "2027-01-01T00:00:00Z"}
LISTED: Final = {
    "id": ID,
    "name": "nightly",
    "tenantId": ID,
    "accountId": ID,
    "role": "manager",
    "permission": "read",
    "createdAt": TIME,
    "expiresAt": TIME,
    "lastUsedAt": None,
    "revokedAt": None,
}
SESSION: Final = {
    "id": ID,
    "kind": "session",
    "dialect": "mycelium",
    "platform": "curl",
    "ip": "127.0.0.1",
    "createdAt": TIME,
    "lastUsedAt": None,
    "expiresAt": TIME,
    "current": True,
}
OF_MYCELIUM: Final = {"name": "nightly", "expiration": 86400, "roles": [{"name": "manager", "permission": "read"}]}


@dataclass(frozen=True)
class Member:
    """Somebody with a session."""

    person: Person
    token: str

    @property
    def here(self) -> dict[str, str]:
        return {"x-mycelium-tenant-id": self.person.tenant}


def member(desk: Desk) -> Member:
    person = desk.person()
    return Member(person, desk.login(person))


# connection strings


def create(desk: Desk, end: str = "", **changes: object) -> Answer:
    """The seed's body. changes: None leaves a member out."""
    one = member(desk)
    body = {name: value for name, value in desk.wanted(one.person, **changes).items() if value is not None}
    return desk.post(f"{TOKENS}{end}", body, one.token)


def create_as_mycelium(desk: Desk, one: Member, end: str = "") -> Answer:
    return desk.post(f"{TOKENS}{end}", {**OF_MYCELIUM, "tenantId": one.person.tenant}, one.token)


def tokens(desk: Desk, end: str = "") -> Answer:
    one = member(desk)
    assert create_as_mycelium(desk, one).status == 200
    return desk.ask("GET", f"{TOKENS}{end}", token=one.token)


def string_id(desk: Desk, one: Member) -> str:
    desk.string(one.person, one.token)
    (found,) = desk.ask("GET", TOKENS, token=one.token).json()
    return str(found["id"])


def revoke(desk: Desk, end: str = "") -> Answer:
    one = member(desk)
    return desk.post(f"{TOKENS}/{string_id(desk, one)}/revoke{end}", token=one.token)


def revoked_list(desk: Desk) -> Answer:
    one = member(desk)
    assert desk.post(f"{TOKENS}/{string_id(desk, one)}/revoke", token=one.token).status == 204
    return desk.ask("GET", TOKENS, token=one.token)


def delete(desk: Desk, end: str = "") -> Answer:
    one = member(desk)
    return desk.ask("DELETE", f"{TOKENS}/{string_id(desk, one)}{end}", token=one.token)


def deleted_list(desk: Desk) -> Answer:
    one = member(desk)
    assert desk.ask("DELETE", f"{TOKENS}/{string_id(desk, one)}", token=one.token).status == 204
    return desk.ask("GET", TOKENS, token=one.token)


def anothers_string(desk: Desk, method: str, action: str = "") -> Answer:
    return desk.ask(method, f"{TOKENS}/{string_id(desk, member(desk))}{action}", token=desk.login())


# sessions


def own_session(desk: Desk, token: str) -> str:
    found = desk.ask("GET", SESSIONS, token=token).json()
    return next(str(one["id"]) for one in found if one["current"])


def end_session(desk: Desk, end: str = "") -> Answer:
    one = member(desk)
    other = own_session(desk, desk.login(one.person))
    return desk.ask("DELETE", f"{SESSIONS}/{other}{end}", token=one.token)


def sessions_of_two(desk: Desk) -> Answer:
    one = member(desk)
    desk.hand.ahead += 1
    return desk.ask("GET", SESSIONS, token=desk.login(one.person))


# external identities


def link(desk: Desk, subject: str, end: str = "") -> Answer:
    return desk.post(f"{IDENTITIES}{end}", {"token": desk.external(subject)}, desk.login())


def link_anothers(desk: Desk) -> Answer:
    assert link(desk, "taken").status in (200, 409)
    return link(desk, "taken")


def links(desk: Desk, end: str = "") -> Answer:
    token, subject = desk.login(), desk.host.hand.clock.uuid4()
    assert desk.post(IDENTITIES, {"token": desk.external(subject)}, token).status == 200
    return desk.ask("GET", f"{IDENTITIES}{end}", token=token)


def unlink(desk: Desk, end: str = "", *, mine: bool = True) -> Answer:
    token, subject = desk.login(), desk.host.hand.clock.uuid4()
    made = desk.post(IDENTITIES, {"token": desk.external(subject)}, token).json()["id"]
    return desk.ask("DELETE", f"{IDENTITIES}/{made}{end}", token=token if mine else desk.login())


# Telegram


def configure(desk: Desk, one: Member, end: str = "", **changes: object) -> Answer:
    body = {"botToken": TOKEN, "webhookSecret": "a-webhook_secret", "role": "manager", **changes}
    return desk.ask("POST", f"{CONFIG}{end}", body, token=one.token, headers=one.here)


def of_another_tenant(desk: Desk) -> Answer:
    return configure(desk, Member(desk.person(), desk.login()))


def linked(desk: Desk, one: Member, user: int, end: str = "") -> Answer:
    assert configure(desk, one).status == 204
    body = {"initData": desk.mini_app(user)}
    return desk.ask("POST", f"{MINI_APP}{end}", body, token=one.token, headers=one.here)


def forged(desk: Desk) -> Answer:
    one = member(desk)
    assert configure(desk, one).status == 204
    return desk.ask("POST", MINI_APP, {"initData": "hash=00"}, token=one.token, headers=one.here)


def detach(desk: Desk, end: str = "") -> Answer:
    one = member(desk)
    assert linked(desk, one, 3).status == 204
    return desk.ask("DELETE", f"{MINI_APP}{end}", token=one.token)


def mini_app_login(desk: Desk, end: str = "", *, attached: bool = True) -> Answer:
    one = member(desk)
    done = linked(desk, one, 4) if attached else configure(desk, one)
    assert done.status == 204
    return desk.post(f"{MINI_APP_LOGIN}/{one.person.tenant}{end}", {"initData": desk.mini_app(4)})


def unconfigured(desk: Desk) -> Answer:
    return desk.post(f"{MINI_APP_LOGIN}/{desk.person().tenant}", {"initData": desk.mini_app(5)})


CREATE, LIST = f"POST {TOKENS}", f"GET {TOKENS}"
REVOKE, DELETE = f"POST {TOKENS}/{{id}}/revoke", f"DELETE {TOKENS}/{{id}}"
END, END_OTHERS = f"DELETE {SESSIONS}/{{id}}", f"DELETE {SESSIONS}"
LINK, UNLINK = f"POST {IDENTITIES}", f"DELETE {IDENTITIES}/{{id}}"
TELEGRAM_LOGIN = f"POST {MINI_APP_LOGIN}/{{tenant_id}}"

STRINGS: Sequence[Golden] = (
    Golden(CREATE, "the seed's body", create, 200, CREATED),
    Golden(
        CREATE,
        "Mycelium's own body",
        lambda desk, end: create_as_mycelium(desk, member(desk), end),
        200,
        {"connectionString": STRING, "expiresAt": TIME},
    ),
    refused(CREATE, "another's account", lambda desk: create(desk, accountId=NOBODY), 403, "forbidden"),
    refused(CREATE, "a role not held", lambda desk: create(desk, role="reader"), 403, "role_missing"),
    refused(CREATE, "another tenant", lambda desk: create(desk, tenantId=NOBODY), 403, "role_missing"),
    refused(CREATE, "no tenant id", lambda desk: create(desk, tenantId="acme"), 400, "bad_parameter"),
    refused(CREATE, "no role", lambda desk: create(desk, role=None), 400, "bad_parameter"),
    refused(CREATE, "no expiry", lambda desk: create(desk, expiresAt=None), 400, "bad_parameter"),
    refused(
        CREATE,
        "a time without a zone",
        lambda desk: create(desk, expiresAt="2027-01-01T00:00:00"),
        400,
        "bad_parameter",
    ),
    refused(CREATE, "the past", lambda desk: create(desk, expiresAt="2026-01-01T00:00:00Z"), 400, "invalid_value"),
    refused(CREATE, "too far", lambda desk: create(desk, expiresAt="9999-12-31T23:59:59Z"), 400, "invalid_value"),
    refused(
        CREATE,
        "milliseconds for seconds",
        lambda desk: create(desk, expiresAt=None, expiration=1_893_456_000_000),
        400,
        "invalid_value",
    ),
    refused(
        CREATE,
        "more seconds than a float holds",
        lambda desk: create(desk, expiresAt=None, expiration=10**400),
        400,
        "invalid_value",
    ),
    refused(
        CREATE,
        "a year of five digits",
        lambda desk: create(desk, expiresAt="9999-12-31T23:59:59-23:59"),
        400,
        "invalid_value",
    ),
    refused(
        CREATE,
        "a year before the first",
        lambda desk: create(desk, expiresAt="0001-01-01T00:00:00+23:59"),
        400,
        "invalid_value",
    ),
    refused(CREATE, "a name of two lines", lambda desk: create(desk, name="a\nb"), 400, "bad_parameter"),
    Golden(LIST, "one", tokens, 200, [LISTED]),
    Golden(LIST, "none", lambda desk, end: desk.ask("GET", f"{TOKENS}{end}", token=desk.login()), 200, []),
    Golden(
        LIST,
        "a revoked one",
        lambda desk, _: revoked_list(desk),
        200,
        [{**LISTED, "name": "", "permission": None, "expiresAt": "2027-01-01T00:00:00Z", "revokedAt": TIME}],
    ),
    Golden(LIST, "a deleted one", lambda desk, _: deleted_list(desk), 200, []),
    Golden(REVOKE, "one of mine", revoke, 204),
    refused(REVOKE, "another's", lambda desk: anothers_string(desk, "POST", "/revoke"), 404, "not_found"),
    Golden(DELETE, "one of mine", delete, 204),
    refused(DELETE, "another's", lambda desk: anothers_string(desk, "DELETE"), 404, "not_found"),
)

LOGINS: Sequence[Golden] = (
    Golden(
        f"GET {SESSIONS}",
        "mine",
        lambda desk, end: desk.ask("GET", f"{SESSIONS}{end}", token=desk.login()),
        200,
        [SESSION],
    ),
    Golden(
        f"GET {SESSIONS}",
        "another of mine",
        lambda desk, _: sessions_of_two(desk),
        200,
        [SESSION, {**SESSION, "current": False}],
    ),
    Golden(END, "another of mine", end_session, 204),
    refused(
        END,
        "another's",
        lambda desk: desk.ask("DELETE", f"{SESSIONS}/{own_session(desk, desk.login())}", token=desk.login()),
        404,
        "not_found",
    ),
    Golden(
        END_OTHERS, "all but mine", lambda desk, end: desk.ask("DELETE", f"{SESSIONS}{end}", token=desk.login()), 204
    ),
)

OUTSIDE: Sequence[Golden] = (
    Golden(
        LINK,
        "an identity",
        lambda desk, end: link(desk, desk.hand.clock.uuid4(), end),
        200,
        {"id": ID, "issuer": "https://id.example", "subject": ID},
    ),
    refused(LINK, "another's", link_anothers, 409, "conflict"),
    refused(
        LINK,
        "no token of theirs",
        lambda desk: desk.post(IDENTITIES, {"token": "a.b.c"}, desk.login()),
        401,
        "invalid_credential",
    ),
    Golden(f"GET {IDENTITIES}", "one", links, 200, [{"id": ID, "issuer": "https://id.example", "subject": ID}]),
    Golden(UNLINK, "one of mine", unlink, 204),
    refused(UNLINK, "another's", lambda desk: unlink(desk, mine=False), 404, "not_found"),
    Golden(f"POST {CONFIG}", "a bot", lambda desk, end: configure(desk, member(desk), end), 204),
    refused(f"POST {CONFIG}", "not an owner", of_another_tenant, 403, "forbidden"),
    refused(
        f"POST {CONFIG}",
        "no lifetime",
        lambda desk: configure(desk, member(desk), lifetime="soon"),
        400,
        "bad_parameter",
    ),
    Golden(f"POST {MINI_APP}", "a user", lambda desk, end: linked(desk, member(desk), 2, end), 204),
    refused(f"POST {MINI_APP}", "a forged user", forged, 401, "invalid_telegram_init_data"),
    Golden(f"DELETE {MINI_APP}", "the user", detach, 204),
    refused(
        f"DELETE {MINI_APP}",
        "no user",
        lambda desk: desk.ask("DELETE", MINI_APP, token=desk.login()),
        404,
        "not_found",
    ),
    Golden(TELEGRAM_LOGIN, "a linked user", mini_app_login, 200, {"connectionString": STRING, "expiresAt": TIME}),
    refused(TELEGRAM_LOGIN, "no linked user", lambda desk: mini_app_login(desk, attached=False), 403, "no_account"),
    refused(TELEGRAM_LOGIN, "no bot", unconfigured, 422, "telegram_not_configured_for_tenant"),
)
