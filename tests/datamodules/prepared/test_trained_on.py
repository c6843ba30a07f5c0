"""What a detector saw is counted from the manifest of its training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from datamodules import manifest
from datamodules.datasets import celeb_df
from datamodules.face_data import FaceData
from datamodules.prepared.trained_on import SeenSet, count_seen, describe_seen, read_seen
from datamodules.synthesis.self_blend import SelfBlend
from lightning_modules.hub_folder import save
from lightning_modules.trained_method import load
from tests.fixtures.detecting import classifier
from tests.fixtures.rows import video


def test_photographs_videos_and_people_are_counted_for_each_data_set() -> None:
    photographs = [
        video(f"p{i}", "train", f"anna{i % 2}", dataset="portraits", frames=1, path=f"{i}.jpg") for i in range(3)
    ]
    videos = [
        video("a", "train", "ann", fps=25.0, frames=40),
        video("b", "train", "bob", fps=25.0, frames=1),  # of one frame, but a video
        video("c", "train", "bob", frames=40),  # a folder of numbered images
        video("a_b", "train", "ann bob", fps=25.0, frames=40, method="Swap", label=1),
    ]
    seen = count_seen(manifest.table([*videos, *photographs]))
    assert seen[0] == SeenSet(
        dataset="d", real_photographs=0, forged_photographs=0, real_videos=3, forged_videos=1, people=2
    )
    assert describe_seen(seen) == (
        "4 videos of 2 people (d: 3 real, 1 forged) and 3 photographs of 2 people (portraits: all real)"
    )


def test_clips_of_a_person_are_no_people() -> None:
    rows = [video(f"id0_000{i}", "train", celeb_df.identities(f"id0_000{i}", "Celeb-real")) for i in range(3)]
    rows.append(video("id0_id1_0000", "train", celeb_df.identities("id0_id1_0000", "Celeb-synthesis"), label=1))
    assert [one.people for one in count_seen(manifest.table(rows))] == [2]


def test_forgeries_that_a_synthesis_makes_are_named_and_unknown_people_are_not() -> None:
    rows = [video(f"{i}", "train", "", frames=1) for i in range(1200)]
    assert describe_seen(count_seen(manifest.table(rows), SelfBlend().makers)) == (
        "1,200 photographs (d: all real), with forgeries that SelfBlend made of them"
    )


def test_a_checkpoint_and_a_folder_keep_what_was_seen_and_one_without_says_the_names(
    prepared: Path, tmp_path: Path
) -> None:
    data = FaceData(prepared=prepared, methods=["Swap"])
    rows = data.videos("train")
    reals = rows["label"].to_pylist().count(0)
    state = data.state_dict()
    assert read_seen(state["seen"]) == count_seen(rows)
    other = FaceData(prepared=prepared, synthesis=SelfBlend())
    assert other.state_dict()["seen"][0]["forged_by"] == "SelfBlend"
    other.load_state_dict(state)
    assert other.seen == read_seen(state["seen"])  # of the checkpoint, whatever is tested
    known = load(classifier(data, tmp_path / "hub"))
    assert known.training_summary.startswith(f"{len(rows)} videos of ")
    assert known.training_summary.endswith(f"(studio: {reals} real, {len(rows) - reals} forged)")
    save(replace(known, seen=None), tmp_path / "names")
    assert load(tmp_path / "names").training_summary == ", ".join(known.trained_on)
