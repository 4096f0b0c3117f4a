"""The services behind the gateway, as the operator says it."""

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from gateway.settings.fields import EMPTY, Endpoint, FilePath, Model, one_of


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


class Upstream(Model):
    endpoints: tuple[Endpoint, ...] = Field(min_length=1, description="Its servers, http(s)://host:port[/path].")
    balance: Annotated[Literal["round_robin", "least"], one_of("round_robin", "least")] = Field(
        "least", description="Which server is next: in turn, or the one with the fewest running exchanges."
    )
    tls: ClientTls = Field(EMPTY, validate_default=True, description="How https endpoints are checked.")
    pool: int = Field(256, ge=1, le=65535, description="Most idle connections kept to each server.")
