"""docs/deploy.md: what it tells operators to type can be typed, and what it names is there."""

import base64
import platform
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from e2e.parts import LOOPBACK
from harness.certificates import Authority
from harness.ports import free_port

from .cluster import AUTHORITIES, KUBERNETES, ROOT, SECRETS, kubectl, kustomized
from .image import instructions

TEXT = (ROOT / "docs/deploy.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", TEXT, re.M | re.S)
LINKS = [link for link in re.findall(r"\]\(([^)#]+)", TEXT) if "://" not in link]
OVERLAY = "config/kubernetes/overlays/mine"
# The commands for a cluster, each on one line; those in the text are of the same kind.
KUBECTL = [
    command
    for text in (
        *BLOCKS,
        *(f"{code}\n" for code in re.findall(r"`(kubectl [^`]*\S -[^`]*|kubectl [^`]* rollout [^`]*)`", TEXT)),
    )
    for command in text.replace("\\\n", " ").splitlines()
    if command.startswith("kubectl ")
]


@pytest.mark.parametrize("block", BLOCKS)
def test_bash_can_read_the_commands(block: str) -> None:
    """No quote is left open."""
    done = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True, timeout=10, check=False)
    assert done.stderr == ""


@pytest.mark.parametrize("link", LINKS)
def test_what_it_links_to_exists(link: str) -> None:
    """Relative to the document."""
    assert (ROOT / "docs" / link).exists()


@pytest.mark.parametrize("name", sorted(set(re.findall(r"\bbase/[\w.]+|config/systemd/[\w.]+", TEXT))))
def test_the_files_that_it_names_exist(name: str) -> None:
    """Below the manifests, or the repository."""
    assert (KUBERNETES / name).exists() or (ROOT / name).exists()


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A folder in which the page's commands have made the overlay."""
    (block,) = (block for block in BLOCKS if block.startswith("cp -r config/kubernetes"))
    shutil.copytree(KUBERNETES, tmp_path / "config/kubernetes")
    ca = str(Authority(tmp_path).ca)
    passwords = {"DATABASE_PASSWORD": "d", "REDIS_PASSWORD": "r", "SMTP_PASSWORD": "s"}
    environ = {"PATH": "/usr/bin:/bin", "DATABASE_CA": ca, "REDIS_CA": ca, **passwords}
    subprocess.run(["bash", "-euc", block], cwd=tmp_path, env=environ, check=True, timeout=10)
    return tmp_path


def test_its_commands_make_an_overlay_that_is_built(mine: Path) -> None:
    """With every secret, for nobody else to read; a master key of 32 bytes and an admin token of as many."""
    secrets = mine / OVERLAY / "secrets"
    made = [path for path in secrets.iterdir() if path.name != ".gitignore"]
    assert {path.name for path in made} == {*SECRETS, *AUTHORITIES}
    assert {path.stat().st_mode & 0o077 for path in made} == {0}
    assert [len(base64.b64decode((secrets / name).read_text())) for name in list(SECRETS)[:2]] == [32, 32]
    assert kustomized(mine / OVERLAY).returncode == 0


@pytest.mark.parametrize("command", KUBECTL)
def test_kubectl_takes_the_command_as_far_as_the_cluster(command: str, mine: Path) -> None:
    """There is none: what it says is that nobody answers, after it has understood every word and read every file. What
    needs no cluster ends well."""
    closed = free_port()
    (mine / "kubeconfig").write_text(
        f"apiVersion: v1\nkind: Config\ncurrent-context: none\n"
        f"clusters: [{{name: none, cluster: {{server: 'http://{LOOPBACK}:{closed}'}}}}]\n"
        "contexts: [{name: none, context: {cluster: none, user: none}}]\nusers: [{name: none, user: {}}]\n"
    )
    (mine / "ada.password").write_text("correct horse")
    folder = Path(kubectl(platform.machine())).parent
    environ = {"PATH": f"{folder}:/usr/bin:/bin", "KUBECONFIG": str(mine / "kubeconfig"), "HOME": str(mine)}
    done = subprocess.run(
        ["bash", "-uo", "pipefail", "-c", command.replace("| less", "| cat")],
        cwd=mine, env=environ, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    if command.startswith("kubectl kustomize"):
        assert (done.returncode, done.stderr) == (0, "")
        assert "kind: Deployment" in done.stdout
    else:
        assert done.returncode != 0
        assert f"{LOOPBACK}:{closed}" in done.stderr
        assert "refused" in done.stderr


def test_docker_run_gives_the_image_what_it_wants() -> None:
    """Its port, its volume, its secrets, and time to drain: no engine is needed to see that."""
    (block,) = (block for block in BLOCKS if block.startswith("docker build"))
    (run,) = (line for line in block.replace("\\\n", " ").splitlines() if line.startswith("docker run"))
    words = shlex.split(run)
    said = {flag: [words[at + 1] for at, word in enumerate(words) if word == flag] for flag in ("-p", "-v", "-e")}
    image = dict(instructions())
    config = yaml.safe_load((ROOT / "config/container.yaml").read_text())
    assert [port.partition(":")[2] for port in said["-p"]] == [image["EXPOSE"]]
    assert {mount.split(":")[1] for mount in said["-v"]} == {image["VOLUME"], "/etc/gateway/conf.d"}
    assert config["include"] == ["conf.d/*.yaml"]
    secrets = {config["secrets"]["master_key"]["env"], config["admin"]["token"]["env"]}
    assert {given.partition("=")[0] for given in said["-e"]} == secrets
    assert int(words[words.index("--stop-timeout") + 1]) > 30  # listen.timeouts.drain, unless it is said
    assert words[-1] == shlex.split(block.splitlines()[0])[3]


def test_prometheus_is_given_the_secret_that_the_document_makes() -> None:
    """And the pods' port, by their own label."""
    (text,) = re.findall(r"^```yaml\n(scrape_configs.*?)^```$", TEXT, re.M | re.S)
    (job,) = yaml.safe_load(text)["scrape_configs"]
    assert job["authorization"] == {"type": "Bearer", "credentials_file": "/etc/prometheus/gateway/admin.token"}
    assert "create secret generic gateway-admin" in TEXT
    assert job["relabel_configs"][0]["regex"] == "gateway;9901"


def test_secrets_stay_out_of_the_images_build() -> None:
    """The build context has the rest of config/, and leaves out the folder that they are in."""
    rules = (ROOT / ".dockerignore").read_text().splitlines()
    assert rules.index("config/kubernetes") > rules.index("!config")
