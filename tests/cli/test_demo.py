"""The demo: what it sets up, what its echo answers, and that every line it prints works when pasted."""

import asyncio
import io
import json
import stat
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from harness.ports import free_port
from pytest_aiohttp.plugin import AiohttpClient

from gateway.app.checks import read
from gateway.app.gateway import Gateway
from gateway.cli import demo as module
from gateway.cli.demo import (
    ADMIN,
    ECHO,
    ECHO_BODY,
    GATEWAY,
    Demo,
    decode_profile,
    demo,
    echo_application,
    render_config,
)
from gateway.clock import Clock
from gateway.ops.logs import application_log
from gateway.settings.load import load

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
async def running() -> AsyncIterator[Demo]:
    async with demo() as found:
        yield found


def test_the_configuration_for_people_is_the_one_in_the_package() -> None:
    """config/demo.yaml is what `serve --demo` starts with."""
    assert (ROOT / "config/demo.yaml").read_bytes() == Path(module.__file__).with_name("demo.yaml").read_bytes()


@pytest.mark.parametrize("address", [GATEWAY, ADMIN, ECHO])
def test_every_address_can_be_put_elsewhere(address: str) -> None:
    """None of those that demo.yaml has is left."""
    assert address not in render_config("127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3")


async def test_the_configuration_is_valid(running: Demo) -> None:
    """`check` would find nothing wrong with it."""
    assert [route.path for route in read(running.config, {}).settings.routes] == [
        "/public/**", "/hello/**", "/orders/**", "/v1/people", "/v1/payroll", "/reports/**",
    ]  # fmt: skip


async def test_the_folder_is_nobody_elses(running: Demo) -> None:
    """It holds the keys of the demo."""
    assert stat.S_IMODE(running.config.parent.stat().st_mode) == 0o700


async def test_the_folder_is_gone_at_the_end() -> None:
    """Also when something goes wrong in between."""
    with pytest.raises(ZeroDivisionError):
        async with demo() as found:
            raise ZeroDivisionError
    assert not found.config.parent.exists()


async def test_credentials_are_not_in_a_repr(running: Demo) -> None:
    """They are printed where they are meant to be, in the lines."""
    assert running.credentials is not None
    assert running.credentials.connection_string not in repr(running)


async def test_an_empty_demo_begins_with_the_first_account() -> None:
    """And has nobody's credentials to show."""
    async with demo(empty=True) as found:
        lines = found.curl_lines("http://127.0.0.1:8080")
        assert [line.rpartition("/auth/")[2] for line in lines] == ["setup-status/'", "setup/'", "token/'"]


async def test_every_line_is_one_line_that_begins_with_curl(running: Demo) -> None:
    """So that a person, and a test, can paste it."""
    lines = running.curl_lines("http://127.0.0.1:8080")
    assert all(line.startswith("curl ") and "\n" not in line for line in lines)


async def test_the_greeting_has_every_line_by_itself(running: Demo) -> None:
    """Nothing stands before or after one."""
    base = "http://127.0.0.1:8080"
    shown = running.greeting(base).splitlines()
    assert [line for line in shown if line.startswith("curl ")] == running.curl_lines(base)


@pytest.fixture
async def served() -> AsyncIterator[tuple[Demo, str]]:
    """The demo with a gateway before it, and the gateway's address."""
    async with demo(f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}") as found:
        gateway = Gateway(load(found.config, {}), Clock(), application_log(sys.stderr, "error"))
        await gateway.start()
        yield found, "http://127.0.0.1:%d" % gateway.address[1]  # noqa: UP031
        await gateway.drain()
        await gateway.aclose()


async def paste(line: str) -> str:
    process = await asyncio.create_subprocess_shell(line, stdout=asyncio.subprocess.PIPE)
    printed, _ = await process.communicate()
    return printed.decode()


async def test_the_lines_work_when_pasted(served: tuple[Demo, str]) -> None:
    """What each of them shows, in order."""
    found, base = served
    asked, page, entered, *shown = [await paste(line) for line in found.curl_lines(base)]
    public, hello, orders, reports, profile, sessions, nobody, reader = shown
    assert json.loads(asked) == {"sent": True}
    assert "Show the code" in page
    assert json.loads(entered)["profile"] == json.loads(profile)
    assert {row["current"] for row in json.loads(sessions)} == {True, False}
    assert json.loads(public)["profile"] is None
    assert ["x-mycelium-email", "ada@example.com"] in json.loads(hello)["headers"]
    assert json.loads(orders)["profile"] == json.loads(profile)
    assert [row["role"] for row in json.loads(reports)["profile"]["licensedResources"]["records"]] == ["manager"]
    assert nobody.startswith("HTTP/1.1 401 ")
    assert reader.startswith("HTTP/1.1 403 ")


async def test_the_echo_tells_what_it_got(aiohttp_client: AiohttpClient) -> None:
    """Method, raw path, query, headers in order, body; no profile is null."""
    client = await aiohttp_client(echo_application())
    answer = await client.post("/a%20b/c?x=1&x=2", data="hello", headers=[("X-A", "1"), ("X-A", "2")])
    seen = await answer.json()
    pairs = [pair for pair in seen.pop("headers") if pair[0] == "X-A"]
    assert (pairs, seen) == (
        [["X-A", "1"], ["X-A", "2"]],
        {"method": "POST", "path": "/a%20b/c", "query": "x=1&x=2", "body": "hello", "profile": None},
    )


@pytest.mark.parametrize(
    ("size", "shown"), [(ECHO_BODY, ECHO_BODY), (ECHO_BODY + 1, ECHO_BODY), (3_000_000, ECHO_BODY)]
)
async def test_the_echo_shows_a_bounded_part_of_the_body(aiohttp_client: AiohttpClient, size: int, shown: int) -> None:
    """It reads all of it and keeps 64 KiB."""
    client = await aiohttp_client(echo_application())
    assert len((await (await client.post("/", data=io.BytesIO(b"x" * size))).json())["body"]) == shown


def test_no_profile_decodes_to_none() -> None:
    """A public route has none."""
    assert decode_profile(None) is None
