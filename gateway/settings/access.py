"""`access` of a route: one word, or a mapping of rules."""

from typing import Annotated, Any, Literal, cast

from pydantic import BeforeValidator, Field, ValidationInfo, WithJsonSchema, field_validator

from gateway.settings.faults import quoted
from gateway.settings.fields import Model, RoleSlug, Scope, Text, near, one_of

_WORDS = ("public", "authenticated", "protected")
Kind = Literal["public", "authenticated", "protected", "roles"]
_MAPPED = ("authenticated", "protected")


class RoleRule(Model):
    role: RoleSlug = Field(description="The role's slug.")
    permission: Annotated[Literal["read", "write"], one_of("read", "write")] = Field(
        "read", description="What the licence must allow; write includes read."
    )


def _rules_or_kind(value: object) -> object:
    if isinstance(value, str) and value not in _MAPPED:
        raise ValueError(f"a mapping takes kind: authenticated or protected, or roles, not {quoted(value)}")
    return value


def _without_default(schema: dict[str, Any]) -> None:
    schema.pop("default", None)


class Access(Model):
    """kind: `roles` when roles are given; `public` only by the one word, since nothing narrows it."""

    kind: Annotated[
        Kind,
        BeforeValidator(_rules_or_kind),
        WithJsonSchema({"enum": list(_MAPPED)}),
    ] = Field("roles", description="Who may pass when no roles are named.", json_schema_extra=_without_default)
    roles: tuple[RoleRule, ...] = Field(
        (), validate_default=True, description="One of these must be held; the profile is filtered to them."
    )
    mfa: Annotated[Literal["required"], one_of("required")] | None = Field(
        None, description="Only with a login that proved a second factor."
    )
    issuers: tuple[Text, ...] = Field((), description="Only credentials of these issuers; internal is the gateway.")
    scopes: tuple[Scope, ...] = Field((), description="Every one of these must be held.")

    @field_validator("roles")
    @classmethod
    def _roles_or_kind(cls, roles: tuple[RoleRule, ...], info: ValidationInfo) -> tuple[RoleRule, ...]:
        kind = info.data.get("kind")
        if kind == "roles" and not roles:
            raise ValueError("name at least one of the roles, or write kind: authenticated or kind: protected")
        if kind in _MAPPED and roles:
            raise ValueError("roles and kind exclude each other; remove kind")
        return roles


def _spelt_out(value: object) -> object:
    if not isinstance(value, str):
        return value
    if value not in _WORDS:
        raise ValueError(f"{quoted(value)} is not one of {', '.join(_WORDS)}{near(value, _WORDS)}")
    return _ALONE[value]


_ALONE = {word: Access.model_construct(kind=cast(Kind, word)) for word in _WORDS}  # values, shared by all routes

AccessRule = Annotated[
    Access,
    BeforeValidator(_spelt_out, json_schema_input_type=Literal["public", "authenticated", "protected"] | Access),
]
