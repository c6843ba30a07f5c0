"""The plots of a page about a sweep, as SVG that goes into it."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

from markupsafe import Markup, escape
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lightning_modules.metrics.significance import Claim
from lightning_modules.own_validation import find_needed
from suite.html.plots import COLOURS, DASHES, INK, SOFT, line_style, svg

Curves = Mapping[str, Mapping[str, Sequence[tuple[int, float]]]]  # points of each method, in each panel


def forest(claims: Sequence[Claim], title: str) -> str:
    """A gain with its interval for each pair; what does not hold is pale."""
    figure = Figure((4.2, 1 + 0.28 * len(claims)))
    axes = figure.subplots()
    for y, claim in enumerate(reversed(claims)):
        colour = COLOURS[0] if claim.is_resolved else SOFT
        axes.plot([claim.gain.low, claim.gain.high], [y, y], color=colour, linewidth=2, solid_capstyle="butt")
        axes.plot(claim.gain.value, y, "o", color=colour, markersize=5)
    axes.axvline(0, color=INK, linewidth=1)
    axes.set_yticks(range(len(claims)), [f"{claim.ours} over {claim.theirs}" for claim in reversed(claims)])
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
    axes.set(xlabel="gain in video AUROC, with its 95 % interval", ylim=(-0.7, len(claims) - 0.3))
    axes.set_title("Gains of each pair")
    return svg(figure, title)


def robustness(by_kind: Curves, methods: Sequence[str], ylabel: str) -> str:
    """One panel for each degradation."""
    return draw_panels(by_kind, methods, "severity (0: not degraded)", ylabel, range(6))


def learning_curves(by_training_set: Curves, methods: Sequence[str], limit: float) -> str:
    """One panel for each training set, with what a training must reach."""
    return draw_panels(by_training_set, methods, "epoch", "own validation, video AUROC", limit=find_needed(limit))


def draw_panels(
    by_kind: Curves,
    methods: Sequence[str],
    xlabel: str,
    ylabel: str,
    ticks: Sequence[int] | None = None,
    limit: float | None = None,
) -> str:
    """A legend, then a plot for each panel, with one line for each method and the same axes.

    Args:
        methods: All of the sweep, so that each has the same line in every plot of a page.
        limit: What a value must reach.
    """
    drawn = {method for lines in by_kind.values() for method in lines}
    points = [point for lines in by_kind.values() for line in lines.values() for point in line]
    values = [value for _, value in points] + ([] if limit is None else [limit])
    margin = 0.05 * (max(values) - min(values)) or 0.05
    out = [draw_key(methods, drawn, limit)]
    for kind, lines in by_kind.items():
        figure = Figure((3.2, 2.6))
        axes = figure.subplots()
        for method, line in lines.items():
            axes.plot(*zip(*line, strict=True), **line_style(methods.index(method)), marker=".")
        if limit is not None:
            axes.axhline(limit, color=SOFT, linewidth=1, linestyle=":")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        if ticks is not None:
            axes.set_xticks(ticks)
        else:
            axes.set_xlim(min(x for x, _ in points) - 0.5, max(x for x, _ in points) + 0.5)
        axes.set(xlabel=xlabel, ylabel=ylabel, ylim=(min(values) - margin, max(values) + margin))
        name = kind.replace("_", " ")
        axes.set_title(name)
        out.append(svg(figure, f"{ylabel} by {xlabel.split(' (')[0]}: {name}"))
    return "".join(out)


def draw_key(methods: Sequence[str], drawn: Container[str], limit: float | None) -> str:
    """Which line is whose, for several plots at once."""
    patterns = ["", "6 4", "6 3 2 3", "2 2"]  # of DASHES
    lines = [
        (method, f"s{i % len(COLOURS)}", patterns[i % len(DASHES)], 2)
        for i, method in enumerate(methods)
        if method in drawn
    ]
    lines += [] if limit is None else [(f"limit {limit:g}", "soft", "1 2", 1)]
    return Markup("<ul class=legend>{}</ul>").format(
        Markup("").join(
            Markup(
                '<li><svg width="32" height="8" aria-hidden="true"><line x1="0" x2="32" y1="4" y2="4" '
                'stroke="var(--{})" stroke-width="{}" stroke-dasharray="{}"/></svg> {}</li>'
            ).format(colour, width, dash, escape(name))
            for name, colour, dash, width in lines
        )
    )
