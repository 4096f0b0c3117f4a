"""HTTP clients that nobody here wrote, through the gateway: what they send arrives, what is answered comes back."""

import hashlib
import json
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import requests

from .parts import NODE, program
from .upstream import pattern
from .world import Gateway

MIB = 1024 * 1024


@dataclass(frozen=True)
class Received:
    """What a client got. length, sha256: of the body, which may be large. body: its first part."""

    status: int
    length: int
    sha256: str
    body: bytes


Client = Callable[[str, str, Mapping[str, str], bytes | None], Received]


def received(status: int, body: bytes) -> Received:
    return Received(status, len(body), hashlib.sha256(body).hexdigest(), body[:MIB])


def with_requests(url: str, method: str, headers: Mapping[str, str], body: bytes | None) -> Received:
    answer = requests.request(method, url, headers=dict(headers), data=body, timeout=20)
    return received(answer.status_code, answer.content)


def with_httpx(url: str, method: str, headers: Mapping[str, str], body: bytes | None) -> Received:
    answer = httpx.request(method, url, headers=dict(headers), content=body, timeout=20, trust_env=False)
    return received(answer.status_code, answer.content)


def with_curl(url: str, method: str, headers: Mapping[str, str], body: bytes | None) -> Received:
    fields = [word for name, value in headers.items() for word in ("-H", f"{name}: {value}")]
    data = [] if body is None else ["--data-binary", "@-"]
    done = curl("-X", method, *fields, *data, "-w", "%{stderr}%{http_code}", url, body=body)
    return received(int(done.stderr), done.stdout)


def with_node(url: str, method: str, headers: Mapping[str, str], body: bytes | None) -> Received:
    asked = json.dumps({"url": url, "method": method, "headers": dict(headers), "size": body and len(body)})
    command = [program("node"), str(NODE / "fetch.mjs"), asked]
    done = subprocess.run(command, input=body, capture_output=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    return Received(told["status"], told["length"], told["sha256"], told["body"].encode())


def curl(*arguments: str, body: bytes | None = None) -> "subprocess.CompletedProcess[bytes]":
    command = [program("curl"), "--silent", "--show-error", "--max-time", "20", *arguments]
    done = subprocess.run(command, input=body, capture_output=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    return done


CLIENTS = {"curl": with_curl, "requests": with_requests, "httpx": with_httpx, "node": with_node}


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest) -> Client:
    return CLIENTS[request.param]


@pytest.fixture
def curl_headers(gateway: Gateway) -> list[str]:
    return ["-H", f"Authorization: Bearer {gateway.home.ada.token}"]


def test_an_authenticated_get_arrives_with_the_profile(gateway: Gateway, client: Client) -> None:
    """The service sees the request and the profile header, and the client its answer."""
    got = client(f"{gateway.url}/app/echo?a=1&b=%20", "GET", gateway.home.ada.headers, None)
    seen = json.loads(got.body)
    names = {name.lower() for name, _ in seen["headers"]}
    assert (got.status, seen["method"], seen["path"]) == (200, "GET", "/echo?a=1&b=%20")
    assert "x-mycelium-profile" in names
    assert "authorization" not in names


def test_a_connection_string_is_a_credential_for_any_client(gateway: Gateway, client: Client) -> None:
    """It passes a route that wants its role."""
    headers = {"x-mycelium-connection-string": gateway.home.string}
    assert client(f"{gateway.url}/manager/app/echo", "GET", headers, None).status == 200


def test_a_request_without_a_credential_is_401(gateway: Gateway, client: Client) -> None:
    """And the client can read the problem document that says so."""
    got = client(f"{gateway.url}/app/echo", "GET", {}, None)
    assert (got.status, json.loads(got.body)["code"]) == (401, "no_credential")


@pytest.mark.parametrize("size", [1, 64 * 1024, 3 * MIB + 1])
def test_a_posted_body_arrives_whole(gateway: Gateway, client: Client, size: int) -> None:
    """From one byte to some MiB, however the client frames it."""
    body = pattern(size)
    got = client(f"{gateway.url}/app/echo", "POST", gateway.home.ada.headers, body)
    seen = json.loads(got.body)
    assert (seen["length"], seen["sha256"]) == (size, hashlib.sha256(body).hexdigest())


@pytest.mark.parametrize("framing", ["counted", "chunked"])
def test_a_large_answer_comes_back_whole(gateway: Gateway, client: Client, framing: str) -> None:
    """8 MiB, with a length and in chunks."""
    got = client(f"{gateway.url}/app/{framing}/{8 * MIB}", "GET", gateway.home.ada.headers, None)
    assert (got.status, got.length, got.sha256) == (200, 8 * MIB, hashlib.sha256(pattern(8 * MIB)).hexdigest())


def test_curl_uploads_in_chunks(gateway: Gateway, curl_headers: list[str], tmp_path: Path) -> None:
    """A body whose length nobody knows beforehand arrives whole."""
    body = pattern(2 * MIB + 5)
    (tmp_path / "body").write_bytes(body)
    fields = [*curl_headers, "-H", "Transfer-Encoding: chunked", "-H", "Expect:"]
    done = curl(*fields, "-T", str(tmp_path / "body"), f"{gateway.url}/app/echo")
    seen = json.loads(done.stdout)
    assert (seen["method"], seen["sha256"]) == ("PUT", hashlib.sha256(body).hexdigest())


def test_curl_is_told_to_continue(gateway: Gateway, curl_headers: list[str], tmp_path: Path) -> None:
    """With `Expect: 100-continue` it waits for the gateway's word, sends the body and gets the answer."""
    body = pattern(MIB + 1)
    (tmp_path / "body").write_bytes(body)
    fields = [*curl_headers, "-H", "Expect: 100-continue", "--expect100-timeout", "15"]
    done = curl(*fields, "-v", "-T", str(tmp_path / "body"), f"{gateway.url}/app/echo")
    assert b"HTTP/1.1 100 Continue" in done.stderr
    assert json.loads(done.stdout)["sha256"] == hashlib.sha256(body).hexdigest()


def test_curl_is_refused_before_it_sends_a_body(gateway: Gateway, tmp_path: Path) -> None:
    """Without a credential, the answer to `Expect: 100-continue` is the 401, and no byte of the body is asked for."""
    (tmp_path / "body").write_bytes(pattern(MIB))
    fields = ["-H", "Expect: 100-continue", "--expect100-timeout", "15", "-w", "%{stderr}%{http_code} %{size_upload}"]
    done = curl(*fields, "-T", str(tmp_path / "body"), f"{gateway.url}/app/echo")
    assert done.stderr.split() == [b"401", b"0"]


def test_curl_gets_the_head_alone(gateway: Gateway, curl_headers: list[str]) -> None:
    """HEAD has the length of the body and no body."""
    done = curl(*curl_headers, "--head", "-w", "%{stderr}%{size_download}", f"{gateway.url}/app/counted/12345")
    assert b"content-length: 12345\r\n" in done.stdout.lower()
    assert done.stderr == b"0"


@pytest.mark.parametrize("framing", ["counted", "chunked"])
def test_curl_speaks_http_1_0(gateway: Gateway, curl_headers: list[str], framing: str) -> None:
    """The answer is counted or ends with the connection; chunks would be noise to it."""
    done = curl(*curl_headers, "--http1.0", "-D", "/dev/stderr", f"{gateway.url}/app/{framing}/200000")
    assert done.stdout == pattern(200000)
    assert b"transfer-encoding" not in done.stderr.lower()


def test_curl_reuses_its_connection(gateway: Gateway, curl_headers: list[str]) -> None:
    """Two requests of one run need one connection to the gateway."""
    url = f"{gateway.url}/app/echo"
    done = curl(*curl_headers, "-w", "%{stderr}%{num_connects} ", url, url)
    assert done.stderr.split() == [b"1", b"0"]


def test_requests_reuses_its_connection_after_a_refusal(gateway: Gateway) -> None:
    """A 401 leaves the connection usable, so a client that then has its credential goes on with it."""
    accepted = "gateway_connections_accepted_total"
    before = gateway.metric(accepted)
    with requests.Session() as session:
        refused = session.get(f"{gateway.url}/app/echo", timeout=20)
        let_in = session.get(f"{gateway.url}/app/echo", headers=gateway.home.ada.headers, timeout=20)
    assert (refused.status_code, let_in.status_code) == (401, 200)
    assert gateway.metric(accepted) == before + 1


def test_httpx_streams_an_upload_and_a_download(gateway: Gateway) -> None:
    """A generator as body, and an answer read piece by piece."""
    body = pattern(2 * MIB)
    pieces = (body[start : start + 10_007] for start in range(0, len(body), 10_007))
    with httpx.Client(headers=gateway.home.ada.headers, trust_env=False, timeout=20) as session:
        sent = session.post(f"{gateway.url}/app/echo", content=pieces).json()
        with session.stream("GET", f"{gateway.url}/app/chunked/{len(body)}") as answer:
            read = b"".join(answer.iter_raw(10_007))
    assert (sent["sha256"], read) == (hashlib.sha256(body).hexdigest(), body)
