"""The header lines that an upstream gets, and for how long they are the same bytes."""

from dataclasses import replace

import pytest
from identity.forge import NOW, signing_key

from gateway.access.assertion import KEPT, LIFETIME, MAX_ROLES, TYPE, Assertions
from gateway.access.authenticate import MAX_BLOCKS, Verified
from gateway.access.authorize import authorize
from gateway.access.inject import IDENTITY, Injected, Injector
from gateway.access.profile import ProfileEncoder
from gateway.errors import DependencyFailed
from gateway.identity.compact import parse
from gateway.identity.model import Principal, SigningKey
from gateway.identity.tokens import Claims, Rules, verify, verifying_key
from gateway.routes.model import AccessKind, RoleRule, Route

from .world import ACCOUNT, ALICE, GRANT, HOUR, LICENCES, OWNER, PUBLIC_URL, TENANT, licence, principal, route

KEY = signing_key("EdDSA", "a1", purpose="assertion")
ISSUER = PUBLIC_URL + "/assertion"
MANAGERS = (RoleRule("manager", write=True),)
ALWAYS = ["x-mycelium-security-group", "x-mycelium-service-name"]
CALLER = [*ALWAYS, "x-mycelium-email", "x-mycelium-assertion"]


def injector(*keys: object, budget: int = 7168) -> Injector:
    assertions = Assertions(ISSUER)
    assertions.use(keys or (KEY,))  # type: ignore[arg-type]
    return Injector(ProfileEncoder(budget), assertions)


def verified(who: Principal | None = None) -> Verified:
    return Verified(who or principal(), NOW, NOW + HOUR)


def lines(made: Injector, entry: Verified | None, where: Route, now: float = NOW) -> Injected:
    return made.lines(entry, authorize(entry.principal if entry else None, where, now), now)


def fields(injected: Injected) -> dict[str, str]:
    """By name; each line ends as a line must and no name comes twice."""
    assert injected.head.endswith(b"\r\n")
    pairs = [line.decode("ascii").split(": ", 1) for line in injected.head[:-2].split(b"\r\n")]
    found = dict(pairs)
    assert len(found) == len(pairs)
    return found


def sent(who: Principal | None = None, where: Route | None = None) -> dict[str, str]:
    return fields(lines(injector(), verified(who), where or route()))


def test_what_is_absent_is_the_rest_of_what_tells_who_asks() -> None:
    """For a data plane that asks, which takes over each of them, also where there is nothing to say."""
    told = lines(injector(), verified(), route())
    absent = [line.partition(b": ")[0] for line in told.absent.split(b"\r\n")[:-1]]
    assert sorted([*absent, *(name.encode() for name in fields(told))]) == sorted(IDENTITY)
    assert told.absent is told.absent


def claims_of(headers: dict[str, str], upstream: str = "orders") -> Claims:
    rules = Rules(ISSUER, (f"upstream:{upstream}",), frozenset({"EdDSA"}), frozenset({TYPE}))
    return verify(parse(headers["x-mycelium-assertion"].encode()), verifying_key(KEY), rules, NOW)


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (AccessKind.AUTHENTICATED, CALLER),
        (AccessKind.PROTECTED, [*CALLER, "x-mycelium-profile"]),
        (AccessKind.ROLES, [*CALLER, "x-mycelium-profile"]),
    ],
)
def test_each_kind_of_access_has_its_headers(kind: AccessKind, names: list[str]) -> None:
    """Those, and no others."""
    assert set(sent(where=route(kind, roles=MANAGERS))) == set(names)


def test_a_public_route_tells_of_no_caller() -> None:
    """Only which route it was."""
    assert list(fields(lines(injector(), None, route(AccessKind.PUBLIC)))) == ALWAYS


@pytest.mark.parametrize(
    ("where", "group"),
    [
        (route(AccessKind.AUTHENTICATED), '"authenticated"'),
        (route(AccessKind.PROTECTED), '"protected"'),
        (
            route(AccessKind.ROLES, roles=(RoleRule("manager", write=True), RoleRule("reader"))),
            '{"protectedByRoles":[{"name":"manager","permission":"write"},{"name":"reader","permission":"read"}]}',
        ),
    ],
)
def test_the_security_group_is_mycelium_s_json(where: Route, group: str) -> None:
    """mycelium.md 2.5."""
    assert sent(where=where)["x-mycelium-security-group"] == group


def test_the_security_group_of_a_public_route_is_public() -> None:
    """As JSON too."""
    found = fields(lines(injector(), None, route(AccessKind.PUBLIC)))
    assert found["x-mycelium-security-group"] == '"public"'


def test_the_service_name_is_the_upstreams() -> None:
    """Services behind one address tell their requests apart by it."""
    assert sent(where=route(upstream="billing"))["x-mycelium-service-name"] == "billing"


def test_the_email_is_the_bare_address() -> None:
    """Without the quotes that Mycelium writes around it."""
    assert sent()["x-mycelium-email"] == "ada@example.org"


@pytest.mark.parametrize(
    "address", ["", "a\r\nx-mycelium-profile: x", "a\nb", "a\x00b", "zoë@example.org", "a\u2028b", "\ud800"]
)
def test_what_cannot_be_a_header_value_is_sent_as_an_empty_one(address: str) -> None:
    """S-20: the header is there, so that nobody else's can be, and no byte of it begins another line."""
    assert sent(principal(email=address))["x-mycelium-email"] == ""


def test_the_tenant_is_sent_when_the_credential_fixes_one() -> None:
    """And only then."""
    assert sent(principal(tenant_id=TENANT))["x-mycelium-tenant-id"] == TENANT


def test_the_assertion_says_what_the_headers_say() -> None:
    """The claims of a caller with everything."""
    who = principal(tenant_id=TENANT, aal=2, email="ada@example.org")
    claims = claims_of(sent(who, route(AccessKind.ROLES, roles=MANAGERS)))
    assert claims == {
        "iss": ISSUER,
        "aud": "upstream:orders",
        "sub": ACCOUNT,
        "sid": GRANT,
        "email": "ada@example.org",
        "tid": TENANT,
        "roles": ["manager"],
        "aal": 2,
        "iat": int(NOW),
        "exp": int(NOW) + LIFETIME,
    }


def test_the_assertion_of_a_caller_without_account_cannot_name_an_account() -> None:
    """A foreign issuer may choose a subject that looks like one of ours."""
    who = Principal(ACCOUNT, "", "acme", NOW + HOUR)
    claims = claims_of(sent(who, route(AccessKind.AUTHENTICATED)))
    assert claims["sub"] == f"acme:{ACCOUNT}"
    assert not {"sid", "email", "tid"} & claims.keys()


@pytest.mark.parametrize(("number", "told"), [(MAX_ROLES, True), (MAX_ROLES + 1, False)])
def test_too_many_roles_are_left_out_of_the_assertion(number: int, told: bool) -> None:
    """Both sides of the bound."""
    who = principal(licences=tuple(licence(f"role-{index}") for index in range(number)))
    assert ("roles" in claims_of(sent(who))) is told


def test_an_assertion_is_for_one_upstream() -> None:
    """What orders was given, billing does not accept."""
    made, entry = injector(), verified()
    first = fields(lines(made, entry, route(upstream="orders")))
    second = fields(lines(made, entry, route(upstream="billing")))
    assert claims_of(second, "billing")["sub"] == ACCOUNT
    assert first["x-mycelium-assertion"] != second["x-mycelium-assertion"]


@pytest.mark.parametrize(
    ("who", "after", "same"),
    [
        (principal(), 0, True),
        (principal(), 29.9, True),
        (principal(), 30, False),
        (principal(), -1, False),
        (principal(subject="another"), 0, False),
        (principal(email="ada@example.net"), 0, False),
        (principal(grant_id="another"), 0, False),
        (principal(tenant_id=TENANT), 0, False),
        (principal(aal=2), 0, False),
        (principal(licences=()), 0, False),
    ],
)
def test_what_says_the_same_is_signed_once_for_all_credentials(who: Principal, after: float, same: bool) -> None:
    """For half a minute, which is half of its life, whenever the second one comes. -1: the clock was set back."""
    made, where = injector(), route(AccessKind.PROTECTED)
    first = fields(lines(made, verified(), where))["x-mycelium-assertion"]
    second = lines(made, Verified(who, NOW + after, NOW + HOUR), where, NOW + after)
    assert (fields(second)["x-mycelium-assertion"] == first) is same
    assert second.until == (NOW if same else int(NOW + after)) + 30


def test_a_change_of_keys_ends_what_was_signed_before() -> None:
    """Nobody new is given what the old one has signed."""
    assertions = Assertions(ISSUER)
    made, where = Injector(ProfileEncoder(7168), assertions), route(AccessKind.PROTECTED)
    kids = []
    for kid in ("a1", "a2"):
        assertions.use((signing_key("EdDSA", kid, purpose="assertion"),))
        assertion = fields(lines(made, verified(), where))["x-mycelium-assertion"]
        kids.append(parse(assertion.encode()).kid)
    assert kids == ["a1", "a2"]


@pytest.mark.parametrize("between", [(), (KEY,)], ids=["keys are void", "the same keys are read again"])
def test_only_another_key_ends_what_was_signed_before(between: tuple[SigningKey, ...]) -> None:
    """They are read again for each token with a `kid` that nobody knows, which anybody can send."""
    assertions, where = Assertions(ISSUER), route(AccessKind.PROTECTED)
    permit = authorize(principal(), where, NOW)
    assertions.use((KEY,))
    first = assertions.sign(permit, NOW + 0.7)
    assertions.use(between)
    assertions.use((KEY,))
    assert (assertions.sign(permit, NOW + 5) == first) is bool(between)
    assert first[1] == NOW + 30  # by its `iat`, which has no fractions


def test_what_is_signed_is_not_kept_without_end() -> None:
    """The oldest goes for the one that is too many."""
    assertions, where = Assertions(ISSUER), route(AccessKind.PROTECTED)
    assertions.use((KEY,))

    def signed(number: int, after: float) -> str:
        return assertions.sign(authorize(principal(grant_id=str(number)), where, NOW), NOW + after)[0]

    first = [signed(number, 0) for number in range(KEPT + 1)]
    assert len(assertions._kept) == KEPT
    assert signed(KEPT, 5) == first[KEPT]
    assert signed(1, 5) == first[1]
    assert signed(0, 5) != first[0]


def test_what_is_too_old_to_be_handed_out_is_not_kept() -> None:
    """Two of them go with each that is signed, so that only who was there within the last half minute takes room."""
    assertions, where = Assertions(ISSUER), route(AccessKind.PROTECTED)
    assertions.use((KEY,))
    for number, after in [(1, 0), (2, 1), (3, 2), (1, 31), (4, 33), (5, 33)]:
        assertions.sign(authorize(principal(grant_id=str(number)), where, NOW), NOW + after)
    assert {dict(told)["sid"] for told in assertions._kept} == {"1", "4", "5"}


def test_only_the_active_assertion_key_signs() -> None:
    """Neither a token key nor one that is on its way in or out."""
    keys = [
        signing_key("EdDSA", "t"),
        replace(KEY, kid="next", state="next"),
        replace(KEY, kid="old", state="retiring"),
    ]
    found = fields(lines(injector(*keys, KEY), verified(), route()))
    assert parse(found["x-mycelium-assertion"].encode()).kid == "a1"


def test_without_an_assertion_key_the_request_does_not_go_on() -> None:
    """S-26: 503, rather than an upstream that sees no assertion."""
    made = injector(signing_key("EdDSA"))
    with pytest.raises(DependencyFailed, match="store_unavailable"):
        lines(made, verified(), route())


def test_a_profile_that_fits_nowhere_is_our_failure() -> None:
    """S-26: with its own reason code."""
    with pytest.raises(DependencyFailed, match="profile_too_large"):
        lines(injector(budget=10), verified(), route())


def test_the_same_caller_on_the_same_route_gets_the_same_bytes() -> None:
    """One lookup, nothing made anew."""
    made, entry, where = injector(), verified(), route()
    assert lines(made, entry, where) is lines(made, entry, where, NOW + 29)


@pytest.mark.parametrize(("after", "same"), [(29.999, True), (30.0, False)])
def test_lines_are_made_anew_after_30_seconds(after: float, same: bool) -> None:
    """Both sides: the assertion has half of its life left at least."""
    made, entry, where = injector(), verified(), route()
    first = lines(made, entry, where)
    assert (lines(made, entry, where, NOW + after) is first) is same


def test_lines_never_outlive_the_credential() -> None:
    """S-34: the earlier of both ends."""
    entry = Verified(principal(expires_at=NOW + 10), NOW, NOW + 10)
    assert lines(injector(), entry, route()).until == NOW + 10


def test_routes_alike_share_their_lines() -> None:
    """Same upstream and same access: one block for all of them."""
    made, entry = injector(), verified()
    assert lines(made, entry, route()) is lines(made, entry, route())


@pytest.mark.parametrize(
    "other", [route(upstream="billing"), route(AccessKind.AUTHENTICATED), route(AccessKind.ROLES, roles=MANAGERS)]
)
def test_routes_that_differ_do_not_share_their_lines(other: Route) -> None:
    """A filtered profile must not leave its route."""
    made, entry = injector(), verified()
    assert lines(made, entry, route()).head != lines(made, entry, other).head


def test_the_profile_is_filtered_to_the_routes_roles() -> None:
    """Two filters, two profiles; the same filter at another upstream, the same bytes."""
    made, entry = injector(), verified()
    whole = fields(lines(made, entry, route()))["x-mycelium-profile"]
    first = fields(lines(made, entry, route(AccessKind.ROLES, roles=MANAGERS)))["x-mycelium-profile"]
    second = fields(lines(made, entry, route(AccessKind.ROLES, "billing", roles=MANAGERS)))["x-mycelium-profile"]
    assert whole != first == second


def test_each_caller_has_their_own_lines() -> None:
    """The same route, two credentials."""
    made, where = injector(), route()
    bob = principal(account=replace(ALICE, owner=replace(OWNER, email="bob@example.org")), email="bob@example.org")
    lines(made, verified(), where)
    assert fields(lines(made, verified(bob), where))["x-mycelium-email"] == "bob@example.org"


def test_what_is_remembered_for_a_caller_is_bounded() -> None:
    """Somebody who walks through ten thousand routes costs memory for a few."""
    made, entry = injector(), verified()
    for number in range(3 * MAX_BLOCKS):
        lines(made, entry, route(AccessKind.ROLES, f"u{number}", roles=(RoleRule("manager"), RoleRule(f"r{number}"))))
    assert len(entry.blocks) <= MAX_BLOCKS + 1
    assert len(entry.profiles) <= MAX_BLOCKS


def test_licences_are_part_of_no_public_answer() -> None:
    """A public route with a caller at hand still tells nothing."""
    permit = authorize(principal(licences=LICENCES), route(AccessKind.PUBLIC), NOW)
    assert b"profile" not in injector().lines(None, permit, NOW).head
