"""S-14 to S-16: which rule holds for a path, a query and a host, in every way to write them."""

import pytest
from harness.site import Site

PREFIXED = [
    {"path": "/api/**", "access": "public", "strip_prefix": "/api"},
    {"path": "/api/admin/**", "access": "protected", "strip_prefix": "/api"},
    {"path": "/v1/{id}/**", "access": "protected", "strip_prefix": "/v1"},
    {"path": "/admin/**", "access": "protected"},
]


async def statuses(site: Site, routes: list[dict[str, object]], targets: list[str], base: str = "") -> list[int]:
    """Without a credential, each on its own connection."""
    upstream = await site.upstream()
    running = await site.gateway(f"{upstream.url}{base}", routes=routes)
    found = []
    for target in targets:
        client = await site.client(running)
        found.append((await client.ask(target)).status)
        client.close()
    return found


@pytest.mark.parametrize("base", ["", "/base", "/base/"])
@pytest.mark.parametrize(
    ("target", "sent"),
    [
        ("/api", "/"),
        ("/api/", "/"),
        ("/api/x", "/x"),
        ("/api/x/", "/x/"),
        ("/api/x?y=/api/z", "/x?y=/api/z"),
        ("/api?y", "/?y"),
        ("/api/?y", "/?y"),
        ("/api/api/x", "/api/x"),
        ("/api/@evil.test/x", "/@evil.test/x"),
        ("/api/http:x", "/http:x"),
    ],
)
async def test_s14_a_prefix_is_taken_off_once_after_the_rule(site: Site, base: str, target: str, sent: str) -> None:
    """What is left is a path on the endpoint that the route names, below its own path."""
    upstream = await site.upstream()
    client = await site.client(await site.gateway(f"{upstream.url}{base}", routes=PREFIXED))
    assert (await client.ask(target)).status == 200
    assert upstream.requests[0].target.decode() == base.rstrip("/") + sent
    assert upstream.requests[0].one(b"host") == b"gateway.test"


async def test_s14_no_path_gets_around_the_rule_by_its_prefix(site: Site) -> None:
    """What would be /admin behind the prefix is asked for under the rule of the whole path, or not at all."""
    targets = [
        "/api/admin", "/api/admin/", "/api/admin/x", "/api/admin?x", "/admin/x", "/v1/7", "/v1/7/", "/v1/7/admin",
    ]  # fmt: skip
    assert await statuses(site, PREFIXED, targets) == [401] * len(targets)
    odd = [
        "/api//admin", "/api/./admin", "/api/../admin", "/api/x/../admin", "/api/;/admin", "/api;/admin",
        "/api%2Fadmin", "/api/%61dmin", "/api/admin;jsessionid=1", "/api/admin%2F", "/api/adm\\in",
        "/api/x/..;/admin", "/api/.",
        "/api//evil.test/x", "/api/..", "/api/admin%20/..",
    ]  # fmt: skip
    assert await statuses(site, PREFIXED, odd) == [400] * len(odd)


async def test_s14_a_prefix_is_whole_segments(site: Site) -> None:
    """In its own case."""
    targets = ["/api-admin", "/api-admin/x", "/apix", "/ap", "/API/x", "/Api", "/api.x", "/v1", "/v1/", "/x/api/y"]
    assert await statuses(site, PREFIXED, targets) == [404] * len(targets)


async def test_s14_a_slash_at_the_end_is_another_path(site: Site) -> None:
    """It is below the same prefix, and not the same name: what one of them allows the other does not."""
    routes: list[dict[str, object]] = [
        {"path": "/a", "access": "public"},
        {"path": "/a/**", "access": "protected"},
        {"path": "/b/", "access": "public"},
        {"path": "/c/{id}", "access": "public"},
    ]
    targets = ["/a", "/a/", "/a/x", "/b", "/b/", "/c/1", "/c/", "/c", "/c/1/"]
    assert await statuses(site, routes, targets) == [200, 401, 401, 404, 200, 200, 404, 404, 404]


OPEN: list[dict[str, object]] = [
    {"path": "/public/**", "access": "public"},
    {"path": "/health", "access": "public"},
    {"path": "/pub.ic/v1.0/**", "access": "public"},
    {"path": "/a+b/(x|y)/**", "access": "public"},
    {"path": "/**", "access": "protected"},
]


async def test_s15_open_paths_are_open_segment_by_segment(site: Site) -> None:
    """A name that begins or ends like one of them, or holds it, is another."""
    good = ["/public", "/public/", "/public/x", "/public/x/y/", "/health", "/public?x", "/health?x=/secure"]
    assert await statuses(site, OPEN, good) == [200] * len(good)
    near = [
        "/publicity", "/public-x", "/public.x", "/public_x", "/public~", "/xpublic", "/x/public", "/secure/public/x",
        "/healthz", "/health/", "/health/x", "/healt", "/Public/x", "/PUBLIC", "/HEALTH", "/public%20/x",
    ]  # fmt: skip
    assert await statuses(site, OPEN, near) == [401] * len(near)


async def test_s15_nothing_in_a_rule_is_a_pattern(site: Site) -> None:
    """Dots, signs and brackets are themselves."""
    near = ["/pubXic/v1.0", "/pub.ic/v1x0", "/aab/(x|y)", "/a+b/x", "/a+b/(x", "/aaab/y"]
    assert await statuses(site, OPEN, near) == [401] * len(near)
    assert await statuses(site, OPEN, ["/a+b/(x|y)", "/a+b/(x|y)/z"]) == [200, 200]


async def test_s15_a_query_has_no_say(site: Site) -> None:
    """Whatever it looks like; a fragment, raw or encoded, is no way to add one."""
    queries = [
        "?/public/", "?/public/x", "?x=/public/x", "?/../public", "?public", "?/health", "?&/public/x", "??/public/x",
        "?%2Fpublic%2Fx", "?;/public/x", "?..%2f..%2fpublic", "?x=1&y=/health", "?" + "/public/x" * 50,
    ]  # fmt: skip
    targets = [f"/secure/x{query}" for query in queries] + [f"/{query}" for query in queries]
    assert await statuses(site, OPEN, targets) == [401] * len(targets)
    for behind in ("#/public/x", "?#/public/x", "%23/../public/x", "/..%2f..%2fpublic/x"):
        assert await statuses(site, OPEN, [f"/secure/x{behind}"]) == [400]
    assert await statuses(site, OPEN, ["/secure/x%3F/public/x", "/secure/x%23/public/x"]) == [401, 401]


HOSTED: list[dict[str, object]] = [
    {"path": "/x", "access": "protected", "host": "api.test"},
    {"path": "/x", "access": "protected", "host": "xn--bcher-kva.test"},
    {"path": "/x", "access": "protected", "host": "[2001:db8::1]"},
    {"path": "/x", "access": "protected", "host": "192.0.2.1"},
    {"path": "/x", "access": "public"},
]
SAME = [
    b"api.test", b"API.TEST", b"Api.Test", b"api.test.", b"API.TEST.", b"api.test:80", b"api.test:8443",
    b"api.test.:443", b"api.test:", b"api.test:0", b"xn--bcher-kva.test",
    b"XN--BCHER-KVA.TEST:8080", b"xn--bcher-kva.test.",
    b"[2001:db8::1]", b"[2001:DB8::1]:443", b"[2001:db8:0:0:0:0:0:1]", b"[2001:0db8::0001]", b"192.0.2.1",
    b"192.0.2.1:80",
]  # fmt: skip
OTHER = [b"api.test.evil.test", b"xapi.test", b"api-test", b"api.tes", b"sub.api.test", b"192.0.2.10"]
NONE = [
    b"user@api.test", b"api.test@evil.test", b"user:pw@api.test", b"api.test:80@evil.test", b"@api.test", b"api.test:x",
    b"api.test:123456", b"api.test:-1", b"api.test..", b".api.test", b"api..test", b"api.test,evil.test", b"api.test/",
    b"api.test/x", b"api.test?x", b"api.test#x", b"api.test\\x", b"api%2etest", b"api.test%00", b"api\xe3\x80\x82test",
    b"b\xc3\xbccher.test", b"b\xfccher.test", b"B\xc3\x9cCHER.test", b"[2001:db8::1", b"2001:db8::1", b"[::1]x",
    b"[fe80::1%25eth0]", b"api.test api.test", b"api.test\tx", b"", b"a" * 64 + b".test", b"http://api.test",
]  # fmt: skip


async def test_s16_a_host_is_the_same_in_every_spelling(site: Site) -> None:
    """Case, port, a dot at the end, the forms of an address: the rule of that host holds, not the one of any."""
    client = await site.client(await site.gateway(await site.upstream(), routes=HOSTED))
    assert [(host, (await client.ask("/x", host=host)).status) for host in SAME] == [(host, 401) for host in SAME]
    for host in SAME:
        target = f"http://{host.decode()}/x"
        assert (host, (await client.ask(target, host=host)).status) == (host, 401)


async def test_s16_another_host_is_another(site: Site) -> None:
    """However much it looks like it."""
    client = await site.client(await site.gateway(await site.upstream(), routes=HOSTED))
    assert [(host, (await client.ask("/x", host=host)).status) for host in OTHER] == [(host, 200) for host in OTHER]


async def test_s16_what_is_no_host_is_refused(site: Site) -> None:
    """User information, other scripts as they are, bad ports, several: 400, and no service hears of it."""
    upstream = await site.upstream()
    running = await site.gateway(upstream, routes=HOSTED)
    for host in NONE:
        client = await site.client(running)
        answer = await client.ask("/x", host=host)
        assert (host, answer.status, answer.code) == (host, 400, "bad_host")
        client.close()
    assert not upstream.lines
