"""Estimates from measurements that are written down here: how they follow size, cluster, prices."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pad_ray.pipeline.planning.cluster import GPUS, ClusterSettings, NodeGroup
from pad_ray.pipeline.planning.memory import RowsSeen, StudentShape, training_memory
from pad_ray.pipeline.planning.quantities import Line, Range
from pad_ray.pipeline.planning.report import Plan
from pad_ray.pipeline.planning.settings import StageEstimate, spread_of
from pad_ray.pipeline.planning.synthesis_cost import Observed, calibration_sizes, estimate_synthesis
from pad_ray.pipeline.planning.training_cost import Pace, estimate_training, steps_of
from pad_ray.synthesis.settings import SynthesisRun
from pad_ray.training.settings import TrainingHyperparameters

SMOL = StudentShape(134_515_008, 576, 30, 49_152)
ROWS = RowsSeen(SMOL, train=9_500, validation=500, tokens=200, longest=600, target_tokens=80)
PACE = Pace(1, Line(2, 0.001), 20, Range(0.9, 1, 1.2), 0.01, 0.5, Path("student"))


def seen(problems: int, samples: int = 1, **changes: Any) -> Observed:
    """A synthesis with a second for each part, a millisecond a row, and a slower sandbox."""
    rows = problems * samples
    values: dict[str, Any] = {
        "out": Path("out"),
        "problems": problems,
        "rows": rows,
        "verified": rows // 2,
        "seconds": {"problems": 1.0, "start": 0.0, "rounds": 1 + rows / 1000, "finish": 1.0},
        "busy_s": {"teacher": rows * 0.1e-3, "sandbox": rows * 0.9e-3},
        "tokens": Range(0, 0, 0),
        "prompt_share": 0.0,
        "cost_usd": None,
        "memory_gb": 2.0,
        "teacher_actors": 1,
        "sandbox_actors": 1,
    }
    return Observed(**{**values, **changes})


def nodes(number: int = 1, cpus: int = 16, **others: Any) -> ClusterSettings:
    return ClusterSettings(nodes=[NodeGroup(nodes=number, cpus=cpus, memory_gb=64, **others)])


def scripted(**changes: Any) -> SynthesisRun:
    return SynthesisRun(**{"task": "arithmetic", "teacher": "scripted"} | changes)


def endpoint(**changes: Any) -> SynthesisRun:
    asked = {"base_url": "http://127.0.0.1:1/v1", "model": "m", "concurrency": 4, **changes}
    return SynthesisRun(task="arithmetic", teacher="endpoint", endpoint=asked)


def test_synthesis_grows_along_the_measured_line() -> None:
    found = estimate_synthesis(scripted(), [seen(100), seen(1000)], 10_000, ClusterSettings(), 0.25)
    assert found.seconds.likely == pytest.approx(1 + 1 + 1 + 10)


def test_where_rows_flow_their_pace_counts_and_not_how_long_the_start_took() -> None:
    def run(rows: int, start_s: float) -> Observed:
        seconds = {"rounds": start_s + rows / 1000}
        flowing = {"sandbox": rows / 1000 * (1 - 1 / 20)}
        return seen(rows, seconds=seconds, flow_s=flowing, pieces={"sandbox": 20})

    late = [run(100, 1.0), run(100, 1.0), run(1000, 3.0)]
    found = estimate_synthesis(scripted(), late, 10_000, ClusterSettings(), 0.25)
    assert found.seconds.likely == pytest.approx(3 + 10)
    # Too few pieces to tell: the line through both runs.
    few = [replace(one, pieces={"sandbox": 2}) for one in late]
    found = estimate_synthesis(scripted(), few, 10_000, ClusterSettings(), 0.25)
    assert found.seconds.likely > 25


def test_the_excess_of_a_process_s_first_run_is_paid_once() -> None:
    runs = [seen(100, seconds={"rounds": 4.1}), seen(100, seconds={"rounds": 1.1}), seen(1000)]
    first = estimate_synthesis(scripted(), runs, 10_000, ClusterSettings(), 0.25)
    later = estimate_synthesis(scripted(), runs[1:], 10_000, ClusterSettings(), 0.25)
    assert first.seconds.likely - later.seconds.likely == pytest.approx(3)


def test_more_sandboxes_help_until_another_part_is_the_slowest() -> None:
    runs = [seen(1000), seen(10_000)]

    def rounds(sandboxes: int) -> float:
        run = scripted(sandbox_actors=sandboxes)
        return estimate_synthesis(run, runs, 1_000_000, nodes(), 0.6).seconds.likely - 3

    assert rounds(1) == pytest.approx(1000, rel=1e-3)
    assert rounds(3) == pytest.approx(1000 / 3, rel=1e-2)
    assert rounds(9) == pytest.approx(rounds(12), rel=1e-3) == pytest.approx(1000 / 9, rel=1e-2)


def test_actors_without_room_do_not_fit() -> None:
    small = nodes(number=2, cpus=2)
    found = estimate_synthesis(scripted(sandbox_actors=3), [seen(10), seen(20)], 100, small, 0.6)
    assert found.misfits == (
        "its actors need 5.5 CPUs, the cluster has 4: lower teacher_actors or sandbox_actors, "
        "or add nodes",
    )


ASKED: dict[str, Any] = {
    "busy_s": {"teacher": 50.0, "sandbox": 0.1},
    "seconds": {"problems": 0.0, "rounds": 52.0},
    "tokens": Range(900, 1000, 1100),
    "prompt_share": 0.8,
    "cost_usd": 0.1,
}


def endpoint_s(run: SynthesisRun) -> float:
    runs = [seen(20, **ASKED), seen(100, **ASKED)]
    return estimate_synthesis(run, runs, 10_000, ClusterSettings(), 0.25).seconds.likely - 2


def test_an_endpoint_is_bound_by_latency_or_by_its_rates() -> None:
    # 100 requests in 50 s, four at once: 2 s each.
    assert endpoint_s(endpoint()) == pytest.approx(10_000 * 2 / 4)
    assert endpoint_s(endpoint(requests_per_minute=60)) == pytest.approx(10_000)
    assert endpoint_s(endpoint(tokens_per_minute=30_000)) == pytest.approx(10_000 / 30 * 60)
    others = [{"base_url": "http://127.0.0.1:2/v1", "model": "m"}]
    assert endpoint_s(endpoint(requests_per_minute=60, others=others)) == pytest.approx(5_000)


def test_the_described_price_stands_over_the_job_s() -> None:
    runs = [seen(20, **ASKED), seen(100, **ASKED)]
    own = estimate_synthesis(endpoint(), runs, 10_000, ClusterSettings(), 0.25)
    assert own.tokens.likely == pytest.approx(10_000_000)
    assert own.teacher_usd.likely == pytest.approx(10)
    priced = ClusterSettings(usd_per_million_prompt_tokens=2, usd_per_million_completion_tokens=5)
    given_price = estimate_synthesis(endpoint(), runs, 10_000, priced, 0.6)
    assert given_price.teacher_usd.likely == pytest.approx(8 * 2 + 2 * 5)
    assert given_price.teacher_usd.low < given_price.teacher_usd.likely


@given(problems=st.integers(8, 10**6))
def test_a_paid_calibration_asks_no_more_than_it_may(problems: int) -> None:
    sizes = calibration_sizes(problems, is_paid=True)
    assert sum(sizes) == problems and min(sizes) >= 1
    assert max(calibration_sizes(problems, is_paid=False)) == problems


def test_training_time_is_that_of_its_parts() -> None:
    run = TrainingHyperparameters(epochs=2, batch_size=10, micro_batch_size=5, evaluate_every=400)
    assert steps_of(run, ROWS) == 1900
    found = estimate_training(run, ROWS, PACE, ClusterSettings(), 0.25)
    assert found.seconds.likely == pytest.approx(2 + 10 + 20 + 1900 + 5 * (5 + 0.5))
    assert found.tokens.likely == 1900 * 10 * 200


def test_workers_share_the_micro_batches_of_a_step() -> None:
    def seconds(workers: int) -> float:
        run = TrainingHyperparameters(
            max_steps=10_000, batch_size=32, micro_batch_size=8, workers=workers
        )
        return estimate_training(
            run, replace(ROWS, validation=0), PACE, nodes(), 0.6
        ).seconds.likely

    assert seconds(2) == pytest.approx(seconds(1) / 2, rel=0.02)
    # Three workers take two turns for four micro-batches, as two do.
    assert seconds(3) == pytest.approx(seconds(2))
    assert seconds(8) == pytest.approx(seconds(4))


def test_a_gpu_that_is_not_here_is_reckoned_by_flops() -> None:
    run = TrainingHyperparameters(
        max_steps=1000, micro_batch_size=32, precision="bf16", gpus_per_worker=1
    )
    fast, slow = (
        estimate_training(run, ROWS, None, nodes(gpus=1, gpu=kind), 0.6) for kind in ("H100", "T4")
    )
    flops = 6 * SMOL.parameters * 32 * 200 * 1000
    assert slow.seconds.likely > flops / (GPUS["T4"].bf16_tflops * 1e12 * 0.3)
    assert fast.seconds.likely < slow.seconds.likely / 5
    assert fast.seconds.low < fast.seconds.likely < fast.seconds.high
    assert "not measured" in fast.notes[0]
    assert fast.gpu_hours.likely == pytest.approx(fast.seconds.likely / 3600)


memory_cases = st.fixed_dictionaries(
    {
        "zero_stage": st.integers(0, 3),
        "precision": st.sampled_from(["fp32", "bf16"]),
        "workers": st.integers(1, 64),
        "micro_batch_size": st.integers(1, 64),
    }
)


@given(case=memory_cases, more=st.integers(1, 64))
def test_memory_falls_with_workers_and_rises_with_rows(case: dict[str, Any], more: int) -> None:
    tokens = Range(100, 200, 600)
    base = training_memory(SMOL, row_tokens=tokens, **case)
    wider = {**case, "workers": case["workers"] + more}
    longer = {**case, "micro_batch_size": case["micro_batch_size"] + more}
    assert training_memory(SMOL, row_tokens=tokens, **wider).likely <= base.likely
    assert training_memory(SMOL, row_tokens=tokens, **longer).likely > base.likely
    assert base.low <= base.likely <= base.high


def test_states_in_fp32_are_twenty_bytes_a_parameter() -> None:
    alone = training_memory(
        SMOL,
        zero_stage=1,
        precision="fp32",
        workers=1,
        micro_batch_size=1,
        row_tokens=Range(0, 0, 0),
    )
    # Weights, gradients, and under ZeRO a master copy and two moments; 0.6 GB for the worker.
    assert alone.likely == pytest.approx(SMOL.parameters * 20 / 1e9 + 0.6)


def test_a_student_too_large_is_told_with_what_would_fit() -> None:
    large = replace(ROWS, shape=StudentShape(8_000_000_000, 4096, 36, 150_000))
    run = TrainingHyperparameters(workers=4, gpus_per_worker=1, micro_batch_size=8)
    cluster = nodes(gpus=4, gpu="A100-80GB")
    (fault,) = estimate_training(run, large, None, cluster, 0.6).misfits
    remedy = fault.split(": ")[1].removesuffix(" fits").split()
    changed = run.model_copy(
        update={name[2:]: type(getattr(run, name[2:]))(value) for name, value in _pairs(remedy)}
    )
    assert estimate_training(changed, large, None, cluster, 0.6).misfits == ()


def _pairs(words: list[str]) -> list[tuple[str, str]]:
    return list(zip(words[::2], words[1::2], strict=True))


def test_too_few_gpus_are_told() -> None:
    run = TrainingHyperparameters(workers=8, gpus_per_worker=1, precision="bf16")
    (fault,) = estimate_training(run, ROWS, None, nodes(gpus=4, gpu="H100"), 0.6).misfits
    assert fault.startswith("its workers need 8 GPUs, the cluster has 4: lower workers")


def test_money_is_the_cluster_s_time_and_the_teacher() -> None:
    stages = (
        StageEstimate("a", "", Range(1800, 3600, 7200), teacher_usd=Range(1, 2, 3)),
        StageEstimate("b", "", Range(1800, 3600, 7200), gpus=2, misfits=("too small",)),
    )
    plan = Plan("pipeline", nodes(number=2, usd_per_hour=3), stages, ())
    assert plan.usd == Range(1 * 6 + 1, 2 * 6 + 2, 4 * 6 + 3)
    told = plan.as_json()
    assert not told["fits"] and told["misfits"] == ["b: too small"]
    assert told["stages"][1]["gpu_hours"]["likely"] == 2


def test_a_busy_machine_widens_every_range() -> None:
    quiet, busy = (spread_of(ClusterSettings(), load) for load in (0.5, 1000.0))
    assert busy.share > spread_of(nodes(), 0.5).share > quiet.share
    assert "busy (load 1000" in busy.reason
    runs = [seen(100), seen(1000)]
    wide = estimate_synthesis(scripted(), runs, 10_000, ClusterSettings(), busy.share).seconds
    assert wide.high == pytest.approx(2 * wide.likely) == pytest.approx(4 * wide.low)
