"""Evaluation: a student answers a task's problems; accuracy, failure classes and intervals."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from annotated_types import MinLen
from pydantic import Field
from rich.console import Console
from rich.table import Table

from pad_ray.answers import stated_answer
from pad_ray.config import resolve
from pad_ray.decoding import get_strategy
from pad_ray.errors import StudentError
from pad_ray.judging import ProgramJudge, SandboxSettings, record_value
from pad_ray.problems import COMPLETED_SCHEMA, ProblemSettings, request_tables
from pad_ray.records import JUDGED_SCHEMA
from pad_ray.rowflow import ActorStage, run_rows
from pad_ray.stages import Stage, file_fingerprint, open_stage
from pad_ray.students import CARD_FILE, DTYPES, Student, StudentCard, load_student, read_card
from pad_ray.tasks import Split, Task

_BOOTSTRAP_SAMPLES = 10_000
WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin")


class EvaluationRun(ProblemSettings):
    """Which problems a student answers, and how."""

    runtime_fields: ClassVar[frozenset[str]] = frozenset(
        {"out", "problems", "batch_size", "actors", "sandbox_actors", "threads", "gpus_per_actor"}
    )

    split: Split = "test"
    """Part of a generated task: train, test, or held_out (arithmetic's unseen templates)."""
    strategy: str = "greedy"
    """Decoding strategy."""
    max_new_tokens: int = Field(512, ge=1)
    """Longest text a student may write, in tokens."""
    batch_size: int = Field(32, ge=1)
    """Problems decoded together."""
    sandbox: SandboxSettings = SandboxSettings()
    """Limits of one program's run."""
    actors: int = Field(1, ge=1)
    """Actors that hold the student."""
    gpus_per_actor: float = Field(0.0, ge=0)
    """GPUs each of them reserves."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Number format of the weights."""
    threads: int = Field(1, ge=1)
    """Threads a CPU actor computes with."""
    sandbox_actors: int = Field(1, ge=1)
    """Actors that run programs."""


class EvaluationSettings(EvaluationRun):
    """Let one or several students answer a task's problems and compare them."""

    student: Annotated[list[str], MinLen(1)] | str
    """Student folder, hub id or .gguf file, or a list of them."""
    out: Path
    """Directory for one folder a student and the table of all."""

    @property
    def students(self) -> list[str]:
        return self.student if isinstance(self.student, list) else [self.student]


class StudentStage:
    """Ray Data stage: problem rows in, the student's texts out."""

    def __init__(
        self, student: str, strategy: str, max_new_tokens: int, precision: str, threads: int
    ) -> None:
        self._source = student
        self._dtype = DTYPES[precision]
        self._threads = threads
        self._write = get_strategy(strategy)
        self._max_new_tokens = max_new_tokens

    @cached_property
    def _student(self) -> Student:
        # Loaded with the first batch: an error in an actor's constructor reaches nobody.
        student = load_student(self._source, dtype=self._dtype)
        if torch.cuda.is_available():
            student.model.to("cuda")
        else:
            torch.set_num_threads(self._threads)
        return student

    def __call__(self, batch: pa.Table) -> pa.Table:
        rows = batch.to_pylist()
        questions = [row["question"] for row in rows]
        texts = self._write(self._student, questions, max_new_tokens=self._max_new_tokens)
        for row, text in zip(rows, texts, strict=True):
            row.update(completion=text, teacher="student", error=None)
        return pa.Table.from_pylist(rows, schema=COMPLETED_SCHEMA)


class TextJudge:
    """Ray Data stage: judge the answers that chain-of-thought texts state."""

    def __init__(self, task: Task) -> None:
        self._task = task

    def __call__(self, batch: pa.Table) -> pa.Table:
        rows = batch.to_pylist()
        for row in rows:
            value = stated_answer(row["completion"])
            if value is None:
                row["reason"] = "no_answer"
            else:
                record_value(row, value, self._task)
        return pa.Table.from_pylist(rows, schema=JUDGED_SCHEMA)


def evaluate(settings: EvaluationSettings) -> list[dict[str, Any]]:
    """Evaluate every student and return their manifests, in order.

    Each student's rows are in a directory of its own, `predictions.parquet` with one row a
    problem. Finished students are not asked again; an interrupted one goes on.
    """
    out = resolve(settings.out)
    several = len(settings.students) > 1
    manifests = []
    for index, student in enumerate(settings.students):
        name = f"{index}-{Path(student).name}"
        manifests.append(evaluate_student(student, settings, out / name if several else out))
    print_table(manifests)
    return manifests


def evaluate_student(student: str, settings: EvaluationSettings, out: Path) -> dict[str, Any]:
    """Evaluate one student into directory `out`, and return its manifest."""
    get_strategy(settings.strategy)
    one = settings.model_copy(update={"student": student})
    task, problems, _ = settings.load()
    source, card = _located(student)
    stage = open_stage(out, "evaluate", one, {**settings.inputs(), **_weights(source)})
    if stage.complete is not None:
        print(f"evaluate: {out} is complete; nothing to do")
        return stage.complete
    stage.begin()
    print(f"evaluate: {student} on {len(problems)} problems of {task.name}, {settings.strategy}")
    requests = request_tables(problems, samples=1, rows_per_block=2 * settings.batch_size)
    judged = run_rows(
        requests, _stages(source, card, task, settings), out / "work", "evaluate"
    ).to_table()
    return _finish(stage, judged.sort_by("row_id"), student)


def _located(student: str) -> tuple[str, StudentCard]:
    """Return the student as a worker anywhere can load it, and its card."""
    if student.startswith("scratch:"):
        raise StudentError(f"student: {student} is untrained; give the folder of a trained one")
    path = resolve(Path(student))
    if path.is_dir() and not (path / "config.json").is_file():
        raise StudentError(f"student: {path} holds no model (config.json is missing)")
    if not path.exists() and (student.endswith(".gguf") or student.startswith((".", "/"))):
        raise StudentError(f"student: {path}: no such file or folder")
    return str(path) if path.exists() else student, read_card(path, student)


def _weights(source: str) -> dict[str, str]:
    path = Path(source)
    files = [path] if path.is_file() else [path / name for name in (*WEIGHTS, CARD_FILE)]
    return {f"student/{f.name}": file_fingerprint(f) for f in files if f.is_file()}


def _stages(
    source: str, card: StudentCard, task: Task, settings: EvaluationSettings
) -> list[ActorStage]:
    ask = {
        "student": source,
        "strategy": settings.strategy,
        "max_new_tokens": settings.max_new_tokens,
        "precision": settings.precision,
        "threads": settings.threads,
    }
    judge: ActorStage
    if card.format == "cot":
        judge = ActorStage(TextJudge, {"task": task}, settings.sandbox_actors, 64, 0.5)
    else:
        arguments = {"task": task, "sandbox": settings.sandbox}
        judge = ActorStage(ProgramJudge, arguments, settings.sandbox_actors, 64, 0.5)
    return [
        ActorStage(
            StudentStage, ask, settings.actors, settings.batch_size, 1.0, settings.gpus_per_actor
        ),
        judge,
    ]


def _finish(stage: Stage, judged: pa.Table, student: str) -> dict[str, Any]:
    pq.write_table(judged, stage.out / "predictions.parquet")
    metrics = measure(judged)
    manifest = stage.finish({"student": student, "metrics": metrics})
    shutil.rmtree(stage.out / "work")
    return manifest


def measure(judged: pa.Table) -> dict[str, Any]:
    """Return accuracy (exact, with its 95% bootstrap interval, and rounded) and failures.

    `judged` has `JUDGED_SCHEMA`, one row a problem. Shares are of all problems.
    """
    right = pc.is_null(judged["reason"]).to_numpy(zero_copy_only=False)
    rounded = pc.fill_null(judged["rounded_match"], False).to_numpy(zero_copy_only=False)
    executes = pc.fill_null(pc.equal(judged["status"], "ok"), False)
    return {
        "problems": judged.num_rows,
        "accuracy": float(right.mean()),
        "accuracy_95": bootstrap_interval(right),
        "accuracy_rounded": float(rounded.mean()),
        "executes": float(executes.to_numpy(zero_copy_only=False).mean()),
        "failures": failure_classes(judged),
    }


def bootstrap_interval(right: Sequence[bool] | np.ndarray, seed: int = 0) -> list[float]:
    """Return the 95% percentile bootstrap interval of a mean of 0/1 outcomes.

    Resampling n outcomes with replacement makes their sum binomial, so the sums are drawn at once.
    """
    n = len(right)
    sums = np.random.default_rng(seed).binomial(n, float(np.mean(right)), _BOOTSTRAP_SAMPLES)
    low, high = np.percentile(sums / n, [2.5, 97.5])
    return [float(low), float(high)]


def failure_classes(judged: pa.Table) -> dict[str, int]:
    """Count failures by class: the exception's name where there is one, else the reason."""
    failed = judged.filter(pc.is_valid(judged["reason"])).select(["reason", "error_type"])
    return dict(Counter(failure_class(row) for row in failed.to_pylist()).most_common())


def failure_class(row: dict[str, Any]) -> str:
    """Return a failed row's class: the exception's name where there is one, else the reason."""
    raised = row["reason"] in ("error", "invalid") and row["error_type"]
    return str(row["error_type"] if raised else row["reason"])


def print_table(manifests: Sequence[dict[str, Any]]) -> None:
    """Print one line a student and task."""
    table = Table(
        "student",
        "task",
        "problems",
        "accuracy",
        "95% interval",
        "rounded",
        "executes",
        "commonest failures",
    )
    for row in table_rows(manifests):
        table.add_row(*row)
    Console(width=140).print(table)


def table_rows(manifests: Sequence[dict[str, Any]]) -> Iterator[tuple[str, ...]]:
    """Yield the comparison table's cells as text."""
    for manifest in manifests:
        metrics = manifest["metrics"]
        low, high = metrics["accuracy_95"]
        failures = list(metrics["failures"].items())[:3]
        yield (
            Path(manifest["student"]).name,
            problem_set_name(manifest["config"]),
            str(metrics["problems"]),
            f"{metrics['accuracy']:.1%}",
            f"{low:.1%} to {high:.1%}",
            f"{metrics['accuracy_rounded']:.1%}",
            f"{metrics['executes']:.1%}",
            ", ".join(f"{name} {count}" for name, count in failures) or "none",
        )


def problem_set_name(config: dict[str, Any]) -> str:
    """Return the task's name, with the split where it is not the plain test split."""
    return str(config["task"]) + (" (held-out templates)" if config["split"] == "held_out" else "")
