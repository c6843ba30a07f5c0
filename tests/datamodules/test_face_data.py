"""Loaders give the same samples from either source, with any number of workers and ranks."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pytest
import torch
from pytorch_lightning import Trainer

from datamodules import manifest
from datamodules.batch import Batch, Sample, collate
from datamodules.face_data import FaceData
from datamodules.faces.align import Cropper
from datamodules.loading.clips import VideoClips, probe_of
from datamodules.manifest import Video
from datamodules.media.video import Decord
from datamodules.prepared import checksums
from datamodules.prepared.contract import compare
from datamodules.prepared.face_table import FACES
from datamodules.prepared.tables import CROPS, save, save_tracks
from datamodules.runtime.errors import UserError
from datamodules.studio.forgeries.all import FORGERIES
from lightning_modules.classifier import Classifier
from suite.__main__ import main
from tests.conftest import small_fit
from tests.fixtures.counted_probes import probed

__all__ = ["probed"]  # a fixture


def batches(loader: Any) -> list[Batch]:
    return list(loader)


def same(a: list[Batch], b: list[Batch]) -> None:
    assert len(a) == len(b) > 0
    for one, other in zip(a, b, strict=True):
        assert one.video == other.video
        for name in ("frames", "label", "mask", "has_mask", "landmarks", "track", "numbers", "is_counted"):
            torch.testing.assert_close(getattr(one, name), getattr(other, name), rtol=0, atol=0, msg=name)


def make(prepared: Path, **changes: Any) -> FaceData:
    options: dict[str, Any] = {"batch_size": 4, "num_workers": 0, "clips_per_face": 2, "eval_clips": 8}
    return FaceData(prepared=prepared, **options | changes)


def test_a_batch_is_uint8_and_typed(data: FaceData) -> None:
    batch = next(iter(data.train_dataloader()))
    assert batch.frames.dtype == batch.mask.dtype == torch.uint8
    assert batch.frames.shape == (4, 1, 3, 64, 64)
    assert batch.mask.shape == (4, 1, 1, 64, 64)
    assert batch.landmarks.shape == (4, 1, 68, 2)
    assert set(batch.mask.unique().tolist()) <= {0, 255}
    assert batch.has_mask.all()
    assert batch.has_landmarks.all()
    on_device = data.on_after_batch_transfer(data.transfer_batch_to_device(batch, torch.device("cpu"), 0), 0)
    assert on_device.frames.dtype == torch.float32
    assert 0.1 < on_device.frames.mean() < 0.9
    assert on_device.mask.max() == 1


def test_training_may_be_kept_to_a_few_evenly_spaced_frames(prepared: Path) -> None:
    data = make(prepared, train_clips=3, clips_per_face=8)
    drawn: dict[str, set[int]] = {}
    for batch in data.train_dataloader():
        for video, number in zip(batch.video, batch.numbers[:, 0].tolist(), strict=True):
            drawn.setdefault(video, set()).add(number)
    known = data.clips("train").known
    for i, (video, _) in enumerate(known.owners()):
        every = sorted(known.frames(i))
        assert drawn.get(video, set()) <= {every[0], every[len(every) // 2], every[(len(every) - 1) // 2], every[-1]}
    assert max(map(len, drawn.values())) == 3


def test_landmarks_lie_on_the_face_of_the_crop(data: FaceData) -> None:
    batch = next(iter(data.test_dataloader()))
    assert ((batch.landmarks > 0) & (batch.landmarks < 64)).all()
    eyes = batch.landmarks[:, 0, 36:48, 1].mean(1)
    chin = batch.landmarks[:, 0, 8, 1]
    assert (chin - eyes > 20).all()


def test_videos_and_crops_give_the_same_samples(studio: Path, prepared: Path) -> None:
    same(
        batches(make(prepared).test_dataloader()),
        batches(make(prepared, root=studio, frame_source="videos").test_dataloader()),
    )


def test_two_or_four_workers_change_nothing(prepared: Path) -> None:
    alone = batches(make(prepared).train_dataloader())
    for workers in (2, 4):
        same(alone, batches(make(prepared, num_workers=workers).train_dataloader()))


def test_workers_that_decode_videos_change_nothing(studio: Path, prepared: Path) -> None:
    alone = make(prepared, root=studio, frame_source="videos", clips_per_face=1, clip=3)
    helped = make(prepared, root=studio, frame_source="videos", clips_per_face=1, clip=3, num_workers=2)
    same(batches(alone.train_dataloader()), batches(helped.train_dataloader()))


def test_two_real_processes_see_what_one_sees(prepared: Path, two_processes: Path, tmp_path: Path) -> None:
    recorder = ["--trainer.callbacks+=tests.fixtures.recorder.Recorder"]
    recorder += ["--trainer.callbacks.path", str(tmp_path / "seen")]
    main(small_fit(prepared, tmp_path / "run", *recorder))

    def seen(folder: Path) -> list[str]:
        return [line for path in sorted(folder.glob("seen.*")) for line in path.read_text().splitlines()]

    def training(lines: list[str]) -> list[str]:
        return sorted(line for line in lines if line.startswith("train"))

    one, two = seen(tmp_path), seen(two_processes.parent)
    assert training(one) == training(two)  # the same samples in the same epoch and step
    assert len({line.split()[1] for line in training(one)}) == 2
    first, second = ([line.split(" ", 3)[3] for line in training(one) if line.split()[1] == epoch] for epoch in "01")
    assert sorted(first) != sorted(second)  # another epoch draws other frames
    val = {
        name: {line.split(" ", 3)[3] for line in lines if "val" in line and line.endswith("True")}
        for name, lines in (("one", one), ("two", two))
    }
    assert val["one"] == val["two"]


def test_a_clip_has_consecutive_frames_and_one_square(studio: Path, prepared: Path) -> None:
    data = make(prepared, root=studio, frame_source="videos", clip=4, every=2, eval_clips=2)
    batch = next(iter(data.test_dataloader()))
    assert batch.frames.shape[:2] == (4, 4)
    assert (batch.numbers.diff(dim=1) == 2).all()
    # the square stays: the background beside a moving head does not move with it
    corner = batch.frames[:, :, :, :4, :4].float()
    assert (corner - corner[:, :1]).abs().mean() < 12


def test_stored_crops_refuse_clips(prepared: Path) -> None:
    with pytest.raises(UserError, match="clip 4: stored crops are single frames"):
        make(prepared, clip=4)


def test_training_sees_the_chosen_methods_and_testing_all(prepared: Path) -> None:
    data = make(prepared, methods=["Swap", "NeuralTexture"])
    assert set(data.videos("train")["method"].to_pylist()) == {"real", "Swap", "NeuralTexture"}
    assert set(data.videos("test")["method"].to_pylist()) == {"real", *FORGERIES}
    with pytest.raises(UserError, match=rf"no train video of Deepfakes; there are {', '.join(sorted(FORGERIES))}"):
        make(prepared, methods=["Deepfakes"]).videos("train")
    with pytest.raises(UserError, match="no test video with compression 'c40'"):
        make(prepared, compression="c40").videos("test")


def test_pairs_lie_side_by_side(prepared: Path) -> None:
    batch = next(iter(make(prepared, pairs=True).train_dataloader()))
    assert batch.label.tolist() == [1, 0, 1, 0]
    stems = [video.rsplit("/", 1)[1] for video in batch.video]
    assert [stem[:3] for stem in stems[::2]] == stems[1::2]
    assert (batch.numbers[::2] == batch.numbers[1::2]).all()


def test_crops_are_resized_when_another_size_is_asked_for(prepared: Path) -> None:
    batch = next(iter(make(prepared, image_size=48).test_dataloader()))
    assert batch.frames.shape[-1] == batch.mask.shape[-1] == 48
    assert batch.landmarks.max() < 48


def test_an_idle_data_set_holds_no_decoder(studio: Path, prepared: Path) -> None:
    data = make(prepared, root=studio, frame_source="videos")
    loader = data.test_dataloader()
    process = psutil.Process()
    next(iter(loader))
    files, threads, memory = process.num_fds(), process.num_threads(), process.memory_info().rss
    for _ in range(5):
        next(iter(loader))
    assert (process.num_fds(), process.num_threads()) == (files, threads)
    assert process.memory_info().rss - memory < 20e6


def test_a_missing_mask_is_zeros_and_said() -> None:
    frames = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    with_mask = Sample(
        frames=frames,
        label=1,
        mask=torch.full((1, 1, 8, 8), 255, dtype=torch.uint8),
        landmarks=None,
        video="v",
        track=0,
        numbers=torch.tensor([3]),
    )
    without = Sample(
        frames=frames, label=1, mask=None, landmarks=torch.ones(1, 68, 2), video="w", track=0, numbers=torch.tensor([4])
    )
    batch = collate([with_mask, without])
    assert batch.has_mask.tolist() == [True, False]
    assert batch.has_landmarks.tolist() == [False, True]
    assert batch.mask.sum((1, 2, 3, 4)).tolist() == [255 * 64, 0]


def test_a_missing_crop_is_named_and_never_replaced(prepared: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(prepared, copy)
    data = make(copy)
    loader = data.test_dataloader()
    image = next((copy / "crops").rglob("*.png"))
    for path in image.parent.parent.parent.parent.rglob("*.png"):
        path.unlink()
    with pytest.raises(UserError, match=r"png: cannot be read .*prepare the data again"):
        list(loader)


def test_a_checkpoint_refuses_data_prepared_differently(data: FaceData) -> None:
    state = data.state_dict()
    data.load_state_dict(state)
    other = {"contract": state["contract"] | {"margin": 1.6, "format": "jpg"}}
    with pytest.raises(UserError, match=r"format is 'png' here and 'jpg' there; margin is 1.3 here and 1.6 there"):
        data.load_state_dict(other)
    with pytest.raises(UserError, match="detector is 'HOG' here and 'absent' there"):
        compare({"detector": "HOG"}, {}, "it")


def test_a_checkpoint_refuses_another_size_but_not_another_store(prepared: Path) -> None:
    state = make(prepared).state_dict()
    with pytest.raises(UserError, match=r"size is 48 here and 64 there; give --data\.image_size 64$"):
        make(prepared, image_size=48).load_state_dict(state)
    other = make(prepared)
    other.contract.update({"store": "shards", "frames": 16})
    other.load_state_dict(state)
    assert other.trained_on is not None
    assert "studio/Swap" in other.trained_on


def test_a_face_seen_only_between_the_evenly_spaced_frames_is_still_evaluated(tmp_path: Path) -> None:
    row = Video(
        dataset="d",
        method="real",
        compression="",
        stem="v",
        path="v.mp4",
        label=0,
        split="test",
        identities="v",
        frames=1000,
    )
    box = dict.fromkeys(("x0", "y0", "x1", "y1", "score", "presence", "yaw", "pitch", "roll", "masked"), 0.0)
    points = [0.0] * 136
    seen = [
        {"video": row.key, "track": 0, "frame": i, "time": i / 25, "found_by": "HOG", "landmarks": points} | box
        for i in range(400, 600)
    ]
    save(tmp_path / "faces.arrow", FACES, [pa.Table.from_pylist(seen, FACES)], checksums.replace_recorded)
    save(tmp_path / "crops.arrow", CROPS, [], checksums.replace_recorded)
    save_tracks(tmp_path)
    clips = VideoClips(tmp_path, tmp_path, manifest.table([row]), Decord(), 64, Cropper(1.3), tracks=1)
    assert clips.faces(4).size == [4]


def test_settings_that_replace_the_sampler_are_refused(data: FaceData) -> None:
    Trainer(overfit_batches=2, logger=False, enable_checkpointing=False)._data_connector.attach_datamodule(
        Classifier("test_efficientnet"), data
    )
    with pytest.raises(UserError, match="overfit_batches: replaces the sampler"):
        data.setup("fit")


def test_each_video_is_probed_once_in_all_epochs(studio: Path, prepared: Path, probed: list[Path]) -> None:
    probe_of.cache_clear()  # of the tests before
    data = make(prepared, root=studio, frame_source="videos")
    for _ in range(2):
        list(data.test_dataloader())
    assert len(probed) == len(set(probed)) > 0


def test_frames_are_the_pixels_of_the_video(studio: Path, prepared: Path) -> None:
    data = make(prepared, root=studio, frame_source="videos")
    batch = next(iter(data.test_dataloader()))
    row = next(r for r in manifest.rows(data.videos("test")) if r.key == batch.video[0])
    frame = Decord().read(studio / row.path, batch.numbers[0].tolist())[0].numpy()
    mean = batch.frames[0, 0].float().mean((1, 2)).numpy()
    assert np.abs(mean - frame.reshape(-1, 3).mean(0)).max() < 80  # a face of this image, RGB
    assert batch.frames[0, 0, 0].float().mean() > batch.frames[0, 0, 2].float().mean()  # skin is redder than blue


def test_a_folder_of_temporary_files_too_deep_for_the_sockets_of_workers_is_refused(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ("x" * 80)))
    next(iter(make(prepared, num_workers=0).val_dataloader()))
    with pytest.raises(UserError, match=r"TMPDIR .*: \d+ bytes, must be at most 75"):
        next(iter(make(prepared, num_workers=1).val_dataloader()))
