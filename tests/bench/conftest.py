"""What several measurements share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def student() -> str:
    given = os.environ.get("PAD_RAY_BENCH_STUDENT") or str(ROOT / "runs/demo/student")
    if not Path(given).is_dir():
        pytest.skip("needs a student: run `make demo`, or set PAD_RAY_BENCH_STUDENT")
    return given
