"""The identity core as a dialect gets it: its services, and the ports that further ones stand on."""

from dataclasses import dataclass

from gateway.clock import Clock
from gateway.identity.challenge import ChallengeStore
from gateway.identity.codes import Pepper
from gateway.identity.factors import Factors
from gateway.identity.grants import Grants
from gateway.identity.logins import Logins
from gateway.identity.notices import Notices
from gateway.identity.passwords import Passwords
from gateway.identity.people import People
from gateway.identity.sessions import Sessions
from gateway.identity.steps import Steps
from gateway.identity.throttle import Throttle


@dataclass(frozen=True, slots=True)
class Services:
    """public_url: without a slash at the end. bootstrap: an API here makes the first account, its operator's."""

    public_url: str
    logins: Logins
    steps: Steps
    factors: Factors
    sessions: Sessions
    grants: Grants
    passwords: Passwords
    throttle: Throttle
    people: People
    challenges: ChallengeStore
    notices: Notices
    pepper: Pepper
    clock: Clock
    bootstrap: bool = False
