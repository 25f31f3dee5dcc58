"""Turn a GSM8K gold rationale into a program, without a language model.

Every calculation of the rationale becomes an assignment; its operands are linked to the quantities
of the question and to earlier results; what the answer does not need is left out.

The answer is the last calculation's, unless the text shows otherwise by one of these rules:
a question that asks for cents or a percentage of a last result in dollars or as a share gets it
times one hundred; a last sentence that rounds the last result rounds it; a last sentence that
names only another step's result returns that step. The number behind `####` is used for
`chain_of_thought` alone: no program depends on it.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from pad_ray.tasks.quantities.arithmetic import (
    Expression,
    NotArithmetic,
    Number,
    Operation,
    Reference,
    number_value,
    render,
    round_like,
    walk,
)
from pad_ray.tasks.quantities.mentions import NUMBER, Mention, near_words, question_mentions
from pad_ray.tasks.quantities.names import (
    NameBook,
    phrase_after,
    quantity_names,
    stems,
    step_names,
    subject_of,
    tidy,
    words_of,
)
from pad_ray.tasks.quantities.text import read_marks, sentence_around, sentence_spans
from pad_ray.teachers.rationale.equations import Equation, find_equations
from pad_ray.teachers.rationale.links import Linked, Source, link_operands

_MAX_CHARACTERS = 20_000


@dataclass(frozen=True)
class Conversion:
    """A program made from a rationale, or the reason why there is none.

    `steps` counts the calculated assignments, `linked` the operands that became a variable, and
    `ambiguous_links` those of them whose value two or more earlier quantities shared.
    """

    program: str | None
    chain_of_thought: str
    steps: int
    linked: int
    ambiguous_links: int
    reason: str | None


@dataclass(frozen=True)
class _Variable:
    """One assignment: a question quantity (`mention`) or a calculation (`equation`)."""

    names: list[str]
    expression: Expression
    rounding: str = "{}"
    stated: Fraction = Fraction(0)
    links: int = 0
    ambiguous: int = 0
    is_step: bool = True


@dataclass
class _Draft:
    variables: list[_Variable] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)

    def used(self) -> frozenset[int]:
        return frozenset().union(*(_references(v.expression) for v in self.variables))


def convert_rationale(question: str, rationale: str) -> Conversion:
    """The program of one GSM8K row. Never raises; deterministic.

    Args:
        question: the problem's text.
        rationale: the dataset's `answer` field: lines with `<<48/2=24>>` marks, then `#### 72`.
    """
    text, marks = read_marks(rationale)
    thought = _chain_of_thought(text, rationale)
    if len(question) + len(rationale) > _MAX_CHARACTERS:
        return Conversion(None, thought, 0, 0, 0, f"longer than {_MAX_CHARACTERS} characters")
    try:
        equations = find_equations(text, marks)
        if not equations:
            return Conversion(None, thought, 0, 0, 0, "no calculation can be read in the text")
        draft = _draft(question, text, equations)
        answer = _answer(draft, question, text, equations)
        return _write(draft, answer, thought)
    except (NotArithmetic, OverflowError) as error:
        return Conversion(None, thought, 0, 0, 0, f"the arithmetic is out of range: {error}")


def _chain_of_thought(text: str, rationale: str) -> str:
    gold = rationale.partition("####")[2].strip()
    return f"{text}\nThe answer is {gold}.".strip() if gold else text


def _draft(question: str, text: str, equations: Sequence[Equation]) -> _Draft:
    draft = _Draft()
    for mention in question_mentions(question):
        _add_mention(draft, mention)
    for equation in equations:
        linked = link_operands(equation, text, question, draft.sources, draft.used())
        _add_step(draft, equation, linked, text)
    return draft


def _add_mention(draft: _Draft, mention: Mention) -> None:
    names = quantity_names(mention.before, mention.after, mention.money, mention.percent)
    near = near_words(mention.before, mention.after)
    around = stems(words_of(mention.before + " " + mention.after))
    index = len(draft.variables)
    draft.variables.append(
        _Variable(names, Number(mention.value), stated=mention.value, is_step=False)
    )
    draft.sources.append(
        Source(index, mention.value, near, around, mention.percent, False, mention.money)
    )


def _add_step(draft: _Draft, equation: Equation, linked: Linked, text: str) -> None:
    before, after, money = _surroundings(equation, text)
    for index, variable in enumerate(draft.variables):
        if variable.expression == linked.expression and variable.rounding == equation.rounding:
            draft.sources.append(_step_source(index, equation, before, after, text))
            return
    operator = linked.expression.operator if isinstance(linked.expression, Operation) else ""
    names = step_names(before, after, operator, money)
    index = len(draft.variables)
    draft.variables.append(
        _Variable(
            names,
            linked.expression,
            equation.rounding,
            equation.stated,
            linked.links,
            linked.ambiguous,
        )
    )
    draft.sources.append(_step_source(index, equation, before, after, text))


def _step_source(index: int, equation: Equation, before: str, after: str, text: str) -> Source:
    subject, owner, verb = subject_of(before)
    near = stems([*subject, *owner, verb, *phrase_after(after)])
    sentence = text[slice(*sentence_around(sentence_spans(text), equation.end))]
    around = stems(words_of(sentence))
    number = re.escape(f"{float(equation.stated):g}")
    percent = equation.percent or bool(re.search(rf"\b{number}(?:%|\spercent\b)", sentence))
    return Source(index, equation.stated, near, around, percent, True)


def _surroundings(equation: Equation, text: str) -> tuple[str, str, bool]:
    """The sentence before and after a calculation, and whether its result is money."""
    first, last = sentence_around(sentence_spans(text), equation.start)
    before = text[first : equation.start]
    after = text[equation.end : max(last, equation.end)]
    money = "$" in text[max(equation.start - 2, 0) : equation.end]
    if equation.start == equation.end:
        after = re.sub(r"^\W{0,2}[0-9.,]*[0-9]", "", after)
    if not tidy(phrase_after(after)) and equation.letter is None:
        before, after = _other_mention(before, equation.stated) or (before, after)
    if equation.letter is not None:
        meaning = _meaning_of(equation.letter, text)
        before = f"find {meaning}:" if meaning else before
    return before, after, money


def _meaning_of(letter: str, text: str) -> str | None:
    """What the text lets a letter stand for."""
    phrase = r"([^.,;:=\n]+?)"
    stands = r"(?:be|=|is|represents?|equals?|stands? for)"
    for pattern in (
        rf"\b[Ll]et\W+{letter}\W+{stands}\s{phrase}(?:[.,;:\n]|$)",
        rf"\b[Ll]et\s{phrase}\s(?:be|=|is)\W+{letter}\b",
        rf"^{letter}\s*=\s([A-Za-z][^.,;:=\n]+)",
        rf"\b{letter}\s(?:be|represents?|stands? for)\s{phrase}(?:[.,;:\n]|$)",
    ):
        if found := re.search(pattern, text, re.M):
            return found.group(1)
    return None


def _other_mention(sentence: str, value: Fraction) -> tuple[str, str] | None:
    """Around the place where a sentence states its result first ("5 miles because 2 + 3 = 5")."""
    for match in NUMBER.finditer(sentence):
        if match.group().replace(",", "") == str(value) and phrase_after(sentence[match.end() :]):
            return sentence[: match.start()], sentence[match.end() :]
    return None


def _answer(draft: _Draft, question: str, text: str, equations: Sequence[Equation]) -> int:
    """The index of the variable to return, by the rules at the top of this file."""
    last, index = equations[-1], draft.sources[-1].variable
    if _hundredfold(last, question, text):
        scaled = Operation("*", Reference(index), Number(Fraction(100)))
        return _append(draft, index, scaled, "{}", "in_cents" if _in_cents(question) else "percent")
    spoken = re.search(r"\brounds?\b(?:ed)?[^0-9]{0,20}([0-9][0-9,]*)", text[last.end :])
    conclusion = text[sentence_around(sentence_spans(text), last.end)[1] :]
    numbers = [*_values(conclusion), *_values(spoken.group(1) if spoken else "")]
    if not numbers or last.stated in numbers or "=" in conclusion:
        return index
    for number in reversed(numbers):
        rounding = round_like(last.stated, number, 0)
        if rounding is not None and last.stated > 1 and last.stated.denominator > 1:
            return _append(draft, index, Reference(index), rounding, "rounded")
        for source in reversed(draft.sources):
            if source.is_step and source.value == number:
                return source.variable
    return index


def _append(draft: _Draft, index: int, expression: Expression, rounding: str, suffix: str) -> int:
    names = [f"{name}_{suffix}" for name in draft.variables[index].names]
    draft.variables.append(_Variable(names, expression, rounding))
    return len(draft.variables) - 1


def _hundredfold(last: Equation, question: str, text: str) -> bool:
    if last.percent:
        return False
    if re.search(r"\bpercent(?:age)?\b|%", _asked(question)) and 0 < last.stated < 1:
        return True
    in_dollars = "$" in text[max(last.start - 2, 0) : last.end + 1]
    return in_dollars and _in_cents(question) and last.stated.denominator > 1


def _in_cents(question: str) -> bool:
    return bool(re.search(r"\bcents\b", _asked(question)))


def _asked(question: str) -> str:
    """The last sentence of a question."""
    return question[slice(*sentence_spans(question)[-1])].lower()


def _values(text: str) -> Iterator[Fraction]:
    for match in NUMBER.finditer(text):
        try:
            yield number_value(match.group())
        except NotArithmetic:
            continue


def _references(expression: Expression) -> set[int]:
    return {node.variable for node in walk(expression) if isinstance(node, Reference)}


def _write(draft: _Draft, answer: int, thought: str) -> Conversion:
    needed: set[int] = set()
    waiting = [answer]
    while waiting:
        index = waiting.pop()
        if index not in needed:
            needed.add(index)
            waiting.extend(_references(draft.variables[index].expression))
    book = NameBook()
    names = [
        book.take(variable.names) if index in needed else ""
        for index, variable in enumerate(draft.variables)
    ]
    lines = ["def solution():"]
    for index in sorted(needed):
        variable = draft.variables[index]
        value = variable.rounding.format(render(variable.expression, names))
        lines.append(f"    {names[index]} = {value}")
    lines += [f"    result = {names[answer]}", "    return result"]
    kept = [draft.variables[index] for index in needed]
    return Conversion(
        program="\n".join(lines) + "\n",
        chain_of_thought=thought,
        steps=sum(variable.is_step for variable in kept),
        linked=sum(variable.links for variable in kept),
        ambiguous_links=sum(variable.ambiguous for variable in kept),
        reason=None,
    )
