"""Where clients connect, and how long and how large they may be."""

from typing import Annotated

from pydantic import Field

from gateway.settings import values
from gateway.settings.fields import (
    EMPTY,
    Duration,
    FilePath,
    ListenAddress,
    Model,
    Network,
    OddHeader,
    Size,
    durations,
    sizes,
    written,
)
from gateway.settings.headers import ListenSecurityHeaders


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
    security_headers: ListenSecurityHeaders = Field(
        EMPTY, validate_default=True, description="What every answer tells browsers."
    )
