"""The cases, by family. What they share is in `model`."""

from collections.abc import Iterator

from ..model import Case, Ground
from . import credentials, header_bytes, identity, limits, paths, smuggling

FAMILIES = {
    "S-1": "identity headers from a client",
    "S-2": "copies, padding and case of them",
    "S-5": "other spellings of them",
    "S-7": "`Connection` and what it may take away",
    "S-8": "forwarding metadata of a stranger",
    "S-12": "ambiguous paths, by any server's reading",
    "S-13": "what the rule saw is what arrives (RFC 3986)",
    "S-14": "spellings of a protected path",
    "S-15": "query and fragment",
    "S-16": "host and absolute form",
    "S-17": "methods",
    "S-18": "smuggling",
    "S-19": "framing and hop-by-hop fields",
    "S-20": "odd bytes in headers",
    "S-22": "upgrades",
    "S-23": "h2c",
    "S-27": "two credentials",
    "S-28": "forged signatures and headers of tokens",
    "S-31": "claims of tokens",
    "S-55": "limits",
}


def generated(ground: Ground) -> Iterator[Case]:
    """Every case there is, the slow ones first."""
    for family in (limits, identity, paths, smuggling, header_bytes, credentials):
        yield from family.cases(ground)
