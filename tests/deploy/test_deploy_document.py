"""docs/deploy.md: what it tells operators to type can be typed, and what it names is there."""

import base64
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from harness.certificates import Authority

from .cluster import AUTHORITIES, KUBERNETES, ROOT, SECRETS, kustomized

TEXT = (ROOT / "docs/deploy.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", TEXT, re.M | re.S)
LINKS = [link for link in re.findall(r"\]\(([^)#]+)", TEXT) if "://" not in link]
OVERLAY = "config/kubernetes/overlays/mine"


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


def test_its_commands_make_an_overlay_that_is_built(tmp_path: Path) -> None:
    """With every secret, for nobody else to read; a master key of 32 bytes and an admin token of as many."""
    (block,) = (block for block in BLOCKS if block.startswith("cp -r config/kubernetes"))
    shutil.copytree(KUBERNETES, tmp_path / "config/kubernetes")
    ca = str(Authority(tmp_path).ca)
    passwords = {"DATABASE_PASSWORD": "d", "REDIS_PASSWORD": "r", "SMTP_PASSWORD": "s"}
    environ = {"PATH": "/usr/bin:/bin", "DATABASE_CA": ca, "REDIS_CA": ca, **passwords}
    subprocess.run(["bash", "-euc", block], cwd=tmp_path, env=environ, check=True, timeout=10)
    made = [path for path in (tmp_path / OVERLAY / "secrets").iterdir() if path.name != ".gitignore"]
    assert {path.name for path in made} == {*SECRETS, *AUTHORITIES}
    assert {path.stat().st_mode & 0o077 for path in made} == {0}
    assert [
        len(base64.b64decode((tmp_path / OVERLAY / "secrets" / name).read_text())) for name in list(SECRETS)[:2]
    ] == [32, 32]
    assert kustomized(tmp_path / OVERLAY).returncode == 0


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
