"""Properties over generated programs, values, frames and reports."""

from __future__ import annotations

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pad_ray.sandbox import Limits, Outcome, Sandbox
from pad_ray.sandbox.outcome import judge
from pad_ray.sandbox.wire import FRAMED, Reply, seal, unseal

# The sandbox fixture lives as long as the session on purpose.
shared = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(scalars, inner, max_size=5),
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
