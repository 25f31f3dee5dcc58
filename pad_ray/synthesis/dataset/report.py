"""The report of a synthesis directory: one HTML file with nothing to load.

Its small script filters the samples; without it they are a plain list.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

from pad_ray.base.errors import ConfigError, reason_of
from pad_ray.base.pages import page_template, shown_value
from pad_ray.base.plots import funnel_figure, histogram_figure
from pad_ray.flow.stages import write_text
from pad_ray.synthesis.dataset.card import KINDS, holds_texts
from pad_ray.synthesis.dataset.funnel import funnel_bars
from pad_ray.synthesis.dataset.queries import LONGEST, RATE_BINS, DatasetRows, open_rows
from pad_ray.synthesis.reasons import REASONS

__all__ = ["REPORT", "write_dataset_report"]

REPORT = "report.html"
_SAMPLES = 25
_TICKS = 5


def write_dataset_report(out: Path, manifest: dict[str, Any]) -> Path:
    """Write report.html into a finished synthesis directory and return its path.

    Reads its rows column by column, in bounded memory. Raises `DataError` if they cannot be read
    and `ConfigError` if the report cannot be written.
    """
    with open_rows(out) as rows:
        pass_rates, lengths = rows.pass_rates(), rows.lengths()
        samples = _samples(rows)
    script = page_template("dataset_report.js.j2").render()
    counts, tokens = manifest["counts"], manifest["tokens"]
    texts = holds_texts(manifest)
    rounds = counts.get("rounds") or []
    text = page_template("dataset_report.html.j2").render(
        stage=manifest,
        counts=counts,
        rounds=rounds if len(rounds) > 1 else [],
        tokens=tokens,
        cost_usd=manifest.get("cost_usd"),
        left_out={name: counts.get(name) for name in ("not_asked", "contaminated")},
        simulated="simulated" in manifest["teacher"],
        funnel=funnel_figure("funnel", "Samples left after each step", funnel_bars(counts, texts)),
        what=KINDS[texts],
        pass_rates=dict(zip(_rate_labels(), pass_rates, strict=True)),
        rates_figure=_rates_figure(pass_rates),
        lengths={_lines(length): number for length, number in lengths.items()},
        lengths_figure=_lengths_figure(lengths),
        samples=samples,
        shown_reasons=Counter(sample["reason"] or "verified" for sample in samples),
        reasons=REASONS,
        script=script,
        script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )
    path = out / REPORT
    try:
        write_text(path, text)
    except OSError as error:
        raise ConfigError(f"out: cannot write {path}: {reason_of(error)}") from error
    return path


def _samples(rows: DatasetRows) -> list[dict[str, Any]]:
    chosen = [*rows.samples("verified", _SAMPLES), *rows.samples("rejected", _SAMPLES)]
    return [{**row, "given": shown_value(row["value"])} for row in chosen]


def _rate_labels() -> list[str]:
    """Return what each bin of pass rates holds."""
    steps = RATE_BINS - 2
    between = [f"{100 * i // steps}% to {100 * (i + 1) // steps}%" for i in range(steps)]
    return ["none", *between, "all"]


def _rates_figure(counts: list[int]) -> str:
    ticks = {0.0: "none", (RATE_BINS - 1) / 2: "half", RATE_BINS - 1.0: "all"}
    title = "Problems by the share of their samples that are right"
    return histogram_figure("rates", title, counts, ticks, "share of samples that are right")


def _lengths_figure(lengths: dict[int, int]) -> str | None:
    if not lengths:
        return None
    first, last = min(lengths), max(lengths)
    counts = [lengths.get(length, 0) for length in range(first, last + 1)]
    step = max(1, -(-len(counts) // _TICKS))
    ticks = {float(place): _lines(first + place) for place in range(0, len(counts), step)}
    return histogram_figure("lengths", "Verified samples by length", counts, ticks, "lines")


def _lines(length: int) -> str:
    return f"{length} or more" if length == LONGEST else str(length)
