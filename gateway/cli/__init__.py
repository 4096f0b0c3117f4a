"""The command line. One module per noun; what needs the whole gateway is imported when it is called."""

from importlib import import_module

import click

from gateway.cli.account import account
from gateway.cli.audit import audit
from gateway.cli.connection_string import connection_string
from gateway.cli.grant import grant
from gateway.cli.init import init
from gateway.cli.keys import keys
from gateway.cli.migrate import migrate
from gateway.cli.reload import reload
from gateway.cli.role import role
from gateway.cli.shared import chosen_config, shared, translated, wants_json
from gateway.cli.tenant import tenant
from gateway.cli.token import token
from gateway.cli.upgrade import upgrade

# name, module, what `--help` says; a broken one breaks no other command
LAZY = {
    "check": ("gateway.cli.check", "Every fault of the configuration, with file:line:column."),
    "diff": ("gateway.cli.diff", "What another configuration would change."),
    "explain": ("gateway.cli.explain", "What would happen to a request, and why."),
    "schema": ("gateway.cli.check", "The JSON Schema of the configuration, for editors."),
    "serve": ("gateway.cli.start", "Run the gateway."),
}
COMMANDS = (account, audit, connection_string, grant, init, keys, migrate, reload, role, tenant, token, upgrade)


class Gateway(click.Group):
    """Commands by name, the lazy ones among them; faults become a line on stderr and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*self.commands, *LAZY])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in LAZY:
            return super().get_command(ctx, cmd_name)
        found = getattr(import_module(LAZY[cmd_name][0]), cmd_name)
        assert isinstance(found, click.Command)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, self._short_help(name)) for name in self.list_commands(ctx)])

    def _short_help(self, name: str) -> str:
        return LAZY[name][1] if name in LAZY else self.commands[name].get_short_help_str(80)

    def invoke(self, ctx: click.Context) -> object:
        with translated():
            return super().invoke(ctx)


@click.command(cls=Gateway, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="mycelium-gateway")
@shared
@click.pass_context
def main(context: click.Context) -> None:
    """An authenticating reverse proxy: logs callers in, forwards their requests with a profile header.

    Exit codes: 0 yes, 1 no, 2 misuse, 3 a dependency is down.
    """
    # the lazy commands have these two options of their own
    given = {"as_json": wants_json(context) or None, "config": chosen_config(context)}
    said = {name: value for name, value in given.items() if value is not None}
    context.default_map = dict.fromkeys(LAZY, said)


for command in COMMANDS:
    main.add_command(command)
