"""Fine-tuning a student on verified rows."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pad_ray.base.config import resolve
from pad_ray.base.errors import ConfigError, DataError
from pad_ray.base.records import TrainingRow
from pad_ray.base.storage import locate_all
from pad_ray.flow.stages import Stage, read_manifest
from pad_ray.students.card import StudentCard, question_in
from pad_ray.students.models import (
    DTYPES,
    Student,
    load_student,
    make_scratch_student,
    save_student,
)
from pad_ray.students.trained_questions import QUESTIONS_FILE, save_trained_questions
from pad_ray.students.weights import load_weights
from pad_ray.training.data import (
    TOO_LONG,
    Example,
    held_questions,
    mix_repairs,
    nested_subset,
    read_hierarchy_rows,
    read_repair_rows,
    read_training_rows,
    solved_problems,
    tokenise_rows,
)
from pad_ray.training.general_texts import general_examples
from pad_ray.training.metrics import general_loss, worker_groups
from pad_ray.training.run import Best, Prepared, open_training, prepare, run, teacher_of
from pad_ray.training.settings import TrainingSettings

# The jobs whose directories hold repairs.
REPAIR_JOBS = ("inject", "collect_failures")


def train(settings: TrainingSettings) -> dict[str, Any]:
    """Fine-tune a student into `settings.out` and return the manifest.

    A finished run with the same settings is returned as it is; an interrupted one goes on from
    its last checkpoint. Raises `ResourceError` where the cluster cannot give what is asked for.
    """
    kinds = kinds_of(settings)
    stage = open_training(resolve(settings.out), "train", settings)
    if stage.complete is not None:
        return stage.complete
    initial = stage.out / "work" / "initial"
    prepared = prepare(stage, settings, lambda: make_prepared(settings, kinds, initial))
    stage.lap("prepare")
    best = run(settings, stage.out, prepared, "train")
    stage.lap("steps")
    return _finish(settings, stage, prepared, best)


def kinds_of(settings: TrainingSettings) -> dict[Path, bool]:
    """Tell of each directory whether it holds repairs; refuse those that the format cannot use."""
    kinds = {f: read_manifest(f).get("job") in REPAIR_JOBS for f in settings.folders}
    _check_data(settings, kinds)
    return kinds


def _check_data(settings: TrainingSettings, kinds: dict[Path, bool]) -> None:
    repairs = [folder for folder, is_repairs in kinds.items() if is_repairs]
    if repairs and settings.format != "repair":
        raise ConfigError(f"data: {repairs[0]} holds repairs; train on it with --format repair")
    if settings.format == "repair" and not repairs:
        raise ConfigError("data: --format repair needs a directory of inject or collect_failures")
    if len(repairs) == len(kinds):
        raise ConfigError("data: repairs alone; give the synthesis directory too")


def read_rows(
    settings: TrainingSettings, kinds: dict[Path, bool]
) -> tuple[list[TrainingRow], list[TrainingRow]]:
    """Return training and validation rows, each with its share of repairs.

    `kinds` tells of each directory whether it holds repairs.
    """
    folders = [f for f, is_repairs in kinds.items() if not is_repairs]
    plain = read_training_rows(folders, settings.writes)
    if settings.format == "hierarchical":
        plain += read_hierarchy_rows(folders)
    others = locate_all(settings.same_problems)
    if others:
        # A directory of each task, as those of data: together they are the other format.
        solved = set().union(*map(solved_problems, others))
        plain = [row for row in plain if row.problem_id in solved]
    if not plain:
        raise DataError("same_problems: no problem of data is solved there too")
    sources = [plain, *(read_repair_rows(f) for f, is_repairs in kinds.items() if is_repairs)]
    # Split as one, so that no question is on both sides.
    every = [row for rows in sources for row in rows]
    held = held_questions(every, settings.validation_fraction, settings.seed)
    parts = []
    for is_held in (False, True):
        first, *repairs = [[r for r in rows if (r.group in held) == is_held] for rows in sources]
        if not is_held:
            first = nested_subset(first, settings.seed, settings.max_problems, settings.max_rows)
        parts.append(mix_repairs(first, repairs, settings.repair_share))
    return parts[0], parts[1]


def make_prepared(settings: TrainingSettings, kinds: dict[Path, bool], initial: Path) -> Prepared:
    """Return the tokenised rows and the place of the initial student."""
    train_rows, validation_rows = read_rows(settings, kinds)
    student = _initial_student(settings, [row.source + row.target for row in train_rows])
    if settings.source_weight > 0 and student.is_encoder_decoder:
        raise ConfigError(
            f"source_weight: {settings.student} reads with an encoder, and writes no questions"
        )
    examples: dict[str, Sequence[Example]] = {}
    counts: dict[str, dict[str, int]] = {}
    for part, part_rows in (("train", train_rows), ("validation", validation_rows)):
        fit, too_long = tokenise_rows(
            part_rows,
            student.tokenizer,
            student.model.config,
            settings.max_source_tokens,
            settings.max_target_tokens,
        )
        if part == "train" and not fit:
            raise DataError(f"data: all {too_long} {TOO_LONG}")
        examples[part] = fit
        counts[part] = {
            "rows": len(fit),
            "too_long": too_long,
            "problems": len({row.problem_id for row in part_rows}),
            "parts" if settings.format == "hierarchical" else "repairs": _others(
                settings, part_rows
            ),
        }
    if settings.general.texts is not None:
        general = general_examples(settings.general, student.tokenizer, student.model.config)
        mixed = general.mixed(examples["train"], settings.general.share)
        counts["general"] = {"rows": len(mixed) - len(examples["train"]), "held": len(general.held)}
        examples |= {"train": mixed, "general": general.held}
    return Prepared(
        examples,
        counts,
        lambda: _place(settings, student, train_rows, initial),
        student.model.num_parameters(),
        student.is_encoder_decoder,
    )


def _others(settings: TrainingSettings, rows: Sequence[TrainingRow]) -> int:
    """Return how many rows ask for something else than the whole program."""
    is_mixed = settings.format in ("repair", "hierarchical")
    return sum(row.source not in row.questions for row in rows) if is_mixed else 0


def _initial_student(settings: TrainingSettings, texts: Sequence[str]) -> Student:
    card = _card(settings)
    source = teacher_of(settings)
    teacher = None if source is None else load_student(source)
    if settings.student.startswith("scratch:"):
        tokenizer = teacher.tokenizer if teacher else None
        student = make_scratch_student(
            settings.student, texts, card=card, seed=settings.seed, tokenizer=tokenizer
        )
    else:
        loaded = load_student(settings.student)
        student = Student(loaded.model, loaded.tokenizer, card)
    if teacher is not None:
        _check_teacher(settings, teacher, student)
    return student


def _check_teacher(settings: TrainingSettings, teacher: Student, student: Student) -> None:
    """Refuse a teacher whose distributions are not over the student's tokens."""
    name = settings.distill.teacher
    if teacher.is_encoder_decoder != student.is_encoder_decoder:
        raise ConfigError(
            f"distill.teacher: {name} and {settings.student} must both read apart from what they "
            "write (encoder-decoder), or neither"
        )
    if teacher.tokenizer.get_vocab() != student.tokenizer.get_vocab():
        raise ConfigError(f"distill.teacher: {name} has another tokenizer than {settings.student}")


def _place(
    settings: TrainingSettings, student: Student, rows: Sequence[TrainingRow], folder: Path
) -> str:
    """Write down what is trained on, and return where workers load the initial student."""
    questions = {question_in(group) for row in rows for group in row.questions}
    save_trained_questions(folder.parent / QUESTIONS_FILE, questions, settings.student)
    return _place_initial(settings, student, folder)


def _place_initial(settings: TrainingSettings, student: Student, folder: Path) -> str:
    """Return where workers load the initial student: written once unless they can read it."""
    if settings.student.startswith("scratch:") or settings.student.endswith(".gguf"):
        save_student(student, folder)
        return str(folder)
    local = Path(settings.student)
    return str(resolve(local)) if local.is_dir() else settings.student


def _finish(
    settings: TrainingSettings, stage: Stage, prepared: dict[str, Any], best: Best
) -> dict[str, Any]:
    student = load_student(prepared["student"])
    load_weights(student.model, best.weights, f"train: the checkpoint of step {best.step}")
    student.model.tie_weights()
    student.model.to(DTYPES[settings.precision])
    save_student(Student(student.model, student.tokenizer, _card(settings)), stage.out)
    questions = stage.out / "work" / QUESTIONS_FILE
    # A run that an earlier version began has written none down.
    if questions.is_file():
        shutil.copy(questions, stage.out)
    manifest = stage.finish(
        {
            "counts": prepared["counts"],
            "parameters": prepared["parameters"],
            "padding_share": prepared["padding_share"],
            "steps": prepared["steps"],
            "worker_groups": worker_groups(stage.out / "metrics.jsonl"),
            "best_step": best.step,
            "general_loss": general_loss(stage.out / "metrics.jsonl", best.step),
            "best_validation_loss": None if math.isnan(best.loss) else best.loss,
        }
    )
    shutil.rmtree(stage.out / "work")
    print(f"train: student of {manifest['parameters']:,} parameters saved in {stage.out}")
    return manifest


def _card(settings: TrainingSettings) -> StudentCard:
    return StudentCard(settings.writes, settings.student)
