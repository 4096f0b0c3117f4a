"""What can be known about the image from its text: no engine is needed to see that it would not build or would run
as root.
"""

import re
import shlex
from pathlib import Path

import pytest
import yaml
from deploy.image import instructions

from gateway.settings.load import load

ROOT = Path(__file__).resolve().parent.parent.parent
IGNORED = (ROOT / ".dockerignore").read_text().split()


def final_stage() -> dict[str, str]:
    """The last stage's instructions by name; where one is repeated, the last."""
    rows = instructions()
    start = max(index for index, (word, _) in enumerate(rows) if word == "FROM")
    return dict(rows[start:])


def sources() -> list[str]:
    """What COPY takes from the build context."""
    copies = [shlex.split(rest) for word, rest in instructions() if word == "COPY" and "--from=" not in rest]
    return [source.removeprefix("./") for words in copies for source in words[:-1]]


def test_the_image_is_built_in_two_stages() -> None:
    """The tools that build are not in the image that runs."""
    assert [word for word, _ in instructions()].count("FROM") == 2


def test_the_final_stage_takes_the_environment_from_the_first() -> None:
    """What runs is what the first stage installed."""
    assert ("COPY", "--from=build /opt/gateway /opt/gateway") in instructions()


def test_the_gateway_does_not_run_as_root() -> None:
    """USER names a number other than 0, which an orchestrator can check without reading the image's passwd."""
    uid, _, gid = final_stage()["USER"].partition(":")
    assert int(uid) > 0
    assert int(gid) > 0


def test_the_health_check_needs_no_program_beside_python() -> None:
    """A slim image has no curl."""
    assert final_stage()["HEALTHCHECK"].partition("CMD ")[2].startswith('["python", "-c", ')


def test_the_health_check_asks_the_admin_listener_of_the_default_configuration() -> None:
    """The probe's address is the one that config/container.yaml gives the admin listener."""
    address = yaml.safe_load((ROOT / "config/container.yaml").read_text())["admin"]["address"]
    assert f"http://{address}/healthz" in final_stage()["HEALTHCHECK"]


def test_the_command_serves_the_configuration_that_is_in_the_image() -> None:
    """CMD is a list, so that SIGTERM reaches the gateway and not a shell, and it names the copied file."""
    assert final_stage()["CMD"] == '["gateway", "serve", "--migrate", "-c", "/etc/gateway/config.yaml"]'
    assert ("COPY", "config/container.yaml /etc/gateway/config.yaml") in instructions()


def test_packages_are_held_against_their_digests() -> None:
    """Every installation is of pins, and of wheels; or of the one that was just built, which brings nothing along."""
    runs = " ".join(rest for word, rest in instructions() if word == "RUN")
    installs = [words for words in runs.split("&&") if re.search(r"pip\b.* install ", words)]
    pinned = [
        words for words in installs if "--require-hashes --only-binary :all:" in words and "-r requirements/" in words
    ]
    assert len(pinned) == 2
    assert [words.split()[-1] for words in installs if words not in pinned] == ["/dist/*.whl"]
    assert all("--no-deps --no-index" in words for words in installs if words not in pinned)


def test_no_instruction_adds_from_a_url() -> None:
    """ADD fetches and unpacks without a checksum."""
    assert "ADD" not in [word for word, _ in instructions()]


@pytest.mark.parametrize("source", sources())
def test_every_copied_source_exists(source: str) -> None:
    """A COPY of what is not there fails only when somebody builds."""
    assert (ROOT / source).exists()


@pytest.mark.parametrize("source", sources())
def test_every_copied_source_is_in_the_build_context(source: str) -> None:
    """.dockerignore leaves out everything but what it names again."""
    assert f"!{source.partition('/')[0]}" in IGNORED


def test_the_build_context_starts_from_nothing() -> None:
    """A key or a database beside the Dockerfile is never sent to the builder."""
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert rules[0] == "*"


def test_the_default_configuration_holds_no_secret() -> None:
    """Both secrets come from the environment, so the image can be public."""
    settings = yaml.safe_load((ROOT / "config/container.yaml").read_text())
    assert settings["secrets"]["master_key"] == {"env": "GATEWAY_MASTER_KEY"}
    assert settings["admin"]["token"] == {"env": "GATEWAY_ADMIN_TOKEN"}


def test_the_default_configuration_is_one_that_the_gateway_reads() -> None:
    """With its two secrets set, the image's file has no fault: `load` raises for any."""
    environ = {"GATEWAY_MASTER_KEY": "A" * 43 + "=", "GATEWAY_ADMIN_TOKEN": "x" * 32}
    assert load(ROOT / "config/container.yaml", environ).settings.listen.address.port == 8080
