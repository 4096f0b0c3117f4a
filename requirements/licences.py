"""Under which licence each package is, as an SPDX expression: what it says of itself, or, where that is no such
expression, what its words mean.
"""

import re
from importlib import metadata
from typing import Final

# They ask for a notice at most, which is in the package.
PERMISSIVE: Final = frozenset(
    {"0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT-0", "PSF-2.0", "Unlicense"}
)
# Others that may be used, and why.
BESIDE: Final = {
    "certifi": "MPL-2.0",  # asks for the source of its own files, which are changed nowhere; for the extra `otel` alone
}
# Packages that have no expression in their metadata: their licence by their own LICENSE file.
NAMED: Final = {
    "aiohappyeyeballs": "PSF-2.0",
    "aiosignal": "Apache-2.0",
    "aiosmtplib": "MIT",
    "aiosqlite": "MIT",
    "async-timeout": "Apache-2.0",
    "bcrypt": "Apache-2.0",
    "certifi": "MPL-2.0",
    "charset-normalizer": "MIT",
    "email-validator": "Unlicense",
    "frozenlist": "Apache-2.0",
    "hiredis": "MIT",
    "jinja2": "BSD-3-Clause",
    "propcache": "Apache-2.0",
    "protobuf": "BSD-3-Clause",
    "pyyaml": "MIT",
    "requests": "Apache-2.0",
    "segno": "BSD-3-Clause",
    "uvloop": "MIT OR Apache-2.0",
    "yarl": "Apache-2.0",
}


class UnknownLicenceError(LookupError):
    """A package that names none that a machine can read, and is not in the table."""


def declared(package: str) -> str | None:
    """The expression in the metadata of what is installed; None where there is none. Raises PackageNotFoundError."""
    said = metadata.metadata(package).json.get("license_expression")
    return said if isinstance(said, str) else None


def licence(package: str) -> str:
    """Raises UnknownLicenceError."""
    try:
        said = declared(package)
    except metadata.PackageNotFoundError:  # for another platform or Python than this
        said = None
    if found := said or NAMED.get(package):
        return found
    raise UnknownLicenceError(package)


def permitted(package: str, expression: str) -> bool:
    """Of alternatives one is enough; of what holds together, all."""
    return BESIDE.get(package) == expression or any(
        set(re.split(r" AND ", choice)) <= PERMISSIVE for choice in expression.split(" OR ")
    )
