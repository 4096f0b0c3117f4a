"""The built site: whole, of this repository alone, and usable in a browser that can reach nothing else."""

import mimetypes
import re
import shutil
from collections.abc import Iterator
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from browser.chromium import Browser

from docs.contents import sections
from docs.links import kept

from .conftest import built
from .pages import ROOT

pytestmark = pytest.mark.timeout(240)  # each build is an interpreter that reads all pages

# What a browser fetches by itself. `a` is not among it: a reader may be told of a standard elsewhere.
LOADING = {"src", "srcset", "data", "poster", "background", "action", "formaction", "manifest"}


class Loads(HTMLParser):
    """The addresses that a page makes its browser fetch."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in LOADING or (name == "href" and tag in ("link", "use", "image", "base")):
                self.found.append(value or "")
            if name == "style":
                self.found += styled(value or "")


def styled(css: str) -> list[str]:
    """What a style sheet fetches."""
    return re.findall(r"url\(\s*[\"']?([^\"')]+)", css) + re.findall(r"@import\s+[\"']([^\"']+)", css)


def fetched(site: Path) -> Iterator[tuple[Path, str]]:
    for path in site.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        yield from ((path, address) for address in Loads(text).found)
        yield from (
            (path, address) for style in re.findall(r"<style.*?</style>", text, re.S) for address in styled(style)
        )
    for path in site.rglob("*.css"):
        yield from ((path, address) for address in styled(path.read_text(encoding="utf-8")))


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    """No font, script, style or picture: `data:` and files of the site alone."""
    found = list(fetched(site))
    assert len(found) > 100
    strangers = {
        (path.name, address)
        for path, address in found
        if not address.startswith("data:") and (urlsplit(address).scheme or urlsplit(address).netloc)
    }
    assert strangers == set()


def test_what_is_fetched_is_there(site: Path) -> None:
    """In the site, at its address."""
    missing = {
        address
        for path, address in fetched(site)
        if not address.startswith(("data:", "#")) and not (path.parent / urlsplit(address).path).exists()
    }
    assert missing == set()


@pytest.mark.parametrize(
    ("tag", "address"),
    [
        ('<script src="https://x.example/a.js">', "https://x.example/a.js"),
        ('<link rel="stylesheet" href="//x.example/a.css">', "//x.example/a.css"),
        ('<p style="background: url(http://x.example/a.png)">', "http://x.example/a.png"),
    ],
)
def test_a_page_that_fetched_would_be_seen(tag: str, address: str) -> None:
    """The reading above knows the ways of fetching."""
    assert Loads(tag).found == [address]


def test_every_page_is_in_the_navigation(site: Path) -> None:
    """From the first page on."""
    text = (site / "index.html").read_text(encoding="utf-8")
    pages = [page for section in sections() for page in section.pages]
    assert [page for page in pages if f'href="{page}.html"' not in text] == []


@pytest.mark.parametrize(
    ("link", "complaint"),
    [
        ("[x](nowhere.md)", "nowhere"),
        ("[x](reload.md#nowhere)", "nowhere"),
        ("[x](#nowhere)", "nowhere"),
        ("[x](../config/nowhere.yaml)", "nowhere"),
    ],
)
def test_a_link_that_leads_nowhere_fails_the_build(link: str, complaint: str, tmp_path: Path) -> None:
    """To a page, to an anchor, or to a file beside the pages."""
    docs = tmp_path / "docs"
    docs.mkdir()
    for source in (ROOT / "docs").glob("*.py"):
        shutil.copy(source, docs)
    (docs / "index.md").write_text("# All\n")
    (docs / "reload.md").write_text(f"# Reload\n\n## Here\n\n[here](#here) {link}\n")
    done = built(docs, tmp_path / "site")
    assert (done.returncode, "WARNING" in done.stderr, complaint in done.stderr) == (1, True, True)


def test_a_page_that_no_list_names_is_taken_in(tmp_path: Path) -> None:
    """At the end of what is about operating."""
    for page in ("index", "explain", "anew"):
        (tmp_path / f"{page}.md").write_text(f"# {page}\n")
    assert [section.pages for section in sections(tmp_path) if section.pages] == [("explain", "anew")]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("[a](../f.txt)", "[a](<path:../f.txt>)"),
        ("[a](../f.txt#part)", "[a](<path:../f.txt>)"),
        ("[a](../sub)", "a"),
        ("[a](../none)", "[a](../none)"),
        ("[a](b.md) [c](https://x.example/)", "[a](b.md) [c](https://x.example/)"),
    ],
)
def test_a_link_out_of_the_pages_is_a_download_or_a_name(text: str, shown: str, tmp_path: Path) -> None:
    """The site has no folders of the repository, and no way to it."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "sub").mkdir()
    (tmp_path / "f.txt").touch()
    assert kept(text, tmp_path / "docs/a.md", tmp_path / "docs") == shown


async def test_chromium_reads_it_and_asks_nobody_else(site: Path, tmp_path: Path) -> None:
    """Pages at every depth, and the search: each request of the browser is to the site, and the console stays empty."""
    application = web.Application()
    application.router.add_get("/favicon.ico", no_icon)
    application.router.add_get("/{name:.+}", partial(page_of, site))
    server = TestServer(application)
    await server.start_server()
    try:
        async with Browser(tmp_path) as browser:
            for page in ("index.html", "configuration.html", "runbook.html", "dialects/navak.html"):
                await browser.open(str(server.make_url(f"/{page}")))
                assert await browser.evaluate("document.fonts.size") == 0
            assert await browser.evaluate("document.querySelectorAll('h1').length") == 1
            await browser.open(str(server.make_url("/search.html?q=smuggling")))
            found = "document.querySelectorAll('ul.search li a').length"
            await until(browser, found)
            own = str(server.make_url("/"))
            assert len(browser.requested) > 20
            assert [url for url in browser.requested if not url.startswith((own, "data:", "about:"))] == []
            assert browser.complaints == []
    finally:
        await server.close()


async def page_of(site: Path, request: web.Request) -> web.Response:
    """Read at once: what aiohttp serves as a file stays open for a while where the browser leaves before its end."""
    path = site / request.match_info["name"]
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return web.Response(body=path.read_bytes(), headers={"Content-Type": kind})


async def no_icon(_: web.Request) -> web.Response:
    """Chromium asks for one on its own."""
    return web.Response(status=204)


async def until(browser: Browser, script: str) -> None:
    """Until the page's own script has come to something."""
    wait = f"new Promise(done => {{ const look = () => ({script}) ? done(1) : setTimeout(look, 20); look() }})"
    await browser.evaluate(f"(window.waited = {wait}.then(() => window.ready = true), 0)")
    for _ in range(2000):
        if await browser.evaluate("window.ready === true"):
            return
    raise AssertionError(f"never: {script}")
