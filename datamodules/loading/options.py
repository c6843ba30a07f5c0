"""Which options of a data set go together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datamodules.runtime.errors import UserError

if TYPE_CHECKING:
    from datamodules.face_data import FaceData


def check_options(data: FaceData) -> None:
    """Refuses what could not be drawn or made of it."""
    videos, synthesis = data.frame_source == "videos", data.synthesis
    if data.clip > 1 and not videos:
        raise UserError(f"clip {data.clip}: stored crops are single frames; set 'frame_source: videos'")
    if videos and (rootless := [str(one.prepared) for one in data.group.sets if one.root is None]):
        of = f" of {', '.join(rootless)}" if len(data.group) > 1 else ""
        raise UserError(f"frame_source 'videos': give root, the folder of the data set{of}")
    if data.pairs and (synthesis is not None or data.train_clips is not None):
        raise UserError("pairs: not with synthesis, which makes its own, nor with train_clips")
    if synthesis is not None and synthesis.neighbours and videos:
        raise UserError(
            "frame_source 'videos': faces to blend in are looked for among stored crops; set 'frame_source: crops'"
        )
    if data.annotated_faces is not None and (videos or synthesis is not None):
        raise UserError("oracle: masks are asked for of stored crops; set 'frame_source: crops', without synthesis")
    if data.true_fakes and (synthesis is None or not 0 < data.true_count < data.batch_size):
        share = f"true_fakes {data.true_fakes:g} of batch_size {data.batch_size}"
        raise UserError(f"{share}: must be some of the forged faces but not all, with a synthesis for the others")
    if not 0 <= data.val_augmented <= 1:
        raise UserError(f"val_augmented {data.val_augmented:g}: must be from 0 to 1")
    if data.val_augmented and data.augment is None:
        raise UserError(f"val_augmented {data.val_augmented:g}: needs augment, which changes the faces")
    if data.pairs and data.batch_size % 2:
        raise UserError(f"batch_size {data.batch_size}: must be even with pairs")
