"""The sandbox on the other Pythons that this machine has, whatever runs the tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OTHERS = [version for version in ("3.11", "3.12", "3.13") if not sys.version.startswith(version)]
PATHS = os.pathsep.join(map(str, (ROOT, ROOT / "tests", ROOT / "tests" / "sandbox")))

# Needs nothing but the interpreter's own library.
QUICKLY = """
import random, sys, warnings
from corpus import DEEP, REFUSED, REFUSED_STATEMENTS
from stories import gsm8k_like
from pad_ray.sandbox import Sandbox
from pad_ray.sandbox.harmless import is_harmless

def proved(program):
    return is_harmless(compile(program, "<program>", "exec"))

warnings.simplefilter("ignore")
loops = "def solution(x=(1, 2)):\\n"
for body in ("    return [i for i in x]", "    return {i: j for i, j in enumerate(x)}",
             "    return sum(i for i in x)", "    return [lambda: (i, k) for i, k in zip(x, x)]",
             "    for i in x: yield [j for j in x if {k for k in x}]", "    return +x[0], (*x, 3)"):
    assert proved(loops + body), body
x = "x = [i for i in range(3)]\\nsolution = lambda: x"
assert proved(x), x
for trick in [*REFUSED, *REFUSED_STATEMENTS, "try: pass\\nfinally: [i for i in ()]"]:
    assert not proved(trick.replace("\\u00b6", "\\n")), trick
for frame in DEEP:
    assert proved("def solution(x=1):\\n    return " + frame.format("x")), frame
    assert not proved("def solution(x=1):\\n    return " + frame.format("x.__class__")), frame
rng = random.Random(7)
stories = [gsm8k_like(number, rng) for number in range(300)]
assert sum(proved(story.source) for story in stories) > 280
failing = [loops + "    return [1 // 0 for i in x]"]
failing += [loops + "    return next(next(iter(())) for i in x)"]
with Sandbox() as sandbox:
    outcomes = sandbox.run([*(story.source for story in stories), *failing])
wrong = [(o, s) for o, s in zip(outcomes, stories) if (o.status, o.value) != (s.status, s.value)]
assert not wrong, wrong[0]
errors = [o.error_type for o in outcomes[300:]]
assert errors == ["ZeroDivisionError", "RuntimeError"], outcomes[300:]
print("right")
"""


@cache
def interpreter(version: str) -> str:
    """Return the path of a Python of this version that runs; skip the test if there is none."""
    found = [path for path in [shutil.which(f"python{version}")] if path]
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found += [str(path) for path in sorted(versions.glob(f"{version}.*/bin/python{version}"))]
    for path in found:
        # A shim is found too, and does not run.
        if subprocess.run([path, "-c", ""], capture_output=True).returncode == 0:
            return path
    pytest.skip(f"no Python {version} here")


@pytest.mark.parametrize("version", OTHERS)
def test_it_starts_proves_and_answers_on_another_python(version: str) -> None:
    ran = subprocess.run(
        [interpreter(version), "-B", "-c", QUICKLY],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": PATHS},
    )
    assert (ran.stdout, ran.stderr) == ("right\n", "")


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("version", OTHERS)
def test_the_whole_suite_passes_on_another_python(version: str, tmp_path: Path) -> None:
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([interpreter(version), "-m", "venv", tmp_path / "venv"], check=True)
    needed = ("hypothesis", "psutil", "pytest", "pytest-rerunfailures", "pytest-timeout")
    needed += ("pytest-xdist", "markdown-it-py", "numpy", "python-dateutil", "sympy")
    subprocess.run([python, "-m", "pip", "install", "-q", *needed], check=True)
    quick = ["-m", "not slow and not cluster", "-q", "-p", "no:cacheprovider"]
    quick += ["--deselect", "tests/sandbox/test_pythons.py"]
    ran = subprocess.run(
        [python, "-m", "pytest", "tests/sandbox", *quick], cwd=ROOT, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stdout[-6000:]
