"""Fitting a linear head to the states in which a student ended the steps of its programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GroupKFold
from sklearn.preprocessing import StandardScaler

from pad_ray.programs.statements import Scan, scan
from pad_ray.students.inference import last_states
from pad_ray.students.models import (
    DTYPES,
    Student,
    load_student,
    positions_hold,
    tokenise_source,
)
from pad_ray.students.pieces import Pieces
from pad_ray.training.objectives import collate
from pad_ray.training.verifier_data import JudgedProgram
from pad_ray.verifiers.states import StateHead

_BATCH = 16
_FOLDS = 4
_STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)


def student_of(source: str, precision: str, preamble: str) -> Student:
    """Load the student whose states are read, with the text that its prompts begin with."""
    student = load_student(source, dtype=DTYPES[precision])
    if torch.cuda.is_available():
        student.model.to("cuda")
    card = replace(student.card, preamble=preamble + student.card.preamble)
    return Student(student.model, student.tokenizer, card)


@torch.inference_mode()
def read_states(student: Student, programs: Sequence[JudgedProgram]) -> list[np.ndarray | None]:
    """Return the states [steps, hidden] in which the student would end each program's steps.

    None for a program that the student has no positions for.
    """
    found: list[np.ndarray | None] = [None] * len(programs)
    texts = [_tokenised(student, program) for program in programs]
    config = student.model.config
    fits = [
        i
        for i, (source, ids, _) in enumerate(texts)
        if positions_hold(config, len(source), len(ids))
    ]
    order = sorted(fits, key=lambda i: len(texts[i][0]) + len(texts[i][1]))
    for start in range(0, len(order), _BATCH):
        part = order[start : start + _BATCH]
        states = _states(student, [texts[i][:2] for i in part])
        for row, i in enumerate(part):
            source, _, ends = texts[i]
            # The state that writes a token is that of the token before.
            first = 0 if student.is_encoder_decoder else len(source) - 1
            places = [first + end - 1 for end in ends]
            found[i] = states[row, places].float().cpu().numpy()
    return found


def _tokenised(student: Student, program: JudgedProgram) -> tuple[list[int], list[int], list[int]]:
    """Return the ids of the prompt and the program, and how many of the latter end each step."""
    tokenizer = student.tokenizer
    prompt = student.card.prompt(program.question)
    source = tokenise_source(tokenizer, prompt, student.is_encoder_decoder)
    ids = list(tokenizer(program.program + "\n", add_special_tokens=False).input_ids)
    state, ends = Scan(), []
    for written, piece in enumerate(Pieces(tokenizer).each(ids), 1):
        state, ended, returned = scan(state, piece)
        if ended:
            ends.append(written)
        if returned:
            break
    return source, ids, ends or [len(ids)]


def _states(student: Student, texts: Sequence[tuple[list[int], list[int]]]) -> torch.Tensor:
    """Return the states [rows, columns, hidden] after each token that the student reads."""
    sources, targets = zip(*texts, strict=True)
    inputs, _ = collate({"source": [*sources], "target": [*targets]}, student)
    placed = {name: tensor.to(student.model.device) for name, tensor in inputs.items()}
    # Nobody wants the logits, which are large.
    fewest = {} if student.is_encoder_decoder else {"logits_to_keep": 1}
    return last_states(student.model(**placed, output_hidden_states=True, **fewest))


def fit_head(
    mark: str, origin: str, programs: Sequence[JudgedProgram], states: Sequence[np.ndarray]
) -> StateHead:
    """Return a head fitted to every step's state, each program counted once.

    `mark` is `student_mark` of the student whose states they are, `origin` where it lies.
    The strength of its regularisation is the one that does best on questions left out.
    """
    x = np.concatenate(states)
    steps = [len(one) for one in states]
    y = np.repeat([program.right for program in programs], steps).astype(int)
    weight = np.repeat([1 / n for n in steps], steps)
    questions = np.repeat([program.group for program in programs], steps)
    scaler = StandardScaler().fit(x)
    x = scaler.transform(x)
    folds = _folds(x, y, questions)

    def left_out(strength: float) -> float:
        losses = []
        for train, rest in folds:
            model = _logistic(strength).fit(x[train], y[train], weight[train])
            told = model.predict_proba(x[rest])[:, 1]
            losses.append(log_loss(y[rest], told, sample_weight=weight[rest], labels=[0, 1]))
        return float(np.mean(losses))

    best = min(_STRENGTHS, key=left_out) if folds else _STRENGTHS[1]
    fitted = _logistic(best).fit(x, y, weight)
    slope = fitted.coef_[0] / scaler.scale_
    bias = float(fitted.intercept_[0] - slope @ scaler.mean_)
    return StateHead(origin, mark, tuple(map(float, slope)), bias)


def _logistic(strength: float) -> LogisticRegression:
    return LogisticRegression(C=strength, max_iter=5000)


def _folds(
    x: np.ndarray, y: np.ndarray, questions: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the folds by question whose training parts have right and wrong programs."""
    groups = len(set(questions.tolist()))
    if groups < 2:
        return []
    parts = GroupKFold(min(_FOLDS, groups)).split(x, y, questions)
    return [(train, rest) for train, rest in parts if len(set(y[train].tolist())) == 2]


def logits_of(head: StateHead, states: Sequence[np.ndarray]) -> list[list[float]]:
    """Return the head's logit at each step of each program."""
    weight = np.array(head.weight)
    return [(one @ weight + head.bias).tolist() for one in states]
