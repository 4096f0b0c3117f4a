"""nginx as a service behind the gateway: files, ranges, conditions and reused connections."""

import hashlib
import http.client
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from harness.ports import free_port

from . import world
from .conftest import STATIC_BYTES
from .parts import LOOPBACK, Process, nginx_user, program, until
from .upstream import pattern
from .world import Answer, Gateway, Home

CONFIG = """
daemon off; {user} worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
  access_log off; keepalive_requests 10000;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port}; root {files};
    location /count {{ default_type text/plain; return 200 "$connection $connection_requests\\n"; }}
    location /redirect {{ return 302 /elsewhere; }}
    location /packed {{ alias {files}; gzip on; gzip_types *; gzip_min_length 1; gzip_proxied any; }}
  }}
}}
"""


@pytest.fixture(scope="module")
def nginx(service_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    command = program("nginx", "/usr/sbin/nginx")
    folder, port = tmp_path_factory.mktemp("nginx"), free_port()
    config = folder / "nginx.conf"
    config.write_text(CONFIG.format(user=nginx_user(), folder=folder, files=service_folder, port=port))
    with Process([command, "-p", folder, "-c", config], folder, "nginx") as process:
        until(lambda: answers(process, port), "nginx to listen")
        yield port
        process.stop()


def answers(process: Process, port: int) -> bool:
    assert not process.ended(), process.complained()
    try:
        return world.ask(f"http://{LOOPBACK}:{port}/count").status == 200
    except OSError:
        return False


@pytest.fixture(scope="module")
def files(template: Home, nginx: int, service: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """In front of nginx as `nginx`, and of an aiohttp server as `app`, which has the same file."""
    home = template.copy(tmp_path_factory.mktemp("files"))
    with world.running(home, world.configuration({"nginx": nginx, "app": service})) as gateway:
        yield gateway


@pytest.fixture(params=["/nginx/file.bin", "/app/static/file.bin"])
def path(request: pytest.FixtureRequest) -> str:
    """The file of 3 MiB, of either server."""
    return str(request.param)


def get(gateway: Gateway, path: str, method: str = "GET", **headers: str) -> Answer:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return gateway.ask(path, method, {**gateway.home.ada.headers, **fields})


def test_a_file_arrives_whole(files: Gateway, path: str) -> None:
    """3 MiB and 17 bytes, with their length."""
    answer = get(files, path)
    assert (answer.status, answer.headers["content-length"]) == (200, str(STATIC_BYTES))
    assert hashlib.sha256(answer.body).digest() == hashlib.sha256(pattern(STATIC_BYTES)).digest()


def test_a_file_that_is_known_is_not_sent_again(files: Gateway, path: str) -> None:
    """304 by its entity tag, without a body."""
    tag = get(files, path, "HEAD").headers["etag"]
    answer = get(files, path, if_none_match=tag)
    assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", tag)


def test_a_file_that_has_not_changed_is_not_sent_again(files: Gateway, path: str) -> None:
    """304 by its date."""
    date = get(files, path, "HEAD").headers["last-modified"]
    assert get(files, path, if_modified_since=date).status == 304


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [("bytes=0-0", 0, 0), ("bytes=100000-299999", 100000, 299999), ("bytes=-17", STATIC_BYTES - 17, STATIC_BYTES - 1)],
)
def test_a_range_arrives_alone(files: Gateway, path: str, asked: str, first: int, last: int) -> None:
    """206 with the bytes that were asked for, and where they are."""
    answer = get(files, path, range=asked)
    assert (answer.status, answer.body) == (206, pattern(STATIC_BYTES)[first : last + 1])
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{STATIC_BYTES}"


def test_a_range_beyond_the_end_is_416(files: Gateway, path: str) -> None:
    """The service's own refusal comes through."""
    assert get(files, path, range=f"bytes={STATIC_BYTES}-").status == 416


def test_a_head_has_the_length_and_no_body(files: Gateway, path: str) -> None:
    """And the connection goes on to be usable."""
    answer = get(files, path, "HEAD")
    assert (answer.status, answer.headers["content-length"], answer.body) == (200, str(STATIC_BYTES), b"")


def test_a_head_leaves_the_clients_connection_in_order(files: Gateway, path: str) -> None:
    """HEAD, 304 and GET one after the other on one connection are told apart."""
    headers = files.home.ada.headers
    connection = http.client.HTTPConnection(urlsplit(files.url).netloc, timeout=20)
    seen = []
    tag = get(files, path, "HEAD").headers["etag"]
    for method, more in (("HEAD", {}), ("GET", {"If-None-Match": tag}), ("GET", {"Range": "bytes=0-6"})):
        connection.request(method, path, headers={**headers, **more})
        response = connection.getresponse()
        seen.append((response.status, response.read()))
    connection.close()
    assert seen == [(200, b""), (304, b""), (206, b"0000000")]


def test_a_compressed_answer_stays_compressed(files: Gateway) -> None:
    """In chunks and with its Content-Encoding: nothing is unpacked on the way."""
    answer = get(files, "/nginx/packed/file.bin", accept_encoding="gzip")
    assert (answer.headers["content-encoding"], answer.headers["transfer-encoding"]) == ("gzip", "chunked")
    assert answer.body.startswith(b"\x1f\x8b")


def test_a_redirect_is_the_clients_to_follow(files: Gateway) -> None:
    """302 and its Location go back as nginx said."""
    answer = get(files, "/nginx/redirect")
    assert answer.status == 302
    assert urlsplit(answer.headers["location"]).path == "/elsewhere"


def test_connections_to_nginx_are_reused(files: Gateway) -> None:
    """Twenty requests, each on a connection of its own to the gateway, go over one connection to nginx."""
    counts = [get(files, "/nginx/count").body.split() for _ in range(20)]
    assert len({connection for connection, _ in counts}) == 1
    assert [int(number) for _, number in counts] == list(range(int(counts[0][1]), int(counts[0][1]) + 20))


def test_connections_to_aiohttp_are_reused(files: Gateway) -> None:
    """The service sees the same port of ours each time."""
    assert len({get(files, "/app/echo").json()["port"] for _ in range(20)}) == 1
