"""What one student's output space looks like on a problem set: the work of `run`."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pad_ray.base.errors import ConfigError
from pad_ray.base.records import Problem
from pad_ray.decoding.engine import Engine
from pad_ray.decoding.hypothesis import Hypothesis
from pad_ray.decoding.scheduler import Scheduler
from pad_ray.decoding.search import Trail
from pad_ray.evaluation.analysis.metrics import (
    dispersion,
    distinct_n,
    participation_ratio,
    self_bleu,
)
from pad_ray.evaluation.analysis.tokens import CLASSES, Forced, force
from pad_ray.students.card import TargetFormat
from pad_ray.students.models import Student, prompt_fits, tokenise_target
from pad_ray.tasks.answers import answer_sentence
from pad_ray.teachers.base import Request
from pad_ray.teachers.rationale.engine import RationaleTeacher
from pad_ray.teachers.scripted.engine import ScriptedTeacher
from pad_ray.teachers.student import Sampling
from pad_ray.teachers.student_settings import StudentTeacherSettings
from pad_ray.verifiers.alignment import load_encoder

__all__ = ["POSITIONS", "ProblemMeasures", "measure_student", "reference_of", "sentence_encoder"]

# Tenths of a text: formats differ in length.
POSITIONS = 10
Encode = Callable[[Sequence[str]], NDArray[np.float64]]


@dataclass(frozen=True)
class ProblemMeasures:
    """One problem's values by measure, and the embeddings of its samples [n, d]."""

    problem_id: str
    values: dict[str, float | None]
    vectors: NDArray[np.float64]
    texts: list[str] = field(default_factory=list)


def reference_of(problem: Problem, target_format: TargetFormat) -> str | None:
    """Return the text that a flawless student of this format would learn from; None without one.

    That of a generated problem is its gold program, or this told in words by the scripted teacher
    (simulated); that of GSM8K comes from its worked solution.
    """
    if target_format == "answer":
        return answer_sentence(problem.answer)
    kind: Any = "cot" if target_format == "cot" else "program"
    teacher: ScriptedTeacher | RationaleTeacher
    if problem.program is not None and kind == "program":
        return problem.program
    if problem.program is not None:
        teacher = ScriptedTeacher(0, {}, 0.0, kind)
    elif problem.rationale is not None:
        teacher = RationaleTeacher(problem.task, kind)
    else:
        return None
    ((completion,),) = teacher.complete([Request(problem, (0,))])
    return completion.text or None


def measure_student(
    student: Student,
    problems: Sequence[Problem],
    samples: int,
    sampling: StudentTeacherSettings,
    seed: int,
    encode: Encode | None = None,
) -> list[ProblemMeasures]:
    """Measure a student's distributions on references and on its own samples, a problem each."""
    for problem in problems:
        source = student.card.prompt(problem.question)
        if not prompt_fits(student, source):
            raise ConfigError(f"problems: {problem.problem_id} is too long for the student")
    drawn = _drawn(student, problems, samples, sampling, seed)
    own = [
        (student.card.prompt(problem.question), _written(student, one))
        for problem, ones in zip(problems, drawn, strict=True)
        for one in ones
    ]
    read = iter(force(student, own))
    references = _references(student, problems)
    found = []
    for problem, ones in zip(problems, drawn, strict=True):
        forced = [next(read) for _ in ones]
        texts = [one.text for one in ones]
        vectors = np.stack([f.vector for f in forced]) if encode is None else encode(texts)
        values = _of_texts([text.split() for text in texts]) | _of_vectors(vectors)
        values |= _of_tokens("sampled", forced)
        values["length"] = float(np.mean([len(one.entropy) for one in forced]))
        if problem.problem_id in references:
            values |= _of_tokens("reference", [references[problem.problem_id]])
        found.append(ProblemMeasures(problem.problem_id, values, vectors, texts))
    return found


def _written(student: Student, one: Hypothesis) -> list[int]:
    """Return the ids of a sample, closed as the student closes it; never none."""
    return [*one.ids, *([] if one.truncated and one.ids else [student.tokenizer.eos_token_id])]


def _drawn(
    student: Student,
    problems: Sequence[Problem],
    samples: int,
    settings: StudentTeacherSettings,
    seed: int,
) -> list[list[Hypothesis]]:
    scheduler = Scheduler(Engine(student, max_rows=settings.max_rows), {}, None)
    sampling = Sampling(settings, range(samples), seed)
    jobs = [
        scheduler.submit(
            student.card.prompt(p.question), Trail(p.question, sampling.size()), sampling
        )
        for p in problems
    ]
    scheduler.run()
    return [list(job.trail.notes["programs"]) for job in jobs]


def _references(student: Student, problems: Sequence[Problem]) -> dict[str, Forced]:
    texts = {p.problem_id: reference_of(p, student.card.format) for p in problems}
    having = [p for p in problems if texts[p.problem_id] is not None]
    pairs = [
        (
            student.card.prompt(p.question),
            tokenise_target(student.tokenizer, str(texts[p.problem_id])),
        )
        for p in having
    ]
    return dict(zip([p.problem_id for p in having], force(student, pairs), strict=True))


def _of_texts(texts: Sequence[Sequence[str]]) -> dict[str, float | None]:
    return {
        "distinct_1": distinct_n(texts, 1),
        "distinct_2": distinct_n(texts, 2),
        "self_bleu": self_bleu(texts),
        "distinct_texts": len({tuple(text) for text in texts}) / len(texts),
    }


def _of_vectors(vectors: NDArray[np.float64]) -> dict[str, float | None]:
    return {
        "dispersion": dispersion(vectors),
        "participation_ratio": participation_ratio(vectors),
    }


def _of_tokens(kind: str, forced: Sequence[Forced]) -> dict[str, float | None]:
    """Return means over the tokens of texts: of all, by class and by tenth of the text."""
    groups: defaultdict[str, list[tuple[float, float, float]]] = defaultdict(list)
    for one in forced:
        for place, name in enumerate(one.classes):
            point = (one.entropy[place], one.surprise[place], float(one.support[place]))
            tenth = place * POSITIONS // len(one.classes)
            for group in ("", f".{name}", f".position_{tenth}"):
                groups[group].append(point)
    wanted = ["", *(f".{c}" for c in CLASSES), *(f".position_{i}" for i in range(POSITIONS))]
    values: dict[str, float | None] = {}
    for group in wanted:
        columns = list(zip(*groups[group], strict=True)) or [(), (), ()]
        for measure, column in zip(("entropy", "surprise", "support"), columns, strict=True):
            mean = math.fsum(column) / len(column) if column else None
            values[f"{kind}_{measure}{group}"] = mean
    return values


def sentence_encoder(folder: str) -> Encode:
    """Return a sentence encoder's function from texts to unit vectors [n, d]."""
    model = load_encoder(folder, torch.device("cpu"), "encoder")

    def encode(texts: Sequence[str]) -> NDArray[np.float64]:
        vectors = model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(vectors, dtype=np.float64)

    return encode
