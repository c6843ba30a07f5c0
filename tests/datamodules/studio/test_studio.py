"""The generated data set: its layout, its determinism, and that only forgeries give the class away."""

from __future__ import annotations

import csv
import functools
import hashlib
import json
import multiprocessing
import shutil
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import get_args

import cv2
import dlib
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from datamodules.datasets.ffpp import index
from datamodules.media.traits import read_traits
from datamodules.media.video import Decord, probe
from datamodules.runtime.errors import UserError
from datamodules.studio.build import Plan, Size, StudioVideo, begin, build, cast, render
from datamodules.studio.forgeries.all import FORGERIES
from datamodules.studio.people import LONDON, Person, read_people
from tests.conftest import PLAN


class ShortPlan(Plan):
    """Videos of a third of a second, where all that matters is who is in which."""

    @property
    def frames(self) -> int:
        return 8


SHORT = ShortPlan(**vars(PLAN))
TARGET, SOURCE = PLAN.splits()["test"][0]


def list_people(plan: Plan) -> list[Person]:
    return [person for pairs in plan.splits().values() for pair in pairs for person in pair]


def digest(plan: Plan, target: Person, source: Person) -> str:
    sha = hashlib.sha256()
    for video in render(plan, target, source):
        sha.update(np.stack(video.frames).tobytes())
        sha.update(video.points.tobytes())
    return sha.hexdigest()


def test_the_same_seed_gives_the_same_bytes_in_any_process() -> None:
    here = digest(SHORT, TARGET, SOURCE)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        there = [task.result() for task in [pool.submit(digest, SHORT, TARGET, SOURCE) for _ in range(2)]]
    assert there == [here, here]
    assert digest(replace(SHORT, seed=1), TARGET, SOURCE) != here


def test_what_people_say_of_themselves_is_listed(studio: Path) -> None:
    with (studio / "attributes.csv").open(newline="") as f:
        rows = {row["identity"]: row for row in csv.DictReader(f)}
    assert rows.keys() == {person.id for person in list_people(PLAN)}
    for person in list_people(PLAN):
        row = rows[person.id]
        known = {name: value for name, value in person.attributes.items() if name not in ("age", "name")}
        assert {k: v for k, v in row.items() if k != "identity" and v} == known
        assert row["age_band"].startswith(("under 25", "25", "35", "55"))
        assert row["gender"] in {"female", "male"}


def test_nobody_is_in_two_splits_whatever_the_size_and_the_seed() -> None:
    home: dict[str, str] = {}
    for seed in range(5):
        for size in get_args(Size):
            for split, pairs in Plan(size=size, seed=seed, difficulty=0).splits().items():
                for person in (person for pair in pairs for person in pair):
                    assert home.setdefault(person.id, split) == split
    assert len(home) == 102


def test_the_reader_of_faceforensics_reads_it_unchanged(studio: Path) -> None:
    rows = list(index(studio))
    ids = 2 * sum(PLAN.pairs.values())
    assert len(rows) == ids * 2 * (1 + len(FORGERIES))
    assert {row.method for row in rows} == {"real", *FORGERIES}
    assert all(bool(row.mask) == bool(row.label) for row in rows)
    pairs = [
        tuple(pair) for split in ("train", "val", "test") for pair in json.loads((studio / f"{split}.json").read_text())
    ]
    assert {row.stem for row in rows if row.label} == {f"{x}_{y}" for a, b in pairs for x, y in ((a, b), (b, a))}


def test_videos_are_as_long_and_as_fast_as_promised(studio: Path) -> None:
    sizes = set()
    for row in index(studio):
        found = probe(studio / row.path)
        assert len(found) == PLAN.frames >= 48
        assert round(found.fps) in (25, 30)
        sizes.add(found.frame_bytes)
        if row.mask:
            np.testing.assert_allclose(probe(studio / row.mask).times, found.times, atol=1e-3)
    assert len(sizes) > 1


def test_hog_finds_the_face_in_99_of_100_frames_real_and_fake(studio: Path) -> None:
    detector, seen, found = dlib.get_frontal_face_detector(), 0, 0
    for row in index(studio):
        for number, _, frame in Decord().stream(studio / row.path):
            if number % 8 == 0:
                seen += 1
                found += len(detector(cv2.cvtColor(frame.numpy(), cv2.COLOR_RGB2GRAY), 0)) == 1
    assert found >= 0.99 * seen


@pytest.mark.parametrize("compression", ["c23", "c40"])
def test_nothing_but_the_forgery_tells_real_from_fake(studio: Path, compression: str) -> None:
    rows = [row for row in index(studio) if row.compression == compression]
    measured = [read_traits(studio / row.path) for row in rows]
    label = [row.label for row in rows]
    for trait in measured[0].numbers:
        assert 0.4 <= roc_auc_score(label, [one.numbers[trait] for one in measured]) <= 0.6, trait
    for trait in set(measured[0].kinds) - {"frame size"}:
        assert len({one.kinds[trait] for one in measured}) == 1, trait


def truth(studio: Path, method: str, stem: str) -> tuple[np.ndarray, np.ndarray]:
    found = np.load(studio / "truth" / "manipulated_sequences" / method / f"{stem}.npz")
    width = int(
        Decord().read(studio / "manipulated_sequences" / method / "c23" / "videos" / f"{stem}.mp4", [0]).shape[2]
    )
    return np.unpackbits(found["masks"], axis=-1)[..., :width].astype(bool), found["landmarks"]


def test_mask_videos_show_the_altered_region(studio: Path) -> None:
    for row in index(studio):
        if not row.label or row.compression != "c23" or row.split != "test":
            continue
        exact, points = truth(studio, row.method, row.stem)
        assert points.shape == (PLAN.frames, 68, 2)
        coded = Decord().read(studio / row.mask, list(range(0, PLAN.frames, 8)))[..., 1].numpy() > 127
        assert (coded & exact[::8]).sum() / (coded | exact[::8]).sum() > 0.9
        real = Decord().read(studio / f"original_sequences/youtube/c23/videos/{row.stem[:3]}.mp4", [0])[0].numpy()
        fake = Decord().read(studio / row.path, [0])[0].numpy()
        change = np.abs(real.astype(int) - fake).mean(-1)
        assert change[exact[0]].mean() > change[~exact[0]].mean()


@functools.cache
def rendered(plan: Plan = PLAN) -> dict[str, StudioVideo]:
    """The real video and all forgeries of one person before coding, by the name of their folder."""
    return {Path(video.folder).name: video for video in render(plan, TARGET, SOURCE)}


@pytest.mark.parametrize("method", list(FORGERIES))
def test_every_pixel_of_the_mask_is_new_and_no_other(method: str) -> None:
    videos = rendered()
    real, fake = np.stack(videos["youtube"].frames), np.stack(videos[method].frames)
    mask = np.stack(videos[method].masks or []) > 0
    assert 0.002 < mask.mean() < 0.35
    assert (real[~mask] == fake[~mask]).all()
    assert (real[mask] != fake[mask]).any(-1).mean() > 0.5


def grain(frames: list[np.ndarray], mask: np.ndarray) -> float:
    """The strength of what is finer than three pixels, where the mask is."""
    fine = [frame.astype(np.float32) - cv2.GaussianBlur(frame.astype(np.float32), (0, 0), 1) for frame in frames]
    return float(np.stack(fine)[mask].std())


@pytest.mark.parametrize("method", list(FORGERIES))
def test_a_faint_forgery_leaves_less_of_a_trace_than_an_obvious_one(method: str) -> None:
    def trace(difficulty: float) -> tuple[float, float]:
        videos = rendered(replace(SHORT, difficulty=difficulty))
        real, fake = videos["youtube"], videos[method]
        mask = np.stack(fake.masks or []) > 0
        change = np.abs(np.stack(real.frames).astype(int) - np.stack(fake.frames)).mean()
        return float(change), abs(np.log(grain(fake.frames, mask) / grain(real.frames, mask)))

    (obvious, coarse), (faint, fine) = trace(0), trace(1)
    if method == "Swap":  # another person is as different however well the face fits
        assert fine < 0.8 * coarse
    else:
        assert faint < 0.8 * obvious


def test_jitter_and_its_control_move_as_far_but_only_one_shakes() -> None:
    videos = rendered()
    real = videos["youtube"].points
    moves = {name: videos[name].points[:, 27:] - real[:, 27:] for name in ("TemporalJitter", "TemporalSmooth")}
    spread = {name: move.std(0).mean() for name, move in moves.items()}
    step = {name: np.abs(np.diff(move, axis=0)).mean() for name, move in moves.items()}
    assert spread["TemporalJitter"] == pytest.approx(spread["TemporalSmooth"], rel=0.1)
    assert 0.5 <= spread["TemporalJitter"] <= 3
    assert step["TemporalJitter"] > 4 * step["TemporalSmooth"]


def test_a_stopped_build_is_completed_and_another_seed_is_refused(tmp_path: Path, studio: Path) -> None:
    work = build(tmp_path / "s", SHORT, workers=2)
    next(work)
    work.close()  # type: ignore[attr-defined]
    assert [done for done, _ in build(tmp_path / "s", SHORT, workers=2)][-1] == 8
    files = {p.relative_to(studio) for p in studio.rglob("*.mp4")}
    assert {p.relative_to(tmp_path / "s") for p in (tmp_path / "s").rglob("*.mp4")} == files
    assert not list((tmp_path / "s").rglob("*.part"))
    with pytest.raises(UserError, match=r"studio\.json.*choose another folder"):
        next(build(tmp_path / "s", replace(SHORT, seed=5), workers=1))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("keep")
    with pytest.raises(UserError, match="not empty and not of 'studio'"):
        next(build(tmp_path / "mine", PLAN, workers=1))


def test_anybody_is_rendered_from_one_photograph(tmp_path: Path) -> None:
    people = read_people()[:6]
    for person in people:
        shutil.copy(person.neutral.path, tmp_path / f"{person.attributes['gender']} {person.id}.jpg")
    names = {person.id: f"{person.attributes['gender']} {person.id}" for person in people}
    given = {names[person.id]: {"neutral": person.neutral.points.tolist()} for person in people}
    (tmp_path / "points.json").write_text(json.dumps(given))
    plan = replace(PLAN, people=str(tmp_path))
    ids = [person.id for person in list_people(plan)]
    assert sorted(ids) == ["000", "001", "002", "003", "004", "005"]
    assert {person.attributes["name"] for person in list_people(plan)} == set(names.values())
    begin(tmp_path / "studio", plan)
    table = list(csv.DictReader((tmp_path / "studio" / "people.csv").open()))
    assert {row["identity"]: row["name"] for row in table} == {p.id: p.attributes["name"] for p in list_people(plan)}
    target, source = plan.splits()["test"][0]
    assert target.smiling is None
    videos = {Path(video.folder).name: video for video in render(plan, target, source)}
    detector = dlib.get_frontal_face_detector()
    for name in ("youtube", "Swap", "Reenactment"):
        frames = videos[name].frames[::12]
        assert all(len(detector(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY))) == 1 for frame in frames)
    smiles = [expression.smile for expression in plan.shot(target.id).expressions]
    width = [float(np.linalg.norm(points[54] - points[48])) for points in videos["youtube"].points]
    assert np.corrcoef(smiles, width)[0, 1] > 0.3  # the mesh smiles where no second photograph does


def test_a_studio_that_was_begun_with_other_people_is_not_gone_on_with(tmp_path: Path) -> None:
    folder, out = tmp_path / "people", tmp_path / "studio"
    folder.mkdir()
    people = read_people()[:7]
    for person in people[1:]:
        shutil.copy(person.neutral.path, folder / f"{person.id}.jpg")
    given = {person.id: {"neutral": person.neutral.points.tolist()} for person in people}
    (folder / "points.json").write_text(json.dumps(given))
    begin(out, replace(PLAN, people=str(folder)))
    begin(out, replace(PLAN, people=str(folder)))
    shutil.copy(people[0].neutral.path, folder / f"{people[1].id}.jpg")  # another face under the same name
    cast.cache_clear()
    with pytest.raises(UserError, match=r"studio\.json: made with another digest; choose another folder"):
        begin(out, replace(PLAN, people=str(folder)))
    assert set(read_people(LONDON)[0].attributes) <= {"age", "gender", "group", "age_band"}
    assert Plan(size="tiny", seed=0, difficulty=0, people=str(LONDON)).splits()  # the same folder, given by name


def test_a_folder_of_people_that_cannot_be_used_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nobody: no such folder"):
        Plan(size="tiny", seed=0, difficulty=0, people=str(tmp_path / "nobody")).splits()
    with pytest.raises(UserError, match="0 usable people, must be 6 or more"):
        Plan(size="tiny", seed=0, difficulty=0, people=str(tmp_path)).splits()
