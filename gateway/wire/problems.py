"""Every reason code with its status and title: the one list for answers, logs, metrics and the runbook.

A refusal is RFC 9457 problem JSON. The built-in dialects keep their own error bodies.
"""

import json
from dataclasses import dataclass

from gateway.errors import UPSTREAM_FAULTS, DependencyFailed, GatewayError


@dataclass(frozen=True, slots=True)
class Problem:
    status: int
    title: str


PROBLEMS: dict[str, Problem] = {
    # the request cannot be read without guessing: the connection is closed
    "malformed_request": Problem(400, "The request is not well-formed HTTP/1.1"),
    "bad_version": Problem(400, "Only HTTP/1.0 and HTTP/1.1 are spoken here"),
    "bad_host": Problem(400, "Exactly one valid Host header is needed"),
    "authority_mismatch": Problem(400, "The request target names another authority than Host"),
    "bad_framing": Problem(400, "The body's framing is ambiguous"),
    "bad_header_name": Problem(400, "A header name has a character that is not allowed"),
    "method_refused": Problem(400, "This method is never forwarded"),
    "ambiguous_path": Problem(400, "The path could be read in two ways"),
    "duplicate_credential": Problem(400, "More than one credential was sent"),
    "upgrade_with_body": Problem(400, "An upgrade request cannot have a body"),
    "bad_upgrade": Problem(400, "The WebSocket handshake is not valid"),
    "bad_original": Problem(400, "The data plane does not say clearly which request it asks about"),
    "head_timeout": Problem(408, "The request head did not arrive in time"),
    "body_timeout": Problem(408, "The request body did not arrive in time"),
    "body_too_large": Problem(413, "The request body is larger than this route allows"),
    "client_gone": Problem(499, "The client went away"),  # counted and logged, never sent
    "target_too_long": Problem(414, "The request target is too long"),
    "expectation_failed": Problem(417, "Only the expectation 100-continue is known"),
    "head_too_large": Problem(431, "The request head is too large"),
    # who is calling
    "no_credential": Problem(401, "A credential is needed"),
    "invalid_credential": Problem(401, "The credential is not valid"),
    "expired_credential": Problem(401, "The credential has expired"),
    "revoked_credential": Problem(401, "The credential is no longer valid"),
    "unknown_issuer": Problem(401, "The token's issuer is not known here"),
    "mfa_required": Problem(401, "A second factor is pending"),
    # logging in
    "login_too_old": Problem(401, "This takes a newer login"),
    "code_wrong": Problem(401, "The code or link is not valid"),
    "mfa_enabled": Problem(400, "A second factor is enabled already"),
    "mfa_not_enabled": Problem(400, "No second factor is enabled"),
    "mfa_code_wrong": Problem(400, "The second factor's code is not valid"),
    "too_many_attempts": Problem(429, "Too many attempts"),
    "invalid_telegram_init_data": Problem(401, "Telegram's initData is not valid"),
    "telegram_not_configured_for_tenant": Problem(422, "The tenant has no Telegram bot"),
    # may they
    "no_account": Problem(403, "The caller has no account"),
    "role_missing": Problem(403, "The caller lacks the role"),
    "scope_missing": Problem(403, "The credential lacks a scope"),
    "issuer_refused": Problem(403, "This issuer's tokens are not accepted on this route"),
    "mfa_not_proven": Problem(403, "This route needs a login with a second factor"),
    "cors_refused": Problem(403, "Pages of other origins may not do that here"),
    "origin_refused": Problem(403, "Pages of this origin may not open a WebSocket here"),
    # where to
    "no_route": Problem(404, "No route has this path"),
    "method_not_allowed": Problem(405, "The path has no route for this method"),
    # how often, and how many at once
    "rate_limited": Problem(429, "Too many requests"),
    "too_many_at_once": Problem(429, "Too many requests at the same time"),
    # what was asked of the account or admin interface, or of the command line
    "not_found": Problem(404, "There is no such thing"),
    "conflict": Problem(409, "It clashes with what is there"),
    "invalid_value": Problem(422, "A value is not acceptable"),
    # to our own applications
    "unsupported_media": Problem(415, "The body must be JSON"),
    "forbidden": Problem(403, "This caller may not do that"),
    "bad_parameter": Problem(400, "A parameter of the request is not valid"),
    "misdirected": Problem(421, "This listener does not answer under that name"),
    # ours
    "internal_error": Problem(500, "The gateway failed"),
    "upstream_unreachable": Problem(502, "The upstream cannot be reached"),
    "upstream_bad_answer": Problem(502, "The upstream's answer is not valid"),
    "upstream_closed": Problem(502, "The upstream closed the connection without an answer"),
    "profile_too_large": Problem(502, "The caller's profile does not fit into a header"),
    "keys_unavailable": Problem(503, "The issuer's keys cannot be fetched"),
    "store_unavailable": Problem(503, "The account store cannot be reached"),
    "draining": Problem(503, "The gateway is shutting down"),
    "route_busy": Problem(503, "This route has as much under way as it takes"),
    "upstream_busy": Problem(503, "The upstream has as much to do as it may have"),
    "overloaded": Problem(503, "The gateway has too much to do"),
    "upstream_timeout": Problem(504, "The upstream did not answer in time"),
}

_SENTENCES = UPSTREAM_FAULTS | {"upstream_busy"}  # their details are ours, and name nothing


def body(code: str, detail: str, request_id: str) -> bytes:
    """The problem as JSON bytes. `detail` must not hold bytes of the request."""
    problem = PROBLEMS[code]
    value = {
        "type": "about:blank",
        "title": problem.title,
        "status": problem.status,
        "detail": detail or problem.title,
        "code": code,
        "request_id": request_id,
    }
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def told(fault: GatewayError) -> str:
    """What of a fault's detail its client may read: all of a mistake of its own.

    Of our failures the title must do: their details hold paths and texts of libraries, and are for the log. Those about
    upstreams are sentences of ours.
    """
    withheld = isinstance(fault, DependencyFailed) and fault.code not in _SENTENCES
    return "" if withheld else fault.detail
