"""What is done to a student while it is trained, and not after."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import kl_div

from pad_ray.students.card import StudentCard
from pad_ray.students.models import Student, make_scratch_student
from pad_ray.training.loop import _seed_dropout
from pad_ray.training.objectives import Distilling, LanguageModelling, Lesson
from pad_ray.training.regularisation import nucleus, nucleus_divergence, set_dropout

TEXTS = ["What is 12 + 30?", "def solution():\n    return 12 + 30", "Tom has 3 apples."]
ROWS = {"source": [[5, 6, 7], [9, 10]], "target": [[8, 1], [11, 12, 13, 1]]}


def student(size: str = "tiny", seed: int = 0) -> Student:
    return make_scratch_student(
        f"scratch:{size}", TEXTS, card=StudentCard("program", size), seed=seed
    )


def engine(model: Any) -> Any:
    """Return what stands for DeepSpeed's engine here: the model itself, and where it is."""

    class Engine:
        device = torch.device("cpu")

        def __call__(self, **inputs: Any) -> Any:
            return model(**inputs)

    return Engine()


logits = st.lists(
    st.lists(st.floats(-8, 8, width=32), min_size=6, max_size=6), min_size=1, max_size=4
).map(torch.tensor)


@given(logits, st.floats(0.05, 1.0))
def test_nucleus_is_the_smallest_set_that_holds_its_share(scores: torch.Tensor, top_p: float):
    kept = nucleus(scores, top_p)
    whole = scores.softmax(-1)
    assert kept.sum(-1).allclose(torch.ones(len(scores)), atol=1e-5)
    for row, full in zip(kept, whole, strict=True):
        inside = full[row > 0]
        assert inside.sum() >= top_p - 1e-4
        assert inside.sum() - inside.min() < top_p + 1e-4
        assert len(inside) == len(full) or inside.min() >= full[row == 0].max() - 1e-6


@given(logits, logits)
def test_divergence_from_the_whole_distribution_is_torchs(
    one: torch.Tensor, other: torch.Tensor
) -> None:
    count = min(len(one), len(other))
    given_, wanted = one[:count], other[:count]
    expected = kl_div(given_.log_softmax(-1), wanted.softmax(-1), reduction="sum")
    assert nucleus_divergence(given_, wanted, 1.0).item() == pytest.approx(
        expected.item(), abs=1e-3
    )
    assert nucleus_divergence(wanted, wanted, 1.0).item() == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("size", ["tiny", "t5-tiny"])
def test_units_are_dropped_in_training_alone(size: str) -> None:
    made = student(size)
    objective = LanguageModelling(made)
    made.model.eval()
    before = objective.loss_sum(engine(made.model), ROWS)
    set_dropout(made.model, 0.3)
    assert objective.loss_sum(engine(made.model), ROWS) == before
    made.model.train()
    first, second = (objective.loss_sum(engine(made.model), ROWS).item() for _ in range(2))
    assert len({before.item(), first, second}) == 3
    torch.manual_seed(1)
    again = [objective.loss_sum(engine(made.model), ROWS).item()]
    torch.manual_seed(1)
    again.append(objective.loss_sum(engine(made.model), ROWS).item())
    assert again[0] == again[1]


def test_a_micro_batch_drops_the_same_units_again_and_others_drop_others() -> None:
    """On whichever rank, and after a resume: ranks have other rows at one step."""

    def drawn(seed: int, step: int, rows: list[int]) -> tuple[float, ...]:
        _seed_dropout(seed, step, rows)
        return tuple(torch.rand(4).tolist())

    asked = [(0, 3, [1, 2]), (0, 3, [5, 6]), (0, 4, [1, 2]), (1, 3, [1, 2]), (0, 31, [2])]
    first = [drawn(*one) for one in asked]
    assert len(set(first)) == len(asked)
    torch.rand(7)
    assert [drawn(*one) for one in asked] == first


def test_no_dropout_changes_nothing() -> None:
    made = student()
    made.model.train()
    objective = LanguageModelling(made)
    before = objective.loss_sum(engine(made.model), ROWS)
    set_dropout(made.model, 0.0)
    assert objective.loss_sum(engine(made.model), ROWS) == before


def test_labels_are_smoothed_in_training_alone() -> None:
    made = student()
    plain, smoothed = LanguageModelling(made), LanguageModelling(made, Lesson(label_smoothing=0.2))
    made.model.eval()
    assert smoothed.loss_sum(engine(made.model), ROWS) == plain.loss_sum(engine(made.model), ROWS)
    made.model.train()
    hard, soft = (o.loss_sum(engine(made.model), ROWS).item() for o in (plain, smoothed))
    seen: list[torch.Tensor] = []

    def watching(**inputs: Any) -> Any:
        seen.append(made.model(**inputs).logits)
        return SimpleNamespace(logits=seen[-1])

    plain.loss_sum(engine(watching), ROWS)
    shares = seen[0].log_softmax(-1)
    places = [(0, 2), (0, 3), (1, 1), (1, 2), (1, 3), (1, 4)]
    spread = -sum(shares[place].mean().item() for place in places)
    assert soft == pytest.approx(0.8 * hard + 0.2 * spread, rel=1e-4)


def test_a_students_own_copy_teaches_it_nothing_new() -> None:
    made, copy = student(), student()
    lesson = Lesson(teacher="copy", weight=1.0, top_p=1.0)
    distilling = Distilling(made, copy, lesson)
    made.model.train()
    assert distilling.loss_sum(engine(made.model), ROWS).item() == pytest.approx(0, abs=1e-4)
    made.model.eval()
    plain = LanguageModelling(made).loss_sum(engine(made.model), ROWS)
    assert distilling.loss_sum(engine(made.model), ROWS) == plain


def test_a_teacher_pulls_its_student_towards_itself() -> None:
    made, teacher = student(seed=0), student(seed=1)
    distilling = Distilling(made, teacher, Lesson(teacher="other", weight=1.0))
    made.model.train()
    optimizer = torch.optim.AdamW(made.model.parameters(), lr=3e-3)
    frozen = {name: value.clone() for name, value in teacher.model.state_dict().items()}
    losses = []
    for _ in range(15):
        loss = distilling.loss_sum(engine(made.model), ROWS)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    assert all(value.equal(frozen[name]) for name, value in teacher.model.state_dict().items())


def test_what_is_read_counts_by_its_weight_in_training_alone() -> None:
    made = student()
    plain, weighted = LanguageModelling(made), LanguageModelling(made, Lesson(source_weight=0.25))
    made.model.eval()
    assert weighted.loss_sum(engine(made.model), ROWS) == plain.loss_sum(engine(made.model), ROWS)
    made.model.train()
    # The first token follows nothing, so it is never predicted.
    read = {
        "source": [ids[:1] for ids in ROWS["source"]],
        "target": [ids[1:] for ids in ROWS["source"]],
    }
    questions = plain.loss_sum(engine(made.model), read).item()
    programs = plain.loss_sum(engine(made.model), ROWS).item()
    together = weighted.loss_sum(engine(made.model), ROWS).item()
    assert together == pytest.approx(programs + 0.25 * questions, rel=1e-4)
