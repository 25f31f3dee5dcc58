"""How much of the arithmetic in chains of thought is wrong, and how often the answer is right.

The answer filter keeps a text for its last sentence: PaD's point is that a program's steps are
checked by running it, a text's by nothing.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pad_ray.base.intervals import share_interval
from pad_ray.synthesis.calculations import count_steps

__all__ = ["record_steps", "step_metrics", "steps_line"]


def record_steps(row: dict[str, Any]) -> None:
    """Write into a row how many calculations its chain of thought states, and how many wrongly."""
    if row["chain_of_thought"]:
        counts = count_steps(row["chain_of_thought"])
        row.update(steps_checked=counts.checked, steps_wrong=counts.wrong)


def step_metrics(judged: pa.Table) -> dict[str, Any] | None:
    """Return the counts of calculations in judged texts; None where there are no texts.

    `wrong_when_right` is the share of texts with the right answer that state a calculation wrongly
    (of those that state any), with its 95% interval; `wrong_when_wrong` that of the
    others. A share is None where there is no such text.
    """
    texts = judged.filter(pc.is_valid(judged["steps_checked"]))
    if not texts.num_rows:
        return None
    stating = texts.filter(pc.greater(texts["steps_checked"], 0))
    is_right = pc.is_null(stating["reason"])
    return {
        "texts": texts.num_rows,
        "checked": int(pc.sum(texts["steps_checked"]).as_py()),
        "wrong": int(pc.sum(texts["steps_wrong"]).as_py()),
        **_share("wrong_when_right", stating.filter(is_right)),
        **_share("wrong_when_wrong", stating.filter(pc.invert(is_right))),
    }


def _share(name: str, texts: pa.Table) -> dict[str, Any]:
    wrong = pc.greater(texts["steps_wrong"], 0).to_pylist()
    if not wrong:
        return {name: None, f"{name}_95": None}
    return {name: sum(wrong) / len(wrong), f"{name}_95": share_interval(wrong)}


def steps_line(counts: dict[str, int]) -> str:
    """Say how many of a dataset's kept texts state a calculation wrongly."""
    share = counts["texts_wrong"] / (counts["texts_stating"] or 1)
    return (
        f"calculations in kept chains of thought: {counts['wrong']:,} of {counts['checked']:,} "
        f"wrong, in {counts['texts_wrong']:,} of {counts['texts_stating']:,} texts that state any "
        f"({share:.2%})"
    )
