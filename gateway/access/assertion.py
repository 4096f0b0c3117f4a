"""The signed twin of the identity headers: a short-lived JWT for services that verify rather than trust the network.

It has its own type, its own key and its own issuer, so that it is never taken for a credential (RFC 8725 section 3.11).
"""

from collections.abc import Mapping, Sequence
from typing import Final

from gateway.access.authorize import Permit
from gateway.errors import DependencyFailed
from gateway.identity.model import SigningKey
from gateway.identity.tokens import Signer

TYPE: Final = "assertion+jwt"
LIFETIME: Final = 60  # seconds
REUSED: Final = 30.0  # seconds: whoever gets one has half of its life left at least
KEPT: Final = 4096  # assertions at most, of 1 KiB or so each
MAX_ROLES: Final = 64  # beyond, the claim is left out: absent means "ask the profile", not "none"


class Assertions:
    """issuer: the `iss` of assertions. `use` gives it the key; it signs nothing before.

    A signature is a third of the instructions that a token never seen before takes. So what says the same of the same
    caller to the same upstream is signed once for all of the caller's credentials.
    """

    def __init__(self, issuer: str) -> None:
        self._issuer = issuer
        self._active: SigningKey | None = None
        self._signer: Signer | None = None
        self._kept: dict[tuple[tuple[str, object], ...], tuple[str, int]] = {}  # by its claims: with its `iat`

    def use(self, keys: Sequence[SigningKey]) -> None:
        """Signs with the active assertion key among `keys` from now on. Raises ValueError for one that cannot sign."""
        active = next((key for key in keys if key.purpose == "assertion" and key.state == "active"), None)
        if active != self._active:  # the same ones come again for each token with a `kid` that nobody knows
            self._signer = None if active is None else Signer(active)
            self._active = active
            self._kept.clear()

    def sign(self, permit: Permit, now: float) -> tuple[str, float]:
        """An assertion about the permit's caller for its upstream, and until when it may be handed out; both in seconds
        since the epoch.

        Raises DependencyFailed while there is no key.
        """
        if self._signer is None:
            raise DependencyFailed("store_unavailable", "there is no active assertion key", retry_after=1)
        about = _about(permit)
        told = tuple(about.items())
        known = self._kept.get(told)
        if known is not None and known[1] <= now < known[1] + REUSED:
            return known[0], known[1] + REUSED
        self._make_room(told, now)
        issued = int(now)
        times = {"iat": issued, "exp": issued + LIFETIME}
        assertion = self._signer.mint({"iss": self._issuer, **about, **times}, TYPE)
        self._kept[told] = assertion, issued
        return assertion, issued + REUSED

    def _make_room(self, told: tuple[tuple[str, object], ...], now: float) -> None:
        """At the end of those that are kept, the oldest of which go: dead ones, two for each that is signed."""
        self._kept.pop(told, None)
        for _ in range(2):
            oldest = next(iter(self._kept), None)
            if oldest is None or (len(self._kept) < KEPT and now < self._kept[oldest][1] + REUSED):
                return
            del self._kept[oldest]


def _about(permit: Permit) -> Mapping[str, object]:
    principal = permit.principal
    if principal is None:
        raise ValueError("a public route has no caller to speak of")
    # Account ids are UUIDs: no subject that a foreign issuer chooses can look like one.
    subject = principal.subject if principal.account is not None else f"{principal.issuer}:{principal.subject}"
    roles = tuple(sorted({licence.role for licence in permit.licences}))
    optional = {
        "sid": principal.grant_id,
        "email": principal.email or None,
        "tid": principal.tenant_id,
        "roles": roles if len(roles) <= MAX_ROLES else None,
    }
    return {
        "aud": f"upstream:{permit.route.upstream}",
        "sub": subject,
        "aal": principal.aal,
        **{name: value for name, value in optional.items() if value is not None},
    }
