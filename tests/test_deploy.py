"""deploy/ without an engine or a cluster: against schemas, the programs that it starts, and its own parts."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow.cli
import pytest
import yaml

from convlab import __version__
from convlab.cli.diagnosis.machine import PORTS
from convlab.cli.main import VERBS

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
BASE = sorted(path for path in (KUBERNETES / "base").glob("*.yaml") if path.name != "kustomization.yaml")
VERSION = "1.32"  # of Kubernetes
# https://github.com/ray-project/kuberay/blob/v1.6.2/ray-operator/config/crd/bases/ray.io_rayjobs.yaml, v1
RAYJOB = {
    *("activeDeadlineSeconds", "backoffLimit", "clusterSelector", "deletionStrategy", "entrypoint"),
    *("entrypointNumCpus", "entrypointNumGpus", "entrypointResources", "jobId", "managedBy", "metadata"),
    *("preRunningDeadlineSeconds", "rayClusterSpec", "runtimeEnvYAML", "shutdownAfterJobFinishes"),
    *("submissionMode", "submitterConfig", "submitterPodTemplate", "suspend", "ttlSecondsAfterFinished"),
}
CLUSTER = {
    *("authOptions", "autoscalerOptions", "enableInTreeAutoscaling", "gcsFaultToleranceOptions"),
    *("headGroupSpec", "headServiceAnnotations", "managedBy", "rayVersion", "suspend", "upgradeStrategy"),
    "workerGroupSpecs",
}
HEAD = {"enableIngress", "headService", "labels", "rayStartParams", "resources", "serviceType", "template"}
WORKERS_MUST = {"groupName", "maxReplicas", "minReplicas", "template"}
WORKERS = WORKERS_MUST | {
    *("idleTimeoutSeconds", "labels", "numOfHosts", "rayStartParams", "replicas", "resources"),
    *("scaleStrategy", "suspend"),
}
SECRETS = {"postgresql", "object-store"}  # made in the cluster


def documents(text: str) -> list[dict[str, Any]]:
    return [each for each in yaml.safe_load_all(text) if each]


def rendered(folder: str) -> list[dict[str, Any]]:
    """What Kustomize makes of it."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("needs kubectl, which has Kustomize")
    done = subprocess.run(
        [kubectl, "kustomize", KUBERNETES / folder], capture_output=True, text=True, check=True
    )
    return documents(done.stdout)


def validate(document: dict[str, Any]) -> None:
    """Against Kubernetes' OpenAPI schema of its kind; a field that the kind has not is an error."""
    validator = pytest.importorskip("kubernetes_validate", reason="needs kubernetes-validate")
    validator.validate(document, VERSION, strict=True)


def nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Every mapping in it."""
    if isinstance(tree, dict):
        yield tree
    for each in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from nodes(each)


def named(made: list[dict[str, Any]], kind: str, name: str = "") -> dict[str, Any]:
    [found] = [
        each for each in made if each["kind"] == kind and (not name or each["metadata"]["name"] == name)
    ]
    return found


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return found


def commands() -> list[list[str]]:
    """What containers of convlab's own image run, in compose.yaml and in the manifests."""
    services = [each["command"] for each in compose()["services"].values() if each["image"] == "convlab"]
    manifests = [each for file in BASE for each in nodes(documents(file.read_text()))]
    pods = [each["command"] for each in manifests if each.get("image") == "convlab"]
    job = documents((KUBERNETES / "features" / "rayjob.yaml").read_text())[0]["spec"]["entrypoint"]
    return [*services, *pods, job.split()]


def test_compose_yaml_is_of_the_compose_specification() -> None:
    pytest.importorskip("check_jsonschema", reason="needs check-jsonschema")
    words = ["--builtin-schema", "vendor.compose-spec", str(DEPLOY / "compose.yaml")]
    done = subprocess.run([sys.executable, "-m", "check_jsonschema", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_services_of_compose_yaml_know_each_other() -> None:
    found = compose()
    services = found["services"]
    for service in services.values():
        for other, state in service.get("depends_on", {}).items():
            healthy = state["condition"] == "service_healthy"
            assert not healthy or "healthcheck" in services[other]
        for mount in service.get("volumes", []):
            assert mount.split(":")[0] in found["volumes"]
        for each in service.get("configs", []):
            assert each["source"] in found["configs"]
    environments = json.dumps([service["environment"] for service in services.values()])
    hosts = re.findall(r"\w+://(?:\w+@)?([a-z]+)[:/]", environments)
    assert set(hosts) == {"store", "postgresql", "mlflow"} <= set(services)
    assert (DEPLOY / services["bucket"]["build"]["context"] / "Dockerfile").is_file()


def test_only_this_machine_reaches_the_services() -> None:
    published = [port for each in compose()["services"].values() for port in each.get("ports", [])]
    assert published
    for port in published:
        host, outside, inside = port.split(":")
        assert (host, outside) == ("127.0.0.1", inside)
    assert {int(port.split(":")[2]) for port in published} >= set(PORTS)
    assert not [each for file in BASE for each in documents(file.read_text()) if each["kind"] == "Ingress"]
    types = [each.get("spec", {}).get("type") for file in BASE for each in documents(file.read_text())]
    assert set(types) == {None}  # of services: ClusterIP


def test_no_secret_is_in_a_file() -> None:
    for file in DEPLOY.rglob("*.yaml"):
        for node in nodes(documents(file.read_text())):
            assert node.get("kind") != "Secret"
            if re.search("PASSWORD|SECRET", str(node.get("name", ""))):
                assert set(node) == {"name", "valueFrom"}
                assert set(node["valueFrom"]) == {"secretKeyRef"}
            for key, value in node.items():
                if re.search("PASSWORD|SECRET|ACCESS_KEY", str(key)):
                    assert re.fullmatch(r"\$\{\w+:\?name it in deploy/\.env\}", value), (file, key)
        assert not re.search(r"://[^/\s@]*:[^/\s@]*@", file.read_text())
    for name in (".gitignore", ".dockerignore"):
        assert "deploy/.env" in [line.lstrip("/") for line in (ROOT / name).read_text().splitlines()]


def test_the_commands_are_ones_that_the_programs_take() -> None:
    taken = []
    for program, verb, *words in commands():
        taken.append(f"{program} {verb}")
        if program == "mlflow":
            mlflow.cli.cli.commands[verb].make_context(verb, list(words))
        elif program == "convlab":
            assert verb in VERBS
            described = (ROOT / "src/convlab/cli/commands" / f"{verb}.py").read_text()
            for word in words:
                name = word.partition("=")[0]
                group = ROOT / "conf" / name.partition(".")[0]
                assert name in described if name.startswith("--") else group.is_dir()
    assert sorted(taken) == [
        *("convlab features", "convlab serve", "convlab serve", "mlflow server", "mlflow server"),
        "python -c",
    ]


@pytest.mark.parametrize("file", BASE, ids=lambda file: file.name)
def test_the_base_is_of_kubernetes_schemas(file: Path) -> None:
    for document in documents(file.read_text()):
        validate(document)


def test_kustomize_makes_the_overlay_whole() -> None:
    made = rendered("overlays/team")
    for document in made:
        validate(document)
    kinds = sorted(each["kind"] for each in made)
    assert kinds == [
        *("ConfigMap", "ConfigMap", "Deployment", "Deployment", "HorizontalPodAutoscaler", "Namespace"),
        *("Service", "Service", "Service", "StatefulSet"),
    ]
    scaled = named(made, "HorizontalPodAutoscaler")["spec"]
    assert (scaled["minReplicas"], scaled["maxReplicas"]) == (2, 12)
    assert scaled["scaleTargetRef"]["name"] == named(made, "Deployment", "serve")["metadata"]["name"]
    assert "replicas" not in named(made, "Deployment", "serve")["spec"]  # the autoscaler's
    images = {node["image"] for each in made for node in nodes(each) if "image" in node}
    assert images == {"postgres:17", f"registry.example.org/team/convlab:{__version__}"}
    assert_whole(made)


def test_serve_is_probed_where_it_answers() -> None:
    serve = named(documents((KUBERNETES / "base" / "serve.yaml").read_text()), "Deployment")
    [container] = serve["spec"]["template"]["spec"]["containers"]
    assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "http"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}
    routes = (ROOT / "src/convlab/serving/routes/operation.py").read_text()
    for path in ("/healthz", "/readyz"):
        assert f'@app.get("{path}"' in routes
    assert f"--port={container['ports'][0]['containerPort']}" in container["command"]
    assert "cpu" in container["resources"]["requests"]  # of which the autoscaler counts the shares


def test_the_rayjob_is_one_of_kuberay() -> None:
    made = rendered("features")
    job = named(made, "RayJob")
    assert job["apiVersion"] == "ray.io/v1"
    spec, cluster = job["spec"], job["spec"]["rayClusterSpec"]
    assert {"entrypoint", "rayClusterSpec"} <= set(spec) <= RAYJOB
    assert {"headGroupSpec", "workerGroupSpecs"} <= set(cluster) <= CLUSTER
    assert {"template"} <= set(cluster["headGroupSpec"]) <= HEAD
    for group in cluster["workerGroupSpecs"]:
        assert WORKERS_MUST <= set(group) <= WORKERS
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}, **group["template"]}
        validate(pod)
        [container] = pod["spec"]["containers"]
        assert container["image"] == f"registry.example.org/team/convlab-ray:{__version__}"
    pinned = re.search(r"^ray==([\d.]+)", (ROOT / "requirements" / "ray.txt").read_text(), re.MULTILINE)
    assert pinned is not None
    assert cluster["rayVersion"] == pinned[1]
    assert_whole(made)


def assert_whole(made: list[dict[str, Any]]) -> None:
    """Whatever is referred to is there, or is a secret that the page has one make; ports and labels meet."""
    maps = {each["metadata"]["name"] for each in made if each["kind"] == "ConfigMap"}
    pods = [node["template"] for each in made for node in nodes(each) if "template" in node]
    for node in (node for each in made for node in nodes(each)):
        for key, known in (("configMapRef", maps), ("configMapKeyRef", maps), ("configMap", maps)):
            assert key not in node or node[key]["name"] in known
        for key in ("secretRef", "secretKeyRef"):
            assert key not in node or node[key]["name"] in SECRETS
    for service in (each["spec"] for each in made if each["kind"] == "Service"):
        [pod] = [each for each in pods if service["selector"].items() <= each["metadata"]["labels"].items()]
        names = [port["name"] for each in pod["spec"]["containers"] for port in each["ports"]]
        assert [port["targetPort"] for port in service["ports"]] == names
