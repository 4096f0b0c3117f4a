"""What of a request decides which endpoint it goes to, as bytes; b"" where it has no such thing."""

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from gateway.edge.answering import Answering
    from gateway.edge.pool import KeyOf

By = Literal["grant", "account", "address", "path"]


def key_by(by: By) -> "KeyOf":
    return _KEYS[by]


def key_by_header(name: str) -> "KeyOf":
    """name: lower case. Only what may go on to an upstream is looked at: no credential decides by its bytes."""
    wanted = name.encode("ascii")

    return lambda exchange: exchange.request.value(wanted)


def either(first: "KeyOf", second: "KeyOf") -> "KeyOf":
    return lambda exchange: first(exchange) or second(exchange)


def _grant(exchange: "Answering") -> bytes:
    """Of an external caller, who has none, the subject at its issuer: as lasting, and as much its own."""
    permit = exchange.permit
    if permit is None or permit.principal is None:
        return b""
    principal = permit.principal
    return (principal.grant_id or f"{principal.issuer} {principal.subject}").encode()


def _account(exchange: "Answering") -> bytes:
    permit = exchange.permit
    if permit is None or permit.principal is None or permit.principal.account is None:
        return b""
    return permit.principal.account.id.encode()


def _address(exchange: "Answering") -> bytes:
    return exchange.peer.address.encode()


def _path(exchange: "Answering") -> bytes:
    return exchange.request.target.path


_KEYS: dict[str, "KeyOf"] = {"grant": _grant, "account": _account, "address": _address, "path": _path}
