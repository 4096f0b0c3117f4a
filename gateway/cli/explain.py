"""`gateway explain`: what would happen to a request, and why. The gateway need not run."""

import asyncio
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from gateway.app.asked import Asked, asked_again, asked_for
from gateway.app.checks import read
from gateway.app.explain import explain as explained
from gateway.app.explain import offline
from gateway.app.explanation import as_fields
from gateway.cli.check import config_path
from gateway.cli.demo import decode_profile
from gateway.cli.options import Down, Failure
from gateway.cli.reload import get
from gateway.cli.shared import keys_of, shown
from gateway.clock import Clock
from gateway.errors import RequestRejected
from gateway.ops.logged import Logged, find
from gateway.ops.logs import application_log
from gateway.settings.load import Loaded
from gateway.settings.secrets import SecretAbsent
from gateway.wire.problems import PROBLEMS

_PROFILE = "x-mycelium-profile"
Fields = Mapping[str, Any]  # an explanation, as JSON has it


@click.command()
@click.argument("method", required=False)
@click.argument("url", required=False)
@click.option("--bearer", metavar="TOKEN", help="Sent as Authorization: Bearer.")
@click.option("--connection-string", "string", metavar="S", help="Sent in the header for connection strings.")
@click.option("-H", "headers", multiple=True, metavar="'NAME: VALUE'", help="Another header; may be repeated.")
@click.option("--id", "request_id", metavar="ID", help="A request that was logged, in the place of METHOD and URL.")
@click.option(
    "--log", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="The access log with that ID."
)
@click.option("-c", "config", type=click.Path(path_type=Path), help="The configuration file.")
@click.option("--json", "as_json", is_flag=True, help="Print {decision, code, route, access, credential, ...}.")
@click.pass_context
def explain(
    context: click.Context,
    method: str | None,
    url: str | None,
    bearer: str | None,
    string: str | None,
    headers: Sequence[str],
    request_id: str | None,
    log: Path | None,
    config: Path | None,
    as_json: bool,
) -> None:
    """What would happen to a request, and why.

    URL is a path or the whole address; its host becomes the Host header. With --id it is a request of the access log:
    of --log, else of the file that the configuration names, else as the running gateway remembers it. Nothing is
    forwarded and nothing is stored. Exit code: 0 it would be forwarded, or is a preflight that is allowed, 1 refused,
    2 misuse, 3 a dependency is down.
    """
    loaded = read(config_path([config], os.environ), os.environ)
    given = [_field(text) for text in headers]
    if bearer is not None:
        given.append(("Authorization", f"Bearer {bearer}"))
    if string is not None:
        given.append((loaded.settings.connection_strings.header, string))
    if request_id is None:
        if method is None or url is None or log is not None:
            raise click.UsageError("give METHOD and URL, or --id, with --log if need be")
        try:
            asked = asked_for(method, url, given, loaded.settings.public_url)
        except ValueError as error:
            raise click.UsageError(str(error)) from error
        found = asyncio.run(_ask(loaded, asked, None))
    elif method is not None or given:
        raise click.UsageError("a logged request has a method, a URL and a caller of its own")
    else:
        found = _ask_again(loaded, request_id, log)
    click.echo(json.dumps(found, ensure_ascii=False) if as_json else "\n".join(_lines(found)))
    context.exit(exit_code(found["code"]))


async def _ask(loaded: Loaded, asked: Asked, logged: Logged | None) -> Fields:
    clock = Clock()
    log = application_log(sys.stderr, "error")
    key, previous = keys_of(loaded.settings.secrets)
    async with offline(loaded.settings, key, clock, log, previous) as core:
        return as_fields(await explained(core, asked, clock), loaded.route_places(), logged)


def _ask_again(loaded: Loaded, request_id: str, log: Path | None) -> Fields:
    settings = loaded.settings
    where = log or (settings.log.access if isinstance(settings.log.access, Path) else None)
    if where is None:
        return _running(loaded, request_id)
    try:
        logged = find(where, request_id)
    except OSError as error:
        raise Down(f"{where} cannot be read: {error.strerror}") from error
    if logged is None:
        raise Failure(f"{where} has no line with the id {shown(request_id)}")
    try:
        asked = asked_again(logged, settings.public_url)
    except RequestRejected as fault:
        raise Failure(shown(f"{logged.status} {logged.reason or ''} at {logged.time}: {fault.detail}")) from fault
    return asyncio.run(_ask(loaded, asked, logged))


def _running(loaded: Loaded, request_id: str) -> Fields:
    """The log goes to a stream: the gateway itself has the last of it."""
    admin = loaded.settings.admin
    try:
        status, body = get(admin.address, admin.token.get_secret_value(), "/explain", {"id": request_id})
    except (Down, SecretAbsent) as error:
        raise Down(f"the access log is no file (or name it by --log), and {error}") from error
    answer: Fields = json.loads(body)
    if status != 200:
        raise Failure(str(answer.get("detail", f"the admin listener answered {status}")))
    return answer


def exit_code(code: str | None) -> int:
    """code: the reason, None if it would be forwarded."""
    if code is None:
        return 0
    return 3 if PROBLEMS[code].status == 503 else 1


def _field(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise click.UsageError("-H takes 'Name: value'")
    return name, value.strip(" \t")


def _lines(found: Fields) -> Iterator[str]:
    """For people: the decision first, then what it rests on."""
    logged, route, sent = found["logged"], found["route"], found["sent"]
    if logged is not None:
        outcome = f"{logged['status']} {logged['reason'] or ''}".rstrip()
        yield shown(f"{'then':12}{outcome} at {logged['time']}, route {logged['route']}")
    yield _verdict(found)
    if route is not None:
        yield f"{'route':12}{shown(route['path'])}, {route['place'] or 'built in'}"
        yield f"{'access':12}{_rule(found['access'])}"
    credential = found["credential"]
    yield f"{'credential':12}{credential['kind']}, {credential['outcome'].replace('_', ' ')}"
    for step in found["steps"]:
        yield f"  {step['check']:12}{step['outcome']:9}{shown(step['detail'])}"
    if sent is None:
        return
    yield f"{'sent':12}{sent['method']} {shown(sent['target'])} to {shown(sent['upstream'])}"
    for header in found["headers"]:
        name, value = header["name"], header["value"]
        told = json.dumps(decode_profile(value), ensure_ascii=False) if name == _PROFILE else value
        yield f"  {shown(name)}: {shown(told)}"
    yield f"{'stripped':12}{shown(', '.join(found['stripped']) or 'nothing')}"


def _verdict(found: Fields) -> str:
    if found["code"] is None:
        if found["decision"] == "unknown" and found["steps"][-1]["check"] == "cors":
            return "it depends on what the preflight asked"
        return _YES[found["decision"]]
    problem = PROBLEMS[found["code"]]
    return f"refused: {problem.status} {found['code']}, {problem.title}"


_YES = {
    "forwarded": "forwarded",
    "answered": "answered: 204, by the gateway itself",
    "unknown": "it depends on the credential",
}


def _rule(access: Fields) -> str:
    roles = ", ".join(f"{rule['role']} ({rule['permission']})" for rule in access["roles"])
    parts = [
        f"{access['kind']} {roles}".strip(),
        "a second factor" if access["mfa"] else "",
        f"scopes {', '.join(access['scopes'])}" if access["scopes"] else "",
        f"issuers {', '.join(access['issuers'])}" if access["issuers"] else "",
    ]
    return shown("; ".join(part for part in parts if part))
