"""Problem files: every format read, every malformed row refused by file, line and field."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pad_ray.base.errors import ConfigError, DataError, PadError
from pad_ray.base.records import Problem
from pad_ray.tasks import TASKS, ProblemCounts, get_task, iter_problems, load_problems
from pad_ray.tasks.answers import plain_number

PAL_TASKS = ["svamp", "asdiv", "multiarith", "gsm_hard"]
FILE_TASKS = ["gsm8k", *PAL_TASKS, "jsonl"]


def row_of(task: str, index: int) -> dict[str, Any]:
    """Return a well-formed row of the task, in our own wording."""
    question = f"A shelf has {index} jars and gets 2 more. How many jars are there?"
    if task == "gsm8k":
        worked = f"{index} and 2 make <<{index}+2={index + 2}>>{index + 2}.\n#### {index + 2}"
        return {"question": question, "answer": worked}
    if task == "jsonl":
        return {"question": question, "answer": index + 2}
    return {"input": question, "target": index + 2.0}


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def load(task: str, path: Path, count: int | None = None) -> tuple[list[Problem], int]:
    return load_problems(get_task(task), path, count=count)


def answers(task: str, path: Path) -> list[str]:
    return [problem.answer for problem in load(task, path)[0]]


@pytest.mark.parametrize("task", FILE_TASKS)
def test_rows_become_problems_in_order(tmp_path: Path, task: str) -> None:
    file = write_rows(tmp_path / "p.jsonl", [row_of(task, i) for i in range(5)])
    problems, repeated = load(task, file)
    assert [problem.answer for problem in problems] == ["2", "3", "4", "5", "6"]
    assert all(problem.task == task and "jars" in problem.question for problem in problems)
    assert repeated == 0


def test_gsm8k_keeps_the_worked_solution_without_its_last_line(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "p.jsonl", [row_of("gsm8k", 7)])
    assert load("gsm8k", file)[0][0].rationale == "7 and 2 make <<7+2=9>>9."


@pytest.mark.parametrize(
    ("gold", "plain"),
    [
        ("1,250", "1250"),
        ("$3.50", "3.50"),
        ("-4", "-4"),
        ("\u22128", "-8"),
        ("-$5", "-5"),
        (" 12. ", "12"),
        ("12 rolls", "12"),
        ("15\nThe answer is: 15", "15"),
        ("1/2", "0.5"),
        ("1e5", "100000"),
    ],
)
def test_gold_numbers_are_read_plainly(tmp_path: Path, gold: str, plain: str) -> None:
    file = write_rows(tmp_path / "p.jsonl", [{"question": "Q?", "answer": f"so\n#### {gold}"}])
    assert answers("gsm8k", file) == [plain]


def test_jsonl_takes_numbers_and_texts(tmp_path: Path) -> None:
    given_answers = [
        3,
        2.5,
        0.1 + 0.2,
        1.2345678901234567e19,
        "1,000",
        "  Paris ",
        "$7",
        "3 3/4",
        "40%",
        "\u22128",
        "12 pens",
        True,
    ]
    rows = [{"question": f"Q{i}?", "answer": a} for i, a in enumerate(given_answers)]
    assert answers("jsonl", write_rows(tmp_path / "p.jsonl", rows)) == [
        "3",
        "2.5",
        "0.3",
        "1.2345678901234567e+19",
        "1000",
        "Paris",
        "7",
        "3.75",
        "40%",
        "-8",
        "12 pens",
        "True",
    ]


def test_comma_that_groups_no_thousands_makes_no_number(tmp_path: Path) -> None:
    rows = [{"question": "Which pair?", "answer": "3,4"}]
    assert answers("jsonl", write_rows(tmp_path / "p.jsonl", rows)) == ["3,4"]


@pytest.mark.parametrize("task", FILE_TASKS)
def test_malformed_json_is_named_by_file_and_line(tmp_path: Path, task: str) -> None:
    lines = [json.dumps(row_of(task, i)) for i in range(20)]
    lines[16] = lines[16][:-9]
    file = tmp_path / "broken.jsonl"
    file.write_text("\n".join(lines))
    with pytest.raises(DataError, match=r"broken\.jsonl, line 17: malformed JSON"):
        load(task, file)


def test_blank_lines_count_as_lines(tmp_path: Path) -> None:
    file = tmp_path / "p.jsonl"
    file.write_text(f"\n\n{json.dumps(row_of('jsonl', 1))}\n\n{{\n")
    with pytest.raises(DataError, match="line 5:"):
        load("jsonl", file)


@pytest.mark.parametrize("task", FILE_TASKS)
def test_missing_field_is_named_with_those_found(tmp_path: Path, task: str) -> None:
    for field in row_of(task, 1):
        rows = [row_of(task, 0), {k: v for k, v in row_of(task, 1).items() if k != field}]
        file = write_rows(tmp_path / "p.jsonl", [*rows, row_of(task, 2)])
        with pytest.raises(DataError, match=rf"line 2: field '{field}' is missing \(found: \w+\)"):
            load(task, file)


@pytest.mark.parametrize(
    "row",
    [
        {"question": "Q?", "answer": None},
        {"question": "Q?", "answer": [[1]]},
        {"question": True, "answer": 1},
        {"question": "  ", "answer": 1},
        {"question": {"text": "Q?"}, "answer": 1},
    ],
)
def test_field_of_the_wrong_kind_is_refused(tmp_path: Path, row: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="line 1: field '(question|answer)'"):
        load("jsonl", write_rows(tmp_path / "p.jsonl", [row]))


@pytest.mark.parametrize("text", ["[1, 2]", '"words"', "17", "null"])
def test_row_that_is_no_object_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "p.jsonl").write_text(text)
    with pytest.raises(DataError, match="(line|row) 1: expected a JSON object"):
        load("jsonl", tmp_path / "p.jsonl")


@pytest.mark.parametrize(
    "line",
    [
        '{"question": "Q?", "answer": ' + "9" * 5000 + "}",
        '{"question": "Q \\ud800?", "answer": 1}',
        '{"question": "Q?", "answer": ' + "[" * 100_000,
    ],
    ids=["huge integer", "lone surrogate", "deep nesting"],
)
def test_json_that_python_chokes_on_is_one_clear_line(tmp_path: Path, line: str) -> None:
    (tmp_path / "p.jsonl").write_text(f"{json.dumps(row_of('jsonl', 1))}\n{line}\n")
    with pytest.raises(DataError, match=r"p\.jsonl, line 2"):
        load("jsonl", tmp_path / "p.jsonl")


@pytest.mark.parametrize("target", ["NaN", "Infinity", '"inf"', '"nan"', '"many"', "1e999"])
def test_gold_that_is_no_number_is_refused(tmp_path: Path, target: str) -> None:
    (tmp_path / "p.jsonl").write_text(f'{{"input": "How many?", "target": {target}}}\n')
    with pytest.raises(DataError, match="line 1: field 'target'"):
        load("svamp", tmp_path / "p.jsonl")


def test_gsm8k_without_the_mark_is_refused(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "p.jsonl", [{"question": "Q?", "answer": "It is 5."}])
    with pytest.raises(DataError, match="'answer' has no '#### gold' line"):
        load("gsm8k", file)


@pytest.mark.parametrize("text", ["", "\n \n"])
def test_file_without_problems_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "empty.jsonl").write_text(text)
    with pytest.raises(DataError, match=r"empty\.jsonl: holds no problems"):
        load("jsonl", tmp_path / "empty.jsonl")


def test_missing_file_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "gone.jsonl", tmp_path):
        with pytest.raises(DataError, match="no such file|is a folder"):
            load("jsonl", path)


def test_text_in_another_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_bytes('{"question": "Käse?", "answer": 1}'.encode("latin-1"))
    with pytest.raises(DataError, match="is not UTF-8"):
        load("jsonl", tmp_path / "p.jsonl")


def test_byte_order_mark_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    lines = [json.dumps(row_of("jsonl", i)) for i in range(3)]
    (tmp_path / "p.jsonl").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    assert answers("jsonl", tmp_path / "p.jsonl") == ["2", "3", "4"]


def test_repeated_questions_are_left_out_and_counted(tmp_path: Path) -> None:
    rows = [row_of("jsonl", i) for i in (0, 1, 0, 2, 1, 0)]
    problems, repeated = load("jsonl", write_rows(tmp_path / "p.jsonl", rows))
    assert [problem.answer for problem in problems] == ["2", "3", "4"]
    assert repeated == 3


def test_repeated_questions_with_another_answer_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given_answers = ["1/2", "0.5", "\u22120.5", "half"]
    rows = [{"question": "How much?", "answer": answer} for answer in given_answers]
    counts = ProblemCounts()
    path = write_rows(tmp_path / "p.jsonl", rows)
    (problem,) = iter_problems(get_task("jsonl"), path, count=None, counts=counts)
    assert (problem.answer, counts.repeated, counts.contradicted) == ("0.5", 3, 2)
    said = "p.jsonl: 2 repeated questions have another answer than the first, which counts\n"
    assert capsys.readouterr().out.endswith(said)


def test_count_keeps_the_first_problems(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "p.jsonl", [row_of("jsonl", i) for i in (0, 0, 1, 2, 3)])
    assert [p.answer for p in load("jsonl", file, count=2)[0]] == ["2", "3"]


def test_file_task_without_a_file_and_generated_task_with_one() -> None:
    with pytest.raises(ConfigError, match="needs a file"):
        load_problems(get_task("svamp"), None, count=None)
    with pytest.raises(ConfigError, match="reads no file"):
        load_problems(get_task("coin_flip"), Path("p.jsonl"), count=None)


OWN_TASK = """
from fractions import Fraction
from pathlib import Path
from pad_ray.base.records import Problem
from pad_ray.tasks import Task, texts_equal

def load(path):
    for line in path.read_text().splitlines():
        question, answer = line.split("\\t")
        yield Problem.make("capitals", question, answer)

TASK = Task("capitals", texts_equal, load=load)
"""


def test_users_own_task_is_loaded_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "capitals.py").write_text(OWN_TASK)
    (tmp_path / "capitals.tsv").write_text("Capital of Chile?\tSantiago\n")
    task = get_task(f"{tmp_path / 'capitals.py'}:TASK")
    problems, _ = load_problems(task, tmp_path / "capitals.tsv", count=None)
    assert task.answers_equal("santiago ", problems[0].answer)


@pytest.mark.parametrize(
    "name",
    ["nowhere", "{}/gone.py:TASK", "no_such_module:TASK", "{}/own.py:OTHER", "{}/own.py:load"],
)
def test_unknown_task_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "own.py").write_text(OWN_TASK)
    with pytest.raises(ConfigError, match="^task: "):
        get_task(name.format(tmp_path))


@pytest.mark.parametrize("source", ["def (:\n", "1 / 0\n", "import no_such_module\n"])
def test_task_file_that_does_not_run_is_named(tmp_path: Path, source: str) -> None:
    (tmp_path / "own.py").write_text(source)
    with pytest.raises(ConfigError, match=r"own\.py"):
        get_task(f"{tmp_path / 'own.py'}:TASK")


@given(st.text(max_size=20).filter(lambda name: name not in TASKS))
def test_no_name_is_answered_by_anything_but_a_task_or_a_clear_error(name: str) -> None:
    with pytest.raises(PadError, match="^task: "):
        get_task(name)


@given(st.integers(-(10**15), 10**15))
def test_plain_number_reads_grouped_integers(number: int) -> None:
    assert float(plain_number(f"{number:,}") or "nan") == number


@given(st.decimals(-(10**9), 10**9, places=2))
def test_plain_number_reads_amounts_of_money(amount: object) -> None:
    assert float(plain_number(f"${amount}") or "nan") == float(str(amount))


@given(st.text(max_size=12))
def test_plain_number_gives_a_number_or_none(text: str) -> None:
    number = plain_number(text)
    if number is not None:
        Fraction(number.removesuffix("%"))
