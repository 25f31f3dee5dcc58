"""The Kubernetes manifests as they are applied, and what is in them."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CLUSTER = ROOT / "cluster"
K8S = CLUSTER / "k8s"
OVERLAYS = ("kind", "gpu", "spot")
BUILDS = (
    *(f"overlays/{name}" for name in OVERLAYS),
    *(f"overlays/{name}-jobs" for name in OVERLAYS),
    "monitoring",
)

Document = dict[str, Any]


@lru_cache
def rendered(build: str) -> list[Document]:
    """Return what `kubectl apply -k cluster/k8s/BUILD` sends."""
    return kustomized(K8S / build)


def kustomized(folder: Path) -> list[Document]:
    """Return the documents that a kustomization makes; skips without kubectl or kustomize."""
    if shutil.which("kustomize"):
        command = ["kustomize", "build"]
    elif shutil.which("kubectl"):
        command = ["kubectl", "kustomize"]
    else:
        pytest.skip("neither kustomize nor kubectl is installed")
    done = subprocess.run([*command, str(folder)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return list(yaml.load_all(done.stdout, yaml.CSafeLoader))


def of_kind(kind: str, build: str) -> list[Document]:
    return [document for document in rendered(build) if document["kind"] == kind]


def label(document: Document) -> str:
    return f"{document['kind']} {document['metadata']['name']}"


@lru_cache
def custom_schemas() -> Document:
    text = (Path(__file__).parent / "crds/schemas.json").read_text()
    schemas: Document = json.loads(text)
    return schemas


def ray_clusters(build: str) -> Iterator[tuple[str, Document]]:
    """Yield every cluster's spec with the name of what starts it."""
    for document in rendered(build):
        spec = document.get("spec", {})
        match document["kind"]:
            case "RayCluster":
                yield label(document), spec
            case "RayJob":
                yield label(document), spec["rayClusterSpec"]
            case "RayService":
                yield label(document), spec["rayClusterConfig"]


def groups(cluster: Document) -> list[Document]:
    return [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]


def pods(build: str) -> Iterator[tuple[str, Document]]:
    """Yield every pod's spec with a name for it."""
    for name, cluster in ray_clusters(build):
        for group in groups(cluster):
            yield f"{name} {group.get('groupName', 'head')}", group["template"]["spec"]
    for document in rendered(build):
        if document["kind"] == "StatefulSet":
            yield label(document), document["spec"]["template"]["spec"]
        if document["kind"] == "RayJob":
            yield f"{label(document)} submitter", document["spec"]["submitterPodTemplate"]["spec"]
