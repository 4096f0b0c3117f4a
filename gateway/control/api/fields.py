"""The kinds of members that the models of the admin API are made of."""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from gateway.identity.connection_string import SLUG

MOST: Final = 200  # items of a page
USUAL: Final = 50
_UUID: Final = "^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$"
_MOMENT: Final = (
    "^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})$"
)


class Model(BaseModel):
    """Strict: `"8"` is not 8. Unknown members are faults. Names are camelCase. Built when it is first used."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, alias_generator=to_camel, defer_build=True)


def _number(value: object) -> object:
    """Of a query, whose values are texts; what is no plain number stays what it is, and is refused."""
    return int(value) if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 10 else value


def _flag(value: object) -> object:
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


Id = Annotated[str, Field(pattern=_UUID, json_schema_extra={"format": "uuid"}), BeforeValidator(_lower)]
Slug = Annotated[str, Field(pattern=f"^{SLUG}$", examples=["reader"])]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Email = Annotated[str, Field(min_length=3, max_length=254, examples=["eve@example.com"])]
Username = Annotated[str, Field(min_length=1, max_length=64)]
Password = Annotated[str, Field(min_length=8, max_length=128)]
Instant = Annotated[str, Field(pattern=_MOMENT, json_schema_extra={"format": "date-time"})]
Seconds = Annotated[int, Field(ge=1, le=10**10)]
Permission = Literal["read", "write"]
Rank = Literal["user", "manager", "staff"]
Status = Literal["pending", "active", "disabled", "deleted"]
GrantKind = Literal["session", "api_key", "connection", "service"]
InvitationState = Literal["open", "accepted", "revoked", "expired"]
KeyKind = Literal["signing", "mac"]
Limit = Annotated[int, Field(ge=1, le=MOST), BeforeValidator(_number)]
After = Annotated[str, Field(min_length=1, max_length=256, pattern="^[A-Za-z0-9_-]+$")]
Sought = Annotated[str, Field(min_length=1, max_length=100)]
Flag = Annotated[bool, BeforeValidator(_flag)]
