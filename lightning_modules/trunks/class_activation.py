"""Where the logit of a timm classifier comes from: a map that no mask has trained, whose mean is the logit."""

from __future__ import annotations

from typing import Any

import torch
from timm.models import Beit, ConvNeXt, EfficientNet, Eva, MobileNetV3, ResNet, SwinTransformer, VisionTransformer
from timm.models.deit import VisionTransformerDistilled
from torch import Tensor, nn

from lightning_modules.trunks.last_layer import no_autocast

# are not tried, which takes a good part of the time that building one does
KNOWN: tuple[type[nn.Module], ...] = (
    ResNet,
    EfficientNet,
    MobileNetV3,
    ConvNeXt,
    SwinTransformer,
    VisionTransformer,
    VisionTransformerDistilled,
    Beit,
    Eva,
)
SIDE = 64  # of an image that a network is tried with; those of one size alone get theirs


def heads(net: Any) -> tuple[nn.Module, ...]:
    """The last layer, or both of a distilled network."""
    found = net.get_classifier()
    return found if isinstance(found, tuple) else (found,)


def is_transformer(net: Any) -> bool:
    """Of tokens, some of which may have no place; its map takes a gradient, which no exported program has."""
    blocks = getattr(net, "blocks", None)
    return (
        hasattr(net, "num_prefix_tokens")
        and isinstance(blocks, nn.Sequential | nn.ModuleList)
        and hasattr(blocks[-1], "norm1")
    )


def find_map_fault(net: Any) -> str:
    """Why a network has no map, tried once; empty where it has one, or no places to have one of."""
    weight = next(net.parameters())
    if type(net) in KNOWN or weight.is_meta:
        return ""
    fault, was_training = "", net.training
    net.eval()
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        for h, w in dict.fromkeys(((SIDE, SIDE), tuple(net.pretrained_cfg["input_size"][-2:]))):
            image = torch.linspace(-1, 1, 3 * h * w, device=weight.device, dtype=weight.dtype).view(1, 3, h, w)
            if not (fault := try_map(net, image)):
                break
    net.train(was_training)
    return fault


def try_map(net: Any, image: Tensor) -> str:
    try:
        if is_transformer(net):
            grid = net.patch_embed.dynamic_feat_size(image.shape[-2:])  # before the passes, which take longer
            logit, again, tokens = start_again(net, image)
            attribute(net, logit, again, tokens).unflatten(1, grid)
        else:
            features = net.forward_features(image)
            if features.ndim != 4:
                return ""
            logit, again = net.forward_head(features).flatten(), score(net, features)
            score_places(net, features)
    except Exception as error:  # of a network that is made otherwise, whatever comes first
        return " ".join(f"{type(error).__name__}: {error}".split())
    if not torch.allclose(again, logit, rtol=1e-3, atol=1e-6, equal_nan=True):
        return f"its logit is {float(logit):g}, and {float(again):g} from its last features"
    return ""


def activate(net: Any, images: Tensor) -> tuple[Tensor, Tensor | None]:
    """
    Args:
        images: (N, 3, H, W).

    Returns:
        (N,) logits, and (N, 1, h, w) what each place says for them; None of networks whose features have no places.
    """
    if is_transformer(net):
        if torch.compiler.is_exporting():
            return net(images).flatten(), None
        return activate_tokens(net, images)
    features = net.forward_features(images)
    logit = net.forward_head(features).flatten()
    return logit, score_places(net, features) if features.ndim == 4 else None


def score(net: Any, features: Tensor) -> Tensor:
    """(N,) logits, without the hooks of the last layer: they are there for what the network says of whole images."""
    found = heads(net)
    if len(found) > 1:
        logit: Tensor = net.forward_head(features)
        return logit.flatten()
    (last,) = found
    before = net.forward_head(features, pre_logits=True).flatten(1)
    if isinstance(last, nn.Conv2d):
        before = before[..., None, None]
    return last.forward(before).flatten()


def score_places(net: Any, features: Tensor) -> Tensor:
    """What the head says of an image that has the same features everywhere: CAM, where the head is linear.

    Args:
        features: (N, C, h, w), or (N, h, w, C) of networks that have it so.
    """
    if features.shape[1] == net.num_features:
        (_, _, h, w), places = features.shape, features.permute(0, 2, 3, 1).flatten(0, 2)[..., None, None]
    else:
        (_, h, w, _), places = features.shape, features.flatten(0, 2)[:, None, None]
    return score(net, places).unflatten(0, (-1, 1, h, w))


def activate_tokens(net: Any, images: Tensor) -> tuple[Tensor, Tensor]:
    """Activation times gradient of what the last attention takes in, or of what a pooling of all places does."""
    logit, again, tokens = start_again(net, images)
    grid = net.patch_embed.dynamic_feat_size(images.shape[-2:])
    return logit, attribute(net, logit, again, tokens).unflatten(1, (1, *grid))


def attribute(net: Any, logit: Tensor, again: Tensor, tokens: Tensor) -> Tensor:
    """(N, h w) what each place says, of the results of ``start_again``."""
    with torch.inference_mode(False):
        (gradient,) = torch.autograd.grad(again.sum(), tokens)
        part = (tokens * gradient).detach().float().sum(2)[:, net.num_prefix_tokens :]
    # the rest of the logit, of biases and of tokens without a place, is that of all places alike
    return part.shape[1] * part + (logit - part.sum(1))[:, None]


def start_again(net: Any, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The logit, the same computed again from the last tokens, and those, with a gradient: (N,), (N,), (N, L, D)."""
    block = net.blocks[-1]
    inputs: list[Any] = []
    tokens: list[Tensor] = []
    handle = block.register_forward_pre_hook(lambda _, *given: inputs.append(given), with_kwargs=True)
    try:
        features = net.forward_features(images)
    finally:
        handle.remove()
    logit = net.forward_head(features).flatten()
    ((args, kwargs),) = inputs
    kind = next(block.parameters()).dtype
    # detection runs in inference mode, whose tensors no gradient may pass
    with torch.inference_mode(False), torch.enable_grad(), no_autocast(images):
        if net.global_pool == "token":
            # those that are normalized: the gradient of what a normalization takes in is at right angles to it
            def start(_: nn.Module, __: Any, out: Tensor) -> Tensor:
                tokens.append(out.detach().requires_grad_())
                return tokens[0]

            handle = block.norm1.register_forward_hook(start)
            try:
                args = [clone(x) for x in args]
                out = block(args[0].to(kind), *args[1:], **{name: clone(x) for name, x in kwargs.items()})
            finally:
                handle.remove()
            again = score(net, net.norm(out))
        else:
            tokens.append(features.detach().clone().to(kind).requires_grad_())
            again = score(net, tokens[0])
    return logit, again, tokens[0]


def clone(value: Any) -> Any:
    return value.detach().clone() if isinstance(value, Tensor) else value
