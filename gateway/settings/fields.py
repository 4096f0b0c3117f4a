"""The field types of the model: text of the file -> value, with the form an editor is told in the JSON Schema.

Parsers are in `values.py`, `template.py` and `secrets.py`; here they meet pydantic. Files and secrets are found through
the validation context, a `Sources`; without one, paths stay relative and secrets unset.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, ValidationInfo
from pydantic import WithJsonSchema as Schema

from gateway.settings import header_names, state_url, upstream_values, values
from gateway.settings.faults import quoted, suggestion
from gateway.settings.secrets import Secret, SecretAbsent, Sources, from_env, from_file
from gateway.settings.store_url import store_url
from gateway.settings.template import prefix, template
from gateway.settings.values import Unfit

T = TypeVar("T")

_TEXT_WANTED = "must be text; a word in quotes is always text"

EMPTY: Any = {}  # default of a section, validated like one that is there, so that its defaults see the context


class Model(BaseModel):
    """Strict: `"8"` is not 8 and `1` is not true. Unknown keys are faults."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=False)


def _text(parse: Callable[[str], T]) -> PlainValidator:
    """Takes text only, whatever else the parser might take."""

    def check(value: object) -> object:
        if isinstance(value, str):
            return parse(value)
        raise Unfit("wrong_type", _TEXT_WANTED)

    return PlainValidator(check)


def written(parse: Callable[[str], T], default: str, description: str) -> Any:
    """A field whose default is given as an operator would write it."""
    return Field(parse(default), description=description, json_schema_extra={"default": default})


class Within:
    """A check that a value lies between two others, both as an operator would write them."""

    def __init__(self, parse: Callable[[str], float], low: str, high: str) -> None:
        self.low, self.high = low, high
        self._from, self._to = parse(low), parse(high)

    def __call__(self, value: float) -> float:
        if not self._from <= value <= self._to:
            raise ValueError(f"must be from {self.low} to {self.high}")
        return value


def sizes(low: str, high: str) -> AfterValidator:
    return AfterValidator(Within(values.size, low, high))


def durations(low: str, high: str) -> AfterValidator:
    return AfterValidator(Within(values.duration, low, high))


def _string(pattern: str | None = None, *examples: str) -> Schema:
    shape: dict[str, Any] = {"type": "string"}
    if pattern:
        shape["pattern"] = pattern
    if examples:
        shape["examples"] = list(examples)
    return Schema(shape)


Size = Annotated[int, _text(values.size), _string(values.SIZE_PATTERN, "32KiB")]
Duration = Annotated[float, _text(values.duration), _string(values.DURATION_PATTERN, "10s")]
ListenAddress = Annotated[values.Address, _text(values.address), _string(None, "127.0.0.1:8080", "[::1]:8080")]
Endpoint = Annotated[values.Endpoint, _text(values.endpoint), _string("^https?://", "http://127.0.0.1:9001")]
ProbePath = Annotated[str, _text(upstream_values.probe_path), _string("^/", "/health")]
Percent = Annotated[float, _text(upstream_values.percent), _string("^[0-9]{1,3}%$", "20%")]
FieldName = Annotated[str, _text(values.field_name), _string("^[A-Za-z0-9-]{1,64}$", "x-shard")]
Network = Annotated[values.Network, _text(values.network), _string(None, "10.0.0.0/8")]
HostHeader = Annotated[str, _text(values.host_header), _string(None, "api.example.org", "[::1]")]
HostName = Annotated[str, _text(values.host_name), _string(None, "api.example.org")]
Url = Annotated[str, _text(values.url), _string("^https?://", "https://gateway.example")]
GuardedUrl = Annotated[str, _text(values.guarded_url), _string("^https?://", "https://id.example/jwks")]
OtlpUrl = Annotated[values.OtlpUrl, _text(values.otlp_url), _string("^https?://", "https://collector.example:4318")]
SentHeader = Annotated[str, _text(values.sent_header), _string(None, "authorization")]
OddHeader = Annotated[str, _text(values.odd_header), _string(None, "user_id")]
CredentialHeader = Annotated[str, _text(values.credential_header), _string("^[A-Za-z0-9-]{1,64}$")]
LimitHeader = Annotated[str, _text(values.limit_header), _string("^[A-Za-z0-9-]{1,64}$", "x-api-client")]
Shared = Annotated[str, _text(values.shared_name), _string(values.NAME_PATTERN)]
Encoded = Annotated[str, _text(values.encoded_spelling), _string("^(%[0-9A-Fa-f]{2}|;)$", "%2F", ";")]
UpstreamName = Annotated[str, _text(values.upstream_name), _string(values.NAME_PATTERN)]
IssuerName = Annotated[str, _text(values.issuer_name), _string(values.NAME_PATTERN)]
RoleSlug = Annotated[str, _text(values.slug), _string(values.SLUG_PATTERN)]
Scope = Annotated[str, _text(values.scope), _string()]
PathTemplate = Annotated[str, _text(template), _string("^/", "/orders/{id}", "/orders/**")]
PathPrefix = Annotated[str, _text(prefix), _string("^/.*[^/]$", "/orders")]
StateUrl = Annotated[
    state_url.StateUrl,
    _text(state_url.state_url),
    _string(r"^(memory$|rediss?(\+sentinel|\+cluster)?://|unix:///)", "memory", "redis://127.0.0.1:6379"),
]
HeaderToken = Annotated[str, _text(header_names.token), _string(None, "content-type")]
SetHeader = Annotated[str, _text(header_names.set_in_request), _string(None, "x-api-key")]
RequestHeader = Annotated[str, _text(header_names.changed_in_request), _string(None, "accept-encoding")]
AnswerHeader = Annotated[str, _text(header_names.changed_in_answer), _string(None, "cache-control")]
RemovedHeader = Annotated[str, _text(header_names.removed_from_answer), _string(None, "server")]
HeaderValue = Annotated[str, _text(header_names.header_value), _string()]
Hsts = Annotated[float, _text(header_names.hsts), _string(f"{values.DURATION_PATTERN}|^off$", "off", "365d")]
Origin = Annotated[str, _text(header_names.origin), _string(None, "https://app.example.org", "https://*.example.org")]
PageOrigin = Annotated[str, _text(header_names.page_origin), _string(None, "https://app.example.org")]


def _statuses(value: object) -> tuple[int, int]:
    """One status may be written as a number."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise Unfit("wrong_type", _TEXT_WANTED)
    return upstream_values.status_range(value)


StatusRange = Annotated[
    tuple[int, int],
    PlainValidator(_statuses),
    Schema({"anyOf": [{"type": "integer"}, {"type": "string", "pattern": "^[0-9]{3}(-[0-9]{3})?$"}]}),
]
Text = Annotated[str, Field(min_length=1, max_length=1024)]


def _located(value: object, info: ValidationInfo) -> Path:
    if isinstance(value, str):
        if not value or "\0" in value:
            raise ValueError("must be a file's path")
        value = Path(value)
    if not isinstance(value, Path):
        raise Unfit("wrong_type", _TEXT_WANTED)
    return info.context.folder / value if isinstance(info.context, Sources) else value


def _file(value: object, info: ValidationInfo) -> Path:
    path = _located(value, info)
    if isinstance(info.context, Sources):
        info.context.named(path)
    return path


FilePath = Annotated[Path, PlainValidator(_file), _string()]


def _access_log(value: object, info: ValidationInfo) -> Path | str:
    if value in ("stdout", "off"):
        return str(value)
    if isinstance(value, str) and "/" not in value:  # a misspelt word must not become a file
        raise ValueError(f"must be stdout, off, or a path with a /{suggestion(value, ('stdout', 'off'))}")
    return _located(value, info)


AccessLog = Annotated[Path | Literal["stdout", "off"], PlainValidator(_access_log), _string(None, "stdout", "off")]


def _store(value: object, info: ValidationInfo) -> str:
    if not isinstance(value, str):
        raise Unfit("wrong_type", _TEXT_WANTED)
    if not isinstance(info.context, Sources):
        return store_url(value)
    folder = info.context.folder
    return store_url(value, lambda path: folder / path)


StoreUrl = Annotated[
    str,
    PlainValidator(_store),
    _string(
        "^(sqlite:///|postgresql\\+asyncpg://)",
        "sqlite:///var/gateway.db",
        "postgresql+asyncpg://gateway@db.example:5432/gateway",
    ),
]


def _mail(value: object, info: ValidationInfo) -> values.MailUrl:
    if not isinstance(value, str):
        raise Unfit("wrong_type", _TEXT_WANTED)
    url = values.mail_url(value)
    if url.scheme == "file" and isinstance(info.context, Sources):
        return replace(url, folder=info.context.folder / url.folder)
    return url


MailUrl = Annotated[
    values.MailUrl,
    PlainValidator(_mail),
    _string("^(smtps?://|file:|console:$)", "smtp://user@mail.example:587", "file:var/outbox"),
]
MailAddress = Annotated[str, _text(values.mail_address), _string("^[^@]+@[^@]+$", "gateway@example.org")]

_WRITE_REFERENCE = "a secret is never in this file; write { env: NAME } or { file: path }"


def _secret(value: object, info: ValidationInfo) -> Secret:
    sources = info.context if isinstance(info.context, Sources) else None
    if isinstance(value, Secret):
        return _unnamed(value, sources)
    if not isinstance(value, dict):
        raise Unfit("literal_secret", _WRITE_REFERENCE)
    kind, name = next(iter(value.items()), ("", ""))
    if len(value) != 1 or kind not in ("env", "file") or not isinstance(name, str) or not name:
        raise ValueError("write { env: NAME } or { file: path }, one of the two")
    if sources is None:
        return Secret(f"{kind} {name}")
    try:
        return from_env(name, sources) if kind == "env" else from_file(name, sources)
    except SecretAbsent as error:
        raise Unfit("secret_missing", str(error)) from error


def _unnamed(default: Secret, sources: Sources | None) -> Secret:
    """The default file, if it is there: a gateway that needs no such secret starts without it."""
    name = default.reference.removeprefix("file ")
    if sources is None:
        return default
    try:
        return from_file(name, sources)
    except SecretAbsent as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return Secret(f"file {sources.folder / name}")
        raise Unfit("secret_missing", str(error)) from error


def _secret_or_value(value: object, info: ValidationInfo) -> Secret | str:
    """Of a header: what a secret holds must be fit for one, too, and is not told when it is not."""
    if isinstance(value, str):
        return header_names.header_value(value)
    if not isinstance(value, dict):
        raise Unfit("wrong_type", f"{_TEXT_WANTED}; a secret is {{ env: NAME }} or {{ file: path }}")
    secret = _secret(value, info)
    if secret.is_set:
        header_names.header_value(secret.get_secret_value())
    return secret


_REFERENCE = {
    "oneOf": [
        {"type": "object", "properties": {kind: {"type": "string"}}, "required": [kind], "additionalProperties": False}
        for kind in ("env", "file")
    ]
}
SecretReference = Annotated[Secret, PlainValidator(_secret), Schema(_REFERENCE)]
SecretOrValue = Annotated[
    Secret | str, PlainValidator(_secret_or_value), Schema({"oneOf": [{"type": "string"}, *_REFERENCE["oneOf"]]})
]


def placed(default: str, description: str) -> Any:
    """A field whose default is given as an operator would write it, and is relative to the configuration's folder."""
    return Field(default, validate_default=True, description=description)


def default_secret(name: str, description: str) -> Any:
    """A secret that is looked for in a file when nobody names it."""
    unset = Secret(f"file {name}")
    return Field(unset, validate_default=True, description=description, json_schema_extra={"default": {"file": name}})


def one_of(*words: str) -> BeforeValidator:
    """Before a Literal: says what is near, which pydantic does not."""

    def check(value: object) -> object:
        if isinstance(value, str) and value not in words:
            listed = ", ".join(words) if len(words) <= 12 else "the known words"
            raise ValueError(f"{quoted(value)} is not one of {listed}{near(value, words)}")
        return value

    return BeforeValidator(check)


def near(word: str, words: tuple[str, ...]) -> str:
    hint = suggestion(word, words)
    return hint if hint.startswith("; did") else ""
