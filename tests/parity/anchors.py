"""The detectors of recent tables: their released networks under ours, and their recorded arrays of ours."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_modules.classifier import Classifier
from lightning_modules.effort import convert as effort_convert
from lightning_modules.fakestormer import convert as fakestormer_convert
from lightning_modules.fakestormer.network import StormNetwork
from lightning_modules.forada import convert as forada_convert
from lightning_modules.forada.method import ForensicsAdapter
from lightning_modules.gend import convert as gend_convert
from lightning_modules.released import ReleasedWeights, check_network
from lightning_modules.sbi import convert as sbi_convert
from lightning_modules.trunks.vit_options import describe
from lightning_modules.weights import fill
from tests.parity.recorded import Keys, filled, mirror_if, uniform

Convert = Callable[[Mapping[str, Tensor], Path], ReleasedWeights]
NOWHERE = Path("nowhere/weights.pt")  # the converters look for files beside it
TOKENS = (slice(None), slice(None, None, 16), slice(None, None, 32))


def classifier(keys: Keys, convert: Convert, factors: Callable[[str, Tensor], float] = lambda *_: 1.0) -> Classifier:
    """Of the authors' keys, in float64.

    Args:
        factors: Of a tensor by its name and value.
    """
    state = {name: value * factors(name, value) for name, value in filled(keys).items()}
    released = convert(state, NOWHERE)
    del state
    known = dict(released.network)
    given = {name: known[name] for name in ("img_size", "pooling", "unit_features") if name in known}
    model = Classifier(known["backbone"], mean=known["mean"], std=known["std"], tune="none", **given).double().eval()
    ours = describe(model.net) | {name: getattr(model, name).flatten().tolist() for name in ("mean", "std")}
    check_network(released, ours | {"unit_features": known["unit_features"]}, NOWHERE)
    fill(model.net, released.state, NOWHERE)
    return model


def pixels(model: Any, normalized: Tensor) -> Tensor:
    """(B, 1, 3, H, W) that our own normalization brings to what the authors' network was fed."""
    frames: Tensor = (normalized * model.std + model.mean)[:, None]
    return frames


@torch.no_grad()
def transformer_arrays(model: Classifier, seed: int, mirrored: bool = False) -> dict[str, Tensor]:
    """
    Args:
        recorded: Names of the logits.
    """
    images = mirror_if(mirrored, uniform(seed, (2, 3, 224, 224)))
    found: dict[str, Tensor] = {}
    net = model.net

    def keep(name: str, tokens: Tensor) -> None:
        found.setdefault(name, tokens[TOKENS])

    net.blocks[0].register_forward_pre_hook(lambda _, given: keep("tokens_in", given[0]))
    for i in (0, 11, 23):
        net.blocks[i].register_forward_hook(lambda _, __, out, i=i: keep(f"tokens_{i}", out))
    frames = pixels(model, images)
    found["logits"] = model(frames).logit
    features = net.forward_head(net.forward_features(model.normalize(frames, model.framing)), pre_logits=True)
    linear = F.linear(features, net.head.weight, net.head.bias)[:, 0]
    return found | {
        "features": features,
        "logits_norm": found["logits"],
        "logits_linear": linear,
        "prob": found["logits"].sigmoid(),
    }


@torch.no_grad()
def sbi_arrays(model: Classifier, seed: int, mirrored: bool = False) -> dict[str, Tensor]:
    frames = mirror_if(mirrored, uniform(seed, (2, 3, 380, 380), 0, 1))[:, None]
    found: dict[str, Tensor] = {}
    net = model.net

    def keep(name: str, features: Tensor) -> None:
        found.setdefault(name, features[:, ::16, ::4, ::4])

    for i, stage in ((3, 2), (4, 4), (5, 6)):  # after blocks 9, 21 and 31
        net.blocks[stage].register_forward_hook(lambda _, __, out, i=i: keep(f"reduction_{i}", out))
    net.bn2.register_forward_hook(lambda _, __, out: keep("reduction_6", out))
    logit = model(frames).logit
    features = net.forward_head(net.forward_features(frames[:, 0]), pre_logits=True)
    return found | {"features": features, "logits": logit, "prob": logit.sigmoid()}


def forada(keys: Keys) -> ForensicsAdapter:
    aliased = {}
    for name in keys:
        found = ((re.fullmatch(alias, name), target) for alias, target in forada_convert.ALIASES.items())
        aliased[name] = next((one.expand(target) for one, target in found if one), name)
    values = filled({aliased[name]: shape for name, shape in keys.items()})
    released = forada_convert.convert_released({name: values[aliased[name]] for name in keys}, NOWHERE)
    model = ForensicsAdapter().double().eval()
    fill(model.network, released.state, NOWHERE)
    return model


@torch.no_grad()
def forada_arrays(model: ForensicsAdapter, seed: int, mirrored: bool = False) -> dict[str, Tensor]:
    images = mirror_if(mirrored, uniform(seed, (2, 3, 256, 256)))
    found: dict[str, Tensor] = {}

    def keep(_: object, __: object, tokens: Tensor) -> None:
        found.setdefault("block_23", tokens[:, ::32, ::64])

    model.network.clip.blocks[23].register_forward_hook(keep)
    frames = pixels(model.network, images)
    logit = model(frames).logit
    heads = model.network(frames[:, 0])
    return found | {
        "xray": heads.maps[:, ::16, ::2, ::2],
        "attn_bias": heads.bias[:, ::8, ::32, ::4, ::4],
        "queries": heads.queries[:, ::16, ::8],
        "xray_pred": heads.xray[..., ::8, ::8],
        "logits": logit,
        "prob": logit.sigmoid(),
    }


def fakestormer(keys: Keys) -> StormNetwork:
    network = StormNetwork().double().eval()
    fill(network, fakestormer_convert.convert_released(filled(keys), NOWHERE).state, NOWHERE)
    return network


@torch.no_grad()
def fakestormer_arrays(network: StormNetwork, seed: int, mirrored: bool = False) -> dict[str, Tensor]:
    clips = mirror_if(mirrored, uniform(seed, (2, 3, 4, 224, 224))).transpose(1, 2)
    frames = clips * network.std + network.mean
    network.backbone.shares_batch = True
    both = network(frames)
    network.backbone.shares_batch = False
    alone = [network(one[None]) for one in frames]
    return {
        "cls": both.label[:, None],
        "temp_loc": both.temporal,
        "hm": both.heat[:, None],
        "temporal_token": both.token[:, None, ::4],
        "cls_alone": torch.cat([one.label for one in alone])[:, None],
        "temp_loc_alone_1": alone[1].temporal,
        "hm_alone_1": alone[1].heat[:, None],
    }


def scale_deep(name: str, value: Tensor) -> float:
    """Under 1 the deep arrays of a long network forget what the image was."""
    return 1.5 if value.ndim >= 2 else 1.0


def scale_branches(name: str, value: Tensor) -> float:
    return 10.0 if name.endswith("lambda1") else 1.0


METHODS: dict[str, tuple[Callable[[Keys], Any], Callable[..., dict[str, Tensor]]]] = {
    "gend_clip": (partial(classifier, convert=gend_convert.convert_released), transformer_arrays),
    "gend_pe": (partial(classifier, convert=gend_convert.convert_released), transformer_arrays),
    "gend_dino": (
        partial(classifier, convert=gend_convert.convert_released, factors=scale_branches),
        transformer_arrays,
    ),
    "effort": (partial(classifier, convert=effort_convert.convert_released), transformer_arrays),
    "forada": (forada, forada_arrays),
    "fakestormer": (fakestormer, fakestormer_arrays),
    "sbi": (partial(classifier, convert=sbi_convert.convert_released, factors=scale_deep), sbi_arrays),
}
