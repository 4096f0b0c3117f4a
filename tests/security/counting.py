"""Servers of others that count what they are asked: what each has seen is what the gateway says it sent."""

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from e2e.parts import LOOPBACK, NODE, Process, need, nginx_user, program, until
from e2e.world import ask
from harness.ports import free_port

HERE = Path(__file__).resolve().parent
OPENED = "/told"  # is asked for until it answers: nginx writes its log some time after that
NGINX = """
daemon off; {user} worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log info;
events {{ worker_connections 256; }}
http {{
  log_format seen '$request_uri'; access_log {folder}/seen.log seen; keepalive_requests 100000; client_max_body_size 0;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{ listen {port}; location / {{ {answer} }} }}
  server {{ listen {sink}; access_log off; location / {{ return 200 "seen\\n"; }} }}
}}
"""


@dataclass(frozen=True)
class Seen:
    """paths: as they came, in any order. malformed: how often it could not read what came."""

    paths: list[str]
    malformed: int


class Counting:
    """A server that tells over HTTP. sizes: whether its answers say how long the body was. hasty: whether it answers
    before a body is whole.
    """

    sizes = True
    hasty = False

    def __init__(self, port: int) -> None:
        self.port = port

    def told(self) -> Seen:
        said = ask(f"http://{LOOPBACK}:{self.port}/told").json()
        return Seen(said["seen"], said["malformed"])


class Logging(Counting):
    """nginx, which tells in its logs."""

    sizes = False

    def __init__(self, port: int, folder: Path, hasty: bool) -> None:
        super().__init__(port)
        self._folder = folder
        self.hasty = hasty

    def told(self) -> Seen:
        errors = (self._folder / "error.log").read_text()
        seen = [target for target in (self._folder / "seen.log").read_text().splitlines() if target != OPENED]
        return Seen(seen, errors.count("client sent invalid"))


def opened(process: Process, port: int) -> None:
    def listens() -> bool:
        assert not process.ended(), process.complained() + process.printed()
        try:
            return ask(f"http://{LOOPBACK}:{port}{OPENED}").status == 200
        except OSError:
            return False

    until(listens, "it to listen")


@contextmanager
def nginx(folder: Path, hasty: bool = False) -> Iterator[Counting]:
    """Where it passes a body on, to another server of its own, all of it is read; not so with an answer of its own."""
    port, sink = free_port(), f"{LOOPBACK}:{free_port()}"
    answer = 'return 200 "seen\\n";' if hasty else f"proxy_pass http://{sink};"
    text = NGINX.format(user=nginx_user(), folder=folder, port=f"{LOOPBACK}:{port}", sink=sink, answer=answer)
    (folder / "nginx.conf").write_text(text)
    command = [program("nginx", "/usr/sbin/nginx"), "-p", folder, "-c", folder / "nginx.conf"]
    with Process(command, folder, "nginx") as process:
        opened(process, port)
        yield Logging(port, folder, hasty)
        process.stop()


@contextmanager
def node(folder: Path) -> Iterator[Counting]:
    with Process([program("node"), NODE / "counting.mjs"], folder, "node") as process:
        yield Counting(int(process.first_line()))


@contextmanager
def aiohttp(folder: Path) -> Iterator[Counting]:
    with Process([sys.executable, HERE / "counting_aiohttp.py"], folder, "aiohttp") as process:
        yield Counting(int(process.first_line()))


@contextmanager
def gunicorn(folder: Path) -> Iterator[Counting]:
    need(importlib.util.find_spec("gunicorn"), "gunicorn")
    port = free_port()
    options = ["--bind", f"{LOOPBACK}:{port}", "--worker-class", "gthread", "--threads", "8", "--keep-alive", "60"]
    command = [sys.executable, "-m", "gunicorn", *options, "--chdir", HERE, "counting_wsgi:application"]
    with Process(command, folder, "gunicorn") as process:
        opened(process, port)
        yield Counting(port)
        process.stop()


SERVERS = {
    "nginx": nginx,
    "nginx, hasty": partial(nginx, hasty=True),
    "node": node,
    "aiohttp": aiohttp,
    "gunicorn": gunicorn,
}
