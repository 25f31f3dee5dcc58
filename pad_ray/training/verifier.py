"""Training a learned verifier on executed samples, and its calibration."""

from __future__ import annotations

import math
import shutil
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import ray
import torch
from rich.console import Console
from rich.table import Table

from pad_ray.base.config import resolve
from pad_ray.base.errors import ConfigError, DataError
from pad_ray.flow.progress import watch
from pad_ray.flow.runtime import connect
from pad_ray.flow.stages import Stage, input_fingerprints, open_stage, refuse_augmented
from pad_ray.programs.statements import split_steps
from pad_ray.students.card import worked_examples
from pad_ray.students.files import located, weight_fingerprints
from pad_ray.students.models import DTYPES
from pad_ray.tasks import get_task
from pad_ray.training.data import split_by_problem
from pad_ray.training.metrics import worker_groups
from pad_ray.training.run import (
    Best,
    Prepared,
    check_resources,
    open_training,
    prepare,
    run,
)
from pad_ray.training.state_head import fit_head, logits_of, read_states, student_of
from pad_ray.training.verifier_data import JudgedProgram, read_judged_programs, tokenise_programs
from pad_ray.training.verifier_settings import VerifierSettings
from pad_ray.verifiers.base import Candidate
from pad_ray.verifiers.states import save_state_head, student_mark
from pad_ray.verifiers.value import (
    ValueScorer,
    Verifier,
    make_value_model,
    save_value_model,
)

_POSITIONS = 10
_BINS = 10


def train_verifier(settings: VerifierSettings) -> dict[str, Any]:
    """Train a verifier into `settings.out` and return the manifest; resumes as `train` does."""
    if settings.student.startswith("scratch:"):
        raise ConfigError("student: a verifier starts from a trained model; give its folder")
    if settings.validation_fraction == 0:
        raise ConfigError("validation_fraction: a verifier is calibrated on held-out problems")
    for field, given in (
        ("distill.teacher", settings.distill.teacher),
        ("general.texts", settings.general.texts),
    ):
        if given is not None:
            raise ConfigError(f"{field}: a verifier writes no texts; leave it out")
    inputs = input_fingerprints("data", settings.folders)
    refuse_augmented("data", settings.folders, "a verifier learns from a teacher's own samples")
    out = resolve(settings.out)
    if settings.states:
        return _train_states(settings, out, inputs)
    if settings.few_shot:
        raise ConfigError("few_shot: shown to a student whose states are read; give --states true")
    stage = open_training(out, "train_verifier", settings, inputs)
    if stage.complete is not None:
        return stage.complete
    prepared = prepare(stage, settings, lambda: _make(settings))
    best = run(settings, stage.out, prepared, "train_verifier", "value")
    return _finish(settings, stage, prepared, best)


def _train_states(settings: VerifierSettings, out: Path, inputs: dict[str, str]) -> dict[str, Any]:
    source, card = located(settings.student)
    if card.writes_text:
        raise ConfigError(f"student: it writes format '{card.format}'; programs alone are verified")
    preamble = _preamble(settings)
    inputs |= weight_fingerprints("student", source)
    stage = open_stage(out, "train_verifier", settings, inputs)
    if stage.complete is not None:
        print(f"train_verifier: {out} is complete; nothing to do")
        return stage.complete
    parts = _split(settings)
    connect()
    check_resources(settings)
    stage.begin()
    programs = [*parts["train"], *parts["validation"]]
    mark, states = _read_all(programs, settings, source, preamble)
    count = len(parts["train"])
    head = fit_head(mark, settings.student, parts["train"], states[:count])
    held = parts["validation"]
    logits = logits_of(head, states[count:])
    raw = [(steps, p.right) for steps, p in zip(logits, held, strict=True)]
    scale, shift, quality = _judged(raw, held)
    save_state_head(replace(head, scale=scale, shift=shift), out)
    counts = {part: {"rows": len(rows), **_counted(rows)} for part, rows in parts.items()}
    manifest = stage.finish({"counts": counts, "parameters": len(head.weight) + 1, **quality})
    print_quality(manifest)
    print(f"train_verifier: head on the states of {settings.student} in {out}")
    return manifest


def _preamble(settings: VerifierSettings) -> str:
    if not settings.few_shot:
        return ""
    if settings.task is None:
        raise ConfigError("few_shot: needs task, whose worked examples are shown")
    return worked_examples(get_task(settings.task), settings.few_shot)


def _read_all(
    programs: Sequence[JudgedProgram], settings: VerifierSettings, source: str, preamble: str
) -> tuple[str, list[np.ndarray]]:
    """Return the student's mark and the states of all programs.

    They are read in as many tasks at a time as there are workers.
    """
    task = ray.remote(_read_part).options(
        num_cpus=settings.cpus_per_worker, num_gpus=settings.gpus_per_worker
    )
    # Loading a student is worth many programs.
    size = max(256, math.ceil(len(programs) / (8 * settings.workers)))
    waiting = deque(programs[at : at + size] for at in range(0, len(programs), size))
    running: deque[Any] = deque()
    found: list[np.ndarray] = []
    with watch("train_verifier", len(programs), lambda: (len(found), "states read")):
        while waiting or running:
            while waiting and len(running) < settings.workers:
                part = waiting.popleft()
                running.append(
                    task.remote(part, source, settings.precision, preamble, settings.threads)
                )
            mark, states = ray.get(running.popleft())
            found += states
    return mark, found


def _read_part(
    programs: Sequence[JudgedProgram], source: str, precision: str, preamble: str, threads: int
) -> tuple[str, list[np.ndarray]]:
    torch.set_num_threads(max(threads, 1))
    student = student_of(source, precision, preamble)
    return student_mark(student.model), read_states(student, programs)


def _split(settings: VerifierSettings) -> dict[str, list[JudgedProgram]]:
    programs = read_judged_programs(settings.folders)
    train, validation = split_by_problem(programs, settings.validation_fraction, settings.seed)
    if len({program.right for program in validation}) < 2:
        raise DataError("data: the held-out problems' programs are all right or all wrong")
    return {"train": train, "validation": validation}


def _counted(programs: Sequence[JudgedProgram]) -> dict[str, int]:
    return {
        "problems": len({program.problem_id for program in programs}),
        "right": sum(program.right for program in programs),
    }


def _make(settings: VerifierSettings) -> Prepared:
    parts = _split(settings)
    place = Path(settings.student)
    source = str(resolve(place)) if place.is_dir() else settings.student
    verifier = make_value_model(source)
    examples, counts = {}, {}
    for part, programs in parts.items():
        fit, too_long = tokenise_programs(
            programs, verifier.tokenizer, settings.max_source_tokens, settings.max_target_tokens
        )
        examples[part] = fit
        counts[part] = {
            "rows": len(fit),
            "too_long": too_long,
            **_counted(programs),
        }
    if not examples["train"]:
        raise DataError("data: all programs are longer than max_source/target_tokens")
    parameters = sum(p.numel() for p in verifier.model.parameters())
    return Prepared(examples, counts, lambda: source, parameters)


def _finish(
    settings: VerifierSettings, stage: Stage, prepared: dict[str, Any], best: Best
) -> dict[str, Any]:
    made = make_value_model(prepared["student"])
    made.model.load_state_dict(best.weights, strict=False)
    made.model.eval()
    held = _split(settings)["validation"]
    raw = _values(made, held, settings.threads)
    scale, shift, quality = _judged(raw, held)
    card = replace(made.card, origin=settings.student, scale=scale, shift=shift)
    made.model.to(DTYPES[settings.precision])
    save_value_model(Verifier(made.model, made.tokenizer, card), stage.out)
    manifest = stage.finish(
        {
            "counts": prepared["counts"],
            "parameters": prepared["parameters"],
            "padding_share": prepared["padding_share"],
            "steps": prepared["steps"],
            "worker_groups": worker_groups(stage.out / "metrics.jsonl"),
            "best_step": best.step,
            "best_validation_loss": best.loss,
            **quality,
        }
    )
    shutil.rmtree(stage.out / "work")
    print_quality(manifest)
    print(f"train_verifier: verifier of {manifest['parameters']:,} parameters in {stage.out}")
    return manifest


Judged = list[tuple[list[float], bool]]


def _judged(raw: Judged, held: Sequence[JudgedProgram]) -> tuple[float, float, dict[str, Any]]:
    """Return scale and shift that calibrate held-out logits, and what the manifest says of them."""
    logits, right = _last_logits(raw)
    scale, shift = platt(logits, right)
    return (
        scale,
        shift,
        {
            "calibration": {"scale": scale, "shift": shift},
            **measure_values(raw, scale, shift),
            "within_questions": auc_within(logits, right, [p.question for p in held]),
        },
    )


@torch.inference_mode()
def _values(verifier: Verifier, programs: Sequence[JudgedProgram], threads: int) -> Judged:
    """Return each program's logits at its steps' ends, and whether it is right."""
    if torch.cuda.is_available():
        verifier.model.to("cuda")
    torch.set_num_threads(max(threads, 1))
    scorer = ValueScorer(verifier)
    found: Judged = []
    for start in range(0, len(programs), 64):
        part = programs[start : start + 64]
        candidates = [
            Candidate(i, -i - 2, i, p.question, "", tuple(split_steps(p.program)))
            for i, p in enumerate(part)
        ]
        scores = scorer.score(candidates)
        found += [
            ([_logit(s) for s in steps], program.right)
            for steps, program in zip(scores, part, strict=True)
        ]
        for i in range(len(part)):
            scorer.forget(i)
    return found


def _logit(probability: float) -> float:
    p = min(max(probability, 1e-12), 1 - 1e-12)
    return math.log(p / (1 - p))


def _last_logits(judged: Judged) -> tuple[np.ndarray, np.ndarray]:
    return (
        np.array([logits[-1] for logits, _ in judged]),
        np.array([right for _, right in judged], dtype=float),
    )


def platt(logits: np.ndarray, right: np.ndarray) -> tuple[float, float]:
    """Return scale and shift that make sigmoid(scale * logit + shift) calibrated (Platt)."""
    x = torch.tensor(logits, dtype=torch.float64)
    y = torch.tensor(right, dtype=torch.float64)
    weights = torch.tensor([1.0, 0.0], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = torch.nn.functional.binary_cross_entropy_with_logits(
            weights[0] * x + weights[1], y
        ) + 1e-4 * ((weights[0] - 1) ** 2 + weights[1] ** 2)
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    scale, shift = weights.detach().tolist()
    # A negative scale would call the verifier's opinion its opposite.
    return max(scale, 1e-3), shift


def measure_values(judged: Judged, scale: float, shift: float) -> dict[str, Any]:
    """Return AUC and expected calibration error (10 bins) of whole programs and by step position.

    Position k counts steps from the first; the last row holds all later ones.
    """
    by_position: dict[int, list[tuple[float, bool]]] = {}
    for logits, right in judged:
        for position, logit in enumerate(logits):
            by_position.setdefault(min(position, _POSITIONS - 1), []).append((logit, right))
    last = [(logits[-1], right) for logits, right in judged]
    return {
        **_quality(last, scale, shift),
        "by_step": [
            {"step": position + 1, **_quality(pairs, scale, shift)}
            for position, pairs in sorted(by_position.items())
        ],
    }


def _quality(pairs: Sequence[tuple[float, bool]], scale: float, shift: float) -> dict[str, Any]:
    logits = np.array([logit for logit, _ in pairs])
    right = np.array([label for _, label in pairs])
    probabilities = 1 / (1 + np.exp(-(scale * logits + shift)))
    area = auc(logits, right)
    return {
        "programs": len(pairs),
        "right": round(float(right.mean()), 4),
        "auc": None if area is None else round(area, 4),
        "ece": round(calibration_error(probabilities, right), 4),
    }


def auc(scores: np.ndarray, right: np.ndarray) -> float | None:
    """Return the chance that a right program scores above a wrong one; None without both."""
    positives = int(right.sum())
    negatives = len(right) - positives
    if not positives or not negatives:
        return None
    order = np.argsort(scores, kind="stable")
    ranks = np.empty(len(scores))
    ranks[order] = np.arange(1, len(scores) + 1)
    # Equal scores share their mean rank.
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    sums = np.bincount(inverse, weights=ranks)
    ranks = (sums / counts)[inverse]
    return float(
        (ranks[right.astype(bool)].sum() - positives * (positives + 1) / 2)
        / (positives * negatives)
    )


def auc_within(scores: np.ndarray, right: np.ndarray, questions: Sequence[str]) -> dict[str, Any]:
    """Return the AUC among programs of the same question, and how many questions tell it.

    A verifier may know which questions are hard, which gives it a good AUC over all programs, and
    not which program of a question is right, which is all that search asks of it.
    """
    groups: dict[str, list[int]] = {}
    for row, question in enumerate(questions):
        groups.setdefault(question, []).append(row)
    total, pairs, told = 0.0, 0, 0
    for rows in groups.values():
        area = auc(scores[rows], right[rows])
        if area is not None:
            positives = int(right[rows].sum())
            weight = positives * (len(rows) - positives)
            total, pairs, told = total + area * weight, pairs + weight, told + 1
    return {"auc": round(total / pairs, 4) if pairs else None, "questions": told}


def calibration_error(probabilities: np.ndarray, right: np.ndarray) -> float:
    """Return the expected calibration error over equal-width bins."""
    bins = np.minimum((probabilities * _BINS).astype(int), _BINS - 1)
    total = 0.0
    for number in range(_BINS):
        inside = bins == number
        if inside.any():
            gap = abs(probabilities[inside].mean() - right[inside].mean())
            total += float(gap) * int(inside.sum())
    return total / len(probabilities)


def print_quality(manifest: dict[str, Any]) -> None:
    """Print AUC and calibration error by step position."""
    table = Table("held-out programs", "number", "right", "AUC", "ECE")
    rows = [("whole", manifest)] + [(f"step {r['step']}", r) for r in manifest["by_step"]]
    for name, row in rows:
        area = "-" if row["auc"] is None else f"{row['auc']:.3f}"
        table.add_row(name, str(row["programs"]), f"{row['right']:.1%}", area, f"{row['ece']:.3f}")
    Console(width=100).print(table)
    within = manifest["within_questions"]
    if within["auc"] is not None:
        print(
            f"among programs of one question, AUC {within['auc']:.3f} ({within['questions']} "
            "questions with right and wrong ones): 0.5 would be no help to a search"
        )
