"""LAE without a reference: what its definition says, number by number."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pytorch_lightning import Trainer
from torch.utils.data import DataLoader

from datamodules.annotation.selection import ScoredFaces, choose, ranked_channels
from datamodules.batch import Batch
from datamodules.runtime.errors import UserError
from lightning_modules.lae.attention import attention_loss, evidence, normalize, unit_maps
from lightning_modules.lae.method import LAE
from tests.fixtures.tiny_lae import tiny


def batch(n: int = 8, seed: int = 0, marked: bool = True) -> Batch:
    """Noise; every second image a fake, whose mask is a square that is brighter."""
    g = torch.Generator().manual_seed(seed)
    frames, label = 0.2 * torch.rand(n, 1, 3, 64, 64, generator=g) + 0.3, torch.arange(n) % 2
    mask = torch.zeros(n, 1, 1, 64, 64)
    for i in range(1, n, 2):
        y, x = torch.randint(8, 36, (2,), generator=g).tolist()
        mask[i, :, :, y : y + 20, x : x + 20] = 1
    frames = frames + 0.4 * mask * torch.rand(n, 1, 3, 64, 64, generator=g)
    known = torch.full((n,), marked)
    names = [f"d/{'Swap' if i % 2 else 'real'}/c23/{i}" for i in range(n)]
    numbers = torch.zeros(n, 1, dtype=torch.long)
    return Batch(
        frames=frames,
        label=label,
        mask=mask,
        has_mask=known,
        landmarks=torch.zeros(n, 1, 68, 2),
        has_landmarks=torch.zeros(n, dtype=torch.bool),
        video=names,
        track=numbers[:, 0],
        numbers=numbers,
        is_counted=torch.ones(n, dtype=torch.bool),
    )


def test_the_mean_of_a_unit_s_map_is_the_unit() -> None:
    model, one = tiny().double().eval(), batch()
    encoded = model.encoder(2 * one.frames[:, 0].double() - 1)
    maps = unit_maps(encoded.features, model.encoder.latent.weight)
    expected = maps.mean((2, 3)) + model.encoder.latent.bias
    torch.testing.assert_close(expected.relu(), encoded.latent, rtol=0, atol=1e-10)
    half = encoded.latent[:, 16:]
    slow = (half[:, :, None, None] * maps[:, 16:]).sum(1).relu()
    torch.testing.assert_close(evidence(encoded.features, model.forged_weight, half), slow, rtol=0, atol=1e-10)


def latent_loss(model: LAE, latent: torch.Tensor, label: torch.Tensor) -> float:
    real, forged = model.halves(latent)
    return float(((forged - label).abs() + (real - (1 - label)).abs()).mean())


def test_the_latent_loss_is_zero_at_its_targets_and_the_same_with_halves_and_labels_swapped() -> None:
    model, one = tiny().eval(), batch(4)
    latent = torch.zeros(4, 32)
    latent[0::2, :16] = latent[1::2, 16:] = 1
    label = one.label.float()
    assert latent_loss(model, latent, label) == 0
    other = torch.rand(4, 32)
    assert latent_loss(model, other, label) == pytest.approx(latent_loss(model, other.roll(16, 1), 1 - label))
    by_hand = np.mean(
        [
            abs(v[16:].mean() - y) + abs(v[:16].mean() - (1 - y))
            for v, y in zip(other.numpy(), label.numpy(), strict=True)
        ]
    )
    assert latent_loss(model, other, label) == pytest.approx(by_hand, rel=1e-5)
    prediction = model(one.frames)
    assert float(model.losses(prediction, one)["latent"]) == pytest.approx(
        latent_loss(model, prediction.encoded.latent, label), rel=1e-5
    )
    real, forged = model.halves(prediction.encoded.latent)
    assert torch.equal(prediction.logit > 0, forged > real)


@pytest.mark.parametrize("attention_form", ["square", "outside_mass", "outside_evidence"])
def test_attention_trains_the_first_layer_and_no_image_without_a_mask(attention_form: Any) -> None:
    model, one = tiny(attention_form=attention_form, attention=1.0), batch()
    loss = model.losses(model.predict(one), one)["attention"]
    loss.backward()
    assert model.encoder.trunk[0].weight.grad.abs().max() > 0  # type: ignore[index]
    assert model.encoder.latent.weight.grad.abs().max() > 0  # type: ignore[union-attr]
    assert not model.encoder.latent.weight.grad[:16].any()  # type: ignore[index]
    blind = batch(marked=False)
    assert float(model.losses(model.predict(blind), blind)["attention"]) == 0
    reals = batch()
    reals.label = torch.zeros_like(reals.label)
    assert float(model.losses(model.predict(reals), reals)["attention"]) == 0


def test_the_first_stage_has_no_attention() -> None:
    model, one = tiny(first_stage_epochs=3), batch()
    assert "attention" not in model.losses(model.predict(one), one)


@pytest.mark.parametrize("attention_form", ["square", "outside_mass", "outside_evidence"])
def test_the_gradient_of_attention_is_that_of_finite_differences(attention_form: Any) -> None:
    torch.manual_seed(3)
    features, weight, latent = (torch.rand(s, dtype=torch.float64) for s in ((2, 5, 8, 8), (4, 5), (2, 4)))
    weight = weight - 0.3
    mask = (torch.rand(2, 8, 8) < 0.3).double()
    given = [t.requires_grad_() for t in (features, weight, latent)]
    assert torch.autograd.gradcheck(
        lambda f, w, z: attention_loss(f, w, z, mask, attention_form), given, eps=1e-6, rtol=1e-4
    )


def test_a_map_with_no_evidence_costs_its_mask_and_has_no_gradient() -> None:
    features = torch.rand(1, 3, 4, 4, requires_grad=True)
    mask = torch.zeros(1, 8, 8)
    mask[0, :4] = 1
    loss = attention_loss(features, -torch.ones(2, 3), torch.ones(1, 2), mask, "square")
    loss.sum().backward()
    assert loss.item() == pytest.approx(0.5)
    assert features.grad is not None
    assert not features.grad.any()
    assert normalize(torch.zeros(1, 4, 4)).max() == 0


def test_sixteen_images_are_learnt_by_heart_with_attention_inside_their_masks() -> None:
    model, one = tiny(attention=3.0, attention_form="outside_mass"), batch(16)
    optimizer = torch.optim.Adam(model.parameters(), 8e-3)
    for _ in range(400):
        optimizer.zero_grad()
        prediction = model.predict(one)
        losses = model.losses(prediction, one)
        torch.stack(list(losses.values())).sum().backward()
        optimizer.step()
        is_right = torch.equal(prediction.logit > 0, one.label == 1) and losses["latent"].item() < 0.2
        if is_right and 1 - losses["attention"].item() / 3 > 0.92:
            break
    assert 1 - losses["attention"].item() / 3 > 0.9
    prediction = model.predict(one)
    assert torch.equal(prediction.logit > 0, one.label == 1)


def test_rows_that_only_bring_masks_change_nothing_else() -> None:
    model, one = tiny(), batch()
    model.eval()  # batch norms would see the others
    more = batch()
    more.is_counted = torch.arange(8) < 4
    few = more.rows(torch.arange(4))
    all_rows, first_rows = (model.losses(model.predict(b), b) for b in (more, few))
    for name in ("latent", "pixels"):
        torch.testing.assert_close(all_rows[name], first_rows[name])
    assert all_rows["attention"] != first_rows["attention"]
    assert len(one) == 8


def test_a_discriminator_is_trained_against_the_decoder(tmp_path: Path) -> None:
    model, one = tiny(adversarial=0.01, first_stage_epochs=9), batch(16)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    quiet: dict[str, Any] = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar"), False)
    trainer = Trainer(max_steps=4, accelerator="cpu", enable_model_summary=False, **quiet)
    trainer.fit(model, DataLoader([one] * 2, batch_size=None))  # type: ignore[arg-type]
    assert trainer.global_step == 4  # two of each optimizer
    assert all(not torch.equal(p, before[name]) for name, p in model.named_parameters() if name.endswith("weight"))
    with pytest.raises(UserError, match=r"rho 0\.1: is not to be had with a discriminator"):
        tiny(adversarial=0.01, rho=0.1)


def test_half_precision_leaves_the_map_alone() -> None:
    model, one = tiny().eval(), batch()
    with torch.autocast("cpu", torch.bfloat16):
        encoded = model.encoder(2 * one.frames[:, 0] - 1)
        assert model.evidence(encoded).dtype == torch.float32


def test_testing_is_the_same_every_time_and_weights_travel(tmp_path: Path) -> None:
    model, one = tiny().eval(), batch()
    torch.save(model.state_dict(), tmp_path / "x.pt")
    torch.manual_seed(9)
    other = LAE(size=64, widths=[16, 32, 64], latent=32).eval()
    other.load_state_dict(torch.load(tmp_path / "x.pt", weights_only=True))
    for field in ("logit", "mask_logit", "decoded", "channels"):
        assert torch.equal(getattr(model(one.frames), field), getattr(other(one.frames), field))


@pytest.mark.parametrize("decoded_units", ["all", "half"])
def test_what_is_decoded_is_as_large_as_what_was_shown(decoded_units: Any) -> None:
    model, one = tiny(decoded_units=decoded_units), batch()
    assert model(one.frames).decoded.shape == (8, 3, 64, 64)
    assert LAE().decoder(torch.rand(1, 128)).shape == (1, 3, 256, 256)
    assert LAE().encoder(torch.rand(1, 3, 256, 256)).features.shape == (1, 512, 16, 16)
    for options, said in (({"size": 96}, "size 96: must be 8 times a power of two"), ({"latent": 7}, "latent 7: must")):
        with pytest.raises(UserError, match=said):
            tiny(**options)
    with pytest.raises(UserError, match="faces of 32 pixels, size is 64"):
        model(torch.rand(1, 1, 3, 32, 32))


def scored(n: int = 200, seed: int = 0) -> ScoredFaces:
    """Channel 7 fires on a tenth of the fakes, and on them alone."""
    rng = np.random.default_rng(seed)
    label = np.arange(n) % 2
    channels = rng.normal(0, 1, (n, 32))
    channels[:, 3] = 2.0  # says nothing
    planted = np.flatnonzero(label)[: n // 20]
    channels[planted, 7] += 12
    names = [f"{i:04d}" for i in range(n)]
    return ScoredFaces(names=names, videos=names, label=label, logit=rng.normal(0, 1, n), channels=channels)


def test_a_planted_channel_is_found_and_its_fakes_are_asked_for() -> None:
    faces = scored()
    assert faces.channels is not None
    used, _ = ranked_channels(faces.channels, faces.label, 10)
    assert next(iter(used)) == 7
    assert 3 not in used
    planted = set(np.flatnonzero(faces.channels[:, 7] > 6).tolist())
    for seed in range(5):
        faces = scored(seed=seed)
        assert len(planted & set(choose(faces, 10).rows)) >= 9


@given(st.integers(0, 1000), st.sampled_from(["active", "random", "uncertainty"]))
def test_the_order_of_the_data_does_not_change_the_choice(seed: int, strategy: Any) -> None:
    faces = scored(60)
    assert faces.channels is not None
    order = np.random.default_rng(seed).permutation(60)
    other = ScoredFaces(
        names=[faces.names[i] for i in order],
        videos=[faces.videos[i] for i in order],
        label=faces.label[order],
        logit=faces.logit[order],
        channels=faces.channels[order],
    )
    one, two = choose(faces, 8, strategy), choose(other, 8, strategy)
    assert [faces.names[i] for i in one.rows] == [other.names[i] for i in two.rows]
    assert all(faces.label[one.rows] == 1)


def test_channels_take_turns_and_a_later_round_takes_others() -> None:
    faces = scored()
    assert faces.channels is not None
    used, standard = ranked_channels(faces.channels, faces.label, 4)
    first = choose(faces, 8, channels=4, channel_rule="turns")
    fakes = np.flatnonzero(faces.label)
    for turn, channel in enumerate(used):
        best = fakes[np.argsort(-standard[fakes, channel])]
        assert first.rows[turn] == next(i for i in best if i not in first.rows[:turn])
    later = choose(faces, 8, channels=4, channel_rule="turns", earlier=[faces.names[i] for i in first.rows])
    assert len(set(first.rows + later.rows)) == 16
    twice = ScoredFaces(names=faces.names, videos=["a"] * 200, label=faces.label, logit=faces.logit)
    asked = choose(twice, 8, "random", max_per_video=3)
    assert len(asked.rows) == 3
    assert not choose(twice, 8, "random", max_per_video=3, earlier=[twice.names[i] for i in asked.rows]).rows


def test_one_video_cannot_eat_the_budget_and_the_undecided_come_first() -> None:
    rng = np.random.default_rng(0)
    logit = rng.normal(0, 1, 40)
    names = [f"{i:02d}" for i in range(40)]
    faces = ScoredFaces(names=names, videos=[n[0] for n in names], label=np.ones(40, np.int64), logit=logit)
    chosen = choose(faces, 12, "uncertainty", max_per_video=2)
    assert len(chosen.rows) == 8  # four videos
    assert chosen.rows[0] == int(np.abs(logit).argmin())
    with pytest.raises(UserError, match="take 'uncertainty' or 'random'"):
        choose(faces, 3, "active")
    still = ScoredFaces(names=names, videos=names, label=np.arange(40) % 2, logit=logit, channels=np.ones((40, 8)))
    with pytest.raises(UserError, match="no channel of the method varies"):
        choose(still, 3)
    with pytest.raises(UserError, match="budget 0: there are 40 fakes"):
        choose(faces, 0)


def test_units_at_their_targets_are_a_probability_of_ninety_eight_percent() -> None:
    model = LAE(size=64, widths=[8, 8, 8, 16], latent=8).eval()
    frames = torch.rand(1, 1, 3, 64, 64)
    found = model.encoder(frames[0])
    at_targets = replace(found, latent=torch.tensor([[0.0] * 4 + [1.0] * 4]))
    model.encoder.forward = lambda images: at_targets  # type: ignore[method-assign]
    assert float(model(frames).logit.detach().sigmoid()) == pytest.approx(0.982, abs=1e-3)
