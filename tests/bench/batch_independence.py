"""Whether programs depend on what else is in the batch: one by one, and shuffled by 32, in fp32.

python tests/bench/batch_independence.py --student runs/demo/student --count 200
"""

from __future__ import annotations

import argparse
import random

import torch

from pad_ray.decoding.settings import SearchSettings
from pad_ray.decoding.solver import Solver
from pad_ray.tasks import get_task

STRATEGIES = ("greedy", "beam", "stepwise", "diverse", "vote", "auto")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--student", required=True)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    generate = get_task("arithmetic").generate
    assert generate is not None
    questions = [p.question for p in generate(given.count, "held_out", 0, None)]
    shuffled = random.Random(0).sample(questions, len(questions))
    with Solver.from_pretrained(given.student) as solver:
        for strategy in STRATEGIES:
            search = SearchSettings(strategy=strategy, n=4, max_new_tokens=200)
            alone = {q: solver.solve(q, settings=search).text for q in questions}
            together = {
                found.question: found.text
                for start in range(0, len(shuffled), 32)
                for found in solver.solve_batch(shuffled[start : start + 32], settings=search)
            }
            same = sum(alone[q] == together[q] for q in questions)
            print(f"{strategy}: {same} of {len(questions)} programs are the same", flush=True)


if __name__ == "__main__":
    main()
