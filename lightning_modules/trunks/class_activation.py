"""Where the logit of a timm classifier comes from: a map that no mask has trained, whose mean is the logit."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lightning_modules.trunks.last_layer import no_autocast


def heads(net: Any) -> tuple[nn.Module, ...]:
    """The last layer, or both of a distilled network."""
    found = net.get_classifier()
    return found if isinstance(found, tuple) else (found,)


def is_transformer(net: Any) -> bool:
    """Of tokens, some of which may have no place; its map takes a gradient, which no exported program has."""
    return hasattr(net, "num_prefix_tokens") and hasattr(net.blocks[-1], "norm1")


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
        (gradient,) = torch.autograd.grad(again.sum(), tokens)
        part = (tokens[0] * gradient).detach().float().sum(2)[:, net.num_prefix_tokens :]  # (N, h w)
    # the rest of the logit, of biases and of tokens without a place, is that of all places alike
    cells = part.shape[1] * part + (logit - part.sum(1))[:, None]
    grid = net.patch_embed.dynamic_feat_size(images.shape[-2:])
    return logit, cells.unflatten(1, (1, *grid))


def clone(value: Any) -> Any:
    return value.detach().clone() if isinstance(value, Tensor) else value
