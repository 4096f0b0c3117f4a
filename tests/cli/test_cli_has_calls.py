"""Whatever the command line does to accounts, tenants and credentials, the admin API does too."""

from collections.abc import Iterator

import click

from gateway.app.logins import admin_api
from gateway.cli import main

# The call of each verb.
CALLS = {
    "account allow-no-mfa": "allowNoMfa",
    "account create": "createAccount",  # and `setRank` for --staff and --manager
    "account disable": "disableAccount",
    "account enable": "enableAccount",
    "account list": "listAccounts",
    "account require-mfa": "requireMfa",
    "account reset-mfa": "resetMfa",
    "account send-reset": "sendReset",
    "account set-password": "setPassword",
    "account show": "showAccount",
    "audit list": "listAudit",
    "audit verify": "verifyAudit",
    "connection-string create": "createConnectionString",
    "grant list": "listGrants",
    "grant revoke": "revokeGrant",
    "keys list": "listKeys",
    "keys rotate": "rotateKeys",
    "role assign": "assignRole",
    "role list": "listAccountRoles",
    "role remove": "removeRole",
    "tenant create": "createTenant",
    "tenant list": "listTenants",
    "tenant show": "showTenant",
    "token issue": "issueToken",
}
# What has none, and why: it is about the program and its files, not about what is in the store.
NONE = {
    "account import": "reads a file that is here",
    "audit head": "is to be written down where whoever has the gateway cannot reach it",
    "audit kinds": "is the same for every gateway",
    "diff": "reads files that are here",
    "check": "reads a file that is here",
    "explain": "tells what a configuration does with a request, credentials and all",
    "init": "makes the files that a gateway starts with",
    "migrate": "changes tables that a running gateway must not find half changed",
    "reload": "the admin listener's, with the operator's token",
    "schema": "is the same for every gateway; --openapi is served as openapi.json",
    "serve": "starts what would answer",
    "upgrade": "the admin listener's, with the operator's token",
}


def verbs(command: click.Command, words: tuple[str, ...] = ()) -> Iterator[str]:
    if not isinstance(command, click.Group):
        yield " ".join(words)
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        assert found is not None
        yield from verbs(found, (*words, name))


def test_every_verb_has_its_call_or_its_reason() -> None:
    """A new command is in one of the tables, and no table has one that is gone."""
    assert set(verbs(main)) == CALLS.keys() | NONE.keys()


def test_every_call_is_an_operation() -> None:
    """By its id."""
    assert set(CALLS.values()) <= {one.name for one in admin_api().operations}
