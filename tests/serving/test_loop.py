"""One thread decodes for many: joined, cancelled and refused requests, and the end."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_students import Example, example

from pad_ray.base.errors import ConfigError
from pad_ray.decoding.settings import SearchSettings
from pad_ray.decoding.solver import Solver
from pad_ray.serving.loop import DecodingLoop, Listener, LoopClosedError

STEPWISE = SearchSettings(strategy="stepwise", max_new_tokens=120)
VOTE = SearchSettings(strategy="vote", n=8, max_new_tokens=120)


@pytest.fixture
def loop(student_folder: Path) -> Iterator[DecodingLoop]:
    made = DecodingLoop(Solver.from_pretrained(student_folder, max_rows=32))
    yield made
    made.close()


def questions(count: int) -> list[Example]:
    rng = random.Random(5)
    return [example(rng) for _ in range(count)]


def test_many_together_are_answered_as_alone(loop: DecodingLoop) -> None:
    asked = questions(6)

    async def both() -> tuple[list[str], list[str]]:
        alone = [(await loop.solve(one.question, STEPWISE)).text for one in asked]
        jobs = (loop.solve(one.question, STEPWISE) for one in asked)
        return alone, [found.text for found in await asyncio.gather(*jobs)]

    alone, together = asyncio.run(both())
    assert alone == together


def test_listeners_hear_of_their_own_search(loop: DecodingLoop) -> None:
    asked = questions(3)

    async def listen() -> None:
        heard: list[list[str]] = [[] for _ in asked]
        counts = [0] * len(asked)

        def listener(at: int) -> Listener:
            def nodes(new: object) -> None:
                counts[at] += 1

            return Listener(nodes, lambda steps: heard[at].extend(s.code for s in steps))

        jobs = (loop.solve(o.question, STEPWISE, listener(at)) for at, o in enumerate(asked))
        found = await asyncio.gather(*jobs)
        assert ["".join(codes) for codes in heard] == [one.text for one in found]
        assert all(counts)

    asyncio.run(listen())


def test_a_cancelled_search_frees_its_rows(loop: DecodingLoop) -> None:
    async def cancel() -> None:
        long = [loop.solve(one.question, VOTE) for one in questions(12)]
        tasks = [asyncio.create_task(one) for one in long]
        await asyncio.sleep(0.05)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        found = await loop.solve(questions(1)[0].question, STEPWISE)
        assert found.text
        assert loop.searches == 0

    asyncio.run(cancel())
    assert loop.solver.scheduler.idle


def test_what_cannot_be_served_is_refused_and_others_go_on(loop: DecodingLoop) -> None:
    async def ask() -> None:
        bad = loop.solve(" ", STEPWISE)
        good = loop.solve(questions(1)[0].question, STEPWISE)
        refused, found = await asyncio.gather(bad, good, return_exceptions=True)
        assert isinstance(refused, ConfigError)
        assert not isinstance(found, BaseException) and found.text

    asyncio.run(ask())


def test_a_bug_reaches_who_was_in_work_and_the_loop_goes_on(
    loop: DecodingLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ask() -> None:
        with monkeypatch.context() as patched:
            patched.setattr(loop.solver.scheduler, "step", lambda: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                await loop.solve(questions(1)[0].question, STEPWISE)
        assert (await loop.solve(questions(1)[0].question, STEPWISE)).text

    asyncio.run(ask())


def test_closing_finishes_what_runs(student_folder: Path) -> None:
    loop = DecodingLoop(Solver.from_pretrained(student_folder))

    async def ask() -> None:
        tasks = [asyncio.create_task(loop.solve(o.question, STEPWISE)) for o in questions(4)]
        await asyncio.sleep(0)
        await asyncio.to_thread(loop.close)
        assert all(found.text for found in await asyncio.gather(*tasks))
        with pytest.raises(LoopClosedError):
            await loop.solve("late?", STEPWISE)

    asyncio.run(ask())
    assert loop.closed
