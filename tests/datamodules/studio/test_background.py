"""What is behind a person, and what the camera adds."""

from __future__ import annotations

import hashlib
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import cv2
import numpy as np
import pytest

from datamodules.studio.camera import Camera
from datamodules.studio.scenery import background
from datamodules.studio.scenery.background import KINDS, Background
from datamodules.studio.scenery.paint import Array, Canvas, blur
from datamodules.studio.scenery.stage import Scenery, Stage

SIZE = {"width": 96, "height": 72, "frames": 40, "fps": 25}


def backdrop(seed: int, **size: int) -> Background:
    return Background(np.random.default_rng(seed), **{**SIZE, **size})


def camera(seed: int, **size: int) -> Camera:
    return Camera(np.random.default_rng(seed), **{**SIZE, **size})


def of_kind(kind: int, seed: int, monkeypatch: pytest.MonkeyPatch, **size: int) -> Background:
    with monkeypatch.context() as patch:
        patch.setattr(background, "KINDS", (KINDS[kind],))
        return backdrop(seed, **size)


def grey(value: float, height: int = 72, width: int = 96) -> Array:
    return np.full((height, width, 3), value, np.float32)


def digest(threads: int) -> str:
    cv2.setNumThreads(threads)
    sha = hashlib.sha256()
    for seed in range(40):
        behind, device = backdrop(seed), camera(seed)
        sha.update(device.shoot(device.focus(behind.render(3, (1.3, -0.4))), 3).tobytes())
    return sha.hexdigest()


def test_a_seed_gives_the_same_bytes_in_any_process_and_with_any_number_of_threads() -> None:
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        one, four = pool.map(digest, (1, 4))
    assert one == four


def test_no_two_seeds_give_the_same_background() -> None:
    thumbs = np.stack(
        [cv2.resize(backdrop(seed).render(0), (12, 9), interpolation=cv2.INTER_AREA) for seed in range(60)]
    )
    apart = np.abs(thumbs[:, None] - thumbs[None]).mean((2, 3, 4))
    # plain walls may be near each other; no two are the same image
    assert apart[~np.eye(60, dtype=bool)].min() > 0.01
    assert np.median(apart) > 0.15


@pytest.mark.parametrize("kind", range(len(KINDS)), ids=[kind.__name__ for kind in KINDS])
@pytest.mark.parametrize("size", [{}, {"width": 72, "height": 96, "frames": 1}, {"width": 200, "height": 64}])
def test_values_are_display_values_wherever_the_camera_goes(
    kind: int, size: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(3):
        behind = of_kind(kind, seed, monkeypatch, **size)
        for shift in ((0, 0), (500, -500), (-500, 500)):
            frame = behind.render(0, shift)
            assert frame.shape == (behind.height, behind.width, 3)
            assert frame.dtype == np.float32
            assert np.isfinite(frame).all()
            assert frame.min() >= 0
            assert frame.max() <= 1


def test_no_colour_is_one_of_a_paint_box() -> None:
    frames = np.stack([backdrop(seed).render(0) for seed in range(60)])
    chroma = frames.max(-1) - frames.min(-1)
    assert np.median(chroma) < 0.2
    assert (chroma > 0.6).mean() < 0.01


def test_what_is_seen_moves_against_the_camera_and_the_near_layer_moves_more(monkeypatch: pytest.MonkeyPatch) -> None:
    def posts(stage: Stage) -> Scenery:
        far, near = stage.make_canvas(2.0), stage.make_canvas(2.0, channels=4)
        far.fill_box(-0.05, -2, 0.05, 2, (1, 1, 1))
        near.fill_box(0.5, -2, 0.6, 2, (1, 1, 1))
        still = np.zeros((len(stage.seconds), 2))
        return Scenery(far=far.image + 0.01, near=near.image, blur=0, near_blur=0, sway=still)

    monkeypatch.setattr(background, "KINDS", (posts,))
    behind = backdrop(0, width=200)
    columns = np.arange(200)

    def at(frame: Array, left: int, right: int) -> float:
        row = np.maximum(frame[36, left:right, 0] - 0.6 * frame[36, left:right, 0].max(), 0)
        return float((row * columns[left:right]).sum() / row.sum())

    before, after = behind.render(0), behind.render(0, (4, 0))
    assert at(after, 80, 112) - at(before, 80, 112) == pytest.approx(-0.85 * 4, abs=0.15)
    assert at(after, 112, 150) - at(before, 112, 150) == pytest.approx(-4, abs=0.15)


def test_the_painted_wall_never_ends_however_far_the_camera_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    def slope(stage: Stage) -> Scenery:
        far = np.ones((stage.height, stage.width, 3), np.float32)
        far *= np.linspace(0.2, 1, stage.width, dtype=np.float32)[None, :, None]
        return Scenery(far=far, blur=0, sway=np.zeros((len(stage.seconds), 2)))

    monkeypatch.setattr(background, "KINDS", (slope,))
    behind = backdrop(0)
    for shift in (-1000, 0, 1000):
        assert (np.diff(behind.render(0, (shift, 0))[36, :, 0]) > 0).all()


def test_something_moves_in_many_backgrounds_and_none_in_a_studio(monkeypatch: pytest.MonkeyPatch) -> None:
    moves = []
    for seed in range(40):
        behind = backdrop(seed)
        frames = [behind.render(i) for i in (0, 13, 26, 39)]
        moves.append(max(float(np.abs(frame - frames[0]).max()) for frame in frames) > 0.05)
    assert 0.25 < np.mean(moves) < 0.95
    studio = of_kind(0, 1, monkeypatch)
    assert np.array_equal(studio.render(0), studio.render(39))


def test_a_point_of_light_becomes_a_disc_of_the_same_energy() -> None:
    light = np.zeros((41, 41, 3), np.float32)
    light[20, 20] = 100
    disc = blur(light, 6.0)[..., 0]
    assert disc.sum() == pytest.approx(100, rel=1e-3)
    assert np.count_nonzero(disc > 0.5 * disc.max()) == pytest.approx(np.pi * 36, rel=0.1)


def test_a_rectangle_covers_a_share_of_the_pixels_at_its_edge() -> None:
    canvas = Canvas(8, 8, 1.0)
    canvas.fill_box(-2, -2, 1.25, 2, (1.0, 1.0, 1.0))
    assert canvas.image[..., 0].sum() == pytest.approx(3.25 * 4)
    assert canvas.image[4, 5, 0] == pytest.approx(0.25)


def test_a_pixel_that_a_forgery_leaves_alone_comes_out_unchanged() -> None:
    for seed in range(5):
        device, rng = camera(seed), np.random.default_rng(seed)
        clean = rng.uniform(0, 1, (72, 96, 3)).astype(np.float32)
        forged, keep = clean.copy(), np.ones((72, 96, 1), np.float32)
        forged[20:40, 30:60], keep[20:40, 30:60] = 0.9, 0.2
        real, fake = device.shoot(clean, 7), device.shoot(forged, 7, keep)
        changed = np.zeros((72, 96), bool)
        changed[20:40, 30:60] = True
        assert np.array_equal(real[~changed], fake[~changed])
        assert not np.array_equal(real[changed], fake[changed])


def test_noise_that_is_kept_everywhere_is_all_of_it_and_less_of_it_changes_no_mean() -> None:
    device, clean = camera(3), grey(0.5)
    assert np.array_equal(device.shoot(clean, 2), device.shoot(clean, 2, np.ones((72, 96, 1), np.float32)))
    device.by_value = device.by_value * np.float32(0.01 / device.level)
    noisy = device.shoot(clean, 2).astype(float)
    silent = device.shoot(clean, 2, np.zeros((72, 96, 1), np.float32)).astype(float)
    half = device.shoot(clean, 2, np.full((72, 96, 1), 0.5, np.float32)).astype(float)
    assert (half - silent).std() == pytest.approx(0.5 * (noisy - silent).std(), rel=0.1)
    assert noisy.mean() == pytest.approx(silent.mean(), abs=0.5)


def noise_of(device: Camera, value: float) -> Array:
    silent = [device.shoot(grey(value), i, 0.0).astype(np.float32) for i in range(8)]
    return np.stack([device.shoot(grey(value), i).astype(np.float32) - silent[i] for i in range(8)])


def test_noise_differs_between_shots_by_far_and_depends_on_brightness() -> None:
    mid = np.array([noise_of(camera(seed), 0.5).std() for seed in range(12)])
    assert mid.max() > 3 * mid.min()
    assert mid.min() > 0.3
    assert mid.max() < 10
    device = camera(int(mid.argmax()))
    levels = [noise_of(device, value).std() for value in (0.15, 0.3, 0.5, 0.7, 0.9)]
    assert max(levels) > 1.2 * min(levels)
    # as the table of the shot says
    assert levels[2] / levels[0] == pytest.approx(
        device.by_value[int(device.shoot(grey(0.5), 0, 0.0).mean())]
        / device.by_value[int(device.shoot(grey(0.15), 0, 0.0).mean())],
        rel=0.15,
    )


def test_noise_is_alike_in_neighbours_and_new_in_every_frame() -> None:
    device = camera(0, frames=2000)
    assert len({tuple(part) for part in device.parts}) == 2000
    noise = np.stack([device.noise_at(i) for i in range(6)])
    power = (noise**2).mean()
    assert (noise[:, :, 1:] * noise[:, :, :-1]).mean() > 0.15 * power
    assert abs((noise[1:] * noise[:-1]).mean()) < 0.05 * power


def test_exposure_drifts_in_time_and_flickers_in_rows() -> None:
    device = camera(4)
    gains = np.stack([device.exposure_at(i)[:, 0, 0] for i in range(40)])
    assert gains.mean(1).std() > 0.001
    assert (gains / gains.mean(1, keepdims=True)).std(1).min() > 0.0005
    assert np.abs(gains - 1).max() < 0.12
    darkest, brightest = int(gains.mean(1).argmin()), int(gains.mean(1).argmax())
    assert device.shoot(grey(0.5), darkest, 0.0).mean() < device.shoot(grey(0.5), brightest, 0.0).mean() - 0.5


def test_shots_differ_in_sharpness_white_and_contrast() -> None:
    rng = np.random.default_rng(0)
    clean = cv2.GaussianBlur(rng.uniform(0, 1, (192, 256, 3)).astype(np.float32), (0, 0), 1)
    shots = [camera(seed, width=256, height=192) for seed in range(12)]
    sharp = np.array([cv2.Laplacian(shot.focus(clean), cv2.CV_32F).var() for shot in shots])
    assert sharp.max() > 5 * sharp.min()
    white = np.stack([shot.shoot(grey(0.5, 192, 256), 0, 0.0).mean((0, 1)) for shot in shots])
    assert (white[:, 0] / white[:, 2]).std() > 0.02
    steep = [float(np.ptp([shot.shoot(grey(v, 192, 256), 0, 0.0).mean() for v in (0.3, 0.7)])) for shot in shots]
    assert max(steep) > 1.2 * min(steep)
