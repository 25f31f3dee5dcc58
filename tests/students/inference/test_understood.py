"""A family that is not read rightly in a batch is refused, and never answered wrongly."""

from __future__ import annotations

import pytest
from families import FAMILIES, REFUSED, family

from pad_ray.base.errors import StudentError
from pad_ray.students.inference import check_understood, positions, rows


@pytest.mark.parametrize("name", FAMILIES)
def test_families_that_are_read_rightly_are_taken(name: str) -> None:
    check_understood(family(name, 300))


def test_a_model_in_training_is_tried_without_dropout_and_left_in_it() -> None:
    model = family("t5", 300).train()
    check_understood(model)
    assert model.training


@pytest.mark.parametrize("name", REFUSED)
def test_families_that_are_not_are_named(name: str) -> None:
    with pytest.raises(StudentError, match=f"student: .* understand a {name} model: .*beside it"):
        check_understood(family(name, 300))


@pytest.mark.parametrize("name", ["mistral", "gemma3", "gpt_neo", "mpt", "t5"])
def test_what_counts_columns_is_misread_with_gaps(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else nothing here shows that it is read without them."""
    monkeypatch.setattr(rows, "counts_columns", lambda config: False)
    assert positions.counts_columns(family(name, 300).config)
    model = family(name, 300)
    if name in ("mpt", "t5"):
        with pytest.raises(StudentError):
            check_understood(model)
        return
    # The few tokens of the check may lie within the window.
    read = rows.Rows(model, rows.next_token_logits(model), 0, 2)
    text = list(range(5, 25))
    read.read([text, text])
    for token in range(30, 42):
        read.read([[], [token]])
    gapped = read.read([[7], [7]])[0]
    alone = rows.Rows(model, rows.next_token_logits(model), 0, 1)
    alone.read([text])
    assert (gapped - alone.read([[7]])[0]).abs().max() > 1e-3


def test_a_model_that_fails_is_refused_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object, **kwargs: object) -> object:
        raise ValueError("no such cache")

    model = family("llama", 300)
    monkeypatch.setattr(model, "forward", broken)
    with pytest.raises(StudentError, match="cannot read a llama model: no such cache"):
        check_understood(model)
