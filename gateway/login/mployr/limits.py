"""How many calls this API takes, and how its answers say so."""

from gateway.errors import RequestRejected
from gateway.identity.meter import Meter, Quota
from gateway.identity.model import Principal
from gateway.identity.origin import Origin
from gateway.login.dialect import Endpoint, Metered

# The number of Mployr's sample headers; per account, and for those who are nobody per network.
GENERAL = Quota("mployr", 60, 60.0)
# Its page on limits has a lower tier for logins, and not its number. Wrong passwords and codes have limits of their
# own, by account too: `identity.throttle`.
LOGIN = Quota("mployr-login", 10, 60.0)


async def metered(meter: Meter, endpoint: Endpoint, origin: Origin, caller: Principal | None) -> Metered:
    """Counts this call. X-RateLimit-Reset is in seconds since the epoch."""
    quota = LOGIN if endpoint.caller == "nobody" else GENERAL
    key = f"network:{origin.network}" if caller is None else f"{caller.issuer}:{caller.subject}"
    found = await meter.count(quota, key)
    headers = {
        "X-RateLimit-Limit": str(found.limit),
        "X-RateLimit-Remaining": str(found.remaining),
        "X-RateLimit-Reset": str(found.reset),
    }
    over = RequestRejected("too_many_attempts", retry_after=found.wait) if found.wait else None
    return Metered(headers, over)
