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

from pad_ray.base.config import resolve
from pad_ray.base.errors import ConfigError, DataError
from pad_ray.flow.progress import watch
from pad_ray.flow.ready import check_shared
from pad_ray.flow.runtime import connect
from pad_ray.flow.stages import Stage, open_stage, refuse_augmented
from pad_ray.programs.statements import split_steps
from pad_ray.students.card import worked_examples
from pad_ray.students.files import located
from pad_ray.students.models import DTYPES
from pad_ray.students.weights import load_weights
from pad_ray.tasks import get_task
from pad_ray.training.calibration import (
    Judged,
    auc_within,
    last_logits,
    measure_values,
    platt,
    print_quality,
)
from pad_ray.training.data import Example, split_by_problem
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
    refuse_augmented("data", settings.folders, "a verifier learns from a teacher's own samples")
    out = resolve(settings.out)
    if settings.states:
        return _train_states(settings, out)
    if settings.few_shot:
        raise ConfigError("few_shot: shown to a student whose states are read; give --states true")
    stage = open_training(out, "train_verifier", settings)
    if stage.complete is not None:
        return stage.complete
    prepared = prepare(stage, settings, lambda: _make(settings))
    best = run(settings, stage.out, prepared, "train_verifier", "value")
    return _finish(settings, stage, prepared, best)


def _train_states(settings: VerifierSettings, out: Path) -> dict[str, Any]:
    source, card = located(settings.student)
    if card.writes_text:
        raise ConfigError(f"student: it writes format '{card.format}'; programs alone are verified")
    preamble = _preamble(settings)
    stage = open_stage(out, "train_verifier", settings)
    if stage.complete is not None:
        print(f"train_verifier: {out} is complete; nothing to do")
        return stage.complete
    parts = _split(settings)
    connect()
    check_resources(settings)
    check_shared(out)
    stage.begin()
    programs = [program for part in parts.values() for program in part]
    mark, states = _read_all(programs, settings, source, preamble)
    counts: dict[str, dict[str, int]] = {}
    read: dict[str, tuple[list[JudgedProgram], list[np.ndarray]]] = {}
    found = iter(states)
    for part, rows in parts.items():
        pairs = [(p, state) for p, state in zip(rows, found, strict=False) if state is not None]
        if not pairs:
            raise DataError(f"data: the student can read no program of the {part} problems whole")
        read[part] = [program for program, _ in pairs], [state for _, state in pairs]
        too_long = len(rows) - len(pairs)
        counts[part] = {"rows": len(pairs), "too_long": too_long, **_counted(rows)}
    head = fit_head(mark, settings.student, *read["train"])
    raw = {}
    for part in ("validation", "test"):
        rows, held = read[part]
        told = logits_of(head, held)
        raw[part] = [(logits, p.right) for logits, p in zip(told, rows, strict=True)]
    scale, shift, quality = _judged(raw["validation"], raw["test"], read["test"][0])
    save_state_head(replace(head, scale=scale, shift=shift), out)
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
) -> tuple[str, list[np.ndarray | None]]:
    """Return the student's mark and the states of all programs, None of those that are too long.

    They are read in as many tasks at a time as there are workers.
    """
    task = ray.remote(_read_part).options(
        num_cpus=settings.cpus_per_worker, num_gpus=settings.gpus_per_worker
    )
    # Loading a student is worth many programs.
    size = max(256, math.ceil(len(programs) / (8 * settings.workers)))
    waiting = deque(programs[at : at + size] for at in range(0, len(programs), size))
    running: deque[Any] = deque()
    found: list[np.ndarray | None] = []
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
) -> tuple[str, list[np.ndarray | None]]:
    torch.set_num_threads(max(threads, 1))
    student = student_of(source, precision, preamble)
    return student_mark(student.model), read_states(student, programs)


def _split(settings: VerifierSettings) -> dict[str, list[JudgedProgram]]:
    """Return the programs to learn from, to choose and calibrate by, and to measure on.

    Half of the problems held out are for the last: what chose the checkpoint or fitted the scale
    says nothing of how good either is.
    """
    programs = read_judged_programs(settings.folders)
    train, held = split_by_problem(programs, settings.validation_fraction, settings.seed)
    validation, test = split_by_problem(held, 0.5, settings.seed)
    if not test:
        raise DataError(
            "data: only one problem is held out, and another is needed to measure on; "
            "raise validation_fraction"
        )
    if len({program.right for program in validation}) < 2:
        raise DataError("data: the held-out problems' programs are all right or all wrong")
    return {"train": train, "validation": validation, "test": test}


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
        fit = _fitting(settings, programs, verifier)
        if not fit:
            raise DataError(
                f"data: all programs of the {part} problems are longer than "
                "max_source/target_tokens, or than the verifier has positions for"
            )
        too_long = len(programs) - len(fit)
        counts[part] = {"rows": len(fit), "too_long": too_long, **_counted(programs)}
        examples[part] = [example for _, example in fit]
    # Nothing is learnt or chosen by these.
    del examples["test"]
    parameters = sum(p.numel() for p in verifier.model.parameters())
    return Prepared(examples, counts, lambda: source, parameters)


def _fitting(
    settings: VerifierSettings, programs: Sequence[JudgedProgram], verifier: Verifier
) -> list[tuple[JudgedProgram, Example]]:
    limits = (settings.max_source_tokens, settings.max_target_tokens)
    config = verifier.model.backbone.config
    return tokenise_programs(programs, verifier.tokenizer, config, *limits)


def _finish(
    settings: VerifierSettings, stage: Stage, prepared: dict[str, Any], best: Best
) -> dict[str, Any]:
    made = make_value_model(prepared["student"])
    load_weights(made.model, best.weights, f"train_verifier: the checkpoint of step {best.step}")
    made.model.eval()
    raw, held = {}, []
    for part, programs in _split(settings).items():
        if part != "train":
            held = [program for program, _ in _fitting(settings, programs, made)]
            raw[part] = _values(made, held, settings.threads)
    scale, shift, quality = _judged(raw["validation"], raw["test"], held)
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


def _judged(
    validation: Judged, test: Judged, programs: Sequence[JudgedProgram]
) -> tuple[float, float, dict[str, Any]]:
    """Return scale and shift that calibrate logits, and what the manifest says of them.

    They are fitted on the validation problems and measured on the test ones, whose `programs` are
    given.
    """
    scale, shift = platt(*last_logits(validation))
    logits, right = last_logits(test)
    quality = {
        "calibration": {"scale": scale, "shift": shift},
        **measure_values(test, scale, shift),
        "within_questions": auc_within(logits, right, [p.question for p in programs]),
    }
    return scale, shift, quality


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
