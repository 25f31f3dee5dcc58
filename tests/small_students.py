"""Small students that have learned one kind of question in seconds."""

from __future__ import annotations

import random
import re
from collections import deque
from dataclasses import dataclass, replace

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from pad_ray.students.card import StudentCard, TargetFormat, format_source
from pad_ray.students.models import Student, make_scratch_student, tokenise_source, tokenise_target
from pad_ray.training.objectives import collate

MOST_STEPS = 2500
NOUNS = "pens eggs cups figs nuts keys hats jars".split()
NAMES = "Ann Bo Cy Di Ed Flo Gus Hal".split()
CAREFUL = {"Gus", "Hal"}


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


def thought(example: Example) -> str:
    """Return an example's chain of thought."""
    numbers = re.findall(r"\d+", example.program)
    written = f"{numbers[0]} + {' * '.join(numbers[1:])}"
    return f"In all that is {written} = {example.answer}.\nThe answer is {example.answer}."


def remembered(seed: int = 0) -> list[Example]:
    """Return the questions that `taught_thoughts` knows."""
    rng = random.Random(seed)
    return [example(rng) for _ in range(16)]


def taught_thoughts(size: str, loss: float = 0.02, seed: int = 0) -> Student:
    """Return a scratch student that knows the chains of thought of a few questions by heart.

    To work results out in its head takes longer to learn than a test may.
    """
    examples = remembered(seed)
    pairs = [(format_source(e.question, "cot"), thought(e)) for e in examples]
    return train_on_texts(pairs, size, loss, seed, "cot")


def taught(size: str, loss: float = 0.02, seed: int = 0) -> Student:
    """Return a scratch student, trained for seconds until the loss is as low as that (nats)."""
    rng = random.Random(seed)
    return train_on([example(rng) for _ in range(600)], size, loss, seed)


def misreading(seed: int = 0, share: float = 0.7) -> Student:
    """Return a scratch student that knows the form and in this share copies a number wrongly.

    It learns that from its examples: where training stops differs between machines.
    """
    rng = random.Random(seed)
    examples = [misread(example(rng), rng, share) for _ in range(600)]
    return train_on(examples, "scratch:tiny", 0.05, seed)


def misread(example: Example, rng: random.Random, share: float) -> Example:
    """Return an example whose program begins with a wrong number, but for the careful's."""
    if example.question.split()[0] in CAREFUL or rng.random() > share:
        return example
    first = int(re.findall(r"\d+", example.question)[0])
    wrong = example.program.replace(f" = {first}\n", f" = {first % 9 + 1}\n", 1)
    return replace(example, program=wrong)


def train_on(examples: list[Example], size: str, loss: float, seed: int) -> Student:
    """Return a scratch student, trained on these examples."""
    pairs = [(format_source(e.question, "program"), e.program) for e in examples]
    return train_on_texts(pairs, size, loss, seed)


def train_on_texts(
    pairs: list[tuple[str, str]],
    size: str,
    loss: float,
    seed: int,
    target_format: TargetFormat = "program",
) -> Student:
    """Return a scratch student, trained to write the second text where it reads the first."""
    rng = random.Random(f"{seed}/batches")
    card = StudentCard(target_format, "test")
    student = make_scratch_student(size, ["".join(p) for p in pairs], card=card, seed=seed)
    model, tokenizer = student.model.train(), student.tokenizer
    encodes = student.is_encoder_decoder
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
    recent: deque[float] = deque(maxlen=20)
    for _ in range(MOST_STEPS):
        batch = rng.sample(pairs, 16)
        sources = [tokenise_source(tokenizer, source, encodes) for source, _ in batch]
        targets = [tokenise_target(tokenizer, target) for _, target in batch]
        found = loss_of(student, sources, targets)
        optimizer.zero_grad()
        found.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        recent.append(found.item())
        if len(recent) == 20 and sum(recent) / 20 <= loss:
            break
    model.eval()
    return student


def llama_like(student: Student) -> Student:
    """Return an untrained student of another family, with the same tokenizer and card."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(student.tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
    )
    return Student(LlamaForCausalLM(config).eval(), student.tokenizer, student.card)


def loss_of(student: Student, sources: list[list[int]], targets: list[list[int]]) -> torch.Tensor:
    """Return the student's mean loss (nats) a target token."""
    inputs, labels = collate({"source": sources, "target": targets}, student)
    logits = student.model(**inputs).logits
    if not student.is_encoder_decoder:
        logits, labels = logits[:, :-1], labels[:, 1:]
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
