"""The checkpoint that a verb begins with, found before anything is built or written."""

from __future__ import annotations

from math import isnan
from pathlib import Path
from typing import Any

from pytorch_lightning.utilities.rank_zero import rank_zero_info

from callbacks.familiarity import KEY
from datamodules.runtime.errors import UserError
from lightning_modules.base import Method
from lightning_modules.metrics.registry import COUNTS, SCORES, STORED
from lightning_modules.own_validation import KEY as OWN_VALIDATION
from lightning_modules.training.checkpoint_io import SafeCheckpointIO
from suite.cli.suggest import suggest, suggest_file

NAMES = ("best", "last")  # of the checkpoints of a run
SAME = 0.01  # a threshold that is found again differs by less, on another machine


def find_checkpoint(verb: str, run: Path, given: str | Path | None) -> Path | None:
    """
    Args:
        given: A path, or the name of a checkpoint of the run.
    """
    if given is None:
        return None
    folder = run / "checkpoints"
    path = folder / f"{given}.ckpt" if given in NAMES else Path(given)
    if path.is_file():
        return path
    if verb == "fit" and given == "last" and not any(folder.glob("*.ckpt")):
        rank_zero_info(f"{run}: has no checkpoint yet: training starts anew")
        return None
    if verb == "fit" and given == "last" and list(folder.glob("*.ckpt")) == [folder / "best.ckpt"]:
        return resume_without_last(folder / "best.ckpt")
    reason = f"there is no {path}" if given in NAMES else "no such file"
    raise UserError(f"{verb}: --ckpt_path {given}: {reason}{explain_missing(path, run)}")


def resume_without_last(best: Path) -> Path | None:
    """Of a run that was stopped between its first best.ckpt and its first last.ckpt, nothing is worth keeping."""
    checkpoint = SafeCheckpointIO().load_checkpoint(best)
    if checkpoint["epoch"] == 0:  # at whose end the first last.ckpt is written
        rank_zero_info(f"{best}: was saved before the first last.ckpt: training starts anew")
        return None
    if not is_whole_epoch(checkpoint):
        raise UserError(
            f"fit: --ckpt_path last: there is no {best.with_name('last.ckpt')}, and {best.name} was saved within "
            f"epoch {checkpoint['epoch']}; give another --run"
        )
    rank_zero_info(f"{best.with_name('last.ckpt')}: is missing: training goes on from {best.name}")
    return best


def explain_missing(path: Path, run: Path) -> str:
    """What is there instead, and what to give."""
    for inside in (path / "checkpoints/best.ckpt", path / "best.ckpt"):
        if inside.is_file():
            return f"; it is a folder, give {inside}"
    if saved := sorted(file.name for file in path.parent.glob("*.ckpt")):
        return f"; {path.parent} has {' and '.join(saved)}{suggest_file(str(path))}"
    home = path.parent.parent if path.parent.name == "checkpoints" else run
    others = {str(file.parents[1]) for file in home.parent.glob("*/checkpoints/*.ckpt")}
    advice = suggest(str(home), others) or f"; train it first: python -m suite fit --config CONFIG --run {home}"
    return f", and no checkpoint in {home}{advice}"


def is_whole_epoch(checkpoint: dict[str, Any]) -> bool:
    """Of one with the state of a training."""
    return bool(checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]["is_last_batch"])


def check_is_whole_epoch(checkpoint: dict[str, Any], path: Path) -> None:
    """Of an epoch that was half done, nothing says which of its batches are still to come."""
    if "loops" not in checkpoint:
        raise UserError(f"fit: --ckpt_path {path}: holds weights alone, and no training to go on with")
    if not is_whole_epoch(checkpoint):
        other = find_whole_epoch(path.parent)
        advice = "train anew, with another --run" if other is None else f"resume from {other}"
        raise UserError(f"fit: --ckpt_path {path}: was saved within epoch {checkpoint['epoch']}; {advice}")


def find_whole_epoch(folder: Path) -> Path | None:
    """The checkpoint that a training has got furthest in; whatever else is there is passed over."""
    whole: dict[int, Path] = {}
    for path in sorted(folder.glob("*.ckpt")):
        try:
            checkpoint = SafeCheckpointIO().load_checkpoint(path)
        except UserError:
            continue
        if "loops" in checkpoint and is_whole_epoch(checkpoint):
            whole[checkpoint["epoch"]] = path
    return whole[max(whole)] if whole else None


def complete_checkpoint(path: Path, method: Method) -> None:
    """Gives a checkpoint the metric, the scores and the familiar faces that its validation should have left.

    One of an older version, or one that was saved after further training.

    Args:
        method: As it is in the checkpoint, and was just validated.
    """
    content = SafeCheckpointIO().load_checkpoint(path)
    state = content["state_dict"]
    now, then = float(method.video_threshold), float(state["video_threshold"])
    is_new = isnan(then)
    lacks_scores = (SCORES.id not in state or is_new) and bool(method.video_counts.min() > 0)
    lacks_familiarity = KEY not in content and method.familiarity is not None
    lacks_metric = (OWN_VALIDATION not in content or is_new) and method.validated is not None
    if not (lacks_scores or lacks_familiarity or lacks_metric):
        return
    if not (is_new or abs(now - then) < SAME):
        raise UserError(
            f"{path}: lacks what its validation should have left, and this one is another: its threshold is {now:.4f}, "
            f"that of training was {then:.4f}; validate with the configuration of the run"
        )
    if lacks_scores:
        for name in {"state_dict", "current_model_state"} & content.keys():
            fits = STORED if is_new else (SCORES, COUNTS)
            content[name] |= {fit.id: method.get_buffer(fit.id).cpu().clone() for fit in fits}
    if method.familiarity is not None:
        content[KEY] = method.familiarity.state()
    content[OWN_VALIDATION] = method.validated
    SafeCheckpointIO().save_checkpoint(content, path)
    rank_zero_info(
        f"{path}: now has the metric and the scores of its validation, and knows the faces that it was trained on"
    )
