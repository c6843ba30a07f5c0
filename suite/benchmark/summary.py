"""What a page about a sweep says, as tables: from the rows of its results alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import mean, stdev
from typing import TypeVar

from lightning_modules.metrics.registry import MAPS, list_unit_metrics, titles
from lightning_modules.metrics.temporal import TITLES
from suite.benchmark.plan import NOTHING
from suite.benchmark.results import ALL, AS_CHANCE, ResultRow

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A cell of a table."""

    text: str
    value: float | None = None  # from 0.5, pale, to 1, deep; not coloured without

    @property
    def shade(self) -> int:
        """In percent."""
        return 0 if self.value is None else round(100 * min(1.0, max(0.0, 2 * self.value - 1)))


@dataclass(frozen=True, kw_only=True)
class Table:
    head: list[str]
    rows: list[list[Entry]]
    note: str = ""


def format_mean(values: Sequence[float], coloured: bool = True, digits: int = 3) -> Entry:
    """Mean, and spread of several."""
    if not values:
        return Entry(text="-")
    spread = f" ± {stdev(values):.{digits}f}" if len(values) > 1 else ""
    return Entry(text=f"{mean(values):.{digits}f}{spread}", value=mean(values) if coloured else None)


def known_values(rows: Iterable[ResultRow], name: str) -> list[float]:
    return [value for row in rows if (value := row.values[name]) is not None]


def list_different(rows: Iterable[ResultRow], of: Callable[[ResultRow], T]) -> list[T]:
    """In the order of the rows."""
    return list(dict.fromkeys(map(of, rows)))


def list_degradations(rows: Iterable[ResultRow]) -> list[str]:
    return list(dict.fromkeys(row.degradation for row in rows if row.degradation is not None))


def select_clean(rows: Iterable[ResultRow]) -> list[ResultRow]:
    return [row for row in rows if row.degradation is None]


def select_totals(rows: Iterable[ResultRow]) -> list[ResultRow]:
    """Of all forgeries of a test together."""
    return [row for row in rows if row.forgery == ALL]


def select_known(rows: Iterable[ResultRow], name: str) -> list[ResultRow]:
    return [row for row in rows if row.values[name] is not None]


def average(rows: Iterable[ResultRow], name: str) -> float | None:
    values = known_values(rows, name)
    return mean(values) if values else None


def find_shared(rows: Iterable[ResultRow], name: str) -> dict[int, dict[tuple[str, str, str], float]]:
    """A metric of each seed, by training, test set and forgery: those that all seeds with any have."""
    seeds: dict[int, dict[tuple[str, str, str], float]] = {}
    for row in rows:
        if (value := row.values[name]) is not None:
            seeds.setdefault(row.seed, {})[row.train, row.test, row.forgery] = value
    shared = set.intersection(*(set(found) for found in seeds.values())) if seeds else set()
    return {seed: {key: found[key] for key in found if key in shared} for seed, found in seeds.items()}


def mean_per_seed(rows: Iterable[ResultRow], name: str) -> list[float]:
    """The mean over trainings, test sets and forgeries, the same for each seed."""
    return [mean(found.values()) for found in find_shared(rows, name).values() if found]


def name_method(method: str, rows: Sequence[ResultRow], name: str) -> Entry:
    """With the number of trainings that a mean is over, where that is not all.

    Args:
        rows: Of all methods that are compared.
    """
    trained = {row.train for row in rows} - {NOTHING}
    shared = find_shared((row for row in rows if row.method == method), name)
    known = {train for found in shared.values() for train, *_ in found}
    is_part = known and NOTHING not in known and known != trained
    return Entry(text=f"{method} ({len(known)} of {len(trained)} trainings)" if is_part else method)


def tabulate_tests(
    rows: Sequence[ResultRow], columns: Mapping[str, str], note: str, coloured: str | None = None
) -> Table:
    """A line for each method and test set.

    Args:
        columns: Titles of what is shown, by the names of its columns.
        coloured: Which of them is.
    """
    out = []
    for method, test in list_different(rows, lambda row: (row.method, row.test)):
        ours = [row for row in rows if (row.method, row.test) == (method, test)]
        figures = [format_mean(mean_per_seed(ours, name), coloured=name == coloured) for name in columns]
        label = name_method(method, rows, coloured or next(iter(columns)))
        out.append([label, Entry(text=test), *figures])
    return Table(head=["method", "tested on", *columns.values()], rows=out, note=note)


def format_share(ours: Sequence[ResultRow], rows: Sequence[ResultRow], name: str) -> Entry:
    """The mean, and over how many of the forgeries of the test sets it is, where that is not all.

    Args:
        rows: Of all methods that are compared.
    """
    every = {(row.test, row.forgery) for row in rows if row.values[name] is not None}
    known = {key[1:] for found in find_shared(ours, name).values() for key in found}
    entry = format_mean(mean_per_seed(ours, name))
    return replace(entry, text=f"{entry.text} ({len(known)} of {len(every)})") if known and known != every else entry


def forgeries(rows: Sequence[ResultRow]) -> Table | None:
    """What some methods were trained on and what none was, the same for all: means over trainings and test sets."""
    mine = [row for row in select_clean(rows) if row.forgery != ALL and row.seen is not None]
    kinds: dict[tuple[str, str, str], bool] = {}
    for row in mine:
        kind = (row.train, row.test, row.forgery)
        kinds[kind] = kinds.get(kind, False) or bool(row.seen)
    unseen = [row for row in mine if not kinds[row.train, row.test, row.forgery]]
    seen = [row for row in mine if kinds[row.train, row.test, row.forgery]]
    if not unseen:
        return None
    columns = list_different(unseen, lambda row: row.forgery)
    figure, out = "video_auroc", []
    for method in list_different(mine, lambda row: row.method):
        known_ones, new_ones = ([row for row in part if row.method == method] for part in (seen, unseen))
        line = [
            name_method(method, mine, figure),
            format_share(known_ones, seen, figure),
            format_share(new_ones, unseen, figure),
        ]
        line += [format_mean(mean_per_seed((row for row in new_ones if row.forgery == one), figure)) for one in columns]
        out.append(line)
    note = (
        "Video AUROC against all reals. In each training the same forgeries for all methods: those that at least one "
        "of them was trained on, and those that none was. A mean over fewer tests than there are says over how many."
    )
    return Table(head=["method", "seen by some", "seen by none", *columns], rows=out, note=note)


ACTIVATION = "class activation"
LOCAL = [metric.id for units in MAPS.values() for metric in list_unit_metrics(*units)]


def localization(rows: Sequence[ResultRow]) -> Table | None:
    """Of regions and of boundaries, as far as there are methods that show them."""
    mine = [
        row
        for row in select_totals(select_clean(rows))
        if known_values([row], "pixel_auroc") or known_values([row], "boundary_auroc")
    ]
    columns = titles(id for id in LOCAL if known_values(mine, id))
    named = [
        replace(row, job=replace(row.job, method=f"{row.method} ({ACTIVATION})")) if row.map_by == "activation" else row
        for row in mine
    ]
    note = (
        "On fakes whose masks are known: over all their pixels together, and as a mean over frames, which is what most "
        "of the field reports. A map that shows the boundary of a forged region is measured against that boundary, "
        "never against the region. False alarms are the area marked on reals. Class activations are how much each "
        "region adds to the score of a face; no mask has trained them."
    )
    return tabulate_tests(named, columns, note, "pixel_auroc") if mine else None


def localization_in_time(rows: Sequence[ResultRow]) -> Table | None:
    """Of test sets that say when their videos are forged."""
    mine = [row for row in select_totals(select_clean(rows)) if row.values.get(next(iter(TITLES))) is not None]
    note = (
        "Proposed from the scores of frames: AP pools the proposals of all videos, AR is the share of forged segments "
        "that the best proposals of each video find, a mean over IoUs from 0.5 to 0.95. The report of each test has "
        "their intervals, and how far apart the frames were that it scored."
    )
    return tabulate_tests(mine, TITLES, note, next(iter(TITLES))) if mine else None


OPERATING = (
    "video_accuracy_at_validation",
    "video_balanced_accuracy_at_validation",
    "video_balanced_accuracy_at_oracle",
    "video_fpr_at_validation",
    "video_tpr_at_validation",
    "video_ece",
    "video_ece_calibrated",
)
COVERAGE = {"coverage": "coverage", AS_CHANCE: "video AUROC, the others by chance"}


def tabulate_operating_points(rows: Sequence[ResultRow]) -> Table:
    note = (
        "Thresholds and calibration (Platt's slope and bias of the log odds) come from the validation split of the "
        "training data; what the test set itself chose, an oracle, only says what their transfer costs. ECE weighs "
        "reals and fakes alike: a score that says nothing, 0.5 for all, has 0. Coverage is the share of videos with a "
        "face: the others are in no metric but the last, where each comparison with one of them counts a half."
    )
    return tabulate_tests(select_totals(select_clean(rows)), titles(OPERATING) | COVERAGE, note)


def severities(rows: Iterable[ResultRow]) -> set[int]:
    """That any method was tested in."""
    return {row.severity for row in rows if row.degradation is not None}


def mean_when_degraded(rows: Sequence[ResultRow], kind: str, wanted: set[int], name: str) -> float | None:
    """Mean over severities, of one degradation, method, test set and seed; where all are known."""
    mine = [row for row in rows if row.degradation == kind]
    found = {row.severity: value for row in mine if (value := row.values[name]) is not None}
    return mean(found.values()) if found.keys() == wanted else None


def robustness(rows: Sequence[ResultRow], name: str = "video_auroc") -> Table | None:
    """Means over severities of each degradation; the last columns over all of them."""
    kinds = list_degradations(rows)
    mine, wanted = select_totals(rows), severities(rows)
    if not kinds or not known_values(mine, name):
        return None
    out = []
    for method, test in list_different(select_known(mine, name), lambda row: (row.method, row.test)):
        tests: dict[tuple[str, int], list[ResultRow]] = {}
        for row in mine:
            if (row.method, row.test) == (method, test):
                tests.setdefault((row.train, row.seed), []).append(row)
        before = {key: average(select_clean(one), name) for key, one in tests.items()}
        after = {key: [mean_when_degraded(one, kind, wanted, name) for kind in kinds] for key, one in tests.items()}
        all_of = {key: mean(v for v in each if v is not None) for key, each in after.items() if None not in each}
        lost = [value - all_of[key] for key, value in before.items() if value is not None and key in all_of]
        line = [
            Entry(text=method),
            Entry(text=test),
            format_mean([value for value in before.values() if value is not None]),
        ]
        line += [format_mean([each[i] for each in after.values() if each[i] is not None]) for i in range(len(kinds))]  # type: ignore[misc]
        line += [format_mean(list(all_of.values())), format_mean(lost, coloured=False)]
        degraded = [row for one in tests.values() for row in one if row.degradation]
        seen = [value for value in known_values(degraded, "coverage") if value]
        out.append([*line, Entry(text=f"{min(seen):.2f}" if seen else "-")])
    note = (
        "Means over the severities, applied to the videos before faces are looked for, where all of them were tested. "
        "The last column is the smallest share of videos in which a face was still found: metrics are of those alone."
    )
    head = ["method", "tested on", "clean", *kinds, "mean corrupted", "mean drop", "least coverage"]
    return Table(head=head, rows=out, note=note)


def curves(rows: Sequence[ResultRow], name: str) -> dict[str, dict[str, list[tuple[int, float]]]]:
    """(severity, mean over trainings and test sets) by degradation and method; severity 0 is the clean video."""
    mine = select_known(select_totals(rows), name)
    out: dict[str, dict[str, list[tuple[int, float]]]] = {}
    for kind in list_degradations(rows):
        for method in list_different(mine, lambda row: row.method):
            ours = [row for row in mine if row.method == method and row.degradation in (None, kind)]
            points = []
            for severity in sorted({row.severity for row in ours}):
                values = known_values((row for row in ours if row.severity == severity), name)
                if len(values) == len(select_clean(ours)):  # of the same tests at each point
                    points.append((severity, mean(values)))
            if len(points) > 1:
                out.setdefault(kind, {})[method] = points
    return out


def cost(rows: Sequence[ResultRow]) -> Table:
    out = []
    mine = select_totals(select_clean(rows))
    for method in list_different(mine, lambda row: row.method):
        ours = [row for row in mine if row.method == method]
        size = next((row.parameters for row in ours if row.parameters is not None), None)
        per_video = [s / (row.reals + row.fakes) for row in ours if (s := row.values["test_seconds"]) is not None]
        line = [Entry(text=method), Entry(text="-" if size is None else f"{size / 1e6:.2f} M")]
        trained = {(row.train, row.seed): row.values["train_seconds"] for row in ours}
        line.append(format_mean([value for value in trained.values() if value is not None], coloured=False, digits=0))
        line.append(format_mean(per_video, coloured=False))
        out.append(line)
    note = "Wall time on the machine of the sweep, with its start; what was interrupted has none."
    return Table(head=["method", "parameters", "seconds of training", "seconds per tested video"], rows=out, note=note)
