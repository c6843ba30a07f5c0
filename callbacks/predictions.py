"""Every score of an evaluation, as a table from which all metrics can be computed again."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.utilities.rank_zero import rank_zero_info

from datamodules import manifest
from datamodules.batch import Batch, names_forgery
from datamodules.degradation.dataset import read_degradation
from datamodules.face_data import FaceData
from datamodules.identities import first_person
from datamodules.leaks.shared import KEY, NOTHING, UNKNOWN, SharedVideo
from datamodules.loading.prepared_set import PreparedSet
from datamodules.loading.without_clip import KEY as WITHOUT_CLIP
from datamodules.loading.without_clip import list_without_clip
from datamodules.runtime.atomic_files import name_failures, write_atomically
from datamodules.runtime.stored_files import read_json
from lightning_modules.base import Method, Outcome
from lightning_modules.metrics.pixel import BINNING
from lightning_modules.own_validation import KEY as OWN_VALIDATION
from lightning_modules.weights import digest

SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("video", "dataset", "method", "compression", "stem", "person")]
    + [("track", pa.int32()), ("frame", pa.int32()), ("score", pa.float32()), ("label", pa.int8())]  # of the video
    + [("frame_label", pa.int8()), ("has_mask", pa.bool_())]
    # of the video, in sets of which some are forged in parts; null in others
    + [("fps", pa.float64()), ("video_frames", pa.int32()), ("fake_segments", pa.string())]
    # histograms of the map over forged and other pixels, those of a clip's frames one after the other; null from
    # methods that do not localize
    + [("forged", pa.list_(pa.int32())), ("other", pa.list_(pa.int32()))]
)
FORMAT: dict[str, Any] = {"compression": "zstd", "write_page_checksum": True}  # read_run looks at them
SHARED = f"{KEY}.csv"
UNTIMED = dict.fromkeys(("fps", "video_frames", "fake_segments"))
GROUP = 4096  # rows held before they are written: memory does not grow with the test set


def read_give_aways(sets: Sequence[PreparedSet]) -> dict[str, Any]:
    """What 'doctor' has found in each, where it was called: by the name of the set."""
    files = ((one.title, one.prepared / "doctor.json") for one in sets)
    found = {title: read_json(file, dict).get("give_aways") for title, file in files if file.is_file()}
    return {title: content for title, content in found.items() if content}


def list_timing(data: FaceData) -> dict[str, dict[str, Any]]:
    """When the videos of a test are forged, of the sets of which some are forged in parts."""
    out = {}
    for one in data.group.select_having("test", only_real=False):
        videos = one.videos("test", only_real=False)
        if pc.any(pc.not_equal(videos["fake_segments"], "")).as_py():
            rows = videos.select(["fps", "frames", "fake_segments"]).to_pylist()
            for key, row in zip(manifest.keys(videos).to_pylist(), rows, strict=True):
                row["video_frames"] = row.pop("frames")
                out[key] = row
    return out


def tell_shared(data: FaceData, run: Path) -> dict[str, str]:
    """Prints what the test shares with the training of the checkpoint, and writes down which videos do."""
    found = data.shared_with_training
    if found is None:
        (run / SHARED).unlink(missing_ok=True)  # of another test
        rank_zero_info(UNKNOWN)
        return {}
    sets, videos = found
    rank_zero_info("\n".join(map(str, sets)) or NOTHING)
    with write_atomically(run / SHARED) as part, part.open("w", newline="") as f:
        writer = csv.DictWriter(f, [one.name for one in fields(SharedVideo)])
        writer.writeheader()
        writer.writerows(map(asdict, videos))
    return {KEY: json.dumps([one.to_json() for one in sets])}


class PredictionTable(Callback):
    """Writes predictions.parquet of ``test`` and ``predict`` into the run."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.writer: pq.ParquetWriter | None = None
        self.path = Path()  # that it writes
        self.timing: dict[str, dict[str, Any]] = {}  # by the key of a video

    def part(self, trainer: Trainer, rank: int) -> Path:
        return Path(trainer.default_root_dir) / f".predictions.{rank}.parquet.part"

    def start(self, trainer: Trainer, module: LightningModule) -> None:
        assert isinstance(module, Method)
        about = {id: str(value) for id, value in module.fixed_values().items()}
        about["parameters"] = str(sum(p.numel() for p in module.parameters()))
        data = trainer.datamodule  # type: ignore[attr-defined]
        if isinstance(data, FaceData):
            if data.annotated_faces is not None:  # validation hides the masks that have to be asked for
                about.pop("pixel_threshold", None)
            about |= {"contract": json.dumps(data.seen_pixels()), "trained_on": json.dumps(data.trained_on or [])}
            asked = data.asked.to_json() if data.asked is not None else {}
            about["asked"] = json.dumps({name: value for name, value in asked.items() if name != "faces"})
            about["fixed_by_set"] = json.dumps(data.fixed_by_set)
            self.timing = list_timing(data)
            about[WITHOUT_CLIP] = json.dumps(list_without_clip(data.clips("test")))
            about["give_aways"] = json.dumps(read_give_aways(data.group.sets))
            if trainer.is_global_zero:
                about |= tell_shared(data, Path(trainer.default_root_dir))
            about["audio_fakes"] = "; ".join(rule for one in data.group.sets if (rule := one.audio_rule))
            for folder in (folder for one in data.group.sets for folder in (one.root, one.prepared.parent)):
                if folder is not None and (degradation := read_degradation(folder)) is not None:
                    about["degradation"] = str(degradation)
        about |= {"checkpoint": str(trainer.ckpt_path or ""), "model": type(module).__name__}
        about |= {"score_pooling": module.score_pooling, "map_of": module.map_of, "map_by": module.map_by}
        about["pixel_bins"] = BINNING
        about |= {"weights": digest(module.state_dict()), OWN_VALIDATION: module.own_validation.to_text()}
        path = self.part(trainer, trainer.global_rank)
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        with name_failures(path):
            self.writer = pq.ParquetWriter(path, SCHEMA.with_metadata(about), **FORMAT)

    def write(self, outcome: Outcome, batch: Batch) -> None:
        forged, other = (
            [None] * len(batch) if one is None else list(one.flatten(1).int().cpu().numpy())
            for one in (outcome.forged, outcome.other)
        )
        of = batch.people or [""] * len(batch)
        known = zip(batch.video, of, batch.track.tolist(), batch.numbers[:, 0].tolist(), strict=True)
        said = zip(outcome.score.tolist(), batch.label.tolist(), batch.has_mask.tolist(), strict=True)
        masks = zip(forged, other, batch.is_counted.tolist(), strict=True)
        for (video, people, track, frame), (score, label, has_mask), (inside, outside, is_counted) in zip(
            known, said, masks, strict=True
        ):
            if is_counted:
                dataset, method, compression, stem = video.split("/", 3)
                row = {"video": video, "dataset": dataset, "method": method, "compression": compression, "stem": stem}
                row |= {"person": first_person(people)}
                row |= {"track": track, "frame": frame, "score": score, "has_mask": has_mask}
                row |= {"label": label | names_forgery(video), "frame_label": label}
                self.rows.append(row | self.timing.get(video, UNTIMED) | {"forged": inside, "other": outside})
        if len(self.rows) >= GROUP:
            self.flush()

    def flush(self) -> None:
        if self.rows and self.writer is not None:
            with name_failures(self.path):
                self.writer.write_table(pa.Table.from_pylist(self.rows, self.writer.schema))
        self.rows = []

    def finish(self, trainer: Trainer) -> None:
        if self.writer is None:
            return
        self.flush()
        with name_failures(self.path):
            self.writer.close()
        trainer.strategy.barrier()
        if trainer.is_global_zero:
            parts = [self.part(trainer, rank) for rank in range(trainer.world_size)]
            path = Path(trainer.default_root_dir) / "predictions.parquet"
            with (
                write_atomically(path) as whole,
                pq.ParquetWriter(whole, self.writer.schema, **FORMAT) as writer,
            ):
                for part in parts:
                    table = pq.ParquetFile(part)
                    for group in range(table.num_row_groups):
                        writer.write_table(table.read_row_group(group))
            for part in parts:
                part.unlink()
        self.writer = None

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.start(trainer, pl_module)

    def on_test_batch_end(  # type: ignore[override]
        self, trainer: Trainer, pl_module: LightningModule, outputs: Outcome, batch: Batch, *_: Any
    ) -> None:
        self.write(outputs, batch)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.finish(trainer)

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.start(trainer, pl_module)

    def on_predict_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Outcome, batch: Batch, *_: Any
    ) -> None:
        self.write(outputs, batch)

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.finish(trainer)
