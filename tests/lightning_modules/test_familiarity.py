"""What a checkpoint knows of the faces that it was trained on, and how far from them another one is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from datamodules.batch import Batch
from datamodules.face_data import FaceData
from datamodules.runtime.errors import UserError
from datamodules.spread import spread_batches
from lightning_modules.base import Method
from lightning_modules.classifier import Classifier
from lightning_modules.familiarity import Familiarity, fit_familiarity
from lightning_modules.mae.network import MAE
from lightning_modules.trunks.early_layers import summarize, watch
from suite.detect.familiarity import Distance, explain_unlike
from tests.fixtures.tiny_delocate import tiny as tiny_delocate
from tests.fixtures.tiny_laa_net import tiny as tiny_laa_net
from tests.fixtures.tiny_lae import tiny as tiny_lae
from tests.fixtures.tiny_rffr import tiny as tiny_rffr
from tests.fixtures.tiny_st_ddl import tiny as tiny_st_ddl


def drawn(n: int, d: int, seed: int = 0) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


# the distance


def test_a_distance_is_that_of_mahalanobis_to_the_nearer_class_by_a_shrunk_covariance() -> None:
    label = torch.arange(60) % 2
    train = drawn(60, 6) @ drawn(6, 6, 1) + 3 * label[:, None]
    found = fit_familiarity(train, label, drawn(40, 6, 2))
    assert found is not None
    scaled = ((train - train.mean(0)) / train.std(0)).double().numpy()
    centers = np.stack([scaled[label.numpy() == c].mean(0) for c in (0, 1)])
    apart = scaled - centers[label.numpy()]
    covariance = apart.T @ apart / 60
    inverse = np.linalg.inv(0.9 * covariance + 0.1 * np.trace(covariance) / 6 * np.eye(6))
    other = drawn(5, 6, 3) * 4
    x = ((other - train.mean(0)) / train.std(0)).double().numpy()
    expected = [min((v - c) @ inverse @ (v - c) for c in centers) for v in x]
    assert found.distances(other).numpy() == pytest.approx(np.sqrt(np.array(expected) / 6), rel=2e-3)  # half precision


def test_what_differs_between_more_features_than_faces_is_far() -> None:
    train = torch.zeros(40, 300)
    train[:, :10] = drawn(40, 10)
    validation = torch.zeros(40, 300)
    validation[:, :10] = drawn(40, 10, 1)
    found = fit_familiarity(train, torch.arange(40) % 2, validation)
    assert found is not None
    other = torch.zeros(1, 300)
    other[0, 200] = 1.0  # never moved in training
    assert found.distances(other).item() > 3 * found.limit
    assert found.axes.shape == (300, 40)


def test_one_face_of_validation_in_a_hundred_is_beyond_the_limit() -> None:
    validation = drawn(1000, 8, 1)
    found = fit_familiarity(drawn(200, 8), torch.zeros(200, dtype=torch.long), validation)
    assert found is not None
    assert (found.distances(validation) > found.limit).sum() == 10


@pytest.mark.parametrize(("train", "validation"), [(15, 40), (40, 15)])
def test_of_too_few_faces_nothing_is_known(train: int, validation: int) -> None:
    assert fit_familiarity(drawn(train, 4), torch.zeros(train), drawn(validation, 4)) is None


def test_a_network_that_gives_no_numbers_knows_nothing() -> None:
    broken = drawn(40, 4)
    broken[3, 2] = float("nan")
    assert fit_familiarity(broken, torch.zeros(40), drawn(40, 4)) is None
    assert fit_familiarity(drawn(40, 4), torch.zeros(40), broken) is None


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("limit", float("nan"), "limit has values that are no finite numbers"),
        ("mean", float("inf"), "mean has values that are no finite numbers"),
        ("limit", 0.0, "limit has the value 0, must be above 0"),
        ("scale", -1.0, "scale has the value -1, must be above 0"),
        ("variances", 0.0, "variances has the value 0, must be above 0"),
        ("rest", 0.0, "rest has the value 0, must be above 0"),
    ],
)
def test_a_state_that_no_distance_can_be_of_is_refused_with_its_file(name: str, value: float, rule: str) -> None:
    found = fit_familiarity(drawn(40, 4), torch.arange(40) % 2, drawn(40, 4, 1))
    assert found is not None
    state = {key: one.clone() for key, one in found.state().items()}
    state[name].view(-1)[0] = value
    with pytest.raises(UserError, match=f"^runs/mine: familiarity: {rule}$"):
        Familiarity.from_state(state, Path("runs/mine"))


def test_a_network_that_says_the_same_of_all_faces_knows_nothing() -> None:
    assert fit_familiarity(torch.zeros(40, 4), torch.arange(40) % 2, torch.zeros(40, 4)) is None


# the features


def test_features_are_means_and_deviations_of_channels_wherever_these_are() -> None:
    channel = torch.tensor([[1.0, 3.0], [1.0, 3.0]])  # mean 2, deviation 1
    image = torch.stack([channel, 5 + 0 * channel, 2 * channel])[None]  # (1, 3, 2, 2)
    expected = torch.tensor([[2, 5, 4, 1.01, 0.01, 2.01]])
    expected[:, 3:] = expected[:, 3:].log()
    for features in (image, image.permute(0, 2, 3, 1), image.flatten(2).transpose(1, 2)):
        torch.testing.assert_close(summarize(features), expected)


def test_a_watched_pass_ends_where_all_is_known_and_leaves_no_trace() -> None:
    calls: list[str] = []
    first, second = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 2, 1)
    second.register_forward_pre_hook(lambda *_: calls.append("second"))
    net = nn.Sequential(first, second)
    images = torch.rand(6, 3, 8, 8)
    with watch([first], stops=True) as early:
        net(images)
    assert calls == []
    torch.testing.assert_close(early.features(3), summarize(first(images)).view(3, 2, 8).mean(1))
    with watch([first]) as early:
        net(images)
        net(1 - images)  # the image comes first, its mirror image says nothing more
    torch.testing.assert_close(early.features(6), summarize(first(images)))
    assert not first._forward_hooks


GENERATOR = (64, 8, 48, 2, 3, 32, 1, 2)
METHODS: dict[str, tuple[Callable[[], Method], int]] = {
    "classifier": (lambda: Classifier("test_efficientnet"), 1),
    "LAA-Net": (tiny_laa_net, 1),
    "RFFR": (lambda: tiny_rffr(generator=MAE(*GENERATOR)), 1),
    "Delocate": (tiny_delocate, 1),
    "LAE": (tiny_lae, 1),
    "LAE on a trunk": (lambda: tiny_lae(trunk="test_resnet"), 1),
    "ST-DDL": (tiny_st_ddl, 4),
    "ST-DDL on an HRNet": (lambda: tiny_st_ddl(trunk="hrnet_w18_small"), 4),
}


@pytest.mark.parametrize("name", METHODS)
def test_every_method_describes_each_clip_by_itself(name: str, prepared: Path, studio: Path) -> None:
    make, clip = METHODS[name]
    method = make().eval()
    source = {"frame_source": "videos", "root": studio, "clip": clip} if clip > 1 else {}
    data = FaceData(prepared=prepared, image_size=64, batch_size=4, num_workers=0, **source)  # type: ignore[arg-type]
    [batch] = spread_batches(data, "train", 4, 2**30)
    layers = method.early_layers()
    assert layers

    def features(some: Batch) -> Tensor:
        with torch.inference_mode(), watch(layers, stops=True) as early:
            method.predict(some.scale())
        return early.features(len(some))

    together = features(batch)
    assert together.shape == (4, together.shape[1])
    assert together.isfinite().all()
    torch.testing.assert_close(features(batch.rows(torch.tensor([2]))), together[2:3], rtol=1e-3, atol=1e-4)
    assert (together[2] - together[3]).abs().max() > 1e-3
    with torch.inference_mode(), watch(layers) as early:  # as who scores it sees it
        method.predict(batch.scale())
    torch.testing.assert_close(early.features(4), together)


# the callback


def at(name: str, value: float, limit: float = 2.0) -> Distance:
    return Distance(name=name, value=value, limit=limit)


def test_half_of_the_methods_of_an_ensemble_that_can_tell_decide_that_a_face_is_unlike() -> None:
    near, far, farther = at("a", 1.9), at("b", 2.1), at("c", 9.0, limit=3.0)
    assert explain_unlike([], 1.0) == []
    assert explain_unlike([near], 1.0) == []
    assert explain_unlike([far], 1.0) == ["unlike the faces it was trained on (distance 2.10, limit 2.00)"]
    assert explain_unlike([near, far], 1.0)
    assert explain_unlike([near, near, far], 1.0) == []
    [reason] = explain_unlike([near, far, farther], 1.0)
    assert reason == "unlike the faces it was trained on (distance 9.00, limit 3.00 by c)"
    assert explain_unlike([far], 1.1) == []
