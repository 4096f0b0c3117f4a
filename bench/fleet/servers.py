"""The servers that a fleet stands on, each started on a free loopback port: PostgreSQL, Redis, an upstream, HAProxy."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.peers import NGINX
from bench.processes import LOOPBACK, NotStartedError, Process, Stable, free_port

ECHO = """server {{ listen 127.0.0.1:{port} backlog=4096;
 location / {{ default_type text/plain; return 200 $http_x_mycelium_email; }} }}"""
BALANCER = """
global
  maxconn 4000
defaults
  mode http
  timeout client 30s
  timeout server 30s
  timeout connect 1s
  option redispatch 1
  retries 3
  retry-on conn-failure empty-response
  option httpchk GET /readyz
frontend f
  bind 127.0.0.1:{port}
  default_backend b
backend b
  balance roundrobin
  default-server check inter 500ms fall 1 rise 1 on-marked-down shutdown-sessions
{servers}
"""
PROBES = 2.0  # a second, of each gateway: `inter 500ms`
POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


@dataclass
class Served:
    """A server that can be stopped and started again on the same port."""

    stable: Stable
    name: str
    command: Sequence[str]
    port: int
    process: Process

    def kill(self) -> None:
        self.process.kill()

    def start(self) -> None:
        self.process = begin(self.stable, self.name, self.command, self.port)


def begin(stable: Stable, name: str, command: Sequence[str], port: int) -> Process:
    process = stable.start(name, command, core=None)
    process.wait_until_open(port)
    return process


def start_postgres(stable: Stable, **settings: str) -> Served:
    """With a database `gateway` of the user `gateway`, who needs no password here. It refuses to run as root.

    settings: of the server, beside those here.
    """
    if not POSTGRES:
        raise NotStartedError("PostgreSQL is not installed")
    programs, port, data = POSTGRES[-1], free_port(), stable.folder / "postgres"
    data.mkdir()
    as_user: list[str] = []
    if os.geteuid() == 0:
        as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        found = pwd.getpwnam("postgres")
        os.chown(data, found.pw_uid, found.pw_gid)
        stable.folder.chmod(0o755)
    make = [*as_user, str(programs / "initdb"), "-D", str(data), "-U", "gateway", "-A", "trust", "-N", "-E", "UTF8"]
    subprocess.run(make, check=True, capture_output=True, cwd="/", env=os.environ | {"LC_ALL": "C"})
    command = [
        *as_user, str(programs / "postgres"), "-D", str(data), "-p", str(port), "-h", LOOPBACK, "-k", str(data),
        "-c", "max_connections=200", "-c", "shared_preload_libraries=pg_stat_statements",
        *(word for name, value in settings.items() for word in ("-c", f"{name}={value}")),
    ]  # fmt: skip
    served = Served(stable, "postgres", command, port, begin(stable, "postgres", command, port))
    for statement in ("CREATE DATABASE gateway", "CREATE EXTENSION pg_stat_statements"):
        query(port, statement, "postgres")
    return served


def query(port: int, statement: str, database: str = "gateway") -> list[str]:
    """Lines of the answer, `|` between columns; by psql, which waits until the server is ready to answer."""
    url = f"postgresql://gateway@{LOOPBACK}:{port}/{database}"
    command = ["psql", "--no-psqlrc", "-qAt", "-v", "ON_ERROR_STOP=1", "-c", statement, url]
    for attempt in range(50):
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
        if done.returncode == 0:
            return done.stdout.splitlines()
        if "starting up" not in done.stderr or attempt == 49:
            break
    raise NotStartedError(f"psql: {done.stderr.strip()}")


def start_redis(stable: Stable) -> Served:
    port = free_port()
    command = ["redis-server", "--port", str(port), "--bind", LOOPBACK, "--save", "", "--appendonly", "no"]
    return Served(stable, "redis", command, port, begin(stable, "redis", command, port))


def redis_calls(port: int) -> dict[str, int]:
    """How often each command was called since the server's start."""
    said = subprocess.run(
        ["redis-cli", "-p", str(port), "INFO", "commandstats"], capture_output=True, text=True, check=True
    ).stdout
    lines = [line for line in said.splitlines() if line.startswith("cmdstat_")]
    return {
        line.partition(":")[0].removeprefix("cmdstat_"): int(line.partition("calls=")[2].partition(",")[0])
        for line in lines
    }


def start_echo(stable: Stable, name: str) -> Served:
    """An upstream that answers with the caller's address, so that the load can tell who it was passed as."""
    port, nginx = free_port(), shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if nginx is None:
        raise NotStartedError("nginx is not installed")
    config = stable.folder / f"{name}.conf"
    config.write_text(NGINX.format(name=stable.folder / name, body=ECHO.format(port=port)))
    command = [nginx, "-c", str(config), "-e", "stderr"]
    return Served(stable, name, command, port, begin(stable, name, command, port))


def start_balancer(stable: Stable, gateways: Sequence[tuple[int, int]]) -> Served:
    """gateways: the ports of clients and of operators, whose `/readyz` says whether it is served to."""
    port, config = free_port(), stable.folder / "balancer.cfg"
    servers = [f"  server g{at} 127.0.0.1:{one} port {other}" for at, (one, other) in enumerate(gateways)]
    config.write_text(BALANCER.format(port=port, servers="\n".join(servers)))
    command = ["haproxy", "-db", "-f", str(config)]
    return Served(stable, "balancer", command, port, begin(stable, "balancer", command, port))
