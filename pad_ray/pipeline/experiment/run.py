"""A grid of students: what each is taught, how much of it, and how well it then does.

Every stage is in a directory named by the fingerprint of its settings and inputs, so cells of the
grid share what they have in common, and nothing that is complete is done again.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pad_ray.base.config import resolve, validate, validate_with
from pad_ray.evaluation.at_once import evaluate_at_once
from pad_ray.evaluation.ensemble import vote_together
from pad_ray.evaluation.settings import EnsembleSettings, EvaluationRun, EvaluationSettings
from pad_ray.flow.cells import Call, in_parallel
from pad_ray.flow.stages import read_manifest, rows_mark, stage_folder
from pad_ray.pipeline.experiment.report import write_results
from pad_ray.pipeline.experiment.results import Answers, Group
from pad_ray.pipeline.experiment.settings import (
    ExperimentSettings,
    changed_evaluation,
    changed_training,
    suited,
    suits,
    teacher_kinds,
)
from pad_ray.pipeline.settings import TRAIN
from pad_ray.synthesis.augmentation.run import augment
from pad_ray.synthesis.augmentation.settings import AugmentationSettings
from pad_ray.synthesis.repairs.injections.run import inject_errors
from pad_ray.synthesis.repairs.settings import InjectionSettings
from pad_ray.synthesis.run import synthesize
from pad_ray.synthesis.settings import SynthesisRun, SynthesisSettings
from pad_ray.teachers.prompts import Format as TeacherFormat
from pad_ray.training.settings import Format, TrainingSettings


@dataclass(frozen=True)
class Cell:
    """One student of the grid; the fields name what sets it apart."""

    student: str
    format: Format
    problems: int | None
    variant: str
    seed: int

    @property
    def name(self) -> str:
        many = "all" if self.problems is None else str(self.problems)
        return f"{self.format} {many} {self.student} {self.variant} seed {self.seed}"


def run_experiment(settings: ExperimentSettings) -> dict[str, Any]:
    """Run the cells that are not complete; write the results and return them."""
    out = resolve(settings.out)
    data = {kind: _synthesize(settings, kind, out) for kind in teacher_kinds(settings.formats)}
    repairs = _inject(settings, data["program"], out) if "repair" in settings.formats else None
    augmented = _augment(settings, data.get("program", {}), out)
    cells = [
        Cell(*axes)
        for axes in itertools.product(
            settings.students,
            settings.formats,
            settings.problems,
            settings.variants,
            settings.seeds,
        )
    ]
    trainings = {cell: _training(settings, cell, data, repairs, augmented, out) for cell in cells}
    for is_taught in (False, True):
        runs = {
            cell.name: Call(TRAIN, (run,))
            for cell, run in trainings.items()
            if (settings.variants[cell.variant].teacher is not None) is is_taught
        }
        if runs:
            in_parallel("train", runs, settings.parallel)
    asked = {
        (cell, strategy, number): _asked(settings, run.out, strategy, number, cell)
        for cell, run in trainings.items()
        for strategy in settings.strategies
        for number in range(len(settings.evaluation))
        if suits(cell.format, settings.strategies[strategy], settings.evaluation[number])
    }
    weighed = _weighed(settings, trainings)
    evaluations = {
        f"{cell.name}, {strategy}, problem set {number}": run
        for (cell, strategy, number), run in asked.items()
    } | {f"{cell.name}, weighing": run for cell, run in weighed.items()}
    evaluate_at_once(evaluations, settings.parallel)
    answers = _answers(asked, trainings) + _ensembles(settings, asked, weighed, trainings)
    return write_results(out, settings.title, answers, _data_counts(data))


def _synthesize(
    settings: ExperimentSettings, kind: TeacherFormat, out: Path
) -> dict[str, list[Path]]:
    """Make every dataset of a kind; return the directories by task."""
    made: dict[str, list[Path]] = {}
    for base in settings.synthesis:
        run = validate(SynthesisRun, base.model_dump() | {"format": kind})
        folder = stage_folder(out, f"synthesis-{kind}", run)
        synthesize(validate_with(SynthesisSettings, run, out=folder))
        made.setdefault(run.task, []).append(folder)
    return made


def _inject(settings: ExperimentSettings, data: dict[str, list[Path]], out: Path) -> Path:
    folders = [folder for made in data.values() for folder in made]
    folder = stage_folder(out, "injected", settings.injection, _marks(folders))
    inject_errors(validate_with(InjectionSettings, settings.injection, data=folders, out=folder))
    return folder


def _augment(
    settings: ExperimentSettings, data: dict[str, list[Path]], out: Path
) -> dict[str, list[Path]]:
    """Make every variant's new problems; return the directories by variant."""
    made: dict[str, list[Path]] = {}
    for name, variant in settings.variants.items():
        run = variant.augment
        for task, folders in data.items():
            if run is None or (variant.tasks is not None and task not in variant.tasks):
                continue
            folder = stage_folder(out, "augmented", run, _marks(folders))
            augment(validate_with(AugmentationSettings, run, data=folders, out=folder))
            made.setdefault(name, []).append(folder)
    return made


def _marks(folders: Sequence[Path]) -> list[str]:
    return [rows_mark(read_manifest(folder)) for folder in folders]


def _training(
    settings: ExperimentSettings,
    cell: Cell,
    data: dict[TeacherFormat, dict[str, list[Path]]],
    repairs: Path | None,
    augmented: dict[str, list[Path]],
    out: Path,
) -> TrainingSettings:
    variant = settings.variants[cell.variant]
    changes = {
        "student": cell.student,
        "format": cell.format,
        "max_problems": cell.problems,
        "seed": cell.seed,
    }
    run = changed_training(settings.training, changes | variant.training)
    own: TeacherFormat = "cot" if cell.format == "cot" else "program"
    folders, others = (
        [
            folder
            for kind in data
            if (kind == own) is is_own
            for task, made in data[kind].items()
            if variant.tasks is None or task in variant.tasks
            for folder in made
        ]
        for is_own in (True, False)
    )
    if cell.format == "repair" and repairs is not None:
        folders = [*folders, repairs]
    folders += augmented.get(cell.variant, [])
    marks = _marks([*folders, *others])
    taught = run
    if variant.teacher is not None:
        # It has no weights yet to be known by.
        of_teacher = replace(cell, variant=variant.teacher)
        teacher = _training(settings, of_teacher, data, repairs, augmented, out)
        marks += [teacher.out.name]
        distill = run.distill.model_dump() | {"teacher": str(teacher.out)}
        taught = changed_training(run, {"distill": distill})
    folder = stage_folder(out, f"student-{cell.format}", run, marks)
    return validate_with(TrainingSettings, taught, data=folders, same_problems=others, out=folder)


def _asked(
    settings: ExperimentSettings, student: Path, strategy: str, number: int, cell: Cell
) -> EvaluationSettings:
    changes = settings.strategies[strategy] | {"search_seed": cell.seed}
    run = changed_evaluation(settings.evaluation[number], changes)
    return _evaluation_of(settings, student, suited(cell.format, run))


def _evaluation_of(
    settings: ExperimentSettings, student: Path, run: EvaluationRun
) -> EvaluationSettings:
    folder = stage_folder(resolve(settings.out), "evaluation", run, [student.name])
    return validate_with(EvaluationSettings, run, student=str(student), out=folder)


def _weighed(
    settings: ExperimentSettings, trainings: dict[Cell, TrainingSettings]
) -> dict[Cell, EvaluationSettings]:
    """Return the evaluations by which the members of ensembles earn their weights."""
    members = {name for names in settings.ensembles.values() for name in names}
    if settings.weighing is None:
        return {}
    return {
        cell: _evaluation_of(settings, run.out, suited(cell.format, settings.weighing))
        for cell, run in trainings.items()
        if cell.variant in members
    }


def _ensembles(
    settings: ExperimentSettings,
    asked: dict[tuple[Cell, str, int], EvaluationSettings],
    weighed: dict[Cell, EvaluationSettings],
    trainings: dict[Cell, TrainingSettings],
) -> list[Answers]:
    """Let every ensemble vote, for each kind of student it has."""
    found: dict[Group, list[tuple[Cell, Path]]] = {}
    for name, variants in settings.ensembles.items():
        for (cell, strategy, number), run in asked.items():
            if cell.variant in variants:
                group = Group(cell.student, cell.format, cell.problems, name, strategy, number)
                found.setdefault(group, []).append((cell, run.out))
    answers = []
    for group, members in found.items():
        base = EnsembleSettings(
            predictions=[folder for _, folder in members],
            validation=[weighed[cell].out for cell, _ in members if cell in weighed],
            out=settings.out,
        )
        out = stage_folder(resolve(settings.out), "ensemble", base)
        vote_together(base.model_copy(update={"out": out}))
        answers.append(Answers(group, None, out, trainings[members[0][0]].out))
    return answers


def _answers(
    asked: dict[tuple[Cell, str, int], EvaluationSettings], trainings: dict[Cell, TrainingSettings]
) -> list[Answers]:
    return [
        Answers(
            Group(cell.student, cell.format, cell.problems, cell.variant, strategy, number),
            cell.seed,
            run.out,
            trainings[cell].out,
        )
        for (cell, strategy, number), run in asked.items()
    ]


def _data_counts(data: dict[TeacherFormat, dict[str, list[Path]]]) -> list[dict[str, Any]]:
    return [
        {"steps": None, "format": kind, "task": task, **read_manifest(folder)["counts"]}
        for kind, made in data.items()
        for task, folders in made.items()
        for folder in folders
    ]
