"""Values written as text: sizes, durations, addresses, endpoints, names. Pure: a parser returns or raises ValueError.

The text of the ValueError is what the operator reads, so it says what to write. Route paths are in `template.py`.
"""

import ipaddress
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import SplitResult, unquote, urlsplit

from gateway.settings.faults import quoted

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_SIZE_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_TIME_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
SIZE_PATTERN = r"^[0-9]{1,12}(B|KiB|MiB|GiB)$"
DURATION_PATTERN = r"^[0-9]{1,12}(ms|s|m|h|d)$"
_LABEL = r"[A-Za-z0-9_-]{1,63}"  # RFC 1035 section 2.3.1, and the `_` of container names
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"  # goes into headers and audiences, so nothing needs escaping
SLUG_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,63}$"  # roles; the form that connection strings carry
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"  # RFC 5322 section 3.2.3
_LOCAL_PART = re.compile(rf"(?=.{{1,64}}$){_ATOM}(?:\.{_ATOM})*")
_SMTP = re.compile(
    r"(?P<scheme>smtps?)://(?:(?P<user>[^\s:@/?#\\]+)(?::(?P<password>[^\s:@/?#\\]+))?@)?"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s:@/?#\\\[\]]+)(?::(?P<port>[0-9]{1,5}))?/?(?:\?starttls=(?P<starttls>off|required))?"
)
_SMTP_PORTS = {"smtp": 587, "smtps": 465}  # RFC 6409 section 3.1, RFC 8314 section 3.3
_TCHAR = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")  # RFC 9110 section 5.6.2
_ENCODED_UNRESERVED = re.compile(r"%(?:2D|5F|7E|3[0-9]|[46][1-9A-F]|[57][0-9A])")

# Normalised as servers behind us may do it: whoever owns these names decides who the caller is or where a body ends.
_RESERVED_PREFIXES = ("x-mycelium-", "x-gateway-", "x-forwarded-")
_RESERVED = frozenset(
    {"authorization", "proxy-authorization", "cookie", "host", "connection", "content-length", "transfer-encoding"}
    | {"te", "trailer", "upgrade", "expect", "keep-alive", "forwarded", "x-real-ip", "traceparent", "tracestate"}
)
_SET_BY_US = frozenset(
    f"x-mycelium-{name}"
    for name in ("profile", "email", "request-id", "security-group", "service-name", "tenant-id", "assertion")
)


class Unfit(ValueError):  # noqa: N818 - errors are named by fault
    """A ValueError with a code of its own, where `wrong_value` says too little."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen. host: a name or an address without brackets. port: 0 lets the system choose."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One server of an upstream. path: put before what is forwarded; b"" or starting and not ending with `/`."""

    scheme: str
    host: str
    port: int
    path: bytes = b""

    def __str__(self) -> str:
        return f"{self.scheme}://{Address(self.host, self.port)}{self.path.decode('ascii')}"


@dataclass(frozen=True, slots=True)
class OtlpUrl:
    """A collector. url: of its traces. plain: without TLS, and not on this machine."""

    url: str
    plain: bool = False


@dataclass(frozen=True, slots=True)
class MailUrl:
    """Which way mails go. folder: of `file`. host to password: of `smtp` and `smtps`; user: "" for no login.

    starttls: whether `smtp` insists on it.
    """

    scheme: Literal["smtp", "smtps", "file", "console"]
    folder: Path = Path()
    host: str = ""
    port: int = 0
    starttls: bool = False
    user: str = ""
    password: str = field(default="", repr=False)


def size(text: str) -> int:
    """`32KiB` -> bytes."""
    found = re.fullmatch(SIZE_PATTERN[1:-1], text)
    if not found:
        raise ValueError(f"{quoted(text)} is not a size; write a whole number and B, KiB, MiB or GiB, as in 32KiB")
    return int(text.removesuffix(found[1])) * _SIZE_UNITS[found[1]]


def duration(text: str) -> float:
    """`10s` -> seconds."""
    found = re.fullmatch(DURATION_PATTERN[1:-1], text)
    if not found:
        raise ValueError(f"{quoted(text)} is not a duration; write a whole number and ms, s, m, h or d, as in 10s")
    return int(text.removesuffix(found[1])) * _TIME_UNITS[found[1]]


def host_name(text: str) -> str:
    """A DNS name or an IP address (IPv6 without brackets), lower case. A name in other scripts is its A-label."""
    try:
        return ipaddress.ip_address(text).compressed
    except ValueError:
        pass
    if len(text) > 253 or not _HOST.fullmatch(text) or re.fullmatch(r"[0-9.]+", text):
        raise ValueError(f"{quoted(text)} is not a host: an address, or a name of letters, digits, - and dots")
    return text.lower()


def host_header(text: str) -> str:
    """A host as clients write it in `Host`, without port: lower case, IPv6 in brackets."""
    if text[:1] == "[" and text[-1:] == "]":
        return f"[{_ipv6(text[1:-1])}]"
    name = host_name(text)
    if ":" in name:
        raise ValueError(f"write the address in brackets: [{name}]")
    return name


def address(text: str) -> Address:
    """`127.0.0.1:8080`, `[::1]:8080`."""
    found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]]+)):([0-9]{1,5})", text)
    if not found or int(found[3]) > 65535:
        raise ValueError(f"{quoted(text)} is not host:port, as in 127.0.0.1:8080 or [::1]:8080")
    if found[1]:
        return Address(str(_ipv6(found[1])), int(found[3]))
    return Address(host_name(found[2]), int(found[3]))


def _ipv6(text: str) -> ipaddress.IPv6Address:
    try:
        return ipaddress.IPv6Address(text)
    except ValueError as error:
        raise ValueError(f"{quoted(text)} is not an IPv6 address") from error


def network(text: str) -> Network:
    """`10.0.0.0/8`, or one address."""
    try:
        return ipaddress.ip_network(text, strict="/" in text)
    except ValueError as error:
        hint = ""
        if "host bits" in str(error):
            hint = f"; the network is {ipaddress.ip_network(text, strict=False)}"
        raise ValueError(f"{quoted(text)} is not an address or a network such as 10.0.0.0/8{hint}") from error


def _split(text: str, what: str) -> SplitResult:
    if not re.fullmatch(r"https?://[!-~]+", text) or "\\" in text:
        raise ValueError(f"{what} starts with https:// or http:// and has only ASCII without spaces")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"{what} has a host or port that cannot be read") from error
    if "@" in parts.netloc:
        raise ValueError(f"{what} must not hold a user name or password")
    if "?" in text or "#" in text:
        raise ValueError(f"{what} has no query and no fragment")
    if not parts.hostname or port == 0 or parts.netloc.endswith(":"):
        raise ValueError(f"{what} needs a host, and a port from 1 to 65535 if any")
    host_name(parts.hostname)
    return parts


def url(text: str) -> str:
    """An absolute http(s) URL without user, query, fragment and last slash, as written: it is compared as bytes."""
    parts = _split(text, "a URL")
    if parts.path.endswith("/"):
        raise ValueError(f"leave the last slash out: {text.rstrip('/')}")
    return text


def guarded_url(text: str) -> str:
    """A URL whose answer is believed: https, or http to loopback, where nobody sits in between."""
    parts = _split(text, "a URL")
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise ValueError("http is only for loopback addresses; write https://")
    return text


def is_loopback(host: str) -> bool:
    """By address, or the name `localhost` (RFC 6761 section 6.3)."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def endpoint(text: str) -> Endpoint:
    """`http://host:port[/path]`; the port is that of the scheme when left out."""
    parts = _split(text, "an endpoint")
    path = parts.path.rstrip("/")
    if path and not re.fullmatch(r"(?:/(?!\.{1,2}(?:/|$))(?:[A-Za-z0-9._~!$&'()*+,=:@-]|%[0-9A-F]{2})+)+", path):
        raise ValueError("an endpoint's path has no empty or dot segments and no characters that servers read apart")
    if re.search(r"%(?:00|2E|2F|5C|25)", path):
        raise ValueError("an endpoint's path has no encoded dots, slashes, percent signs or zeros")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return Endpoint(parts.scheme, host_name(parts.hostname or ""), port, path.encode("ascii"))


def otlp_url(text: str) -> OtlpUrl:
    """`https://collector:4318`: the path of traces is put behind it, as OTLP/HTTP has it for a base URL."""
    base = text.removesuffix("?tls=off")
    parts = _split(base, "a collector's URL")
    if base.rstrip("/").endswith("/v1/traces"):
        raise ValueError("leave /v1/traces out: it is put behind the URL")
    plain = parts.scheme == "http" and not is_loopback(parts.hostname or "")
    if base != text and not plain:
        raise ValueError("?tls=off is for http:// to another machine: leave it out")
    if plain and base == text:
        raise ValueError(
            "http:// sends paths and addresses unencrypted: write https://, or end the url with ?tls=off where nobody"
            " else is on that network"
        )
    return OtlpUrl(f"{base.rstrip('/')}/v1/traces", plain)


def sent_header(text: str) -> str:
    """The name of a header that we send, lower case: not one that HTTP needs for itself."""
    name = text.lower()
    if not _TCHAR.fullmatch(name):
        raise ValueError(f"{quoted(text)} is not a header name")
    if name in _RESERVED - {"authorization", "cookie"} or name.startswith("content-"):
        raise ValueError(f"{quoted(text)} is written by HTTP itself")
    return name


def is_field_value(text: str) -> bool:
    return re.fullmatch(r"[!-~](?:[ -~]*[!-~])?", text) is not None


def field_name(text: str) -> str:
    """A request header that goes on to upstreams, lower case: what is stripped decides nothing."""
    name = text.lower()
    if not re.fullmatch(r"[a-z0-9-]{1,64}", name):
        raise ValueError(f"{quoted(text)} is not a header name of letters, digits and -")
    if name in _RESERVED - {"cookie"} or name in _SET_BY_US or name.startswith(_RESERVED_PREFIXES):
        raise ValueError(f"{quoted(text)} has another meaning; choose another header")
    return name


def mail_url(text: str) -> MailUrl:
    """`smtp://`, `smtps://`, `file:FOLDER` or `console:`. No message repeats the text: a password may be in it."""
    scheme, _, rest = text.partition(":")
    if text == "console:":
        return MailUrl("console")
    if scheme == "file":
        if not rest or rest.startswith("//") or not rest.isprintable():
            raise ValueError("write file:FOLDER, relative to the configuration file, or file:/FOLDER from the root")
        return MailUrl("file", folder=Path(rest))
    if scheme not in ("smtp", "smtps"):
        raise ValueError("mails go to smtp://HOST:PORT, smtps://HOST:PORT, file:FOLDER or console:")
    return _smtp_url(text)


def _smtp_url(text: str) -> MailUrl:
    found = _SMTP.fullmatch(text)
    if not found:
        raise ValueError(
            "write smtp://USER:PASSWORD@HOST:PORT; in a user name or password @ is %40, : is %3A, / is %2F, % is %25"
        )
    scheme: Literal["smtp", "smtps"] = "smtps" if found["scheme"] == "smtps" else "smtp"
    try:
        server = address(f"{found['host']}:{found['port'] or _SMTP_PORTS[scheme]}")
        user, password = (unquote(found[part] or "", errors="strict") for part in ("user", "password"))
    except ValueError as error:
        raise ValueError("the mail server's host, port or user cannot be read") from error
    if server.port == 0:
        raise ValueError("the mail server's port is from 1 to 65535")
    starttls = scheme == "smtp" and (bool(user) or not is_loopback(server.host))
    if found["starttls"]:
        if scheme == "smtps":
            raise ValueError("smtps:// is TLS from the start; leave ?starttls out, or write smtp://")
        starttls = found["starttls"] == "required"
    if user and scheme == "smtp" and not starttls:
        raise ValueError("a user and password are never sent in clear; leave ?starttls=off out")
    return MailUrl(scheme, Path(), server.host, server.port, starttls, user, password)


def mail_address(text: str) -> str:
    """`gateway@example.org`: an address alone, with a local part in ASCII and without quotes."""
    local, _, domain = text.rpartition("@")
    if not _LOCAL_PART.fullmatch(local):
        raise ValueError(f"{quoted(text)} is not an e-mail address, as in gateway@example.org")
    host = host_name(domain)
    if ":" in host or re.fullmatch(r"[0-9.]+", host):
        raise ValueError("the part after @ is a name, not an address")
    return f"{local}@{host}"


def normalised(header: str) -> str:
    """A header name as lax servers see it: CGI and WSGI read `_` as `-`."""
    return re.sub(r"[^a-z0-9]", "-", header.lower())


def odd_header(text: str) -> str:
    """A header name with more than letters, digits and `-`, lower case, that is harmless to let through."""
    if not _TCHAR.fullmatch(text):
        raise ValueError(f"{quoted(text)} is not a header name")
    if re.fullmatch(r"[A-Za-z0-9-]+", text):
        raise ValueError(f"{quoted(text)} is let through anyway; list only names with other characters, as user_id")
    name = normalised(text)
    if name in _RESERVED or name.startswith(_RESERVED_PREFIXES):
        raise ValueError(f"{quoted(text)} is read by some servers as {name!r}, which clients must not set")
    return text.lower()


def credential_header(text: str) -> str:
    """The header of connection strings, lower case: not one that HTTP or the gateway gives another meaning."""
    name = text.lower()
    if not re.fullmatch(r"[a-z0-9-]{1,64}", name):
        raise ValueError(f"{quoted(text)} is not a header name of letters, digits and -")
    if name in _RESERVED or name in _SET_BY_US or name.startswith(_RESERVED_PREFIXES[1:]):
        raise ValueError(f"{quoted(text)} has another meaning; choose another name")
    return name


def limit_header(text: str) -> str:
    """A header that requests are counted by, lower case: not one that says who the caller is or what HTTP does."""
    name = text.lower()
    if not re.fullmatch(r"[a-z0-9-]{1,64}", name):
        raise ValueError(f"{quoted(text)} is not a header name of letters, digits and -")
    if name in _RESERVED or name.startswith(_RESERVED_PREFIXES):
        raise ValueError(f"{quoted(text)} has another meaning; count by account, grant or address, or another header")
    return name


def encoded_spelling(text: str) -> str:
    """A spelling that a route takes as it is: upper case `%2F`, or `;`."""
    spelling = text.upper()
    if spelling in {"%2F", "%5C", "%25", ";"} or _ENCODED_UNRESERVED.fullmatch(spelling):
        return spelling
    if spelling in {"%2E", "%00"}:
        raise ValueError(f"{quoted(text)} is refused on every route: no two servers agree on it")
    raise ValueError(f"{quoted(text)} is none of %2F, %5C, %25, ; or an encoded letter, digit, -, _ or ~")


def matching(pattern: str, what: str, text: str) -> str:
    """The text, when it has the pattern."""
    if not re.fullmatch(pattern[1:-1], text):
        raise ValueError(f"{quoted(text)} is not {what}: it has the form {pattern[1:-1]}")
    return text


def upstream_name(text: str) -> str:
    return matching(NAME_PATTERN, "an upstream's name", text)


def shared_name(text: str) -> str:
    return matching(NAME_PATTERN, "a name", text)


def issuer_name(text: str) -> str:
    if text == "internal":
        raise ValueError("'internal' names the gateway's own credentials; choose another name")
    return matching(NAME_PATTERN, "an issuer's name", text)


def slug(text: str) -> str:
    return matching(SLUG_PATTERN, "a role", text)


def scope(text: str) -> str:
    """RFC 6749 section 3.3."""
    return matching(r"^[!#-\[\]-~]{1,128}$", "a scope", text)
