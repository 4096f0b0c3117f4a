"""What pages of other origins may do, as the operator says it."""

from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from gateway.settings import values
from gateway.settings.fields import Duration, HeaderToken, Model, Origin, PageOrigin, durations, written

MOST_ORIGINS = 256


class LoginCors(Model):
    origins: tuple[Origin, ...] = Field(
        min_length=1,
        max_length=MOST_ORIGINS,
        description="Whose pages: https://app.example.org, https://*.example.org for one label, or * for everybody's.",
    )
    headers: tuple[HeaderToken, ...] = Field(
        ("authorization", "content-type"), max_length=64, description="Request headers that they may set."
    )
    expose: tuple[HeaderToken, ...] = Field((), max_length=64, description="Answer headers that they may read.")
    credentials: bool = Field(False, description="Whether cookies go with their requests; never with *.")
    max_age: Annotated[Duration, durations("0s", "24h")] = written(
        values.duration, "10m", "How long a browser need not ask again."
    )

    @field_validator("origins")
    @classmethod
    def _everybody_alone(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        if "*" in origins and len(origins) > 1:
            raise ValueError("'*' is everybody already; leave the other origins out, or '*'")
        return tuple(dict.fromkeys(origins))

    @field_validator("headers", "expose")
    @classmethod
    def _listed(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if "*" in names:
            raise ValueError("list the names; '*' would be each of them")
        return tuple(dict.fromkeys(names))

    @field_validator("credentials")
    @classmethod
    def _of_nobody_in_particular(cls, credentials: bool, info: ValidationInfo) -> bool:
        if credentials and "*" in info.data.get("origins", ()):
            raise ValueError("any page could act with its visitor's cookies; list the origins instead of '*'")
        return credentials


class WebSockets(Model):
    origins: tuple[PageOrigin, ...] = Field(
        min_length=1,
        max_length=MOST_ORIGINS,
        description="Whose pages may open one, the gateway's own among them; what is no page sends no Origin, and may.",
    )
