"""What an experiment's grid is made of, and what cannot be in one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from pad_ray.base.config import Settings, validate
from pad_ray.base.errors import ConfigError
from pad_ray.base.fields import Runtime
from pad_ray.decoding.settings import TEXT_STRATEGIES
from pad_ray.evaluation.settings import EvaluationRun
from pad_ray.students.card import TEXT_FORMATS
from pad_ray.synthesis.augmentation.settings import AugmentationRun
from pad_ray.synthesis.repairs.settings import InjectionRun
from pad_ray.synthesis.settings import SynthesisRun
from pad_ray.teachers.prompts import Format as TeacherFormat
from pad_ray.training.settings import Format, TrainingHyperparameters

__all__ = [
    "ExperimentSettings",
    "Format",
    "Variant",
    "changed_evaluation",
    "changed_training",
    "suits",
]


class Variant(Settings):
    """What a student does otherwise than the experiment's plain ones."""

    training: dict[str, Any] = Field(default_factory=dict)
    """Settings of its training over the experiment's."""
    tasks: list[str] | None = None
    """Tasks whose rows it learns from; all unless given."""
    augment: AugmentationRun | None = None
    """How new problems are made of those, and learned beside them."""
    teacher: str | None = None
    """Variant whose student of the same kind, format, problems and seed teaches it: see
    `training.distill`."""


class ExperimentSettings(Settings):
    """Train and evaluate a grid of students, and compare any two that differ in one thing.

    Run again, it goes on from what is complete; a grid that has grown does only what is new.
    """

    out: Annotated[Path, Runtime]
    """Directory for all stages, experiment.json, RESULTS.md and its figures."""
    title: str = "Experiment"
    """Heading of RESULTS.md."""
    synthesis: list[SynthesisRun] = Field(min_length=1)
    """Problems and teachers. Programs and chains of thought are made from the same ones."""
    formats: list[Format] = Field(default=["program", "cot", "answer"], min_length=1)
    """What students learn to write. All learn from the problems that every kind of teacher
    solved, so that they differ in nothing else."""
    students: list[str] = Field(default=["scratch:small"], min_length=1)
    """Students as `train --student` takes them."""
    problems: list[int | None] = Field(default=[None], min_length=1)
    """How many problems each learns from (null: all); fewer ones are among more."""
    seeds: list[int] = Field(default=[0], min_length=1)
    """Seeds of the trainings."""
    variants: dict[str, Variant] = Field(default={"plain": Variant()}, min_length=1)
    """Other ways of training, by name."""
    strategies: dict[str, dict[str, Any]] = Field(default={"greedy": {}}, min_length=1)
    """Ways of decoding, by name: settings of the evaluation over those below."""
    ensembles: dict[str, list[str]] = Field(default_factory=dict)
    """Variants whose students, of all seeds, vote together, by the ensemble's name."""
    weighing: EvaluationRun | None = None
    """Problem set on which an ensemble's members earn their weights; alike unless given."""
    training: TrainingHyperparameters = TrainingHyperparameters()
    """How every student is trained. With `epochs` they see the same rows, with `max_tokens` they
    get the same tokens."""
    injection: InjectionRun = InjectionRun()
    """How programs are broken for format repair."""
    evaluation: list[EvaluationRun] = Field(min_length=1)
    """Problem sets that every student answers."""
    parallel: Annotated[int, Runtime] = Field(1, ge=1)
    """Cells at work at a time; each takes what its training or evaluation asks for."""

    @model_validator(mode="after")
    def _axes_are_sets(self) -> Self:
        for name in ("formats", "students", "problems", "seeds"):
            values = getattr(self, name)
            if len(set(values)) < len(values):
                raise ValueError(f"{name}: names one twice")
        return self

    @model_validator(mode="after")
    def _ensembles_are_of_variants(self) -> Self:
        for name, members in self.ensembles.items():
            if name in self.variants:
                raise ValueError(f"ensembles.{name}: is a variant's name too")
            for member in members:
                if member not in self.variants:
                    raise ValueError(f"ensembles.{name}: no variant '{member}'")
            if len(members) * len(self.seeds) < 2:
                raise ValueError(f"ensembles.{name}: one student alone has nobody to vote with")
        return self

    @model_validator(mode="after")
    def _changes_are_known(self) -> Self:
        for name, variant in self.variants.items():
            _told(f"variants.{name}", partial(changed_training, self.training, variant.training))
            for task in variant.tasks or ():
                if task not in {run.task for run in self.synthesis}:
                    raise ValueError(f"variants.{name}.tasks: no synthesis of task '{task}'")
            if variant.augment is not None and "cot" in self.formats:
                raise ValueError(
                    f"variants.{name}.augment: new problems have no chain of thought; leave format "
                    "cot to another experiment"
                )
            if variant.teacher is not None:
                teacher = self.variants.get(variant.teacher)
                if teacher is None or teacher.teacher is not None:
                    raise ValueError(
                        f"variants.{name}.teacher: '{variant.teacher}' is not a variant without "
                        "a teacher"
                    )
        for name, changes in self.strategies.items():
            for run in self.evaluation:
                _told(f"strategies.{name}", partial(changed_evaluation, run, changes))
        return self

    @model_validator(mode="after")
    def _formats_and_strategies_meet(self) -> Self:
        def met(format: Format, strategy: str) -> bool:
            changes = self.strategies[strategy]
            return any(suits(format, changes, run) for run in self.evaluation)

        for strategy in self.strategies:
            if not any(met(format, strategy) for format in self.formats):
                raise ValueError(
                    f"strategies.{strategy}: cannot work on any of the formats "
                    f"({', '.join(self.formats)})"
                )
        for format in self.formats:
            if not any(met(format, strategy) for strategy in self.strategies):
                raise ValueError(
                    f"formats: none of the strategies ({', '.join(self.strategies)}) can work on "
                    f"'{format}'"
                )
        return self


def _told(where: str, make: Callable[[], object]) -> None:
    try:
        make()
    except ConfigError as error:
        raise ValueError(f"{where}: {error}") from None


def suits(format: Format, changes: dict[str, Any], run: EvaluationRun) -> bool:
    """Return whether a strategy can work on what a student of that format writes."""
    strategy = changes.get("strategy", run.strategy)
    if strategy == "hierarchical":
        return format == "hierarchical"
    return format not in TEXT_FORMATS or strategy in TEXT_STRATEGIES


def suited(format: Format, run: EvaluationRun) -> EvaluationRun:
    """Return an evaluation as a student of that format can be asked it.

    What judges programs does not weigh what is written in words.
    """
    if format not in TEXT_FORMATS:
        return run
    return run.model_copy(update={"weights": run.weights.for_texts()})


def changed_training(
    base: TrainingHyperparameters, changes: dict[str, Any]
) -> TrainingHyperparameters:
    """Return the settings of a training with some changed."""
    return validate(TrainingHyperparameters, base.model_dump() | changes)


def changed_evaluation(run: EvaluationRun, changes: dict[str, Any]) -> EvaluationRun:
    """Return the settings of an evaluation with some changed."""
    return validate(EvaluationRun, run.model_dump() | changes)


def teacher_kinds(formats: Sequence[Format]) -> list[TeacherFormat]:
    """Return what a teacher must write; answers alone are taken from programs' rows."""
    kinds: list[TeacherFormat] = ["program"] if set(formats) - {"cot"} else []
    return [*kinds, "cot"] if "cot" in formats else kinds
