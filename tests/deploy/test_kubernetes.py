"""config/kubernetes: that kustomize builds it, that the API would take it, and that its parts fit each other.

No cluster runs here. The schemas are Kubernetes' own, with unknown fields refused.
"""

import ipaddress
import re
import subprocess
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from e2e.parts import LOOPBACK

from .cluster import AUTHORITIES, BIN, KUBERNETES, OVERLAY, ROOT, SECRETS, Cluster, cluster, copied, kustomized

# The oldest that docs/deploy.md names, and the newest that the schemas are known of.
VERSIONS = ("1.30", "1.37")
MARGIN = 5  # seconds to close what the draining left


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    return cluster(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def config(site: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return site.write(tmp_path_factory.mktemp("etc"))


def merged(config: Path) -> dict[str, dict[str, object]]:
    """The sections of the gateway's own file, as plain data."""
    found: dict[str, dict[str, object]] = yaml.safe_load(config.read_text())
    return found


def mounted(said: str) -> set[str]:
    """Every file of the secrets' folder that a configuration refers to."""
    return {path.name for path in map(Path, re.findall(r"\bsecrets/[\w.]+", said))}


@pytest.mark.parametrize("version", VERSIONS)
def test_the_api_would_take_every_manifest(site: Cluster, version: str) -> None:
    """None has a field that is unknown, missing or of another type."""
    for manifest in site.manifests:
        kubernetes_validate.validate(manifest, version, strict=True)


def test_without_its_secrets_nothing_is_built(tmp_path: Path) -> None:
    """There is no default that would work: kustomize ends, and names the file that it misses."""
    done = kustomized(copied(tmp_path, secrets=False))
    assert done.returncode != 0
    assert done.stdout == ""
    assert "secrets/master.key: no such file" in done.stderr


def test_no_secret_can_be_committed(tmp_path: Path) -> None:
    """The folder that they go to ignores every file but the one that says so."""
    copied(tmp_path)
    subprocess.run(["git", "init", "--quiet", "."], cwd=tmp_path, check=True, timeout=10)
    subprocess.run(["git", "add", "--all"], cwd=tmp_path, check=True, timeout=10)
    listed = subprocess.run(["git", "ls-files"], cwd=tmp_path, check=True, timeout=10, capture_output=True, text=True)
    added = [path for path in listed.stdout.splitlines() if "/secrets/" in path]
    assert added == [f"kubernetes/{OVERLAY}/secrets/.gitignore"]


def test_every_file_is_part_of_what_is_built() -> None:
    """A manifest that no kustomization names would be believed to be in force."""
    for folder in (KUBERNETES / "base", KUBERNETES / OVERLAY):
        said = (folder / "kustomization.yaml").read_text()
        there = {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml"}
        assert [name for name in there if name not in said] == []


def test_the_gateway_takes_the_configuration_that_a_pod_sees(config: Path) -> None:
    """`gateway check` has nothing to say about the mounted files."""
    done = subprocess.run([BIN / "gateway", "check", config], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_secret_is_read_by_the_configuration(config: Path) -> None:
    """And every one that the configuration reads is mounted."""
    said = config.read_text() + (config.parent / "conf.d/site.yaml").read_text()
    assert mounted(said) == {*SECRETS, *AUTHORITIES}
    assert mounted(said) == {path.name for path in (config.parent / "secrets").iterdir()}


def test_the_base_alone_does_not_run() -> None:
    """Its pods wait for the site's file: they would keep accounts in a file of their own without it."""
    base = merged(KUBERNETES / "base/config.yaml")
    assert "store" not in base
    assert "site.yaml" in (KUBERNETES / "base/deployment.yaml").read_text()


def test_the_ports_are_those_that_the_gateway_listens_on(site: Cluster, config: Path) -> None:
    """On every address, as kubelets and other pods come from elsewhere."""
    ports = {port["name"]: port["containerPort"] for port in site.gateway["ports"]}
    said = merged(config)
    assert said["listen"]["address"] == f"0.0.0.0:{ports['http']}"
    assert said["admin"]["address"] == f"0.0.0.0:{ports['admin']}"
    assert LOOPBACK not in config.read_text()


@pytest.mark.parametrize(
    ("probe", "path"), [("startupProbe", "/healthz"), ("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")]
)
def test_probes_ask_the_admin_listener(site: Cluster, probe: str, path: str) -> None:
    """Health says that the process is alive, readiness that it can serve."""
    assert site.gateway[probe]["httpGet"] == {"path": path, "port": "admin"}


def test_a_pod_has_the_time_to_drain(site: Cluster, config: Path) -> None:
    """SIGKILL comes after preStop, the whole draining and a margin."""
    pause = int(site.gateway["lifecycle"]["preStop"]["exec"]["command"][1])
    drain = int(str(merged(config)["listen"]["timeouts"]["drain"]).removesuffix("s"))  # type: ignore[index]
    assert site.pod["terminationGracePeriodSeconds"] >= pause + drain + MARGIN


def test_a_pod_may_nothing_that_it_does_not_need(site: Cluster) -> None:
    """What Kubernetes' `restricted` standard asks for, a read-only root besides, and no token of the API server."""
    pod = site.pod
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert site.one("ServiceAccount")["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
    for container in site.containers():
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_it_runs_as_the_images_user(site: Cluster) -> None:
    """And secrets are for that user's group alone."""
    uid, gid = (re.search(rf"--{word} (\d+)", (ROOT / "Dockerfile").read_text()) for word in ("uid", "gid"))
    assert uid is not None
    assert gid is not None
    said = site.pod["securityContext"]
    assert (said["runAsUser"], said["runAsGroup"], said["fsGroup"]) == (int(uid[1]), int(gid[1]), int(gid[1]))
    modes = [volume["projected"]["defaultMode"] for volume in site.pod["volumes"] if "projected" in volume]
    assert modes == [0o440]


def test_every_container_has_bounds(site: Cluster) -> None:
    """Memory is asked for and limited, CPU asked for."""
    for container in site.containers():
        assert set(container["resources"]["requests"]) == {"cpu", "memory"}
        assert "memory" in container["resources"]["limits"]


def test_the_image_does_not_move(site: Cluster) -> None:
    """One version, the same for the migration and for the gateway."""
    (image,) = {container["image"] for container in site.containers()}
    assert re.fullmatch(r".+:\d+\.\d+\.\d+", image)


def test_everything_that_selects_pods_selects_these(site: Cluster) -> None:
    """Service, budget, spread and policy name the labels of the template."""
    template = site.one("Deployment")["spec"]["template"]
    labels = template["metadata"]["labels"].items()
    selectors = [
        site.one("Deployment")["spec"]["selector"]["matchLabels"],
        site.one("Service")["spec"]["selector"],
        site.one("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        site.one("NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
        *(spread["labelSelector"]["matchLabels"] for spread in site.pod["topologySpreadConstraints"]),
    ]
    assert all(selector and selector.items() <= labels for selector in selectors)


def test_there_are_two_at_least_and_the_autoscaler_alone_says_how_many(site: Cluster) -> None:
    """A drained node, or a rollout, leaves one that serves."""
    assert "replicas" not in site.one("Deployment")["spec"]
    scaler = site.one("HorizontalPodAutoscaler")["spec"]
    assert scaler["scaleTargetRef"]["name"] == site.one("Deployment")["metadata"]["name"]
    base = yaml.safe_load((KUBERNETES / "base/autoscaler.yaml").read_text())["spec"]
    assert min(scaler["minReplicas"], base["minReplicas"]) > site.one("PodDisruptionBudget")["spec"]["maxUnavailable"]


def test_traffic_that_nobody_named_is_refused(site: Cluster) -> None:
    """For every pod in the namespace, both ways."""
    assert site.one("NetworkPolicy", "nobody")["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_the_admin_listener_is_for_monitoring_alone(site: Cluster) -> None:
    """Each port is open to one namespace, and none to everybody."""
    rules = site.one("NetworkPolicy")["spec"]["ingress"]
    opened = {
        rule["ports"][0]["port"]: [each["namespaceSelector"]["matchLabels"] for each in rule["from"]] for rule in rules
    }
    name = "kubernetes.io/metadata.name"
    assert opened == {8080: [{name: "ingress-nginx"}], 9901: [{name: "monitoring"}]}


def test_nothing_is_read_without_the_token(site: Cluster) -> None:
    """A collector that finds pods by annotations would ask without it: 401, for ever."""
    metadata = site.one("Deployment")["spec"]["template"]["metadata"]
    assert "prometheus.io" not in str(metadata.get("annotations"))


def test_the_proxies_to_copy_are_nobodys() -> None:
    """Whoever forgets to put the own ones there believes no pod (RFC 5737)."""
    said = yaml.safe_load((KUBERNETES / OVERLAY / "site.yaml").read_text())["listen"]["trusted_proxies"]
    assert all(ipaddress.ip_network(each).subnet_of(ipaddress.ip_network("192.0.2.0/24")) for each in said)


def test_the_internet_does_not_include_the_clusters_own_networks(site: Cluster) -> None:
    """A key URL that resolves to a machine inside, or to a cloud's metadata address, leads nowhere."""
    blocks = [
        peer["ipBlock"]
        for rule in site.one("NetworkPolicy")["spec"]["egress"]
        for peer in rule["to"]
        if "ipBlock" in peer
    ]
    assert {"10.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"} <= set(blocks[0]["except"])
    assert all(block["except"] for block in blocks)


def test_the_overlay_names_the_databases_namespace(site: Cluster) -> None:
    """Its patch, by position, still meets the rule for PostgreSQL."""
    (rule,) = (rule for rule in site.one("NetworkPolicy")["spec"]["egress"] if rule.get("ports") == [{"port": 5432}])
    assert rule["to"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "databases"}}}]


def test_the_cluster_holds_the_namespace_to_it(site: Cluster) -> None:
    """Pod security admission enforces what the manifests promise, in the namespace that all of them are in."""
    namespace = site.one("Namespace")["metadata"]
    assert namespace["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    others = [manifest["metadata"]["namespace"] for manifest in site.manifests if manifest["kind"] != "Namespace"]
    assert set(others) == {namespace["name"]}
