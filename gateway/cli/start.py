"""`gateway serve`: which kind of process this is, and that one alone is loaded.

A gateway of one process; a supervisor of several workers; one of those workers, or the new image of a supervisor, which
a supervisor has started with this same command line.
"""

import gc
import os
from pathlib import Path

import click

from gateway.cli.addresses import ADMIN, GATEWAY
from gateway.cli.check import config_path
from gateway.ops.notify import activated
from gateway.settings.faults import SettingsInvalid, render
from gateway.supervise.part import SuccessorPart, WorkerPart, taken


@click.command()
@click.option("-c", "config", type=click.Path(path_type=Path), help="The configuration file.")
@click.option("--demo", "as_demo", is_flag=True, help="A temporary store, two accounts, an echo upstream.")
@click.option("--empty", is_flag=True, help="The demo without accounts: the first one is yours to make.")
@click.option("--migrate", is_flag=True, help="Bring the database up to date first; make it if there is none.")
@click.option("--address", default=GATEWAY, show_default=True, help="Where the demo listens.")
@click.option("--admin", default=ADMIN, show_default=True, help="Where the demo's admin listener is.")
@click.option("--json", "as_json", is_flag=True, hidden=True)
@click.pass_context
def serve(
    context: click.Context,
    config: Path | None,
    as_demo: bool,
    empty: bool,
    migrate: bool,
    address: str,
    admin: str,
    as_json: bool,
) -> None:
    """Run the gateway until SIGTERM or Ctrl-C; SIGHUP reloads the configuration, SIGUSR2 upgrades several workers.

    Exit code: 0 stopped, 1 the configuration is wrong, 2 misuse, 3 a dependency is down or an address is taken.
    """
    if empty and not as_demo:
        raise click.UsageError("--empty goes with --demo")
    context.exit(_demo(address, admin, empty) if as_demo else _serve(config_path([config], os.environ), migrate))


def _demo(address: str, admin: str, empty: bool) -> int:
    from gateway.cli.serve import run_demo, serve_until_stopped

    return serve_until_stopped(run_demo(address, admin, empty))


def _serve(path: Path, migrate: bool) -> int:
    try:
        match taken(os.environ):
            case WorkerPart() as part:
                from gateway.cli import worker

                return worker.serve(path, part)
            case SuccessorPart() as part:
                from gateway.cli import supervisor

                return supervisor.succeed(path, part, migrate)
            case None:
                return _begin(path, migrate)
    except SettingsInvalid as invalid:
        click.echo("\n".join(map(render, invalid.faults)), err=True)
        return 1


def _refused(given: int, workers: int) -> int:
    """What connects to a socket that nobody accepts on waits for ever."""
    click.echo(f"gateway: {given} listening sockets were handed over, for listen.workers: {workers}", err=True)
    return 1


def _begin(path: Path, migrate: bool) -> int:
    """Raises SettingsInvalid."""
    from gateway.settings.files import Recorder
    from gateway.settings.load import load

    gc.disable()  # until what is loaded is in its place, see `tended_heap`
    try:
        recorder = Recorder()
        loaded = load(path, os.environ, recorder)
        given = activated(os.environ)
        workers = loaded.settings.listen.workers
        if len(given) > workers:
            return _refused(len(given), workers)
        if workers > 1:
            from gateway.cli import supervisor

            return supervisor.serve(path, loaded.settings, recorder, migrate, given)
        from gateway.cli.serve import run, serve_until_stopped

        work = run(path, loaded, migrate, listening=given[0] if given else None, seen=recorder.seen)
        del loaded, recorder  # `run` frees it
        return serve_until_stopped(work)
    finally:
        gc.enable()
