"""`gateway audit`: who did what, and whether the record of it is whole."""

import json
import re
from typing import TYPE_CHECKING, Any, Final

import click

from gateway.cli.arguments import IDENTIFIER, MOMENT
from gateway.cli.options import Failure, shared, wants_json
from gateway.cli.progress import progress
from gateway.cli.shared import Fields, Session, emit, operate, shown
from gateway.identity.audit import KINDS
from gateway.login.rfc3339 import moment

if TYPE_CHECKING:
    from gateway.store.audit_read import Place, Verdict
    from gateway.store.chain import Link

_PLACE = re.compile("([0-9]{1,18}):([0-9a-f]{64})")

# of a table whose rows are not all known when the first is printed
COLUMNS: Final = (
    ("id", 6), ("at", 20), ("kind", 24), ("outcome", 26), ("actor", 44), ("account", 36), ("ip", 15), ("subject", 0),
)  # fmt: skip


class PlaceType(click.ParamType["Place"]):
    """`123:HASH`, as `gateway audit head` prints it."""

    name = "head"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> "Place":
        found = _PLACE.fullmatch(str(value).strip())
        if found is None:
            self.fail("write it as `gateway audit head` prints it: a number, a colon, 64 hex digits", param, ctx)
        return int(found[1]), found[2]


PLACE = PlaceType()


def row(link: "Link") -> dict[str, Any]:
    said = link.entry
    return {
        "id": link.id,
        "seq": link.seq,
        "at": time(said.at),
        "kind": said.kind,
        "outcome": said.outcome,
        "reason": said.reason,
        "actor": said.actor,
        "credential": said.credential,
        "account": said.account_id,
        "subject": said.subject,
        "dialect": said.dialect,
        "ip": said.ip,
        "userAgent": said.agent,
        "requestId": said.request_id,
        "detail": detail(said.detail),
    }


def time(at: float) -> str | None:
    """None for what somebody has put there that is no time."""
    try:
        return moment(at)
    except (ValueError, OverflowError):
        return None


def detail(text: str) -> object:
    """As it is, where somebody has made it something else than JSON."""
    try:
        return json.loads(text)
    except (ValueError, TypeError):
        return repr(text)


@click.group()
@shared
def audit() -> None:
    """List and verify the audit trail."""


@audit.command("list")
@shared
@click.option("--account", type=IDENTIFIER, help="Only rows of this account: it acts, or it is concerned.")
@click.option("--kind", type=click.Choice(sorted(KINDS)), metavar="KIND", help="Only this: see `gateway audit kinds`.")
@click.option("--since", type=MOMENT, help="2027-01-01T00:00:00Z, or how long ago: 2h.")
@click.option("--until", type=MOMENT, help="The same; not included.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="The newest ones.")
@click.option("--all", "everything", is_flag=True, help="Without a limit.")
@click.option("--before", type=int, metavar="ID", help="Older than the row with this id: the page before.")
def list_(
    account: str | None,
    kind: str | None,
    since: float | None,
    until: float | None,
    limit: int,
    everything: bool,
    before: int | None,
) -> None:
    """List rows, the newest last. `outcome` has the reason too; all fields are in `--json`."""
    from gateway.store.audit_read import Wanted

    as_json = wants_json(click.get_current_context())

    async def work(session: Session) -> None:
        now = session.clock.now()
        wanted = Wanted(account, kind, _ago(since, now), _ago(until, now), before, None if everything else limit)
        count = 0
        async for link in session.store.changes().trail.list(wanted):
            _print(row(link), first=count == 0, as_json=as_json)
            count += 1
        if as_json:
            click.echo("\n]" if count else "[]")
        elif not count:
            click.echo("none", err=True)

    operate(work)


@audit.command()
@shared
@click.option("--head", type=PLACE, help="A head that was written down elsewhere: the trail must go through it.")
@click.option("--since", type=PLACE, help="A head that was verified before: only what came after it is.")
def verify(head: "Place | None", since: "Place | None") -> None:
    """Walk the whole chain. Exit code 0: it is whole; 1: it is not, and where; 3: the store is down."""

    with progress("run it again") as told:
        verdict = operate(lambda session: session.store.changes().trail.verify(head, since, told))
    emit(_report(verdict))
    if verdict.broken is not None:
        raise Failure(f"row {verdict.broken.seq}: {verdict.broken.what}: {verdict.says}")


@audit.command()
@shared
def head() -> None:
    """Where the trail ends: write it down elsewhere, and `verify --head` finds out whether that end was cut off."""
    found = operate(lambda session: session.store.changes().trail.head())
    emit({"head": str(found), "at": moment(found.at)})


@audit.command()
@shared
def kinds() -> None:
    """List what is recorded."""
    emit([{"kind": kind, "says": says} for kind, says in KINDS.items()])


def _ago(at: float | None, now: float) -> float | None:
    """What `Moment` gave: a lifetime counts back from now."""
    return None if at is None else at if at >= 0 else now + at


def _print(said: dict[str, Any], *, first: bool, as_json: bool) -> None:
    if as_json:
        click.echo(("[\n" if first else ",\n") + json.dumps(said, ensure_ascii=False, default=repr), nl=False)
        return
    if first:
        click.echo("  ".join(name.ljust(width) for name, width in COLUMNS).rstrip())
    said = said | {"outcome": f"{said['outcome']} ({said['reason']})" if said["reason"] else said["outcome"]}
    click.echo("  ".join(shown(said[name] or None).ljust(width) for name, width in COLUMNS).rstrip())


def _report(verdict: "Verdict") -> Fields:
    start = verdict.start
    return {
        "whole": verdict.broken is None,
        "rows": verdict.rows,
        "from": None if start is None else start.seq + 1,
        "since": None if verdict.since is None else time(verdict.since),
        "waiting": verdict.waiting,
        "head": None if verdict.head is None else str(verdict.head),
        "brokenRow": None if verdict.broken is None else verdict.broken.seq,
        "fault": None if verdict.broken is None else verdict.broken.what,
    }
