"""Every job's flags with their defaults, as users may rely on them.

A change of them is a decision, to be seen in the diff of flags.txt:

python tests/jobs/test_flags.py > tests/jobs/flags.txt
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import runpy
from pathlib import Path
from unittest import mock

HERE = Path(__file__).parent
JOBS = HERE.parents[1] / "jobs"


def flags() -> list[str]:
    """Return a line for each flag of each job: its name and its default."""
    lines = []
    for path in sorted(JOBS.glob("*.py")):
        entry = runpy.run_path(str(path))["JOB"]
        shown = io.StringIO()
        # Argparse folds its help to the terminal's width.
        wide = mock.patch.dict(os.environ, COLUMNS="20000")
        with wide, contextlib.redirect_stdout(shown), contextlib.suppress(SystemExit):
            entry.parse(["--help"])
        told = shown.getvalue().partition("options:")[2]
        for flag, rest in re.findall(r"^  (--[\w.]+)(.*(?:\n {10,}.*)*)", told, re.MULTILINE):
            default = re.search(r".*default: (.*)\)$", rest)
            required = " required" if "(required, " in rest else ""
            lines.append(f"{path.stem} {flag}{f' {default[1]}' if default else required}")
    return lines


def test_flags_are_those_that_were_decided() -> None:
    assert flags() == (HERE / "flags.txt").read_text().splitlines()


def test_processes_beside_each_other_compute_with_one_thread_each() -> None:
    """Torch's own number, one a core, is many times slower where each of several takes it."""
    lines = (HERE / "flags.txt").read_text().splitlines()
    threads = [line for line in lines if line.split()[1].endswith("threads")]
    alone = {"solve --threads null"}
    assert {line.split()[-1] for line in threads if line not in alone} == {"1"}
    assert alone < set(threads) and len(threads) > 8


if __name__ == "__main__":
    print("\n".join(flags()))
