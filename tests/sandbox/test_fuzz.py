"""Properties over generated programs, values, frames and reports, and fuzzing by time.

PAD_RAY_FUZZ_S sets the seconds of the slow test, for all targets together.
"""

from __future__ import annotations

import json
import os
import random
import time

import pytest
from fuzzing import EXTRACTION_S, TARGETS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pad_ray.programs.extraction import extract_program
from pad_ray.sandbox import Limits, Outcome, Sandbox
from pad_ray.sandbox.outcome import judge
from pad_ray.sandbox.wire import FRAMED, Reply, seal, unseal

# The sandbox fixture lives as long as the session on purpose.
shared = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
floats = st.floats(allow_nan=False, allow_infinity=False)
others = st.none() | st.booleans() | floats | st.text()
# Longer ints are refused as keys.
keys = others | st.integers(1 - 2**60, 2**60 - 1)
values = st.recursive(
    others | st.integers(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(keys, inner, max_size=5),
    max_leaves=25,
)
fragments = st.lists(
    st.sampled_from(
        [
            "def solution():", "    return ", "    x = ", "1", "'a'", "(", ")", "[", "]", "\n", ":",
            " + ", "**", "lambda: ", "yield ", "x", "class A:", "    pass\n", "import math\n", "\\",
            "{}", "try:", "except:", "\t", "del ", "global x\n", "raise ", "await ", "*", "\x00",
        ]
    ),
    max_size=25,
).map("".join)  # fmt: skip


@shared
@given(programs=st.lists(st.text() | fragments, max_size=4))
def test_any_text_gives_one_outcome_each_in_order(sandbox: Sandbox, programs: list[str]) -> None:
    numbered = [
        text
        for number, program in enumerate(programs)
        for text in (program, f"def solution():\n    return {number}")
    ]
    outcomes = sandbox.run(numbered)
    assert len(outcomes) == len(numbered)
    assert [outcome.value for outcome in outcomes[1::2]] == list(range(len(programs))), outcomes
    json.dumps([outcome.value for outcome in outcomes], allow_nan=False)
    "".join(outcome.message or "" for outcome in outcomes).encode()


@shared
@given(value=values)
def test_values_round_trip(sandbox: Sandbox, value: object) -> None:
    outcome = sandbox.run([f"def solution():\n    return {value!r}"])[0]
    assert outcome.status == "ok"
    assert repr(outcome.value) == repr(value)


@given(nonce=st.binary(min_size=16, max_size=16), report=st.binary(max_size=50), data=st.data())
def test_only_the_exact_frame_opens(nonce: bytes, report: bytes, data: st.DataObject) -> None:
    frame = seal(nonce, report)
    assert unseal(nonce, frame) == report
    cut = data.draw(st.integers(0, len(frame) - 1))
    assert unseal(nonce, frame[:cut]) is None
    assert unseal(nonce, frame + b"x") is None
    other = data.draw(st.binary(min_size=16, max_size=16).filter(lambda n: n != nonce))
    assert unseal(other, frame) is None


reports = st.binary(max_size=80) | st.fixed_dictionaries(
    {},
    optional={
        name: values | st.sampled_from(["ok", "error", "invalid", "nonsense"])
        for name in ("status", "value", "error_type", "error_line", "message")
    },
).map(lambda report: json.dumps(report).encode())


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(report=reports)
def test_no_report_of_a_child_can_raise_in_its_owner(report: bytes) -> None:
    outcome = judge(Reply(FRAMED, 0, 0.1, 0.2, report), Limits())
    assert isinstance(outcome, Outcome)
    json.dumps(outcome.value, allow_nan=False)
    assert isinstance(outcome.message, str | None)
    assert isinstance(outcome.error_line, int | None)


QUICK_S = {"frames": 1.0, "reports": 2.0, "extractor": 2.0, "proof": 2.0, "sandbox": 4.0}
SHARE = {"frames": 0.05, "reports": 0.1, "extractor": 0.2, "proof": 0.2, "sandbox": 0.45}
FUZZ_S = float(os.environ.get("PAD_RAY_FUZZ_S", "600"))


@pytest.mark.parametrize("target", TARGETS)
def test_fuzz_quickly(target: str) -> None:
    # A text of many blocks takes the reader a good part of a second.
    fewest = 20 if target == "extractor" else 100
    assert TARGETS[target](QUICK_S[target], random.Random(3)) > fewest


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("target", TARGETS)
def test_fuzz_for_long(target: str, capsys: pytest.CaptureFixture[str]) -> None:
    seed = random.randrange(1 << 32)
    seconds = FUZZ_S * SHARE[target]
    with capsys.disabled():
        print(f"\nfuzz of {target}, {seconds:.0f} s, seed {seed}: ", end="", flush=True)
        print(f"{TARGETS[target](seconds, random.Random(seed))} inputs")


def test_a_long_chain_of_statements_is_read_in_bounded_time() -> None:
    chain = "\n".join(f"x{n + 1} = x{n} + 1" for n in range(600))
    started = time.thread_time()
    program = extract_program(f"x0 = 1\n{chain}\ndef solution():\n    return x600")
    assert program is not None and "x300 = x299" in program
    assert time.thread_time() - started < EXTRACTION_S
