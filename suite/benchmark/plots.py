"""The drawings of a page about a sweep, as SVG that goes into it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lightning_modules.metrics.significance import Claim
from suite.html.plots import COLOURS, svg

WIDE = 4  # panels of one line


def forest(claims: Sequence[Claim], title: str) -> str:
    """A gain with its interval for each pair; what does not hold is pale."""
    figure = Figure((7, 0.9 + 0.28 * len(claims)))
    axes = figure.subplots()
    for y, claim in enumerate(reversed(claims)):
        colour = COLOURS[0] if claim.is_resolved else "#9ca3af"
        axes.plot([claim.gain.low, claim.gain.high], [y, y], color=colour, linewidth=2, solid_capstyle="butt")
        axes.plot(claim.gain.value, y, "o", color=colour, markersize=5)
    axes.axvline(0, color="#111827", linewidth=1)
    axes.set_yticks(range(len(claims)), [f"{claim.ours} over {claim.theirs}" for claim in reversed(claims)])
    axes.set(xlabel="gain in video AUROC", ylim=(-0.7, len(claims) - 0.3))
    return svg(figure, title)


Curves = Mapping[str, Mapping[str, Sequence[tuple[int, float]]]]  # points of each method, in each panel


def robustness(by_kind: Curves, ylabel: str) -> str:
    """One panel for each degradation."""
    figure = curves(by_kind, "severity; 0 is the video as it is", ylabel)
    for axes in figure.axes:
        axes.set_xticks(range(6))
    return svg(figure, f"{ylabel} by severity of each degradation")


def learning_curves(by_training_set: Curves, limit: float) -> str:
    """One panel for each training set, with what a training must reach."""
    ylabel = "own validation, video AUROC"
    figure = curves(by_training_set, "epoch", ylabel)
    for axes in figure.axes:
        axes.axhline(limit, color="#9ca3af", linewidth=1, linestyle=":")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return svg(figure, f"{ylabel} by epoch")


def curves(by_kind: Curves, xlabel: str, ylabel: str) -> Figure:
    """One line for each method."""
    methods = list(dict.fromkeys(method for lines in by_kind.values() for method in lines))
    colour = dict(zip(methods, COLOURS * len(methods), strict=False))
    wide, high = min(WIDE, len(by_kind)), ceil(len(by_kind) / WIDE)
    figure = Figure((2.6 * wide + 0.6, 2.2 * high + 0.6), layout="constrained")
    panels = figure.subplots(high, wide, sharex=True, sharey=True, squeeze=False).ravel()
    for axes, (kind, lines) in zip(panels, by_kind.items(), strict=False):
        for method, points in lines.items():
            dash = "-" if methods.index(method) < len(COLOURS) else "--"
            axes.plot(*zip(*points, strict=True), dash, color=colour[method], marker=".", label=method)
        axes.set_title(kind.replace("_", " "), fontsize=10)
    for axes in panels[len(by_kind) :]:
        axes.remove()
    figure.supxlabel(xlabel, fontsize=10)
    figure.supylabel(ylabel, fontsize=10)
    named = {label: line for axes in panels for line, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(list(named.values()), list(named), frameon=False, ncols=4, loc="outside upper center")
    return figure
