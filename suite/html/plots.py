"""The plots of a report, as SVG that goes into the page and takes its colours."""

from __future__ import annotations

import io
from typing import TypedDict

import matplotlib as mpl
import torch
from markupsafe import escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lightning_modules.metrics import functional
from suite.run_metrics import Run, videos

COLOURS = ["#2563eb", "#dc2626", "#059669", "#d97706", "#7c3aed", "#0891b2"]
DASHES: list[str | tuple[float, tuple[float, ...]]] = [
    "-",
    "--",
    "-.",
    (0, (1, 1.2)),
]  # with six colours twelve different lines
INK, SOFT = "#000000", "#9ca3af"
VARIABLES = {INK: "ink", SOFT: "soft"} | {colour: f"s{i}" for i, colour in enumerate(COLOURS)}  # of style.css
FEW_REALS = 100  # below which a logarithmic axis of false positives has little to show
mpl.rcParams |= {
    "svg.fonttype": "none",
    "svg.hashsalt": "suite",
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "text.parse_math": False,  # a run may be called $x$
}


def svg(figure: Figure, title: str) -> str:
    """
    Args:
        title: For those who cannot see it.
    """
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", bbox_inches="tight", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    for colour, name in VARIABLES.items():
        text = text.replace(colour, f"var(--{name})")
    label = f'<svg style="fill: var(--ink)" role="img" aria-label="{escape(title)}"'
    return text[text.index("<svg") :].replace("<svg", label, 1)


class LineStyle(TypedDict):
    """Arguments of matplotlib."""

    color: str
    linestyle: str | tuple[float, tuple[float, ...]]


def line_style(i: int) -> LineStyle:
    """Of the i-th of several lines in one plot."""
    return {"color": COLOURS[i % len(COLOURS)], "linestyle": DASHES[i % len(DASHES)]}


def draw_legend(axes: Axes) -> None:
    """Below the axis, where it covers no line and a long name finds room."""
    axes.legend(loc="upper left", bbox_to_anchor=(0, -0.2), borderaxespad=0, handlelength=2.6)


def show_name(run: Run) -> str:
    """Matplotlib leaves a line out of the legend whose label begins with an underscore."""
    return f" {run.name}" if run.name.startswith("_") else run.name


def draw_roc(runs: list[Run], test_set: str, low: float | None = None) -> str:
    """
    Args:
        low: Where a logarithmic axis of false positive rates begins; linear without it.
    """
    figure = Figure((4.4, 3.6))
    axes = figure.subplots()
    chance = [0, 1] if low is None else [low * 1.05**i for i in range(200) if low * 1.05**i <= 1]
    axes.plot(chance, chance, color=SOFT, linewidth=1, linestyle=":")
    for i, run in enumerate(runs):
        v = videos(run)
        if len(set(v.label)) == 2:
            score, label = torch.from_numpy(v.score), torch.from_numpy(v.label)
            fpr, tpr = functional.roc(score, label)
            axes.plot(  # straight over scores that are equal, as the area under it counts them
                fpr if low is None else fpr.clamp(min=low),
                tpr,
                **line_style(i),
                label=f"{show_name(run)}, AUROC {float(functional.auroc(score, label)):.3f}",
            )
    axes.set(xlabel="false positive rate", ylabel="true positive rate", xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    if low is not None:
        axes.set(xscale="log", xlim=(low, 1))
    title = "ROC curves over videos" if low is None else "ROC curves at low false positive rates"
    axes.set_title(title)
    if axes.get_legend_handles_labels()[0]:
        draw_legend(axes)
    return svg(figure, f"{title} of {test_set}")


def roc(runs: list[Run], test_set: str) -> list[str]:
    """Also on a logarithmic axis, where there are real videos enough for low false positive rates."""
    reals = min(videos(run).reals for run in runs)
    logarithmic = [draw_roc(runs, test_set, 1 / reals)] if reals >= FEW_REALS else []
    return [draw_roc(runs, test_set), *logarithmic]


def histogram(run: Run) -> str:
    figure = Figure((4.4, 3.6))
    axes = figure.subplots()
    v, bins = videos(run), [i / 25 for i in range(26)]
    for label, name, colour in ((0, "real", COLOURS[2]), (1, "fake", COLOURS[1])):
        part = v.score[v.label == label]
        if len(part):
            axes.hist(
                part,
                bins,
                weights=[1 / len(part)] * len(part),
                color=colour,
                alpha=0.55,
                label=f"{name} ({len(part)} videos)",
            )
    if (threshold := run.fixed_values.get("video_threshold")) is not None:
        axes.axvline(threshold, color=INK, linestyle="--", linewidth=1, label="threshold from validation")
    axes.set(xlabel="score of the video", ylabel="share of the class", xlim=(0, 1))
    axes.set_title(f"Scores: {run.name}")
    draw_legend(axes)
    return svg(figure, f"Scores of real and fake videos of {run.name}")


def curve(run: Run, names: dict[str, str], title: str, ylabel: str) -> str | None:
    """Over training steps, from metrics.csv."""
    figure = Figure((4.4, 3.2))
    axes = figure.subplots()
    for i, (name, label) in enumerate(names.items()):
        points = [(int(row["step"]), float(row[name])) for row in run.history if row.get(name)]
        if points:
            axes.plot(
                *zip(*points, strict=True),
                **line_style(i),
                label=label,
                marker="." if len(points) < 40 else None,
            )
    if not axes.lines:
        return None
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    axes.set(xlabel="training step", ylabel=ylabel)
    axes.set_title(title)
    if len(names) > 1:
        draw_legend(axes)
    return svg(figure, f"{title} of {run.name}")
