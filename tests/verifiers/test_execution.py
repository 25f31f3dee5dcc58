"""What running the program so far says of its last step."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pad_ray.sandbox import OutcomeCache, Sandbox
from pad_ray.verifiers.base import Candidate
from pad_ray.verifiers.execution import NEGATIVE, REPEATED, ExecutionScorer

HEAD = "def solution():\n    a = 3\n"


@pytest.fixture(scope="module")
def scorer() -> Iterator[ExecutionScorer]:
    with Sandbox() as sandbox:
        yield ExecutionScorer(OutcomeCache(sandbox))


def score(scorer: ExecutionScorer, before: str, *steps: str, **more: bool) -> list[float]:
    (scores,) = scorer.score([Candidate(0, -1, 0, "How many?", before, steps, **more)])
    return scores


@pytest.mark.parametrize(
    ("before", "step", "expected"),
    [
        ("", HEAD, 1.0),
        (HEAD, "    b = a + 1\n", 1.0),
        (HEAD, "    b = c + 1\n", 0.0),
        (HEAD, "    b = a / 0\n", 0.0),
        (HEAD, "    b = (a +\n", 0.0),
        (HEAD, "    b = 'x\n", 0.0),
        (HEAD, "    while True: pass\n    b = 1\n", 0.0),
        (HEAD, "    import os\n    os.fork()\n", 0.0),
        (HEAD, "    # a remark\n    b = 3\n", 1.0),
        (HEAD, "    b = {1, 2}\n", 1.0),
        (HEAD, "    b = a * 2\n    c = a * 2\n", REPEATED),
        (HEAD + "    b = a * 2\n", "    c = a * 2\n", REPEATED),
        (HEAD + "    b = a * 2\n", "    c = 2 * a\n", 1.0),
        (HEAD, "    b = 3\n", 1.0),
        (HEAD + "    b = a * 2\n", "    a = 4\n    c = a * 2\n", 1.0),
        (HEAD + "    b = a * 2\n    c = a * 2\n", "    d = 1\n", 1.0),
        (HEAD, "    for i in range(3):\n        a += i\n    b = a\n", 1.0),
        # A program as it is: tabs, what it deletes, what it changes on purpose.
        ("def solution():\n\ta = 3\n", "\tb = a + 1\n", 1.0),
        ("def solution():\n\ta = 3\n", "\tb = c + 1\n", 0.0),
        ("", "def solution(): return 5\n", 1.0),
        ("", "@staticmethod\ndef f():\n    return 1\ndef solution():\n    a = f()\n", 1.0),
        (HEAD + "    b = a * 2\n", "    del b\n", 1.0),
        (HEAD + "    a = a + 1\n", "    a = a + 1\n", 1.0),
        (HEAD + "    up = True\n    up = not up\n", "    up = not up\n", 1.0),
        (HEAD + "    b = a * 2\n    a = 9\n", "    c = 4\n", 1.0),
        (HEAD + "    b = [a]\n", "    c = ('x\u2028'\n    )\n", 1.0),
        (HEAD + "    b = a * 2; c = 1\n", "    d = a * 2\n", REPEATED),
        ("", "import math\n", 1.0),
        ("", "import nowhere\n", 1.0),
        ("", "def solution(:\n", 0.0),
    ],
)
def test_a_prefix_that_cannot_run_is_cut_and_bad_signs_are_marked(
    scorer: ExecutionScorer, before: str, step: str, expected: float
) -> None:
    assert score(scorer, before, step) == [expected]


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        (HEAD + "    return a\n", 1.0),
        (HEAD + "    return a", 1.0),
        (HEAD + "    b = a\n", 0.0),
        (HEAD + "    return None\n", 0.0),
        (HEAD + "    return {1}\n", 0.0),
        (HEAD + "    return b\n", 0.0),
        ("nothing like a program", 0.0),
        ("", 0.0),
    ],
)
def test_a_finished_program_must_return_something(
    scorer: ExecutionScorer, program: str, expected: float
) -> None:
    assert score(scorer, "", program, finished=True) == [expected]


def test_negative_numbers_are_marked_only_where_they_are_forbidden(
    scorer: ExecutionScorer,
) -> None:
    assert score(scorer, HEAD, "    b = a - 5\n") == [1.0]
    assert score(scorer, HEAD, "    b = a - 5\n", forbid_negative=True) == [NEGATIVE]
    # Once, by the step that it stands in, and not by those that follow.
    assert score(scorer, HEAD + "    b = a - 5\n", "    c = 1\n", forbid_negative=True) == [1.0]
    assert score(scorer, HEAD + "    b = a - 5\n", "    b = 2\n", forbid_negative=True) == [1.0]
    assert score(scorer, HEAD, "    return a - 5\n", finished=True, forbid_negative=True) == [
        NEGATIVE
    ]


def test_several_steps_are_judged_by_the_last(scorer: ExecutionScorer) -> None:
    assert score(scorer, HEAD, "    b = 1\n", "    c = d\n") == [1.0, 0.0]


def test_a_prefix_is_run_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with Sandbox() as sandbox:
        ran: list[str] = []
        run = sandbox.run
        monkeypatch.setattr(sandbox, "run", lambda texts: ran.extend(texts) or run(texts))
        scorer = ExecutionScorer(OutcomeCache(sandbox))
        for _ in range(3):
            assert score(scorer, HEAD, "    b = a\n") == [1.0]
        assert len(ran) == 1
