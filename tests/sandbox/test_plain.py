"""Programs as models write them end in the sandbox as they do in plain Python."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from plain import differences, programs
from test_pythons import OTHERS, PATHS, interpreter


def test_a_part_of_the_programs_ends_as_in_plain_python() -> None:
    tried, different = differences(each=len(programs()) // 50)
    assert tried >= 50
    assert different == []


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_all_programs_end_as_in_plain_python() -> None:
    tried, different = differences()
    assert tried >= 500
    assert different == []


@pytest.mark.slow
@pytest.mark.timeout(2400)
@pytest.mark.parametrize("version", OTHERS)
def test_all_programs_end_as_in_another_plain_python(version: str) -> None:
    ran = subprocess.run(
        [interpreter(version), "-B", str(Path(__file__).with_name("plain.py"))],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": PATHS},
    )
    assert (ran.returncode, ran.stderr) == (0, ""), ran.stdout[-6000:]
