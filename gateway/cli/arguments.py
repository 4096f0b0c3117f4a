"""Arguments that are more than text: lifetimes, moments, ids."""

import re
from datetime import datetime

import click

from gateway.settings.values import duration

# RFC 3339 section 5.6; the offset is not optional
_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)


class Identifier(click.ParamType[str]):
    """A UUID in any of its spellings, as the store writes it."""

    name = "id"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return str(click.UUID.convert(str(value), param, ctx))


class Lifetime(click.ParamType[float]):
    """`1h`, `30d`: seconds."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            return duration(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Moment(click.ParamType[float]):
    """`2027-01-01T00:00:00Z` or with an offset: seconds since the epoch. `30d`: from now, so negative seconds."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        text = str(value)
        try:
            if _RFC3339.fullmatch(text):
                return datetime.fromisoformat(text.upper()).timestamp()
            return -duration(text)
        except (ValueError, OverflowError):
            self.fail("write a time such as 2027-01-01T00:00:00Z, or a lifetime such as 30d", param, ctx)


def expiry(at: float, now: float) -> float:
    """What `Moment` gave, in seconds since the epoch."""
    return at if at >= 0 else now - at


IDENTIFIER, LIFETIME, MOMENT = Identifier(), Lifetime(), Moment()
account_option = click.option("--account", "account_id", type=IDENTIFIER, required=True, help="Id of the account.")
tenant_option = click.option("--tenant", "tenant_id", type=IDENTIFIER, required=True, help="Id of the tenant.")
