"""A method that was trained, with all that is needed to use it: of a run, or of a folder made to be passed on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jsonargparse import ArgumentParser
from torch import Tensor

from datamodules.prepared.contract import Contract
from datamodules.prepared.trained_on import SeenSet, describe_seen, read_seen
from datamodules.runtime.errors import UserError
from datamodules.runtime.stored_files import read_json, read_yaml
from lightning_modules.base import Method
from lightning_modules.familiarity import Familiarity
from lightning_modules.fitted_values import check_fixed, complete
from lightning_modules.metrics.calibration import Calibration, calibrate
from lightning_modules.metrics.operating import FORGED_FPR, UNCLEAR_FPR, OperatingPoint, ValidationScores
from lightning_modules.metrics.registry import CALIBRATION
from lightning_modules.model_check import check_model
from lightning_modules.own_validation import KEY as OWN_VALIDATION
from lightning_modules.own_validation import LIMIT
from lightning_modules.provenance import check_provenance
from lightning_modules.weights import FROM_FILES, digest, read, read_checkpoint

CONFIG, WEIGHTS, FAMILIARITY = "config.json", "model.safetensors", "familiarity.safetensors"
NEEDED = {"model", "contract", "stored", "trained_on", "weights"}
OF_TRAINING = ("optimizer", "scheduler")
UNTIL_0_1 = ("pretrained", "only_norms")  # arguments that older runs have, and nothing does any more
UNUSED = (*OF_TRAINING, *FROM_FILES, *UNTIL_0_1)
LOSS_FILES = ("comparator",)  # arguments that only a loss looks at


@dataclass(frozen=True, kw_only=True)
class VerdictThreshold:
    """Above which a verdict begins, and how it did on validation: as files have it.

    Args:
        at: Largest share of real videos above it.
    """

    at: float
    score: float
    probability: float
    false_alarms: int
    reals: int
    misses: int
    fakes: int
    is_resolved: bool


@dataclass(frozen=True, kw_only=True)
class Trained:
    """
    Args:
        path: Path or name as given.
        model: The section of a config.
        contract: How the faces that it saw were prepared.
        stored: Side of the crops before they got the size in the contract; None where they were cut from videos.
        trained_on: Data sets and forgeries.
        digest: Digest of the weights.
        tested_digest: Of those that a test of the checkpoint has, before some were folded into others or left out.
        called: Instead of by its folder.
    """

    path: Path
    method: Method
    model: dict[str, Any]
    contract: Contract
    stored: int | None
    trained_on: list[str]
    digest: str
    tested_digest: str = ""
    called: str = ""
    seen: list[SeenSet] | None = None  # of each data set of training; older ones do not know

    @property
    def training_summary(self) -> str:
        """What it was trained on, in words; only names where nothing was counted."""
        return describe_seen(self.seen) if self.seen else ", ".join(self.trained_on)

    @property
    def name(self) -> str:
        if self.called:
            return self.called
        path = self.path.resolve()
        return path.parent.parent.name if path.suffix == ".ckpt" else path.name

    @property
    def calibration(self) -> Calibration | None:
        """Slope and bias of the log odds that validation found, if it did."""
        fixed = self.method.fixed_values()
        return Calibration(*(fixed[id] for id in CALIBRATION)) if fixed.keys() >= set(CALIBRATION) else None

    @property
    def untrained(self) -> str:
        """That it has not learned its own task, where that is known; else empty."""
        own = self.method.own_validation
        return f"{self.name} is {own.describe(LIMIT)}: its verdicts mean nothing" if own.is_below(LIMIT) else ""

    def calibrate(self, score: float) -> float:
        """A probability, after Platt scaling; the score itself where there is none."""
        calibration = self.calibration or Calibration(slope=1.0, bias=0.0)
        return float(calibrate(torch.tensor(score, dtype=torch.float64), *calibration))

    @property
    def validation_scores(self) -> ValidationScores:
        """Scores of the videos of its validation."""
        if not self.method.video_counts.min() > 0:
            raise UserError(
                f"{self.path}: keeps no scores of its validation, of which verdicts are made; it is of an older "
                f"version. {self.advice}"
            )
        return ValidationScores(scores=self.method.video_scores, counts=self.method.video_counts)

    @property
    def advice(self) -> str:
        """How it comes to have them."""
        if (self.path / CONFIG).is_file():
            return (
                "Validate its run (python -m suite validate --config RUN/config.yaml --ckpt_path best); export it again"
            )
        run = self.path.parent.parent if self.path.suffix == ".ckpt" else self.path
        best = self.path if self.path.suffix == ".ckpt" else run / "checkpoints/best.ckpt"
        return f"Add them: python -m suite validate --config {run / 'config.yaml'} --ckpt_path {best}"

    def find_point(self, share: float) -> OperatingPoint:
        """Where at most this share of real videos is taken for forged, says validation."""
        return self.validation_scores.find_point(share)

    def describe_threshold(self, share: float) -> VerdictThreshold:
        """The same for files."""
        point = self.find_point(share)
        return VerdictThreshold(
            at=share,
            score=point.threshold,  # not rounded: of a saturated detector it may be 1e-7
            probability=self.calibrate(point.threshold),
            false_alarms=point.false_alarms,
            reals=point.reals,
            misses=point.misses,
            fakes=point.fakes,
            is_resolved=point.is_resolved,
        )

    def describe_thresholds(
        self, forged_fpr: float = FORGED_FPR, unclear_fpr: float = UNCLEAR_FPR
    ) -> dict[str, VerdictThreshold]:
        return {"forged": self.describe_threshold(forged_fpr), "unclear": self.describe_threshold(unclear_fpr)}


def load(path: Path) -> Trained:
    """
    Args:
        path: A run, one of its checkpoints, or a folder that 'export --format hub' wrote.
    """
    if (path / CONFIG).is_file():
        metadata = read_json(path / CONFIG, dict)
        if not metadata.keys() >= NEEDED:
            raise UserError(f"{path / CONFIG}: must have {', '.join(sorted(NEEDED))}; is it of another library?")
        check_provenance(metadata, path / CONFIG)
        check_model(metadata["model"], Method, path / CONFIG, (*UNUSED, *LOSS_FILES))
        state = {name: widen(value) for name, value in read(path / WEIGHTS).items()}
        if digest(state) != metadata["weights"]:
            raise UserError(
                f"{path / WEIGHTS}: is damaged or of another method: its digest is {digest(state)}, and "
                f"{metadata['weights']} in {CONFIG}"
            )
        familiarity = read(path / FAMILIARITY) if metadata.get("familiarity") is not None else None
        if familiarity is not None and digest(familiarity) != metadata["familiarity"]:
            raise UserError(
                f"{path / FAMILIARITY}: is damaged: its digest is not the {metadata['familiarity']} in {CONFIG}"
            )
        return build(path, metadata["model"], metadata, state, familiarity, path / CONFIG)
    checkpoint = path if path.suffix == ".ckpt" else path / "checkpoints/best.ckpt"
    config = checkpoint.parent.parent / "config.yaml"
    for file in (checkpoint, config):
        if not file.is_file():
            raise UserError(f"{path}: no run: {file} is missing")
    model: Any = read_yaml(config, dict).get("model")
    check_model(model, Method, config, (*UNUSED, *LOSS_FILES))
    content = read_checkpoint(checkpoint)
    abouts = [part for part in content.values() if isinstance(part, dict) and "contract" in part]
    if not abouts or "stored" not in abouts[0]:
        raise UserError(f"{checkpoint}: does not say how its faces were prepared; it is of an older version")
    metadata = abouts[0] | {OWN_VALIDATION: content.get(OWN_VALIDATION)}
    check_provenance(metadata, checkpoint)
    return build(path, model, metadata, content["state_dict"], content.get("familiarity"), config)


def build(
    path: Path,
    model: dict[str, Any],
    metadata: dict[str, Any],
    state: dict[str, Tensor],
    familiarity: dict[str, Tensor] | None = None,
    config: Path | None = None,
) -> Trained:
    """
    Args:
        model: Its section of a config, checked.
        metadata: Of its training, checked.
        config: Holds the model, for messages.
    """
    complete({"state_dict": state})
    tested_digest = digest(state)
    arguments = {k: v for k, v in model.get("init_args", {}).items() if k not in UNUSED}
    if arguments.get("comparator") is not None or arguments.get("perceptual"):  # of LAE, which only a loss looks at
        arguments |= {"comparator": None, "perceptual": 0.0}
        state = {name: value for name, value in state.items() if not name.startswith("comparator.")}
    model = {"class_path": model["class_path"], "init_args": arguments}
    method = construct(model, config or path)
    expected = method.state_dict()
    misfits = list(expected.keys() ^ state.keys())
    misfits += [n for n, value in state.items() if n in expected and expected[n].shape != value.shape]
    if misfits:
        raise UserError(
            f"{path}: {len(misfits)} weights do not fit {model['class_path']}, the first is {sorted(misfits)[0]!r}"
        )
    check_fixed(state, path)
    method.load_state_dict(state)
    arguments |= method.fold()
    method.validated = metadata.get(OWN_VALIDATION)
    if not method.fixes_thresholds:
        raise UserError(f"{path}: {model['class_path']} does not tell real from fake")
    if "video_threshold" not in method.fixed_values():
        raise UserError(f"{path}: validation has fixed no threshold; it must see real and fake videos")
    if familiarity is not None:
        method.familiarity = Familiarity.from_state(familiarity, path)
    return Trained(
        path=path,
        method=method.eval(),
        model=model,
        digest=digest(method.state_dict()),
        tested_digest=tested_digest,
        contract=metadata["contract"],
        stored=metadata["stored"],
        trained_on=metadata["trained_on"],
        seen=read_seen(metadata.get("seen")),
    )


def construct(model: dict[str, Any], file: Path) -> Method:
    """
    Args:
        model: Checked: the parser would import, read and fetch what a stranger names.
    """
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(Method, "model")
    try:
        method: Method = parser.instantiate_classes(parser.parse_object({"model": model})).model
    except UserError as error:
        raise UserError(f"{file}: model: {error}") from error
    except Exception as error:  # numbers that fit their types and no network: torch has many words for them
        said = " ".join(str(error).split())
        raise UserError(f"{file}: {model['class_path']} cannot be built as it says there ({said[:200]})") from error
    return method


def widen(value: Tensor) -> Tensor:
    """From the precision that a file has."""
    return value.float() if value.dtype == torch.float16 else value
