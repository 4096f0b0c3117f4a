"""The built-in login endpoints, as the operator says it."""

from typing import Annotated, Literal

from pydantic import Field

from gateway.settings import values
from gateway.settings.cors import LoginCors
from gateway.settings.fields import EMPTY, Duration, Model, PathPrefix, Text, durations, one_of, written


class Mycelium(Model):
    mount: PathPrefix = Field("/_adm", description="The path below which its endpoints are served.")
    enabled: bool = Field(True, description="Serve its logins; the profile is served either way.")
    admin: bool = Field(True, description="Serve the admin API, its document and its page; roles guard what it does.")
    provision: bool = Field(False, description="Create an account for an address that logs in for the first time.")
    link_lifetime: Annotated[Duration, durations("1m", "24h")] = written(
        values.duration, "15m", "How long a mailed link or code may be used, as its page and mail say."
    )
    totp_issuer: Text = Field("Mycelium", description="How authenticator apps name the gateway.")


class Mployr(Model):
    mount: PathPrefix = Field("/v1", description="The path below which its endpoints are served.")


class MikroCloud(Model):
    mount: PathPrefix = Field("/user", description="The path below which its endpoints are served.")


class Pipelit(Model):
    mount: PathPrefix = Field("/api/v1/auth", description="The path below which its endpoints are served.")
    keys_mount: PathPrefix = Field("/api/v1/users/me/keys", description="The path below which API keys are managed.")
    binding: Annotated[Literal["compat", "strict"], one_of("compat", "strict")] = Field(
        "compat",
        description="login-verify by name and code alone from the same client too, or only by token or cookie.",
    )
    reset: Annotated[Literal["loopback", "off"], one_of("loopback", "off")] = Field(
        "loopback", description="mfa/reset for direct callers on this machine, or for nobody."
    )
    single_session: bool = Field(False, description="A new login ends the account's earlier ones.")


class Navak(Model):
    mount: PathPrefix = Field("/auth", description="The path below which its endpoints are served.")
    registration: Annotated[Literal["open", "closed"], one_of("open", "closed")] = Field(
        "closed", description="Whether anybody may make an account."
    )


class Login(Model):
    mycelium: Mycelium = Field(EMPTY, validate_default=True, description="The Mycelium account endpoints.")
    mployr: Mployr | None = Field(None, description="The Mployr login endpoints; off unless given, as the next three.")
    mikrocloud: MikroCloud | None = Field(None, description="The MikroCloud login endpoints.")
    pipelit: Pipelit | None = Field(None, description="The Pipelit login endpoints.")
    navak: Navak | None = Field(None, description="The Navak login endpoints.")
    cors: LoginCors | None = Field(None, description="Pages of other origins that may use these; none unless given.")
