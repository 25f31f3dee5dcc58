"""Evaluation: what counts as right, how failures are called, and a student really asked."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from finished_stages import opened

from pad_ray.base.config import root_cause, validate
from pad_ray.base.errors import (
    ConfigError,
    FailuresError,
    PadError,
    ResourceError,
    StudentError,
)
from pad_ray.base.records import Problem
from pad_ray.base.sandbox_settings import SandboxSettings
from pad_ray.base.schemas import COMPLETED_SCHEMA, JUDGED_SCHEMA
from pad_ray.decoding.settings import SearchSettings
from pad_ray.decoding.strategies.vote import is_gold
from pad_ray.evaluation.run import (
    Asking,
    StudentStage,
    _finish,
    evaluate,
    failure_classes,
    measure,
    table_rows,
)
from pad_ray.evaluation.settings import EvaluationSettings
from pad_ray.evaluation.several import against_first, print_gains
from pad_ray.flow.ledger import Ledger
from pad_ray.sandbox import Outcome, Sandbox, SandboxError
from pad_ray.students.card import CARD_FILE, StudentCard
from pad_ray.students.models import make_scratch_student, save_student
from pad_ray.students.trained_questions import QUESTIONS_FILE, save_trained_questions
from pad_ray.synthesis.judge_settings import Rule
from pad_ray.synthesis.judges import ProgramJudge, TextJudge
from pad_ray.synthesis.reasons import CUT_SHORT
from pad_ray.synthesis.requests import request_tables
from pad_ray.tasks import get_task, iter_problems
from pad_ray.tasks.answers import answer_sentence
from pad_ray.verifiers.settings import ScorerSettings


def completed(*completions: str | None, answer: str = "7", error: str | None = None) -> pa.Table:
    rows = [
        {
            "row_id": f"p{i}-000000",
            "problem_id": f"p{i}",
            "task": "arithmetic",
            "question": f"Q{i}?",
            "answer": answer,
            "sample_index": 0,
            "completion": text,
            "teacher": "student",
            "error": error,
        }
        for i, text in enumerate(completions)
    ]
    return pa.Table.from_pylist(rows, schema=COMPLETED_SCHEMA)


def judged(*rows: dict[str, Any]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=JUDGED_SCHEMA)


RIGHT = {"status": "ok", "reason": None, "rounded_match": True}
NEAR = {"status": "ok", "reason": "wrong_answer", "rounded_match": True}
WRONG = {"status": "ok", "reason": "wrong_answer", "rounded_match": False}
RAISED = {"status": "error", "reason": "error", "error_type": "NameError"}
NOTHING = {"status": None, "reason": "no_program"}


def test_shares_are_of_all_problems() -> None:
    metrics = measure(judged(RIGHT, NEAR, WRONG, RAISED, NOTHING))
    assert metrics["problems"] == 5
    assert metrics["accuracy"] == pytest.approx(0.2)
    assert metrics["accuracy_rounded"] == pytest.approx(0.4)
    assert metrics["executes"] == pytest.approx(0.6)
    assert sum(metrics["failures"].values()) == 4


def test_failures_are_called_by_the_exception_else_the_reason() -> None:
    timeout = {"status": "timeout", "reason": "timeout"}
    table = judged(RIGHT, RAISED, RAISED, WRONG, NOTHING, timeout)
    assert failure_classes(table) == {
        "NameError": 2,
        "wrong_answer": 1,
        "no_program": 1,
        "timeout": 1,
    }
    assert next(iter(failure_classes(table))) == "NameError"


def test_all_right_and_none_right() -> None:
    assert measure(judged(RIGHT, RIGHT))["failures"] == {}
    assert measure(judged(NOTHING))["accuracy"] == 0.0


PROGRAMS = {
    "def solution():\n    return 7\n": (None, "ok"),
    "```python\ndef solution():\n    apples = 3\n    return apples + 4.0\n```": (None, "ok"),
    "def solution():\n    return 8\n": ("wrong_answer", "ok"),
    "def solution():\n    return '7'\n": (None, "ok"),
    "def solution():\n    return 'seven or so'\n": ("wrong_answer", "ok"),
    "def solution():\n    return aples\n": ("error", "error"),
    "def solution():\n    return open('/etc/passwd').read()\n": ("forbidden", "forbidden"),
    "def solution():\n    while True: pass\n": ("timeout", "timeout"),
    "I do not know.": ("no_program", None),
    "": ("no_program", None),
}


def test_each_completion_gets_its_reason_and_keeps_its_place() -> None:
    judge = ProgramJudge(get_task("arithmetic"), SandboxSettings(wall_s=2, cpu_s=1))
    table = judge(completed(*PROGRAMS))
    assert table.schema.equals(JUDGED_SCHEMA)
    verdicts = list(zip(table["reason"].to_pylist(), table["status"].to_pylist(), strict=True))
    assert verdicts == list(PROGRAMS.values())
    assert table["row_id"].to_pylist() == [f"p{i}-000000" for i in range(len(PROGRAMS))]


def test_teachers_failure_is_not_called_a_missing_program() -> None:
    judge = ProgramJudge(get_task("arithmetic"), SandboxSettings())
    row = judge(completed("", error="HTTP 500")).to_pylist()[0]
    assert (row["reason"], row["message"]) == ("teacher_error", "HTTP 500")


WHOLE = "```python\ndef solution():\n    return 7\n```\n"


@pytest.mark.parametrize(
    ("text", "finish", "reason"),
    [
        ("def solution():\n    return 7", "length", "truncated"),
        ("```python\ndef solution():\n    a = 7\n    return a", "length", "truncated"),
        ("def solution():\n    return 7", "stop", None),
        ("def solution():\n    return 7", None, None),
        (WHOLE + "Here is why it is", "length", None),
        ("<think>" + WHOLE + "No, wait", "length", "truncated"),
        ("<think>hm</think>\n" + WHOLE + "As you", "length", None),
    ],
)
def test_a_program_that_was_cut_is_not_run(
    text: str, finish: str | None, reason: str | None
) -> None:
    judge = ProgramJudge(get_task("arithmetic"), SandboxSettings(wall_s=2, cpu_s=1))
    table = completed(text)
    finishes = pa.array([finish], pa.string())
    place = table.schema.get_field_index("finish_reason")
    (row,) = judge(table.set_column(place, "finish_reason", finishes)).to_pylist()
    assert (row["reason"], row["finish_reason"]) == (reason, finish)
    assert (row["status"] is None) == (reason == "truncated") == (row["message"] is not None)


def test_a_chain_of_thought_that_was_cut_states_no_answer() -> None:
    table = completed("The answer is 7")
    place = table.schema.get_field_index("finish_reason")
    cut = table.set_column(place, "finish_reason", pa.array(["length"]))
    assert TextJudge(get_task("arithmetic"))(cut)["reason"].to_pylist() == ["truncated"]


def raises(value: object, answer: str) -> bool:
    return abs(value - float(answer)) < 1e-3  # type: ignore[operator]


def test_a_rule_that_raises_costs_its_row() -> None:
    task = replace(get_task("arithmetic"), answers_equal=raises)
    programs = [f"def solution():\n    return {value}" for value in ("'seven'", "7")]
    rows = ProgramJudge(task, SandboxSettings(wall_s=2, cpu_s=1))(completed(*programs)).to_pylist()
    assert [row["reason"] for row in rows] == ["judge_error", None]
    assert "answers_equal of task 'arithmetic' raised TypeError" in rows[0]["message"]
    (row,) = TextJudge(task)(completed("The answer is 7.", answer="seven")).to_pylist()
    assert row["reason"] == "judge_error"


def test_a_rule_that_always_raises_ends_the_run() -> None:
    task = replace(get_task("arithmetic"), answers_equal=raises)
    texts = [f"The answer is {n}." for n in range(20)]
    judge = TextJudge(task, ledger=Ledger())
    judge(completed(*texts[:19], answer="seven"))
    with pytest.raises(FailuresError, match="20 problems in a row failed, mostly: answers_equal"):
        judge(completed(*texts, answer="seven"))


def test_chain_of_thought_is_judged_by_the_answer_it_states() -> None:
    texts = ["3 + 4.\nThe answer is 7.", "The answer is 7.2", "The answer is 9", "Seven."]
    rows = TextJudge(get_task("arithmetic"))(completed(*texts)).to_pylist()
    assert [row["reason"] for row in rows] == [None, "wrong_answer", "wrong_answer", "no_answer"]
    assert [row["rounded_match"] for row in rows] == [True, True, False, None]
    assert json.loads(rows[0]["value"]) == 7


def test_chain_of_thought_of_a_text_task() -> None:
    rows = TextJudge(get_task("coin_flip"))(
        completed("The answer is yes.", "The answer is no", answer="yes")
    )
    assert rows["reason"].to_pylist() == [None, "wrong_answer"]


def test_texts_are_kept_once_and_by_the_rule_of_the_dataset() -> None:
    task, rule = get_task("arithmetic"), Rule("rounded")
    rows = TextJudge(task, rule)(completed("So 7.\nThe answer is 7.2", "7.3? The answer is 7.2"))
    assert rows["reason"].to_pylist() == [None, None]
    same = TextJudge(task)(completed("The answer is 7.", " The  answer is\n7. ")).to_pylist()
    assert same[0]["program_key"] == same[1]["program_key"]
    failed = TextJudge(task)(completed("", error="HTTP 500")).to_pylist()[0]
    assert (failed["reason"], failed["message"]) == ("teacher_error", "HTTP 500")


def test_texts_that_were_all_cut_short_have_no_share_that_executes(tmp_path: Path) -> None:
    cut = TextJudge(get_task("arithmetic"))(completed("3 + 4", None, error=CUT_SHORT))
    settings = EvaluationSettings(task="arithmetic", student="student", out=tmp_path)
    for writes_text, share in ((True, None), (False, 0.0)):
        stage = opened(tmp_path / str(share), "evaluate", settings, {})
        finished = _finish(stage, cut, "student", get_task("arithmetic"), writes_text=writes_text)
        assert finished["metrics"]["executes"] == share


def test_texts_have_no_share_that_executes() -> None:
    texts = TextJudge(get_task("arithmetic"))(completed("The answer is 7.", "The answer is 8."))
    assert measure(texts)["executes"] is None
    programs = ProgramJudge(get_task("arithmetic"), SandboxSettings())
    assert measure(programs(completed("nothing", "to run")))["executes"] == 0.0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"strategy": "stepwise"}, "strategy: 'stepwise' works on programs"),
        ({"few_shot": 1}, "few_shot: the worked examples are programs"),
        ({"strategy": "vote", "weights": {"value": 1.0}}, "weights.value: judges programs"),
    ],
)
def test_text_student_is_refused_what_needs_programs(
    untrained: list[str], tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        evaluate(settings(tmp_path / "out", untrained[1], **change))
    assert not (tmp_path / "out").exists()


def test_table_names_student_problems_and_the_three_commonest_failures() -> None:
    failures = {"wrong_answer": 5, "NameError": 4, "timeout": 2, "no_program": 1}
    metrics = {
        "problems": 20,
        "accuracy": 0.4,
        "accuracy_95": [0.2, 0.6],
        "accuracy_rounded": 0.45,
        "executes": 0.65,
        "failures": failures,
    }
    config = {"task": "arithmetic", "split": "held_out"}
    manifest = {"student": "runs/one", "metrics": metrics, "config": config}
    assert list(table_rows([manifest])) == [
        (
            "one",
            "arithmetic (held-out templates)",
            "20",
            "40.0%",
            "20.0% to 60.0%",
            "45.0%",
            "65.0%",
            "wrong_answer 5, NameError 4, timeout 2",
        )
    ]


def settings(out: Path, student: list[str] | str, **others: Any) -> EvaluationSettings:
    values: dict[str, Any] = {"task": "arithmetic", "count": 8, "max_new_tokens": 12}
    return EvaluationSettings(**{**values, "student": student, "out": out, **others})


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two untrained students: one of programs, one of chains of thought."""
    folder = tmp_path_factory.mktemp("students")
    generate = get_task("arithmetic").generate
    assert generate is not None
    texts = [f"{p.question}\n{p.program}" for p in generate(20, "train", 0, None)]
    cards = {"programs": StudentCard("program", "test"), "thoughts": StudentCard("cot", "test")}
    for (name, card), size in zip(cards.items(), ("tiny", "t5-tiny"), strict=True):
        save_student(
            make_scratch_student(f"scratch:{size}", texts, card=card, seed=0), folder / name
        )
    return [str(folder / name) for name in cards]


def test_a_student_is_asked_every_problem_once(
    local_ray: None, untrained: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = settings(tmp_path / "out", untrained[:1])
    trained = [problem.question.upper() for problem in asked.load()[1][:3]]
    save_trained_questions(Path(untrained[0]) / QUESTIONS_FILE, trained, "scratch:tiny")
    (manifest,) = evaluate(asked)
    assert manifest["trained_on"] == 3
    assert "3 of 8 problems of arithmetic were among its training" in capsys.readouterr().out
    table = pq.read_table(tmp_path / "out" / "predictions.parquet")
    assert len(set(table["problem_id"].to_pylist())) == table.num_rows == 8
    assert manifest["metrics"] == measure(table)
    # It never ends a text, and what is not finished is no program.
    assert manifest["metrics"]["failures"] == {"truncated": 8}
    assert table["finish_reason"].to_pylist() == ["length"] * 8


@pytest.mark.slow
def test_a_grown_set_of_problems_is_as_if_asked_at_once(
    local_ray: None, untrained: list[str], tmp_path: Path
) -> None:
    evaluate(settings(tmp_path / "grown", untrained[0], count=5))
    (grown,) = evaluate(settings(tmp_path / "grown", untrained[0]))
    (at_once,) = evaluate(settings(tmp_path / "at_once", untrained[0]))
    tables = [pq.read_table(tmp_path / n / "predictions.parquet") for n in ("grown", "at_once")]
    assert tables[0].schema == tables[1].schema
    assert tables[0].drop("solve_s") == tables[1].drop("solve_s")
    assert grown["fingerprint"] == at_once["fingerprint"]
    assert not (tmp_path / "grown" / "work").exists()


@pytest.mark.parametrize("strategy", ["greedy", "vote", "auto", "stepwise"])
def test_no_program_runs_twice(
    taught_folder: Path, strategy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []
    run = Sandbox.run

    def noted(sandbox: Sandbox, programs: Iterable[str]) -> list[Outcome]:
        texts = list(programs)
        ran.extend(texts)
        return run(sandbox, texts)

    monkeypatch.setattr(Sandbox, "run", noted)
    task = get_task("arithmetic")
    search = SearchSettings(strategy=strategy, n=4, width=2, confidence=0.99)
    asking = Asking(
        str(taught_folder), "", search, ScorerSettings(), SandboxSettings(), "fp32", 1, 64
    )
    problems = list(iter_problems(task, None, count=6, split="test"))
    (requests,) = request_tables(problems, samples=1, rows_per_block=6)
    rows = StudentStage(asking, task)(requests).to_pylist()
    assert len(ran) == len(set(ran)) > 0
    for row in rows:
        assert row["program"].strip() in {text.strip() for text in ran}
        again = ProgramJudge(task, SandboxSettings())(
            completed(row["completion"], answer=row["answer"])
        ).to_pylist()[0]
        for column in ("program", "program_key", "status", "value", "reason", "rounded_match"):
            assert row[column] == again[column]


def test_a_sandbox_that_cannot_work_ends_an_evaluation(
    taught_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(sandbox: Sandbox, programs: Iterable[str]) -> list[Outcome]:
        raise SandboxError("its zygote died")

    monkeypatch.setattr(Sandbox, "run", closed)
    task = get_task("arithmetic")
    asking = Asking(
        str(taught_folder), "", SearchSettings(), ScorerSettings(), SandboxSettings(), "fp32", 1, 64
    )
    # So few that they might as well have failed by themselves.
    (requests,) = request_tables(
        list(iter_problems(task, None, count=2, split="test")), samples=1, rows_per_block=2
    )
    with pytest.raises(ResourceError, match="sandbox: its zygote died"):
        StudentStage(asking, task)(requests)


def test_all_students_are_checked_before_one_is_asked(untrained: list[str], tmp_path: Path) -> None:
    out, broken = tmp_path / "out", tmp_path / "broken"
    shutil.copytree(untrained[0], broken)
    (broken / "tokenizer.json").write_text("{")
    taken = tmp_path / "taken"
    (taken / "1-programs").mkdir(parents=True)
    (taken / "1-programs" / "mine.txt").write_text("")
    for students, change, said in (
        (untrained, {"few_shot": 1}, "few_shot: the worked examples are programs"),
        ([untrained[0], "./gone"], {}, "student: .*gone: no such file or folder"),
        ([untrained[0], str(broken)], {}, f"student: cannot load '{broken}'"),
        ([untrained[1], untrained[0]], {"out": taken}, "1-programs is not empty and was not made"),
        (untrained[:1], {"few_shot": 99}, "few_shot: arithmetic has"),
    ):
        with pytest.raises(PadError, match=said):
            evaluate(settings(**{"out": out, **change}, student=students))
        assert not out.exists() and len(list(taken.iterdir())) == 1


def test_a_baseline_is_what_students_were_trained_from(
    untrained: list[str], tmp_path: Path
) -> None:
    for origin, said in (
        (None, "does not say what it was trained from"),
        ("scratch:tiny", "trained from scratch:tiny, whose weights were drawn at random"),
        (str(tmp_path / "gone"), "baseline: .*gone: no such file or folder"),
    ):
        student = tmp_path / str(len(str(origin)))
        shutil.copytree(untrained[0], student)
        if origin is None:
            (student / CARD_FILE).unlink()
        else:
            (student / CARD_FILE).write_text(json.dumps({"format": "program", "origin": origin}))
        with pytest.raises(PadError, match=said):
            evaluate(settings(tmp_path / "out", str(student), baseline=True))
    assert not (tmp_path / "out").exists()
    thoughts = tmp_path / "thoughts"
    shutil.copytree(untrained[1], thoughts)
    (thoughts / CARD_FILE).write_text(json.dumps({"format": "cot", "origin": untrained[0]}))
    with pytest.raises(ConfigError, match="writes format 'cot', and .* would be asked for program"):
        evaluate(settings(tmp_path / "out", str(thoughts), baseline=True))


def test_students_are_compared_problem_by_problem(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    right = [
        [1, 1, 0, 0, 0, 0, 0, 0, 0, 1],
        [1, 0, 1, 1, 1, 1, 1, 1, 1, 1],
        [1] * 2 + [0] * 7 + [1],
    ]
    folders = [tmp_path / str(number) for number in range(3)]
    for folder, shares in zip(folders, right, strict=True):
        folder.mkdir()
        rows = [
            {"problem_id": f"p{n}", "reason": None if share else "wrong_answer"}
            for n, share in enumerate(shares)
        ]
        # Another order each: a row's problem is what its id says.
        rows = rows[int(folder.name) :] + rows[: int(folder.name)]
        pq.write_table(judged(*rows), folder / "predictions.parquet")
    better, same = against_first(folders)
    assert (better["won"], better["lost"], better["gain"]) == (7, 1, pytest.approx(0.6))
    assert better["p"] == pytest.approx(2 * 9 / 2**8)
    assert 0 < better["gain_95"][0] < 0.6 < better["gain_95"][1] <= 1
    assert (same["won"], same["lost"], same["p"]) == (0, 0, 1.0)
    print_gains(["plain", "exp[lr=3]", "exp[/a]"], [better, same])
    shown = capsys.readouterr().out
    assert "against plain" in shown and "exp[lr=3]" in shown and "exp[/a]" in shown
    assert "+60.0%" in shown and "0.0703" in shown


@pytest.mark.slow
def test_a_baseline_is_asked_too_and_compared_with(
    local_ray: None, untrained: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained = tmp_path / "trained"
    shutil.copytree(untrained[0], trained)
    (trained / CARD_FILE).write_text(json.dumps({"format": "program", "origin": untrained[0]}))
    out = tmp_path / "out"
    (alone,) = evaluate(settings(out, str(trained)))
    manifests = evaluate(settings(out, str(trained), baseline=True))
    assert manifests[1] == alone
    assert manifests[0]["student"] == untrained[0]
    assert (out / "baseline-0-programs" / "predictions.parquet").is_file()
    first, second = json.loads((out / "comparison.json").read_text())
    assert "gain" not in first
    assert (second["student"], second["gain"], second["p"]) == (str(trained), 0.0, 1.0)
    assert capsys.readouterr().out.count("nothing to do") == 1
    assert evaluate(settings(out, [str(trained)], baseline=True)) == manifests


@pytest.mark.slow
def test_students_are_asked_every_problem_once(
    local_ray: None, untrained: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    manifests = evaluate(settings(out, untrained))
    for manifest, folder in zip(manifests, ("0-programs", "1-thoughts"), strict=True):
        table = pq.read_table(out / folder / "predictions.parquet")
        assert table.schema.names == JUDGED_SCHEMA.names
        assert len(set(table["problem_id"].to_pylist())) == table.num_rows == 8
        assert manifest["metrics"] == measure(table)
        assert manifest["metrics"]["failures"] == {"truncated": 8}
        assert manifest == json.loads((out / folder / "manifest.json").read_text())
    assert capsys.readouterr().out.count("8 answers were cut short") == 2
    compared = json.loads((out / "comparison.json").read_text())
    assert [row["student"] for row in compared] == untrained
    assert (compared[1]["won"], compared[1]["lost"], compared[1]["p"]) == (0, 0, 1.0)
    assert evaluate(settings(out, untrained, actors=2)) == manifests
    assert capsys.readouterr().out.count("nothing to do") == 2


@pytest.mark.slow
def test_search_leaves_its_tree_for_the_report(
    local_ray: None, untrained: list[str], tmp_path: Path
) -> None:
    search = {"strategy": "stepwise", "width": 2, "proposals": 2, "longest_step": 6}
    evaluate(settings(tmp_path / "out", untrained[0], count=2, **search))
    rows = pq.read_table(tmp_path / "out" / "predictions.parquet").to_pylist()
    for row in rows:
        tree = json.loads(row["teacher_notes"])["tree"]
        numbers = {node["number"] for node in tree}
        assert all(node["parent"] is None or node["parent"] in numbers for node in tree)
        assert all(node["kept"] == (not node["reason"]) for node in tree)


@pytest.mark.slow
def test_other_questions_are_refused_by_name(
    local_ray: None, untrained: list[str], tmp_path: Path
) -> None:
    evaluate(settings(tmp_path / "out", untrained[0], count=2, max_new_tokens=2))
    with pytest.raises(ConfigError, match=r"seed \(0 there, 1 now\)"):
        evaluate(settings(tmp_path / "out", untrained[0], count=2, max_new_tokens=2, seed=1))


@pytest.mark.slow
def test_unknown_hub_student_is_a_students_error(local_ray: None, tmp_path: Path) -> None:
    with pytest.raises(Exception, match="gone/model") as caught:
        evaluate(settings(tmp_path / "out", "gone/model"))
    assert isinstance(root_cause(caught.value), StudentError)


def test_no_student_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="student"):
        evaluate(settings(tmp_path / "out", []))


@pytest.mark.parametrize(
    ("student", "reason"),
    [
        ("scratch:tiny", "untrained"),
        ("./gone", "no such file or folder"),
        ("gone.gguf", "no such file"),
        ("{tmp}", "config.json is missing"),
    ],
)
def test_student_that_is_not_there_leaves_no_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, student: str, reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StudentError, match=reason):
        evaluate(settings(tmp_path / "out", student.format(tmp=tmp_path)))
    assert not (tmp_path / "out").exists()


def test_unknown_strategy_names_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="strategy: Input should be 'greedy', .*'auto'"):
        validate(
            EvaluationSettings,
            {"task": "arithmetic", "student": "x", "out": tmp_path, "strategy": "magic"},
        )


def test_any_acceptable_answer_is_right() -> None:
    gold = Problem.make("jsonl", "Q?", ["4.6", "five"]).answer
    programs = [f"def solution():\n    return {value}" for value in ("4.6", "'Five'", "5", "6")]
    judge = ProgramJudge(get_task("jsonl"), SandboxSettings())
    table = judge(completed(*programs, answer=gold))
    assert table["reason"].to_pylist() == [None, None, "wrong_answer", "wrong_answer"]
    assert table["rounded_match"].to_pylist() == [True, True, True, False]
    texts = TextJudge(get_task("jsonl"))
    table = texts(completed("The answer is 4.6.", "The answer is six.", answer=gold))
    assert table["reason"].to_pylist() == [None, "wrong_answer"]
    assert answer_sentence(gold) == "The answer is 4.6."
    assert is_gold(get_task("jsonl"), '"five"', gold) and not is_gold(get_task("jsonl"), "5", gold)
