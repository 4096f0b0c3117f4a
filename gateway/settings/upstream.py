"""The services behind the gateway, as the operator says it."""

from typing import Annotated, Literal, cast

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator
from pydantic import WithJsonSchema as Schema

from gateway.settings import upstream_values, values
from gateway.settings.faults import quoted
from gateway.settings.fields import (
    EMPTY,
    Duration,
    Endpoint,
    FieldName,
    FilePath,
    HostHeader,
    Model,
    Percent,
    ProbePath,
    StatusRange,
    durations,
    near,
    one_of,
    written,
)


class ClientTls(Model):
    ca: FilePath | None = Field(
        None, description="Certificates that sign the upstream's, PEM; the system's by default."
    )
    verify: bool = Field(True, description="Check the upstream's certificate and name.")

    @field_validator("verify")
    @classmethod
    def _ca_is_used(cls, verify: bool, info: ValidationInfo) -> bool:
        if not verify and info.data.get("ca") is not None:
            raise ValueError("with verify: false the ca is never looked at; remove one of the two")
        return verify


class Server(Model):
    url: Endpoint = Field(description="Where it is, http(s)://host:port[/path].")
    weight: int = Field(1, ge=1, le=1000, description="How much of the requests it gets, next to the others.")

    def __str__(self) -> str:
        return str(self.url)

    @property
    def named(self) -> bool:
        """Whether its host is a name that is looked up. `localhost` never changes (RFC 6761 section 6.3)."""
        return self.url.host != "localhost" and not upstream_values.is_address(self.url.host)


def _server(value: object) -> object:
    """A plain URL is a server of weight 1."""
    return {"url": value} if isinstance(value, str) else value


Listed = Annotated[Server, BeforeValidator(_server, json_schema_input_type=Endpoint | Server)]


Word = Literal["grant", "account", "address", "path"]
_WORDS = ("grant", "account", "address", "path")


class By(Model):
    header: FieldName = Field(description="The request header whose value decides.")


class ByWord(By):
    """In the place of a mapping: one of the words."""

    word: Word


def _spelt_out(value: object) -> object:
    if not isinstance(value, str):
        return value
    if value not in _WORDS:
        raise ValueError(f"{quoted(value)} is none of {', '.join(_WORDS)} and {{ header: NAME }}{near(value, _WORDS)}")
    return ByWord.model_construct(header="", word=cast(Word, value))


class Hash(Model):
    by: Annotated[By, BeforeValidator(_spelt_out, json_schema_input_type=Word | By)] = Field(
        description="What decides: grant, account, address, path, or { header: NAME }."
    )


class HealthCheck(Model):
    path: ProbePath = Field(description="What is asked for with GET.")
    interval: Annotated[Duration, durations("100ms", "1h")] = written(
        values.duration, "5s", "From one check of a server to its next."
    )
    timeout: Annotated[Duration, durations("10ms", "5m")] = written(
        values.duration, "2s", "Longest wait for the head of the answer."
    )
    healthy: int = Field(2, ge=1, le=100, description="Checks passed in a row that bring a server back.")
    unhealthy: int = Field(3, ge=1, le=100, description="Checks failed in a row that take a server out.")
    status: StatusRange = written(upstream_values.status_range, "200-399", "Statuses that pass, as in 200 or 200-399.")
    host: HostHeader | None = Field(None, description="The Host that is sent; the server's own by default.")


class OutlierRule(Model):
    errors: int = Field(5, ge=1, le=1000, description="Bad answers in a row (5xx or none) that eject a server.")
    eject: Annotated[Duration, durations("10ms", "1h")] = written(
        values.duration, "30s", "How long, the first time; each further time in a row it is so much longer, up to ten."
    )
    at_most: Percent = written(
        upstream_values.percent, "50%", "Most servers that are out by this at a time; one may always be."
    )


class UpstreamLimits(Model):
    connections: int | None = Field(
        None, ge=1, le=1_000_000, description="Most connections open at a time; more requests wait for one."
    )
    pending: int | None = Field(
        None, ge=1, le=1_000_000, description="Most requests that wait for a connection; more are 503 at once."
    )
    requests: int | None = Field(
        None, ge=1, le=1_000_000, description="Most requests under way or waiting; more are 503 at once."
    )


Reason = Literal["connect", "idle", "reset", 502, 503, 504]
_REASONS = ("connect", "idle", "reset", 502, 503, 504)


def _reason(value: object) -> object:
    if value not in _REASONS or isinstance(value, bool | float):
        raise ValueError("must be connect, idle, reset, 502, 503 or 504")
    return value


class RetryRule(Model):
    attempts: int = Field(1, ge=0, le=10, description="Times that a request is sent again at most.")
    budget: Percent = written(
        upstream_values.percent, "20%", "Most retries in ten seconds, as a part of the requests in that time."
    )
    floor: int = Field(30, ge=0, le=10_000, description="Retries in ten seconds that need no budget.")
    on: tuple[Annotated[Reason, BeforeValidator(_reason), Schema({"enum": list(_REASONS)})], ...] = Field(
        ("connect", "idle"),
        description="What is tried again: connect (none stood), idle (a kept one was closed), reset (any was), 502 ...",
    )


class Upstream(Model):
    endpoints: tuple[Listed, ...] = Field(
        min_length=1, max_length=1000, description="Its servers: http(s)://host:port[/path], or { url, weight }."
    )
    balance: Annotated[
        Literal["round_robin", "least", "p2c", "hash"], one_of("round_robin", "least", "p2c", "hash")
    ] = Field(
        "least",
        description="Which server is next: in turn, the one with the fewest running exchanges, the better of two at "
        "random, or by a hash of the request.",
    )
    hash: Hash | None = Field(None, description="What of a request its server is chosen by; with balance: hash.")
    sticky: Annotated[Literal["grant"], one_of("grant")] | None = Field(
        None, description="Keep the requests of one grant on one server while that is well; nobody's by default."
    )
    slow_start: Annotated[Duration, durations("100ms", "1h")] | None = Field(
        None,
        description="How long the share of a new or recovered server rises to its full weight; at once by default.",
    )
    health: HealthCheck | None = Field(None, description="Ask each server now and then; never by default.")
    outlier: OutlierRule | None = Field(None, description="Leave out servers with bad answers; none by default.")
    limits: UpstreamLimits | None = Field(None, description="How much it is given at a time; no limits by default.")
    retries: RetryRule = Field(EMPTY, validate_default=True, description="Which requests are sent again.")
    resolve: Annotated[Duration, durations("1s", "24h")] = written(
        values.duration, "30s", "How often the names of servers are looked up again."
    )
    tls: ClientTls = Field(EMPTY, validate_default=True, description="How https endpoints are checked.")
    pool: int = Field(256, ge=1, le=65535, description="Most idle connections kept to each server.")

    @field_validator("hash")
    @classmethod
    def _hash_is_used(cls, said: Hash | None, info: ValidationInfo) -> Hash | None:
        if said is not None and info.data.get("balance", "hash") != "hash":
            raise ValueError("is only looked at with balance: hash; write that, or leave hash out")
        return said

    @model_validator(mode="after")
    def _hash_is_said(self) -> "Upstream":
        if self.balance == "hash" and self.hash is None:
            raise ValueError("balance: hash needs hash: { by: grant }, account, address, path or { header: NAME }")
        return self
