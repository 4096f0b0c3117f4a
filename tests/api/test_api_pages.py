"""The page of the API and its files: as released, from the package, within a policy."""

import hashlib
import re
from pathlib import Path

import pytest
from e2e.world import ask, bearer
from harness.people import People

from gateway.control.api.pages import FILES, FOLDER

from .desk import BASE, Desk, opened

SUMS = re.compile(r"^([0-9a-f]{64})  (\S+)$", re.M)


def test_swagger_ui_is_as_it_was_released() -> None:
    """By the sums beside it: nobody has put anything into it."""
    said = {name: digest for digest, name in SUMS.findall((FOLDER / "ORIGIN").read_text())}
    assert said == {name: hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() for name in said}
    assert {path.name for path in FOLDER.iterdir()} == {*said, "ORIGIN", "index.html", "start.js"}


def test_the_page_loads_its_own_files_under_a_strict_policy(desk: Desk) -> None:
    """No script and no style stands in it."""
    page = desk.ask("GET", "/_adm/docs")
    text = page.body.decode()
    assert page.headers["Content-Security-Policy"].startswith(
        "default-src 'none'; script-src 'self'; style-src 'self';"
    )
    assert "unsafe" not in page.headers["Content-Security-Policy"]
    assert re.findall("<script[^>]*>(.*?)</script>", text, re.S) == ["", ""]
    assert "<style" not in text
    assert "://" not in text
    for path in re.findall(r'(?:src|href)="(/[^"]+)"', text):
        assert desk.ask("GET", path).status == 200


@pytest.mark.parametrize("name", FILES)
def test_a_file_has_its_type_and_may_be_kept(desk: Desk, name: str) -> None:
    """It is the same for everybody."""
    answer = desk.ask("GET", f"/_adm/docs/{name}")
    assert (answer.status, answer.headers.get_content_type()) == (200, FILES[name])
    assert answer.body == (FOLDER / name).read_bytes()
    assert answer.headers["Cache-Control"].startswith("public")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("name", ["ORIGIN", "index.html", "../pages.py", "%2e%2e/pages.py"])
def test_no_other_file_is_served(desk: Desk, name: str) -> None:
    """Each has a path of its own; no name is looked for in a folder."""
    assert desk.ask("GET", f"/_adm/docs/{name}").status in (400, 404)


def test_off_nothing_of_it_is_there(people: People, tmp_path: Path) -> None:
    """The logins are; and nobody who is not there is let in for being invited."""
    with opened(tmp_path, people, login={"mycelium": {"admin": False}}) as desk:
        for path in (f"{BASE}/tenants", "/_adm/openapi.json", "/_adm/docs", "/_adm/invitations/x"):
            assert desk.ask("GET", path, desk.staff).status == 404
        assert desk.ask("GET", "/_adm/beginners/profile", desk.staff).status == 200


def test_it_goes_where_the_mount_is(people: People, tmp_path: Path) -> None:
    """With its document and its page."""
    with opened(tmp_path, people, login={"mycelium": {"mount": "/own"}}) as desk:
        url = f"{desk.host.url}/own"
        assert ask(f"{url}/api/v1/tenants", headers=bearer(desk.staff.token)).status == 200
        assert all(path.startswith("/own/") for path in ask(f"{url}/openapi.json").json()["paths"])
        assert b"/own/docs/start.js" in ask(f"{url}/docs").body
