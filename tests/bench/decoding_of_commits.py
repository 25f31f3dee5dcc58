"""Tokens a second of this tree's decoder against an earlier commit's, in turns.

    python tests/bench/decoding_of_commits.py a9909e6

Both read one small student, taught by this tree, and answer the same 32 questions on one thread,
each time in a process of its own; process and warm-up are not timed.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 7
SEARCHES = {
    "vote": {"strategy": "vote", "n": 8, "temperature": 1.0},
    "greedy": {"strategy": "greedy"},
    "beam": {"strategy": "beam"},
    "stepwise": {"strategy": "stepwise"},
}
# Nothing of the package but what all its commits have.
MEASURE = """
import json, sys, time
import torch
torch.set_num_threads(1)
from pad_ray.decoding.solver import Solver
try:
    from pad_ray.students.models import load_student
except ImportError:
    from pad_ray.students import load_student
given = json.loads(sys.argv[1])
found = {}
with Solver(load_student(given["student"])) as solver:
    for name, search in given["searches"].items():
        solver.solve_batch(given["questions"][:4], **search)
        started = time.perf_counter()
        solutions = solver.solve_batch(given["questions"][4:], **search)
        seconds = time.perf_counter() - started
        found[name] = sum(s.tokens for s in solutions) / seconds, [s.text for s in solutions]
print("FOUND " + json.dumps(found))
"""


def main(commit: str) -> None:
    sys.path.insert(0, str(ROOT / "tests"))
    from small_students import example, taught

    from pad_ray.students.models import save_student

    rng = random.Random(5)
    with tempfile.TemporaryDirectory() as folder:
        student, earlier = Path(folder) / "student", Path(folder) / "earlier"
        save_student(taught("scratch:tiny"), student)
        questions = [example(rng).question for _ in range(36)]
        given = {"student": str(student), "searches": SEARCHES, "questions": questions}
        subprocess.run(["git", "-C", ROOT, "worktree", "add", "--detach", "-q", earlier, commit])
        try:
            pairs = [(measured(earlier, given), measured(ROOT, given)) for _ in range(ROUNDS)]
        finally:
            subprocess.run(["git", "-C", ROOT, "worktree", "remove", "--force", earlier])
    print(f"tokens/s of this tree : {commit}, median of {ROUNDS} rounds")
    for name in SEARCHES:
        ratios = [new[name][0] / old[name][0] for old, new in pairs]
        same = all(new[name][1] == old[name][1] for old, new in pairs)
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}..{max(ratios):.2f})"
        print(f"  {name}: {spread}, {'the same' if same else 'other'} texts")


def measured(tree: Path, given: object) -> dict[str, tuple[float, list[str]]]:
    """Return tokens a second and the texts of each search."""
    words = [sys.executable, "-c", MEASURE, json.dumps(given)]
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    done = subprocess.run(words, env=environment, cwd=tree, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("FOUND ")]
    if not lines:
        raise SystemExit(done.stderr)
    found: dict[str, tuple[float, list[str]]] = json.loads(lines[0].removeprefix("FOUND "))
    return found


if __name__ == "__main__":
    main(sys.argv[1])
