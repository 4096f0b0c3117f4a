"""What the operator may say about the decision endpoint."""

from pydantic import Field

from gateway.settings.fields import Model, Network, PathPrefix


class Decide(Model):
    mount: PathPrefix = Field("/_gateway/decide", description="The path below which other data planes ask.")
    peers: tuple[Network, ...] = Field(
        min_length=1,
        description="Networks of the data planes that may ask, and pass no clients on; others find nothing here.",
    )
