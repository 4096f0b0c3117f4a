"""`gateway upgrade`: the running gateway becomes the program that is installed now, and nobody's request is lost."""

import json
from collections.abc import Mapping, Sequence

import click

from gateway.cli.options import Failure, shared
from gateway.cli.reload import post, reason
from gateway.cli.shared import emit, settings


@click.command()
@shared
def upgrade() -> None:
    """Replace the running gateway's processes by new ones, one after another.

    Takes `listen.workers` of 2 or more. If the new program does not start, the old one stays.
    """
    found = settings()
    status, body = post(found.admin.address, found.admin.token.get_secret_value(), "/upgrade")
    if status == 404:
        raise Failure("it runs as one process, which only a restart replaces; `listen.workers: 2` changes that")
    if status not in (200, 422):
        raise Failure(f"the admin listener answered {status} {reason(body)}")
    answer = json.loads(body)
    emit({"upgraded": answer["upgraded"], "faults": answer["faults"]})
    if status != 200:
        raise Failure("; ".join([_stayed(answer["faults"]), *(str(fault["message"]) for fault in answer["faults"])]))


def _stayed(faults: Sequence[Mapping[str, object]]) -> str:
    """What is as it was before."""
    replaced, workers = faults[0].get("replaced", 0), faults[0].get("workers")
    if replaced and replaced == workers:
        return "all workers are replaced, the supervisor stays"
    return f"{replaced} of {workers} workers are replaced, the others stay" if replaced else "the old workers stay"
