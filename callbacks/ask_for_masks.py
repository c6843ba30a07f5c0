"""After the first stage of a training: which faces masks are asked for, and where to stop for whoever draws them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.utilities.rank_zero import rank_zero_info

from datamodules.annotation.label_studio import write_image
from datamodules.annotation.oracle import Missing
from datamodules.annotation.request import WAITING, Choice, Request, RequestedFace, read_request
from datamodules.annotation.selection import ChannelRule, ScoredFaces, Strategy, choose
from datamodules.batch import collate
from datamodules.face_data import FaceData
from datamodules.runtime.atomic_files import write_text
from datamodules.runtime.errors import UserError
from lightning_modules.base import Method
from lightning_modules.finite import check_scores


class AskForMasks(Callback):
    """Writes request.csv and images into the run; goes on with the masks, or stops until they are there."""

    def __init__(
        self,
        first_stage_epochs: int,
        strategy: Strategy = "active",
        count: int | None = None,
        max_per_video: int = 2,
        channels: int = 10,
        channel_rule: ChannelRule = "max",
        frames: int = 32,
        seed: int = 0,
        rounds: int = 1,
        epochs_between_rounds: int = 1,
    ) -> None:
        """
        Args:
            first_stage_epochs: Epochs of training, those of the first stage.
            strategy: Fakes that are most active on the channels that tell fakes best; random ones; or undecided ones.
            count: Masks to ask for; as many as the oracle's budget allows without it.
            max_per_video: Fakes of one video at most.
            channels: Attention channels that the active choice ranks by.
            channel_rule: The largest of them, their mean, or each in turn.
            frames: Number of frames of each face to choose from.
            seed: Seed of the random choice.
            rounds: In which the masks are asked for, each a part of them.
            epochs_between_rounds: Epochs from one round to the next.
        """
        if rounds < 1 or epochs_between_rounds < 1:
            raise UserError(f"rounds {rounds}, epochs_between_rounds {epochs_between_rounds}: must be at least 1")
        self.first_stage_epochs, self.strategy = first_stage_epochs, strategy
        self.count, self.max_per_video = count, max_per_video
        self.channels, self.channel_rule, self.frames, self.seed = channels, channel_rule, frames, seed
        self.rounds, self.epochs_between_rounds = rounds, epochs_between_rounds

    @staticmethod
    def data(trainer: Trainer) -> FaceData:
        data = trainer.datamodule  # type: ignore[attr-defined]
        if not isinstance(data, FaceData) or data.annotated_faces is None:
            raise UserError("AskForMasks: give --data.oracle, whom the masks are asked of")
        return data

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        data = self.data(trainer)
        assert isinstance(pl_module, Method)
        if (first := pl_module.first_stage_epochs) not in (None, self.first_stage_epochs):
            name = type(pl_module).__name__
            raise UserError(
                f"AskForMasks: first_stage_epochs {self.first_stage_epochs}; the first stage of {name} has {first}"
            )
        if (wanted := self.count_wanted(data)) < self.rounds:
            raise UserError(f"rounds {self.rounds}: of {wanted} masks")
        assert data.annotated_faces is not None
        oracle = data.annotated_faces.oracle
        if wanted > oracle.budget:
            raise UserError(f"AskForMasks: count {wanted}; the budget of --data.oracle is {oracle.budget}")
        oracle.check(data.videos("train"))
        end = self.first_stage_epochs + (self.rounds - 1) * self.epochs_between_rounds
        if self.rounds > 1 and trainer.max_epochs is not None and self.first_stage_epochs < trainer.max_epochs <= end:
            raise UserError(f"rounds {self.rounds}: the last is after {end} epochs, of {trainer.max_epochs}")
        if due := self.count_due(trainer.current_epoch):
            self.ask(trainer, pl_module, due, again=False)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        done = trainer.current_epoch + 1
        if done == trainer.max_epochs or self.count_due(done) == self.count_due(done - 1):
            return
        try:
            self.ask(trainer, pl_module, self.count_due(done), again=True)
        except Missing as missing:
            trainer.should_stop = True
            run = Path(trainer.default_root_dir)
            trainer.save_checkpoint(run / "checkpoints" / "last.ckpt")
            write_text(run / WAITING, str(missing))
            rank_zero_info(
                f"{missing}\nNow let somebody draw them: python -m suite annotate export --run {run}\n"
                f"then go on: python -m suite fit --config {run / 'config.yaml'} --ckpt_path last"
            )

    def count_wanted(self, data: FaceData) -> int:
        """Masks, in all rounds."""
        assert data.annotated_faces is not None
        return self.count or data.annotated_faces.oracle.budget

    def count_due(self, epochs: int) -> int:
        """Rounds by the end of so many epochs."""
        return (
            min(self.rounds, (epochs - self.first_stage_epochs) // self.epochs_between_rounds + 1)
            if epochs >= self.first_stage_epochs
            else 0
        )

    def ask(self, trainer: Trainer, method: LightningModule, rounds: int, again: bool) -> None:
        """
        Args:
            rounds: So many of them.
            again: The last of them is chosen now, whatever is in the run.
        """
        assert isinstance(method, Method)
        data, run = self.data(trainer), Path(trainer.default_root_dir)
        # the others take over what the first chooses: their norms may have seen other faces
        if trainer.is_global_zero and (again or len(read_rounds(run)) < rounds):
            self.write(data, method, run, rounds)
        trainer.strategy.barrier()
        request = read_request(run)
        data.ask(request.faces[: read_rounds(run)[rounds - 1]], request.choice)
        (run / WAITING).unlink(missing_ok=True)

    def write(self, data: FaceData, method: Method, run: Path, rounds: int) -> None:
        """The request of this round behind those of earlier ones."""
        sizes = read_rounds(run)[: rounds - 1] if rounds > 1 else []
        if len(sizes) < rounds - 1:
            raise UserError(
                f"{run / 'request.csv'}: has {len(sizes)} rounds of masks, this training was in round {rounds}"
            )
        earlier: list[RequestedFace] = []
        scores: list[float] = []
        if sizes:
            before = read_request(run)
            earlier, scores = before.faces[: sizes[-1]], before.scores[: sizes[-1]]
        new = self.choose(data, method, self.count_wanted(data) * rounds // self.rounds - len(earlier), earlier)
        faces = [*earlier, *new.faces]
        choice = replace(new.choice, rounds=[*sizes, len(faces)])
        keep_images(data, method, new, run / "request")
        Request(faces=faces, scores=[*scores, *new.scores], choice=choice).write(run)

    def choose(self, data: FaceData, method: Method, count: int, earlier: Sequence[RequestedFace]) -> Request:
        faces, scored = score_faces(data, method, self.frames)
        names = [face.file for face in earlier]
        found = choose(
            scored, count, self.strategy, self.max_per_video, self.channels, self.channel_rule, self.seed, names
        )
        choice = Choice(
            strategy=self.strategy,
            of_frames=len(faces),
            of_fakes=int((scored.label == 1).sum()),
            max_per_video=self.max_per_video,
            channels={str(number): weight for number, weight in found.channels.items()},
        )
        scores = [float(found.scores[i]) for i in found.rows]
        return Request(faces=[faces[i] for i in found.rows], scores=scores, choice=choice)


def read_rounds(run: Path) -> list[int]:
    """Faces that were asked for by the end of each round."""
    if not (run / "request.csv").is_file():
        return []
    request = read_request(run)
    return request.choice.rounds or [len(request.faces)]


@torch.no_grad()
def score_faces(data: FaceData, method: Method, frames: int) -> tuple[list[RequestedFace], ScoredFaces]:
    """What the method makes of the faces of training with its present weights, averaged or not."""
    was_training = method.training
    method.eval()
    faces, label, logit, channels = [], [], [], []
    for loaded in data.candidates(frames):
        batch = loaded.to(method.device).scale()
        prediction = method.predict(batch)
        check_scores(prediction.logit, None, batch)
        known = zip(batch.video, batch.track.tolist(), batch.numbers[:, 0].tolist(), strict=True)
        faces += [RequestedFace(*one) for one in known]
        label.append(batch.label.cpu())
        logit.append(prediction.logit.float().cpu())
        if prediction.channels is not None:
            channels.append(prediction.channels.float().cpu())
    method.train(was_training)
    concepts = torch.cat(channels).numpy().astype(np.float64) if channels else None
    scored = ScoredFaces(
        names=[face.file for face in faces],
        videos=[face.video for face in faces],
        label=torch.cat(label).numpy(),
        logit=torch.cat(logit).numpy().astype(np.float64),
        channels=concepts,
    )
    return faces, scored


@torch.no_grad()
def keep_images(data: FaceData, method: Method, request: Request, folder: Path) -> None:
    """What a person is shown: the faces, and where the method points, each in a folder of its own."""
    was_training = method.training
    method.eval()
    samples = data.samples(request.faces)
    for i in range(0, len(samples), data.batch_size):
        batch = collate(samples[i : i + data.batch_size]).to(method.device).scale()
        found = method.predict(batch).mask_logit
        for k, face in enumerate(request.faces[i : i + data.batch_size]):
            image = samples[i + k].frames[0].permute(1, 2, 0).numpy()
            write_image(folder / "faces" / face.file, image)
            if found is not None:
                painted = (found[k, 0, 0].sigmoid() > 0.5).to(torch.uint8).mul(255).cpu().numpy()
                write_image(folder / "found" / face.file, painted)
    method.train(was_training)
