"""What the operator may say: every key of the configuration, its default and one sentence about it.

Frozen values, checked one by one. What holds between keys is in `crosscheck.py`; where a value stood, in `load.py`.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, cast, get_args

from pydantic import Field, ValidationInfo, WithJsonSchema, field_validator, model_validator

from gateway.settings import values
from gateway.settings.access import AccessRule
from gateway.settings.decide import Decide
from gateway.settings.fields import (
    EMPTY,
    AccessLog,
    CredentialHeader,
    Duration,
    Encoded,
    Endpoint,
    FilePath,
    GuardedUrl,
    HostHeader,
    HostName,
    IssuerName,
    ListenAddress,
    MailAddress,
    MailUrl,
    Model,
    Network,
    OddHeader,
    PathPrefix,
    PathTemplate,
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
from gateway.settings.secrets import Secret
from gateway.settings.state import State
from gateway.settings.store import Store
from gateway.settings.template import literal_prefix, refused_spellings

PUBLIC_URL = "http://localhost:8080"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")  # of a route that names none; HEAD goes with GET
# What llhttp parses besides CONNECT and TRACE, which are never forwarded.
KNOWN_METHODS = tuple(
    """GET POST PUT PATCH DELETE HEAD OPTIONS COPY LOCK MKCOL MOVE PROPFIND PROPPATCH SEARCH UNLOCK BIND REBIND UNBIND
    ACL REPORT MKACTIVITY CHECKOUT MERGE M-SEARCH NOTIFY SUBSCRIBE UNSUBSCRIBE PURGE MKCALENDAR LINK UNLINK
    QUERY""".split()  # noqa: SIM905 - a list of quoted words would be thirty lines
)


Method = Annotated[str, one_of(*KNOWN_METHODS), WithJsonSchema({"enum": list(KNOWN_METHODS)})]


class ServerTls(Model):
    cert: FilePath = Field(description="Certificate chain, PEM.")
    key: FilePath = Field(description="Private key of the certificate, PEM.")


class Limits(Model):
    head: Annotated[Size, sizes("1KiB", "256KiB")] = written(values.size, "32KiB", "Largest request head; more is 431.")
    field: Annotated[Size, sizes("256B", "32KiB")] = written(values.size, "8KiB", "Largest header line; more is 431.")
    fields: int = Field(100, ge=1, le=1000, description="Most header lines in a request; more is 431.")
    target: Annotated[Size, sizes("64B", "32KiB")] = written(
        values.size, "8KiB", "Longest request target; more is 414."
    )


class Timeouts(Model):
    head: Annotated[Duration, durations("100ms", "10m")] = written(
        values.duration, "10s", "Longest wait for a whole request head."
    )
    body_idle: Annotated[Duration, durations("100ms", "1h")] = written(
        values.duration, "30s", "Longest silence inside a request body."
    )
    keep_alive: Annotated[Duration, durations("100ms", "1h")] = written(
        values.duration, "75s", "Longest wait for the next request on a connection."
    )
    drain: Annotated[Duration, durations("0s", "1h")] = written(
        values.duration, "30s", "How long running exchanges may take after the signal to stop."
    )


class Listen(Model):
    address: ListenAddress = written(values.address, "127.0.0.1:8080", "Host and port where clients connect.")
    tls: ServerTls | None = Field(None, description="Serve TLS with this certificate; plain TCP without it.")
    workers: int = Field(1, ge=1, le=64, description="Processes that serve; more than one need a shared `state`.")
    trusted_proxies: tuple[Network, ...] = Field(
        (), description="Networks of proxies whose forwarding headers are believed; nobody's by default."
    )
    allow_headers: tuple[OddHeader, ...] = Field(
        (), description="Header names outside letters, digits and - that are let through; all others are 400."
    )
    limits: Limits = Field(EMPTY, validate_default=True, description="Sizes beyond which a request is refused.")
    timeouts: Timeouts = Field(EMPTY, validate_default=True, description="How long clients may take.")


class Admin(Model):
    address: ListenAddress = written(values.address, "127.0.0.1:9901", "Host and port of metrics, health and reload.")
    token: SecretReference = default_secret("var/admin.token", "The bearer token of the admin listener.")
    hosts: tuple[HostName, ...] = Field(
        (), description="Host names, besides addresses and localhost, under which the admin listener answers."
    )


class Secrets(Model):
    master_key: SecretReference = default_secret("var/master.key", "Encrypts keys and second factors at rest.")


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


class Mycelium(Model):
    mount: PathPrefix = Field("/_adm", description="The path below which its endpoints are served.")
    enabled: bool = Field(True, description="Serve its logins; the profile is served either way.")
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


class RouteLimits(Model):
    body: Annotated[Size, sizes("0B", "1024GiB")] | None = Field(
        None, description="Largest request body; more is 413; unlimited by default."
    )


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
    limits: RouteLimits = Field(EMPTY, validate_default=True, description="Sizes beyond which a request is refused.")

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


class Profile(Model):
    budget: Annotated[Size, sizes("1KiB", "32KiB")] = written(
        values.size, "7KiB", "Longest profile header; servers that take 8 KiB a line have room for the rest."
    )


class Log(Model):
    level: Annotated[Literal["debug", "info", "warning", "error"], one_of("debug", "info", "warning", "error")] = Field(
        "info", description="The least that is logged."
    )
    access: AccessLog = Field("stdout", description="Where the access log goes: stdout, off, or a file's path.")


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
