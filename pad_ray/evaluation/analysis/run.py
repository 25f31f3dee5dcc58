"""Output-space analysis: how strongly students of each format narrow what they write.

After figure 5 of PaD (arXiv 2305.13888), with intervals: students side by side on the same
problems, each measured in a Ray task of its own.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import ray
import torch
from rich.console import Console
from rich.table import Table

from pad_ray.base.config import resolve
from pad_ray.base.intervals import mean_interval
from pad_ray.base.records import Problem
from pad_ray.evaluation.analysis.metrics import participation_ratio
from pad_ray.evaluation.analysis.report import write_analysis_report
from pad_ray.evaluation.analysis.settings import AnalysisSettings
from pad_ray.evaluation.analysis.student import ProblemMeasures, measure_student, sentence_encoder
from pad_ray.flow.progress import watch
from pad_ray.flow.ready import Need, check_room, check_shared
from pad_ray.flow.runtime import connect
from pad_ray.flow.stages import fingerprint, open_stage, write_json
from pad_ray.students.files import located
from pad_ray.students.models import DTYPES, load_student
from pad_ray.teachers.student_settings import StudentTeacherSettings

__all__ = ["HEADLINES", "analyze"]

ANALYSIS = "analysis.json"
# The measures of the table, and what they are.
HEADLINES = {
    "reference_entropy": "entropy of a token, references (nats)",
    "reference_perplexity": "perplexity of references",
    "reference_support": "tokens in the 0.95 nucleus, references",
    "sampled_entropy": "entropy of a token, own samples (nats)",
    "sampled_perplexity": "perplexity of own samples",
    "sampled_support": "tokens in the 0.95 nucleus, own samples",
    "distinct_texts": "share of distinct samples",
    "distinct_1": "distinct-1",
    "distinct_2": "distinct-2",
    "self_bleu": "self-BLEU",
    "dispersion": "mean pairwise cosine distance",
    "participation_ratio": "participation ratio",
    "length": "tokens a sample",
}


def analyze(settings: AnalysisSettings) -> dict[str, Any]:
    """Write analysis.json and report.html into `settings.out`, and return the manifest.

    Students that were measured before an interruption are not measured again.
    """
    out = resolve(settings.out)
    _, problems, _ = settings.load()
    places = [located(student) for student in settings.students]
    stage = open_stage(out, "analyze", settings)
    if stage.complete is not None:
        print(f"analyze: {out} is complete; nothing to do")
        return stage.complete
    if settings.encoder is not None:
        sentence_encoder(settings.encoder)
    connect()
    check_room(
        [Need("student", 1, 1.0, settings.gpus_per_student, "", "gpus_per_student")],
        settings.wait_for_resources,
    )
    check_shared(out)
    stage.begin()
    print(f"analyze: {len(places)} student(s) on {len(problems)} problems, {settings.samples} each")
    measured = _measure_all(settings, [source for source, _ in places], problems, out / "work")
    formats = [card.format for _, card in places]
    result: dict[str, Any] = {
        "embedding": settings.encoder or "the student's own mean hidden state",
        "problems": len(problems),
        "students": [
            _summary(name, kind, found)
            for name, kind, found in zip(names(settings.students), formats, measured, strict=True)
        ],
    }
    result["gains"] = _gains(result["students"], measured)
    write_json(out / ANALYSIS, result)
    write_analysis_report(out, result, HEADLINES, measured, [Path(s) for s, _ in places])
    shutil.rmtree(out / "work")
    _print(result)
    print(f"analyze: figures in {out / ANALYSIS}, pictures in {out / 'report.html'}")
    return stage.finish({"analysis": result})


def names(students: Sequence[str]) -> list[str]:
    """Return short names of students, told apart by a number where they are equal."""
    short = [Path(student).name for student in students]
    return [n if short.count(n) == 1 else f"{n} ({i})" for i, n in enumerate(short)]


def _measure_all(
    settings: AnalysisSettings, sources: Sequence[str], problems: list[Problem], work: Path
) -> list[list[ProblemMeasures]]:
    """Measure each student in a Ray task; what is done already is read."""
    work.mkdir(exist_ok=True)
    files = [work / f"{n}-{fingerprint(source)}.npz" for n, source in enumerate(sources)]
    missing = [n for n, file in enumerate(files) if not file.is_file()]
    if missing:
        given: Any = ray.put(problems)
        task = ray.remote(num_cpus=1, num_gpus=settings.gpus_per_student)(_measure)
        waiting = {task.remote(settings, sources[n], given): n for n in missing}
        done = [len(files) - len(missing)]
        with watch("analyze", len(files), lambda: (done[0], "")):
            while waiting:
                (ready,), _ = ray.wait(list(waiting))
                _save(ray.get(ready), files[waiting.pop(ready)])
                done[0] += 1
    return [_load(file) for file in files]


def _measure(
    settings: AnalysisSettings, source: str, problems: Sequence[Problem]
) -> list[ProblemMeasures]:
    student = load_student(source, dtype=DTYPES[settings.precision])
    if torch.cuda.is_available():
        student.model.to("cuda")
    else:
        torch.set_num_threads(settings.threads)
    sampling = StudentTeacherSettings(
        path=source,
        temperature=settings.temperature,
        max_new_tokens=settings.max_new_tokens,
        max_rows=settings.max_rows,
    )
    encode = None if settings.encoder is None else sentence_encoder(settings.encoder)
    return measure_student(student, problems, settings.samples, sampling, settings.seed, encode)


def _save(found: Sequence[ProblemMeasures], file: Path) -> None:
    described = [{"id": one.problem_id, "values": one.values, "texts": one.texts} for one in found]
    partial = file.with_suffix(".partial.npz")
    np.savez(partial, described=json.dumps(described), vectors=np.stack([o.vectors for o in found]))
    partial.replace(file)


def _load(file: Path) -> list[ProblemMeasures]:
    with np.load(file) as kept:
        described, vectors = json.loads(str(kept["described"])), kept["vectors"]
    return [
        ProblemMeasures(one["id"], one["values"], matrix, one["texts"])
        for one, matrix in zip(described, vectors, strict=True)
    ]


def _summary(name: str, kind: str, found: Sequence[ProblemMeasures]) -> dict[str, Any]:
    """Return each measure's mean over problems with its 95% bootstrap interval."""
    measures: dict[str, Any] = {}
    for measure in found[0].values:
        values = [v for one in found if (v := one.values[measure]) is not None]
        if not values:
            measures[measure] = None
            continue
        mean, bounds = float(np.mean(values)), mean_interval(values)
        measures[measure] = {"mean": mean, "interval_95": bounds, "problems": len(values)}
        if "_surprise" in measure:
            # The exponential is monotone: it takes the interval's bounds along.
            measures[measure.replace("_surprise", "_perplexity")] = {
                "mean": math.exp(mean),
                "interval_95": [math.exp(bound) for bound in bounds],
                "problems": len(values),
            }
    everything = np.concatenate([one.vectors for one in found])
    whole = {"participation_ratio_of_all": participation_ratio(everything)}
    return {"name": name, "format": kind, "measures": measures, **whole}


def _gains(
    students: Sequence[dict[str, Any]], measured: Sequence[Sequence[ProblemMeasures]]
) -> list[dict[str, Any]]:
    """Return every other student's difference from the first, paired by problem."""
    gains = []
    for student, found in zip(students[1:], measured[1:], strict=True):
        differences: dict[str, Any] = {}
        for measure in HEADLINES:
            pairs = [
                (a.values.get(measure), b.values.get(measure))
                for a, b in zip(measured[0], found, strict=True)
            ]
            by = [b - a for a, b in pairs if a is not None and b is not None]
            if by:
                differences[measure] = {
                    "mean": float(np.mean(by)),
                    "interval_95": mean_interval(by),
                }
        gains.append({"name": student["name"], "over": students[0]["name"], **differences})
    return gains


def _print(result: dict[str, Any]) -> None:
    table = Table("measure", *(f"{s['name']} ({s['format']})" for s in result["students"]))
    for measure, said in HEADLINES.items():
        table.add_row(said, *(_cell(s["measures"].get(measure)) for s in result["students"]))
    Console(markup=False, width=140).print(table)
    print(f"analyze: embedding: {result['embedding']}; means over problems with 95% intervals")


def _cell(value: dict[str, Any] | None) -> str:
    if value is None:
        return "none"
    low, high = value["interval_95"]
    return f"{value['mean']:.3g} ({low:.3g} to {high:.3g})"
