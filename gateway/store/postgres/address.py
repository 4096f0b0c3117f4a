"""Where a PostgreSQL server is and how it is spoken to: a URL as values, and one connection from them.

`postgresql+asyncpg://USER@HOST:PORT/NAME`, or with `?host=/DIRECTORY` the Unix socket in it. `sslmode` is `disable`,
`require`, `verify-ca` or `verify-full`, as libpq has them, with `sslrootcert`, `sslcert` and `sslkey`; there is no mode
that lets the network choose. The password is never in the URL.
"""

import ipaddress
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from gateway.errors import DependencyFailed

PORT = 5432
CONNECT = 3.0  # seconds until a connection stands
MODES = ("disable", "require", "verify-ca", "verify-full")
KEYS = frozenset({"host", "sslmode", "sslrootcert", "sslcert", "sslkey"})
WRITE = "write postgresql+asyncpg://USER@HOST:PORT/NAME, or ...@/NAME?host=/DIRECTORY for a Unix socket"


@dataclass(frozen=True, slots=True)
class Address:
    """host: a name, an address, or the directory of a Unix socket. The last three: paths, or ""."""

    user: str
    host: str
    port: int
    database: str
    sslmode: str
    root: str = ""
    certificate: str = ""
    key: str = ""
    password: str = field(default="", repr=False)

    def __str__(self) -> str:
        """For messages."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"postgresql://{host}:{self.port}/{self.database}"


def parse(url: str, password: str = "") -> Address:
    """Raises DependencyFailed("store_unavailable"), without the URL."""
    try:
        parts = urlsplit(url)
        said = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
        return _address(parts, said, password)
    except ValueError as error:
        raise DependencyFailed("store_unavailable", f"store.url: {error}") from error


def _address(parts: SplitResult, said: Mapping[str, str], password: str) -> Address:
    host, database = said.get("host") or parts.hostname or "", unquote(parts.path[1:])
    if parts.scheme != "postgresql+asyncpg" or not parts.username or not host or not database or parts.fragment:
        raise ValueError(WRITE)
    if parts.password is not None:
        raise ValueError("a password is never in the url: write store.password")
    if said.keys() - KEYS:
        raise ValueError(f"it may say {', '.join(sorted(KEYS))}, and nothing else")
    mode = said.get("sslmode") or ("disable" if _is_here(host) else "verify-full")
    if mode not in MODES:
        raise ValueError(f"sslmode is one of {', '.join(MODES)}")
    root, certificate, key = (said.get(name, "") for name in ("sslrootcert", "sslcert", "sslkey"))
    user, port = unquote(parts.username), parts.port or PORT
    return Address(user, host, port, database, mode, root, certificate, key, password)


def _is_here(host: str) -> bool:
    """A socket, or loopback: nobody is in between."""
    try:
        return host.startswith("/") or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def tls(address: Address) -> ssl.SSLContext | None:
    """Raises DependencyFailed for a file that cannot be read."""
    if address.sslmode == "disable":
        return None
    try:
        context = ssl.create_default_context(cafile=address.root or None)
        if address.certificate:
            context.load_cert_chain(address.certificate, address.key or None)
    except OSError as error:  # ssl.SSLError is one
        raise DependencyFailed("store_unavailable", f"store.url: the TLS files cannot be read: {error}") from error
    context.check_hostname = address.sslmode == "verify-full"
    if address.sslmode == "require" and not address.root:  # as libpq: a root certificate that is given is believed
        context.verify_mode = ssl.CERT_NONE
    return context


def arguments(address: Address, patience: float | None, **settings: str) -> dict[str, Any]:
    """For `asyncpg.connect` and `asyncpg.create_pool`.

    patience: seconds that the server may work on a statement; the client gives up a second later, for the case that
    nobody is there any more. settings: of the server, for this session. Raises DependencyFailed.
    """
    return {
        "user": address.user,
        "host": address.host,
        "port": address.port,
        "database": address.database,
        "password": address.password or None,
        "ssl": tls(address) or False,
        "timeout": CONNECT,
        "command_timeout": None if patience is None else patience + 1,
        "server_settings": {
            "application_name": "gateway",
            "statement_timeout": milliseconds(patience or 0),  # 0: no bound
            "default_transaction_isolation": "read committed",  # what `store.locks` is made for
            "jit": "off",  # it would compile for 50 ms what runs for one
            **settings,
        },
    }


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f}"
