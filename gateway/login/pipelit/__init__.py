"""Pipelit's login API (seed: `Pipelit`'s own documentation), a codec over the identity core."""

from gateway.identity.services import Services
from gateway.login.dialect import Dialect
from gateway.login.pipelit.dialect import Pipelit
from gateway.login.pipelit.said import Said


def build(services: Services, said: Said) -> Dialect:
    return Pipelit(services, said)
