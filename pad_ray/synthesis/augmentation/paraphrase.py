"""Other words: a question told again by a teacher, who may change no number and no name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

from pad_ray.synthesis.augmentation.names import people_in
from pad_ray.tasks.base import Exemplar
from pad_ray.tasks.quantities.mentions import numbers_in
from pad_ray.teachers.endpoint.engine import EndpointTeacher
from pad_ray.teachers.endpoint.settings import EndpointSettings
from pad_ray.teachers.prompts import Message

__all__ = ["RULES", "fault_of", "paraphrase_messages", "paraphraser", "read_paraphrase"]

RULES = (
    "You restate word problems. Tell the same problem in other words and other sentences. Keep "
    "every number as it is written, every name, and what is asked for; add no number and do not "
    "solve the problem. Answer with the restated problem alone."
)


def paraphrase_messages(question: str, exemplars: Sequence[Exemplar]) -> list[Message]:
    """Return the chat that asks for a question in other words; worked examples are not shown."""
    return [
        Message(role="system", content=RULES),
        Message(role="user", content=f"Problem: {question.strip()}"),
    ]


def paraphraser(settings: EndpointSettings, seed: int) -> EndpointTeacher:
    """Return a teacher whose completions are questions in other words; `seed` is the run's."""
    return EndpointTeacher(settings, (), seed, prompt=paraphrase_messages)


def read_paraphrase(completion: str) -> str:
    """Return the question that a completion holds."""
    return completion.strip().removeprefix("Problem:").strip()


def fault_of(question: str, paraphrase: str) -> str | None:
    """Return why a paraphrase cannot take the question's place, or None.

    `other_numbers`: not the same numbers, each as often, in digits or words; `other_names`: not
    the same people; `same_text`: it differs in layout and capitals at most.
    """
    if _numbers(question) != _numbers(paraphrase):
        return "other_numbers"
    if set(people_in(question)) != set(people_in(paraphrase)):
        return "other_names"
    same = question.casefold().split() == paraphrase.casefold().split()
    return "same_text" if same else None


def _numbers(text: str) -> Counter[Fraction]:
    return Counter(value for _, _, value in numbers_in(text))
