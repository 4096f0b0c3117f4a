"""Which request goes where, and who may send it, as the operator says it."""

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, WithJsonSchema, field_validator

from gateway.settings import values
from gateway.settings.access import AccessRule
from gateway.settings.cors import LoginCors, WebSockets
from gateway.settings.fields import (
    EMPTY,
    Duration,
    Encoded,
    HostHeader,
    Model,
    PathPrefix,
    PathTemplate,
    Text,
    durations,
    one_of,
    written,
)
from gateway.settings.headers import Headers, SecurityHeaders
from gateway.settings.limits import RouteLimits
from gateway.settings.template import literal_prefix, refused_spellings

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")  # of a route that names none; HEAD goes with GET
# What llhttp parses besides CONNECT and TRACE, which are never forwarded.
KNOWN_METHODS = tuple(
    """GET POST PUT PATCH DELETE HEAD OPTIONS COPY LOCK MKCOL MOVE PROPFIND PROPPATCH SEARCH UNLOCK BIND REBIND UNBIND
    ACL REPORT MKACTIVITY CHECKOUT MERGE M-SEARCH NOTIFY SUBSCRIBE UNSUBSCRIBE PURGE MKCALENDAR LINK UNLINK
    QUERY""".split()  # noqa: SIM905 - a list of quoted words would be thirty lines
)


Method = Annotated[str, one_of(*KNOWN_METHODS), WithJsonSchema({"enum": list(KNOWN_METHODS)})]


class Forward(Model):
    authorization: bool = Field(False, description="Send the client's Authorization on.")
    host: Annotated[Literal["preserve", "upstream"], one_of("preserve", "upstream")] = Field(
        "preserve", description="Send the client's Host on, or the endpoint's own."
    )


class RouteTimeouts(Model):
    connect: Annotated[Duration, durations("10ms", "5m")] = written(
        values.duration, "3s", "Longest wait for a connection to the upstream."
    )
    first_byte: Annotated[Duration, durations("10ms", "24h")] = written(
        values.duration, "60s", "Longest wait for the first byte of the answer."
    )
    idle: Annotated[Duration, durations("10ms", "24h")] = written(
        values.duration, "60s", "Longest silence inside an answer."
    )


class Cors(LoginCors):
    methods: tuple[Method, ...] = Field((), description="Methods that they may use; the route's own unless given.")


class Route(Model):
    path: PathTemplate = Field(description="Literal segments, {name} for one segment, /** at the end for the rest.")
    methods: tuple[Method, ...] = Field(
        METHODS, min_length=1, description="Methods in upper case; HEAD goes with GET, OPTIONS only where listed."
    )
    host: HostHeader | None = Field(None, description="Only for this Host; such a route outranks one without.")
    upstream: Text = Field(description="The name of the upstream.")
    access: AccessRule = Field(description="Who may pass: public, authenticated, protected, or a mapping of rules.")
    strip_prefix: PathPrefix | None = Field(None, description="Whole segments taken off the path before forwarding.")
    forward: Forward = Field(EMPTY, validate_default=True, description="What of the client's request goes on.")
    allow_encoded: tuple[Encoded, ...] = Field(
        (),
        validate_default=True,
        description="Spellings in a path that are let through as they are: %2F, %5C, %25, ; or an encoded letter.",
    )
    errors: Annotated[Literal["problem", "mployr"], one_of("problem", "mployr")] = Field(
        "problem", description="The form of 401 and 403 answers: problem JSON, or Mployr's envelope."
    )
    timeouts: RouteTimeouts = Field(EMPTY, validate_default=True, description="How long the upstream may take.")
    limits: RouteLimits = Field(EMPTY, validate_default=True, description="How large, how often, how many at once.")
    cors: Cors | None = Field(None, description="What pages of other origins may do here; nothing unless given.")
    websocket: WebSockets | None = Field(None, description="Whose pages may open a WebSocket here; all unless given.")
    headers: Headers = Field(EMPTY, validate_default=True, description="Headers that are set, added or removed.")
    security_headers: SecurityHeaders | None = Field(
        None, description="Headers for browsers that the upstream's answers lack; none are put in unless given."
    )

    @field_validator("methods", mode="before")
    @classmethod
    def _never_forwarded(cls, methods: object) -> object:
        if isinstance(methods, tuple):
            refused = [method for method in ("CONNECT", "TRACE") if method in methods]
            if refused:
                raise ValueError(f"{refused[0]} is never forwarded")
        return methods

    @field_validator("methods")
    @classmethod
    def _head_follows_get(cls, methods: tuple[str, ...]) -> tuple[str, ...]:
        if "HEAD" in methods and "GET" not in methods:
            raise ValueError("HEAD follows the rule of GET; list GET")
        if len(set(methods)) != len(methods):
            raise ValueError("a method is listed twice")
        return tuple(method for method in methods if method != "HEAD")

    @field_validator("cors")
    @classmethod
    def _methods_of_the_route(cls, cors: Cors | None, info: ValidationInfo) -> Cors | None:
        own = info.data.get("methods", KNOWN_METHODS)
        other = [method for method in (cors.methods if cors else ()) if method not in own and method != "HEAD"]
        if other:
            raise ValueError(f"this route does not answer {other[0]}; leave it out, or add it to the route's methods")
        return cors

    @field_validator("strip_prefix")
    @classmethod
    def _prefix_of_path(cls, prefix: str | None, info: ValidationInfo) -> str | None:
        path = info.data.get("path")
        if prefix is not None and path is not None and not f"{literal_prefix(path)}/".startswith(f"{prefix}/"):
            raise ValueError(f"must be a prefix of the path's literal segments, {literal_prefix(path)}")
        return prefix

    @field_validator("allow_encoded")
    @classmethod
    def _path_can_match(cls, spellings: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        missing = refused_spellings(info.data.get("path", "/")) - set(spellings)
        if missing:
            raise ValueError(f"allow_encoded must list {', '.join(sorted(missing))}, which the path holds")
        return tuple(dict.fromkeys(spellings))
