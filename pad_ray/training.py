"""Fine-tuning a student on verified rows."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pad_ray.config import resolve
from pad_ray.errors import DataError
from pad_ray.stages import Stage, read_manifest
from pad_ray.students import (
    DTYPES,
    Student,
    StudentCard,
    load_student,
    make_scratch_student,
    save_student,
)
from pad_ray.training_data import (
    Example,
    read_training_rows,
    split_by_problem,
    tokenise_rows,
)
from pad_ray.training_run import Best, Prepared, open_training, prepare, run
from pad_ray.training_settings import TrainingHyperparameters


class TrainingSettings(TrainingHyperparameters):
    """Fine-tune a student on the verified rows of synthesis directories."""

    data: list[Path] | Path
    """Synthesis directory, or a list of them."""
    out: Path
    """Directory for the student, metrics.jsonl and manifest.json."""

    @property
    def folders(self) -> list[Path]:
        return [resolve(p) for p in (self.data if isinstance(self.data, list) else [self.data])]

    def row_settings(self) -> dict[str, Any]:
        settings = super().row_settings()
        del settings["data"]
        return settings


def train(settings: TrainingSettings) -> dict[str, Any]:
    """Fine-tune a student into `settings.out` and return the manifest.

    A finished run with the same settings is returned as it is; an interrupted one goes on from
    its last checkpoint. Raises `ResourceError` where the cluster cannot give what is asked for.
    """
    inputs = {f"data_{i}": read_manifest(f)["fingerprint"] for i, f in enumerate(settings.folders)}
    stage = open_training(resolve(settings.out), "train", settings, inputs)
    if stage.complete is not None:
        return stage.complete
    prepared = prepare(stage, settings, lambda: _make(settings, stage.out / "work" / "initial"))
    best = run(settings, stage.out, prepared, "train")
    return _finish(settings, stage, prepared, best)


def _make(settings: TrainingSettings, initial: Path) -> Prepared:
    """Return the tokenised rows and the place of the initial student."""
    rows = read_training_rows(settings.folders, settings.format)
    train_rows, validation_rows = split_by_problem(
        rows, settings.validation_fraction, settings.seed
    )
    student = _initial_student(settings, [row.source + row.target for row in train_rows])
    examples: dict[str, Sequence[Example]] = {}
    counts: dict[str, dict[str, int]] = {}
    for part, part_rows in (("train", train_rows), ("validation", validation_rows)):
        fit, too_long = tokenise_rows(
            part_rows,
            student.tokenizer,
            student.is_encoder_decoder,
            settings.max_source_tokens,
            settings.max_target_tokens,
        )
        examples[part] = fit
        counts[part] = {
            "rows": len(fit),
            "too_long": too_long,
            "problems": len({row.problem_id for row in part_rows}),
        }
    if not examples["train"]:
        too_long = counts["train"]["too_long"]
        raise DataError(f"data: all {too_long} rows are longer than max_source/target_tokens")
    return Prepared(
        examples,
        counts,
        lambda: _place_initial(settings, student, initial),
        student.model.num_parameters(),
        student.is_encoder_decoder,
    )


def _initial_student(settings: TrainingSettings, texts: Sequence[str]) -> Student:
    card = _card(settings)
    if settings.student.startswith("scratch:"):
        return make_scratch_student(settings.student, texts, card=card, seed=settings.seed)
    loaded = load_student(settings.student)
    return Student(loaded.model, loaded.tokenizer, card)


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
    student.model.load_state_dict(best.weights, strict=False)
    student.model.tie_weights()
    student.model.to(DTYPES[settings.precision])
    save_student(Student(student.model, student.tokenizer, _card(settings)), stage.out)
    manifest = stage.finish(
        {
            "counts": prepared["counts"],
            "parameters": prepared["parameters"],
            "padding_share": prepared["padding_share"],
            "steps": prepared["steps"],
            "best_step": best.step,
            "best_validation_loss": None if math.isnan(best.loss) else best.loss,
        }
    )
    shutil.rmtree(stage.out / "work")
    print(f"train: student of {manifest['parameters']:,} parameters saved in {stage.out}")
    return manifest


def _card(settings: TrainingSettings) -> StudentCard:
    return StudentCard(settings.format, settings.student)
