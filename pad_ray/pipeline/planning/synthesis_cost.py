"""What a synthesis takes: the job itself, run on a few of its problems at two sizes."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.dataset as pads

from pad_ray.base.config import validate_with
from pad_ray.flow.ledger import Budget
from pad_ray.flow.runtime import cluster_resources
from pad_ray.pipeline.planning.cluster import ClusterSettings
from pad_ray.pipeline.planning.memory import watch_memory
from pad_ray.pipeline.planning.quantities import Line, Range, fit_line
from pad_ray.pipeline.planning.settings import StageEstimate
from pad_ray.synthesis.run import synthesize
from pad_ray.synthesis.settings import Pool, SynthesisRun, SynthesisSettings

__all__ = ["Observed", "calibrate_synthesis", "calibration_sizes", "estimate_synthesis"]

_PARTS = ("problems", "start", "rounds", "finish", "report")
# An actor beyond those of the calibration: Python, pyarrow and a sandbox of its own.
_ACTOR_GB = 0.15
_LONG_ENOUGH_S = 15.0
# So many pieces show how fast rows flow, whenever the first of them came.
_PIECES = 8
_LARGER = 4


@dataclass(frozen=True)
class Observed:
    """A synthesis that was run: its sizes, the seconds of its parts, what its actors worked.

    `busy_s`, `flow_s` and `pieces` are those of the ledger's `Totals`.
    """

    out: Path
    problems: int
    rows: int
    verified: int
    seconds: dict[str, float]
    busy_s: dict[str, float]
    tokens: Range
    prompt_share: float
    cost_usd: float | None
    memory_gb: float
    teacher_actors: int
    sandbox_actors: int
    flow_s: dict[str, float] = field(default_factory=dict)
    pieces: dict[str, int] = field(default_factory=dict)

    @property
    def wall_s(self) -> float:
        return sum(self.seconds.values())

    def busy_a_row(self, part: str) -> float:
        return self.busy_s.get(part, 0.0) / self.rows

    @property
    def judged_every_s(self) -> float | None:
        """The seconds from one judged row to the next; None where too few pieces tell."""
        pieces = self.pieces.get("sandbox", 0)
        if pieces < _PIECES:
            return None
        return self.flow_s["sandbox"] / (self.rows * (1 - 1 / pieces))


def calibration_sizes(problems: int, *, is_paid: bool) -> list[int]:
    """Return how many problems each run has; all of a paid teacher's together are `problems`.

    Two sizes tell what is fixed from what grows. Where it costs nothing the small one comes
    twice: the first run of a process starts more than itself.
    """
    small = max(1, problems // 5)
    return [small, problems - small] if is_paid else [small, small, problems]


def calibrate_synthesis(
    run: SynthesisRun, sizes: Sequence[int], most: int, folder: Path
) -> list[Observed]:
    """Run the synthesis on the first problems, once a size; return what was seen.

    While asking and judging are too short to be told from noise, a larger size of up to `most`
    problems is added.
    """
    seen = [_observe(run, size, folder / f"{i}") for i, size in enumerate(sizes)]
    size = sizes[-1] * _LARGER
    while seen[-1].seconds["rounds"] < _LONG_ENOUGH_S and size <= most:
        seen.append(_observe(run, size, folder / f"{len(seen)}"))
        size *= _LARGER
    if run.teacher != "endpoint":
        # It costs nothing, so that the largest is run twice: see `_largest`.
        seen.append(_observe(run, seen[-1].problems, folder / f"{len(seen)}"))
    return seen


def _largest(seen: Sequence[Observed]) -> tuple[Observed, Observed]:
    """Return the run before the largest size, and the faster one of the largest.

    Whatever else the machine does can make a short run twice as long, never shorter.
    """
    rows = max(one.rows for one in seen)
    smaller = [one for one in seen if one.rows < rows] or list(seen[:1])
    return smaller[-1], min((one for one in seen if one.rows == rows), key=lambda one: one.wall_s)


def _observe(run: SynthesisRun, problems: int, out: Path) -> Observed:
    teachers, sandboxes = _actors_here(run)
    settings = validate_with(
        SynthesisSettings,
        run,
        count=problems,
        out=out,
        teacher_actors=teachers,
        sandbox_actors=sandboxes,
        budget=Budget(),
        wait_for_resources=False,
    )
    started = time.monotonic()
    with watch_memory() as memory:
        manifest = synthesize(settings)
    wall = time.monotonic() - started
    # Card and report are written when the manifest is.
    seconds = {**manifest["seconds"], "report": wall - manifest["wall_s"]}
    counts = manifest["counts"]
    tokens, prompts = _tokens_a_row(out)
    return Observed(
        out,
        counts["problems"],
        counts["rows"],
        counts["verified"],
        seconds,
        manifest["busy_s"],
        tokens,
        prompts,
        manifest["cost_usd"],
        memory.gb,
        teachers,
        sandboxes,
        manifest["flow_s"],
        manifest["pieces"],
    )


def _most(pool: Pool) -> int:
    return pool[1] if isinstance(pool, tuple) else pool


def _least(pool: Pool) -> int:
    return pool[0] if isinstance(pool, tuple) else pool


def _actors_here(run: SynthesisRun) -> tuple[int, int]:
    """Return the actors of the calibration: the job's own, as far as they find room.

    A teacher that is waited for is asked by one actor: its latency then shows in its work.
    """
    if run.teacher == "endpoint":
        return 1, 1
    return _actors_on(run, cluster_resources().get("CPU", 0.0))


def _actors_on(run: SynthesisRun, slots: float) -> tuple[int, int]:
    """Return how many teachers and sandboxes find room in so many logical CPUs."""
    # Reading and the checkpoint's filter take a CPU each.
    left = slots - 2
    sandboxes = max(1, min(_most(run.sandbox_actors), int(left - 0.5)))
    teachers = max(1, min(_most(run.teacher_actors), int((left - sandboxes) / 0.5)))
    return teachers, sandboxes


def _tokens_a_row(out: Path) -> tuple[Range, float]:
    """Return a row's mean tokens with two standard errors, and the share of prompts in it."""
    files = [str(path) for path in out.glob("*/*.parquet")]
    table = pads.dataset(files, format="parquet").to_table(["prompt_tokens", "completion_tokens"])
    prompt, completion = (pc.fill_null(column, 0) for column in table.columns)
    tokens = pc.add(prompt, completion)
    mean, deviation = pc.mean(tokens).as_py(), pc.stddev(tokens).as_py()
    if not mean:
        return Range(0.0, 0.0, 0.0), 0.0
    error = 2 * deviation / math.sqrt(len(tokens))
    return Range(max(0.0, mean - error), mean, mean + error), pc.mean(prompt).as_py() / mean


def estimate_synthesis(
    run: SynthesisRun,
    seen: Sequence[Observed],
    problems: int,
    cluster: ClusterSettings,
    spread: float,
) -> StageEstimate:
    """Return what so many problems take on the cluster, times within `spread` of themselves."""
    small, large = _largest(seen)
    rows = problems * large.rows / large.problems
    parts = {part: _part_line(part, small, large) for part in _PARTS}
    actors = _actors_on(run, cluster.slots)
    del parts["rounds"]
    rounds, note = _rounds_s(run, large, _rounds_line(seen), rows, actors, cluster)
    first_run = max(0.0, seen[0].wall_s - seen[1].wall_s) if len(seen) > 2 else 0.0
    others = sum(line.at(rows) for line in parts.values())
    tokens = large.tokens.times(rows)
    further = sum(actors) - large.teacher_actors - large.sandbox_actors
    memory = large.memory_gb + _ACTOR_GB * max(0, further)
    return StageEstimate(
        name=f"synthesis {Path(run.task).stem}",
        size=f"{problems:,} problems, {rows:,.0f} samples",
        seconds=Range.around(first_run + others + rounds, spread),
        tokens=tokens,
        memory_gb=Range(memory * 0.9, memory, memory * 1.3),
        gpus=run.student.gpus * actors[0] if run.student else 0.0,
        teacher_usd=_teacher_usd(large, tokens, rows, cluster),
        misfits=tuple(_misfits(run, cluster)),
        notes=(note, f"{large.verified / large.rows:.1%} of the samples are kept"),
    )


def _part_line(part: str, small: Observed, large: Observed) -> Line:
    return fit_line([(one.rows, one.seconds.get(part, 0.0)) for one in (small, large)])


def _rounds_line(seen: Sequence[Observed]) -> Line:
    """Return what asking and judging take by rows.

    Where rows were seen to flow, their pace is what each takes: the difference of two runs has the
    noise of both runs' starts in it, of seconds, which a run of ten times the size would multiply.
    """
    small, large = _largest(seen)
    paces = [one.judged_every_s for one in seen if one.rows == large.rows]
    known = [pace for pace in paces if pace is not None]
    if not known:
        return _part_line("rounds", small, large)
    return Line(max(0.0, large.seconds["rounds"] - min(known) * large.rows), min(known))


def _rounds_s(
    run: SynthesisRun,
    large: Observed,
    line: Line,
    rows: float,
    actors: tuple[int, int],
    cluster: ClusterSettings,
) -> tuple[float, str]:
    """Return the seconds of asking and judging on the cluster, and what they follow from."""
    if run.teacher == "endpoint":
        return _endpoint_s(run, large, rows, actors)
    here = (large.teacher_actors, large.sandbox_actors)
    cores = ClusterSettings().cores
    slower = _bottleneck_s(large, actors, cluster.cores) / _bottleneck_s(large, here, cores)
    teacher, sandbox = (large.busy_a_row(part) * 1000 for part in ("teacher", "sandbox"))
    note = (
        f"a sample takes the teacher {teacher:.2f} ms and the sandbox {sandbox:.2f} ms; "
        f"{actors[0]} and {actors[1]} actors share the samples evenly"
    )
    return line.steeper(1.0 if cluster.is_here else slower).at(rows), note


def _bottleneck_s(seen: Observed, actors: tuple[int, int], cores: int) -> float:
    """Return the seconds a row of what is slowest: teachers, sandboxes, or the cores of both."""
    teacher, sandbox = seen.busy_a_row("teacher"), seen.busy_a_row("sandbox")
    bounds = (teacher / actors[0], sandbox / actors[1], (teacher + sandbox) / cores)
    return max(*bounds, 1e-9)


def _endpoint_s(
    run: SynthesisRun, large: Observed, rows: float, actors: tuple[int, int]
) -> tuple[float, str]:
    """Return the seconds that latency, rates and judging allow, whichever is most."""
    endpoint = run.endpoint
    assert endpoint is not None
    a_request = min(endpoint.n_per_request, run.samples)
    asked = large.rows / a_request
    latency = large.busy_s["teacher"] * min(endpoint.concurrency, asked) / asked
    requests = rows / a_request
    bounds = {
        f"{latency:.2f} s a request, {endpoint.concurrency} at once by {actors[0]} actor(s)": (
            requests * latency / (endpoint.concurrency * actors[0])
        ),
        "judging": rows * large.busy_a_row("sandbox") / actors[1],
    }
    weights = sum(address.weight for address in endpoint.addresses)
    for address in endpoint.addresses:
        share = address.weight / weights
        if address.requests_per_minute:
            minutes = requests * share / address.requests_per_minute
            bounds[f"{address.requests_per_minute:g} requests a minute"] = 60 * minutes
        if address.tokens_per_minute:
            minutes = rows * share * large.tokens.likely / address.tokens_per_minute
            bounds[f"{address.tokens_per_minute:g} tokens a minute"] = 60 * minutes
    slowest = max(bounds, key=lambda name: bounds[name])
    waited = max(0.0, large.seconds["rounds"] - large.busy_s["teacher"])
    return waited + bounds[slowest], f"the teacher is bound by {slowest}"


def _teacher_usd(large: Observed, tokens: Range, rows: float, cluster: ClusterSettings) -> Range:
    prompt, completion = (
        cluster.usd_per_million_prompt_tokens,
        cluster.usd_per_million_completion_tokens,
    )
    if prompt is not None or completion is not None:
        share = large.prompt_share
        return tokens.times(((prompt or 0) * share + (completion or 0) * (1 - share)) / 1e6)
    if not large.cost_usd or not tokens.likely:
        return Range(0.0, 0.0, 0.0)
    return tokens.times(large.cost_usd / large.rows * rows / tokens.likely)


def _misfits(run: SynthesisRun, cluster: ClusterSettings) -> list[str]:
    need = 2 + 0.5 * _least(run.teacher_actors) + _least(run.sandbox_actors)
    faults = []
    if need > cluster.slots:
        faults.append(
            f"its actors need {need:g} CPUs, the cluster has {cluster.slots}: lower "
            "teacher_actors or sandbox_actors, or add nodes"
        )
    gpus = run.student.gpus * _least(run.teacher_actors) if run.student else 0.0
    if gpus > cluster.gpus:
        faults.append(
            f"its teachers need {gpus:g} GPUs, the cluster has {cluster.gpus}: lower "
            "teacher_actors or add GPUs"
        )
    return faults
