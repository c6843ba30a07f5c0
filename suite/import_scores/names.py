"""Which video of a data set a name means that somebody else wrote."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from datamodules.manifest import Video
from datamodules.runtime.errors import UserError
from suite.cli.suggest import suggest
from suite.import_scores.scores import ForeignScore

SHOWN = 3  # names in a message


def split_name(path: str) -> tuple[str, ...]:
    """Parts of a path without the suffix of its file."""
    parts = [part for part in path.replace("\\", "/").split("/") if part not in ("", ".")]
    if parts:
        stem, dot, suffix = parts[-1].rpartition(".")
        parts[-1] = stem if dot and stem and suffix.isalnum() and not suffix.isdigit() else parts[-1]
    return tuple(parts)


class Names:
    """Finds videos by their key, their path, or as much of its end as tells them apart."""

    def __init__(self, rows: Sequence[Video]) -> None:
        self.by_key = {row.key: row for row in rows}
        self.by_last: dict[str, list[tuple[tuple[str, ...], Video]]] = defaultdict(list)
        for row in rows:
            parts = split_name(row.path)
            self.by_last[parts[-1]].append((parts, row))

    def find(self, name: str) -> list[Video]:
        """One, where the name is right; several that it does not tell apart; none."""
        if name in self.by_key:
            return [self.by_key[name]]
        given = split_name(name)
        known = self.by_last.get(given[-1], []) if given else []
        # either may begin at a folder further up
        found = [
            (parts, row) for parts, row in known if all(a == b for a, b in zip(parts[::-1], given[::-1], strict=False))
        ]
        exact = [row for parts, row in found if parts == given]
        return exact or [row for _, row in found]

    def suggest(self, name: str) -> str:
        given = split_name(name)
        return suggest("/".join(given), ["/".join(parts) for one in self.by_last.values() for parts, _ in one])


def match(scores: Iterable[ForeignScore], names: Names, file: Path) -> list[tuple[ForeignScore, Video]]:
    found: dict[str, list[Video]] = {}
    lines: dict[tuple[str, int, int], ForeignScore] = {}
    out, unknown = [], []
    for one in scores:
        if one.name not in found:
            found[one.name] = names.find(one.name)
            if not found[one.name]:
                unknown.append(one)
        rows = found[one.name]
        if len(rows) > 1:
            which = ", ".join(row.path for row in rows[:SHOWN])
            raise UserError(f"{file}, line {one.line}: {one.name!r} may be any of {which}; give more of its path")
        for row in rows:
            if (before := lines.setdefault((row.key, one.track, one.frame), one)) is not one:
                place = f"{row.path}, track {one.track}, frame {one.frame}"
                raise UserError(
                    f"{file}, line {one.line}: {place} stands in line {before.line} already ({before.name!r})"
                )
            out.append((one, row))
    if unknown:
        first = "; ".join(f"line {one.line}: {one.name!r}{names.suggest(one.name)}" for one in unknown[:SHOWN])
        raise UserError(f"{file}: {len(unknown)} of its {len(found)} videos are not in the data set ({first})")
    return out
