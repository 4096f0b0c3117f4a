"""The command line. One module per noun, imported when it is called."""

from importlib import import_module

import click

from gateway.cli.options import chosen_config, shared, translated, wants_json

# What `--help` says of each. A broken one breaks no other command.
COMMANDS = {
    "account": "Create, import, list, show, disable and enable accounts.",
    "audit": "List and verify the audit trail.",
    "check": "Every fault of the configuration, with file:line:column.",
    "connection-string": "Create connection strings.",
    "diff": "What another configuration would change.",
    "explain": "What would happen to a request, and why.",
    "grant": "List and revoke credentials.",
    "init": "Write var/master.key, var/admin.token, config.yaml and an empty database.",
    "keys": "List and rotate keys.",
    "migrate": "Bring the database up to date; make it, and the first keys, when there are none.",
    "reload": "Have the running gateway read its configuration again.",
    "role": "Assign, remove and list roles.",
    "schema": "The JSON Schema of the configuration, for editors.",
    "serve": "Run the gateway.",
    "tenant": "Create, list and show tenants.",
    "token": "Issue tokens.",
    "upgrade": "Replace the running gateway's processes by new ones, one after another.",
}
ELSEWHERE = {"schema": "check", "serve": "start"}  # the module of a command that is not named like it
OWN = ("check", "diff", "explain", "schema", "serve")  # they have `-c` and `--json` themselves


class Gateway(click.Group):
    """Faults become a line on stderr and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_")
        found = getattr(import_module(f"gateway.cli.{ELSEWHERE.get(name, name)}"), name)
        assert isinstance(found, click.Command)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name]) for name in self.list_commands(ctx)])

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
    given = {"as_json": wants_json(context) or None, "config": chosen_config(context)}
    said = {name: value for name, value in given.items() if value is not None}
    context.default_map = dict.fromkeys(OWN, said)
