"""The engine against plain transformers: the same tokens, whatever else is in work."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from small_students import Example, llama_like, taught
from torch.utils._python_dispatch import TorchDispatchMode

from pad_ray.decoding.drafts import Drafts
from pad_ray.decoding.engine import Engine
from pad_ray.decoding.growth import Grow
from pad_ray.decoding.hypothesis import Hypothesis
from pad_ray.decoding.solver import Solver
from pad_ray.programs.statements import split_steps
from pad_ray.students.card import format_source
from pad_ray.students.models import Student, tokenise_source


@pytest.fixture(scope="module", params=["lfm2", pytest.param("t5", marks=pytest.mark.slow)])
def either(request: pytest.FixtureRequest, student: Student) -> Student:
    return student if request.param == "lfm2" else taught("scratch:t5-tiny", 0.1)


def prompt(question: str) -> str:
    return format_source(question, "program")


def grown(engine: Engine, grows: Sequence[Grow]) -> list[list[list[Hypothesis]]]:
    growths = engine.arrange(grows)
    while engine.at_work:
        engine.tick()
    return [[engine.results(group) for group in growth.groups] for growth in growths]


def logprob_of(student: Student, question: str, written: Hypothesis) -> float:
    """Return the log-probability of what was written by one forward pass without a cache."""
    source = tokenise_source(student.tokenizer, prompt(question), student.is_encoder_decoder)
    ended = written.tokens > len(written.ids)
    target = [*written.ids, *([student.tokenizer.eos_token_id] if ended else [])]
    with torch.inference_mode():
        if student.is_encoder_decoder:
            labels = torch.tensor([target])
            logits = student.model(input_ids=torch.tensor([source]), labels=labels).logits[0]
        else:
            logits = student.model(input_ids=torch.tensor([source + target])).logits[0]
            logits = logits[len(source) - 1 : -1]
    chosen = torch.log_softmax(logits, -1).gather(1, torch.tensor(target)[:, None])
    return float(chosen.sum())


def test_greedy_is_transformers_greedy(either: Student, examples: list[Example]) -> None:
    engine = Engine(either)
    roots = engine.open([prompt(e.question) for e in examples[:12]])
    (ways,) = grown(engine, [Grow(tuple(roots), 1, True, 0.0, 80)])
    for example, (written,) in zip(examples, ways, strict=False):
        source = prompt(example.question)
        ids = tokenise_source(either.tokenizer, source, either.is_encoder_decoder)
        output = either.model.generate(
            torch.tensor([ids]), do_sample=False, max_new_tokens=80, eos_token_id=1, pad_token_id=0
        )[0]
        whole = output[1:] if either.is_encoder_decoder else output[len(ids) :]
        text = either.tokenizer.decode(whole, skip_special_tokens=True)
        # Ours ends with the return statement, transformers' with the token after it.
        assert written.text.strip() == text.strip()


def test_logprobs_are_the_models_own(either: Student, examples: list[Example]) -> None:
    engine = Engine(either)
    question = examples[0].question
    (root,) = engine.open([prompt(question)])
    for grow in (
        Grow((root,), 3, True, None, 80, keep=(root,)),
        Grow((root,), 3, True, 0.9, 80, keep=(root,)),
    ):
        for written in grown(engine, [grow])[0][0]:
            assert either.tokenizer.decode(written.ids) == written.text
            expected = logprob_of(either, question, written)
            assert written.logprob == pytest.approx(expected, abs=2e-3)


def test_whole_programs_come_cut_into_their_steps(
    student: Student, examples: list[Example]
) -> None:
    engine = Engine(student)
    roots = engine.open([prompt(e.question) for e in examples[:8]])
    for (written,) in grown(engine, [Grow(tuple(roots), 1, True, 0.0, 80)])[0]:
        assert [step.code for step in written.steps] == split_steps(written.text)
        assert sum(step.tokens for step in written.steps) == written.tokens


def test_step_by_step_greedy_writes_the_same_program(
    either: Student, examples: list[Example]
) -> None:
    engine = Engine(either)
    sources = [prompt(e.question) for e in examples[:6]]
    whole = [
        w.text for (w,) in grown(engine, [Grow(tuple(engine.open(sources)), 1, True, 0.0, 80)])[0]
    ]
    live = dict(enumerate(engine.open(sources)))
    done: dict[int, str] = {}
    while live:
        (ways,) = grown(engine, [Grow(tuple(live.values()), 1, False, 0.0, 80)])
        for number, (written,) in zip(list(live), ways, strict=True):
            if written.finished:
                done[number] = written.text
                del live[number]
            else:
                live[number] = written
    assert [done[i] for i in range(len(sources))] == whole


def test_a_beam_of_steps_holds_distinct_ways_best_first(
    student: Student, examples: list[Example]
) -> None:
    engine = Engine(student)
    (root,) = engine.open([prompt(examples[0].question)])
    ((first,),) = grown(engine, [Grow((root,), 5, False, None, 80)])
    assert len({w.ids for w in first}) == 5
    assert [w.logprob for w in first] == sorted((w.logprob for w in first), reverse=True)
    (second,) = grown(engine, [Grow(tuple(w for w in first if not w.finished), 4, False, None, 80)])
    for start, ways in zip((w for w in first if not w.finished), second, strict=True):
        for way in ways:
            assert way.ids[: len(start.ids)] == start.ids
            assert way.parent == start.number
            expected = logprob_of(student, examples[0].question, way)
            assert way.logprob == pytest.approx(expected, abs=2e-3)


def test_nothing_in_work_beside_it_changes_what_is_written(
    either: Student, examples: list[Example]
) -> None:
    """Searches of every kind join, leave and stop at random borders."""
    rng = random.Random(4)
    sources = [prompt(e.question) for e in examples[:14]]

    def make(root: Hypothesis, number: int) -> Grow:
        kinds = ((1, True, 0.0), (3, True, None), (4, False, None), (3, True, 0.8), (2, False, 1.0))
        width, whole, temperature = kinds[number % len(kinds)]
        return Grow((root,), width, whole, temperature, 60, seed=str(number))

    alone = []
    for number, source in enumerate(sources):
        engine = Engine(either)
        (root,) = engine.open([source])
        alone.append([w.ids for w in grown(engine, [make(root, number)])[0][0]])
    engine = Engine(either)
    together = {}
    running: dict[int, object] = {}
    waiting = list(enumerate(sources))
    while waiting or engine.at_work or running:
        joining = [waiting.pop(0) for _ in range(min(len(waiting), rng.randint(0, 3)))]
        roots = engine.open([s for _, s in joining]) if joining else []
        grows = [make(root, n) for root, (n, _) in zip(roots, joining, strict=True)]
        running |= zip([n for n, _ in joining], engine.arrange(grows), strict=True)
        for _ in range(rng.randint(1, 15)):
            if engine.at_work:
                engine.tick()
        for number, growth in list(running.items()):
            if growth.done:  # type: ignore[attr-defined]
                (group,) = growth.groups  # type: ignore[attr-defined]
                together[number] = [w.ids for w in engine.results(group)]
                del running[number]
    assert [together[n] for n in range(len(sources))] == alone


def test_guesses_change_no_token_and_save_passes(student: Student, examples: list[Example]) -> None:
    sources = [prompt(e.question) for e in examples[:10]]

    def written(guess: bool, temperature: float | None, whole: bool) -> tuple[list[object], Engine]:
        engine = Engine(student, guess=guess)
        texts: list[object] = []
        for source in sources:
            (root,) = engine.open([source])
            for way in grown(engine, [Grow((root,), 3, whole, temperature, 40, steps=2, margin=4)])[
                0
            ][0]:
                assert way.tokens - len(way.ids) in (0, 1)
                texts.append((way.ids, [s.code for s in way.steps], way.finished, way.truncated))
                assert way.logprob < 0
        return texts, engine

    for temperature, whole in ((0.0, True), (0.9, True), (1.5, True), (0.9, False), (None, False)):
        plain, without = written(False, temperature, whole)
        guessed, engine = written(True, temperature, whole)
        assert guessed == plain
        assert engine.generated == without.generated
        assert engine.ticks < without.ticks
        if temperature == 0:
            assert engine.ticks < without.ticks * 0.7


def test_what_followed_last_is_guessed() -> None:
    drafts = Drafts(most=60)
    for text in ((1, 2, 3, 4, 5), (9, 2, 3, 7)):
        for place, token in enumerate(text):
            drafts.learn(text[:place], token)
    assert drafts.guess((), 9) == [9, 2, 3, 7]
    assert drafts.guess((1,), 9) == [2, 3, 4, 5]
    assert drafts.guess((1,), 2) == [2, 3]
    assert drafts.guess((8, 2, 3), 9) == [7]
    assert drafts.guess((8, 8), 9) == []
    for token in range(100, 500):
        drafts.learn((token,), token)
    assert drafts.guess((), 9) == []
    assert drafts.guess((499,), 1) == [499]


def test_samples_depend_on_their_number_alone(student: Student, examples: list[Example]) -> None:
    engine = Engine(student)
    (root,) = engine.open([prompt(examples[0].question)])
    grow = Grow((root,), 6, True, 1.5, 60, keep=(root,))
    ((six,),) = grown(engine, [grow])
    ((two,),) = grown(engine, [Grow((root,), 2, True, 1.5, 60, keep=(root,), ways=(4, 1))])
    assert [w.ids for w in two] == [six[4].ids, six[1].ids]
    assert len({w.ids for w in six}) > 1
    ((other,),) = grown(engine, [Grow((root,), 6, True, 1.5, 60, seed="other")])
    assert [w.ids for w in other] != [w.ids for w in six]


def test_nothing_is_kept_when_all_is_done(student: Student, examples: list[Example]) -> None:
    with Solver(student) as solver:
        solver.solve_batch([e.question for e in examples[:5]], strategy="stepwise")
        assert solver.engine.rows_in_use == 0


def test_longest_program_and_step_are_kept_to(student: Student, examples: list[Example]) -> None:
    engine = Engine(student)
    (root,) = engine.open([prompt(examples[0].question)])
    (((written,),),) = grown(engine, [Grow((root,), 1, True, 0.0, 7, keep=(root,))])
    assert written.truncated
    assert len(written.ids) == 7
    (((written,),),) = grown(engine, [Grow((root,), 1, False, 0.0, 99, longest_step=4)])
    assert written.truncated
    assert written.finished
    assert len(written.ids) == 4


def test_a_shared_preamble_is_read_once_and_changes_nothing(
    student: Student, examples: list[Example]
) -> None:
    from dataclasses import replace

    preamble = "".join(prompt(e.question) + e.program + "\n\n" for e in examples[20:23])
    card = replace(student.card, preamble=preamble)
    shown = Student(student.model, student.tokenizer, card)
    sources = [preamble + prompt(e.question) for e in examples[:5]]
    texts = []
    for each in (student, shown):
        engine = Engine(each)
        roots = engine.open(sources)
        texts.append([w.text for (w,) in grown(engine, [Grow(tuple(roots), 1, True, 0.0, 60)])[0]])
    assert texts[0] == texts[1]


class Transfers(TorchDispatchMode):
    """Counts what makes a GPU wait for the host or the host for it, as far as the CPU shows it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.up = self.down = 0
        for name in ("cpu", "tolist", "item", "__bool__", "__int__", "__float__", "nonzero"):
            real = getattr(torch.Tensor, name)

            def counted(*args: Any, real: Any = real, **kwargs: Any) -> Any:
                self.down += 1
                return real(*args, **kwargs)

            monkeypatch.setattr(torch.Tensor, name, counted)

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        # A tensor of Python's numbers.
        self.up += function is torch.ops.aten.lift_fresh.default
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    ("temperature", "whole", "most_up"), [(0.0, True, 3), (1.0, True, 3), (None, False, 4)]
)
def test_a_pass_crosses_to_the_device_and_back_a_few_times(
    student: Student,
    monkeypatch: pytest.MonkeyPatch,
    temperature: float | None,
    whole: bool,
    most_up: int,
) -> None:
    # A program that has not been learnt has no end.
    engine = Engine(llama_like(student))
    roots = engine.open([prompt("How many?"), prompt("What is it, then?")])
    engine.arrange([Grow(tuple(roots), 4, whole, temperature, 60, longest_step=60)])
    for _ in range(3):
        engine.tick()
    ticks = 8
    with monkeypatch.context() as patched, Transfers(patched) as seen:
        for _ in range(ticks):
            assert engine.at_work
            engine.tick()
    # Transformers itself asks once whether the mask is full; what of guesses stays goes up too.
    assert 1 * ticks <= seen.down <= 2 * ticks
    assert ticks <= seen.up <= most_up * ticks
