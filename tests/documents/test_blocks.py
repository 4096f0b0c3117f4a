"""What the pages show: configuration is loaded, commands exist, and sessions are run by the test that is named here.

A block of a language that has no rule here is a failure, so that none is forgotten.
"""

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml

from gateway.cli import main
from gateway.settings.faults import SettingsInvalid
from gateway.settings.load import load
from gateway.settings.model import Settings

from .pages import PAGES, ROOT, Block, blocks, name

# Pages whose `console` blocks are sessions, and the test that runs every line and looks at what it gets.
RUN = {
    "README": "tests/e2e/test_e2e_demo.py",
    "api": "tests/e2e/test_e2e_api_document.py",
    "audit": "tests/e2e/test_e2e_audit.py",
    "concepts": "tests/e2e/test_e2e_documents.py",
    "explain": "tests/e2e/test_e2e_documents.py",
    "headers": "tests/e2e/test_e2e_headers.py",
    "import": "tests/e2e/test_e2e_long_work.py",
    "keys": "tests/e2e/test_e2e_long_work.py",
    "limits": "tests/e2e/test_e2e_limits.py",
    "logs": "tests/e2e/test_e2e_telemetry_documents.py",
    "metrics": "tests/e2e/test_e2e_telemetry_documents.py",
    "quick-start": "tests/e2e/test_e2e_documents.py",
    "reload": "tests/e2e/test_e2e_documents.py",
    "security": "tests/security/test_adversary.py",
    "tracing": "tests/tracing/test_tracing_document.py",
    "upstreams": "tests/e2e/test_e2e_upstreams.py",
    **dict.fromkeys(
        (f"dialects/{dialect}" for dialect in ("mikrocloud", "mployr", "mycelium", "navak", "pipelit")),
        "tests/e2e/test_e2e_dialects.py",
    ),
}
# YAML that is not the gateway's: where it is read instead.
OTHERS = {"scrape_configs": "tests/deploy/test_deploy_document.py"}
SHELL = blocks("sh", "console")
# `text` is what a program prints, or a form that names stand in for; `json` is answers and data; `python` is compiled.
LANGUAGES = {"sh", "console", "yaml", "text", "json", "python"}
COMMAND = re.compile(
    r"(?:^(?:\$ )?|[|;&(]\s*|\b(?:do|then|if|until) )(?:\S*/)?gateway((?:[ \t]+|\\\n)[^|;&\n`]*)", re.M
)


def test_every_block_has_a_language_that_is_looked_at() -> None:
    """None without one, and none that no test knows."""
    fences = {(name(page), fence) for page in PAGES for fence in opened(page.read_text(encoding="utf-8"))}
    assert {(page, language) for page, language in fences if language not in LANGUAGES} == set()


def opened(text: str) -> Iterator[str]:
    """The word after each fence that opens a block, however it is indented."""
    for number, fence in enumerate(re.findall(r"^\s*(?:```|~~~)(.*)$", text, re.M)):
        if number % 2 == 0:
            yield fence


@pytest.mark.parametrize("page", sorted({name(block.page) for block in blocks("console")}))
def test_a_pages_sessions_are_run(page: str) -> None:
    """By a test that is there, and that speaks of the page."""
    assert page in RUN, "name the test that runs it, in RUN above"
    test = ROOT / RUN[page]
    assert page.rpartition("/")[2] in test.read_text(encoding="utf-8")


@pytest.mark.parametrize("block", SHELL, ids=lambda block: block.place)
def test_bash_can_read_it(block: Block) -> None:
    """No quote is left open."""
    done = subprocess.run(["bash", "-n"], input=script(block), capture_output=True, text=True, timeout=20, check=False)
    assert done.stderr == ""


def script(block: Block) -> str:
    """The commands, without what they print."""
    if block.language == "sh":
        return block.text
    lines = re.findall(r"^\$ (.*(?:(?<=\\)\n.*)*)$", block.text, re.M)
    return "\n".join(line for line in lines if not line.endswith("=...")) + "\n"


def test_its_json_is_json() -> None:
    """Where there is some: one value, or one on each line."""
    for block in blocks("json"):
        try:
            json.loads(block.text)
        except ValueError:
            for line in block.text.splitlines():
                json.loads(line)


def test_its_python_compiles() -> None:
    """Where there is some."""
    for block in blocks("python"):
        compile(block.text, block.place, "exec")


@pytest.mark.parametrize(
    "block", [block for block in SHELL if COMMAND.search(script(block))], ids=lambda block: block.place
)
def test_its_commands_of_the_gateway_exist(block: Block) -> None:
    """With their options, and no more arguments than they take."""
    faults = [fault for found in COMMAND.findall(script(block)) if (fault := wrong(found))]
    assert faults == []


def wrong(written: str) -> str:
    """What is not right about the words after `gateway`; nothing if all is."""
    written = re.sub(r"\s\d?[<>]+\s*\S*", "", written)  # where its output goes
    try:
        words = shlex.split(written.replace("\\\n", " "), comments=True)
    except ValueError:  # ends inside a quote of the shell around it, as in "$(gateway token issue --account "$A")"
        words = written.split()
    command: click.Command = main
    arguments = 0
    while words:
        word = words.pop(0).rstrip(")\"'")
        if word.startswith("-") and word != "-":
            option = found(command, word.partition("=")[0])
            if option is None:
                return f"{command.name} has no {word}"
            if not option.is_flag and "=" not in word and words:
                words.pop(0)
        elif isinstance(command, click.Group):
            below = command.get_command(click.Context(command), word)
            if below is None:
                return f"{command.name} has no command {word}"
            command = below
        else:
            arguments += 1
    takes = [one.nargs for one in command.params if isinstance(one, click.Argument)]
    return f"{command.name} takes fewer arguments" if -1 not in takes and arguments > sum(takes) else ""


def found(command: click.Command, word: str) -> click.Option | None:
    """The option, of the command itself or of the program."""
    options = [one for one in (*command.params, *main.params) if isinstance(one, click.Option)]
    known = {opt: one for one in options for opt in (*one.opts, *one.secondary_opts)}
    known["--help"] = known["-h"] = click.Option(["--help"], is_flag=True)
    return known.get(word)


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        (" account list --json", ""),
        (" -c config.yaml account list", ""),
        (" token issue --account $ADA --lifetime=1h", ""),
        (" explain GET /x -H 'a: b'", ""),
        (" serve > gateway.log 2>", ""),
        (" acount list", "main has no command acount"),
        (" account list --nope", "list has no --nope"),
        (" grant revoke A B", "revoke takes fewer arguments"),
    ],
)
def test_a_wrong_command_would_be_seen(written: str, fault: str) -> None:
    """Each way of being wrong."""
    assert wrong(written) == fault


@pytest.mark.parametrize("block", blocks("yaml"), ids=lambda block: block.place)
def test_its_configuration_loads(block: Block, tmp_path: Path) -> None:
    """As a whole file, or as what it is a part of; the files, secrets and upstreams that it names are made."""
    shown = yaml.safe_load(block.text)
    if isinstance(shown, dict) and (other := OTHERS.get(next(iter(shown)))):
        assert next(iter(shown)) in (ROOT / other).read_text(encoding="utf-8")
        return
    whole = completed(block.text, shown)
    environ = dict.fromkeys(re.findall(r"\benv: ([A-Z_]+)", whole), "secret")
    for path in re.findall(r"\b(?:file|cert|key|ca): ([\w./-]+)", whole):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("secret")
    (tmp_path / "config.yaml").write_text(whole, encoding="utf-8")
    assert load(tmp_path / "config.yaml", environ).settings


def completed(text: str, shown: object) -> str:
    """The rule. Keys of the configuration at the margin: it is one. Indented keys: they are of a route. A list: it is
    of routes. Upstreams that routes name and the block does not show are added.
    """
    if isinstance(shown, list):
        text = "routes:\n" + text
    elif text.startswith(" "):
        text = "routes:\n  - path: /shown/**\n    upstream: shown\n    access: protected\n" + text
        assert not re.search(r"^    (?:path|upstream|access):", text.partition("protected\n")[2], re.M), "write a route"
    elif isinstance(shown, dict):
        assert set(shown) <= set(Settings.model_fields), f"no keys of the configuration: {sorted(shown)}"
    routes = yaml.safe_load(text).get("routes", [])
    upstreams = yaml.safe_load(text).get("upstreams", {})
    missing = sorted({route["upstream"] for route in routes} - set(upstreams))
    if missing and upstreams:
        pytest.fail(f"it shows upstreams, but not {missing}")
    added = "".join(f"  {one}: {{ endpoints: [http://127.0.0.1:9001] }}\n" for one in missing)
    return text + (f"upstreams:\n{added}" if added else "")


@pytest.mark.parametrize(
    "text",
    [
        "reload: { watch: false }\n",
        "    timeouts: { connect: 1s }\n",
        "- { path: /a/**, upstream: a, access: public }\n",
        "  - path: /a/**\n    upstream: a\n    access: public\n",
    ],
)
def test_each_kind_of_fragment_is_completed(text: str, tmp_path: Path) -> None:
    """To a configuration that loads."""
    (tmp_path / "config.yaml").write_text(completed(text, yaml.safe_load(text)))
    assert load(tmp_path / "config.yaml", {}).settings


def test_a_wrong_fragment_would_be_seen(tmp_path: Path) -> None:
    """What is loaded is what is shown."""
    (tmp_path / "config.yaml").write_text(completed("    timeots: { connect: 1s }\n", {"timeots": {}}))
    with pytest.raises(SettingsInvalid, match="unknown key 'timeots'"):
        load(tmp_path / "config.yaml", {})
