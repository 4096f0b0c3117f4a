"""Loading: defaults, values, and every fault at its place."""

import json
import os
import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.settings.faults import MAX_FAULTS, Fault, SettingsInvalid, render
from gateway.settings.load import load
from gateway.settings.secrets import MAX_SECRET, SecretAbsent
from gateway.settings.values import Endpoint

from .conftest import Faults, Load

UPSTREAMS = "upstreams: { orders: { endpoints: [http://127.0.0.1:9001] } }\n"
ISSUER = (
    "name: acme, issuer: https://id.example, jwks_url: https://id.example/jwks, audiences: [g], algorithms: [RS256]"
)


def issuer(old: str = "", new: str = "", *, first: bool = True) -> str:
    """A list entry that is right but for one replacement."""
    return f"{'issuers:' if first else ''}\n- {{ {ISSUER.replace(old, new, 1) if old else ISSUER} }}"


def route(rest: str = "", *, access: str = "public", path: str = "/x/**") -> str:
    return UPSTREAMS + f"routes:\n  - {{ path: '{path}', upstream: orders, access: {access}{rest and ', ' + rest} }}\n"


def test_the_empty_file_is_valid(loaded: Load) -> None:
    """Nothing is routed, everything else has its default."""
    got = loaded("").settings
    assert (got.routes, got.public_url, str(got.listen.address)) == ((), "http://localhost:8080", "127.0.0.1:8080")


def test_relative_paths_are_relative_to_the_file(loaded: Load, tmp_path: Path) -> None:
    """Also those that nobody wrote."""
    got = loaded("listen: { tls: { cert: a.pem, key: /b.key } }\nlog: { access: ./x.log }").settings
    assert got.listen.tls is not None
    assert [got.listen.tls.cert, got.listen.tls.key, got.log.access, got.store.url] == [
        tmp_path / "a.pem", Path("/b.key"), tmp_path / "x.log", f"sqlite:///{tmp_path}/var/gateway.db",
    ]  # fmt: skip


def test_our_tokens_are_of_the_public_url(loaded: Load) -> None:
    """Issuer and audience follow it unless they are given."""
    got = loaded("public_url: https://gw.example\ntokens: { audience: other }").settings.tokens
    assert (got.issuer, got.audience) == ("https://gw.example", "other")


def test_a_route_has_its_defaults(loaded: Load) -> None:
    """All ordinary methods, the client's Host, no Authorization, problem JSON."""
    got = loaded(route()).settings.routes[0]
    assert (got.methods, got.forward.host, got.forward.authorization, got.errors, got.limits.body) == (
        ("GET", "POST", "PUT", "PATCH", "DELETE"), "preserve", False, "problem", None,
    )  # fmt: skip


def test_head_goes_with_get(loaded: Load) -> None:
    """Listing HEAD beside GET says nothing new."""
    assert loaded(route("methods: [GET, HEAD]")).settings.routes[0].methods == ("GET",)


def test_values_are_parsed(loaded: Load) -> None:
    """Durations are seconds, sizes bytes, endpoints values."""
    got = loaded(route("timeouts: { connect: 500ms }, limits: { body: 1GiB }")).settings
    assert (got.routes[0].timeouts.connect, got.routes[0].limits.body, got.upstreams["orders"].endpoints[0].url) == (
        0.5, 1 << 30, Endpoint("http", "127.0.0.1", 9001),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("access", "kind"),
    [("public", "public"), ("authenticated", "authenticated"), ("protected", "protected"),
     ("{ roles: [{ role: manager }] }", "roles"), ("{ kind: protected, mfa: required }", "protected"),
     ("{ kind: authenticated, issuers: [internal], scopes: [a] }", "authenticated")],
)  # fmt: skip
def test_the_forms_of_access(loaded: Load, access: str, kind: str) -> None:
    """One word, or a mapping with roles or a kind."""
    assert loaded(route(access=access)).settings.routes[0].access.kind == kind


def test_a_role_is_read_only_unless_it_says_write(loaded: Load) -> None:
    """The weaker demand is the one that is written without a permission."""
    got = loaded(route(access="{ roles: [{ role: a }, { role: b, permission: write }] }")).settings.routes[0].access
    assert [(rule.role, rule.permission) for rule in got.roles] == [("a", "read"), ("b", "write")]


FAULTS = [  # text with a ^ before the place, code, part of the message
    ("listen: { ^adress: x }", "unknown_key", "did you mean 'address'?"),
    ("^rutes: []", "unknown_key", "did you mean 'routes'?"),
    ("login: { ^mployer: { mount: /v1 } }", "unknown_key", "mployr"),
    (route(access="{ kind: protected, ^rols: [] }"), "unknown_key", "did you mean 'roles'?"),
    (route(access="{ roles: [{ role: a, ^permision: read }] }"), "unknown_key", "did you mean 'permission'?"),
    (route("timeouts: { ^idel: 1s }"), "unknown_key", "did you mean 'idle'?"),
    (issuer("[RS256]", "[RS256], ^leway: 1s"), "unknown_key", "did you mean 'leeway'?"),
    ("upstreams: { a: { endpoints: [https://h], tls: { ^verifi: true } } }", "unknown_key", "did you mean 'verify'?"),
    ("listen: { workers: ^2 }", "wrong_value", "state: { url: redis://"),
    ("listen: ^[x]", "wrong_type", "must be a mapping"),
    ("routes: ^{ a: b }", "wrong_type", "must be a list"),
    ("routes: [^x]", "wrong_type", "must be a mapping"),
    ("upstreams: ^[a]", "wrong_type", "must be a mapping"),
    ("public_url: ^8", "wrong_type", "must be text"),
    ("include: ^x", "wrong_type", "must be a list"),
    ("listen: { limits: { fields: ^'8' } }", "wrong_type", "whole number"),
    ("listen: { limits: { fields: ^1.0 } }", "wrong_type", "whole number"),
    ("listen: { limits: { fields: ^true } }", "wrong_type", "whole number"),
    ("listen: { limits: { fields: ^0 } }", "wrong_value", "greater than or equal to 1"),
    ("listen: { limits: { fields: ^1001 } }", "wrong_value", "less than or equal to 1000"),
    ("listen: { limits: { head: ^1023B } }", "wrong_value", "from 1KiB to 256KiB"),
    ("listen: { limits: { head: ^262145B } }", "wrong_value", "from 1KiB to 256KiB"),
    ("listen: { limits: { head: ^32768 } }", "wrong_type", "must be text"),
    ("cache: { credentials: ^301s }", "wrong_value", "from 0s to 5m"),
    ("cache: { size: ^99 }", "wrong_value", "greater than or equal to 100"),
    ("listen:\n  ^tls: { cert: x }", "missing_key", "'key' is needed here"),
    ("listen: { trusted_proxies: [^10.0.0.1/8] }", "wrong_value", "the network is 10.0.0.0/8"),
    ("listen: { allow_headers: [^x_mycelium_email] }", "wrong_value", "clients must not set"),
    ("listen: { allow_headers: [^x_mycelium_connection_string] }", "wrong_value", ""),
    ("connection_strings: { header: x-key }\nlisten: { allow_headers: [^x_key] }", "wrong_value", "connection"),
    ("listen: { address: ^127.0.0.1:9901 }", "wrong_value", "the same address"),
    ("store: { url: ^mysql://a/b }", "wrong_value", "sqlite:///PATH or postgresql+asyncpg://"),
    ("tokens: { algorithm: ^none }", "wrong_value", "is not one of EdDSA"),
    ("tokens: { algorithm: ^eddsa }", "wrong_value", "did you mean 'EdDSA'?"),
    ("log: { access: ^stdot }", "wrong_value", "did you mean 'stdout'?"),
    ("log: { level: ^on }", "wrong_value", "is not one of debug"),
    ("admin: { ^token: s3cret }", "literal_secret", "{ env: NAME }"),
    ("admin: { token: ^{ env: A, file: b } }", "wrong_value", "one of the two"),
    ("admin: { token: ^{} }", "wrong_value", "one of the two"),
    ("admin: { token: ^{ env: NOPE } }", "secret_missing", "'NOPE' is not set"),
    ("secrets: { master_key: ^{ file: nope } }", "secret_missing", "no such file"),
    ("secrets:\n  ^master_key:", "empty_value", "no value"),
    ("^listen:", "empty_value", "no value"),
    ("upstreams: { ^'a b': { endpoints: [http://a] } }", "wrong_value", "is not an upstream's name"),
    ("upstreams: { a: { endpoints: ^[] } }", "wrong_value", "at least"),
    ("upstreams: { ^a: {} }", "missing_key", "'endpoints'"),
    ("upstreams: { a: { endpoints: [^http://u:p@h] } }", "wrong_value", "user name or password"),
    ("upstreams: { a: { endpoints: [http://h], ^balence: least } }", "unknown_key", "did you mean 'balance'?"),
    ("upstreams: { a: { endpoints: [http://h], balance: ^lest } }", "wrong_value", "did you mean 'least'?"),
    ("upstreams: { a: { endpoints: [http://h], tls: ^{ verify: false } } }", "wrong_value", "protects nothing"),
    ("upstreams: { a: { endpoints: [https://h], tls: { ca: x, verify: ^false } } }", "wrong_value", "ca"),
    (issuer("RS256", "^HS256"), "wrong_value", "did you mean 'RS256'?"),
    (issuer("RS256", "^none"), "wrong_value", "is not one of"),
    (issuer("[RS256]", "[RS256], provision: ^yes"), "wrong_type", "true or false"),
    (issuer("[RS256]", "[RS256], email: ^always"), "wrong_value", "is not one of verified, never"),
    (issuer("https://id.example/", "^http://id.example/"), "wrong_value", "https"),
    (issuer() + issuer("acme, issuer: ", "b, issuer: ^", first=False), "duplicate_name", "first at"),
    (issuer() + issuer("acme, issuer: https://id", "^acme, issuer: https://b", first=False), "duplicate_name", ""),
    ("public_url: https://id.example\n" + issuer("issuer: ", "issuer: ^"), "wrong_value", "own issuer"),
    ("tokens: { issuer: https://id.example }\n" + issuer("issuer: ", "issuer: ^"), "wrong_value", "own issuer"),
    ("routes:\n  - { path: /x, upstream: ^nope, access: public }", "unknown_upstream", "there are none"),
    (UPSTREAMS + "routes:\n- { path: /x, upstream: ^order, access: public }", "unknown_upstream", "'orders'?"),
    (UPSTREAMS + "routes:\n- ^{ path: /x, upstream: orders }", "missing_key", "'access' is needed here"),
    (route(access="^publik"), "wrong_value", "did you mean 'public'?"),
    (route(access="{}").replace("access", "^access"), "wrong_value", "name at least one of the roles"),
    (route(access="{ mfa: required }").replace("access", "^access"), "wrong_value", "name at least one of the roles"),
    (route(access="{ roles: ^[] }"), "wrong_value", "name at least one"),
    (route(access="{ kind: ^public, mfa: required }"), "wrong_value", "authenticated or protected"),
    (route(access="{ kind: ^roles }"), "wrong_value", "authenticated or protected"),
    (route(access="{ kind: protected, roles: ^[{ role: a }] }"), "wrong_value", "exclude each other"),
    (route(access="{ roles: [{ role: ^'A' }] }"), "wrong_value", "is not a role"),
    (route(access="{ roles: [{ role: a, permission: ^writ }] }"), "wrong_value", "did you mean 'write'?"),
    (route(access="{ kind: protected, mfa: ^optional }"), "wrong_value", "is not one of required"),
    (route(access="{ kind: protected, issuers: [^acmee] }"), "unknown_issuer", "known: internal"),
    (route("methods: [^get]"), "wrong_value", "did you mean 'GET'?"),
    (route("methods: ^[]"), "wrong_value", "at least"),
    (route("methods: ^[GET, GET]"), "wrong_value", "twice"),
    (route("methods: ^[HEAD]"), "wrong_value", "list GET"),
    (route("methods: ^[CONNECT]"), "wrong_value", "never forwarded"),
    (route("methods: ^[GET, TRACE]"), "wrong_value", "never forwarded"),
    (route(path="x").replace("'x'", "^'x'"), "wrong_value", "starts with /"),
    (route(path="/x;y").replace("- {", "- ^{"), "wrong_value", "allow_encoded must list ;"),
    (route("allow_encoded: ^[';']", path="/x;%2Fy"), "wrong_value", "must list %2F"),
    (route("allow_encoded: [^'%2E']"), "wrong_value", "refused on every route"),
    (route("strip_prefix: ^/y"), "wrong_value", "must be a prefix"),
    (route("strip_prefix: ^/xx"), "wrong_value", "must be a prefix"),
    (route("strip_prefix: ^/x", path="/xx/**"), "wrong_value", "must be a prefix"),
    (route("host: ^'*.example'"), "wrong_value", "is not a host"),
    (route("errors: ^html"), "wrong_value", "is not one of problem, mployr"),
    (route("forward: { host: ^keep }"), "wrong_value", "is not one of preserve, upstream"),
    (route("timeouts: { connect: ^0ms }"), "wrong_value", "from 10ms to 5m"),
]


@pytest.mark.parametrize(("text", "code", "part"), FAULTS)
def test_each_fault_has_its_code_and_place(faults: Faults, text: str, code: str, part: str) -> None:
    """One mistake is one fault, where it stands, with what to write."""
    before = text.partition("^")[0]
    got = faults(text.replace("^", ""))
    assert [(fault.code, fault.line, fault.column) for fault in got] == [
        (code, before.count("\n") + 1, len(before) - before.rfind("\n"))
    ]
    assert part in got[0].message


@pytest.mark.parametrize(
    "text",
    [
        "listen: { limits: { head: 1KiB, fields: 1000 } }", "listen: { limits: { head: 256KiB, fields: 1 } }",
        "cache: { credentials: 5m, negative: 0s, size: 100 }",
        "listen: { address: 127.0.0.1:0 }\nadmin: { address: 127.0.0.1:0 }",
        route("strip_prefix: /x"), route("strip_prefix: /x", path="/x"), route("strip_prefix: /x/y", path="/x/y/{z}"),
        route("allow_encoded: [';', '%2f']", path="/x;%2Fy"), route("timeouts: { connect: 10ms }"),
        route("limits: { body: 0B }"), route("methods: [OPTIONS, PROPFIND]"), route("host: '[::1]'"),
        "listen: { allow_headers: [user_id] }", "log: { access: off }",
        "upstreams: { a: { endpoints: [http://a, https://b], tls: { verify: false } } }",
        issuer("[RS256]", "[RS256], email: verified") + "\n" + route(access="{ kind: protected, issuers: [acme] }"),
        route(access="{ kind: protected, issuers: [internal] }"),
    ],
)  # fmt: skip
def test_the_right_side_of_each_rule(loaded: Load, text: str) -> None:
    """What stands just inside a bound loads."""
    assert loaded(text).settings is not None


def test_all_faults_come_at_once_in_the_order_of_lines(faults: Faults) -> None:
    """YAML's, the model's and those between keys, in one list."""
    text = "tokens: { lifetime: 1x }\ncache:\ncache: {}\n" + route("methods: [get]").replace(
        "upstream: orders", "upstream: a"
    )
    assert [(fault.code, fault.line) for fault in faults(text)] == [
        ("wrong_value", 1), ("empty_value", 2), ("duplicate_key", 3), ("unknown_upstream", 6), ("wrong_value", 6),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "told"), [(MAX_FAULTS, MAX_FAULTS), (MAX_FAULTS + 1, MAX_FAULTS + 1), (5000, MAX_FAULTS + 1)]
)
@pytest.mark.parametrize("entry", ["x", "~", "{ path: /x, upstream: nope, access: public }"])
def test_the_number_of_faults_is_bounded(faults: Faults, entry: str, wrong: int, told: int) -> None:
    """A wrong file is told from mistakes in one; the last fault says that there are more."""
    got = faults(f"routes: [{', '.join([entry] * wrong)}]")
    assert len(got) == told
    assert (got[-1].code == "too_many_faults") == (wrong > MAX_FAULTS)


def test_an_unreadable_include_does_not_make_names_unknown(faults: Faults, tmp_path: Path) -> None:
    """The upstreams may stand in the file that could not be read."""
    (tmp_path / "a.yaml").write_text("upstreams: [")
    text = "include: [a.yaml]\nroutes: [{ path: /x, upstream: orders, access: public }]"
    assert [fault.code for fault in faults(text)] == ["syntax"]


def test_a_missing_file_is_a_fault(tmp_path: Path) -> None:
    """The place is the file itself."""
    with pytest.raises(SettingsInvalid) as caught:
        load(tmp_path / "nope.yaml", {})
    assert [(fault.code, fault.file) for fault in caught.value.faults] == [
        ("file_missing", str(tmp_path / "nope.yaml"))
    ]


def test_a_place_is_found_for_later_stages(loaded: Load, tmp_path: Path) -> None:
    """Where a value stands; for one that is not written, where it would belong."""
    got = loaded(route())
    name = tmp_path / "config.yaml"
    asked: list[tuple[str | int, ...]] = [("routes", 0, "path"), ("routes", 0, "host"), ("routes", 5), ("log",), ()]
    assert [str(got.place(keys)) for keys in asked] == [
        f"{name}:3:13", f"{name}:3:5", f"{name}:2:1", f"{name}:1:1", f"{name}:1:1",
    ]  # fmt: skip


def test_a_secret_comes_from_the_environment(loaded: Load) -> None:
    """As it is, without any stripping."""
    got = loaded("admin: { token: { env: T } }", {"T": " s3cret\n"})
    assert got.settings.admin.token.get_secret_value() == " s3cret\n"


@pytest.mark.parametrize(
    ("content", "value"), [("a", "a"), ("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), (" a ", " a ")]
)
def test_a_secret_file_loses_one_newline(loaded: Load, tmp_path: Path, content: str, value: str) -> None:
    """The one that editors and echo add."""
    (tmp_path / "t").write_bytes(content.encode())
    assert loaded("admin: { token: { file: t } }").settings.admin.token.get_secret_value() == value


@pytest.mark.parametrize("content", [b"", b"\n", b"  \n", b"\xff\xfe", b"x" * (MAX_SECRET + 1)])
def test_a_secret_file_without_a_usable_secret_is_a_fault(faults: Faults, tmp_path: Path, content: bytes) -> None:
    """Empty, not text, or far too long to be one."""
    (tmp_path / "t").write_bytes(content)
    assert [fault.code for fault in faults("admin: { token: { file: t } }")] == ["secret_missing"]


def test_a_secret_of_the_largest_size_is_read(loaded: Load, tmp_path: Path) -> None:
    """The bound itself is inside."""
    (tmp_path / "t").write_bytes(b"x" * MAX_SECRET)
    assert len(loaded("admin: { token: { file: t } }").settings.admin.token.get_secret_value()) == MAX_SECRET


def test_a_secret_file_that_others_can_read_is_fine(loaded: Load, tmp_path: Path) -> None:
    """Container platforms mount secrets readable for all."""
    (tmp_path / "t").write_text("a")
    (tmp_path / "t").chmod(0o444)
    assert stat.S_IMODE(os.stat(tmp_path / "t").st_mode) == 0o444
    assert loaded("admin: { token: { file: t } }").settings.admin.token.is_set


@pytest.mark.parametrize("name", [".", "a\\0b", "nope/x"])
def test_what_is_no_file_is_no_secret(faults: Faults, name: str) -> None:
    """A folder, an impossible name and an absent file are faults, not crashes."""
    assert [fault.code for fault in faults(f'admin: {{ token: {{ file: "{name}" }} }}')] == ["secret_missing"]


def test_an_empty_variable_is_no_secret(faults: Faults) -> None:
    """An unset variable in a template ends up empty."""
    assert [fault.code for fault in faults("admin: { token: { env: T } }", {"T": ""})] == ["secret_missing"]


def test_a_secret_that_nobody_named_is_missed_when_it_is_used(loaded: Load) -> None:
    """The default file need not exist until something needs it."""
    secret = loaded("").settings.secrets.master_key
    assert not secret.is_set
    with pytest.raises(SecretAbsent, match="gateway init"):
        secret.get_secret_value()


def test_a_default_secret_file_is_read_when_it_is_there(loaded: Load, tmp_path: Path) -> None:
    """As `gateway init` leaves it."""
    (tmp_path / "var").mkdir()
    (tmp_path / "var/master.key").write_text("k\n")
    assert loaded("").settings.secrets.master_key.get_secret_value() == "k"


def test_an_empty_default_secret_file_is_a_fault(faults: Faults, tmp_path: Path) -> None:
    """It is there, so somebody means it."""
    (tmp_path / "var").mkdir()
    (tmp_path / "var/master.key").write_text("")
    assert [fault.code for fault in faults("")] == ["secret_missing"]


def test_a_secret_is_in_no_text_of_the_settings(loaded: Load) -> None:
    """repr and str are what ends up in logs."""
    got = loaded("admin: { token: { env: T } }", {"T": "s3cret"})
    assert "s3cret" not in repr(got.settings) + str(got.settings) + repr(got.settings.admin.token)


@pytest.mark.parametrize(
    "text",
    ["admin: { token: s3cret, adress: x }", "admin:\n  token:\n    s3cret", "admin:\n  token: |\n    s3cret\n  x: y",
     "secrets: s3cret", "admin: { token: [s3cret] }", "admin: { token: { value: s3cret } }", "admin:\n  token s3cret",
     "admin:\n  token:\n    value: s3cret", "upstreams: { a: { endpoints: [http://u:s3cret@h] } }"],
)  # fmt: skip
def test_a_literal_secret_is_in_no_fault(faults: Faults, text: str) -> None:
    """What an operator wrote by mistake does not go on into a build log."""
    assert "s3cret" not in "\n".join(render(fault) for fault in faults(text))


WORDS = st.sampled_from(
    ["routes:", "upstreams:", "include:", "listen:", "access:", "path:", "issuers:", "admin:", "token:", "{", "}", "[",
     "]", ",", "- ", "\n", "\n  ", ": ", "&a ", "*a ", "!x ", "<<", "|", ">", "'", '"', "\\", "%", "#", "?", "/**", "1",
     "1e999", "~", "true", "\t", "\0", "\x85", "é", "{ env: X }", "{ file: . }", "public", "---", "...", "\ufeff"]
)  # fmt: skip


def faults_of(path: Path) -> list[Fault]:
    """Of a file that may be right: none. SettingsInvalid without a fault counts as one without a place."""
    try:
        load(path, {})
    except SettingsInvalid as invalid:
        return invalid.faults or [Fault("", 0, 0, "no_faults", "")]
    return []


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(text=st.one_of(st.text(), st.lists(WORDS, max_size=30).map("".join)).map(str.encode) | st.binary())
def test_no_text_raises_anything_else(tmp_path: Path, text: bytes) -> None:
    """Whatever the file holds, the answer is settings or SettingsInvalid."""
    (tmp_path / "config.yaml").write_bytes(text)
    assert all(fault.line > 0 and fault.column > 0 for fault in faults_of(tmp_path / "config.yaml"))


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["x", "/x", "1s", "public", "", "\0"])
)
KEYS = st.sampled_from(
    ["routes", "upstreams", "issuers", "listen", "access", "roles", "admin", "token", "env", "file", "tls", "limits",
     "path", "upstream", "methods", "endpoints", "tokens", "issuer", "public_url", "include", "[key]", "kind", "login"]
)  # fmt: skip
TREES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4))


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(tree=st.dictionaries(KEYS, TREES, max_size=5))
def test_no_tree_of_known_keys_raises_anything_else(tmp_path: Path, tree: dict[str, object]) -> None:
    """Keys in the wrong places with values of the wrong types are faults with a place in the file."""
    text = json.dumps(tree).replace("NaN", ".nan").replace("Infinity", ".inf")
    (tmp_path / "config.yaml").write_text(text)
    found = faults_of(tmp_path / "config.yaml")
    assert all(fault.line == 1 and 1 <= fault.column <= len(text) for fault in found)
