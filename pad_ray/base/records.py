"""The rows that flow between stages, with their Arrow schemas and row keys."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pad_ray.sandbox import Outcome

__all__ = [
    "Completion",
    "Outcome",
    "Problem",
    "TrainingRow",
    "gold_answers",
    "problem_id",
    "row_id",
]


def problem_id(task: str, question: str) -> str:
    """Return the 16-hex-digit key of a problem: a hash of task and question alone."""
    return hashlib.sha256(f"{task}\0{question}".encode()).hexdigest()[:16]


def row_id(problem: str, sample_index: int) -> str:
    """Return the key of one sample; it sorts by problem, then by sample index."""
    return f"{problem}-{sample_index:06d}"


_ANY_OF = "any_of"
_BEGINS_ANY_OF = f'{{"{_ANY_OF}": ['


def gold_answers(answer: str) -> tuple[str, ...]:
    """Return the acceptable answers that a gold text stands for: itself, or those of an `any_of`.

    The likeliest is the first. Of several the text is the JSON object `{"any_of": ["5", "five"]}`.
    """
    if not answer.startswith(_BEGINS_ANY_OF):
        return (answer,)
    try:
        found = json.loads(answer)[_ANY_OF]
    except (ValueError, RecursionError):
        return (answer,)
    return tuple(found) if found and all(isinstance(one, str) for one in found) else (answer,)


def _gold_text(answer: str | Sequence[str]) -> str:
    if isinstance(answer, str):
        return answer
    several = list(dict.fromkeys(answer))
    if not several:
        raise ValueError("a problem needs an answer")
    return several[0] if len(several) == 1 else json.dumps({_ANY_OF: several}, ensure_ascii=False)


@dataclass(frozen=True)
class Problem:
    """A question with its gold answer.

    `answer` is text (a plain number for number tasks), of several acceptable ones as `gold_answers`
    reads them. `rationale` is the data set's own worked solution, `program` the gold program of a
    generated problem, `template` the story it was built from; `own_id` is the user's id of a row of
    a problem file, `extra` a JSON object of its further columns, both carried as they are into
    every row of the problem. Each is None where the source has none.
    """

    problem_id: str
    task: str
    question: str
    answer: str
    rationale: str | None = None
    program: str | None = None
    template: str | None = None
    own_id: str | None = None
    extra: str | None = None

    @classmethod
    def make(
        cls,
        task: str,
        question: str,
        answer: str | Sequence[str],
        *,
        rationale: str | None = None,
        program: str | None = None,
        template: str | None = None,
        own_id: str | None = None,
        extra: str | None = None,
    ) -> Problem:
        """Build a problem with the key that its task and question give it.

        A sequence of answers means that any of them is right, the likeliest first.
        """
        key = problem_id(task, question)
        gold = _gold_text(answer)
        return cls(key, task, question, gold, rationale, program, template, own_id, extra)


@dataclass(frozen=True)
class Completion:
    """What a teacher answered for one sample.

    `error` says why there is no answer (the text is then empty); `chain_of_thought` is the
    natural-language solution where the teacher has one beside the program. Token counts are the
    engine's own, or None where it counts none; `cost_usd` is None where no price is known. `notes`
    are counts that the teacher wants summed in the manifest. `by` names the model that was asked,
    where a teacher has several, `served_model` the one that the server says has answered.
    `finish_reason` is as the server tells it ("length": cut at its limit of tokens), `latency_s`
    the seconds that the request took, with `retries` further attempts. `own_id` is the user's id
    of the problem, where a recorded completion has one.
    """

    text: str
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    chain_of_thought: str | None = None
    error: str | None = None
    notes: Mapping[str, int] | None = None
    cost_usd: float | None = None
    by: str | None = None
    finish_reason: str | None = None
    served_model: str | None = None
    latency_s: float | None = None
    retries: int | None = None
    own_id: str | None = None


@dataclass(frozen=True)
class TrainingRow:
    """One example for a student: `source` is read, `target` is learned.

    `group` is equal for all examples of one question, whatever they ask for. An augmented problem
    has the id and the group of the one that it was made from; `own_group` is then that of its own
    question, else None.
    """

    problem_id: str
    group: str
    source: str
    target: str
    own_group: str | None = None

    @property
    def questions(self) -> set[str]:
        """Its own question and the one that it was made from, as groups."""
        return {self.group, self.own_group or self.group}
