"""Weights that others released, converted: with the network that they are of, and what their authors showed it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pytorch_lightning.utilities.rank_zero import rank_zero_warn
from torch import Tensor

from datamodules.face_data import FaceData
from datamodules.faces.align import Alignment, Cropper
from datamodules.prepared.contract import Contract
from datamodules.runtime.errors import UserError
from datamodules.runtime.stored_files import check_kind, show, to_record
from datamodules.synthesis.framing import Framing
from lightning_modules.weights import check_state, read

PARTS = {"state_dict", "network", "protocol"}
CLOSE = 0.02  # of a margin: by how much that of a crop may be another one


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How the authors of released weights cut faces and score videos.

    Args:
        margin: Side of what the network is shown over the longer side of the box, or over that of the template.
        aligned: Whether five points of a face are laid on a template; if so margin is over that.
        size: Side of the network's input, in pixels.
        colour: Order of the channels.
        frames: Of a video, evenly spaced.
        clip: Frames that are seen at once.
        video_score: What of its frames' scores that of a video is.
        faces: What of the scores of several faces of a frame its score is.
        detector: Name of their face detector.
    """

    margin: float
    aligned: bool
    size: int
    colour: str = "RGB"
    frames: int = 32
    clip: int = 1
    video_score: str = "mean of probabilities"
    faces: str = "one face"
    detector: str = ""

    def check(self, contract: Contract, framing: Framing, clip: int, who: str) -> None:
        """Refuses faces of another framing than the weights were trained on.

        Args:
            contract: Of prepared faces.
            who: Names the weights, for messages.
        """
        cropper = Cropper.from_contract(contract)
        shown = cropper.margin * (1 - 2 * sum(framing.cut) / 2)
        is_aligned = cropper.alignment in TEMPLATES
        if is_aligned != self.aligned:
            rule = f"five_points or deepfakebench for {who}" if self.aligned else f"none for {who}"
            raise UserError(f"alignment {cropper.alignment}: must be {rule}; {advise('--alignment', self.aligned)}")
        if abs(shown - self.margin) > CLOSE * self.margin:
            cut = f", of which framing {framing.cut} leaves {shown:.3g}" if any(framing.cut) else ""
            raise UserError(
                f"margin {cropper.margin:g}{cut}: must be {self.margin:g} for {who}; prepare with it, or cut it off by "
                f"--model.framing.cut"
            )
        if contract.get("colour", self.colour) != self.colour:
            raise UserError(f"colour {contract['colour']}: must be {self.colour} for {who}")
        if clip != self.clip:
            raise UserError(f"clip {clip}: must be {self.clip} for {who}; give --data.clip {self.clip}")


DEEPFAKEBENCH = Protocol(  # of detectors that were trained on its crops, which differ in size and frames
    margin=1.3,
    aligned=True,
    size=256,
    faces="one face, the first that is found",
    detector="dlib HOG, 81 landmarks (DeepfakeBench)",
)
TEMPLATES: tuple[Alignment, ...] = ("five_points", "deepfakebench")


def advise(option: str, aligned: bool) -> str:
    return f"prepare with {option} {'five_points' if aligned else 'none'}"


@dataclass(frozen=True, kw_only=True)
class ReleasedWeights:
    """
    Args:
        state: Of a network of ours.
        network: Arguments that decide which network it is, and what it is shown; they must be those of the method.
        protocol: None of weights that a training starts from.
    """

    state: Mapping[str, Tensor]
    network: Mapping[str, Any]
    protocol: Protocol | None

    @property
    def rest(self) -> dict[str, Any]:
        """What a file has beside the state; nothing of weights to start from, which are a state dict alone."""
        return {} if self.protocol is None else {"network": dict(self.network), "protocol": asdict(self.protocol)}

    @property
    def use(self) -> str:
        """Of weights that a training starts from, which keep nothing of what they are shown."""
        if self.protocol is not None:
            return ""
        shown = [f'--model.{name} "{self.network[name]}"' for name in ("mean", "std")]
        return f"; start from it: --model.trunk_weights {' '.join(['FILE', *shown])}"


def read_released(path: Path) -> ReleasedWeights:
    content = read(path)
    if content.keys() != PARTS:
        raise UserError(f"weights {path}: was not written by 'python -m suite convert' for this method")
    check_state(content["state_dict"], path)
    protocol = to_record(check_kind(content["protocol"], dict, f"weights {path}"), Protocol, f"weights {path}")
    network: dict[str, Any] = check_kind(content["network"], dict, f"weights {path}")
    return ReleasedWeights(state=content["state_dict"], network=network, protocol=protocol)


def check_network(released: ReleasedWeights, ours: Mapping[str, Any], path: Path) -> None:
    """Refuses a network whose names and shapes fit, and which is another one all the same."""
    for name, theirs in released.network.items():
        mine = ours.get(name)
        if not is_same(mine, theirs):
            raise UserError(f"{name} {show(mine)}: must be {show(theirs)} for weights {path}")


def is_same(mine: object, theirs: object) -> bool:
    """Numbers of a list as float32 has them."""
    if isinstance(mine, list) and isinstance(theirs, list):
        return len(mine) == len(theirs) and all(abs(a - b) < 1e-6 for a, b in zip(mine, theirs, strict=True))
    return mine == theirs


def check_data(protocol: Protocol, framing: Framing, data: object, who: str) -> None:
    """Of a test of released weights, which no checkpoint guards."""
    if not isinstance(data, FaceData):
        return
    protocol.check(data.contract, framing, data.clip, who)
    if data.image_size != protocol.size:
        rank_zero_warn(f"{who}: the network sees {protocol.size} pixels, --data.image_size is {data.image_size}")
