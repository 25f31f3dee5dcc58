"""Programs in all the wrappings that models give them: each is worth what it would print last."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from textwrap import indent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pad_ray.programs.extraction import extract_program

RIGHT = "def solution():\n    boxes = 3\n    pens_per_box = 5\n    return boxes * pens_per_box"
DRAFT = "def solution():\n    boxes = 3\n    return boxes + 5"
FENCED, DRAFTED = f"```python\n{RIGHT}\n```", f"```python\n{DRAFT}\n```"


def answer(completion: str) -> object:
    program = extract_program(completion)
    assert program is not None, "no program was found"
    scope: dict[str, object] = {"__name__": "program"}
    exec(compile(program, "program", "exec"), scope)
    solution = scope["solution"]
    assert callable(solution)
    with contextlib.redirect_stdout(io.StringIO()):
        return solution()


@pytest.mark.parametrize(
    "completion",
    [
        f"<think>\nPerhaps\n\n{DRAFTED}\n\nNo, multiply.\n</think>\n\n{FENCED}",
        f"<think>\nPerhaps\n\n{DRAFT}\n\nNo.\n</think>\n\n{FENCED}",
        f"Perhaps\n{DRAFTED}\nNo, multiply.\n</think>\n\n{FENCED}",
        f"<think>a</think>\n<think>\n{DRAFTED}\n</think>\n{RIGHT}",
        f"<thinking>\n{DRAFTED}\n</thinking>\n<answer>\n{FENCED}\n</answer>",
        f"<reasoning>\n{DRAFTED}\n</reasoning>\n<answer>\n{RIGHT}\n</answer>",
        f"[THINK]{DRAFTED}[/THINK]{FENCED}",
        f"◁think▷{DRAFTED}◁/think▷{FENCED}",
        f"<|begin_of_thought|>\n{DRAFTED}\n<|end_of_thought|>\n<|begin_of_solution|>\n{FENCED}\n"
        "<|end_of_solution|>",
        f"<|channel|>analysis<|message|>{DRAFTED}\n<|end|><|start|>assistant<|channel|>final"
        f"<|message|>{FENCED}<|return|>",
        f"<seed:think>{DRAFTED}</seed:think>{FENCED}",
        f"<THINK>\n{DRAFTED}\n</THINK >\n{FENCED}",
        f"{FENCED}\n<think>Is that right?\n{DRAFTED}",
        f"Here are my reasoning steps:\n{DRAFTED}\n[BEGIN FINAL RESPONSE]\n{FENCED}\n"
        "[END FINAL RESPONSE]",
    ],
)
def test_reasoning_drafts_are_no_answer(completion: str) -> None:
    assert answer(completion) == 15


@pytest.mark.parametrize(
    "completion",
    [
        f"<think>\n{DRAFTED}\nWait, I should",
        f"<think>\n{DRAFT}\n",
        f"{DRAFTED}\n</think>\nI cannot say.",
        f"[THINK]\n{DRAFTED}",
    ],
)
def test_a_draft_alone_is_no_program(completion: str) -> None:
    assert extract_program(completion) is None


@pytest.mark.parametrize(
    "completion",
    [
        f"First try:\n{DRAFTED}\nActually, the right one is:\n{FENCED}",
        f"{DRAFTED}\nWait, that adds where it has to multiply.\n{FENCED}",
        f"{DRAFTED}\n\n{FENCED}",
        f"{DRAFT}\n\nThat is wrong. Corrected:\n\n{RIGHT}",
        f"```python\n{DRAFT}\n\n# Fixed: it multiplies.\n{RIGHT}\n```",
        f"{DRAFT}\n\n# Corrected version\n{RIGHT}",
        "```python\nprint(3 + 5)\n```\nOops, multiply:\n```python\nprint(3 * 5)\n```",
        f"```python\nprint(3 + 5)\n```\nAs a function:\n{FENCED}",
        "```python\ndef pens():\n    return 8\n\ndef solution():\n    return pens()\n```\n"
        "The helper is wrong. Corrected helper:\n```python\ndef pens():\n    return 15\n```",
        f"{FENCED}\nUse it like this:\n```python\nresult = solution()\nassert result == 15\n"
        "print(result)\n```",
        f"{FENCED}\nA common mistake is to add:\n{DRAFTED}",
        f"{FENCED}\n```text\n15\n```",
        f"{FENCED}\nOutput:\n```\n15\n```",
        f"{FENCED}\nThe key line is\n```python\ntotal = boxes * pens_per_box\n```",
        f"```bash\npip install numpy\n```\n{FENCED}\n```bash\npython solution.py\n```",
        f"{FENCED}\n\nQuestion: Tom has 2 pears.\n\n```python\ndef solution():\n    return 1\n```",
        f"{FENCED}\n\n**Problem 2:** Tom has 2 pears.\n\n{DRAFTED}",
        f"{FENCED}<|im_end|>\n<|im_start|>user\nTom has 2 pears.<|im_end|>\n{DRAFTED}",
        f"{FENCED}\n\nNext question: Tom has 2 pears.\n{DRAFTED}",
        f"{FENCED}</s>[INST] Tom has 2 pears. [/INST] {DRAFTED}",
        f"{FENCED}\n\nUser: thanks\n\n{DRAFTED}",
        f"```python\n{RIGHT}\n\n# Question: Tom has 2 pears.\n{DRAFT}\n```",
        f"{RIGHT}\n\n\n{DRAFT}",
    ],
)
def test_a_correction_supersedes_and_an_example_or_a_next_question_does_not(
    completion: str,
) -> None:
    assert answer(completion) == 15


SCRIPTS = {
    "a comment that reads as a question": f"# Question: how many?\n{RIGHT}",
    "a docstring with a question": (
        'def solution():\n    """\nQuestion: how many?\nQ: 3 boxes of 5.\n    """\n'
        "    boxes = 3\n    return boxes * 5"
    ),
    "a variable named q": "q = [3, 5]\nq.append(7)\ntotal = sum(q)\nprint(total)",
    "attributes of user and example": (
        "from types import SimpleNamespace\nuser = SimpleNamespace(pens=5)\nuser.pens = 15\n"
        "example: int = 0\nprint(user.pens)"
    ),
    "a comment named Example": "boxes = 3\n# Example: 3 boxes\npens = boxes * 5\nprint(pens)",
    "a fence in a text": "s = 'a```'\nprint(len(s) + 11)",
    "a fenced text in triple quotes": 's = """\n```\nab\n```\n"""\nprint(len(s) + 3)',
    "tags in a text": "s = '<think>ab</think>'\nprint(len(s) - 2)",
    "a main guard": (
        "def total_pens(boxes, pens):\n    return boxes * pens\n\n\n"
        'if __name__ == "__main__":\n    print(total_pens(3, 5))'
    ),
    "a main guard in one line": (
        'def main():\n    print(3 * 5)\n\nif __name__ == "__main__": main()'
    ),
    "a main that exits": (
        "import sys\n\ndef main():\n    print(3 * 5)\n    return 0\n\n"
        'if __name__ == "__main__":\n    sys.exit(main())'
    ),
    "a main that prints what another returns": (
        "def pens_in_a_box():\n    return 5\n\n\ndef main():\n    boxes = 3\n"
        "    print(boxes * pens_in_a_box())\n\n\nmain()"
    ),
    "a helper that prints": (
        "def show(total):\n    print(f'Total: {total}')\n\ndef main():\n    total = 3 * 5\n"
        "    show(total)\n\nmain()"
    ),
    "a solution with arguments": (
        "def solution(boxes, pens):\n    return boxes * pens\n\nprint(solution(3, 5))"
    ),
    "a recursive solution": (
        "def solution(n):\n    return n if n < 2 else n + solution(n - 1)\n\nprint(solution(5))"
    ),
    "arguments from variables": (
        "boxes = 3\npens = 5\n\ndef solution(boxes, pens):\n    return boxes * pens\n\n"
        "result = solution(boxes, pens)\nprint('There are', result, 'pens')"
    ),
    "more after the solution": (
        "def solution():\n    return 5\n\nper_box = solution()\nprint(per_box * 3)"
    ),
    "a class with its driver": (
        "class PenCounter:\n    def count(self):\n        return 3 * 5\n\n"
        "print(PenCounter().count())"
    ),
    "an object that is counted up": (
        "class Box:\n    def __init__(self, n):\n        self.n = n\n    def pens(self):\n"
        "        return self.n * 5\n\nbox = Box(3)\nprint('Pens: %d' % box.pens())"
    ),
    "a lambda": "total = lambda boxes, pens: boxes * pens\nprint(total(3, 5))",
    "a solution that is a lambda": "solution = lambda: 3 * 5\nprint(solution())",
    "a decorator": (
        "from functools import lru_cache\n\n@lru_cache(maxsize=None)\ndef f(n):\n"
        "    return n if n < 2 else n + f(n - 1)\n\n@lru_cache\ndef solution():\n"
        "    return f(5)\n\n"
        "print(solution())"
    ),
    "typing": (
        "from typing import List\n\ndef solution() -> int:\n    boxes: List[int] = [5, 5, 5]\n"
        "    total: int = sum(boxes)\n    return total\n\nprint(solution())"
    ),
    "a list that is filled at module level": (
        "xs = []\nxs.append(12)\nxs += [3]\n\ndef solution():\n    return sum(xs)\n\n"
        "print(solution())"
    ),
    "items and attributes set at module level": (
        "counts = {}\ncounts['a'] = 3\nfor name in ('b', 'c'):\n    counts[name] = 6\n\n"
        "def solution():\n    return sum(counts.values())\n\nprint(solution())"
    ),
    "a global counter": (
        "count = 0\ndef add(n):\n    global count\n    count += n\nadd(12)\nadd(3)\nprint(count)"
    ),
    "functions that read what the script binds": (
        "boxes = 3\ndef pens():\n    return boxes * 5\ntotal = pens()\nprint(total)"
    ),
    "a loop that prints as it goes": (
        "total = 0\nfor n in (4, 5, 6):\n    total += n\n    print(total)"
    ),
    "a branch": "n = 15\nif n > 10:\n    print(n)\nelse:\n    print('none')",
    "a branch without an else": "n = 15\nprint(n)\nif n > 20:\n    print(0)",
    "text below the result": "n = 15\nprint(n)\nprint('Done')\nprint()",
    "a test below the result": "n = 15\nprint(n)\nassert n == 15",
    "assignments below the result": "n = 15\nprint(n)\nm = n + 1",
    "a function that prints below other prints": (
        "def solution():\n    boxes = 3\n    print('Boxes:', boxes)\n"
        "    print('Pens:', boxes * 5)\n\n"
        "solution()"
    ),
    "a nested function": (
        "def solution():\n    def pens(boxes):\n        return boxes * 5\n"
        "    print(pens(3))\n\nsolution()"
    ),
    "a text in triple quotes with lines": 's = """ab\ncd\n  e"""\nprint(len(s) + 6)',
    "rounding": "price = 10 / 3\nprint(f'${price:.2f}')",
    "concatenation": "a = 3\nb = 4\nprint('Total: ' + str(a + b))",
    "concatenation with a unit": "a = 3\nprint('Total: ' + str(a * 5) + ' pens')",
    "format": "a = 3\nprint('{} boxes hold {} pens'.format(a, a * 5))",
    "format by name": "print('{n} pens in {place}'.format(n=15, place='boxes'))",
    "percent formats": "a = 3\nprint('%s holds %d pens' % ('box', a * 5))",
    "a percent format of one": "price = 1.5\nprint('It costs %.2f' % price)",
    "an f-string": "a = 3\nprint(f'There are {a * 5} pens in {a} boxes and {a * 5} in all')",
    "a unit in a variable": "unit = 'pens'\nn = 15\nprint(f'{n} {unit}')",
    "several arguments": "n = 15\nprint('There are', n, 'pens.')",
    "a text": "name = 'Ann'\nprint('The tallest is ' + name)",
    "yes or no": "n = 15\nprint('Yes' if n > 10 else 'No')",
    "a time of two numbers": "h = 3\nm = 5\nprint(f'{h}:{m:02d}')",
    "written to standard output": "import sys\nn = 15\nsys.stdout.write(str(n) + '\\n')",
    "a star import": "from math import *\nprint(floor(15.5))",
    "two functions of one name": "def f():\n    return 8\n\ndef f():\n    return 15\n\nprint(f())",
    "a global of the solution": (
        "total = 0\n\ndef solution():\n    global total\n    total += 15\n    return total\n\n"
        "print(solution())"
    ),
    "a test that says ok": (
        "def solution():\n    return 15\n\ndef test_solution():\n    assert solution() == 15\n\n"
        "test_solution()"
    ),
    "a setting of a library": (
        "from decimal import Decimal, getcontext\ngetcontext().prec = 10\n\ndef solution():\n"
        "    return float(Decimal('15'))\n\nprint(solution())"
    ),
    "a walrus": "if (n := 15) > 3:\n    print(n)",
    "Windows spelling of statements": "a = 3; b = 5; print(a * b)",
}


def shown_last(script: str) -> str:
    """Run a script and return the last line that is neither empty nor of no account."""
    out = io.StringIO()
    scope: dict[str, object] = {"__name__": "__main__"}
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        exec(compile(script, "script", "exec"), scope)
    lines = [line for line in out.getvalue().split("\n") if line.strip() and line != "Done"]
    return lines[-1] if lines else str(scope["solution"]())  # type: ignore[operator]


def told(value: object, line: str) -> bool:
    """Tell whether a line tells the value, as its last number or its last words."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return line.endswith(str(value))
    words = line.replace("$", " ").rstrip(".").split()
    numbers = []
    for word in words:
        with contextlib.suppress(ValueError):
            numbers.append(float(word))
    return bool(numbers) and numbers[-1] == value


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_is_worth_what_it_prints_last(name: str) -> None:
    script = SCRIPTS[name]
    assert told(answer(f"```python\n{script}\n```"), shown_last(script))


WRAPPINGS = {
    "bare": "{}",
    "a fence": "```python\n{}\n```",
    "tildes": "~~~py\n{}\n~~~",
    "a longer fence": "````python\n{}\n````",
    "a fence without a language": "Here it is.\n\n```\n{}\n```\nThat is all.",
    "a fence that is not closed": "```python\n{}",
    "prose": "We count the pens.\n\n```python\n{}\n```\n\nSo we see how many.",
    "prose without a fence": "Here is the program:\n\n{}\n\nThat is all, I think.",
    "a draft": "<think>\n```python\nprint(99)\n```\n</think>\n```python\n{}\n```",
    "a draft opened in the prompt": (
        "Try print(99)\n\ndef solution():\n    return 99\n</think>\n\n{}"
    ),
    "a tag": "<|python_tag|>{}<|eom_id|>",
    "an answer's tags": "<answer>\n{}\n</answer>",
    "CodeLlama's tags": "[PYTHON]\n{}\n[/PYTHON]",
    "the next question": "```python\n{}\n```\n\nQuestion: next\n\n```python\nprint(99)\n```",
    "its output": "```python\n{}\n```\nOutput:\n```\n99\n```",
}
LAYOUTS: dict[str, Callable[[str], str]] = {
    "as it is": lambda text: text,
    "CRLF": lambda text: text.replace("\n", "\r\n"),
    "a BOM": lambda text: "\ufeff" + text,
    "an item of a list": lambda text: "1. The program:\n\n" + indent(text, "   "),
}


@settings(max_examples=300, deadline=None)
@given(*map(st.sampled_from, (sorted(SCRIPTS), sorted(WRAPPINGS), sorted(LAYOUTS))))
def test_any_script_in_any_wrapping_is_worth_what_it_prints_last(
    name: str, wrapping: str, layout: str
) -> None:
    script = SCRIPTS[name]
    text = LAYOUTS[layout](WRAPPINGS[wrapping].replace("{}", script))
    assert told(answer(text), shown_last(script))


_STEPS = st.lists(st.tuples(st.sampled_from("+-*"), st.integers(1, 99)), min_size=1, max_size=6)
_SHOWN = st.sampled_from(
    [
        *("print({})", "print('Total:', {})", "print(f'It is {{{}}} pens')", "print('n: %d' % {})"),
        *("print('It is ' + str({}) + '.')", "print('{{}} pens'.format({}))", "print({}, 'pens')"),
    ]
)
_FORMS = {
    "statements": "{steps}\n{show}",
    "solution": "def solution():\n{body}\n    return {last}\n\nprint(solution())",
    "main": "def main():\n{body}\n    {show}\n\nif __name__ == '__main__':\n    main()",
    "arguments": "def total(x0):\n{rest}\n    return {last}\n\nvalue = total(1)\nprint(value)",
    "a class": (
        "class Sum:\n    def run(self):\n{deep}\n        return {last}\n\nprint(Sum().run())"
    ),
    "two fences": "{steps}\n```\nThen we print it.\n```python\n{show}",
}


@settings(max_examples=200, deadline=None)
@given(_STEPS, _SHOWN, st.sampled_from(sorted(_FORMS)), st.sampled_from(sorted(WRAPPINGS)))
def test_generated_scripts(
    steps: list[tuple[str, int]], show: str, form: str, wrapping: str
) -> None:
    lines = ["x0 = 1", *(f"x{i} = x{i - 1} {op} {n}" for i, (op, n) in enumerate(steps, 1))]
    last = f"x{len(steps)}"
    value: dict[str, int] = {}
    exec("\n".join(lines), value)
    script = _FORMS[form].format(
        steps="\n".join(lines),
        body=indent("\n".join(lines), "    "),
        rest=indent("\n".join(lines[1:]), "    "),
        deep=indent("\n".join(lines), "        "),
        show=show.format(last),
        last=last,
    )
    if form == "two fences":
        wrapping = "a fence"
    assert answer(WRAPPINGS[wrapping].replace("{}", script)) == value[last]


@pytest.mark.parametrize(
    "completion",
    [
        "```python\nclass PenCounter:\n    def count(self):\n        return 3 * 5\n```",
        "```python\nclass Solution:\n    def __init__(self):\n        self.boxes = 3\n\n"
        "    def _pens(self):\n        return 5\n\n    def solve(self):\n"
        "        return self.boxes * self._pens()\n```",
        "```python\nclass A:\n    @staticmethod\n    def total():\n        return 15\n```",
        ">>> boxes = 3\n>>> pens = boxes * 5\n>>> pens\n15",
        "```python\n>>> def solution():\n...     return 3 * 5\n...\n>>> solution()\n15\n```",
        "```\n>>> 3 * 5\n15\n```",
        "```pycon\n>>> total = 0\n>>> for n in (7, 8):\n...     total += n\n...\n"
        ">>> print(total)\n15\n```",
        "In [1]: boxes = 3\n\nIn [2]: boxes * 5\nOut[2]: 15",
        "First the boxes.\n```python\nboxes = 3\n```\nThen the pens.\n```python\n"
        "pens = boxes * 5\nprint(pens)\n```",
        "```python\nboxes = 3\nprint(boxes)\n```\nThen\n```python\npens = boxes * 5\n"
        "print(pens)\n```",
        "```python\nimport math\n```\n```python\nprint(math.floor(15.5))\n```",
        "1.\n```python\nboxes = 3\n```\n2.\n```python\npens = 5\n```\n3.\n```python\n"
        "total = boxes * pens\nprint(f'The total is {total}.')\n```",
        "```python\nboxes = 3\nprint(boxes)\n```\n```python\npens = 5\nprint(pens)\n```\n"
        "```python\nprint(boxes * pens)\n```",
        "```python\ndef solution(a, b):\n    return a * b\n```\nExample:\n"
        "```python\nprint(solution(3, 5))\n```",
        "I use no <think> tags here.\n```python\nprint(15)\n```",
        "```python\n# <think> about it\nprint(15)\n```",
        '{"code": "def solution():\\n    return 15"}',
        "def solution():\\n    return 15",
        "<pre><code>def solution():\n    return 15\n</code></pre>",
        '<pre><code class="language-python">boxes = 3\nprint(boxes * 5)</code></pre>',
        '<pre lang="python">\nboxes = 3\nprint(boxes * 5)\n</pre>',
        "```python\ndef total(boxes, pens):\n    return boxes * pens\n```\n"
        "Call it:\n```python\nprint(total(3, 5))\n```",
        "```python\ndef pens_in_a_box():\n    return 5\n\ndef total():\n"
        "    return 3 * pens_in_a_box()\n```",
        "```python\n    boxes = 3\n    return boxes * 5\n```",
        "> ```python\n> boxes = 3\n> print(boxes * 5)\n> ```",
        "- ```python\n  boxes = 3\n  print(boxes * 5)\n  ```",
        "```python\nboxes = 3\npens = boxes * 5```",
        "```{.python}\nprint(3 * 5)\n```",
        "```Python3\nprint(3 * 5)\n```",
        '```python title="pens.py"\nprint(3 * 5)\n```',
        "```python print(3 * 5)\n```",
    ],
)
def test_other_forms_are_read(completion: str) -> None:
    assert answer(completion) == 15


@pytest.mark.parametrize(
    "completion",
    [
        "def solution():\n\u00a0\u00a0\u00a0\u00a0boxes = 3\n"
        "\u00a0\u00a0\u00a0\u00a0return boxes * 5",
        "def solution():\n\tboxes = 3\n        return boxes * 5",
        "def solution():\n    boxes\u00a0=\u00a03\n    return boxes × 5",
        "def solution():\n    boxes = 20 − 17\n    return boxes * 5",
        "def solution():\n    return 45 ÷ 3",
        "def solution():\n    name = “pens”\n    return 11 + len(name)",
        "def solution():\n    boxes = 3\u200b\n    return boxes * 5",
        "def solution():\n    return max（3， 15）",
        "boxes = 3\npens = boxes × 5\nprint(pens)",
        "```python\nif 3 &lt; 5:\n    print(15)\n```",
    ],
)
def test_typography_is_put_right_where_the_text_does_not_parse(completion: str) -> None:
    assert answer(completion) == 15


def test_typography_in_texts_is_left_alone() -> None:
    assert answer("def solution():\n    return '3 × 5'") == "3 × 5"
    assert answer("def solution():\n    n = 3 × 5\n    return f'3 × 5 − {n}'") == "3 × 5 − 15"
