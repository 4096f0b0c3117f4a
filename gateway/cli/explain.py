"""`gateway explain`: what would happen to a request, and why. The gateway need not run."""

import asyncio
import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from gateway.app.checks import read
from gateway.app.explain import Asked, Explanation, offline
from gateway.app.explain import explain as explained
from gateway.cli.check import config_path
from gateway.cli.demo import decode_profile
from gateway.cli.shared import key_of, shown
from gateway.clock import Clock
from gateway.ops.logs import application_log
from gateway.routes.model import Access
from gateway.settings.load import Loaded
from gateway.wire.problems import PROBLEMS

_WHOLE = re.compile(r"(?i)https?://([^/?#]*)(.*)", re.DOTALL).fullmatch
_PROFILE = "x-mycelium-profile"


@click.command()
@click.argument("method")
@click.argument("url")
@click.option("--bearer", metavar="TOKEN", help="Sent as Authorization: Bearer.")
@click.option("--connection-string", "string", metavar="S", help="Sent in the header for connection strings.")
@click.option("-H", "headers", multiple=True, metavar="'NAME: VALUE'", help="Another header; may be repeated.")
@click.option("-c", "config", type=click.Path(path_type=Path), help="The configuration file.")
@click.option("--json", "as_json", is_flag=True, help="Print {decision, code, route, access, credential, ...}.")
@click.pass_context
def explain(
    context: click.Context,
    method: str,
    url: str,
    bearer: str | None,
    string: str | None,
    headers: Sequence[str],
    config: Path | None,
    as_json: bool,
) -> None:
    """What would happen to a request, and why.

    URL is a path or the whole address; its host becomes the Host header. Nothing is forwarded and nothing is stored.
    Exit code: 0 it would be forwarded, or is a preflight that is allowed, 1 refused, 2 misuse, 3 a dependency is down.
    """
    loaded = read(config_path([config], os.environ), os.environ)
    given = [_field(text) for text in headers]
    if bearer is not None:
        given.append(("Authorization", f"Bearer {bearer}"))
    if string is not None:
        given.append((loaded.settings.connection_strings.header, string))
    asked = _asked(method, url, given, loaded)
    found = asyncio.run(_ask(loaded, asked))
    click.echo(
        json.dumps(as_fields(found, loaded), ensure_ascii=False) if as_json else "\n".join(_lines(found, loaded))
    )
    context.exit(exit_code(found))


async def _ask(loaded: Loaded, asked: Asked) -> Explanation:
    clock = Clock()
    log = application_log(sys.stderr, "error")
    async with offline(loaded.settings, key_of(loaded.settings.secrets.master_key), clock, log) as core:
        return await explained(core, asked, clock)


def exit_code(found: Explanation) -> int:
    if found.fault is None:
        return 0
    return 3 if PROBLEMS[found.fault.code].status == 503 else 1


def _field(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise click.UsageError("-H takes 'Name: value'")
    return name, value.strip(" \t")


def _asked(method: str, url: str, given: Sequence[tuple[str, str]], loaded: Loaded) -> Asked:
    """Raises click.UsageError for what could not be sent as one request."""
    host, target = None, url
    if whole := _WHOLE(url):
        host, target = whole.groups()
        target = target if target.startswith("/") else f"/{target}"
    elif not url.startswith("/") and url != "*":
        raise click.UsageError("URL is a path, or begins with http:// or https://")
    if not any(name.lower() == "host" for name, _ in given):
        ours = _WHOLE(loaded.settings.public_url)
        given = [("Host", host if host is not None else ours[1] if ours else ""), *given]
    if any(mark in text for text in (method, target, *(part for field in given for part in field)) for mark in "\r\n"):
        raise click.UsageError("a request has no line breaks in its parts")
    return Asked(_raw(method), _raw(target), tuple((_raw(name), _raw(value)) for name, value in given))


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def as_fields(found: Explanation, loaded: Loaded) -> dict[str, object]:
    """What `--json` prints."""
    route, sent = found.route, found.sent
    return {
        "decision": "answered" if found.answered else "forwarded" if found.fault is None else "refused",
        "code": None if found.fault is None else found.fault.code,
        "route": None
        if route is None
        else {"path": route.path, "upstream": route.upstream, "place": _place(found, loaded)},
        "access": None if route is None else _access(route.access),
        "credential": {"kind": found.credential.kind, "outcome": found.credential.outcome},
        "headers": [] if sent is None else [{"name": name, "value": value} for name, value in sent.fields],
        "stripped": [] if sent is None else list(sent.stripped),
        "steps": [{"check": step.check, "outcome": step.outcome, "detail": step.detail} for step in found.steps],
    }


def _access(access: Access) -> dict[str, object]:
    return {
        "kind": access.kind.value,
        "roles": [{"role": rule.role, "permission": "write" if rule.write else "read"} for rule in access.roles],
        "mfa": access.mfa,
        "scopes": sorted(access.scopes),
        "issuers": sorted(access.issuers),
    }


def _place(found: Explanation, loaded: Loaded) -> str | None:
    """file:line of the route."""
    if found.number is None:
        return None
    place = loaded.place(("routes", found.number, "path"))
    return f"{place.source.name}:{place.line}"


def _lines(found: Explanation, loaded: Loaded) -> Iterator[str]:
    """For people: the decision first, then what it rests on."""
    yield _verdict(found)
    if found.route is not None:
        yield f"{'route':12}{shown(found.route.path)}, {_place(found, loaded) or 'built in'}"
        yield f"{'access':12}{_rule(found.route.access)}"
    credential = found.credential
    yield f"{'credential':12}{credential.kind}, {credential.outcome.replace('_', ' ')}"
    for step in found.steps:
        yield f"  {step.check:12}{step.outcome:9}{shown(step.detail)}"
    if found.sent is None:
        return
    yield f"{'sent':12}{found.sent.method} {shown(found.sent.target)} to {shown(found.sent.upstream)}"
    for name, value in found.sent.fields:
        told = json.dumps(decode_profile(value), ensure_ascii=False) if name == _PROFILE else value
        yield f"  {shown(name)}: {shown(told)}"
    yield f"{'stripped':12}{shown(', '.join(found.sent.stripped) or 'nothing')}"


def _verdict(found: Explanation) -> str:
    if found.fault is None:
        return "answered: 204, by the gateway itself" if found.answered else "forwarded"
    problem = PROBLEMS[found.fault.code]
    return f"refused: {problem.status} {found.fault.code}, {problem.title}"


def _rule(access: Access) -> str:
    roles = ", ".join(f"{rule.role} ({'write' if rule.write else 'read'})" for rule in access.roles)
    parts = [
        f"{access.kind.value} {roles}".strip(),
        "a second factor" if access.mfa else "",
        f"scopes {', '.join(sorted(access.scopes))}" if access.scopes else "",
        f"issuers {', '.join(sorted(access.issuers))}" if access.issuers else "",
    ]
    return shown("; ".join(part for part in parts if part))
