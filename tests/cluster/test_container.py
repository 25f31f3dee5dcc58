"""The sandbox in a real container, confined as the manifests say."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from manifests import ROOT, pods

# What container engines call their default, here Podman's; Kubernetes says RuntimeDefault.
PROFILE = Path("/usr/share/containers/seccomp.json")


def seccomp(profile: dict[str, Any]) -> dict[str, Any]:
    """Return the OCI form of a profile for a process without capabilities on x86-64."""
    rules = []
    for rule in profile["syscalls"]:
        only, never = rule.get("includes", {}), rule.get("excludes", {})
        arches = only.get("arches", ["amd64"])
        if only.get("caps") or "amd64" not in arches or "amd64" in never.get("arches", []):
            continue
        named = ("names", "action", "errnoRet", "args")
        rules.append({key: rule[key] for key in named if rule.get(key)})
    default = {key: profile[key] for key in ("defaultAction", "defaultErrnoRet") if key in profile}
    machines = ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]
    return {**default, "architectures": machines, "syscalls": rules}


def container(pod: dict[str, Any], command: list[str]) -> dict[str, Any]:
    """Return an OCI bundle's configuration: this system's programs, confined as the pod is."""
    user, own = pod["securityContext"], pod["containers"][0]["securityContext"]
    assert own["capabilities"] == {"drop": ["ALL"]} and user["seccompProfile"]["type"]
    places = ["/usr", "/bin", "/lib", "/lib64", "/etc", sys.base_prefix]
    mounts = [(place, place) for place in places if Path(place).exists()]
    sets = ("bounding", "effective", "inheritable", "permitted", "ambient")
    return {
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": user["runAsUser"], "gid": user["runAsGroup"]},
            "args": command,
            "env": ["PATH=/usr/bin:/bin", "PYTHONPATH=/app", "PYTHONDONTWRITEBYTECODE=1"],
            "cwd": "/app",
            "capabilities": {name: [] for name in sets},
            "noNewPrivileges": not own["allowPrivilegeEscalation"],
        },
        "root": {"path": "rootfs"},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"},
            {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"},
            *(
                {"destination": to, "type": "bind", "source": source, "options": ["rbind", "ro"]}
                for source, to in [*mounts, (str(ROOT), "/app")]
            ),
        ],
        "linux": {
            "namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount")],
            "seccomp": seccomp(json.loads(PROFILE.read_text())),
        },
    }


@pytest.mark.cluster
def test_all_layers_of_the_sandbox_hold_in_a_pod(tmp_path: Path) -> None:
    if os.geteuid() or os.uname().machine != "x86_64":
        pytest.skip("needs root and x86-64")
    if not shutil.which("runc") or not PROFILE.exists():
        pytest.skip("needs Debian's packages runc and golang-github-containers-common")
    pod = next(spec for name, spec in pods("overlays/gpu") if name == "RayCluster pad-ray cpu")
    python = f"{sys.base_prefix}/bin/python3"
    config = container(pod, [python, "-m", "pad_ray.sandbox", "doctor"])
    (tmp_path / "rootfs/tmp").mkdir(parents=True)
    (tmp_path / "rootfs/tmp").chmod(0o1777)
    (tmp_path / "config.json").write_text(json.dumps(config))
    done = subprocess.run(
        ["runc", "run", "--bundle", str(tmp_path), f"pad-ray-{os.getpid()}"],
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    layers = [line for line in done.stdout.splitlines() if "layer " in line]
    assert len(layers) >= 6 and all(line.startswith("ok") for line in layers), layers
