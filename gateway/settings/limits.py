"""`limits` of a route: how large, how often, how many at once, as the operator says it."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, field_validator

from gateway.settings.faults import quoted
from gateway.settings.fields import Duration, LimitHeader, Model, Shared, Size, durations, near, sizes

SUBJECTS = ("address", "account", "grant", "tenant", "route")
Subject = Literal["address", "account", "grant", "tenant", "route"]
MOST = 1_000_000_000  # of requests in a window


class ByHeader(Model):
    header: LimitHeader = Field(description="The request header whose value is counted; all without it count as one.")


def _subject(value: object) -> object:
    if isinstance(value, str) and value not in SUBJECTS:
        words = ", ".join(SUBJECTS)
        raise ValueError(
            f"{quoted(value)} is not one of {words}, or a mapping such as {{ header: x-client }}{near(value, SUBJECTS)}"
        )
    return value


def _kind(value: object) -> str:
    return "header" if isinstance(value, dict | ByHeader) else "word"


# told apart by hand: else a mistake in one form is told as one of the other, too
By = Annotated[
    Annotated[Subject, BeforeValidator(_subject), Tag("word")] | Annotated[ByHeader, Tag("header")],
    Discriminator(_kind),
]


class Rate(Model):
    by: By = Field(description="Who is counted: address, account, grant, tenant, route, or { header: NAME }.")
    at_most: int = Field(ge=1, le=MOST, description="Requests in any window; the next one is 429.")
    in_: Annotated[Duration, durations("1s", "7d")] = Field(alias="in", description="The window, in whole seconds.")
    shared: Shared | None = Field(
        None, description="Routes whose limits have the same name here count together; by default each for itself."
    )

    @field_validator("in_")
    @classmethod
    def _whole(cls, seconds: float) -> float:
        if seconds != int(seconds):
            raise ValueError("must be whole seconds: the answer's fields can say no others")
        return seconds


class Concurrency(Model):
    by: By = Field("route", description="Who is counted, as in rate; all of the route by default.")
    at_most: int = Field(
        ge=1, le=1_000_000, description="Exchanges at the same time in one worker; the next one is 503, or 429."
    )


def _spelt_out(value: object) -> object:
    """One number, or one mapping, for the list of it."""
    if isinstance(value, int) and not isinstance(value, bool):
        return ({"at_most": value},)
    if isinstance(value, dict):
        return (value,)
    if not isinstance(value, tuple):
        raise ValueError("write a number, a rule such as { by: account, at_most: 5 }, or a list of rules")
    return value


Rooms = Annotated[
    tuple[Concurrency, ...],
    BeforeValidator(_spelt_out, json_schema_input_type=int | Concurrency | tuple[Concurrency, ...]),
]


class RouteLimits(Model):
    body: Annotated[Size, sizes("0B", "1024GiB")] | None = Field(
        None, description="Largest request body; more is 413; unlimited by default."
    )
    head: Annotated[Size, sizes("64B", "256KiB")] | None = Field(
        None, description="Largest request head; more is 431; that of listen.limits by default."
    )
    concurrency: Rooms = Field((), description="How many exchanges may be under way at once: a number, or rules.")
    rate: tuple[Rate, ...] = Field((), description="How many requests may come in a time; each rule must hold.")
