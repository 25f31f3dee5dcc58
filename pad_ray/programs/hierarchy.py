"""Programs as sub-questions: taken apart into small programs, and put together again.

Each sub-question is a quantity to find, named in snake_case, and is answered by a program of its
own that may call those of the sub-questions before it (`find_rolls_baked()`). The decomposition
of least-to-most prompting (Zhou et al., arXiv 2205.10625), with programs in place of prose.
"""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pad_ray.programs.canonical import parse_program

__all__ = ["Part", "compose", "decompose", "plan_names", "plan_program"]

MOST_PARTS = 16
_ENTRY = re.compile(r"\bdef solution\(")


@dataclass(frozen=True)
class Part:
    """A sub-question: the quantity to find, those found before it, and its program."""

    name: str
    known: tuple[str, ...]
    program: str


def helper(name: str) -> str:
    """Return what the program of a sub-question is called where it is used."""
    return f"find_{name}"


def plan_program(names: Sequence[str]) -> str:
    """Return the program whose value is the list of sub-questions."""
    listed = ", ".join(f'"{name}"' for name in names)
    return f"def solution():\n    sub_questions = [{listed}]\n    return sub_questions"


def plan_names(value: object) -> tuple[str, ...] | None:
    """Return the sub-questions that a plan's value names; None where it is no plan."""
    if not isinstance(value, list) or not 1 <= len(value) <= MOST_PARTS:
        return None
    names = tuple(name for name in value if isinstance(name, str) and _is_name(name))
    return names if len(set(names)) == len(value) else None


def _is_name(name: str) -> bool:
    return name.isidentifier() and not keyword.iskeyword(name)


def compose(names: Sequence[str], programs: Sequence[str]) -> list[str]:
    """Return the pieces of the program that finds the last quantity, one a sub-question."""
    pieces = [
        _ENTRY.sub(f"def {helper(name)}(", program, count=1).rstrip() + "\n\n"
        for name, program in zip(names, programs, strict=True)
    ]
    return [*pieces, f"def solution():\n    return {helper(names[-1])}()\n"]


def decompose(program: str) -> tuple[Part, ...] | None:
    """Take a straight-line program apart, one part a statement that uses what was found before.

    None for a program with other statements than imports and assignments of new names.
    """
    tree = parse_program(program)
    if tree is None or len(tree.body) != 1 or not isinstance(tree.body[0], ast.FunctionDef):
        return None
    *body, last = tree.body[0].body
    imports = [line for line in body if isinstance(line, ast.Import | ast.ImportFrom)]
    rest = [line for line in body if not isinstance(line, ast.Import | ast.ImportFrom)]
    lines = [(name, line) for line in rest if (name := _assigned(line))]
    if len(lines) < len(rest) or len({name for name, _ in lines}) < len(lines):
        return None
    if not isinstance(last, ast.Return) or not isinstance(last.value, ast.Name):
        return None
    parts = _parts(imports, lines)
    # What comes after the quantity that is returned answers no sub-question.
    ends = [place for place, part in enumerate(parts) if part.name == last.value.id]
    return tuple(parts[: ends[0] + 1]) if ends and ends[0] < MOST_PARTS else None


def _assigned(line: ast.stmt) -> str | None:
    if not isinstance(line, ast.Assign) or len(line.targets) != 1:
        return None
    target = line.targets[0]
    return target.id if isinstance(target, ast.Name) else None


def _parts(imports: Sequence[ast.stmt], lines: Sequence[tuple[str, ast.stmt]]) -> list[Part]:
    names = {name for name, _ in lines}
    givens: dict[str, str] = {}
    parts: list[Part] = []
    for name, line in lines:
        used = _used(line, names)
        if not used:
            givens[name] = ast.unparse(line)
            continue
        known = tuple(part.name for part in parts)
        called = ast.unparse(_Calls(frozenset(known)).visit(line))
        needed = [code for given, code in givens.items() if given in used]
        parts.append(Part(name, known, _write([*map(ast.unparse, imports), *needed, called], name)))
    return parts


def _used(line: ast.stmt, names: set[str]) -> set[str]:
    nodes = [node for node in ast.walk(line) if isinstance(node, ast.Name)]
    return {node.id for node in nodes if isinstance(node.ctx, ast.Load)} & names


def _write(lines: Iterable[str], name: str) -> str:
    text = "\n".join(f"    {line}" for line in (*lines, f"return {name}"))
    # As in the programs that are taken apart, text is quoted with ".
    return "def solution():\n" + (text if '"' in text else text.replace("'", '"'))


class _Calls(ast.NodeTransformer):
    """Puts a call in place of each quantity that has been found."""

    def __init__(self, known: frozenset[str]) -> None:
        self._known = known

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if node.id not in self._known or not isinstance(node.ctx, ast.Load):
            return node
        return ast.Call(ast.Name(helper(node.id), ast.Load()), [], [])
