"""Limits that do not fit: found when the configuration is read, at their line."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.app.checks import compile_faults
from gateway.settings.load import load


def rate(by: Any = "address", at_most: int = 1, window: str = "1m", **more: Any) -> dict[str, Any]:
    return {"by": by, "at_most": at_most, "in": window, **more}


def found(folder: Path, *routes: dict[str, Any], **more: Any) -> list[tuple[str, str, str]]:
    """Code, text of the line, message."""
    said = {
        "upstreams": {"u": {"endpoints": ["http://127.0.0.1:1"]}},
        "routes": [
            {"path": f"/{number}", "upstream": "u", "access": "protected", **route}
            for number, route in enumerate(routes)
        ],
        **more,
    }
    path = folder / "config.yaml"
    path.write_text(json.dumps(said, indent=1))
    lines = path.read_text().splitlines()
    return [(fault.code, lines[fault.line - 1].strip(), fault.message) for fault in compile_faults(load(path, {}))]


def limits(**said: Any) -> dict[str, Any]:
    return {"limits": said}


@pytest.mark.parametrize("by", ["account", "grant", "tenant"])
@pytest.mark.parametrize("kind", ["rate", "concurrency"])
def test_a_public_route_knows_no_caller(tmp_path: Path, by: str, kind: str) -> None:
    """All of its requests would count as one."""
    rules = {"rate": [rate(by)], "concurrency": [{"by": by, "at_most": 1}]}
    ((code, line, message),) = found(tmp_path, {"access": "public", **limits(**{kind: rules[kind]})})
    assert (code, line) == ("wrong_value", f'"by": "{by}",')
    assert f"knows no {by}" in message


@pytest.mark.parametrize("by", ["address", "route", {"header": "x-client"}])
def test_a_public_route_knows_addresses_headers_and_itself(tmp_path: Path, by: Any) -> None:
    """No fault."""
    assert (
        found(tmp_path, {"access": "public", **limits(rate=[rate(by)], concurrency=[{"by": by, "at_most": 1}])}) == []
    )


@pytest.mark.parametrize("name", ["true-client-ip", "x-mine", "x-method-override"])
def test_a_header_that_no_request_has_is_no_caller(tmp_path: Path, name: str) -> None:
    """It is dropped, or is the one of connection strings: all would count as one."""
    more = {"connection_strings": {"header": "x-mine"}}
    found_faults = found(tmp_path, limits(rate=[rate({"header": name})]), **more)
    assert [code for code, _, _ in found_faults] == ["wrong_value"]


@pytest.mark.parametrize(("head", "faults"), [("4KiB", 0), ("5KiB", 1)])
def test_a_routes_head_is_within_the_listeners(tmp_path: Path, head: str, faults: int) -> None:
    """More would never get so far."""
    more = {"listen": {"limits": {"head": "4KiB"}}}
    assert len(found(tmp_path, limits(head=head), **more)) == faults


def test_what_is_counted_twice_is_said(tmp_path: Path) -> None:
    """Each request would use up two; another window is another count."""
    twice = limits(rate=[rate(), rate(at_most=5), rate(window="2m")], concurrency=[{"at_most": 1}, {"at_most": 2}])
    assert [code for code, _, _ in found(tmp_path, twice)] == ["duplicate_name"] * 2


def test_what_is_shared_is_the_same(tmp_path: Path) -> None:
    """By the same subject in the same window; the numbers may differ."""
    one, other = limits(rate=[rate(shared="api")]), limits(rate=[rate(at_most=9, shared="api")])
    assert found(tmp_path, one, other) == []
    ((code, line, message),) = found(tmp_path, one, limits(rate=[rate(window="2m", shared="api")]))
    assert (code, line) == ("wrong_value", '"shared": "api"')
    assert "must be the same" in message
