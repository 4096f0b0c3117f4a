"""MikroCloud's login API (seed: MikroCloud's own documentation), a codec over the identity core.

POST login     address and password          -> `token`, which is good for the second call alone, once
POST passport  `token`, and a code or null   -> `auth_token`, the session's bearer token
"""

from gateway.identity.services import Services
from gateway.login.dialect import Dialect
from gateway.login.mikrocloud.dialect import MikroCloud, Said
from gateway.login.mikrocloud.user import User


def build(services: Services, said: Said) -> Dialect:
    return MikroCloud(User(services.steps, services.factors, said.mount))
