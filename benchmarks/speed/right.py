"""Whether a GPU computes what the CPU does: synthesis, augmentation, and a training step of each method."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from timm.layers import DropPath
from torch import Tensor, nn

from benchmarks.speed.faces import cut_faces, real_batch
from benchmarks.speed.presets import Preset, presets
from datamodules.augment.augment import Augment
from datamodules.batch import Batch
from datamodules.synthesis.base import Synthesis, seed_draws
from datamodules.synthesis.face_blend import FaceBlend
from datamodules.synthesis.self_blend import SelfBlend
from datamodules.synthesis.warp import Warp

# Relative rounding of one number. A result may be off by FLOOR of them, or by TIMES what a change of the pixels by one
# of them does to it: a deep network with random weights and statistics of a few images enlarges it a lot.
ROUNDING = {"float32": 2.0**-23, "tf32": 2.0**-11, "bf16": 2.0**-8}
FLOOR, TIMES = 64, 8
MOST = 0.9  # a gradient of zeros is off by 1
# A CPU resizes bytes as whole numbers, a GPU as floats: some are a level apart, and a JPEG makes that more.
LEVELS, DIFFERENT = 2, 0.03  # of 255 by which a pixel may differ, and share of pixels that may differ by more
NAMES = ("loss", "logit", "gradient", "change")
NO_CHANGES: dict[str, float] = {
    "flip": 0.0, "affine": 0.0, "colour": 0.0, "blur": 0.0, "noise": 0.0, "rescale": 0.0, "jpeg": 0.0
}  # fmt: skip

SYNTHESES: dict[str, Callable[..., Synthesis]] = {
    "SelfBlend": SelfBlend,
    "FaceBlend": FaceBlend,
    "FaceBlend without a seam": functools.partial(FaceBlend, aligned=True, seamless=1.0, coarsest=0.4),
    "Warp": Warp,
}


def error(found: Tensor, expected: Tensor) -> float:
    """Relative, of all numbers together; infinite where one is not finite."""
    found, expected = found.double().cpu(), expected.double().cpu()
    if not found.isfinite().all():
        return float("inf")
    return float((found - expected).norm() / expected.norm().clamp_min(1e-12))


def share_differing(found: Tensor, expected: Tensor) -> float:
    """Share of pixels in [0, 1] that are more than LEVELS of 255 apart."""
    return float(((found.cpu() - expected).abs() > (LEVELS + 0.5) / 255).float().mean())


@contextmanager
def tf32(is_on: bool) -> Iterator[None]:
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = is_on
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def pixel_cases(side: int, out: int) -> dict[str, Callable[[str], dict[str, Tensor]]]:
    """Each makes the same batch on a device, from the same draws."""

    def blend(make: Callable[..., Synthesis], train: bool, device: str) -> dict[str, Tensor]:
        batch = real_batch(8, side, forged=False).to(device)
        synthesis = make(size=out).train(train)
        with seed_draws(7):
            made = synthesis(batch)
        assert made.boundary is not None
        return {"frames": made.frames, "mask": made.mask, "boundary": made.boundary.float() / 255}

    def augment(change: dict[str, float], device: str) -> dict[str, Tensor]:
        batch = real_batch(8, side).to(device)
        with seed_draws(7):
            made = Augment(**(NO_CHANGES | change))(batch)  # type: ignore[arg-type]
        return {"frames": made.frames, "mask": made.mask, "landmarks": made.landmarks / side}

    cases: dict[str, Callable[[str], dict[str, Tensor]]] = {}
    for name, make in SYNTHESES.items():
        for train in (True, False):
            cases[f"{name}, {'training' if train else 'validation'}"] = functools.partial(blend, make, train)
    for change in NO_CHANGES:
        cases[f"Augment, {change}"] = functools.partial(augment, {change: 1.0})
    cases["Augment, all"] = functools.partial(augment, dict.fromkeys(NO_CHANGES, 1.0))
    return cases


def check_pixels(device: str, tiny: bool) -> dict[str, dict[str, float]]:
    side, out = (64, 64) if tiny else (256, 384)
    return {
        name: {part: round(share_differing(value, expected[part]), 5) for part, value in case(device).items()}
        for name, case in pixel_cases(side, out).items()
        for expected in [case("cpu")]
    }


def disable_dropout(network: nn.Module) -> nn.Module:
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        elif isinstance(module, DropPath):
            module.drop_prob = 0.0
    return network


def step(method: Any, batch: Batch, precision: str) -> dict[str, Tensor]:
    """What one training step computes, and by how much it moves the parameters."""
    method.train()
    kind = batch.frames.device.type
    parameters = [p for p in method.parameters() if p.requires_grad]
    before = torch.cat([p.detach().flatten().clone() for p in parameters])
    with torch.autocast(kind, torch.bfloat16, enabled=precision == "bf16"):
        prediction = method.predict(batch)
        loss = torch.stack([each.float() for each in method.losses(prediction, batch).values()]).sum()
    loss.backward()
    gradient = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    torch.optim.SGD(parameters, lr=1e-3).step()  # that of Adam is a sign, which no rounding leaves alone
    after = torch.cat([p.detach().flatten() for p in parameters])
    return {
        "loss": loss.detach().flatten(),
        "logit": prediction.logit.detach().float(),
        "gradient": torch.cat([g.flatten() for g in gradient]),
        "change": after - before,
    }


def check_method(preset: Preset, device: str, tiny: bool) -> dict[str, dict[str, Any]]:
    torch.manual_seed(0)
    method = disable_dropout(preset.build())
    batch = real_batch(2 if preset.clip > 1 else 4, preset.side, preset.clip)
    noise = torch.randn(batch.frames.shape, generator=torch.Generator().manual_seed(1))

    def run(where: str, precision: str = "float32", change: float = 0.0) -> dict[str, Tensor]:
        here = replace(batch, frames=batch.frames * (1 + change * noise)).to(where)
        with tf32(precision == "tf32"):
            return step(copy.deepcopy(method).to(where), here, precision)

    expected, exact = run("cpu"), run(device)
    out = {}
    for precision, rounding in ROUNDING.items():
        if device == "cpu" and precision == "tf32":
            continue
        found, changed = run(device, precision), run(device, change=rounding)
        row: dict[str, Any] = {}
        for name in NAMES:
            limit = min(MOST, max(FLOOR * rounding, TIMES * error(changed[name], exact[name])))
            row[name] = {"error": error(found[name], expected[name]), "limit": limit}
        row = {name: {key: float(f"{value:.2g}") for key, value in row[name].items()} for name in NAMES}
        out[precision] = row | {"within": all(one["error"] <= one["limit"] for one in row.values())}
    return out


def check(device: str, tiny: bool, wanted: list[str]) -> dict[str, Any]:
    """Everything, as data; what raises is kept as what it says.

    Args:
        wanted: Methods whose names begin with one of these; all without any.
    """
    cut_faces(1, 32)
    pixels = check_pixels(device, tiny)
    result: dict[str, Any] = {
        "levels": LEVELS,
        "largest_share_of_pixels": DIFFERENT,
        "pixels": pixels,
        "rounding": ROUNDING,
        "floor_times_rounding": FLOOR,
        "times_effect_of_rounding": TIMES,
        "largest_limit": MOST,
        "steps": {},
    }
    seen: set[str] = set()
    for name, preset in presets(tiny).items():
        network = name.split(",")[0]
        if network in seen or (wanted and not any(name.startswith(one) for one in wanted)):
            continue
        seen.add(network)
        try:
            result["steps"][network] = check_method(preset, device, tiny)
        except Exception as failure:  # one method must not cost the metrics of the others
            result["steps"][network] = {"error": f"{type(failure).__name__}: {failure}"[:300]}
        print(network, result["steps"][network], flush=True)
    result["is_right"] = all(share <= DIFFERENT for case in pixels.values() for share in case.values()) and all(
        "error" not in case and all(one["within"] for one in case.values()) for case in result["steps"].values()
    )
    return result
