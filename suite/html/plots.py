"""The drawings of a report, as SVG that goes into the page."""

from __future__ import annotations

import io

import matplotlib as mpl
import torch
from markupsafe import escape
from matplotlib.figure import Figure

from lightning_modules.metrics import functional
from suite.run_metrics import Run, videos

COLOURS = ["#2563eb", "#dc2626", "#059669", "#d97706", "#7c3aed", "#0891b2"]
mpl.rcParams |= {
    "svg.fonttype": "none",
    "svg.hashsalt": "suite",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def svg(figure: Figure, title: str) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :].replace("<svg", f'<svg role="img" aria-label="{title}"', 1)


def roc(runs: list[Run], test_set: str) -> str:
    figure = Figure((4.4, 4))
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="#9ca3af", linewidth=1, linestyle=":")
    for run, colour in zip(runs, COLOURS * len(runs), strict=False):
        v = videos(run)
        if len(set(v.label)) == 2:
            fpr, tpr = functional.roc(torch.from_numpy(v.score), torch.from_numpy(v.label))
            axes.step(fpr, tpr, where="post", color=colour, label=run.name)
    axes.set(
        xlabel="share of real videos called fake", ylabel="share of fake videos found", xlim=(-0.01, 1), ylim=(0, 1.01)
    )
    axes.legend(frameon=False, loc="lower right")
    return svg(figure, f"ROC curves over videos of {escape(test_set)}")


def histogram(run: Run) -> str:
    figure = Figure((5.4, 3.2))
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
                label=f"{name} ({len(part)})",
            )
    if (threshold := run.fixed_values.get("video_threshold")) is not None:
        axes.axvline(threshold, color="#111827", linestyle="--", linewidth=1, label="threshold from validation")
    axes.set(xlabel="score of the video", ylabel="share of the class", xlim=(0, 1))
    axes.legend(frameon=False)
    return svg(figure, "Scores of real and fake videos")


def curve(run: Run, names: dict[str, str], ylabel: str) -> str | None:
    """Over training steps, from metrics.csv."""
    figure = Figure((5.4, 3.2))
    axes = figure.subplots()
    for (name, label), colour in zip(names.items(), COLOURS, strict=False):
        points = [(int(row["step"]), float(row[name])) for row in run.history if row.get(name)]
        if points:
            axes.plot(*zip(*points, strict=True), color=colour, label=label, marker="." if len(points) < 40 else None)
    if not axes.lines:
        return None
    axes.set(xlabel="step", ylabel=ylabel)
    axes.legend(frameon=False)
    return svg(figure, ylabel)
