"""Where nodes share what they count and tell each other: the forms of `state.url`."""

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final, Literal
from urllib.parse import unquote

from gateway.settings.values import Address, address

PORT: Final = 6379
SENTINEL_PORT: Final = 26379
MAX_DATABASE: Final = 1 << 16
_URL = re.compile(
    r"(?P<scheme>rediss?(?:\+(?:sentinel|cluster))?)://(?:(?P<user>[^\s:@/?#,]+)@)?(?P<hosts>[^\s@/?#]+)"
    r"(?:/(?P<path>[^\s?#]*))?(?P<plain>\?tls=off)?"
)
_SERVICE = re.compile(r"[A-Za-z0-9._-]{1,128}")  # what Sentinel takes as a master's name
_PLAIN = (
    "redis:// sends everything, the password too, unencrypted: write rediss://, or end the url with ?tls=off where"
    " nobody else is on that network"
)
_WANTED = "redis://HOST:PORT, rediss://, redis+sentinel://HOST:PORT,HOST:PORT/SERVICE or redis+cluster://HOST:PORT,..."


@dataclass(frozen=True, slots=True)
class StateUrl:
    """form: `memory` = not shared. hosts: the server, the sentinels, or some nodes of the cluster.

    service: the master's name with the sentinels. path: of a socket.
    """

    form: Literal["memory", "single", "sentinel", "cluster", "unix"] = "memory"
    tls: bool = False
    hosts: tuple[Address, ...] = ()
    user: str = ""
    database: int = 0
    service: str = ""
    path: str = ""


def state_url(text: str) -> StateUrl:
    """No message repeats the text: a password may be in it by mistake."""
    if text == "memory":
        return StateUrl()
    if text.startswith("unix://"):
        return _socket(text.removeprefix("unix://"))
    if text.startswith("valkey"):
        raise ValueError("Valkey speaks as Redis does: write redis:// or rediss://")
    found = _URL.fullmatch(text)
    if not found:
        raise ValueError(f"write memory, {_WANTED}; a password is not in the url, but in state.password")
    kind = found["scheme"].partition("+")[2]
    form: Literal["single", "sentinel", "cluster"] = (
        "sentinel" if kind == "sentinel" else "cluster" if kind == "cluster" else "single"
    )
    hosts = _hosts(found["hosts"], SENTINEL_PORT if form == "sentinel" else PORT)
    if form == "single" and len(hosts) > 1:
        raise ValueError("redis:// is one server; several are redis+sentinel:// or redis+cluster://")
    tls = found["scheme"].startswith("rediss")
    if tls and found["plain"]:
        raise ValueError("rediss:// is TLS, and ?tls=off is none: write one of the two")
    if not tls and not found["plain"] and not all(_is_local(at.host) for at in hosts):
        raise ValueError(_PLAIN)
    service, database = _path(form, found["path"] or "")
    try:
        user = unquote(found["user"] or "", errors="strict")
    except UnicodeDecodeError as error:
        raise ValueError("the user of the state's url cannot be read") from error
    return StateUrl(form, tls, hosts, user, database, service)


def _is_local(host: str) -> bool:
    """Whether what is sent there leaves this machine never."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _socket(path: str) -> StateUrl:
    if not re.fullmatch(r"/[^\s?#@]*[^\s?#@/]", path):
        raise ValueError("write unix:///PATH, from the root")
    return StateUrl("unix", path=path)


def _hosts(text: str, port: int) -> tuple[Address, ...]:
    try:
        found = tuple(address(at if _has_port(at) else f"{at}:{port}") for at in text.split(","))
    except ValueError as error:
        raise ValueError("a host or port of the state's url cannot be read") from error
    if any(at.port == 0 for at in found):
        raise ValueError("a port of the state's url is from 1 to 65535")
    if len(set(found)) != len(found):
        raise ValueError("a host of the state's url comes twice")
    return found


def _has_port(host: str) -> bool:
    return "]:" in host if host.startswith("[") else ":" in host


def _path(form: str, path: str) -> tuple[str, int]:
    """service and database."""
    service, database = path, ""
    if form == "sentinel":
        service, _, database = path.partition("/")
        if not _SERVICE.fullmatch(service):
            raise ValueError("redis+sentinel:// ends with the name that the sentinels give the master, as in /mymaster")
    elif form == "single":
        service, database = "", path
    elif path:
        raise ValueError("a cluster has one database; leave the path out")
    if database and (not re.fullmatch(r"[0-9]{1,5}", database) or int(database) >= MAX_DATABASE):
        raise ValueError("the database of the state's url is a number, as in /0")
    return service, int(database or 0)
