"""The sandbox as a distribution of its own: what it needs, and its wheel."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from pages import section
from test_pythons import OTHERS, interpreter

ROOT = Path(__file__).resolve().parents[2]
SANDBOX = ROOT / "pad_ray" / "sandbox"
DECLARED = tomllib.loads((SANDBOX / "pyproject.toml").read_text())

EVERY_MODULE = """
import pkgutil, sys
from importlib import import_module
import pad_ray.sandbox
for found in pkgutil.walk_packages(pad_ray.sandbox.__path__, "pad_ray.sandbox."):
    if not found.name.endswith("__main__"):
        import_module(found.name)
"""
HARMLESS_AND_HOSTILE = """
from pad_ray.sandbox import Limits, Sandbox
programs = [
    "def solution():\\n    return 6 * 7",
    "import dataclasses\\ndef solution():\\n    return [1, {'a': 2.5}]",
    "def solution():\\n    return open('/etc/passwd').read()",
    "import os\\ndef solution():\\n    return os.fork()",
    "def solution():\\n    while True: pass",
    "def solution():\\n    return [0] * 10**9",
]
if __name__ == "__main__":
    with Sandbox(Limits(wall_s=1, cpu_s=0.5, memory_mb=64)) as sandbox:
        for outcome in sandbox.run(programs):
            print(outcome.status, outcome.value)
"""
OUTCOMES = """ok 42
ok [1, {'a': 2.5}]
forbidden None
forbidden None
timeout None
memory None
"""


def imports(file: Path) -> Iterator[tuple[str, bool]]:
    """Yield the top-level name of each module that a file imports, and whether in a function."""
    tree = ast.parse(file.read_text())
    inside = {
        node
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name.partition(".")[0], node in inside
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0], node in inside


def test_it_imports_the_standard_library_and_adapters_what_is_declared() -> None:
    extras = DECLARED["project"]["optional-dependencies"].values()
    names = {re.split(r"[<>=]", line)[0].replace("-", "_") for lines in extras for line in lines}
    own = {*sys.stdlib_module_names, "pad_ray"}
    files = list(SANDBOX.rglob("*.py"))
    others = {(file, *found) for file in files for found in imports(file) if found[0] not in own}
    assert {name for _, name, _ in others} == names
    for file, name, in_function in others:
        assert file.parent == SANDBOX / "adapters", name
        # Else only seen by type checkers, which the test below would show.
        assert in_function or "TYPE_CHECKING" in file.read_text(), (file, name)


def test_it_runs_without_any_package_and_without_pad_ray(tmp_path: Path) -> None:
    (tmp_path / "pad_ray").mkdir()
    (tmp_path / "pad_ray" / "sandbox").symlink_to(SANDBOX)
    code = f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\n{EVERY_MODULE}"
    code += HARMLESS_AND_HOSTILE + "assert not hasattr(pad_ray, '__version__')"
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", code], capture_output=True, text=True
    )
    assert (ran.stdout, ran.stderr) == (OUTCOMES, "")


def test_the_pages_lines_of_the_sandbox_alone() -> None:
    alone = section("docs/sandbox.md", "## The sandbox alone")
    (lines,) = re.findall(r"```python\n(.*?)```", alone, re.S)
    assert len(lines.splitlines()) == 5
    ran = subprocess.run(
        [sys.executable, "-c", lines],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert (ran.stdout, ran.stderr) == ("ok 42\nforbidden None\n", "")


def test_its_licence_is_the_repositorys() -> None:
    assert (SANDBOX / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("version", [".".join(map(str, sys.version_info[:2])), *OTHERS])
def test_its_wheel_in_a_fresh_environment(version: str, tmp_path: Path) -> None:
    # From a copy without history: nothing may depend on where it is built, or be left behind.
    before = sorted(SANDBOX.iterdir())
    here = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}

    def done(*command: object, cwd: Path = tmp_path) -> str:
        ran = subprocess.run(
            list(map(str, command)), cwd=cwd, env=here, capture_output=True, text=True
        )
        assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]
        return ran.stdout

    done(interpreter(version), "-m", "venv", "venv")
    python = tmp_path / "venv" / "bin" / "python"
    done(python, "-m", "pip", "wheel", "-q", "--no-deps", "--wheel-dir", tmp_path, SANDBOX)
    (wheel,) = tmp_path.glob("pad_ray_sandbox-*.whl")
    done(python, "-m", "pip", "install", "-q", "--no-index", wheel)
    assert sorted(SANDBOX.iterdir()) == before

    installed = done(python, "-m", "pip", "list", "--format", "freeze")
    assert {line.partition("==")[0] for line in installed.split()} <= {
        "pad-ray-sandbox",
        "pip",
        "setuptools",
    }
    files = {str(path) for path in (tmp_path / "venv").rglob("pad_ray/**/*.py")}
    site = str(next((tmp_path / "venv").glob("lib/python*/site-packages")))
    expected = {str(path.relative_to(ROOT)) for path in SANDBOX.rglob("*.py")}
    assert files == {f"{site}/{path}" for path in expected}

    (tmp_path / "run.py").write_text(EVERY_MODULE + HARMLESS_AND_HOSTILE)
    assert done(python, "run.py") == OUTCOMES
    shown = done(python, "-m", "pad_ray.sandbox", "doctor").splitlines()
    assert len(shown) > 100 and "FAILED" not in shown[-1]
