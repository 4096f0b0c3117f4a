"""S-10, S-11: no Host says where mails lead; no name of a program, and no nearness, opens anything."""

import json
import re
from collections.abc import Mapping

import pytest
from harness.client import Answer, request
from harness.site import Running, Site
from identity.core.desk import ADA, BASE, BOB, JSON, PASSWORD, Desk, message, plain, seated

from .ground import DECIDE, question

HOSTS = (
    b"evil.test",
    b"evil.test:80",
    b"EVIL.test.",
    b"gateway.test.evil.test",
    b"127.0.0.1",
    b"[::1]:8080",
    b"localhost",
)


async def mailed(desk: Desk, host: bytes, path: str, said: Mapping[str, str]) -> str:
    """The mail that the call causes."""
    before = set(desk.outbox.glob("*.eml"))
    client = await desk.site.client(desk.running)
    body = json.dumps(said).encode()
    answer = await client.ask(path, JSON, b"Origin: http://" + host, method="POST", body=body, host=host)
    assert answer.status == 200, answer.body
    assert b"evil.test" not in (answer.body + b"".join(value for _, value in answer.fields)).lower()
    await desk.quiet()
    (mail,) = set(desk.outbox.glob("*.eml")) - before
    whole = message(mail)
    parts = [part.get_content() for part in whole.walk() if part.get_content_maintype() == "text"]
    assert "evil.test" not in str([*whole.items(), *parts]).lower()
    client.close()
    return plain(mail)


@pytest.mark.parametrize(
    ("path", "said", "link"),
    [
        (f"{BASE}/users/magic-link/request", {"email": BOB}, "http://gateway.test/_adm/beginners/users/magic-link/"),
        (f"{BASE}/users/start-password-reset", {"email": BOB}, None),
        (
            "/auth/login",
            {"username": "ada", "email": ADA, "session_platform": "x"},
            "http://gateway.test/auth/confirm/",
        ),
    ],
)
async def test_s10_no_host_says_where_a_mail_leads(
    site: Site, path: str, said: Mapping[str, str], link: str | None
) -> None:
    """Every kind of mail that a stranger can cause, whatever Host and Origin are."""
    desk = await seated(site, login={"navak": {}}, routes=[{"path": "/public/**", "access": "public"}])
    for host in HOSTS:
        text = await mailed(desk, host, path, said)
        assert {name.rstrip(".") for name in re.findall(r"://([^\s/]+)", text)} <= {"gateway.test"}
        assert link is None or link in text


async def test_s10_tokens_are_issued_by_the_configuration(site: Site) -> None:
    """Under any Host: a token of ours does not say that another name has issued it."""
    desk = await seated(site)
    await desk.give_password(ADA)
    client = await site.client(desk.running)
    body = json.dumps({"email": ADA, "password": PASSWORD}).encode()
    answer = await client.ask(f"{BASE}/users/login", JSON, method="POST", body=body, host=b"evil.test")
    client = await site.client(desk.running)
    bearer = b"Authorization: Bearer " + json.loads(answer.body)["token"].encode()
    assert (await client.ask("/secure/x", bearer)).status == 200


ROUTES = [
    {"path": "/x/**", "access": "public", "host": "shop.test"},
    {"path": "/x/**", "access": "protected", "host": "api.test"},
]


@pytest.mark.parametrize("host", HOSTS)
async def test_s10_an_unknown_host_has_no_route(site: Site, host: bytes) -> None:
    """404, and nothing is forwarded, where routes name their hosts; also to a data plane that asks."""
    upstream = await site.upstream()
    running = await site.gateway(upstream, routes=ROUTES, decide=DECIDE)
    client = await site.client(running)
    answers = [await client.ask("/x/1", running.people.ada.field, host=host)]
    asked = question("traefik", "/x/1").replace(b"-Host: gateway.test", b"-Host: " + host)
    await client.send(asked)
    answers.append(await client.answer())
    assert [(answer.status, answer.code) for answer in answers] == [(404, "no_route")] * 2
    assert not upstream.requests


async def admin(site: Site, running: Running, host: bytes) -> Answer:
    """Of the listener of operators."""
    running.gateway.address, kept = running.gateway.admin_address, running.gateway.address
    try:
        client = await site.client(running)
    finally:
        running.gateway.address = kept
    token = (running.people.folder / "admin.token").read_bytes()
    return await client.ask("/metrics", b"Authorization: Bearer " + token, host=host)


async def test_s10_the_admin_listener_knows_its_names(site: Site) -> None:
    """421 for any other, with the right token too: a name that an attacker owns may lead here (DNS rebinding)."""
    running = await site.gateway(await site.upstream())
    for host in (b"evil.test", b"gateway.test", b"localhost.evil.test", b"127.0.0.1.evil.test"):
        answer = await admin(site, running, host)
        assert (answer.status, answer.code) == (421, "misdirected")
    assert (await admin(site, running, b"127.0.0.1")).status == 200


AGENTS = (
    b"kube-probe/1.31",
    b"GoogleHC/1.0",
    b"ELB-HealthChecker/2.0",
    b"Consul Health Check",
    b"Prometheus/2.53.0",
    b"Amazon-Route53-Health-Check-Service",
    b"Envoy/HC",
    b"HAProxy",
    b"Blackbox Exporter/0.25.0",
    b"UptimeRobot/2.0",
    b"curl/8.5.0",
    b"Mozilla/5.0",
    b"gateway",
    b"healthcheck",
    b"",
)
PROBED = ("/healthz", "/readyz", "/livez", "/ping", "/ready", "/health", "/metrics", "/secure/healthz", "/secure/ping")


async def test_s11_no_user_agent_is_let_in(site: Site) -> None:
    """On no path, probed or not, by no method that probes use."""
    upstream = await site.upstream()
    client = await site.client(await site.gateway(upstream))
    for agent in AGENTS:
        for path in (*PROBED, "/secure/x", "/auth/x", "/roles/x"):
            for method in ("GET", "HEAD"):
                answer = await client.ask(path, b"User-Agent: " + agent, method=method)
                assert answer.status == (404 if path in PROBED[:-2] else 401)
    assert not upstream.requests


async def test_s11_health_is_not_told_on_the_listener_of_clients(site: Site) -> None:
    """Nor by what is written into Host, or before it."""
    running = await site.gateway(await site.upstream(), listen={"trusted_proxies": ["127.0.0.1"]})
    client = await site.client(running)
    for host in (b"localhost", b"127.0.0.1", b"[::1]", b"gateway.test"):
        for claims in ((), (b"X-Forwarded-For: 127.0.0.1",), (b"Forwarded: for=127.0.0.1;host=localhost",)):
            assert (await client.ask("/metrics", *claims, host=host)).status == 404
            assert (await client.ask("/secure/x", *claims, host=host)).status == 401


SOMEBODY = (
    b"X-Forwarded-For: 127.0.0.1",
    b"X-Forwarded-Host: localhost",
    b"X-Forwarded-Proto: http",
    b"X-Forwarded-Port: 8080",
    b"X-Forwarded-Server: localhost",
    b"X-Forwarded-By: localhost",
    b"X-Forwarded-Scheme: http",
    b"X-Forwarded-Ssl: on",
    b"X-Forwarded-Prefix: /x",
    b"Front-End-Https: on",
    b"X-Original-Host: localhost",
    b"X-Original-URL: /x",
    b"Forwarded: for=127.0.0.1",
    b"X-Real-IP: 127.0.0.1",
    b"True-Client-IP: 127.0.0.1",
    b"X-Client-IP: 127.0.0.1",
    b"X-Cluster-Client-IP: 127.0.0.1",
    b"CF-Connecting-IP: 127.0.0.1",
    b"Via: 1.1 localhost",
    b"Origin: http://evil.test",
)


@pytest.mark.parametrize("trusted", [[], ["127.0.0.1"]])
async def test_s11_who_comes_through_a_relay_is_not_at_the_machine(site: Site, trusted: list[str]) -> None:
    """The one thing that is for this machine alone, the end of a second factor without a code: 403 with any word of a
    relay's, for its client may be anywhere. Without one it works.
    """
    running = await site.gateway(await site.upstream(), login={"pipelit": {}}, listen={"trusted_proxies": trusted})
    client = await site.client(running)
    found: dict[bytes, int] = {}
    for claim in (*SOMEBODY, b"X-Other: 1"):
        answer = await client.ask(
            "/api/v1/auth/mfa/reset/", running.people.ada.field, claim, method="POST", body=b"", host=b"127.0.0.1:8080"
        )
        found[claim] = answer.status
    assert found == {**dict.fromkeys(SOMEBODY, 403), b"X-Other: 1": 200}


async def test_s11_another_host_is_not_this_machine(site: Site) -> None:
    """A page of another site may have its name lead here."""
    running = await site.gateway(await site.upstream(), login={"pipelit": {}})
    client = await site.client(running)
    await client.send(request("/api/v1/auth/mfa/reset/", running.people.ada.field, method="POST", body=b""))
    assert (await client.answer()).status == 403
