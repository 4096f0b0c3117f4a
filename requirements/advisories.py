"""The releases below which a package has a published flaw: what is known without asking anybody, held against the pins
and against the ranges of pyproject.toml. `make audit` asks a service, which knows more.

A row stays when the pins have gone far past it: the range in pyproject.toml may not. Flaws of code that the gateway
does not call count as well, as a scanner can't tell.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Advisory:
    """mended: the first release of `package` that is known to be without it."""

    package: str
    mended: str
    names: tuple[str, ...]
    flaw: str


ADVISORIES: Final = (
    Advisory("aiohttp", "3.13.3", ("CVE-2025-69223", "CVE-2025-69230"), "bodies and bombs of the parser"),
    Advisory("aiohttp", "3.14.1", ("CVE-2026-54273",), "pipelined requests without a bound"),
    Advisory("aiohttp", "3.14.2", ("CVE-2026-69243",), "an upgrade that smuggles"),
    Advisory("aiohttp", "3.14.3", ("CVE-2026-59881", "CVE-2026-69244"), "WebSocket deflate; a read past the heap"),
    Advisory("aiohttp", "3.14.4", ("CVE-2026-111750",), "the parser that is pure Python"),
    Advisory("aiohttp", "3.14.5", ("CVE-2026-34518", "CVE-2026-47265"), "redirects that take credentials along"),
    Advisory("pyjwt", "2.4.0", ("CVE-2022-29217",), "a public key taken as an HMAC secret"),
    Advisory(
        "pyjwt",
        "2.15.1",
        (
            *("CVE-2026-32597", "CVE-2026-48522", "CVE-2026-48523", "CVE-2026-48524", "CVE-2026-48525"),
            *("CVE-2026-48526", "CVE-2026-101917", "CVE-2026-102266", "CVE-2026-102267", "CVE-2026-102268"),
        ),
        "malformed tokens let through, key sets refetched without a bound",
    ),
    Advisory("cryptography", "46.0.5", ("CVE-2026-26007",), "points of a small subgroup taken as public keys"),
    Advisory("cryptography", "48.0.1", ("GHSA-537c-gmf6-5ccf",), "wheels with an OpenSSL that reads out of bounds"),
    Advisory("cryptography", "49.0.0", ("CVE-2026-69248", "CVE-2026-69249"), "building of certificate paths"),
    Advisory("cryptography", "50.0.0", ("CVE-2026-69247",), "an oracle in the decryption of PKCS#7"),
    Advisory("jinja2", "3.1.6", ("CVE-2025-27516",), "a way out of the sandbox"),
    Advisory("pyyaml", "5.4", ("CVE-2020-14343",), "code run by a loader"),
    Advisory("mako", "1.3.12", ("CVE-2026-41205", "CVE-2026-44307"), "templates from outside of their folder"),
    Advisory("dnspython", "2.6.1", ("CVE-2023-29483",), "answers of somebody else's"),
    Advisory("idna", "3.7", ("CVE-2024-3651",), "quadratic time"),
    Advisory("requests", "2.33.0", ("CVE-2024-47081", "CVE-2026-25645"), "netrc to another host; a file in /tmp"),
    Advisory("urllib3", "2.6.3", ("CVE-2026-21441",), "bombs in redirects"),
    Advisory("certifi", "2024.7.4", ("CVE-2024-39689",), "an authority that is not trusted any more"),
    Advisory("protobuf", "6.33.5", ("CVE-2026-0994",), "JSON nested without a bound"),
    Advisory("setuptools", "78.1.1", ("CVE-2025-47273",), "a download written anywhere"),
)
# Libraries for tokens that have failed where this one must not; none may come in by another package's dependencies.
REFUSED: Final = {
    "authlib": ("CVE-2024-37568", "CVE-2025-59420"),
    "python-jose": ("CVE-2024-33663", "CVE-2024-33664"),
}
