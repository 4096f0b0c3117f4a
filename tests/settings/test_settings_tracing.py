"""What the operator says about traces: both sides of every bound, faults at their places, and no secret in a text."""

import pytest

from gateway.settings.secrets import Secret
from gateway.settings.values import OtlpUrl, otlp_url, sent_header

from .conftest import Faults, Load

TOKEN = {"OTLP": "Bearer s3cret"}


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://c.example", OtlpUrl("https://c.example/v1/traces")),
        ("https://c.example:4318", OtlpUrl("https://c.example:4318/v1/traces")),
        ("https://c.example:4318/", OtlpUrl("https://c.example:4318/v1/traces")),
        ("https://c.example/otlp/", OtlpUrl("https://c.example/otlp/v1/traces")),
        ("http://127.0.0.1:4318", OtlpUrl("http://127.0.0.1:4318/v1/traces")),
        ("http://localhost:4318", OtlpUrl("http://localhost:4318/v1/traces")),
        ("http://[::1]:4318", OtlpUrl("http://[::1]:4318/v1/traces")),
        ("http://c.example:4318?tls=off", OtlpUrl("http://c.example:4318/v1/traces", plain=True)),
    ],
)
def test_where_spans_go(text: str, url: OtlpUrl) -> None:
    """The path of traces is put behind it."""
    assert otlp_url(text) == url


@pytest.mark.parametrize(
    "text",
    [
        "", "c.example:4318", "grpc://c.example:4317", "http://c.example:4318", "http://10.0.0.1:4318",
        "https://c.example?tls=off", "http://127.0.0.1?tls=off", "http://c.example?tls=on", "https://c.example?x",
        "https://user:s3cret@c.example", "https://c.example/v1/traces", "https://c.example/v1/traces/",
        "https://c.example:0", "https://c.example#x", "https://",
    ],
)  # fmt: skip
def test_where_spans_do_not_go(text: str) -> None:
    """Unencrypted to another machine only where that is said; nothing secret is repeated."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - each says something else
        otlp_url(text)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("name", ["Authorization", "x-api-key", "cookie", "X_Odd.Name"])
def test_a_header_that_can_be_sent(name: str) -> None:
    """In lower case."""
    assert sent_header(name) == name.lower()


@pytest.mark.parametrize(
    "name", ["", "a b", "a:b", "é", "Host", "Content-Type", "content-encoding", "Connection", "Transfer-Encoding"]
)
def test_a_header_that_cannot(name: str) -> None:
    """It is none, or HTTP writes it."""
    with pytest.raises(ValueError, match=r"header name|written by HTTP"):
        sent_header(name)


def test_what_holds_where_nothing_is_said(loaded: Load) -> None:
    """Anybody's trace goes on, all are marked, and nothing is sent anywhere."""
    said = loaded("{}").settings.tracing
    assert (said.accept, said.sample, said.otlp, dict(said.headers), said.ca, said.timeout, said.service) == (
        "any", 1.0, None, {}, None, 10.0, "gateway",
    )  # fmt: skip


@pytest.mark.parametrize("sample", ["0", "1", "0.0", "0.05", "1.0"])
def test_a_share(loaded: Load, sample: str) -> None:
    """A whole number is one too."""
    assert loaded(f"tracing: {{ sample: {sample} }}").settings.tracing.sample == float(sample)


def test_headers_are_secrets_by_reference(loaded: Load) -> None:
    """The value is in no text of the settings."""
    said = loaded("tracing: { otlp: https://c.example, headers: { Authorization: { env: OTLP } } }", TOKEN)
    secret = said.settings.tracing.headers["authorization"]
    assert isinstance(secret, Secret)
    assert secret.get_secret_value() == "Bearer s3cret"
    assert "s3cret" not in repr(said.settings)


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("tracing:\n  sample: 1.01", 2, 11, "less than or equal to 1"),
        ("tracing:\n  sample: -0.1", 2, 11, "greater than or equal to 0"),
        ("tracing:\n  sample: half", 2, 11, "number"),
        ("tracing:\n  sample: .nan", 2, 11, ""),
        ("tracing:\n  accept: all", 2, 11, "'all' is not one of any, trusted"),
        ("tracing:\n  acept: any", 2, 3, "did you mean 'accept'?"),
        ("tracing:\n  timeout: 99ms", 2, 12, "must be from 100ms to 1m"),
        ("tracing:\n  timeout: 61s", 2, 12, "must be from 100ms to 1m"),
        ("tracing:\n  otlp: http://c.example:4318", 2, 9, "?tls=off"),
        ("tracing:\n  headers: { a: { env: OTLP } }", 2, 12, "write otlp: https://HOST:4318 beside them"),
        ("tracing:\n  otlp: http://c?tls=off\n  headers: { a: { env: OTLP } }", 3, 12, "never sent in clear"),
        ("tracing:\n  otlp: https://c\n  headers: { authorization: s3cret }", 3, 14, "a secret is never in this file"),
        ("tracing:\n  otlp: https://c\n  headers: { host: { env: OTLP } }", 3, 14, "written by HTTP itself"),
        ("tracing:\n  otlp: https://c\n  headers: { a: { env: NONE } }", 3, 17, "'NONE' is not set"),
        ("tracing:\n  otlp: https://c\n  headers: { a: { env: TWO } }", 3, 12, "cannot stand in a header"),
        ("tracing:\n  ca: x.pem", 2, 7, "ca is for a collector with TLS"),
        ("tracing:\n  otlp: http://127.0.0.1\n  ca: x.pem", 3, 7, "ca is for a collector with TLS"),
    ],
)
def test_faults_stand_at_their_places(faults: Faults, text: str, line: int, column: int, message: str) -> None:
    """And say what to change."""
    (fault,) = faults(text, {**TOKEN, "TWO": "s3cret\nX-Other: 1"})
    assert (fault.line, fault.column) == (line, column)
    assert message in fault.message
    assert "s3cret" not in fault.message


@pytest.mark.parametrize("name", ["trace_state", "traceparent", "TRACESTATE"])
def test_a_credential_is_not_in_a_header_of_traces(faults: Faults, name: str) -> None:
    """They have another meaning."""
    (fault,) = faults(f"connection_strings: {{ header: {name} }}")
    assert fault.code == "wrong_value"
