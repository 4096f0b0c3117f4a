"""What the operator may say: every key of the configuration, its default and one sentence about it.

Frozen values, checked one by one. What holds between keys is in `crosscheck.py`; where a value stood, in `load.py`.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, cast, get_args

from pydantic import Field, ValidationInfo, field_validator, model_validator

from gateway.settings import values
from gateway.settings.audit import Audit
from gateway.settings.decide import Decide
from gateway.settings.fields import (
    EMPTY,
    AccessLog,
    CredentialHeader,
    Duration,
    FilePath,
    GuardedUrl,
    HostName,
    IssuerName,
    ListenAddress,
    MailAddress,
    MailUrl,
    Model,
    SecretReference,
    Size,
    Text,
    UpstreamName,
    Url,
    default_secret,
    durations,
    one_of,
    placed,
    sizes,
    written,
)
from gateway.settings.listen import Listen
from gateway.settings.login import Login
from gateway.settings.route import Route
from gateway.settings.secrets import Secret
from gateway.settings.state import State
from gateway.settings.store import Store
from gateway.settings.tracing import Tracing
from gateway.settings.upstream import Upstream

PUBLIC_URL = "http://localhost:8080"


class Admin(Model):
    address: ListenAddress = written(values.address, "127.0.0.1:9901", "Host and port of metrics, health and reload.")
    token: SecretReference = default_secret("var/admin.token", "The bearer token of the admin listener.")
    hosts: tuple[HostName, ...] = Field(
        (), description="Host names, besides addresses and localhost, under which the admin listener answers."
    )


class Secrets(Model):
    master_key: SecretReference = default_secret("var/master.key", "Encrypts keys and second factors at rest.")
    previous_master_key: SecretReference | None = Field(
        None, description="The master key before, from when a new one is put in its place until it is changed."
    )


class Tokens(Model):
    algorithm: Annotated[Literal["EdDSA", "RS256", "ES256", "HS512"], one_of("EdDSA", "RS256", "ES256", "HS512")] = (
        Field("EdDSA", description="How tokens of the gateway are signed.")
    )
    lifetime: Annotated[Duration, durations("1m", "365d")] = written(
        values.duration, "24h", "How long a session's token lives."
    )
    restricted_lifetime: Annotated[Duration, durations("30s", "1h")] = written(
        values.duration, "5m", "How long a login may wait for its second factor."
    )
    issuer: Text = Field(PUBLIC_URL, description="The issuer in tokens; public_url unless given.")
    audience: Text = Field(PUBLIC_URL, description="The audience in tokens; public_url unless given.")


class ConnectionStrings(Model):
    header: CredentialHeader = written(
        values.credential_header, "x-mycelium-connection-string", "The request header that carries connection strings."
    )
    format: Annotated[Literal["seed", "mycelium"], one_of("seed", "mycelium")] = Field(
        "seed", description="The form of new ones: fields in plain text, or Mycelium 9's base64; both are accepted."
    )
    max_lifetime: Annotated[Duration, durations("1m", "36500d")] = written(
        values.duration, "3650d", "Longest life of a new connection string."
    )


class Cache(Model):
    credentials: Annotated[Duration, durations("0s", "5m")] = written(
        values.duration, "30s", "How long a verified credential is believed without the store."
    )
    negative: Annotated[Duration, durations("0s", "1m")] = written(
        values.duration, "2s", "How long a refused credential stays refused without another look."
    )
    size: int = Field(100_000, ge=100, le=10_000_000, description="Most credentials remembered.")


Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
_ALGORITHMS = get_args(Algorithm)


class Issuer(Model):
    name: IssuerName = Field(description="How routes and logs call this issuer.")
    issuer: GuardedUrl = Field(description="The exact iss of its tokens; https, or http to loopback.")
    jwks_url: GuardedUrl = Field(description="Where its keys are; https, or http to loopback.")
    audiences: tuple[Text, ...] = Field(min_length=1, description="A token must be for one of these audiences.")
    algorithms: tuple[Annotated[Algorithm, one_of(*_ALGORITHMS)], ...] = Field(
        min_length=1, description="Signatures that are accepted, all asymmetric; a token's own header never chooses."
    )
    provision: bool = Field(False, description="Create an account for a subject seen for the first time.")
    email: Annotated[Literal["verified", "never"], one_of("verified", "never")] = Field(
        "never", description="Believe the email claim when email_verified is true, or never."
    )
    stale: Annotated[Duration, durations("0s", "30d")] = written(
        values.duration, "24h", "How long known keys are used while new ones cannot be fetched."
    )
    leeway: Annotated[Duration, durations("0s", "5m")] = written(
        values.duration, "30s", "How far its clock may be off."
    )
    verify_sub: bool = Field(True, description="Refuse a sub that is not text; false for issuers that write numbers.")


class Mail(Model):
    url: MailUrl = placed("file:var/outbox", "Where mails go: smtp://, smtps://, file:FOLDER, or console: for stderr.")
    password: SecretReference | None = Field(
        None, validate_default=True, description="The password of the url's user, kept out of the url."
    )
    from_: MailAddress = Field("gateway@localhost", alias="from", description="The address that mails come from.")
    templates: FilePath | None = Field(
        None, description="A folder with templates that take the place of the gateway's own."
    )

    @field_validator("password")
    @classmethod
    def _one_password(cls, password: Secret | None, info: ValidationInfo) -> Secret | None:
        url = info.data.get("url")
        if url is None:
            return password
        if password is None and url.user and not url.password:
            raise ValueError("the url names a user; write password: { env: NAME } or { file: path }")
        if password is not None and (not url.user or url.password):
            raise ValueError("the password goes with a url that has a user and no password, as smtp://user@host")
        return password


class Profile(Model):
    budget: Annotated[Size, sizes("1KiB", "32KiB")] = written(
        values.size, "7KiB", "Longest profile header; servers that take 8 KiB a line have room for the rest."
    )


class Log(Model):
    level: Annotated[Literal["debug", "info", "warning", "error"], one_of("debug", "info", "warning", "error")] = Field(
        "info", description="The least that is logged."
    )
    access: AccessLog = Field("stdout", description="Where the access log goes: stdout, off, or a file's path.")
    format: Annotated[Literal["auto", "json", "console"], one_of("auto", "json", "console")] = Field(
        "auto", description="The form of both logs: auto is columns for people on a terminal, else JSON."
    )


class Reload(Model):
    watch: bool = Field(True, description="Read the configuration again when one of its files changes.")


class Settings(Model):
    include: tuple[Text, ...] = Field((), description="More files, as globs relative to this one.")
    public_url: Url = written(values.url, PUBLIC_URL, "How clients reach the gateway; issuer and audience of tokens.")
    listen: Listen = Field(EMPTY, validate_default=True, description="The listener of clients.")
    admin: Admin = Field(EMPTY, validate_default=True, description="The listener of operators.")
    store: Store = Field(EMPTY, validate_default=True, description="Accounts, grants, keys.")
    state: State = Field(EMPTY, validate_default=True, description="What several nodes share.")
    secrets: Secrets = Field(EMPTY, validate_default=True, description="Secrets of the gateway itself, by reference.")
    tokens: Tokens = Field(EMPTY, validate_default=True, description="Tokens that the gateway issues.")
    connection_strings: ConnectionStrings = Field(
        EMPTY, validate_default=True, description="Credentials of services that fix a tenant and a role."
    )
    cache: Cache = Field(EMPTY, validate_default=True, description="Verified credentials in memory.")
    issuers: tuple[Issuer, ...] = Field((), description="External issuers whose tokens are accepted.")
    login: Login = Field(EMPTY, validate_default=True, description="The built-in login endpoints.")
    decide: Decide | None = Field(None, description="Decisions for other data planes; off unless given.")
    mail: Mail = Field(EMPTY, validate_default=True, description="Mails of logins, and how they are sent.")
    upstreams: Mapping[UpstreamName, Upstream] = Field(EMPTY, description="The services behind the gateway, by name.")
    routes: tuple[Route, ...] = Field((), description="Which request goes where, and who may send it.")
    profile: Profile = Field(EMPTY, validate_default=True, description="The profile header.")
    log: Log = Field(EMPTY, validate_default=True, description="Logs.")
    audit: Audit = Field(EMPTY, validate_default=True, description="The audit trail, in the store.")
    reload: Reload = Field(EMPTY, validate_default=True, description="How a new configuration is taken.")
    tracing: Tracing = Field(EMPTY, validate_default=True, description="Traces: which go on, and where spans are sent.")

    @model_validator(mode="before")
    @classmethod
    def _tokens_are_ours(cls, data: Any) -> Any:
        """issuer and audience of our tokens are the public URL unless they are given."""
        if not isinstance(data, dict) or not isinstance(data.get("tokens", {}), dict):
            return data
        ours = data.get("public_url", PUBLIC_URL)
        if not isinstance(ours, str):
            return data
        return data | {"tokens": {"issuer": ours, "audience": ours} | cast(dict[str, Any], data.get("tokens", {}))}
