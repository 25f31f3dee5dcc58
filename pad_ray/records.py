"""The rows that flow between stages, with their Arrow schemas and row keys."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from pad_ray.sandbox import Outcome

__all__ = [
    "AUGMENTED_SCHEMA",
    "JUDGED_SCHEMA",
    "PROBLEM_SCHEMA",
    "REPAIR_SCHEMA",
    "Completion",
    "Outcome",
    "Problem",
    "TrainingRow",
    "problem_id",
    "row_id",
]


def problem_id(task: str, question: str) -> str:
    """Return the 16-hex-digit key of a problem: a hash of task and question alone."""
    return hashlib.sha256(f"{task}\0{question}".encode()).hexdigest()[:16]


def row_id(problem: str, sample_index: int) -> str:
    """Return the key of one sample; it sorts by problem, then by sample index."""
    return f"{problem}-{sample_index:06d}"


@dataclass(frozen=True)
class Problem:
    """A question with its gold answer.

    `answer` is text (a plain number for number tasks). `rationale` is the data set's own worked
    solution, `program` the gold program of a generated problem, `template` the story it was
    built from; each is None where the source has none.
    """

    problem_id: str
    task: str
    question: str
    answer: str
    rationale: str | None = None
    program: str | None = None
    template: str | None = None

    @classmethod
    def make(
        cls,
        task: str,
        question: str,
        answer: str,
        *,
        rationale: str | None = None,
        program: str | None = None,
        template: str | None = None,
    ) -> Problem:
        """Build a problem with the key that its task and question give it."""
        key = problem_id(task, question)
        return cls(key, task, question, answer, rationale, program, template)


@dataclass(frozen=True)
class Completion:
    """What a teacher answered for one sample.

    `error` says why there is no answer (the text is then empty); `chain_of_thought` is the
    natural-language solution where the teacher has one beside the program. Token counts are the
    engine's own, or None where it counts none; `cost_usd` is None where no price is known. `notes`
    are counts that the teacher wants summed in the manifest. `by` names the model that answered,
    where a teacher has several.
    """

    text: str
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    chain_of_thought: str | None = None
    error: str | None = None
    notes: Mapping[str, int] | None = None
    cost_usd: float | None = None
    by: str | None = None


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


PROBLEM_SCHEMA = pa.schema(
    [
        ("problem_id", pa.string()),
        ("task", pa.string()),
        ("question", pa.string()),
        ("answer", pa.string()),
        ("rationale", pa.string()),
        ("program", pa.string()),
        ("template", pa.string()),
    ]
)

# A broken program, what came of it, and the right program in its place. `origin` is injection or
# failure, `kinds` the injected errors joined by "+", `broken_key` equal for equal broken programs;
# `reason` is null for a row to learn from.
REPAIR_SCHEMA = pa.schema(
    [
        ("row_id", pa.string()),
        ("problem_id", pa.string()),
        ("task", pa.string()),
        ("question", pa.string()),
        ("answer", pa.string()),
        ("origin", pa.string()),
        ("kinds", pa.string()),
        ("broken", pa.string()),
        ("broken_key", pa.string()),
        ("status", pa.string()),
        ("value", pa.string()),
        ("error_type", pa.string()),
        ("error_line", pa.int32()),
        ("message", pa.string()),
        ("program", pa.string()),
        ("reason", pa.string()),
    ]
)

# `value` is JSON text; `reason` is null for a verified sample. `cost_usd` is null where no price is
# known. Equal `near_key`s mark programs that differ in no calculation; `pass_rate` is the share of
# the problem's samples that are right, known when a dataset is finished. `steps_checked` counts the
# calculations that the chain of thought states, null where there is none.
JUDGED_SCHEMA = pa.schema(
    [
        ("row_id", pa.string()),
        ("problem_id", pa.string()),
        ("task", pa.string()),
        ("question", pa.string()),
        ("answer", pa.string()),
        ("template", pa.string()),
        ("sample_index", pa.int32()),
        ("teacher", pa.string()),
        ("completion", pa.string()),
        ("chain_of_thought", pa.string()),
        ("prompt_tokens", pa.int32()),
        ("completion_tokens", pa.int32()),
        ("cost_usd", pa.float64()),
        ("solve_s", pa.float64()),
        ("teacher_notes", pa.string()),
        ("program", pa.string()),
        ("program_key", pa.string()),
        ("near_key", pa.string()),
        ("status", pa.string()),
        ("value", pa.string()),
        ("error_type", pa.string()),
        ("error_line", pa.int32()),
        ("message", pa.string()),
        ("cpu_s", pa.float64()),
        ("wall_s", pa.float64()),
        ("steps_checked", pa.int32()),
        ("steps_wrong", pa.int32()),
        ("rounded_match", pa.bool_()),
        ("pass_rate", pa.float64()),
        ("reason", pa.string()),
    ]
)

# A problem made from a verified row, judged by its own answer: by which kind of augmentation, and
# the row, problem and question that it was made from.
AUGMENTED_SCHEMA = pa.schema(
    [
        *JUDGED_SCHEMA,
        ("kind", pa.string()),
        ("origin_row", pa.string()),
        ("origin_problem", pa.string()),
        ("origin_question", pa.string()),
    ]
)
