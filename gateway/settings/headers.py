"""What an operator has changed in headers, and which ones keep browsers safe. Names and values: `header_names`."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, WithJsonSchema

from gateway.settings.fields import (
    EMPTY,
    AnswerHeader,
    HeaderValue,
    Hsts,
    Model,
    RemovedHeader,
    RequestHeader,
    SecretOrValue,
    SetHeader,
    one_of,
    written,
)
from gateway.settings.header_names import hsts

MOST = 64  # rules of one kind; a request has 100 fields at most


class RequestRules(Model):
    set: Mapping[SetHeader, SecretOrValue] = Field(
        EMPTY, max_length=MOST, description="Put in, in the place of the client's; a value, or a secret by reference."
    )
    add: Mapping[RequestHeader, HeaderValue] = Field(
        EMPTY, max_length=MOST, description="Put in beside the client's, as one more line."
    )
    remove: tuple[RequestHeader, ...] = Field((), max_length=MOST, description="Taken out of the client's.")


class AnswerRules(Model):
    set: Mapping[AnswerHeader, HeaderValue] = Field(
        EMPTY, max_length=MOST, description="Put in, in the place of the upstream's."
    )
    add: Mapping[AnswerHeader, HeaderValue] = Field(
        EMPTY, max_length=MOST, description="Put in beside the upstream's, as one more line."
    )
    remove: tuple[RemovedHeader, ...] = Field((), max_length=MOST, description="Taken out of the upstream's.")


class Headers(Model):
    request: RequestRules = Field(EMPTY, validate_default=True, description="What goes to the upstream.")
    response: AnswerRules = Field(EMPTY, validate_default=True, description="What comes from the upstream.")


_POLICIES = (
    "no-referrer", "same-origin", "strict-origin", "strict-origin-when-cross-origin", "origin",
    "origin-when-cross-origin", "no-referrer-when-downgrade", "unsafe-url", "off",
)  # fmt: skip


class SecurityHeaders(Model):
    """Each is put in where the upstream's answer has none of its own."""

    content_type_options: Annotated[Literal["nosniff", "off"], one_of("nosniff", "off")] = Field(
        "nosniff", description="X-Content-Type-Options: no body is taken for another type than it says."
    )
    frame_options: Annotated[Literal["DENY", "SAMEORIGIN", "off"], one_of("DENY", "SAMEORIGIN", "off")] = Field(
        "DENY", description="X-Frame-Options: whether other pages may show it in a frame."
    )
    referrer_policy: Annotated[str, one_of(*_POLICIES), WithJsonSchema({"enum": list(_POLICIES)})] = Field(
        "strict-origin-when-cross-origin", description="Referrer-Policy: what a page's links tell of its address."
    )
    content_security_policy: HeaderValue | None = Field(
        None, min_length=1, description="Content-Security-Policy: what a page may load; the upstream's unless given."
    )


class ListenSecurityHeaders(Model):
    hsts: Hsts = written(
        hsts, "off", "Strict-Transport-Security on every answer: that long, browsers use TLS for the name's every port."
    )
    hsts_subdomains: bool = Field(False, description="With includeSubDomains, for all names below it, too.")
