"""Where `auto` stops: by what its signs of a right answer have been worth."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from small_students import Example

from pad_ray.decoding.settings import Calibration, Scaling, SearchSettings, Weights
from pad_ray.decoding.solver import Solver
from pad_ray.decoding.strategies.auto import odds_agreed, odds_alone, rounds
from pad_ray.evaluation.tuning import Sample, calibrate, stop
from pad_ray.verifiers.base import calibrated

WEIGHTS = Weights()


def test_rounds_double_and_end_with_all() -> None:
    assert [*rounds(16)] == [4, 8, 16]
    assert [*rounds(11)] == [4, 8, 11]
    assert [*rounds(4)] == [4]
    assert [*rounds(3)] == [3]
    assert [*rounds(1)] == []


def test_few_that_agree_are_less_sure_than_many() -> None:
    plain = [calibrated(odds_agreed(1.0, votes), 1, 0) for votes in (2, 4, 8, 64)]
    assert plain == sorted(plain)
    assert plain[0] < 0.9 < plain[1] < plain[-1] < 1
    assert calibrated(odds_agreed(0.75, 16), 1, 0) == pytest.approx(0.75)
    assert calibrated(odds_alone({"logprob": -0.1}, WEIGHTS), 1, 0) == pytest.approx(0.9048, 1e-3)


def overconfident(rng: random.Random, problems: int) -> list[Sequence[Sample]]:
    """Return problems whose greedy program seems sure at 0.95 and is right in 6 of 10.

    Of a hard problem's samples each answers something else, of an easy one's all the same.
    """
    found = []
    for number in range(problems):
        easy = rng.random() < 0.6
        said = {"logprob": -0.05 + rng.random() * 0.01}
        first = Sample(said, "1" if easy else "0", easy)
        rest = [Sample(said, "1" if easy else f"{number}/{n}", easy) for n in range(7)]
        found.append([first, *rest])
    return found


def test_a_sign_is_worth_what_it_has_been_worth() -> None:
    drawn = overconfident(random.Random(0), 300)
    by = calibrate(drawn, WEIGHTS)
    odds = odds_alone({"logprob": -0.045}, WEIGHTS)
    right = sum(samples[0].right for samples in drawn) / len(drawn)
    assert calibrated(odds, by.alone.scale, by.alone.shift) == pytest.approx(right, abs=0.05)
    for samples in drawn:
        # As it was it would stop at once, right or wrong.
        plain, fitted = (stop(samples, WEIGHTS, c, 0.9) for c in (Calibration(), by))
        assert plain is not None and plain.programs == 1
        assert fitted is not None and fitted.programs == (4 if samples[0].right else 8)


def test_nothing_is_said_by_problems_that_are_nearly_all_right() -> None:
    drawn = overconfident(random.Random(1), 12)
    assert calibrate(drawn, WEIGHTS).alone == Scaling()


def test_what_tuning_foresees_is_what_auto_does(solver: Solver, examples: list[Example]) -> None:
    settings = SearchSettings(strategy="auto", n=8, temperature=1.5, search_seed=3)
    alone, agreed = Scaling(scale=0.7, shift=-1.5), Scaling(scale=0.8, shift=-0.2)
    by = Calibration(alone=alone, agreed=agreed)
    for example in examples[:2]:
        full = solver.solve(example.question, settings=settings, confidence=1.0)
        samples = [Sample(s["sources"], s["answer"], False) for s in full.notes["samples"]]
        assert len(samples) == 8
        odds = odds_alone(samples[0].sources, settings.weights)
        sure = calibrated(odds, alone.scale, alone.shift)
        # What can be guessed decides what is read together, and so the last digits.
        below, above = sure - 1e-4, sure + 1e-4
        for confidence in (below, above, 1.0):
            foreseen = stop(samples, settings.weights, by, confidence)
            assert foreseen is not None
            assert (foreseen.programs == 1) == (confidence == below)
            real = solver.solve(
                example.question, settings=settings, confidence=confidence, calibration=by
            )
            assert real.notes["asked"] == foreseen.programs
