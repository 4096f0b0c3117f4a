"""What the operator may say about the decision endpoint."""

from pydantic import Field, field_validator

from gateway.settings import values
from gateway.settings.fields import Model, Network, PathPrefix


class Decide(Model):
    mount: PathPrefix = Field("/_gateway/decide", description="The path below which other data planes ask.")
    peers: tuple[Network, ...] = Field(
        min_length=1,
        description="Networks of the data planes that may ask, and pass no clients on; others find nothing here.",
    )

    @field_validator("peers")
    @classmethod
    def _not_everybody(cls, peers: tuple[values.Network, ...]) -> tuple[values.Network, ...]:
        if any(network.prefixlen == 0 for network in peers):
            raise ValueError(
                "a network of all addresses lets everybody ask: whoever may ask is told what a credential is worth, and"
                " is believed about the address that it came from; name the networks of the data planes"
            )
        return peers
