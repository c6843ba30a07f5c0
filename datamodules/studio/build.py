"""The studio on disk: FaceForensics++'s own layout, filled by several processes."""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from datamodules.media.encode import write_h264
from datamodules.runtime.atomic_files import write_atomically, write_text
from datamodules.runtime.errors import UserError
from datamodules.runtime.own_folder import check_own
from datamodules.runtime.process_pool import Job, run
from datamodules.runtime.stored_files import read_json
from datamodules.studio.forgeries.all import FORGERIES
from datamodules.studio.forgeries.base import Take
from datamodules.studio.people import LONDON, Person, read_people, split_people
from datamodules.studio.portrait import make_portrait
from datamodules.studio.scene import open_camera, render_video
from datamodules.studio.shot import Shot, direct

Size = Literal["tiny", "small", "medium"]
CRF = {"c23": 23, "c40": 40}
MASK_CRF = 12
RESOLUTIONS = {
    "tiny": [(256, 192), (224, 208)],
    "small": [(256, 192), (240, 240), (320, 240), (288, 216)],
    "medium": [(320, 240), (480, 360), (640, 360), (360, 480)],
}
UNIQUE = ("identity", "name", "age")  # attributes that make no groups
LAYOUT = 2  # raise when the same seed gives other images


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that decides the images of a studio."""

    size: Size
    seed: int
    difficulty: float
    people: str = ""  # folder of photographs; those that come with the suite without it
    layout: int = LAYOUT

    @property
    def pairs(self) -> dict[str, int]:
        """How many pairs of people each split has, where there are so many."""
        counts = {"tiny": (2, 1, 1), "small": (10, 3, 3), "medium": (500, 500, 500)}[self.size]
        return dict(zip(("train", "val", "test"), counts, strict=True))

    @property
    def frames(self) -> int:
        return 96 if self.size == "medium" else 48

    def cast(self) -> dict[str, list[Person]]:
        """Everybody of each split, rendered or not: the same people whatever the size and the seed."""
        return cast(Path(self.people) if self.people else LONDON)

    def splits(self) -> dict[str, list[tuple[Person, Person]]]:
        """The pairs that are rendered, each with the face of the other."""
        out = {}
        for split, people in self.cast().items():
            chosen = people[: 2 * self.pairs[split]]
            random.Random(f"{self.seed} {split}").shuffle(chosen)
            out[split] = list(zip(chosen[::2], chosen[1::2], strict=True))
        return out

    def digest(self) -> str:
        """Of who is in which split and of all photographs: other people are another studio."""
        found = blake2b(digest_size=8)
        for split, people in self.cast().items():
            for person in people:
                found.update(f"{split} {person.id} {person.attributes['name']}".encode())
                for photograph in filter(None, (person.neutral, person.smiling)):
                    found.update(photograph.path.read_bytes() + photograph.points.tobytes())
        return found.hexdigest()

    def shot(self, id: str) -> Shot:
        rng = np.random.default_rng([self.seed, 1, int(id)])
        sizes = RESOLUTIONS[self.size]
        width, height = sizes[int(id) % len(sizes)]
        return direct(rng, width, height, self.frames)


@lru_cache(maxsize=2)
def cast(folder: Path) -> dict[str, list[Person]]:
    """The people of a folder by split, under ids of three digits as FaceForensics++ has them."""
    people = read_people(folder)
    number = {person.id: person.id if folder == LONDON else f"{i:03d}" for i, person in enumerate(people)}
    return {
        split: [replace(one, id=number[one.id], attributes=one.attributes | {"name": one.id}) for one in mine]
        for split, mine in split_people(people).items()
    }


@dataclass(frozen=True, kw_only=True)
class StudioVideo:
    """One video before it is encoded."""

    folder: str  # below the root, as FaceForensics++ names it
    stem: str
    frames: list[NDArray[np.uint8]]
    masks: list[NDArray[np.uint8]] | None
    points: NDArray[np.float32]  # (T, 68, 2)


def render(plan: Plan, target: Person, source: Person) -> Iterator[StudioVideo]:
    """The real video of one id, then all its forgeries with the face of another."""
    shot, portrait = plan.shot(target.id), make_portrait(target)
    camera = open_camera(shot)
    frames = list(render_video(portrait, shot, camera))
    real = [camera.shoot(frame.image, i) for i, frame in enumerate(frames)]
    yield StudioVideo(
        folder="original_sequences/youtube",
        stem=target.id,
        frames=real,
        masks=None,
        points=np.stack([frame.points for frame in frames]),
    )
    take = Take(
        target=portrait,
        source=make_portrait(source, cut=False),  # of whom only the face is taken
        shot=shot,
        camera=camera,
        frames=frames,
        source_shot=plan.shot(source.id),
        difficulty=plan.difficulty,
        seed=[plan.seed, int(target.id), int(source.id)],
    )
    for method, forge in FORGERIES.items():
        fake, masks, moved = [], [], []
        for i, forged in enumerate(forge(take)):
            fake.append(forged.shoot(camera, i, real[i], plan.difficulty))
            masks.append(((forged.alpha > 0) * 255).astype(np.uint8))
            moved.append(forged.points)
        folder = f"manipulated_sequences/{method}"
        yield StudioVideo(
            folder=folder, stem=f"{target.id}_{source.id}", frames=fake, masks=masks, points=np.stack(moved)
        )


def write_identity(plan: Plan, root: Path, target: Person, source: Person, forged: bool = True) -> None:
    """Renders and writes one id; the exact truth goes to a folder beside the videos."""
    cv2.setNumThreads(1)
    done = root / "truth" / "done" / target.id
    if done.exists():
        return
    fps = plan.shot(target.id).fps
    for video in islice(render(plan, target, source), None if forged else 1):
        for compression, crf in CRF.items():
            write_h264(root / video.folder / compression / "videos" / f"{video.stem}.mp4", video.frames, fps, crf)
        truth: dict[str, Any] = {"landmarks": video.points}
        if video.masks is not None:
            write_h264(root / video.folder / "masks" / "videos" / f"{video.stem}.mp4", video.masks, fps, MASK_CRF)
            truth["masks"] = np.packbits(np.stack(video.masks) > 0, axis=-1)
        path = root / "truth" / video.folder / f"{video.stem}.npz"
        with write_atomically(path) as part, part.open("wb") as f:
            np.savez(f, **truth)
    done.parent.mkdir(parents=True, exist_ok=True)
    done.touch()


def begin(root: Path, plan: Plan) -> None:
    """Makes the folder, or refuses one that holds something else."""
    stamp, asked = root / "studio.json", {**asdict(plan), "digest": plan.digest()}
    if root.exists() and not root.is_dir():
        raise UserError(f"{root}: is a file, must be a folder")
    check_own(root, stamp.name, "studio")
    if stamp.exists():
        made = read_json(stamp, dict, "; choose another folder")
        if made != asked:
            changed = [name for name in asked if made.get(name) != asked[name]]
            raise UserError(f"{stamp}: made with another {' and '.join(changed)}; choose another folder")
    root.mkdir(parents=True, exist_ok=True)
    write_text(stamp, json.dumps(asked, indent=1) + "\n")
    write_lists(root, plan)


def write_lists(root: Path, plan: Plan) -> None:
    """The pairs of each split, and what people say of themselves."""
    people = []
    for split, pairs in plan.splits().items():
        write_text(root / f"{split}.json", json.dumps([[a.id, b.id] for a, b in pairs]) + "\n")
        people += [person for pair in pairs for person in pair]
    people.sort(key=lambda person: person.id)
    groups = [{name: value for name, value in one.attributes.items() if name not in UNIQUE} for one in people]
    write_table(root / "attributes.csv", [{"identity": one.id, **own} for one, own in zip(people, groups, strict=True)])
    if plan.people:
        write_table(root / "people.csv", [{"identity": one.id, "name": one.attributes["name"]} for one in people])


def write_table(path: Path, rows: list[dict[str, str]]) -> None:
    """A CSV file; what a row lacks is empty."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    write_text(path, text.getvalue())


def build(root: Path, plan: Plan, workers: int) -> Iterator[tuple[int, int]]:
    """Fills the folder, yielding (done, all); what an earlier run finished is kept."""
    begin(root, plan)
    jobs = [pair for pairs in plan.splits().values() for a, b in pairs for pair in ((a, b), (b, a))]
    work: list[Job] = [(write_identity, (plan, root, target, source)) for target, source in jobs]
    for done, _ in enumerate(run(work, workers), 1):
        yield done, len(work)
