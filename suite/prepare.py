"""The verb that finds, tracks and crops the faces of a data set."""

from __future__ import annotations

import os
from typing import Literal

from jsonargparse import auto_cli

from datamodules.face_data import FaceData
from datamodules.faces.align import Alignment
from datamodules.faces.tracking.tracker import FaceTracker
from datamodules.issues import LACKING, WRONG
from datamodules.media.damage import read_damage
from datamodules.media.image import HALF, Format, check_threshold
from datamodules.prepared.prepare import prepare_all
from datamodules.prepared.recipe import Recipe
from datamodules.prepared.tables import read_manifest, read_skipped
from datamodules.runtime.errors import UserError
from datamodules.runtime.folder_lock import hold_folder
from suite.cli.parser import Parser
from suite.cli.progress import bar


def prepare(
    data: FaceData,
    faces: FaceTracker | None = None,
    size: int = 256,
    margin: float = 1.3,
    alignment: Alignment = "none",
    frames: int = 32,
    tracks: int = 1,
    format: Format = "png",
    store: Literal["files", "shards"] = "files",
    mask_threshold: int = HALF,
    workers: int = os.cpu_count() or 1,
    cluster: str | None = None,
    max_skipped: float = 0.01,
) -> None:
    """Write manifest, face tracks and crops of a data set; called again, it resumes.

    Args:
        data: The data set, for instance configs/data/celeb_df_v2.yaml; its folder root is never written to, and its
            folder prepared, a new one or that of an earlier call, is filled.
        faces: Finds and follows the faces.
        size: Side of a crop, in pixels.
        margin: Side of the crop over the longer side of the detected box, or over that of the template of an alignment.
        alignment: none cuts squares that are level with the frame; roll turns them until the line between the eyes is
            level; five_points lays eyes, nose and mouth on the template of ArcFace, as GenD does; deepfakebench does so
            with the five landmarks that DeepfakeBench takes for them.
        frames: Crops per video and face, evenly spaced over its length.
        tracks: Faces per video that are cropped; where there is a mask, it says which come first.
        format: png and webp keep every bit; jpg is quality 95 without chroma subsampling.
        store: Image files, or tar shards with their offsets in crops.arrow.
        mask_threshold: Grey level, 1 to 255, from which a pixel of a mask is forged. Half cuts the greys that coding
            leaves at an edge; ForgeryNet's masks are soft, and readers differ in what they take of them.
        workers: Processes on this machine.
        cluster: Address of a Ray cluster that sees the same folders, such as auto or ray://host:10001; local starts one
            here.
        max_skipped: Share of unusable videos above which the call fails, once all others are done.
    """
    check_threshold(mask_threshold)
    rows, findings = data.list_dataset()
    assert data.root is not None
    root, out = data.root, data.prepared
    if out.resolve() == root.resolve():
        raise UserError(f"prepare: prepared {out}: is the folder of the data set, which is never written to")
    if serious := [f for f in findings if f.kind in WRONG + LACKING]:
        found = f"{len(serious)} issue{'s' * (len(serious) > 1)} found"
        print(f"{root}: {found}, first {serious[0].path} ({serious[0].kind}): {serious[0].text}; see 'doctor'")
    for one in (one for one in findings if one.kind == "sound"):
        print(one.text)
    recipe = Recipe(
        decoder=data.decoder,
        tracker=faces or FaceTracker(),
        size=size,
        margin=margin,
        alignment=alignment,
        frames=frames,
        tracks=tracks,
        format=format,
        store=store,
        mask_threshold=mask_threshold,
    )
    with hold_folder(out, "prepare"), bar("preparing") as show:
        for done, total in prepare_all(rows, root, out, recipe, workers, cluster):
            show(done, total)
    wanted = {row.key for row in rows}
    skipped = [skip for skip in read_skipped(out) if skip.video in wanted]
    print(f"{out}: {len(rows) - len(skipped)} of {len(rows)} videos, {len(skipped)} skipped")
    if others := [row for row in read_manifest(out) if row.key not in wanted]:
        kept = f"kept of earlier lists: {len(others)}, such as {others[0].path}"
        print(f"{kept}; to train without them, prepare into another folder (--data.prepared)")
    unusable = {skip.video for skip in skipped}
    if damaged := [one for one in read_damage(out) if one.video in wanted - unusable]:
        frames, worst = sum(one.damaged for one in damaged), max(damaged, key=lambda one: one.damaged)
        print(f"{frames} damaged frames of {len(damaged)} videos left out, most of {worst.path}: {worst}")
    if len(skipped) > max_skipped * len(rows):
        first = "; ".join(f"{skip.path}: {skip.reason}" for skip in skipped[:3])
        share = f"{len(skipped)} of {len(rows)} videos skipped, more than {max_skipped:.0%}"
        raise UserError(f"{share} ({first}); see {out / 'skipped.csv'}")


def main(argv: list[str]) -> None:
    auto_cli(prepare, args=argv[1:], as_positional=False, parser_class=Parser, prog="python -m suite prepare")
