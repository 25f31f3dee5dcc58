"""Data synthesis: problems → teacher → sandbox → verified and rejected rows, on Ray Data.

It goes in rounds. Each is one resumable flow over the problems that still lack programs; with a
fixed number of samples there is one round.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from pad_ray.base.errors import ConfigError
from pad_ray.base.records import Problem
from pad_ray.base.storage import locate, move_folder, remove_folder, scratch_beside
from pad_ray.flow.failed_rows import forget_failed, refuse_all_failed
from pad_ray.flow.failures import FAILED
from pad_ray.flow.ledger import SharedLedger, Totals, share_ledger
from pad_ray.flow.parquet_folder import null_count, rows_of
from pad_ray.flow.ready import join_for
from pad_ray.flow.rows import (
    DONE,
    REQUESTS,
    WHOLE,
    ActorStage,
    FlowStage,
    requests_are_written,
    run_rows,
    write_requests,
)
from pad_ray.flow.stages import Stage, open_stage, print_reasons, write_json, write_text
from pad_ray.synthesis.contamination import Decontaminator
from pad_ray.synthesis.dataset.card import write_card
from pad_ray.synthesis.dataset.files import JudgedRows
from pad_ray.synthesis.generation import TeacherStage
from pad_ray.synthesis.growth import Grown, earlier_spending, keep_earlier_rows
from pad_ray.synthesis.journal import spent_in
from pad_ray.synthesis.judges import ProgramJudge, TextJudge
from pad_ray.synthesis.reasons import remedy
from pad_ray.synthesis.requests import sample_tables
from pad_ray.synthesis.settings import SynthesisSettings
from pad_ray.synthesis.step_accounting import steps_line
from pad_ray.synthesis.teacher import make_teacher
from pad_ray.tasks import ProblemCounts, Task, get_task
from pad_ray.tasks.inputs import exemplar_input
from pad_ray.teachers.base import PaidTeacher, Teacher
from pad_ray.teachers.vllm import VLLMTeacher

__all__ = [
    "describe",
    "print_counts",
    "synthesize",
]

_PROBLEMS = "problems.json"
# What of a dataset's counts is known before it is asked for.
_PROBLEM_COUNTS = (
    *("problems", "repeated_questions", "contaminated", "contaminated_by"),
    "rounds",  # of a finished one
)
_COMPLETIONS = "completions"
# The rows of a dataset that has grown since it was finished.
_EARLIER = "earlier"
# A limit of tokens decides only the rows that were cut short at it.
_LIMITS = ("endpoint.max_tokens", "student.max_new_tokens", "vllm.max_tokens")
_CUT = "truncated"
# Higher, they let problems have further rounds.
_ROUNDS = ("want", "max_samples")
_JUDGED_BY = ("task/file", "accept", "near_duplicates")
# While the last answers of a block are waited for, the next one's requests go out.
_BLOCKS_ASKED_AT_ONCE = 2


def synthesize(settings: SynthesisSettings) -> dict[str, Any]:
    """Make the dataset in `settings.out` and return its manifest.

    A finished directory with the same settings is returned as it is; an interrupted one goes on
    with the rows that are missing, and so does one whose budget was spent, if it is raised, or
    whose failed rows are to be asked for again, with a higher limit of tokens those too that were
    cut short. Without `want`, more samples or problems than it has are added to it; with a higher
    `want` or `max_samples`, further rounds. Raises
    `FailuresError` where too many rows fail.
    """
    out = locate(settings.out)
    task = get_task(settings.task)
    stage = _open(settings, task, _may_grow(settings))
    work = out / "work"
    if stage.complete is not None and not (
        _wants_more(stage) or _can_go_on(stage.complete, settings, work, _is_raised(stage))
    ):
        if _is_raised(stage) and stage.complete["counts"]["by_reason"].get(_CUT):
            raise ConfigError(
                f"out: {out} was made by an earlier version, which kept nothing to ask for its cut "
                "texts with; name another directory"
            )
        print(f"synthesize: {out} is complete; nothing to do")
        return stage.complete
    teacher, problems = _begin(stage, work, task, settings)
    print(
        f"synthesize: {problems['problems']} problems x {settings.samples} samples, "
        f"teacher {teacher.name}"
    )
    kept = work / _COMPLETIONS
    kept.mkdir(exist_ok=True)
    spent = spent_in(kept)
    spent.add(earlier_spending(work / _EARLIER))
    ledger = share_ledger(settings.budget, spent, settings.max_failures)
    if isinstance(teacher, PaidTeacher):
        ledger.entrust(teacher.keys())
    stage.lap("start")
    stages = _stages(teacher, task, settings, kept, ledger)
    rounds = _run_rounds(stages, ledger, work, task, settings)
    stage.lap("rounds")
    return _finish(stage, rounds, problems, settings, ledger.totals())


def _may_grow(settings: SynthesisSettings) -> Sequence[str]:
    """Return of what there may be more than a directory has."""
    if settings.want is not None:
        return ()  # but of _ROUNDS
    # It copies what a file says beside question and answer, which no row keeps.
    return ("count",) if settings.teacher == "rationale" else ("samples", "count", "problems")


def _open(settings: SynthesisSettings, task: Task, may_grow: Sequence[str]) -> Stage:
    remedies = dict.fromkeys(_JUDGED_BY, "pad-ray judge judges what is there again, at no cost")
    if not settings.retry_errors:
        how = "with --retry_errors true a higher limit is asked for what was cut short"
        remedies |= dict.fromkeys(_LIMITS, how)
    rise = (*_ROUNDS, *_LIMITS) if settings.retry_errors else _ROUNDS
    shown = _shown(settings, task)
    return open_stage(locate(settings.out), "synthesize", settings, shown, may_grow, remedies, rise)


def _is_raised(stage: Stage) -> bool:
    """Tell whether the limit of tokens is higher than it was there."""
    return bool(set(_LIMITS) & set(stage.grown))


def _wants_more(stage: Stage) -> bool:
    """Tell whether there are to be more problems or samples."""
    return bool(set(stage.grown) - set(_LIMITS))


def _shown(settings: SynthesisSettings, task: Task) -> dict[str, str]:
    """Return the fingerprint of the worked examples that the teacher is shown, if it is."""
    given = {"endpoint": settings.endpoint, "student": settings.student, "vllm": settings.vllm}
    teacher = given.get(settings.teacher)
    return exemplar_input(task.exemplars) if teacher is not None and teacher.shots else {}


def _can_go_on(
    manifest: dict[str, Any], settings: SynthesisSettings, work: Path, is_raised: bool
) -> bool:
    """Tell whether more may now be asked, that a budget cut short, or rows that failed.

    Rows that were cut short may where the limit of tokens `is_raised`.
    """
    again = failures_in(manifest) + (is_raised and manifest["counts"]["by_reason"].get(_CUT, 0))
    if settings.retry_errors and again and (work / _PROBLEMS).is_file():
        return True
    spent = manifest.get("spent") or {**manifest["tokens"], "cost_usd": manifest["cost_usd"]}
    tokens = spent["prompt_tokens"] + spent["completion_tokens"]
    left = settings.budget.leaves(tokens, spent["cost_usd"] or 0.0)
    return manifest["counts"]["not_asked"] > 0 and left


def _begin(
    stage: Stage, work: Path, task: Task, settings: SynthesisSettings
) -> tuple[Teacher | VLLMTeacher, dict[str, Any]]:
    """Write the first round's requests, unless they are there, and claim the directory.

    Returns the teacher, which has been checked, and the problems' counts.
    """
    described = work / _PROBLEMS
    if _wants_more(stage) and settings.want is None:
        teacher = _grow(stage, work, task, settings)
    elif _wants_more(stage) and stage.complete is not None and not described.is_file():
        teacher = _checked_teacher(stage, settings, task)
        stage.claim()
        _take_up(stage.out, stage.complete, work)
        stage.begin()
    elif described.is_file():
        teacher = _checked_teacher(stage, settings, task)
        stage.claim()
        _forget_cut(stage, work)
        stage.begin()
    else:
        with scratch_beside(stage.out) as folder:
            # Beside the directory until all problems are read: a mistake in them claims nothing.
            anew = Grown((), len(settings.samples_after(0)))
            _write_problems(folder / "work", task, settings, anew)
            teacher = _checked_teacher(stage, settings, task)
            stage.begin()
            remove_folder(work)
            move_folder(folder / "work", work, last=_PROBLEMS)
    if settings.retry_errors:
        for folder in sorted(work.glob("round-*")):
            forget_failed(folder)
    return teacher, json.loads(described.read_text(encoding="utf-8"))


def _take_up(out: Path, manifest: dict[str, Any], work: Path) -> None:
    """Make of a finished directory one that has had its rounds, for further ones."""
    with scratch_beside(out) as folder:
        fresh = folder / "work"
        keep_earlier_rows([out / part for part in ("verified", "rejected")], fresh / _EARLIER)
        # An earlier version's lack some.
        counts = {k: v for k, v in manifest["counts"].items() if k in _PROBLEM_COUNTS}
        write_json(fresh / _PROBLEMS, counts)
        remove_folder(work)
        move_folder(fresh, work, last=_PROBLEMS)


def _grow(
    stage: Stage, work: Path, task: Task, settings: SynthesisSettings
) -> Teacher | VLLMTeacher:
    """Write the requests for what is wanted beyond what is there; refuse to leave anything out."""
    goes_on = (work / _PROBLEMS).is_file()
    finished = [stage.out / part for part in ("verified", "rejected")]
    there = [f / REQUESTS for f in work.glob("round-*")] if goes_on else []
    if goes_on and (work / _EARLIER).is_dir():
        there.append(work / _EARLIER / DONE)
    elif not goes_on and stage.complete is not None:
        there = finished
    number = 1 + max((int(f.name[-3:]) for f in work.glob("round-*")), default=-1)
    with scratch_beside(stage.out) as folder:
        fresh = folder / "work"
        grown = Grown(there, settings.samples)
        _write_problems(fresh, task, settings, grown, number if goes_on else 0)
        if grown.is_other:
            _open(settings, task, may_grow=())  # says what differs
        teacher = _checked_teacher(stage, settings, task)
        stage.claim()
        if not goes_on:
            remove_folder(work)
            if stage.complete is not None:
                keep_earlier_rows(finished, fresh / _EARLIER)
            move_folder(fresh, work, last=_PROBLEMS)
        else:
            for part in sorted(fresh.glob("round-*")):
                move_folder(part, work / part.name, last=WHOLE)
            write_text(work / _PROBLEMS, (fresh / _PROBLEMS).read_text(encoding="utf-8"))
        _forget_cut(stage, work)
        stage.begin()
    return teacher


def _forget_cut(stage: Stage, work: Path) -> None:
    """Have what was cut short asked for again, if that may now be longer.

    Before the stage begins: once the new limit is written down it is no higher any more.
    """
    if _is_raised(stage):
        for folder in sorted(work.glob("round-*")):
            forget_failed(folder, {_CUT})


def _checked_teacher(
    stage: Stage, settings: SynthesisSettings, task: Task
) -> Teacher | VLLMTeacher:
    """Return the teacher, once it is known that it works and that the cluster can run the job."""
    teacher = make_teacher(settings, task)
    teacher.check()
    stage.lap("problems")
    flow = _stages(teacher, task, settings, stage.out / "work" / _COMPLETIONS)
    join_for(stage.out, flow, settings.wait_for_resources)
    return teacher


def _write_problems(
    work: Path, task: Task, settings: SynthesisSettings, grown: Grown, folder_number: int = 0
) -> None:
    found = ProblemCounts()
    contaminated: Counter[str] = Counter()

    def wanted() -> Iterator[Problem]:
        decontaminator = Decontaminator(
            settings.decontaminate, task, settings.decontamination_ngram
        )
        for problem in settings.stream(task, found):
            how = decontaminator.finds(problem) if settings.decontaminate else None
            if how is None:
                yield problem
            else:
                contaminated[how] += 1

    first, most = settings.block_rows
    tables = sample_tables(
        grown.wanted(wanted()), most, folder_number=folder_number, first_rows=first
    )
    folder = _round_folder(work, folder_number)
    write_requests(tables, folder)
    if not rows_of([folder / REQUESTS]):
        remove_folder(folder)
    counts = {
        "problems": found.problems - contaminated.total(),
        "repeated_questions": found.repeated,
        "contaminated": contaminated.total(),
        "contaminated_by": dict(contaminated),
    }
    if not counts["problems"]:
        raise ConfigError("decontaminate: all problems are in the evaluation files")
    write_json(work / _PROBLEMS, counts)


def _write_round(
    asked: Mapping[str, int], number: int, work: Path, task: Task, settings: SynthesisSettings
) -> None:
    """Write the next samples of the problems of which, by id, so many were asked for."""
    problems = settings.stream(task, ProblemCounts())
    tables = sample_tables(
        (
            (problem, settings.samples_after(asked[problem.problem_id]))
            for problem in problems
            if problem.problem_id in asked
        ),
        settings.block_rows[1],
        samples_a_round=settings.samples,
        folder_number=number,
        first_rows=settings.block_rows[0],
    )
    write_requests(tables, _round_folder(work, number))


def _round_folder(work: Path, number: int) -> Path:
    return work / f"round-{number:03d}"


@dataclass(frozen=True)
class Round:
    """A round that has run: its folder, samples a problem, and in all those asked and answered."""

    folder: Path
    samples: int
    wanted: int
    answered: int

    @property
    def rows(self) -> Path:
        return self.folder / "done"

    def counts(self) -> dict[str, int]:
        return {
            "samples": self.samples,
            "asked": self.wanted,
            "answered": self.answered,
            "right": null_count(self.rows, "reason") if self.answered else 0,
        }


def _run_rounds(
    stages: Sequence[FlowStage],
    ledger: SharedLedger,
    work: Path,
    task: Task,
    settings: SynthesisSettings,
) -> list[Round]:
    """Run rounds until no problem lacks programs, no samples are left, or the budget is spent."""
    done: list[Round] = []
    # Without `want` one round, of several folders where more was wanted later.
    folders = sorted([*work.glob(_EARLIER), *work.glob("round-*")])
    if settings.want is not None:
        folders = [folder for folder in folders if requests_are_written(folder)]
    for folder in folders:
        done.append(_run_round(stages, folder, ledger, settings))
        if settings.want is not None and done[-1].answered < done[-1].wanted:
            return done
    while settings.want is not None and (asked := _unmet(done, work, settings)):
        number = sum(1 for one in done if one.folder.name != _EARLIER)
        _write_round(asked, number, work, task, settings)
        done.append(_run_round(stages, _round_folder(work, number), ledger, settings))
        if done[-1].answered < done[-1].wanted:
            break
    return done


def _run_round(
    stages: Sequence[FlowStage],
    folder: Path,
    ledger: SharedLedger,
    settings: SynthesisSettings,
) -> Round:
    title, samples = "synthesize", settings.samples
    if settings.want is not None and folder.name != _EARLIER:
        number = int(folder.name[-3:])
        title = f"round {number}"
        samples = len(settings.samples_after(number * samples)) or samples
    run_rows(stages, folder, title, lambda: _remark(ledger.totals()), settings.budget.is_set)
    wanted, answered = rows_of([folder / REQUESTS]), rows_of([folder / DONE])
    return Round(folder, samples, wanted, answered)


def _unmet(done: Sequence[Round], work: Path, settings: SynthesisSettings) -> dict[str, int]:
    """Return the problems that lack programs and may be asked again, with the samples so far."""
    assert settings.want is not None
    with JudgedRows([one.rows for one in done], work / "spill") as rows:
        unmet = rows.unmet(settings.want)
    return {key: asked for key, asked in unmet.items() if settings.samples_after(asked)}


def _remark(totals: Totals) -> str:
    judged = totals.reasons.total()
    parts = [f"{totals.asked:,} asked"] if totals.asked else []
    if judged:
        parts.append(f"kept {totals.reasons[''] / judged:.1%}")
    if totals.tokens:
        parts.append(f"{totals.tokens:,} tokens")
    if totals.cost_usd:
        parts.append(f"${totals.cost_usd:,.2f}")
    return ", ".join(parts)


def _stages(
    teacher: Teacher | VLLMTeacher,
    task: Task,
    settings: SynthesisSettings,
    kept: Path,
    ledger: SharedLedger | None = None,
) -> list[FlowStage]:
    """Return the stages of the flow; without a ledger, to see what they take."""
    asking = {
        "teacher": teacher,
        "schedule": settings.schedule,
        "kept": kept,
        "ledger": ledger,
        "retry_errors": settings.retry_errors,
    }
    # The task itself travels, not its name: workers may lack the file that defines it.
    judging = {
        "task": task,
        "sandbox": settings.sandbox,
        "rule": settings.rule,
        "ledger": ledger,
        "notes_teacher": isinstance(teacher, VLLMTeacher),
    }
    judge = ActorStage(ProgramJudge, judging, settings.sandbox_actors)
    if settings.format == "cot":
        del judging["sandbox"]
        judge = ActorStage(TextJudge, judging, settings.sandbox_actors)
    if isinstance(teacher, VLLMTeacher):
        return [teacher.stage(), judge]
    gpus = 0.0 if settings.student is None else settings.student.gpus
    actors = settings.teacher_actors
    at_once = _BLOCKS_ASKED_AT_ONCE if isinstance(teacher, PaidTeacher) else 1
    asks = ActorStage(TeacherStage, asking, actors, cpus=0.5, gpus=gpus, at_once=at_once)
    return [asks, judge]


def _finish(
    stage: Stage,
    rounds: Sequence[Round],
    problems: dict[str, Any],
    settings: SynthesisSettings,
    totals: Totals,
) -> dict[str, Any]:
    work = stage.out / "work"
    failed = refuse_all_failed([one.rows for one in rounds], settings.max_failures)
    with JudgedRows([one.rows for one in rounds], work / "spill") as rows:
        result = rows.write(stage.out, settings.rule.near_keys)
    counts = result.pop("counts")
    not_asked = sum(one.wanted - one.answered for one in rounds)
    earlier = problems.pop("rounds", [])
    counts = {
        **problems,
        "samples_per_problem": settings.samples,
        **counts,
        "not_asked": not_asked,
        "rounds": _round_counts(rounds, earlier, settings),
    }
    worked = {
        "busy_s": {part: round(seconds, 3) for part, seconds in totals.busy_s.items()},
        "flow_s": {part: round(seconds, 3) for part, seconds in totals.flow_s.items()},
        "pieces": dict(totals.pieces),
    }
    spent = _spent(totals, result)
    manifest = stage.finish({"counts": counts, **result, "spent": spent, **worked})
    again = failed + counts["by_reason"].get(_CUT, 0)
    if not not_asked and not (again and settings.may_answer_otherwise):
        remove_folder(work)
    describe(stage.out, manifest)
    print_counts(manifest, stage.out)
    if failed and settings.may_answer_otherwise:
        print(
            f"synthesize: {failed} rows failed; the same command with --retry_errors true asks "
            "for them again"
        )
    return manifest


def _round_counts(
    rounds: Sequence[Round], earlier: list[dict[str, int]], settings: SynthesisSettings
) -> list[dict[str, int]]:
    """Return each round's counts; those of a dataset's `earlier` ones stay as they were."""
    if settings.want is not None:
        return earlier + [one.counts() for one in rounds if one.folder.name != _EARLIER]
    counts = [one.counts() for one in rounds]
    sums: Counter[str] = Counter()
    for one in counts:
        sums.update(one)
    return [{**sums, "samples": settings.samples}]


def _spent(totals: Totals, result: Mapping[str, Any]) -> dict[str, Any]:
    """Return what all attempts took: of answers that are in no row as well, as far as is known."""
    tokens, cost = result["tokens"], result["cost_usd"]
    known = {name: max(tokens[name], getattr(totals, name)) for name in tokens}
    return {**known, "cost_usd": None if cost is None else max(cost, round(totals.cost_usd, 6))}


def failures_in(manifest: dict[str, Any]) -> int:
    """Return how many rows of a dataset failed."""
    return sum(manifest["counts"]["by_reason"].get(reason, 0) for reason in FAILED)


def describe(out: Path, manifest: dict[str, Any]) -> None:
    """Write a dataset's card and its report."""
    # matplotlib takes its time to import, and no other part of a synthesis draws.
    from pad_ray.synthesis.dataset.report import write_dataset_report

    write_card(out, manifest)
    write_dataset_report(out, manifest)


def print_counts(manifest: dict[str, Any], out: Path, job: str = "synthesize") -> None:
    """Print a synthesis directory's funnel, a line a reason, and what it cost."""
    counts = manifest["counts"]
    print(
        f"{job}: kept {counts['verified']} of {counts['rows']} samples, "
        f"{counts['solved_problems']} of {counts['problems']} problems solved; written to {out}"
    )
    print_reasons(counts["by_reason"])
    if cut := counts["by_reason"].get("truncated"):
        how = remedy(manifest["config"].get("teacher"))
        print(f"{job}: {cut} texts were cut short and not judged; {how}")
    if counts.get("steps"):
        print(steps_line(counts["steps"]))
    if manifest.get("cost_usd") is not None and counts["verified"]:
        _print_cost(manifest)
    if counts["not_asked"]:
        print(
            f"synthesize: the budget is spent, {counts['not_asked']} samples were not asked; "
            "the same command with a higher --budget goes on"
        )


def _print_cost(manifest: dict[str, Any]) -> None:
    table = Table("prompt tokens", "completion tokens", "cost", "a kept program")
    tokens, cost = manifest["tokens"], manifest["cost_usd"]
    table.add_row(
        f"{tokens['prompt_tokens']:,}",
        f"{tokens['completion_tokens']:,}",
        f"${cost:,.2f}",
        f"${cost / manifest['counts']['verified']:,.4f}",
    )
    Console(markup=False).print(table)
