"""Small students that have learned one kind of question in seconds."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass

import torch

from pad_ray.students import (
    Student,
    StudentCard,
    format_source,
    make_scratch_student,
    tokenise_source,
    tokenise_target,
)
from pad_ray.training_objectives import collate

MOST_STEPS = 2500
NOUNS = "pens eggs cups figs nuts keys hats jars".split()
NAMES = "Ann Bo Cy Di Ed Flo Gus Hal".split()


@dataclass(frozen=True)
class Example:
    question: str
    program: str
    answer: int


def example(rng: random.Random) -> Example:
    """Return a question of two or three steps."""
    name, noun = rng.choice(NAMES), rng.choice(NOUNS)
    first, second, times = rng.randint(2, 9), rng.randint(2, 9), rng.randint(2, 5)
    question = f"{name} has {first} {noun} and gets {second} more. How many {noun} in all?"
    lines = [f"{noun} = {first}", f"more_{noun} = {second}", f"total = {noun} + more_{noun}"]
    answer = first + second
    if rng.random() < 0.5:
        question = (
            f"{name} has {first} {noun} and gets {second} more in each of {times} boxes. How many?"
        )
        lines = [
            f"{noun} = {first}",
            f"more_{noun} = {second} * {times}",
            f"total = {noun} + more_{noun}",
        ]
        answer = first + second * times
    body = "".join(f"    {line}\n" for line in lines)
    return Example(question, f"def solution():\n{body}    return total\n", answer)


def taught(size: str, loss: float = 0.02, seed: int = 0) -> Student:
    """Return a scratch student, trained for seconds until the loss is as low as that (nats)."""
    rng = random.Random(seed)
    return train_on([example(rng) for _ in range(600)], size, loss, seed)


def train_on(examples: list[Example], size: str, loss: float, seed: int) -> Student:
    """Return a scratch student, trained on these examples."""
    rng = random.Random(f"{seed}/batches")
    texts = [format_source(e.question, "program") + e.program for e in examples]
    card = StudentCard("program", "test")
    student = make_scratch_student(size, texts, card=card, seed=seed)
    model, tokenizer = student.model.train(), student.tokenizer
    encodes = student.is_encoder_decoder
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
    recent: deque[float] = deque(maxlen=20)
    for _ in range(MOST_STEPS):
        batch = rng.sample(examples, 16)
        sources = [
            tokenise_source(tokenizer, format_source(e.question, "program"), encodes) for e in batch
        ]
        targets = [tokenise_target(tokenizer, e.program) for e in batch]
        found = _loss(student, sources, targets)
        optimizer.zero_grad()
        found.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        recent.append(found.item())
        if len(recent) == 20 and sum(recent) / 20 <= loss:
            break
    model.eval()
    return student


def _loss(student: Student, sources: list[list[int]], targets: list[list[int]]) -> torch.Tensor:
    inputs, labels = collate({"source": sources, "target": targets}, student)
    logits = student.model(**inputs).logits
    if not student.is_encoder_decoder:
        logits, labels = logits[:, :-1], labels[:, 1:]
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
