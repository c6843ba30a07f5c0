"""Compares a network of ours with recorded outputs of the authors', under weights made from each tensor's name.

    python tests/parity/compare.py METHOD FIXTURE.npz --seed N

The list of the authors' keys, METHOD_keys.json, lies beside the fixture (laa_net_sharp has that of laa_net). Exit code
0 only if every array is within 1e-6.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

if __package__ in (None, ""):  # run as a file
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from lightning_modules.laa_net.convert import ALIAS, ALIASED, convert_reference
from lightning_modules.laa_net.network import NATIVE, LAANetwork
from lightning_modules.mae.network import positions
from lightning_modules.mae.reconstruction import reconstruct, residual_of
from lightning_modules.rffr import convert as rffr_convert
from lightning_modules.rffr import network as rffr_detector
from lightning_modules.st_ddl import convert as st_ddl_convert
from lightning_modules.st_ddl import network as st_ddl_network
from tests.parity import anchors
from tests.parity.recorded import TOLERANCE, Keys, as_ours, errors, fill, filled, mirror_if, uniform


def laa_net(keys: Keys, padding_side: int | None = NATIVE, factor: float = 1.0) -> LAANetwork:
    """
    Args:
        factor: Of tensors of two dimensions and more: under 1 the deep arrays forget what the image was.
    """
    aliased = {n: ALIASED + n.removeprefix(ALIAS) if n.startswith(ALIAS) else n for n in keys}
    state = {name: torch.from_numpy(fill(aliased[name], tuple(shape))) for name, shape in keys.items()}
    state = {name: factor * value if value.ndim >= 2 else value for name, value in state.items()}
    network = LAANetwork(padding_side=padding_side).double().eval()
    network.load_state_dict(convert_reference(state))
    return network


@torch.no_grad()
def laa_net_arrays(network: LAANetwork, seed: int, mirrored: bool = False) -> dict[str, Tensor]:
    normalized = mirror_if(mirrored, uniform(seed, (1, 3, 384, 384)))
    taps = network.trunk(normalized)
    heads = network(normalized / 2 + 0.5)
    arrays = {f"reduction_{i}": tap[:, ::16, ::2, ::2] for i, tap in enumerate(taps, 3)}
    arrays |= {"hm": heads.points[..., ::2, ::2], "cls": heads.label[:, None]}
    return arrays | {"cstency": heads.embedding[:, ::16, ::4, ::4]}


def st_ddl(keys: Keys) -> st_ddl_network.STDDLNetwork:
    state = filled(keys)
    network = st_ddl_network.STDDLNetwork().double().eval()
    network.load_state_dict(st_ddl_convert.convert_reference(state))
    return network


@torch.no_grad()
def st_ddl_arrays(network: st_ddl_network.STDDLNetwork, seed: int, mirrored: bool = False) -> dict[str, Tensor]:
    shown, moved = uniform(seed, (6, 3, 128, 128)), uniform(seed + 1, (6, 2, 128, 128))
    pixels, motion, fused = network.fuse(mirror_if(mirrored, shown), mirror_if(mirrored, moved))
    heads = network.heads(fused, clips=2)
    arrays = {"features_rgb": pixels, "features_motion": motion, "fused": fused}
    arrays = {name: features[:, ::64] for name, features in arrays.items()}
    return arrays | {"mask_logits": heads.mask[..., ::8, ::8], "class_logits": heads.label}


def rffr(keys: Keys) -> rffr_detector.RFFRNetwork:
    state = filled(keys)
    for name, width in (("pos_embed", 768), ("decoder_pos_embed", 512)):
        state[f"rg.inpainter.{name}"] = positions(width, 14)
    network = rffr_detector.RFFRNetwork().double().eval()
    network.load_state_dict(rffr_convert.convert_reference(state))
    return network


@torch.no_grad()
def rffr_arrays(
    network: rffr_detector.RFFRNetwork, seed: int, mirrored: bool = False, blocks: Sequence[int] = ()
) -> dict[str, Tensor]:
    chosen, images = torch.tensor(list(blocks)), mirror_if(mirrored, uniform(seed, (1, 3, 224, 224), 0, 1))
    ids = network.blocks[chosen]
    passes = [one[None] for one in ids]
    whole = reconstruct(network.generator, images, passes)[0]
    rest = residual_of(whole, images)
    features = network.features(images, rest, chosen)
    arrays = {"recovered": whole[..., ::8, ::8], "residual": rest[..., ::8, ::8], "features_compat": features}
    arrays |= {"patch_ids": ids.flatten()[None], "logits_compat": network.classifier(features)}
    network.compat = False
    arrays["features"] = network.features(images, rest, chosen)
    network.compat = True
    return arrays


# the network from the authors' keys, and its arrays; the name of their list of keys is that before "_sharp"
METHODS: dict[str, tuple[Callable[[Keys], Any], Callable[..., dict[str, Tensor]]]] = {
    "laa_net": (laa_net, laa_net_arrays),
    "laa_net_sharp": (partial(laa_net, factor=1.5), laa_net_arrays),
    "st_ddl": (st_ddl, st_ddl_arrays),
    "rffr": (rffr, rffr_arrays),
    **anchors.METHODS,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("method", choices=METHODS)
    parser.add_argument("fixture", type=Path)
    parser.add_argument("--seed", type=int, required=True)
    given = parser.parse_args()
    keys = json.loads((given.fixture.parent / f"{given.method.removesuffix('_sharp')}_keys.json").read_text())
    theirs = dict(np.load(given.fixture))
    inputs = {name: theirs.pop(name).tolist() for name in ("blocks",) if name in theirs}
    build, arrays = METHODS[given.method]
    if given.method in anchors.METHODS:
        theirs = as_ours(theirs)
    found = errors(arrays(build(keys), given.seed, **inputs), theirs)
    for name, error in found.items():
        print(name, f"{error:.3e}")
    sys.exit(0 if found and max(found.values()) <= TOLERANCE else 1)


if __name__ == "__main__":
    main()
