"""Masks that are asked for: counted, never more than the budget, and nothing else of them in training."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from datamodules.annotation.annotated_faces import AnnotatedFaces, AskedMasks, find_samples
from datamodules.annotation.oracle import DatasetMasks, DrawnMasks, Missing, face_of
from datamodules.annotation.request import Request, RequestedFace, read_request
from datamodules.face_data import FaceData
from datamodules.runtime.errors import UserError
from suite.__main__ import main
from tests.fixtures.asking import CHOICE, arguments, losses
from tests.fixtures.prepared_sets import rename


def asking(prepared: Path, budget: int = 6) -> FaceData:
    oracle = DatasetMasks(budget)
    return FaceData(
        prepared=prepared, batch_size=8, num_workers=0, clips_per_face=2, oracle=oracle, annotated_per_batch=4
    )


def fakes(data: FaceData, count: int, start: int = 0) -> list[RequestedFace]:
    out: list[RequestedFace] = []
    for batch in data.candidates(4):
        known = zip(batch.video, batch.track.tolist(), batch.numbers[:, 0].tolist(), batch.label.tolist(), strict=True)
        out += [RequestedFace(*one) for *one, label in known if label]
    return out[start : start + count]


def test_training_and_validation_know_no_mask_of_a_fake(prepared: Path) -> None:
    data, plain = asking(prepared), FaceData(prepared=prepared, batch_size=8, num_workers=0, clips_per_face=2)
    for name in ("train_dataloader", "val_dataloader"):
        hidden = list(getattr(data, name)())
        shown = list(getattr(plain, name)())
        assert all(torch.equal(a.frames, b.frames) for a, b in zip(hidden, shown, strict=True))
        assert any(b.mask.any() for b in shown)
        assert not any(b.mask.any() for b in hidden)
        assert all(torch.equal(b.has_mask, b.label == 0) for b in hidden)
    assert any(b.mask.any() for b in data.test_dataloader())


def test_masks_are_counted_once_and_never_beyond_the_budget(prepared: Path) -> None:
    data = asking(prepared, budget=6)
    assert data.annotated_faces is not None
    data.ask(fakes(data, 4), CHOICE)
    data.ask(fakes(data, 6), CHOICE)
    state = data.annotated_faces.state()
    assert (state.masks, state.budget) == (6, 6)
    assert AskedMasks.from_json(json.loads(json.dumps(state.to_json()))) == state
    with pytest.raises(UserError, match="masks: 7 were asked for, the budget is 6"):
        data.ask(fakes(data, 1, start=6), CHOICE)
    assert data.annotated_faces.state().masks == 6
    for face in (RequestedFace("nobody", 0, 0), fakes(data, 1)[0]._replace(frame=10**6)):
        with pytest.raises(UserError, match="is not among the faces of training"):
            data.ask([face], CHOICE)
    assert not any(sample.mask is not None for sample in data.samples(fakes(data, 3)))
    later = asking(prepared, budget=6)  # goes on from a checkpoint
    assert later.annotated_faces is not None
    later.annotated_faces.remember(data.annotated_faces.state())
    with pytest.raises(UserError, match="masks: 7 were asked for, the budget is 6"):
        later.ask(fakes(later, 1, start=6), CHOICE)


def test_granted_faces_join_every_batch_and_count_for_nothing_else(prepared: Path) -> None:
    data = asking(prepared)
    assert data.annotated_faces is not None
    chosen = fakes(data, 5)
    data.ask(chosen, CHOICE)
    batch = next(iter(data.train_dataloader()))
    batch.frames, batch.mask = batch.frames.float() / 255, batch.mask.float() / 255
    joined = data.annotated_faces.append_to(batch, 3)
    again = data.annotated_faces.append_to(batch, 3)
    assert len(joined) == 12
    assert torch.equal(joined.frames[:8], batch.frames)
    assert not joined.is_counted[8:].any()
    assert joined.has_mask[8:].all()
    assert joined.mask[8:].flatten(1).any(1).all()
    assert joined.label[8:].all()
    assert joined.frames.max() <= 1
    names = list(zip(joined.video[8:], joined.track[8:].tolist(), joined.numbers[8:, 0].tolist(), strict=True))
    assert set(names) <= set(chosen)
    assert torch.equal(joined.frames, again.frames)
    assert joined.video[8:] != data.annotated_faces.append_to(batch, 4).video[8:]
    assert AnnotatedFaces(DatasetMasks(3), 4).append_to(batch, 0) is batch


def test_a_request_is_read_as_it_was_written(tmp_path: Path) -> None:
    faces = [RequestedFace("d/a,b/c23/x y", 0, 3), RequestedFace('d/"q"/c23/1', 2, 10)]
    request = Request(faces=faces, scores=[0.1, -1 / 3], choice=CHOICE)
    request.write(tmp_path)
    assert read_request(tmp_path) == request
    (tmp_path / "request.json").write_text('{"strategy": "active"}')
    with pytest.raises(UserError, match=r"request\.json: is not as 'fit' writes it"):
        read_request(tmp_path)
    (tmp_path / "request.csv").write_text("video,track,frame,score\na,0,x,1\n")
    with pytest.raises(UserError, match=r"request\.csv, line 2: invalid literal"):
        read_request(tmp_path)
    with pytest.raises(UserError, match="'fit' writes it"):
        read_request(tmp_path / "none")


def test_the_data_set_plays_the_person_and_the_report_says_how_often(prepared: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    main([*arguments(prepared, run, "--data.oracle.budget", "5"), "--trainer.log_every_n_steps", "1"])
    request = read_request(run)
    assert len(request.faces) == 5
    assert request.choice.strategy == "active"
    assert len(request.choice.channels) == 10
    assert request.scores == sorted(request.scores, reverse=True)
    assert set(losses(run, "train/attention")) == {2, 3}
    best = ["--ckpt_path", str(run / "checkpoints/last.ckpt")]
    main(["test", "--config", str(run / "config.yaml"), *best])
    about = pq.read_schema(run / "predictions.parquet").metadata
    asked = json.loads(about[b"asked"])
    assert (asked["masks"], asked["budget"], asked["strategy"]) == (5, 5, "active")
    main(["report", str(run), "--out", str(tmp_path / "page.html")])
    page = (tmp_path / "page.html").read_text()
    assert f"5 of a budget of 5, of {asked['of_frames']} frames" in page


def test_a_training_waits_for_a_person_and_goes_on_with_their_masks(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, drawn = tmp_path / "run", tmp_path / "drawn"
    person = ["--data.oracle", "datamodules.annotation.oracle.DrawnMasks", "--data.oracle.folder", str(drawn)]
    command = arguments(prepared, run, *person, "--data.oracle.budget", "3")
    main(command)
    assert set(losses(run, "train/samples_per_s")) == {0, 1}
    with pytest.raises(SystemExit):
        main([*command, "--ckpt_path", "last"])
    assert "masks: 3 of 3 are missing, the first is" in capsys.readouterr().err
    drawn.mkdir()
    mask = np.zeros((64, 64), np.uint8)
    mask[20:40, 20:40] = 255
    for face in read_request(run).faces:
        cv2.imwrite(str(drawn / face.file), mask)
    main([*command, "--ckpt_path", "last"])
    assert set(losses(run, "train/samples_per_s")) == {0, 1, 2, 3}
    state = torch.load(run / "checkpoints/last.ckpt", weights_only=True)
    assert next(v for k, v in state.items() if "FaceData" in k)["asked"]["masks"] == 3
    for face in read_request(run).faces[1:]:
        (drawn / face.file).unlink()
    sure = FaceData(prepared=prepared, oracle=DrawnMasks(drawn, 3, allow_missing=True))
    sure.ask(read_request(run).faces, CHOICE)
    assert sure.annotated_faces is not None
    assert sure.annotated_faces.faces is not None
    assert len(sure.annotated_faces.faces) == 1


def test_masks_are_asked_for_in_rounds_and_a_resumed_training_knows_those_of_its_epoch(
    prepared: Path, tmp_path: Path
) -> None:
    run, drawn = tmp_path / "run", tmp_path / "drawn"
    drawn.mkdir()
    oracle = ["--data.oracle", "datamodules.annotation.oracle.DrawnMasks", "--data.oracle.folder", str(drawn)]
    rounds = "{first_stage_epochs: 2, frames: 4, rounds: 2, epochs_between_rounds: 1}"
    asked = f"[{{class_path: callbacks.ask_for_masks.AskForMasks, init_args: {rounds}}}]"
    command = arguments(prepared, run, *oracle, "--data.oracle.budget", "5", "--trainer.callbacks", asked)
    mask = np.zeros((64, 64), np.uint8)
    mask[:32] = 255
    found: list[list[RequestedFace]] = []
    for part in range(2):
        main([*command, "--ckpt_path", "last"] if part else command)
        request = read_request(run)
        assert request.choice.rounds == [2, 5][: part + 1]
        found.append(request.faces)
        for face in request.faces:
            cv2.imwrite(str(drawn / face.file), mask)
    assert found[1][:2] == found[0]
    assert len(set(found[1])) == 5
    main([*command, "--ckpt_path", "last"])
    assert set(losses(run, "train/samples_per_s")) == {0, 1, 2, 3}
    state = torch.load(run / "checkpoints/last.ckpt", weights_only=True)
    assert next(v for k, v in state.items() if "FaceData" in k)["asked"]["masks"] == 5


def test_averaged_weights_are_kept_with_the_threshold_that_validation_found(prepared: Path, tmp_path: Path) -> None:
    asked = "{class_path: callbacks.ask_for_masks.AskForMasks, init_args: {first_stage_epochs: 2, frames: 2}}"
    average = "{class_path: callbacks.ema.EMA, init_args: {decay: 0.9}}"
    command = arguments(prepared, tmp_path / "run", "--data.oracle.budget", "3", "--trainer.max_epochs", "3")
    main([*command, "--trainer.callbacks", f"[{asked}, {average}]"])
    state = torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)["state_dict"]
    assert float(state["video_threshold"]) == pytest.approx(losses(tmp_path / "run", "val/video_threshold")[2])
    assert (state["video_counts"] % 1 == 0).all()  # of what is no number before, an average is none
    assert (~state["video_scores"].isnan()).sum(1).tolist() == state["video_counts"].tolist()


def test_a_face_whose_mask_the_data_set_lacks_is_gone_without_where_that_is_allowed(prepared: Path) -> None:
    data = asking(prepared)
    clips = data.clips_with_masks("train")
    fake = find_samples(clips, fakes(data, 1))[0]
    bare = replace(fake, mask=None)
    assert len(DatasetMasks(2, allow_missing=True).request([fake, bare])) == 1
    for oracle, samples in ((DatasetMasks(2), [fake, bare]), (DatasetMasks(2, allow_missing=True), [bare])):
        with pytest.raises(UserError, match=f"{fake.video}: the data set has no mask of it") as refused:
            oracle.request(samples)
        assert not isinstance(refused.value, Missing)  # for whose masks a training would wait


def test_what_cannot_be_asked_for_is_refused_before_the_first_stage(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = rename(prepared, tmp_path / "bare", "bare", lambda row: {"mask": ""})
    some = rename(prepared, tmp_path / "some", "some", lambda row: {"mask": ""} if row.method == "Swap" else {})
    DatasetMasks(2, allow_missing=True).check(FaceData(prepared=some).videos("train"))
    with pytest.raises(UserError, match=r"no mask of it; .* go on without \(--data\.oracle\.allow_missing true\)"):
        DatasetMasks(2).check(FaceData(prepared=some).videos("train"))
    many = "[{class_path: callbacks.ask_for_masks.AskForMasks, init_args: {first_stage_epochs: 2, count: 5}}]"
    budget, missing = ["--data.oracle.budget", "4"], ["--data.oracle.allow_missing", "true"]
    for folder, options, said in (
        (prepared, ["--trainer.callbacks", many], "AskForMasks: count 5; the budget of --data.oracle is 4"),
        (bare, missing, "the data set has no mask of it; let people draw them (DrawnMasks)\n"),
    ):
        with pytest.raises(SystemExit):
            main(arguments(folder, tmp_path / "run", *budget, *options))
        assert said in capsys.readouterr().err
        assert not (tmp_path / "run/checkpoints").exists()


def test_a_drawn_mask_is_read_at_the_size_of_the_face(prepared: Path, tmp_path: Path) -> None:
    data = asking(prepared)
    sample = data.clips_with_masks("train")[next(iter(data.eval_loader("train").sampler))]
    mask = np.zeros((128, 128), np.uint8)
    mask[:64] = 255
    cv2.imwrite(str(tmp_path / face_of(sample).file), mask)
    [answered] = DrawnMasks(tmp_path, 1).request([sample])
    assert answered.mask is not None
    assert answered.mask.shape == (1, 1, 64, 64)
    assert answered.mask[0, 0, :32].eq(255).all()
    assert not answered.mask[0, 0, 32:].any()
    (tmp_path / face_of(sample).file).write_bytes(b"none")
    with pytest.raises(UserError, match="is not an image"):
        DrawnMasks(tmp_path, 1).request([sample])
