"""Reading programs out of completions: one habit of language models a test."""

from __future__ import annotations

import ast
import time
from textwrap import indent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pad_ray.programs.extraction import extract_program

PROGRAM = "def solution():\n    apples = 3\n    result = apples * 4\n    return result"


def answer(completion: str) -> object:
    program = extract_program(completion)
    assert program is not None
    scope: dict[str, object] = {}
    exec(program, scope)
    solution = scope["solution"]
    assert callable(solution)
    return solution()


@pytest.mark.parametrize(
    "completion",
    [
        PROGRAM,
        f"```python\n{PROGRAM}\n```",
        f"```\n{PROGRAM}\n```",
        f"~~~py\n{PROGRAM}\n~~~",
        f"Sure! Here it is:\n\n```python\n{PROGRAM}\n```\n\nIt returns 12.",
        f"```python\n{PROGRAM}",
        f"{PROGRAM}```",
        f"{PROGRAM}\n```\nThat is all.",
        f"Here is the program:\n{PROGRAM}\nThe answer is 12.\nDone",
        f"\n\n {PROGRAM}\n",
        PROGRAM.replace("\n", "\r\n"),
        f"```python {PROGRAM}\n```",
        f"1. The program:\n\n{indent(PROGRAM, '    ')}\n",
        indent(f"```python\n{PROGRAM}\n```", "   "),
        f"{PROGRAM}\n\nprint(solution())",
        f"{PROGRAM}\n\nif __name__ == '__main__':\n    print(solution())",
        f"```python\n{PROGRAM}\n```\nRun it:\n```\nprint(solution())\n```\nOutput:\n```\n12\n```",
    ],
)
def test_wrappings_give_the_very_program(completion: str) -> None:
    assert extract_program(completion) == PROGRAM


def test_text_around_a_def_inside_a_list_item_is_dropped() -> None:
    assert answer("- code:\n  def solution():\n      x = 5\n      return x\nThen we are done.") == 5


def test_helpers_constants_and_imports_are_kept() -> None:
    completion = (
        "import math\n\nRATE = 3\n\ndef double(x):\n    return 2 * x\n\n"
        "def solution():\n    return math.floor(triple(double(RATE)))\n\n"
        "def triple(x):\n    return 3 * x\n\nprint(solution())"
    )
    assert answer(completion) == 18


def test_a_helper_in_a_fence_of_its_own_is_found() -> None:
    completion = (
        "First:\n```python\ndef half(x):\n    return x / 2\n```\nthen\n"
        "```python\ndef solution():\n    return half(8)\n```"
    )
    assert answer(completion) == 4


@pytest.mark.parametrize(
    "following",
    [
        "\n\nQuestion: Tom has 5 pears.\n\ndef solution():\n    return 99",
        "\n```\n\nQuestion: Tom has 5 pears.\n```python\ndef solution():\n    return 99\n```",
        "\n\n\ndef solution():\n    return 99",
        "\n\n### Problem 2:\nx = 99\nprint(x)",
        "\n\nQ: next\nA:\ndef solution():\n    return 99",
    ],
)
def test_the_model_running_on_to_the_next_question_is_cut(following: str) -> None:
    assert answer(f"{PROGRAM}{following}") == 12


def test_a_later_whole_program_replaces_a_broken_draft() -> None:
    completion = (
        f"```python\ndef solution():\n    x = (\n```\nCorrected:\n```python\n{PROGRAM}\n```"
    )
    assert answer(completion) == 12


@pytest.mark.parametrize(
    "ending",
    [
        "    print(result)",
        "    print('Total:', result)",
        "    print(f'Total: {result} apples')",
        "    print('Total: ' + str(result))",
        "    print(result, end='')\n    return",
        "    result",
        "print(result)",
        "print(solution())",
        "",
    ],
)
def test_a_missing_return_is_supplied(ending: str) -> None:
    assert answer(f"def solution():\n    half = 6\n    result = half * 2\n{ending}") == 12


@pytest.mark.parametrize(
    "last",
    [
        "result = sum(n for n in counts)",
        "result = sum([a + b for a, b in zip(counts, [1, 1, 1])]) - 3",
        "result = len({n: m for n in counts for m in range(4)}) * 4",
    ],
)
def test_a_comprehensions_variables_are_not_what_is_returned(last: str) -> None:
    assert answer(f"def solution():\n    counts = [3, 4, 5]\n    {last}") == 12


def test_an_f_string_without_words_is_the_answer_itself() -> None:
    assert answer("def solution():\n    a = 'x'\n    b = 'y'\n    print(f'{a}{b}')") == "xy"


def test_non_ascii_names_and_text_do_not_shift_the_return() -> None:
    assert answer("def solution():\n    größe = 'ä€'; print(größe)") == "ä€"


@pytest.mark.parametrize(
    "completion",
    [
        "apples = 3\nresult = apples * 4\nprint(result)",
        "apples = 3\nresult = apples * 4",
        "apples = 3\napples * 4",
        "apples = 3\nreturn apples * 4\nand more prose",
        "We count them.\napples = 3\nTimes four:\nresult = apples * 4\nDone",
        "```\napples = 3\n```\nthen\n```\nresult = apples * 4\nprint(f'{result}')\n```",
        "apples = 3\nresult = (\n    apples\n    * 4\n)\nprint(result)",
        "apples = 3\nif apples > 2:\n    n = 4\nelse:\n    n = 5\nprint(apples * n)",
        "def times(a, b):\n    return a * b\nprint(times(3, 4))",
        "def twice():\n    return 6\nresult = twice() * 2\nprint(result)",
    ],
)
def test_a_bare_body_is_wrapped(completion: str) -> None:
    assert answer(completion) == 12


@pytest.mark.parametrize(
    "completion",
    [
        "    apples = 3\n    return apples * 4",
        "    apples = 3\n    return apples * 4\n```\nThis multiplies them.",
        "    apples = 3\n    return apples * 4\n\nQuestion: b\ndef solution():\n    return 9",
        "apples = 3\n    result = apples * 4\n    return result",
        "\n\tapples = 3\n\treturn apples * 4\n",
    ],
)
def test_a_body_that_goes_on_from_the_prompts_header_is_read(completion: str) -> None:
    assert answer(completion) == 12


@pytest.mark.parametrize(
    "completion",
    [
        "def solve():\n    return 12",
        "def solve():\n    return 12\n\nprint(solve())",
        "def main():\n    x = 12\n    print(x)\n\nif __name__ == '__main__':\n    main()",
        "def f(a):\n    return a * 4\n\ndef total(a=3):\n    return f(a)\n\nanswer = total()",
    ],
)
def test_a_single_function_without_arguments_becomes_the_entry(completion: str) -> None:
    assert answer(completion) == 12


def test_comments_ride_along_and_a_comment_at_the_margin_does_not_end_the_function() -> None:
    completion = (
        "def solution():\n    # three\n    a = 3\n# now double\n    b = a * 2\n    return b"
    )
    assert extract_program(completion) == completion


@pytest.mark.parametrize(
    "broken",
    [
        "def solution():\n    x = 3 +\n    return x",
        "def solution(:\n    return 3",
        "def solution():\n    total = (3 + 4\n    return total",
        "def solution():",
    ],
)
def test_a_broken_solution_is_returned_as_it_stands(broken: str) -> None:
    assert extract_program(f"Here:\n```python\n{broken}\n```\nas asked.") == broken
    assert extract_program(f"{broken}\nThat was it.") == broken


@pytest.mark.parametrize(
    "completion",
    [
        "",
        "   \n ",
        "The answer is 12.",
        "12",
        "Done",
        "Answer: 42",
        "solution()",
        "```python\n```",
        '```json\n{"answer": 12}\n```',
        "48 / 2 = 24, so she sold 24 in May.",
        "I cannot help with that.",
        "print(solution())",
        "import math",
        "class Solution:\n    pass",
    ],
)
def test_text_without_a_program_gives_none(completion: str) -> None:
    assert extract_program(completion) is None


_PIECES = st.sampled_from(
    [
        *(
            "def solution():",
            "def f(x):",
            "    ",
            "\n",
            "\n\n",
            "```",
            "```python",
            '"""',
            "'''",
            "(",
        ),
        *(
            ")",
            "[",
            "x = 1",
            "print(x)",
            "return x",
            "x",
            "#",
            "@",
            "Question:",
            "else:",
            "\t",
            "\\",
        ),
        *(
            "if x:",
            ":",
            "é",
            "\x00",
            "\ud800",
            "lambda",
            "f'{x}'",
            "print(f'{x} y', x)",
            "<think>",
            "</think>",
            ">>> ",
            "×",
            "\u00a0",
            "if __name__ == '__main__':",
            "Corrected:",
            "class A:",
            "import os",
            ";",
            " ",
        ),
    ]
)


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.text(), st.lists(_PIECES, max_size=30).map("".join)))
def test_any_text_gives_none_or_a_definition_of_solution(completion: str) -> None:
    program = extract_program(completion)
    if program is None:
        return
    try:
        tree = ast.parse(program)
    except (SyntaxError, ValueError):
        assert program.startswith("def solution")
        return
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert "solution" in names


_PROSE = st.text("abc XYZ.,!?é", max_size=40).map(lambda words: f"So we see that {words}")


@settings(deadline=None)
@given(st.lists(_PROSE, max_size=4), st.lists(_PROSE, max_size=4), st.booleans())
def test_prose_before_and_after_never_changes_the_program(
    before: list[str], after: list[str], fenced: bool
) -> None:
    code = ["```python", PROGRAM, "```"] if fenced else [PROGRAM]
    assert extract_program("\n".join([*before, *code, *after])) == PROGRAM


@pytest.mark.parametrize(
    "unit",
    [
        *(
            "x = 1\n",
            "def solution():\n",
            "(",
            "(\n",
            "```\n",
            '"""\n',
            "    ",
            "-",
            "a.",
            "1+",
            "[{",
        ),
        *("word ", "Question: a\n", "@\n", "#\n", "x", "\\\n", "def f():\n    pass\n", "if x:\n "),
        *(
            "print(x)\n",
            "<think>",
            "</think>",
            "x = 3 × 4\n",
            ">>> x\n",
            "```python\nx=1\n",
            "lambda:",
            "not ",
            "f(**",
            "x = (\n1\n",
        ),
    ],
)
def test_huge_texts_take_bounded_time(unit: str) -> None:
    start = time.process_time()
    extract_program(unit * (100_000 // len(unit)))
    assert time.process_time() - start < 10
