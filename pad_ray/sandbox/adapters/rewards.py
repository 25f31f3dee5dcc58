"""For reinforcement learning by TRL and verl: whether a completion's program returns the answer."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

from pad_ray.sandbox.executor import Sandbox
from pad_ray.sandbox.values import Value

_FENCED = re.compile(r"```[^\S\n]*(?:python3?|py)?[^\S\n]*\n(.*?)(?:^```|\Z)", re.M | re.S | re.I)


class ProgramReward:
    """1.0 for a completion whose program returns the answer, 0.0 for any other.

    For TRL it is a reward function itself, `GRPOTrainer(reward_funcs=ProgramReward(sandbox))`; for
    verl, its `compute_score` (or `compute_scores`, where the reward manager is `batch`) is what
    the file of `custom_reward_function` names. A batch's programs run together.

    column: the name of the answers in TRL's dataset. A row whose answer is None has no reward.
    program: reads the program out of a completion; by default its last fenced block, or all of it.
    equal: compares the value that `solution()` returned with the answer; by default numbers to a
        millionth, and all else by its text. Where all of pad-ray is installed,
        `pad_ray.programs.extraction.extract_program` and `pad_ray.tasks.equal` read more.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        column: str = "answer",
        program: Callable[[str], str | None] | None = None,
        equal: Callable[[Value, Any], bool] | None = None,
    ) -> None:
        self._sandbox = sandbox
        self._column = column
        self._program = program or last_block
        self._equal = equal or same_answer

    def __call__(self, completions: Sequence[Any], **columns: Any) -> list[float | None]:
        """Return a reward for each completion, a text or a list of messages.

        Raises KeyError if the dataset lacks the answers' column.
        """
        if self._column not in columns:
            raise KeyError(f"the dataset has no column {self._column!r} for the reward")
        answers = columns[self._column]
        return self._rewards([_text(completion) for completion in completions], answers)

    def compute_score(
        self,
        data_source: str,
        solution_str: str,
        ground_truth: Any,
        extra_info: object = None,
        **_: object,
    ) -> float:
        """Return the reward of one completion."""
        return self._rewards([solution_str], [ground_truth])[0] or 0.0

    def compute_scores(
        self,
        data_sources: Sequence[str],
        solution_strs: Sequence[str],
        ground_truths: Sequence[Any],
        extra_infos: object = None,
        **_: object,
    ) -> list[float]:
        """Return the rewards of a batch of completions."""
        return [reward or 0.0 for reward in self._rewards(solution_strs, ground_truths)]

    def _rewards(self, texts: Sequence[str], answers: Sequence[Any]) -> list[float | None]:
        outcomes = self._sandbox.run([self._program(text) or "" for text in texts])
        return [
            None
            if answer is None
            else float(outcome.status == "ok" and self._equal(outcome.value, answer))
            for outcome, answer in zip(outcomes, answers, strict=True)
        ]


def last_block(completion: str) -> str:
    """Return the last fenced block of a completion, or all of it where there is none."""
    blocks: list[str] = _FENCED.findall(completion)
    return blocks[-1] if blocks else completion


def same_answer(value: Value, answer: Any) -> bool:
    """Tell whether two numbers differ by less than a millionth, or two texts not at all."""
    value_text, answer_text = str(value).strip(), str(answer).strip()
    if value_text == answer_text:
        return True
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isclose(value, float(answer_text.replace(",", "")), rel_tol=1e-6)
    except (ValueError, OverflowError):
        return False


def _text(completion: Any) -> str:
    if isinstance(completion, str):
        return completion
    content = completion[-1]["content"] if completion else ""
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content or ())
