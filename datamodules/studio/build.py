"""The studio on disk: FaceForensics++'s own layout, filled by several processes."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.atomic import appearing, write_text
from datamodules.encode import write_h264
from datamodules.errors import Refused
from datamodules.pool import Job, run
from datamodules.studio import identity
from datamodules.studio.forge import ALTERED, FORGERIES, Take
from datamodules.studio.predictor import train_predictor
from datamodules.studio.scene import Camera, Shot, direct, film

Size = Literal["tiny", "small", "medium"]
CRF = {"c23": 23, "c40": 40}
MASK_CRF = 12
RESOLUTIONS = {
    "tiny": [(256, 192), (224, 208)],
    "small": [(256, 192), (240, 240), (320, 240), (288, 216)],
    "medium": [(320, 240), (480, 360), (640, 360), (360, 480)],
}
LAYOUT = 1  # raise when the same seed gives other pictures


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that decides the pictures of a studio."""

    size: Size
    seed: int
    difficulty: float
    layout: int = LAYOUT

    @property
    def pairs(self) -> dict[str, int]:
        counts = {"tiny": (2, 1, 1), "small": (10, 3, 3), "medium": (72, 14, 14)}[self.size]
        return dict(zip(("train", "val", "test"), counts, strict=True))

    @property
    def frames(self) -> int:
        return 96 if self.size == "medium" else 48

    @property
    def stills(self) -> int:
        """Portraits that the landmark predictor learns from."""
        return 48 if self.size == "tiny" else 250

    def splits(self) -> dict[str, list[tuple[str, str]]]:
        """Pairs of ids as FaceForensics++ lists them."""
        ids = [f"{i:03d}" for i in range(2 * sum(self.pairs.values()))]
        random.Random(self.seed).shuffle(ids)
        twos = iter(list(zip(ids[::2], ids[1::2], strict=True)))
        return {split: [next(twos) for _ in range(count)] for split, count in self.pairs.items()}

    def person(self, id: str) -> identity.Identity:
        return identity.draw(np.random.default_rng([self.seed, 0, int(id)]))

    def shot(self, id: str) -> Shot:
        rng = np.random.default_rng([self.seed, 1, int(id)])
        sizes = RESOLUTIONS[self.size]
        width, height = sizes[int(id) % len(sizes)]
        return direct(rng, width, height, self.frames)


@dataclass(frozen=True, kw_only=True)
class Video:
    """One video before it is encoded."""

    folder: str  # below the root, as FaceForensics++ names it
    stem: str
    frames: list[NDArray[np.uint8]]
    masks: list[NDArray[np.uint8]] | None
    points: NDArray[np.float32]  # (T, 68, 2)


def render(plan: Plan, target: str, source: str) -> Iterator[Video]:
    """The real video of one id, then all its forgeries with the face of another."""
    shot, person = plan.shot(target), plan.person(target)
    camera = Camera(shot)
    frames, points = map(list, zip(*film(person, shot), strict=True))
    real = [camera.shoot(frame, i) for i, frame in enumerate(frames)]
    yield Video(folder="original_sequences/youtube", stem=target, frames=real, masks=None, points=np.stack(points))
    take = Take(
        target=person,
        source=plan.person(source),
        shot=shot,
        frames=frames,
        points=points,
        source_shot=plan.shot(source),
        difficulty=plan.difficulty,
        seed=[plan.seed, int(target), int(source)],
    )
    for method, forge in FORGERIES.items():
        fake, masks, moved = [], [], []
        for i, forged in enumerate(forge(take)):
            # what is pasted after the camera has less of its noise
            fake.append(camera.shoot(forged.picture, i, 1 - (1 - plan.difficulty) * forged.alpha[..., None]))
            masks.append(((forged.alpha > ALTERED) * 255).astype(np.uint8))
            moved.append(forged.points)
        folder = f"manipulated_sequences/{method}"
        yield Video(folder=folder, stem=f"{target}_{source}", frames=fake, masks=masks, points=np.stack(moved))


def film_id(plan: Plan, root: Path, target: str, source: str, forged: bool = True) -> None:
    """Renders and writes one id; the exact truth goes to a folder that only tests read."""
    cv2.setNumThreads(1)
    done = root / "truth" / "done" / target
    if done.exists():
        return
    fps = plan.shot(target).fps
    for video in islice(render(plan, target, source), None if forged else 1):
        for compression, crf in CRF.items():
            write_h264(root / video.folder / compression / "videos" / f"{video.stem}.mp4", video.frames, fps, crf)
        truth: dict[str, Any] = {"landmarks": video.points}
        if video.masks is not None:
            write_h264(root / video.folder / "masks" / "videos" / f"{video.stem}.mp4", video.masks, fps, MASK_CRF)
            truth["masks"] = np.packbits(np.stack(video.masks) > 0, axis=-1)
        path = root / "truth" / video.folder / f"{video.stem}.npz"
        with appearing(path) as part, part.open("wb") as f:
            np.savez(f, **truth)
    done.parent.mkdir(parents=True, exist_ok=True)
    done.touch()


def write_lists(root: Path, plan: Plan) -> None:
    """What was asked for, the pairs of each split, and what people look like."""
    root.mkdir(parents=True, exist_ok=True)
    write_text(root / "studio.json", json.dumps(asdict(plan), indent=1) + "\n")
    lines = ["identity,skin,fringe"]
    for split, pairs in plan.splits().items():
        write_text(root / f"{split}.json", json.dumps(pairs) + "\n")
        for id in sorted(one for pair in pairs for one in pair):
            person = plan.person(id)
            lines.append(f"{id},{person.tone},{'long' if person.fringe > 0 else 'short'}")
    write_text(root / "attributes.csv", "\n".join(lines) + "\n")


def build(root: Path, plan: Plan, workers: int) -> Iterator[tuple[int, int]]:
    """Fills the folder, yielding (done, all); what an earlier run finished is kept."""
    stamp = root / "studio.json"
    if stamp.exists() and (made := json.loads(stamp.read_text())) != asdict(plan):
        raise Refused(f"{stamp}: made with {made}, now asked for {asdict(plan)}; choose another folder")
    if not stamp.exists() and root.exists() and any(root.iterdir()):
        raise Refused(f"{root}: not empty and not a studio; choose another folder")
    write_lists(root, plan)
    jobs = [pair for pairs in plan.splits().values() for a, b in pairs for pair in ((a, b), (b, a))]
    work: list[Job] = [(train_predictor, (root / "shape_predictor_68.dat", plan.seed, plan.stills))]
    work += [(film_id, (plan, root, target, source)) for target, source in jobs]
    for done, _ in enumerate(run(work, workers), 1):
        yield done, len(work)
