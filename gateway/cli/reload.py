"""`gateway reload`: the running gateway reads its configuration again."""

import http.client
import json
from collections.abc import Mapping
from urllib.parse import urlencode

import click

from gateway.cli.options import Down, Failure, shared
from gateway.cli.shared import emit, settings
from gateway.settings.faults import SettingsInvalid, render
from gateway.settings.values import Address

CONNECT_SECONDS = 10.0
LOOK_SECONDS = 30.0  # for an answer that changes nothing
ANSWER_SECONDS = 4 * 3600.0  # a reload waits for an upgrade, in which each worker may drain for up to an hour
UNSPECIFIED = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - a listener on every address is asked on loopback


@click.command()
@shared
def reload() -> None:
    """Have the running gateway read its configuration again.

    A configuration with a fault is refused and the old one stays.
    """
    try:
        found = settings()
    except SettingsInvalid as error:  # the answer is the one that the gateway would give: no
        raise Failure(
            "\n".join(["the configuration has faults; the old one stays", *map(render, error.faults)])
        ) from error
    status, body = post(found.admin.address, found.admin.token.get_secret_value())
    if status not in (200, 422):
        raise Failure(f"the admin listener answered {status} {reason(body)}")
    answer = json.loads(body)
    emit({"reloaded": answer["reloaded"], "faults": answer["faults"]})
    if status != 200:
        raise Failure("the configuration has faults; the old one stays")


def post(address: Address, token: str, path: str = "/reload", seconds: float = ANSWER_SECONDS) -> tuple[int, bytes]:
    """Status and body. seconds: for the answer. Raises Down when nobody answers."""
    return _ask("POST", address, token, path, seconds)


def get(address: Address, token: str, path: str, query: Mapping[str, str]) -> tuple[int, bytes]:
    """As `post`."""
    return _ask("GET", address, token, f"{path}?{urlencode(query)}", LOOK_SECONDS)


def _ask(method: str, address: Address, token: str, path: str, seconds: float) -> tuple[int, bytes]:
    host = UNSPECIFIED.get(address.host, address.host)
    connection = http.client.HTTPConnection(host, address.port, CONNECT_SECONDS)
    try:
        connection.connect()
    except OSError as error:
        raise Down(f"no gateway answers at {address}: {error}") from error
    connection.sock.settimeout(seconds)
    try:
        connection.request(method, path, headers={"Authorization": f"Bearer {token}"})
        response = connection.getresponse()
        return response.status, response.read()
    except TimeoutError as error:
        raise Down(f"the gateway at {address} is still at it after {seconds:g} s; its log says how it ends") from error
    except (OSError, http.client.HTTPException) as error:
        raise Down(f"no gateway answers at {address}: {error}") from error
    finally:
        connection.close()


def reason(body: bytes) -> str:
    try:
        found = json.loads(body)
    except ValueError:
        return ""
    return str(found.get("code", "")) if isinstance(found, dict) else ""
