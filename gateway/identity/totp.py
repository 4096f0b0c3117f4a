"""Time-based one-time passwords (RFC 6238): SHA-1, six digits, 30 seconds, one step of drift either way. The home of
pyotp.
"""

import base64
import hmac

import pyotp

from gateway.clock import Clock

SECRET_BYTES = 20  # RFC 4226 section 4, R6: 160 bits are recommended
STEP = 30  # seconds
DRIFT = 1  # steps before and after


def new_secret(clock: Clock) -> str:
    """32 characters of base32."""
    return base64.b32encode(clock.token_bytes(SECRET_BYTES)).decode()


def uri(secret: str, holder: str, issuer: str) -> str:
    """For an authenticator app. `@` stays as the seed shows it; it may stand in a path (RFC 3986 section 3.3)."""
    return pyotp.TOTP(secret).provisioning_uri(name=holder, issuer_name=issuer).replace("%40", "@")


def matching_step(secret: str, code: str, now: float) -> int | None:
    """The step of which this is the code, the newest if of several. Each is compared, in constant time.

    code: six ASCII digits. The caller accepts the step only if it is greater than the last one accepted, so that a code
    counts once (RFC 6238 section 5.2). now: seconds since the epoch.
    """
    generator, this = pyotp.TOTP(secret), int(now) // STEP
    found = None
    for step in range(this - DRIFT, this + DRIFT + 1):
        if hmac.compare_digest(generator.generate_otp(step), code):
            found = step
    return found
