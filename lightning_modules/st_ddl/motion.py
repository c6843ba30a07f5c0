"""What a clip's motion is taken from: the mesh of landmarks, dense optical flow, or nothing, as controls."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import cv2
import torch
from torch import Tensor, nn

from datamodules.faces.landmarks.points import OUTER_CORNERS
from lightning_modules.st_ddl.mesh import mesh_motion

PIXELS = 2**20  # of maps made at once on a CPU: more are paged in anew by every operation


def mesh_maps(landmarks: Tensor, height: int, width: int) -> Tensor:
    """(B, T, 68, 2) to (B, T - 1, 3, H, W): right, down, and 1 within the mesh."""
    here, there = (points.flatten(0, 1).float() for points in (landmarks[:, :-1], landmarks[:, 1:]))
    step = max(1, PIXELS // (height * width)) if not landmarks.is_cuda else len(here)
    pairs = zip(here.split(step), there.split(step), strict=True)
    return torch.cat([mesh_motion(p, q, height, width) for p, q in pairs]).unflatten(0, (len(landmarks), -1))


class Motion(nn.Module, ABC):
    """Gives (B, T - 1, C, H, W) from each frame of a clip to the next; never across clips."""

    needs_landmarks = True

    def __init__(self, scale: float = 0.008, mesh_channel: bool = False) -> None:
        """
        Args:
            scale: Motion that becomes 1, over the distance of the eyes; about the deviation in real studio videos.
            mesh_channel: Add a channel that is 1 within the mesh, so that a still face differs from no face.
        """
        super().__init__()
        self.scale, self.mesh_channel = scale, mesh_channel
        self.channels = 3 if mesh_channel else 2

    @abstractmethod
    def pixels(self, frames: Tensor, landmarks: Tensor) -> Tensor:
        """(B, T, 3, H, W) and (B, T, 68, 2) to what ``mesh_maps`` gives."""

    @torch.no_grad()
    def forward(self, frames: Tensor, landmarks: Tensor) -> Tensor:
        out = self.pixels(frames, landmarks)
        apart = (landmarks[:, 0, OUTER_CORNERS[0]] - landmarks[:, 0, OUTER_CORNERS[1]]).norm(dim=-1).clamp(min=1)
        out[:, :, :2] /= self.scale * apart[:, None, None, None, None]
        return out[:, :, : self.channels]


class MeshMotion(Motion):
    """Each triangle between landmarks moves its pixels."""

    def pixels(self, frames: Tensor, landmarks: Tensor) -> Tensor:
        return mesh_maps(landmarks, *frames.shape[-2:])


class FlowMotion(Motion):
    """Dense optical flow, OpenCV's DIS."""

    def __init__(self, mesh_only: bool = True, **kwargs: Any) -> None:
        """
        Args:
            mesh_only: Only where the mesh of landmarks is, so that the shape of the face tells as much as with it.
            **kwargs: See Motion.
        """
        super().__init__(**kwargs)
        self.mesh_only = mesh_only

    def pixels(self, frames: Tensor, landmarks: Tensor) -> Tensor:
        out = mesh_maps(landmarks, *frames.shape[-2:])
        grey = (frames.mean(2) * 255).round().byte().cpu().numpy()  # (B, T, H, W)
        flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        for clip, maps in zip(grey, out, strict=True):
            for t in range(len(maps)):
                found = torch.from_numpy(flow.calc(clip[t], clip[t + 1], None)).permute(2, 0, 1)
                maps[t, :2] = found.to(maps.device) * (maps[t, 2:] if self.mesh_only else 1)
        return out


class NoMotion(Motion):
    """All zero: as many parameters, and nothing to learn from."""

    needs_landmarks = False

    def pixels(self, frames: Tensor, landmarks: Tensor) -> Tensor:
        b, t, _, h, w = frames.shape
        return frames.new_zeros(b, t - 1, 3, h, w)
