"""Verified decoding against transformers' beam search, and against reading all anew each step.

One student, one width, the same six-step arithmetic questions (programs of about twelve
statements), in turn in one run, one thread. The student is the demo's, or PAD_RAY_BENCH_STUDENT;
PAD_RAY_BENCH_QUESTIONS (a batch), _ROUNDS and _TOKENS (the most of a program) fit a larger one.
The verifier is the student's own backbone with an untrained head, or a head on the states of the
student that writes: its values steer nothing, and cost the same.
"""

from __future__ import annotations

import math
import os
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest
import torch
from package_models import minilm
from rich.console import Console
from rich.table import Table
from torch.nn.utils.rnn import pad_sequence
from transformers import StoppingCriteria, StoppingCriteriaList

from pad_ray.decoding.engine import Engine
from pad_ray.decoding.settings import SearchSettings, Weights
from pad_ray.decoding.solver import Solver
from pad_ray.students.card import format_source
from pad_ray.students.models import Student, load_student, tokenise_source
from pad_ray.tasks import get_task
from pad_ray.verifiers.base import Candidate
from pad_ray.verifiers.settings import ScorerSettings
from pad_ray.verifiers.states import StateHead, save_state_head, student_mark
from pad_ray.verifiers.value import make_value_model, save_value_model

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = int(os.environ.get("PAD_RAY_BENCH_ROUNDS", "5"))
WIDTH = 4
PROPOSALS = 4
QUESTIONS = int(os.environ.get("PAD_RAY_BENCH_QUESTIONS", "8"))
GUESS_ROUNDS = 8
LONGEST = int(os.environ.get("PAD_RAY_BENCH_TOKENS", "300"))
BEAM_GOAL = 0.7
AGAIN_GOAL = 4.0
SCORER_GOAL = 0.25


@dataclass(frozen=True)
class Setting:
    """What all methods share."""

    student: Student
    questions: list[str]
    solver: Solver
    own: Solver


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setting]:
    torch.set_num_threads(1)
    made = ROOT / "runs/demo/student"
    given = os.environ.get("PAD_RAY_BENCH_STUDENT") or (made if made.is_dir() else None)
    if given is None:
        pytest.skip("needs a student: run `make demo`, or set PAD_RAY_BENCH_STUDENT")
    folder = Path(given)
    student = load_student(folder)
    generate = get_task("arithmetic").generate
    assert generate is not None
    problems = list(generate(QUESTIONS * ROUNDS, "test", 0, 6))
    questions = [problem.question for problem in problems]
    value = make_value_model(folder)
    verifier = tmp_path_factory.mktemp("verifier")
    save_value_model(value, verifier)
    sentences = minilm(tmp_path_factory.mktemp("minilm"))
    scorers = ScorerSettings(alignment=str(sentences), value=verifier)
    nothing = (0.0,) * student.model.config.hidden_size
    head = StateHead("bench", student_mark(student.model), nothing, 0.0)
    states = tmp_path_factory.mktemp("states")
    save_state_head(head, states)
    own = ScorerSettings(alignment=str(sentences), value=states)
    with Solver(student, scorers=scorers) as solver, Solver(student, scorers=own) as reading:
        yield Setting(student, questions, solver, reading)


def test_against_beam_search(setting: Setting) -> None:
    both, three = Weights(alignment=1, value=1, execution=0), Weights(alignment=1, value=1)
    weights = {
        "nothing": (Weights(execution=0), setting.solver),
        "alignment and value": (both, setting.solver),
        "all": (three, setting.solver),
        "alignment and value by the student's states": (both, setting.own),
        "all, value by the student's states": (three, setting.own),
    }
    table = Table(
        "scored by", "wall time : generate(num_beams)", "tokens", "passes", "scorers' share", "goal"
    )
    for name, (chosen, solver) in weights.items():
        search = SearchSettings(
            strategy="stepwise",
            width=WIDTH,
            proposals=PROPOSALS,
            weights=chosen,
            max_new_tokens=LONGEST,
        )
        ratios, shares, tokens, passes = [], [], [], []
        for questions in _rounds(setting.questions):
            theirs = _seconds(lambda q=questions: generate_beam(setting.student, q))
            before = solver.engine.ticks
            seconds, share, count = _solved(solver, questions, search)
            passes.append(solver.engine.ticks - before)
            ratios.append(seconds / theirs)
            shares.append(share)
            tokens.append(count)
        met = statistics.median(ratios) <= BEAM_GOAL and statistics.median(shares) < SCORER_GOAL
        goal = "" if name == "nothing" else f"{BEAM_GOAL}, {SCORER_GOAL:.0%}: {_verdict(met)}"
        table.add_row(
            name,
            _spread(ratios),
            f"{statistics.mean(tokens):.0f}",
            f"{min(passes)} to {max(passes)}",
            _share(shares),
            goal,
        )
    console = Console(width=120)
    console.print(f"\n{QUESTIONS} questions a batch, width {WIDTH}, {PROPOSALS} proposals")
    console.print(table)


def test_against_reading_all_anew_each_step(setting: Setting) -> None:
    search = SearchSettings(
        strategy="stepwise",
        width=WIDTH,
        proposals=PROPOSALS,
        proposal="sample",
        temperature=0.7,
        weights=Weights(alignment=1, value=1, execution=0),
        max_new_tokens=LONGEST,
    )
    ratios, steps = [], []
    for questions in _rounds(setting.questions):
        ours, _, _ = _solved(setting.solver, questions[:2], search)
        started = perf_counter()
        steps += search_anew(setting, questions[:2])
        ratios.append((perf_counter() - started) / ours)
    verdict = _verdict(statistics.median(ratios) >= AGAIN_GOAL)
    print(
        f"\nreading all anew each step ({statistics.mean(steps):.1f} steps a program) takes "
        f"{_spread(ratios)} times as long (goal {AGAIN_GOAL:g}: {verdict})"
    )


@pytest.mark.parametrize(("strategy", "batch"), [("greedy", 16), ("greedy", 1), ("vote", 4)])
def test_guesses_against_a_token_a_pass(setting: Setting, strategy: str, batch: int) -> None:
    """Each round is one batch; what was written in the rounds before is there to guess from."""
    generate = get_task("arithmetic").generate
    assert generate is not None
    questions = [p.question for p in generate(batch * GUESS_ROUNDS, "test", 1, None)]
    search = SearchSettings(strategy=strategy, n=8, max_new_tokens=LONGEST)
    seconds: dict[bool, list[float]] = {True: [], False: []}
    passes: dict[bool, float] = {}
    texts: dict[bool, list[str]] = {True: [], False: []}
    for guess in (False, True):
        engine = Engine(setting.student, guess=guess)
        setting.solver.scheduler.engine = engine
        for first in range(0, len(questions), batch):
            started = perf_counter()
            solutions = setting.solver.solve_batch(
                questions[first : first + batch], settings=search
            )
            seconds[guess].append(perf_counter() - started)
            texts[guess] += [solution.text for solution in solutions]
        passes[guess] = engine.generated / engine.ticks
    setting.solver.scheduler.engine = setting.solver.engine
    assert texts[True] == texts[False]
    ratios = [a / b for a, b in zip(seconds[False], seconds[True], strict=True)]
    print(
        f"\n{strategy}, {batch} questions at a time: a token a pass takes {_spread(ratios)} times "
        f"as long as with guesses; {passes[False]:.1f} and {passes[True]:.1f} tokens a pass"
    )


def _rounds(questions: Sequence[str]) -> list[Sequence[str]]:
    return [questions[i : i + QUESTIONS] for i in range(0, len(questions), QUESTIONS)]


def _seconds(run: Callable[[], object]) -> float:
    started = perf_counter()
    run()
    return perf_counter() - started


def _solved(
    solver: Solver, questions: Sequence[str], search: SearchSettings
) -> tuple[float, float, float]:
    """Return seconds, the scorers' share of them, and tokens a question."""
    before = dict(solver.scheduler.seconds)
    started = perf_counter()
    solutions = solver.solve_batch(questions, settings=search)
    seconds = perf_counter() - started
    scored = sum(
        after - before[name]
        for name, after in solver.scheduler.seconds.items()
        if name in ("alignment", "value", "execution")
    )
    return seconds, scored / seconds, statistics.mean(s.tokens for s in solutions)


def _padded(student: Student, texts: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
    ids = [torch.tensor(tokenise_source(student.tokenizer, text, False)) for text in texts]
    pad = student.tokenizer.pad_token_id
    mask = pad_sequence([torch.ones_like(i) for i in ids], True, 0, padding_side="left")
    return pad_sequence(ids, True, pad, padding_side="left"), mask


@torch.inference_mode()
def generate_beam(student: Student, questions: Sequence[str]) -> list[str]:
    """Plain beam search of transformers."""
    ids, mask = _padded(student, [format_source(q, "program") for q in questions])
    output = student.model.generate(
        ids, attention_mask=mask, num_beams=WIDTH, do_sample=False, max_new_tokens=LONGEST,
        pad_token_id=student.tokenizer.pad_token_id, eos_token_id=student.tokenizer.eos_token_id,
    )  # fmt: skip
    return list(student.tokenizer.batch_decode(output[:, ids.shape[1] :]))


class AtNewline(StoppingCriteria):  # type: ignore[misc]
    """Stops each row at its first newline."""

    def __init__(self, tokenizer: Any) -> None:
        vocabulary = range(len(tokenizer))
        self._newlines = torch.tensor([i for i in vocabulary if "\n" in tokenizer.decode([i])])

    def __call__(self, ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        return torch.isin(ids[:, -1], self._newlines)


@torch.inference_mode()
def search_anew(setting: Setting, questions: Sequence[str]) -> list[int]:
    """Step-wise search as search-and-learn does it: each step is generated from the whole text.

    Every live hypothesis's text is read anew with each of its proposals, and scored anew. Returns
    how many steps each question took.
    """
    student, solver = setting.student, setting.solver
    stop = StoppingCriteriaList([AtNewline(student.tokenizer)])
    live = {q: [""] for q in questions}
    steps = dict.fromkeys(questions, 0)
    while live:
        pairs = [(q, text) for q, texts in live.items() for text in texts]
        proposed = _proposals(student, pairs, stop)
        ranked: dict[str, list[tuple[float, str]]] = {q: [] for q in live}
        candidates = [
            Candidate(i, -i - 1, i, q, "", (text,)) for i, (q, text, _) in enumerate(proposed)
        ]
        scores = [
            [math.log(max(score, 1e-9)) for (*_, score) in solver.scorers[name].score(candidates)]
            for name in ("alignment", "value")
        ]
        for i in range(len(candidates)):
            solver.scorers["value"].forget(i)
        for (q, text, logprob), *judged in zip(proposed, *scores, strict=True):
            ranked[q].append((logprob + sum(judged), text))
        for q in list(live):
            steps[q] += 1
            best = [text for _, text in sorted(set(ranked[q]), reverse=True)[:WIDTH]]
            live[q] = [t for t in best if "return" not in t and steps[q] < 20]
            if not live[q]:
                del live[q]
    return list(steps.values())


def _proposals(
    student: Student, pairs: Sequence[tuple[str, str]], stop: StoppingCriteriaList
) -> list[tuple[str, str, float]]:
    ids, mask = _padded(student, [format_source(q, "program") + text for q, text in pairs])
    output = student.model.generate(
        ids, attention_mask=mask, do_sample=True, temperature=0.7, num_return_sequences=PROPOSALS,
        max_new_tokens=60, stopping_criteria=stop, return_dict_in_generate=True,
        output_scores=True, pad_token_id=student.tokenizer.pad_token_id,
        eos_token_id=student.tokenizer.eos_token_id,
    )  # fmt: skip
    logprobs = student.model.compute_transition_scores(
        output.sequences, output.scores, normalize_logits=True
    ).clamp(min=-1e4)
    texts = student.tokenizer.batch_decode(
        output.sequences[:, ids.shape[1] :], skip_special_tokens=True
    )
    repeated = [pair for pair in pairs for _ in range(PROPOSALS)]
    return [
        (q, before + text, float(lp.mean()))
        for (q, before), text, lp in zip(repeated, texts, logprobs, strict=True)
    ]


def _spread(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f}..{max(values):.2f})"


def _share(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.0%}"


def _verdict(met: bool) -> str:
    return "reached" if met else "missed"
