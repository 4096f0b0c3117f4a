"""What the operator may say about traces: whose go on, how many are recorded, and where the records are sent."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from gateway.settings import values
from gateway.settings.fields import (
    Duration,
    FilePath,
    Model,
    OtlpUrl,
    SecretReference,
    SentHeader,
    Text,
    durations,
    one_of,
    written,
)
from gateway.settings.secrets import Secret


class Tracing(Model):
    accept: Annotated[Literal["any", "trusted"], one_of("any", "trusted")] = Field(
        "any", description="Whose traceparent continues a trace: any client's, or only a trusted proxy's."
    )
    sample: float = Field(
        1.0, ge=0, le=1, description="Share of traces that are recorded, where no trusted proxy has decided, 0 to 1."
    )
    otlp: OtlpUrl | None = Field(
        None,
        description="The collector that spans are sent to, OTLP over HTTP; nowhere unless given."
        " Without TLS to another machine only with ?tls=off.",
    )
    headers: Mapping[SentHeader, SecretReference] = Field(
        {}, description="Headers that the collector wants, such as authorization, each a secret by reference."
    )
    ca: FilePath | None = Field(
        None, validate_default=True, description="Certificates that sign the collector's, PEM; the system's by default."
    )
    timeout: Annotated[Duration, durations("100ms", "1m")] = written(
        values.duration, "10s", "Longest wait for the collector to take what it is sent, repeats included."
    )
    service: Text = Field("gateway", description="How traces call the gateway (service.name).")

    @field_validator("headers")
    @classmethod
    def _for_a_collector(cls, headers: Mapping[str, Secret], info: ValidationInfo) -> Mapping[str, Secret]:
        if "otlp" not in info.data or not headers:
            return headers
        otlp = info.data["otlp"]
        if otlp is None:
            raise ValueError("headers are for a collector: write otlp: https://HOST:4318 beside them")
        if otlp.plain:
            raise ValueError("secrets are never sent in clear: write otlp: https://")
        for name, value in headers.items():
            if value.is_set and not values.is_field_value(value.get_secret_value()):
                raise ValueError(f"the secret for {name} cannot stand in a header: it is not visible ASCII in one line")
        return headers

    @field_validator("ca")
    @classmethod
    def _for_tls(cls, ca: object, info: ValidationInfo) -> object:
        otlp = info.data.get("otlp")
        if ca is not None and "otlp" in info.data and (otlp is None or not otlp.url.startswith("https://")):
            raise ValueError("ca is for a collector with TLS: write otlp: https://")
        return ca
