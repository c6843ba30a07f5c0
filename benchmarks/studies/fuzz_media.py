"""Damaged videos through 'detect', 'prepare' and 'doctor': none may cost more than its own line.

python -m benchmarks.studies.fuzz_media --files 500

Clips of a rendered face with a tone, in four codings, of which bytes are flipped, cut off or put in.
"""

from __future__ import annotations

import functools
import shutil
import tempfile
from collections import Counter
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from jsonargparse import auto_cli
from numpy.typing import NDArray

from benchmarks.record import record
from benchmarks.studies.damaged_clips import (
    CODINGS,
    DamagedClip,
    make_cases,
)
from datamodules.datasets.doctor import check_decoded
from datamodules.faces.tracking.tracker import FaceTracker
from datamodules.manifest import Video
from datamodules.media.probe import VideoError, probe
from datamodules.media.video import Auto, PyAV
from datamodules.prepared.prepare import prepare_video
from datamodules.prepared.recipe import Recipe
from datamodules.runtime import process_pool
from datamodules.runtime.errors import CRASHED, UserError
from suite.detect.analyzer import DEFAULT, Analyzer, DetectSettings
from suite.detect.usable import Usable

Verb = Literal["detect", "prepare", "doctor"]
Outcome = Literal["judged", "refused", "traceback", "hang", "crash"]
VERBS: tuple[Verb, ...] = ("detect", "prepare", "doctor")
LIMIT = 60.0  # seconds of a file and verb, after which it hangs


@dataclass(frozen=True, slots=True)
class Result:
    """What a verb made of a file.

    Args:
        says_damage: Whether it says that frames are damaged.
        reason: Why it was refused, or what was raised.
    """

    outcome: Outcome
    says_damage: bool = False
    reason: str = ""


def row_of(path: Path) -> Video:
    return Video(
        dataset="fuzz",
        method="real",
        stem=path.stem,
        path=f"real/{path.name}",
        label=0,
        split="test",
        identities=path.stem,
    )


class Verbs:
    """The three, on one file at a time."""

    def __init__(self, checkpoint: Path, frames: int) -> None:
        usable = Usable(side=20, frames=2, sharpness=0.0)
        self.analyzer = Analyzer([checkpoint], DetectSettings(frames=frames, usable=usable, device="cpu"))
        self.recipe = Recipe(decoder=Auto(), tracker=FaceTracker(), size=64, frames=frames)

    def run(self, verb: Verb, path: Path, out: Path) -> Result:
        try:
            return getattr(self, verb)(path, out)
        except Exception as error:  # what would have ended the verb for all files
            return Result("traceback", reason=f"{type(error).__name__}: {error}")

    def detect(self, path: Path, out: Path) -> Result:
        try:
            document = self.analyzer.analyze(path, out / "detected", True, lambda *_: None)
        except (UserError, OSError, ArithmeticError, MemoryError, cv2.error) as error:  # as the verb does
            return Result("refused", reason=str(error))
        return Result("judged", says_damage=bool(document.file.damaged))

    def prepare(self, path: Path, out: Path) -> Result:
        prepare_video(row_of(path), path.parents[1], out, self.recipe)
        [part] = (out / "parts").iterdir()
        skipped = part / "skipped.json"
        if skipped.exists():
            return Result("refused", reason=skipped.read_text())
        return Result("judged", says_damage=(part / "damaged.json").exists())

    def doctor(self, path: Path, out: Path) -> Result:
        kinds = {one.kind: one.text for one in check_decoded(row_of(path), path.parents[1], PyAV(), 1)}
        if "corrupt" in kinds:
            return Result("refused", reason=kinds["corrupt"])
        return Result("judged", says_damage="damaged" in kinds)


def shows_damage(case: DamagedClip) -> bool:
    """Whether a file that can be read shows other images than before, or at other times."""

    def show(path: Path) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
        index = probe(path)
        return index.times, PyAV().read(path, range(len(index)), index).numpy()

    (times, images), (times_before, images_before) = show(case.path), show(case.original)
    return not (
        np.array_equal(images, images_before)
        and len(times) == len(times_before)
        and np.allclose(times, times_before, atol=2e-3)
    )


@functools.lru_cache
def build_verbs(checkpoint: Path, frames: int) -> Verbs:
    """Once in each process."""
    return Verbs(checkpoint, frames)


def run_verb(checkpoint: Path, frames: int, verb: Verb, path: Path, out: Path) -> Result:
    return build_verbs(checkpoint, frames).run(verb, path, out)


class Trial:
    """A process that is asked about one file at a time, and replaced where one ended it or was too slow."""

    def __init__(self, checkpoint: Path, frames: int) -> None:
        self.checkpoint, self.frames = checkpoint, frames
        self.start()

    def start(self) -> None:
        self.pool = process_pool.open_pool(1)
        self.pool.submit(build_verbs, self.checkpoint, self.frames).exception()  # imports are not the file's time

    def ask(self, verb: Verb, case: DamagedClip, work: Path) -> Result:
        out = Path(tempfile.mkdtemp(dir=work))
        try:
            task = self.pool.submit(run_verb, self.checkpoint, self.frames, verb, case.path, out)
            return task.result(timeout=LIMIT)
        except TimeoutError:
            outcome: Outcome = "hang"
        except BrokenProcessPool:
            outcome = "crash"
        finally:
            shutil.rmtree(out, ignore_errors=True)
        process_pool.close_pool(self.pool, at_once=True)
        self.start()
        return Result(outcome, reason=f"{LIMIT:g} s" if outcome == "hang" else CRASHED)


def tabulate(rows: list[tuple[DamagedClip, Verb, Result, bool]]) -> list[dict[str, Any]]:
    """Counts of each verb and coding; of judged files, those whose images differ, and those of them that say so."""
    out = []
    for verb in VERBS:
        for coding in CODINGS:
            mine = [(result, shows) for case, v, result, shows in rows if v == verb and case.coding == coding]
            count = Counter(result.outcome for result, _ in mine)
            changed = [result.says_damage for result, shows in mine if result.outcome == "judged" and shows]
            numbers = {"files": len(mine), "judged": count["judged"], "refused": count["refused"]}
            numbers |= {name: count[name] for name in ("traceback", "crash", "hang")}
            numbers |= {"judged_with_changed_images": len(changed), "of_these_said_damaged": sum(changed)}
            out.append({"verb": verb, "codec": coding, **numbers})
    return out


def fuzz(files: int = 500, frames: int = 12, seed: int = 0, checkpoint: Path = DEFAULT, name: str = "fuzz") -> None:
    """Damage clips, let the verbs read each in a process that may crash, print and record.

    Args:
        files: Number of damaged files.
        frames: Number of frames of a clip.
        seed: Seed of the damage.
        checkpoint: Run, checkpoint or exported folder that 'detect' asks.
        name: Name of the file of results.
    """
    rows: list[tuple[DamagedClip, Verb, Result, bool]] = []
    trial = Trial(checkpoint, frames)
    with tempfile.TemporaryDirectory(prefix="fuzz") as folder:
        for i, case in enumerate(make_cases(Path(folder) / "clips", files, seed, frames)):
            results = {verb: trial.ask(verb, case, Path(folder)) for verb in VERBS}
            try:
                shows = any(one.outcome == "judged" for one in results.values()) and shows_damage(case)
            except VideoError:
                shows = True
            rows += [(case, verb, result, shows) for verb, result in results.items()]
            for verb, result in results.items():
                if result.outcome not in ("judged", "refused"):
                    print(f"{i} {case.coding} {case.kind} {verb}: {result.outcome}, {result.reason}", flush=True)
            if i % 25 == 24:
                print(f"{i + 1} of {files} files", flush=True)
        process_pool.close_pool(trial.pool, at_once=True)
    table = tabulate(rows)
    for row in table:
        print(" ".join(f"{key} {value}" for key, value in row.items()))
    failures = [
        asdict(result) | {"file": case.path.name, "codec": case.coding, "damage": case.kind, "verb": verb}
        for case, verb, result, _ in rows
        if result.outcome not in ("judged", "refused")
    ]
    settings = {"files": files, "frames": frames, "seed": seed, "limit_seconds": LIMIT}
    print(record(name, {**settings, "verbs": table, "failures": failures}))


if __name__ == "__main__":
    auto_cli(fuzz, as_positional=False)
