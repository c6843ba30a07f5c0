"""A studio for studies: more people than the small one, and forgeries of those who are tested, or of all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jsonargparse import auto_cli

from datamodules.datasets.ffpp import index
from datamodules.faces.tracking.tracker import FaceTracker
from datamodules.media.video import Auto
from datamodules.prepared.prepare import prepare_all
from datamodules.prepared.recipe import Recipe
from datamodules.runtime.errors import UserError
from datamodules.runtime.process_pool import Job, run
from datamodules.studio.build import Plan, begin, write_identity


@dataclass(frozen=True, kw_only=True)
class Cast(Plan):
    """As many pairs of people as are asked for, rendered as in the small studio."""

    train: int
    val: int
    test: int
    everyone: bool

    @property
    def pairs(self) -> dict[str, int]:
        return {"train": self.train, "val": self.val, "test": self.test}


def cast(
    out: Path,
    train: int = 35,
    val: int = 6,
    test: int = 10,
    everyone: bool = False,
    difficulty: float = 0.1,
    seed: int = 0,
    side: int = 128,
    workers: int = 2,
    crops: bool = True,
) -> None:
    """Render, and prepare the crops, a second time with more room for methods that blend faces.

    Args:
        out: Folder to fill.
        train: Pairs of people.
        val: Pairs of people.
        test: Pairs of people.
        everyone: Whether all are forged, or only who is tested.
        difficulty: Difficulty of the forgeries.
        seed: Seed of all draws.
        side: Side of the crops in pixels.
        workers: Processes.
        crops: Whether they are prepared here; another recipe may follow.
    """
    plan = Cast(size="small", seed=seed, difficulty=difficulty, train=train, val=val, test=test, everyone=everyone)
    for split, pairs in plan.splits().items():
        if len(pairs) < plan.pairs[split]:
            raise UserError(f"--{split} {plan.pairs[split]}: the studio has {len(pairs)} pairs of people for it")
    begin(out, plan)
    work: list[Job] = []
    for split, pairs in plan.splits().items():
        work += [
            (write_identity, (plan, out, x, y, everyone or split == "test"))
            for a, b in pairs
            for x, y in ((a, b), (b, a))
        ]
    for done, _ in enumerate(run(work, workers), 1):
        print(f"\rrendered {done} of {len(work)}", end="")
    if not crops:
        return
    rows = [row for row in index(out) if row.compression == "c23"]
    for name, margin in (("prepared", 1.3), ("prepared_m15", 1.5)):
        recipe = Recipe(decoder=Auto(), tracker=FaceTracker(), size=side, margin=margin)
        for done, total in prepare_all(rows, out, out / name, recipe, workers):
            print(f"\r{name}: {done} of {total}", end="")


if __name__ == "__main__":
    auto_cli(cast, as_positional=False)
