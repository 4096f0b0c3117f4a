"""`gateway reload`: the running gateway reads its configuration again."""

import http.client
import json

import click

from gateway.cli.shared import Down, Failure, emit, settings, shared
from gateway.settings.faults import SettingsInvalid, render
from gateway.settings.values import Address

TIMEOUT = 30.0  # seconds
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


def post(address: Address, token: str, path: str = "/reload", seconds: float = TIMEOUT) -> tuple[int, bytes]:
    """Status and body. Raises Down when nobody answers."""
    connection = http.client.HTTPConnection(UNSPECIFIED.get(address.host, address.host), address.port, seconds)
    try:
        connection.request("POST", path, headers={"Authorization": f"Bearer {token}"})
        response = connection.getresponse()
        return response.status, response.read()
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
