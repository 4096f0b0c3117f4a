"""Who may use which route, and with which licences."""

import math
from dataclasses import replace

import pytest
from identity.forge import NOW

from gateway.access.authorize import Permit, authorize
from gateway.errors import RequestRejected
from gateway.identity.model import Principal
from gateway.routes.model import AccessKind, RoleRule, Route

from .world import ALICE, HOUR, LICENCES, OTHER_TENANT, OWNERSHIPS, TENANT, licence, principal, route

STAFF, MANAGER = replace(ALICE, is_staff=True), replace(ALICE, is_manager=True)
MANAGERS = (RoleRule("manager", write=True),)


def refused(who: Principal | None, where: Route, now: float = NOW) -> str:
    with pytest.raises(RequestRejected) as caught:
        authorize(who, where, now)
    return caught.value.code


def with_roles(who: Principal, *rules: RoleRule) -> Permit:
    return authorize(who, route(AccessKind.ROLES, roles=rules), NOW)


@pytest.mark.parametrize("who", [None, principal(), principal(restricted=True), principal(expires_at=0.0)])
def test_a_public_route_knows_nobody(who: Principal | None) -> None:
    """Whoever asks, the permit names nobody and carries nothing, so that no profile can come of it."""
    permit = authorize(who, route(AccessKind.PUBLIC), NOW)
    assert (permit.principal, permit.licences, permit.ownerships, permit.until) == (None, (), (), math.inf)


@pytest.mark.parametrize("kind", [AccessKind.AUTHENTICATED, AccessKind.PROTECTED, AccessKind.ROLES])
def test_without_a_caller_there_is_no_permit(kind: AccessKind) -> None:
    """Every route but a public one wants a credential."""
    assert refused(None, route(kind)) == "no_credential"


@pytest.mark.parametrize("kind", [AccessKind.AUTHENTICATED, AccessKind.PROTECTED, AccessKind.ROLES])
def test_a_pending_second_factor_opens_no_route(kind: AccessKind) -> None:
    """S-46: a restricted credential is for the second step only."""
    assert refused(principal(restricted=True), route(kind, roles=MANAGERS)) == "mfa_required"


@pytest.mark.parametrize(("now", "code"), [(NOW + HOUR, "expired_credential"), (NOW + HOUR - 0.001, None)])
def test_a_credential_ends_on_its_expiry(now: float, code: str | None) -> None:
    """Both sides of the last moment."""
    if code is None:
        assert authorize(principal(), route(), now).until == NOW + HOUR
    else:
        assert refused(principal(), route(), now) == code


def test_a_caller_without_account_passes_authenticated() -> None:
    """Any live caller does."""
    assert authorize(principal(None), route(AccessKind.AUTHENTICATED), NOW).licences == ()


@pytest.mark.parametrize("kind", [AccessKind.PROTECTED, AccessKind.ROLES])
def test_a_caller_without_account_is_refused_elsewhere(kind: AccessKind) -> None:
    """403, not 401: the credential is good."""
    assert refused(principal(None), route(kind, roles=MANAGERS)) == "no_account"


def test_a_protected_route_gets_all_licences_and_ownerships() -> None:
    """Nothing is filtered there but by the credential."""
    permit = authorize(principal(), route(), NOW)
    assert (permit.licences, permit.ownerships) == (LICENCES, OWNERSHIPS)


@pytest.mark.parametrize(
    ("rules", "kept"),
    [
        ((RoleRule("manager", write=True),), LICENCES[:1]),
        ((RoleRule("manager"),), (LICENCES[0], LICENCES[2])),
        ((RoleRule("reader"),), LICENCES[1:2]),
        ((RoleRule("reader"), RoleRule("manager", write=True)), LICENCES[:2]),
        ((RoleRule("manager"), RoleRule("manager", write=True)), (LICENCES[0], LICENCES[2])),
    ],
)
def test_a_role_rule_keeps_the_licences_that_meet_it(rules: tuple[RoleRule, ...], kept: object) -> None:
    """The slug must be equal; write includes read; of several rules one is enough."""
    assert with_roles(principal(), *rules).licences == kept


@pytest.mark.parametrize(
    "rule", [RoleRule("reader", write=True), RoleRule("owner"), RoleRule("Manager"), RoleRule("manage")]
)
def test_no_licence_left_is_role_missing(rule: RoleRule) -> None:
    """Read is not write, and a slug is compared whole, with its case."""
    assert refused(principal(), route(AccessKind.ROLES, roles=(rule,))) == "role_missing"


@pytest.mark.parametrize("account", [STAFF, MANAGER])
def test_staff_and_managers_pass_with_no_licence(account: object) -> None:
    """With none: those of other roles do not come along."""
    assert with_roles(principal(account=account), RoleRule("owner")).licences == ()


def test_a_fixed_tenant_and_role_narrow_the_licences() -> None:
    """What a connection string is for; every other licence stays out."""
    permit = authorize(principal(tenant_id=TENANT, role="manager"), route(), NOW)
    assert permit.licences == LICENCES[:1]


@pytest.mark.parametrize(
    ("fixed", "kept"),
    [({"tenant_id": OTHER_TENANT}, LICENCES[2:]), ({"role": "manager"}, (LICENCES[0], LICENCES[2]))],
)
def test_each_of_tenant_and_role_narrows_alone(fixed: dict[str, str], kept: object) -> None:
    """A credential may fix only one of the two."""
    assert authorize(principal(**fixed), route(), NOW).licences == kept


def test_a_fixed_tenant_narrows_the_ownerships() -> None:
    """The other tenant is none of this credential's business."""
    assert authorize(principal(tenant_id=TENANT), route(), NOW).ownerships == OWNERSHIPS[:1]


def test_a_fixed_role_carries_no_ownership() -> None:
    """The owner's reader key is a reader's key."""
    assert authorize(principal(tenant_id=TENANT, role="reader"), route(), NOW).ownerships == ()


@pytest.mark.parametrize("account", [ALICE, STAFF, MANAGER])
def test_a_fixed_role_outside_the_routes_roles_is_refused_even_for_staff(account: object) -> None:
    """Never an unfiltered profile: Mycelium let the narrow token pass with everything."""
    narrow = principal(account=account, tenant_id=TENANT, role="reader")
    assert refused(narrow, route(AccessKind.ROLES, roles=MANAGERS)) == "role_missing"


@pytest.mark.parametrize("account", [ALICE, STAFF])
def test_a_fixed_role_that_is_no_longer_held_is_refused(account: object) -> None:
    """The credential says which role; the licences say whether it is still so."""
    narrow = principal(account=account, tenant_id=TENANT, role="manager", licences=(licence("reader"),))
    assert refused(narrow, route(AccessKind.ROLES, roles=MANAGERS)) == "role_missing"


@pytest.mark.parametrize(
    ("issuers", "issuer", "code"),
    [
        (frozenset[str](), "acme", None),
        (frozenset({"acme"}), "acme", None),
        (frozenset({"acme"}), "internal", "issuer_refused"),
        (frozenset({"internal"}), "acme", "issuer_refused"),
    ],
)
def test_a_route_may_list_its_issuers(issuers: frozenset[str], issuer: str, code: str | None) -> None:
    """S-30: an allow-list per route; empty is any."""
    where = route(AccessKind.AUTHENTICATED, issuers=issuers)
    if code is None:
        assert authorize(principal(issuer=issuer), where, NOW).route is where
    else:
        assert refused(principal(issuer=issuer), where) == code


@pytest.mark.parametrize(
    ("held", "code"), [({"a", "b", "c"}, None), ({"a"}, "scope_missing"), (set[str](), "scope_missing")]
)
def test_every_scope_of_the_route_must_be_held(held: set[str], code: str | None) -> None:
    """All of them, and more do no harm."""
    where = route(AccessKind.AUTHENTICATED, scopes=frozenset({"a", "b"}))
    if code is None:
        assert authorize(principal(scopes=frozenset(held)), where, NOW).route is where
    else:
        assert refused(principal(scopes=frozenset(held)), where) == code


@pytest.mark.parametrize(("aal", "code"), [(1, "mfa_not_proven"), (2, None)])
def test_a_route_may_ask_for_a_second_factor(aal: int, code: str | None) -> None:
    """Both sides of the assurance level."""
    if code is None:
        assert authorize(principal(aal=aal), route(mfa=True), NOW).licences == LICENCES
    else:
        assert refused(principal(aal=aal), route(mfa=True)) == code


def test_an_invitation_that_is_not_accepted_opens_no_route_by_role() -> None:
    """It is in the profile as not verified; whoever was invited has to accept first."""
    invited = principal(licences=(licence("manager", "write", verified=False),))
    assert refused(invited, route(AccessKind.ROLES, roles=(RoleRule("manager"),))) == "role_missing"
