"""The report's figures as inline SVG: text stays text, colours are the page's CSS variables."""

from __future__ import annotations

import html
import io
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from warnings import catch_warnings, filterwarnings

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, FuncFormatter, LogLocator, MaxNLocator

__all__ = [
    "SERIES",
    "Bar",
    "LossPoint",
    "accuracy_figure",
    "funnel_figure",
    "histogram_figure",
    "loss_figure",
    "render",
]

# Matplotlib takes colours, not CSS: each of these stands for one and is replaced in the SVG,
# so that a figure follows the page from light to dark.
_TEXT, _MUTED, _RULE, _FIRST, _SECOND = (f"#0a0b0{digit}" for digit in range(1, 6))
_CSS = {
    _TEXT: "currentColor",
    _MUTED: "var(--muted)",
    _RULE: "var(--rule)",
    _FIRST: "var(--first)",
    _SECOND: "var(--second)",
}
# Colours of things side by side, in their order.
SERIES = (_FIRST, _SECOND, _MUTED, _TEXT)
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 11,
    "text.color": _TEXT,
    "text.parse_math": False,
    "axes.edgecolor": _RULE,
    "axes.labelcolor": _MUTED,
    "xtick.color": _RULE,
    "ytick.color": _RULE,
    "xtick.labelcolor": _MUTED,
    "ytick.labelcolor": _MUTED,
}
_WIDTH = 4.5  # inches; a phone shows it about as wide, so that its text stays readable
_CURVE_POINTS = 400
_LABEL_LENGTH = 36
_LOG_RATIO = 30


@dataclass(frozen=True)
class Bar:
    """A labelled bar from 0 to `share` (0 to 1); `value` is written out above its end.

    `of` is the share that the bar is a part of, drawn fainter behind it; `interval` is the lower
    and upper bound of a 95% interval; `note` is a line below.
    """

    label: str
    share: float
    value: str
    of: float = 1.0
    interval: tuple[float, float] | None = None
    note: str = ""


@dataclass(frozen=True)
class LossPoint:
    """A loss in nats a target token, measured after `step` optimizer steps."""

    step: int
    loss: float


def funnel_figure(name: str, title: str, bars: Sequence[Bar]) -> str:
    """Draw what is left after each step, as shares of all samples. `name` is unique on a page."""
    return render(name, title, lambda: _bars(bars, pitch=0.64, ticks=False))


def accuracy_figure(name: str, title: str, bars: Sequence[Bar]) -> str:
    """Draw one accuracy a problem set with its interval. `name` is unique on a page."""
    return render(name, title, lambda: _bars(bars, pitch=0.48, ticks=True))


def histogram_figure(
    name: str, title: str, counts: Sequence[int], ticks: Mapping[float, str], axis: str
) -> str:
    """Draw one upright bar a count, at 0, 1, 2 …, with `ticks` below and `axis` for what they are.

    Counts are non-negative. `name` is unique on a page.
    """
    return render(name, title, lambda: _histogram(counts, ticks, axis))


def loss_figure(
    name: str,
    title: str,
    train: Sequence[LossPoint],
    validation: Sequence[LossPoint],
    best_step: int,
) -> str:
    """Draw training and validation loss over steps, the best step marked.

    The points must be finite. Long training curves are drawn as means over equal runs of points.
    The axis is logarithmic where losses span more than a factor of 30.
    """
    return render(name, title, lambda: _losses(train, validation, best_step))


def render(name: str, title: str, draw: Callable[[], Figure]) -> str:
    """Return a drawn figure as an inline SVG element; `name` is unique on a page."""
    with style.context(["default", {**_STYLE, "svg.hashsalt": name}]), catch_warnings():
        # The reader's browser has fonts of its own; matplotlib's need not hold every glyph.
        filterwarnings("ignore", "Glyph .* missing from font")
        figure = draw()
        text = io.StringIO()
        no_metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(text, format="svg", transparent=True, metadata=no_metadata)
    return _inline(text.getvalue(), title)


def _inline(svg: str, title: str) -> str:
    """Turn a stand-alone SVG document into an element of an HTML page."""
    svg = svg[svg.index("<svg") :]
    box = re.search(r'viewBox="[^"]*"', svg)
    assert box is not None
    body = svg[svg.index(">") + 1 :]
    body = re.sub(r"<style.*?</style>", "", body, flags=re.DOTALL)
    # Groups are numbered anew in each figure: their ids would not be unique on the page.
    body = re.sub(r'<g id="[^"]*"', "<g", body)
    for sentinel, css in _CSS.items():
        body = body.replace(sentinel, css)
    return f'<svg {box[0]} role="img">\n<title>{html.escape(title)}</title>{body}'


def _bars(bars: Sequence[Bar], pitch: float, ticks: bool) -> Figure:
    """Draw bars from 0 to 1, each in a row of `pitch` inches."""
    bottom = 0.25 if ticks else 0.0
    height = pitch * len(bars) + bottom
    left, right = 0.01 / _WIDTH, 0.06 / _WIDTH
    figure = Figure(figsize=(_WIDTH, height))
    axes = figure.add_axes((left, bottom / height, 1 - left - right, 1 - bottom / height))
    axes.set(xlim=(0, 1), ylim=(height - bottom, 0), yticks=[], xticks=[])
    axes.spines[:].set_visible(False)
    for row, bar in enumerate(bars):
        _bar(axes, row * pitch, bar)
    if ticks:
        axes.set_xticks([0, 0.5, 1], ["0%", "50%", "100%"])
        axes.tick_params(length=0)
        for label, side in zip(axes.get_xticklabels(), ("left", "center", "right"), strict=True):
            label.set(ha=side)
    return figure


def _bar(axes: Axes, top: float, bar: Bar) -> None:
    """Draw a bar and its texts below `top` (inches from the figure's upper edge)."""
    middle = top + 0.3
    axes.text(0, top + 0.17, _shortened(bar.label), va="baseline")
    axes.text(1, top + 0.17, bar.value, va="baseline", ha="right", weight="bold")
    axes.barh(middle, bar.of, height=0.13, color=_RULE)
    axes.barh(middle, bar.share, height=0.13, color=_FIRST)
    if bar.note:
        axes.text(0, middle + 0.21, bar.note, va="baseline", size=9.5, color=_MUTED)
    if bar.interval is not None:
        ends = [middle, middle]
        axes.plot(bar.interval, ends, "|-", color=_TEXT, markersize=9, clip_on=False)


def _histogram(counts: Sequence[int], ticks: Mapping[float, str], axis: str) -> Figure:
    figure = Figure(figsize=(_WIDTH, 2.4), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(length=0)
    axes.grid(axis="y", color=_RULE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.bar(range(len(counts)), counts, width=0.85, color=_FIRST)
    axes.set_ylim(0, max([*counts, 1]) * 1.05)
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.yaxis.set_major_formatter(EngFormatter(sep=""))
    axes.set_xticks(list(ticks), list(ticks.values()))
    axes.set_xlabel(axis)
    return figure


def _shortened(label: str) -> str:
    """Keep the end of a long label: there a user's own `path/to/file.py:TASK` says which it is."""
    label = " ".join(label.split())
    return label if len(label) <= _LABEL_LENGTH else "…" + label[1 - _LABEL_LENGTH :]


def _losses(train: Sequence[LossPoint], validation: Sequence[LossPoint], best_step: int) -> Figure:
    figure = Figure(figsize=(_WIDTH, 3.0), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(left=False)
    axes.grid(axis="y", color=_RULE, linewidth=0.8)
    axes.set_axisbelow(True)
    curve, points = _thinned(train)
    suffix = f" (means of {points} logged steps)" if points > 1 else ""
    # One point makes no line.
    _curve(axes, curve, f"training{suffix}", _FIRST, marker="" if len(curve) > 1 else "o")
    _curve(axes, validation, "validation", _SECOND, marker="o")
    _loss_axis(axes, [point.loss for point in (*curve, *validation)])
    axes.set_xlabel("optimizer step")
    # A short run has fewer whole steps than marks.
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step:,.0f}"))
    _mark_best(axes, best_step, [p for p in validation if p.step == best_step])
    figure.legend(loc="outside upper left", ncols=2, frameon=False, borderaxespad=0)
    return figure


def _mark_best(axes: Axes, best_step: int, points: Sequence[LossPoint]) -> None:
    axes.axvline(best_step, color=_MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    for point in points:
        (dot,) = axes.plot(point.step, point.loss, "o", color=_SECOND, markersize=8, zorder=4)
        dot.set_clip_on(False)
    on_the_right = best_step > sum(axes.get_xlim()) / 2
    axes.annotate(
        f"best: step {best_step:,}",
        (best_step, 1),
        (-4 if on_the_right else 4, -2),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        ha="right" if on_the_right else "left",
        va="top",
        color=_MUTED,
    )


def _curve(axes: Axes, points: Sequence[LossPoint], label: str, color: str, marker: str) -> None:
    if points:
        steps, losses = [p.step for p in points], [p.loss for p in points]
        axes.plot(
            steps,
            losses,
            color=color,
            label=label,
            marker=marker,
            markersize=4,
            linewidth=1.6,
            clip_on=False,
        )


def _loss_axis(axes: Axes, losses: Sequence[float]) -> None:
    low, high = min(losses), max(losses)
    logarithmic = low > 0 and high / low > _LOG_RATIO
    if logarithmic:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0,) if high / low > 1e4 else (1.0, 3.0)))
        axes.yaxis.set_minor_locator(LogLocator(subs=()))
    else:
        axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda loss, _: f"{loss:g}"))
    axes.set_ylabel("nats a target token" + (", log scale" if logarithmic else ""))


def _thinned(points: Sequence[LossPoint]) -> tuple[list[LossPoint], int]:
    """Return means over equal runs of points, few enough to draw, and how long the runs are."""
    run = math.ceil(len(points) / _CURVE_POINTS) or 1
    chunks = [points[start : start + run] for start in range(0, len(points), run)]
    means = [
        LossPoint(chunk[len(chunk) // 2].step, math.fsum(p.loss for p in chunk) / len(chunk))
        for chunk in chunks
    ]
    return means, run


def loss_points(lines: Iterable[Mapping[str, Any]], field: str) -> Iterator[LossPoint]:
    """Yield the finite losses: without validation rows, or after an overflow, it is NaN."""
    for line in lines:
        loss = line.get(field)
        if loss is not None and math.isfinite(loss):
            yield LossPoint(line["step"], loss)
