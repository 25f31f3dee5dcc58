"""The Kubernetes manifests: valid, unprivileged, and of one mind with the code that they run."""

from __future__ import annotations

import importlib
import re
import shutil
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from jsonschema import Draft202012Validator
from manifests import (
    BUILDS,
    K8S,
    OVERLAYS,
    ROOT,
    custom_schemas,
    groups,
    kustomized,
    label,
    of_kind,
    pods,
    ray_clusters,
    rendered,
)
from ray._private.ray_constants import DEFAULT_PORT
from ray.autoscaler._private.constants import AUTOSCALER_METRIC_PORT
from ray.dashboard.consts import DASHBOARD_METRIC_PORT
from ray.scripts.scripts import cli
from ray.serve._private.constants import DEFAULT_HTTP_PORT
from ray.serve.schema import ServeDeploySchema

from pad_ray.serving import ServingSettings, build
from pad_ray.serving.settings import DoorSettings

PINNED_RAY = re.search(
    r"^ray==(\S+)$", (ROOT / "cluster/requirements/pins.in").read_text(), re.MULTILINE
)


def test_every_file_starts_with_the_command_that_applies_it() -> None:
    files = sorted(K8S.rglob("*.yaml"))
    assert len(files) > 30
    for file in files:
        found = re.match(r"# (?:kind create .*)?.*kubectl (\w+) (-k|-f|)\s*(\S+)", file.read_text())
        assert found, file
        assert (ROOT / found[3]).exists(), f"{file}: {found[3]}"
        if found[1] != "kustomize":
            where = ROOT / found[3]
            assert found[2] == ("-k" if where.is_dir() else "-f"), file


def test_every_document_is_valid() -> None:
    kinds = set()
    # Most documents are the same in several builds.
    different = {str(document): (name, document) for name in BUILDS for document in rendered(name)}
    for name, document in different.values():
        kind = f"{document['apiVersion']} {document['kind']}"
        kinds.add(kind)
        errors = list(_errors(kind, document))
        assert not errors, f"{name}, {label(document)}: {errors}"
    assert kinds >= set(custom_schemas()["kinds"])
    assert {"v1 Namespace", "networking.k8s.io/v1 NetworkPolicy"} <= kinds


def _errors(kind: str, document: dict[str, Any]) -> list[str]:
    schemas = custom_schemas()
    if kind not in schemas["kinds"]:
        try:
            kubernetes_validate.validate(document, "1.32", strict=True)
        except kubernetes_validate.ValidationError as error:
            return [f"{list(error.path)}: {error.message}"]
        return []
    schema = {**schemas["kinds"][kind], "$defs": schemas["$defs"]}
    found = Draft202012Validator(schema).iter_errors(document)
    return [f"{error.json_path}: {error.message[:200]}" for error in found]


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("RayCluster", lambda spec: spec.update(enableInTreeAutoscalling=True)),
        ("RayCluster", lambda spec: spec["workerGroupSpecs"][0].update(minReplicas="none")),
        ("RayCluster", lambda spec: spec["authOptions"].update(mode="basic")),
        ("RayService", lambda spec: spec["rayClusterConfig"].pop("headGroupSpec")),
        ("PodDisruptionBudget", lambda spec: spec.update(minAvailabel=1)),
        ("NetworkPolicy", lambda spec: spec.update(policyTypes="Ingress")),
    ],
)
def test_a_mistake_in_a_document_is_found(kind: str, change: Any) -> None:
    document = yaml.safe_load(yaml.safe_dump(of_kind(kind, "overlays/gpu")[0]))
    change(document["spec"])
    assert _errors(f"{document['apiVersion']} {kind}", document)


def test_every_pod_keeps_to_the_restricted_standard() -> None:
    (namespace,) = of_kind("Namespace", "overlays/gpu")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for name in BUILDS:
        for pod, spec in pods(name):
            context = spec["securityContext"]
            assert context["runAsNonRoot"] and context["runAsUser"] > 0, pod
            assert context["seccompProfile"] == {"type": "RuntimeDefault"}, pod
            assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & set(spec), pod
            volumes = [set(volume) - {"name"} for volume in spec.get("volumes", [])]
            assert all(kind == {"persistentVolumeClaim"} for kind in volumes), pod
            for container in spec["containers"]:
                assert container["securityContext"] | {"readOnlyRootFilesystem": True} == {
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                    "readOnlyRootFilesystem": True,
                }, pod
                assert container["resources"]["limits"]["memory"], pod
        for owner, cluster in ray_clusters(name):
            # The operator's side-car, which has no template here.
            context = cluster["autoscalerOptions"]["securityContext"]
            assert not context["allowPrivilegeEscalation"], owner
            assert context["capabilities"]["drop"] == ["ALL"], owner


def test_clusters_scale_from_nothing_behind_a_token() -> None:
    assert PINNED_RAY
    for name in BUILDS:
        for owner, cluster in ray_clusters(name):
            assert cluster["rayVersion"] == PINNED_RAY[1], owner
            assert cluster["authOptions"] == {"mode": "token", "secretName": "ray-token"}, owner
            assert cluster["enableInTreeAutoscaling"], owner
            assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0", owner
            for group in cluster["workerGroupSpecs"]:
                from_nothing = group["groupName"] in ("cpu", "gpu")
                assert (group["minReplicas"] == 0) == from_nothing, owner
                assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"], owner
                _check_image(group, owner)


def _check_image(group: dict[str, Any], owner: str) -> None:
    (container,) = group["template"]["spec"]["containers"]
    on_gpu = "nvidia.com/gpu" in container["resources"]["limits"]
    assert container["image"] == ("pad-ray:cuda" if on_gpu else "pad-ray:cpu"), owner


def test_one_line_names_the_registry(tmp_path: Path) -> None:
    folder = shutil.copytree(K8S, tmp_path / "k8s")
    with (folder / "overlays/gpu/kustomization.yaml").open("a") as file:
        file.write("images: [{name: pad-ray, newName: registry.test/pad-ray}]\n")
    images = set(re.findall(r"'image': '([^']+)'", str(kustomized(folder / "overlays/gpu-jobs"))))
    assert images == {"registry.test/pad-ray:cpu", "registry.test/pad-ray:cuda", "redis:7.4"}


def test_state_and_answers_outlive_a_head() -> None:
    for overlay in OVERLAYS:
        build_name = f"overlays/{overlay}"
        (service,) = of_kind("RayService", build_name)
        assert service["spec"]["upgradeStrategy"] == {"type": "NewCluster"}
        redis = next(s for s in of_kind("Service", build_name) if s["metadata"]["name"] == "redis")
        address = f"{redis['metadata']['name']}:{redis['spec']['ports'][0]['port']}"
        for owner, cluster in ray_clusters(build_name):
            assert cluster["gcsFaultToleranceOptions"]["redisAddress"] == address, owner


def test_secrets_are_names_that_the_page_tells() -> None:
    page = (ROOT / "docs/cluster.md").read_text()
    named = set()
    for name in BUILDS:
        assert not of_kind("Secret", name)
        named |= set(re.findall(r"'secretKeyRef': {'key': '(\w+)', 'name': '([\w-]+)'", str(
            rendered(name)
        )))  # fmt: skip
    named.add(("auth_token", "ray-token"))
    assert len(named) >= 5
    for key, secret in named:
        assert re.search(rf"create secret generic {secret}\b.*--from-\w+={key}=", page), secret


def test_volumes_labels_and_ports_are_there() -> None:
    for name in BUILDS:
        if name == "monitoring":
            continue
        claims = {claim["metadata"]["name"] for claim in of_kind("PersistentVolumeClaim", name)}
        for pod, spec in pods(name):
            for volume in spec.get("volumes", []):
                assert volume["persistentVolumeClaim"]["claimName"] in claims, pod
        monitors = of_kind("PodMonitor", "monitoring")
        ports = {p["port"] for monitor in monitors for p in monitor["spec"]["podMetricsEndpoints"]}
        for owner, cluster in ray_clusters(name):
            (head,) = cluster["headGroupSpec"]["template"]["spec"]["containers"]
            named = {port["name"]: port["containerPort"] for port in head["ports"]}
            assert ports <= set(named), owner
            (policy,) = (
                policy
                for policy in of_kind("NetworkPolicy", name)
                if policy["metadata"]["name"] == "ray-nodes"
            )
            let_in = {
                p["port"] for rule in policy["spec"]["ingress"] for p in rule.get("ports", [])
            }
            assert let_in == {8000, 8265, *(named[port] for port in ports)}, owner


def test_ports_are_those_that_ray_opens() -> None:
    options = cli.commands["start"].params
    start = {name: option.default for option in options for name in option.opts}
    opened = {
        "gcs-server": DEFAULT_PORT,
        "dashboard": start["--dashboard-port"],
        "serve": DEFAULT_HTTP_PORT,
        "as-metrics": AUTOSCALER_METRIC_PORT,
        "dash-metrics": DASHBOARD_METRIC_PORT,
        # Ray has none of its own for these: KubeRay starts nodes with them.
        "client": 10001,
        "metrics": 8080,
    }
    for name in BUILDS:
        for owner, cluster in ray_clusters(name):
            for group in groups(cluster):
                (container,) = group["template"]["spec"]["containers"]
                for port in container.get("ports", []):
                    assert opened[port["name"]] == port["containerPort"], owner


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_endpoint_is_one_that_can_be_built(overlay: str) -> None:
    (service,) = of_kind("RayService", f"overlays/{overlay}")
    schema = ServeDeploySchema.model_validate(yaml.safe_load(service["spec"]["serveConfigV2"]))
    assert (schema.http_options.host, schema.http_options.port) == ("0.0.0.0", 8000)
    (application,) = schema.applications
    module, _, name = application.import_path.partition(":")
    assert getattr(importlib.import_module(module), name) is build
    settings = ServingSettings.model_validate(application.args)
    build(settings)
    (group,) = service["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    pod = group["template"]["spec"]
    _check_endpoint_pod(settings.doors, pod)
    assert pod["terminationGracePeriodSeconds"] > settings.deadline_s
    assert service["spec"]["rayClusterDeletionDelaySeconds"] > settings.deadline_s
    (container,) = pod["containers"]
    asks = settings.solver["ray_actor_options"].get("num_gpus", 0)
    assert bool(asks) == ("nvidia.com/gpu" in container["resources"]["limits"])


def _check_endpoint_pod(doors: DoorSettings, pod: dict[str, Any]) -> None:
    (container,) = pod["containers"]
    (keys,) = (e for e in container["env"] if e["name"] == doors.keys_env)
    assert not keys["valueFrom"]["secretKeyRef"].get("optional"), "an endpoint without keys is shut"
    assert [mount["mountPath"] for mount in container["volumeMounts"]] == ["/shared"]


def test_environment_variables_are_read_by_someone() -> None:
    code = "".join(path.read_text() for path in (ROOT / "pad_ray").rglob("*.py"))
    libraries = {"HF_HOME", "REDIS_PASSWORD"}
    for name in BUILDS:
        for pod, spec in pods(name):
            for container in spec["containers"]:
                for variable in container.get("env", []):
                    named = variable["name"]
                    assert named in libraries or f'"{named}"' in code, f"{pod}: {named}"


def test_spot_takes_synthesis_and_nothing_else() -> None:
    for owner, cluster in ray_clusters("overlays/spot-jobs"):
        if owner.startswith("RayService"):
            continue
        for group in groups(cluster):
            pod = group["template"]["spec"]
            on_spot = pod.get("nodeSelector") == {"karpenter.sh/capacity-type": "spot"}
            assert on_spot == (group.get("groupName") == "cpu"), owner
            assert on_spot != ("affinity" in pod), owner
