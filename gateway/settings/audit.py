"""The audit trail, as the operator says it."""

from typing import Annotated

from gateway.settings import values
from gateway.settings.fields import Duration, Model, durations, written


class Audit(Model):
    keep: Annotated[Duration, durations("1d", "36500d")] = written(
        values.duration, "400d", "How long rows of the audit trail are kept."
    )
