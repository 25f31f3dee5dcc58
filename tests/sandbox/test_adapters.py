"""What other libraries plug in, against those libraries."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pad_ray.sandbox import Limits, Outcome, Sandbox, adapters
from pad_ray.sandbox.adapters import (
    ProgramFailed,
    ProgramReward,
    PythonInterpreter,
    Runtime,
    SmolagentsExecutor,
    python_tool,
)
from pad_ray.sandbox.adapters.rewards import last_block, same_answer
from pad_ray.sandbox.adapters.session import Session, _ran, assignments


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(Limits(wall_s=2, cpu_s=0.3, memory_mb=128, output_kb=64)) as own:
        yield own


RIGHT = "def solution():\n    return 6 * 7"


def test_public_names() -> None:
    names = "ProgramFailed ProgramReward PythonInterpreter Runtime SmolagentsExecutor python_tool"
    assert adapters.__all__ == names.split()


# -- steps that go on from each other


def ended(session: Session, code: str) -> tuple[object, ...]:
    outcome = session.run(code).outcome
    if outcome.status == "ok":
        return outcome.value, outcome.stdout
    return outcome.status, outcome.error_type, outcome.error_line


def test_steps_find_the_names_of_those_before(sandbox: Sandbox) -> None:
    session = Session(sandbox)
    assert ended(session, "import math\nx = 5\nprint('x')") == (None, "x\n")
    assert ended(session, "def root(n):\n    return math.sqrt(n) / z\n\nx") == (5, "")
    assert ended(session, "root(4)") == ("error", "NameError", 1)
    assert ended(session, "\ny = 1\n1 / 0\ny = 2") == ("error", "ZeroDivisionError", 3)
    assert ended(session, "z = 2\nroot(4), y") == ([1.0, 1], "")
    point = "from dataclasses import dataclass\n@dataclass\nclass P:\n    x: int"
    assert ended(session, point) == (None, "")
    assert ended(session, "P(3)") == ("P(x=3)", "")


@pytest.mark.parametrize(
    ("code", "end"),
    [
        ("z = 1\nwhile True: pass", ("timeout", "CPUTime", None)),
        ("z = 1\nb'a' * 10**9", ("memory", "MemoryError", 2)),
        ("z = 1\nopen('/etc/passwd')", ("forbidden", "PermissionError", 2)),
        ("import os\nz = 1\nos.fork()", ("forbidden", "SIGSYS", None)),
        ("z = 1\n\ndef g(:", ("invalid", "SyntaxError", 3)),
    ],
)
def test_a_step_that_was_ended_is_left_out(
    sandbox: Sandbox, code: str, end: tuple[object, ...]
) -> None:
    session = Session(sandbox)
    assert ended(session, "y = 1") == (None, "")
    assert ended(session, code) == end
    assert ended(session, "'z' in globals(), y") == ([False, 1], "")


def test_a_final_answer_is_a_plain_value(sandbox: Sandbox) -> None:
    session = Session(sandbox)
    outcome, final = session.run("raise FinalAnswer({'a': (1, None)})")
    assert (outcome.status, outcome.value, final) == ("ok", {"a": [1, None]}, True)
    assert ended(session, "raise FinalAnswer({1, 2})") == ("error", "UnsupportedValue", None)


def test_a_program_that_answers_past_its_step_is_crashed() -> None:
    for malformed in (None, [1, 2], {"value": 1}, {"final": 1, "value": 2}, {"invalid": [1, 2]}):
        assert _ran(Outcome("ok", malformed)).outcome.status == "crashed"


plain_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=25)
@given(plain_values)
def test_variables_arrive_as_they_are(value: object) -> None:
    names: dict[str, Any] = {}
    exec(assignments({"x": value}), names)
    assert repr(names["x"]) == repr(value)


def test_variables_that_cannot_be_sent_are_named() -> None:
    with pytest.raises(
        TypeError, match="the variable 'x' is or holds a object: the sandbox takes plain"
    ):
        assignments({"x": [object()]})
    with pytest.raises(ValueError, match="'a b' is no name for a variable"):
        assignments({"a b": 1})


# -- PAL's interface


def test_answers_of_many_programs(sandbox: Sandbox) -> None:
    programs = [RIGHT, "x = 3", "def solution():\n    return y", "while True: pass"]
    assert PythonInterpreter(sandbox).batch_apply(programs) == [
        ("42", "Done"),
        ("", "NoSolution: the program defines no function solution()"),
        ("", "NameError: name 'y' is not defined (line 2)"),
        ("", "CPUTime: CPU time limit of 0.3 s"),
    ]


@pytest.mark.parametrize(
    ("asked", "code", "told"),
    [
        ({"answer_symbol": "answer"}, "answer = [1]  # one\n", ("[1]", "Done")),
        ({"answer_symbol": "answer"}, f"{RIGHT}\nanswer = solution()", ("42", "Done")),
        ({"answer_symbol": "answer"}, "\nx = 1 / 0", ("", "ZeroDivisionError: division by zero")),
        ({"answer_expr": "solution(3)"}, "def solution(x):\n    return 2 * x", ("6", "Done")),
        ({"answer_expr": "a + b  # both"}, "a = 1\nb = 2", ("3", "Done")),
        ({"answer_expr": None}, "x = 2\nx + 1\n\n", ("3", "Done")),
        ({"answer_expr": None}, "1 + 1", ("2", "Done")),
        ({"answer_from_stdout": True}, "print(1)\nprint(2)", ("1\n2", "Done")),
        ({"answer_from_stdout": True}, "print(1)\n1 / 0", ("", "ZeroDivisionError")),
    ],
)
def test_where_the_answer_is(
    sandbox: Sandbox, asked: dict[str, Any], code: str, told: tuple[str, str]
) -> None:
    answer, report = PythonInterpreter(sandbox, **asked).apply(code)
    assert answer == told[0] and report.startswith(told[1])


def test_runtime(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    runtime = Runtime(sandbox)
    runtime.inject({"given": [1, 2.5]})
    runtime.exec_code("answer = sum(given)\nprint('summed')")
    assert capsys.readouterr().out == "summed\n"
    assert (runtime.eval_code("answer * 2"), runtime.answer) == (7, 3.5)
    assert runtime._global_vars["given"] == [1, 2.5]
    runtime.exec_code(RIGHT)
    assert runtime.eval_code("solution()") == 42
    with pytest.raises(ProgramFailed, match=r"NameError: name 'answer' is not defined \(line 1\)"):
        _ = runtime.answer
    with pytest.raises(TypeError, match="'bad' is or holds a set"):
        runtime.inject({"bad": {1}})


@pytest.mark.parametrize(
    ("asked", "code", "answer"),
    [
        ({"answer_expr": "solution()"}, RIGHT, 42),
        ({"answer_symbol": "answer"}, "answer = 6 * 7", 42),
        ({"get_answer_from_stdout": True}, "print(42)", "42\n"),
        ({}, "x = 6\nx * 7", 42),
        ({"answer_expr": "solution()"}, "def solution():\n    return 1 / 0", ""),
        ({"answer_expr": "solution()"}, "def solution():\n    return open('/etc/passwd')", ""),
    ],
)
def test_qwen_agent_executes_by_our_runtime(
    sandbox: Sandbox, asked: dict[str, Any], code: str, answer: object
) -> None:
    executor = pytest.importorskip("qwen_agent.tools.python_executor").PythonExecutor
    pytest.importorskip("timeout_decorator")
    result, report = executor.execute(code.split("\n"), runtime=Runtime(sandbox), **asked)
    assert result == answer
    assert report == "Done" or "ProgramFailed" in report


# -- smolagents


def agent_of(executor: SmolagentsExecutor, steps: list[str], tools: tuple[Any, ...] = ()) -> Any:
    """Return a CodeAgent whose model writes these steps."""
    from smolagents import ChatMessage, CodeAgent, Model
    from smolagents.monitoring import LogLevel

    class Scripted(Model):
        def generate(self, *_: Any, **__: Any) -> ChatMessage:
            code = waiting.pop(0)
            return ChatMessage(role="assistant", content=f"Thought: so.\n<code>\n{code}\n</code>")

    waiting = list(steps)
    return CodeAgent(
        tools=list(tools), model=Scripted(), executor=executor, verbosity_level=LogLevel.OFF
    )


def test_an_agents_steps_run_in_the_sandbox(sandbox: Sandbox) -> None:
    tool = pytest.importorskip("smolagents").tool

    @tool
    def double(number: float) -> float:
        """Double a number.

        Args:
            number: any number
        """
        return 2 * number

    steps = [
        "import math\nhalf = math.sqrt(start)\nprint('half', half)",
        "print('here')\nopen('/etc/passwd').read()",
        "half / nothing",
        "final_answer({'doubled': double(half)})",
    ]
    agent = agent_of(SmolagentsExecutor(sandbox), steps, (double,))
    assert agent.run("Go.", additional_args={"start": 441}) == {"doubled": 42.0}
    first, second, third, last = [s for s in agent.memory.steps if hasattr(s, "code_action")]
    assert "half 21.0" in first.observations and first.error is None
    assert "Permission denied" in second.error.message and "here" in second.observations
    assert "NameError: name 'nothing' is not defined (line 1)" in third.error.message
    assert last.is_final_answer


def test_an_agent_goes_on_in_a_second_run(sandbox: Sandbox) -> None:
    pytest.importorskip("smolagents")
    agent = agent_of(SmolagentsExecutor(sandbox), ["x = 6\nfinal_answer(x)", "final_answer(x * 7)"])
    assert (agent.run("First."), agent.run("Second.", reset=False)) == (6, 42)


def test_what_an_agent_cannot_have_in_the_sandbox(sandbox: Sandbox) -> None:
    pytest.importorskip("smolagents")
    executor = SmolagentsExecutor(sandbox)
    with pytest.raises(ValueError, match="helper: only tools run in the sandbox, no CodeAgent"):
        executor.send_tools({"helper": agent_of(executor, [])})
    with pytest.raises(TypeError, match="the variable 'image' is or holds a object"):
        executor.send_variables({"image": object()})


# -- LangChain


def test_langchain_tool(sandbox: Sandbox) -> None:
    convert = pytest.importorskip("langchain_core.utils.function_calling").convert_to_openai_tool
    tool = python_tool(sandbox)
    schema = convert(tool)["function"]
    assert schema["name"] == "python" and "starts afresh" in schema["description"]
    assert schema["parameters"]["properties"]["code"]["type"] == "string"
    assert schema["parameters"]["required"] == ["code"]
    assert tool.invoke({"code": "print(1)\n6 * 7"}) == "1\n42"
    assert asyncio.run(tool.ainvoke({"code": "x = 1"})) == ""


@pytest.mark.parametrize(
    ("code", "status", "content"),
    [
        ("6 * 7", "success", "42"),
        ("print(1)\nx", "error", "1\nNameError: name 'x' is not defined (line 2)"),
        ("def f(:", "error", "SyntaxError: invalid syntax (line 1)"),
        ("while True: pass", "error", "CPUTime: CPU time limit of 0.3 s"),
    ],
)
def test_langchain_messages(sandbox: Sandbox, code: str, status: str, content: str) -> None:
    pytest.importorskip("langchain_core")
    call = {"type": "tool_call", "id": "7", "name": "python", "args": {"code": code}}
    message = python_tool(sandbox).invoke(call)
    assert (message.status, message.content, message.tool_call_id) == (status, content, "7")


# -- rewards

COMPLETIONS = [
    f"So:\n```python\n{RIGHT}\n```\nDone.",
    "```\ndef solution():\n    return 1\n```",
    "I do not know.",
    "```python\ndef solution():\n    while True: pass\n```",
]


def test_last_block() -> None:
    two = "```python\na = 1\n```\nor\n``` py\nb = 2\n```\n"
    assert last_block(two) == "b = 2\n"
    assert last_block("x\n```Python\na = 1\nb") == "a = 1\nb"
    assert last_block("a = '```'") == "a = '```'"


@pytest.mark.parametrize(
    ("value", "answer", "same"),
    [
        (42, "42", True),
        (42.0, 42, True),
        (1234.5, "1,234.5", True),
        (1 / 3, "0.3333333", True),
        (1 / 3, "0.33", False),
        ("Yes ", "Yes", True),
        (True, "True", True),
        (True, "1", False),
        (10**400, "1", False),
        (None, "0", False),
        (math.inf, "1", False),
        ([1], "1", False),
    ],
)
def test_same_answer(value: Any, answer: object, same: bool) -> None:
    assert same_answer(value, answer) is same


def test_rewards_of_a_batch(sandbox: Sandbox) -> None:
    reward = ProgramReward(sandbox, column="gold")
    chats = [[{"role": "assistant", "content": text}] for text in COMPLETIONS]
    parts = [[{"role": "assistant", "content": [{"type": "text", "text": COMPLETIONS[0]}]}]]
    gold = ["42", "2", "1", None]
    for completions in (COMPLETIONS, chats):
        assert reward(completions, gold=gold, prompts=["?"] * 4) == [1.0, 0.0, 0.0, None]
    assert reward(parts, gold=[42]) == [1.0]
    with pytest.raises(KeyError, match="the dataset has no column 'gold'"):
        reward(COMPLETIONS, answer=gold)


def test_rewards_by_the_grammar_of_all_of_pad_ray(sandbox: Sandbox) -> None:
    from pad_ray.programs.extraction import extract_program
    from pad_ray.tasks import equal

    reward = ProgramReward(sandbox, program=extract_program, equal=equal)
    completions = ["The program:\n\ndef solution():\n    return 0.4\n\nIt is right.", "None."]
    assert reward(completions, answer=["40%", "1"]) == [1.0, 0.0]


@pytest.mark.slow
def test_trl_trains_by_the_reward(sandbox: Sandbox, tmp_path: Path) -> None:
    import datasets
    from trl import GRPOConfig, GRPOTrainer

    from pad_ray.students.card import StudentCard
    from pad_ray.students.models import make_scratch_student

    card = StudentCard("program", "scratch:tiny")
    student = make_scratch_student("scratch:tiny", [RIGHT] * 20, card=card, seed=0)
    seen: list[list[float | None]] = []

    class Seen(ProgramReward):
        def __call__(self, *arguments: Any, **columns: Any) -> list[float | None]:
            seen.append(super().__call__(*arguments, **columns))
            return seen[-1]

    # What it writes is noise; so a program that is always read tells that the rest arrives.
    trainer = GRPOTrainer(
        student.model,
        reward_funcs=[Seen(sandbox), Seen(sandbox, program=lambda _: RIGHT)],
        args=GRPOConfig(
            output_dir=str(tmp_path),
            max_steps=1,
            per_device_train_batch_size=2,
            num_generations=2,
            max_completion_length=8,
            use_cpu=True,
            bf16=False,
            report_to="none",
            save_strategy="no",
            disable_tqdm=True,
        ),
        train_dataset=datasets.Dataset.from_dict({"prompt": ["6 * 7?"] * 4, "answer": ["42"] * 4}),
        processing_class=student.tokenizer,
    )
    trainer.train()
    assert seen == [[0.0, 0.0], [1.0, 1.0]]


VERL = """
from pad_ray.sandbox import Sandbox
from pad_ray.sandbox.adapters import ProgramReward

reward = ProgramReward(Sandbox())
compute_score, compute_scores = reward.compute_score, reward.compute_scores
"""


class Letters:
    """A tokenizer whose tokens are characters' numbers."""

    def decode(self, ids: Any, **_: Any) -> str:
        return "".join(map(chr, ids.tolist()))


def verl_batch(completions: list[str], answers: list[str]) -> Any:
    import numpy
    import torch
    from verl import DataProto

    size = max(map(len, completions))
    responses = torch.tensor([[ord(c) for c in text.ljust(size)] for text in completions])
    prompts = torch.zeros(len(completions), 2, dtype=torch.long)
    attention = torch.ones(len(completions), 2 + size, dtype=torch.long)
    for row, text in enumerate(completions):
        attention[row, 2 + len(text) :] = 0
    return DataProto.from_dict(
        tensors={"prompts": prompts, "responses": responses, "attention_mask": attention},
        non_tensors={
            "data_source": numpy.array(["gsm8k"] * len(answers), dtype=object),
            "reward_model": numpy.array([{"ground_truth": a} for a in answers], dtype=object),
            "extra_info": numpy.array([{} for _ in answers], dtype=object),
        },
    )


def verl_score(file: Path, name: str) -> Any:
    """Return what verl makes of a file that `custom_reward_function` names."""
    from omegaconf import OmegaConf
    from verl.trainer.ppo.reward import get_custom_reward_fn

    named = {"reward": {"custom_reward_function": {"path": str(file), "name": name}}}
    return get_custom_reward_fn(OmegaConf.create(named))


@pytest.mark.slow
def test_verl_scores_by_the_reward(tmp_path: Path) -> None:
    pytest.importorskip("verl.trainer.ppo.reward", reason="needs verl, which is not installed")
    from verl.experimental.reward_loop.reward_manager.naive import NaiveRewardManager
    from verl.workers.reward_manager.batch import BatchRewardManager

    (tmp_path / "reward.py").write_text(VERL)
    answers = ["42", "2", "1"]
    batch = verl_batch(COMPLETIONS[:3], answers)
    compute = verl_score(tmp_path / "reward.py", "compute_scores")
    scores = BatchRewardManager(Letters(), 0, compute)(batch)
    assert scores.sum(-1).tolist() == [1.0, 0.0, 0.0]

    async def one_by_one() -> list[float]:
        compute = verl_score(tmp_path / "reward.py", "compute_score")
        config = SimpleNamespace(data={}, reward={})
        manager = NaiveRewardManager(config, Letters(), compute)
        return [(await manager.run_single(batch[i : i + 1]))["reward_score"] for i in range(3)]

    assert asyncio.run(one_by_one()) == [1.0, 0.0, 0.0]
