"""`gateway diff`: the routes and keys that changed, and the logged requests that would be decided otherwise."""

import json
from pathlib import Path
from typing import Any

import pytest

from .conftest import Ask, Run

ORDERS = "  - { path: /orders/**, upstream: orders, access: protected }"
OPEN = "  - { path: /open/**, upstream: orders, access: public }"
KNOWN = "  - { path: /known/**, upstream: orders, access: authenticated }"
ROLE = "{ roles: [{ role: manager, permission: write }] }"


def written(name: str, *routes: str, more: str = "") -> str:
    """A configuration beside the one that `init` has written, whose text it begins with."""
    upstreams = (
        "upstreams:\n  orders: { endpoints: [http://127.0.0.1:9001] }\n  other: { endpoints: [http://127.0.0.1:9002] }"
    )
    text = "\n".join([Path("config.yaml").read_text(), more, upstreams, "routes:", *routes, ""])
    Path(name).write_text(text)
    return name


def line(path: str | None, status: int = 200, **said: object) -> str:
    first = {"time": "2026-01-01T00:00:00.000Z", "id": "7a9b0fae-1111-4000-8000-000000000000", "client": "192.0.2.1"}
    rest = {"method": "GET", "route": "/**", "path": path, "upstream": "orders", "status": status}
    return json.dumps({**first, **rest, "reason": None, "account": None, "grant": None, **said}) + "\n"


def told(run: Run, *words: str, code: int) -> Any:
    result = run("diff", *words, "--json")
    assert result.exit_code == code, result.stderr
    return json.loads(result.stdout)


def test_the_same_is_no_difference(run: Run) -> None:
    """In another order, too; exit code 0."""
    old, new = written("old.yaml", ORDERS, OPEN), written("new.yaml", OPEN, ORDERS)
    assert told(run, old, new, code=0) == {"routes": [], "settings": [], "requests": None}
    assert run("diff", old, new).stdout == "no route and no setting differs\n"


def test_routes_that_came_went_and_changed_are_told(run: Run) -> None:
    """With their places, and the keys that changed."""
    old = written("old.yaml", ORDERS, OPEN)
    new = written("new.yaml", ORDERS.replace("protected", ROLE).replace("upstream: orders", "upstream: other"), KNOWN)
    changed, removed, added = told(run, old, new, code=1)["routes"]
    assert [(one["change"], one["route"]) for one in (changed, removed, added)] == [
        ("changed", "/orders/**"), ("removed", "/open/**"), ("added", "/known/**"),
    ]  # fmt: skip
    keys = {key["key"]: (key["old"], key["new"]) for key in changed["keys"]}
    assert keys["upstream"] == ("orders", "other")
    assert keys["access.kind"] == ("protected", "roles")
    assert (removed["new"], added["old"]) == (None, None)
    assert removed["old"].startswith("old.yaml:")


def test_methods_that_changed_are_a_change_of_the_route(run: Run) -> None:
    """Not one that went and another that came."""
    narrow = ORDERS.replace("{ path", "{ methods: [GET], path")
    (change,) = told(run, written("old.yaml", ORDERS), written("new.yaml", narrow), code=1)["routes"]
    assert (change["change"], [key["key"] for key in change["keys"]]) == ("changed", ["methods"])


def test_other_keys_are_told(run: Run) -> None:
    """Of an upstream as well, by its name."""
    old, new = written("old.yaml", ORDERS), written("new.yaml", ORDERS, more="cache: { size: 500 }")
    Path(new).write_text(Path(new).read_text().replace("9002]", "9003], pool: 5"))
    found = told(run, old, new, code=1)["settings"]
    assert {"key": "cache.size", "old": "100000", "new": "500"} in found
    assert {"key": "upstreams.other.pool", "old": "256", "new": "5"} in found


def test_a_secret_that_changed_is_told_by_its_place(run: Run) -> None:
    """Never by its value."""
    old, new = written("old.yaml", ORDERS), written("new.yaml", ORDERS)
    Path("other.token").write_text("a-value-of-this-test")
    Path(new).write_text(
        Path(new).read_text() + "mail: { url: smtp://me@localhost, password: { file: other.token } }\n"
    )
    result = run("diff", old, new)
    assert (result.exit_code, "other.token" in result.stdout) == (1, True)
    assert "a-value-of-this-test" not in result.stdout


def test_a_configuration_with_a_fault_is_misuse(run: Run) -> None:
    """Exit code 2, with the fault's place."""
    old, new = written("old.yaml", ORDERS), written("new.yaml", ORDERS, more="cache: { sise: 1 }")
    result = run("diff", old, new)
    assert (result.exit_code, "new.yaml:" in result.stderr) == (2, True)


@pytest.fixture
def grant(ask: Ask, held: tuple[str, str, str]) -> str:
    """Of a manager."""
    ask("token", "issue", "--account", held[0])
    (found,) = ask("grant", "list", "--account", held[0])
    return str(found["id"])


def replayed(run: Run, *lines: str, old: str = ORDERS, new: str, code: int = 1) -> Any:
    Path("access.log").write_text("".join(lines))
    words = (written("old.yaml", old), written("new.yaml", new), "--log", "access.log")
    return told(run, *words, code=code)["requests"]


def outcomes(found: Any) -> list[tuple[str, str, int]]:
    return [(one["old"]["outcome"], one["new"]["outcome"], one["count"]) for one in found["different"]]


def test_a_request_that_would_be_refused_is_found(run: Run, grant: str) -> None:
    """The caller is looked up by the grant of the line: this one lacks the role."""
    found = replayed(
        run,
        line("/orders/1", grant=grant) * 3,
        new=ORDERS.replace("protected", "{ roles: [{ role: auditor, permission: read }] }"),
    )
    assert outcomes(found) == [("forwarded", "role_missing", 3)]
    assert found["different"][0]["example"]["path"] == "/orders/1"


def test_a_request_that_would_pass_all_the_same_is_not(run: Run, grant: str) -> None:
    """The rule is another, the decision is not."""
    assert outcomes(replayed(run, line("/orders/1", grant=grant), new=ORDERS.replace("protected", ROLE))) == []


def test_another_upstream_is_another_decision(run: Run, grant: str) -> None:
    """Somebody else gets the request."""
    new = ORDERS.replace("upstream: orders", "upstream: other")
    assert outcomes(replayed(run, line("/orders/1", grant=grant), new=new)) == [("forwarded", "forwarded", 1)]


def test_requests_without_a_credential_are_decided(run: Run) -> None:
    """A route that is no longer public."""
    found = replayed(
        run,
        line("/open/1") * 2,
        line("/none/1", 404, reason="no_route"),
        old=OPEN,
        new=OPEN.replace("public", "protected"),
    )
    assert outcomes(found) == [("forwarded", "no_credential", 2)]
    assert found["lines"] == 3


def test_a_route_that_is_gone_is_found(run: Run, grant: str) -> None:
    """Whoever asked for it."""
    assert outcomes(replayed(run, line("/orders/1", grant=grant), new=OPEN)) == [("forwarded", "no_route", 1)]


def test_what_depends_on_a_credential_is_the_same_under_the_same_rule(run: Run) -> None:
    """The token of another issuer, or a wrong one: the log has neither."""
    lines = (line("/orders/1", account="a"), line("/orders/2", 401, reason="invalid_credential"))
    found = replayed(run, *lines, new=ORDERS.replace("protected", ROLE))
    depends = "it depends on the credential"
    assert outcomes(found) == [(depends, depends, 2)]


def test_a_grant_that_is_gone_is_decided_as_now(run: Run, ask: Ask, grant: str) -> None:
    """By both configurations alike."""
    ask("grant", "revoke", grant)
    found = replayed(run, line("/orders/1", grant=grant), new=OPEN)
    assert outcomes(found) == [("revoked_credential", "no_route", 1)]


def test_lines_that_cannot_be_decided_are_counted(run: Run) -> None:
    """A built-in endpoint's has no path, and a torn line is none."""
    found = replayed(run, line(None), "nonsense\n", '{"time":', new=OPEN)
    assert (found["lines"], found["skipped"], found["different"]) == (0, 3, [])


def test_the_text_has_the_counts_and_an_example(run: Run) -> None:
    """For people."""
    Path("access.log").write_text(line("/open/1") * 12)
    old, new = written("old.yaml", OPEN), written("new.yaml", OPEN.replace("public", "protected"))
    result = run("diff", old, new, "--log", "access.log")
    assert "12 of 12 requests would be decided otherwise (0 lines skipped)" in result.stdout
    assert "12  forwarded (/open/** to orders)  ->  no_credential (/open/** to orders)" in result.stdout
    assert "such as GET /open/1, id 7a9b0fae" in result.stdout


def test_a_password_in_a_url_that_changed_is_told_without_it(run: Run) -> None:
    """Two texts that are the same would say that nothing did."""
    old, new = (written(f"{word}.yaml", ORDERS) for word in ("old", "new"))
    for name, password in ((old, "one-of-this-test"), (new, "other-of-this-test")):
        Path(name).write_text(f"{Path(name).read_text()}mail: {{ url: 'smtp://me:{password}@localhost' }}\n")
    result = run("diff", old, new)
    assert (result.exit_code, "what is not shown differs" in result.stdout) == (1, True)
    assert "of-this-test" not in result.stdout


def test_a_head_that_is_too_large_is_found(run: Run) -> None:
    """As much of it as the log has: the path alone may be too long for the new limit."""
    new = OPEN.replace("public", "public, limits: { head: 64B }")
    found = replayed(run, line("/open/1"), line("/open/" + "x" * 64), old=OPEN, new=new)
    assert outcomes(found) == [("forwarded", "head_too_large", 1)]


def test_preflights_are_skipped(run: Run) -> None:
    """What the browser asked is not in the log; an OPTIONS that an upstream answered is a request like any other."""
    shared = OPEN.replace("public", "public, methods: [GET, OPTIONS], cors: { origins: [https://app.example] }")
    yes = line("/open/1", 204, method="OPTIONS", endpoint=None)
    no = line("/open/1", 403, method="OPTIONS", endpoint=None, reason="cors_refused")
    theirs = line("/open/1", 204, method="OPTIONS", endpoint="http://127.0.0.1:9001")
    found = replayed(run, yes, no, theirs, old=shared, new=shared.replace("public", "protected"))
    assert (found["skipped"], outcomes(found)) == (2, [("forwarded", "no_credential", 1)])
