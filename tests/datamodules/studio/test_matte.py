"""Cutting a person out of a portrait, against drawn portraits whose share of person is known."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from datamodules.studio.matte import Array, cut_out, cut_out_of_clutter
from datamodules.studio.plain_backdrop import fit_backdrop

SIDE = 500
SHEEN = (150, 140, 132)  # of the hair, half way to the wall
CENTRE = (250, 210)  # of the face, 150 wide


def landmarks() -> Array:
    """The 68 points of the drawn face; only jaw, brows and nose matter to a cut."""
    points = np.tile(np.array(CENTRE, np.float32), (68, 1))
    angles = np.linspace(0.05, np.pi - 0.05, 17)
    points[:17] = np.stack([250 - 75 * np.cos(angles), 205 + 95 * np.sin(angles)], 1)
    points[17:27] = np.stack([np.linspace(195, 305, 10), np.full(10, 185)], 1)
    points[27:31] = [(250, 200), (250, 210), (250, 220), (250, 230)]
    points[31:36] = np.stack([np.linspace(238, 262, 5), np.full(5, 238)], 1)
    points[48:68] = (250, 265)
    return points


def draw_person() -> tuple[Array, Array]:
    """Colours and share of person of a head with ears, curls of hair, strands and a shirt nearly as light as a wall."""
    scale = 4  # drawn large, then averaged: edges are soft
    size = SIDE * scale
    image, alpha = np.full((size, size, 3), 60, np.float32), np.zeros((size, size), np.float32)

    def at(x: float, y: float) -> tuple[int, int]:
        return int(x * scale), int(y * scale)

    def ellipse(centre: tuple[int, int], axes: tuple[int, int], colour: tuple[int, int, int]) -> None:
        cv2.ellipse(image, at(*centre), at(*axes), 0, 0, 360, colour, -1, cv2.LINE_AA)
        cv2.ellipse(alpha, at(*centre), at(*axes), 0, 0, 360, 1, -1)

    hair, skin = (60, 42, 30), (205, 150, 125)
    ellipse((250, 175), (100, 110), hair)
    for k in range(14):  # a curl leaves a gap that shows the wall
        x, y = 250 - 108 * np.cos(k * np.pi / 13), 170 - 112 * np.sin(k * np.pi / 13)
        cv2.circle(alpha, at(x, y), 12 * scale, 1, 4 * scale)
    for k in range(6):
        cv2.line(alpha, at(160, 180 + 6 * k), at(105 - 4 * k, 290 + 8 * k), 1, 2 * scale)
    image[alpha == 0] = hair  # strands carry this colour to their edges
    body = np.array(
        [at(*p) for p in ((215, 270), (285, 270), (290, 360), (400, 410), (440, 500), (60, 500), (100, 410))]
    )
    cv2.fillPoly(image, [np.array([at(*p) for p in ((0, 372), (500, 372), (500, 500), (0, 500))])], (244, 243, 248))
    body = np.concatenate([body, [at(210, 360)]])
    cv2.rectangle(image, at(310, 430), at(345, 455), (212, 213, 209), -1)  # a shade exactly as light as the wall
    inside = cv2.fillPoly(np.zeros((size, size), np.uint8), [body], 1) > 0
    image[inside & (np.arange(size)[:, None] < 372 * scale)] = skin
    alpha[inside] = 1
    for x in (170, 330):
        ellipse((x, 215), (14, 26), skin)
    ellipse((333, 203), (10, 12), (215, 190, 183))  # light shines through
    ellipse((250, 215), (76, 90), skin)
    cv2.ellipse(image, at(250, 105), at(60, 12), 0, 0, 360, SHEEN, -1)
    small = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return small, cv2.resize(alpha, (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def draw_wall() -> Array:
    """A grey wall, lighter behind the person, as a lamp makes it."""
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE - 0.5
    return (215 - 60 * (x**2 + (y - 0.2) ** 2))[..., None].astype(np.float32) + np.array([0, 1, -3], np.float32)


def photograph(colour: Array, alpha: Array, wall: Array) -> NDArray[np.uint8]:
    """The portrait as a camera would store it: composed, noisy, JPEG."""
    image = colour * alpha[..., None] + wall * (1 - alpha[..., None])
    image += np.random.default_rng(3).normal(0, 1, image.shape)
    _, data = cv2.imencode(".jpg", image.clip(0, 255).astype(np.uint8)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded is not None
    return decoded[..., ::-1].copy()


@pytest.fixture(scope="module")
def person() -> tuple[Array, Array]:
    return draw_person()


@pytest.fixture(scope="module")
def portrait(person: tuple[Array, Array]) -> NDArray[np.uint8]:
    return photograph(*person, draw_wall())


@pytest.fixture(scope="module")
def cut(portrait: NDArray[np.uint8]) -> tuple[Array, Array]:
    return cut_out(portrait, landmarks())


def test_the_share_of_person_is_the_one_the_portrait_was_composed_with(
    person: tuple[Array, Array], cut: tuple[Array, Array]
) -> None:
    error = abs(cut[1] - person[1])
    assert error.mean() < 0.003
    edge = (person[1] > 0.02) & (person[1] < 0.98)
    assert error[edge].mean() < 0.15
    assert error[400:][edge[400:]].mean() < 0.12  # of the shirt


def test_a_sheen_on_the_hair_is_no_hole(cut: tuple[Array, Array]) -> None:
    assert cut[1][95:115, 195:305].min() > 0.99


def test_a_backdrop_is_known_to_two_levels_behind_the_person_too(portrait: NDArray[np.uint8]) -> None:
    backdrop = fit_backdrop(portrait.astype(np.float32), landmarks())
    assert backdrop is not None
    assert abs(backdrop - draw_wall())[:380].mean() < 2


def test_gaps_between_curls_show_what_is_behind(person: tuple[Array, Array], cut: tuple[Array, Array]) -> None:
    holes = (cv2.dilate(person[1], np.ones((3, 3))) == 0).astype(np.uint8)
    _, pieces, stats, _ = cv2.connectedComponentsWithStats(holes)
    gaps = np.isin(pieces, [k for k in range(1, len(stats)) if 20 < stats[k, 4] < 2000])
    assert gaps.sum() > 500
    assert cut[1][gaps].mean() < 0.1


def test_a_shirt_of_the_colour_of_the_wall_has_no_hole(cut: tuple[Array, Array]) -> None:
    assert cut[1][425:460, 305:350].min() > 0.99


def test_strands_of_hair_are_kept(person: tuple[Array, Array], cut: tuple[Array, Array]) -> None:
    left = np.s_[220:330, 80:150]
    assert cut[1][left].sum() == pytest.approx(person[1][left].sum(), rel=0.15)


def test_nobody_loses_an_ear_or_a_shoulder(person: tuple[Array, Array], cut: tuple[Array, Array]) -> None:
    solid = (cv2.erode(person[1], np.ones((7, 7))) > 0.99) & (np.arange(SIDE)[:, None] > 190)
    assert cut[1][solid].min() > 0.75  # where dark hair meets a light ear
    assert (cut[1][solid] < 1).mean() < 0.001


def test_no_halo_of_the_wall_remains_around_the_hair(person: tuple[Array, Array], cut: tuple[Array, Array]) -> None:
    # before black, hair is at most as bright as hair: the wall is 200
    black = cut[0] * cut[1][..., None] * 255
    expected = person[0] * person[1][..., None]
    above = np.s_[:150]
    assert (black - expected).max(2)[above].mean() < 0.5
    assert np.percentile((black - expected).max(2)[above], 99) < 40


def test_colours_go_on_beyond_the_silhouette(person: tuple[Array, Array], cut: tuple[Array, Array]) -> None:
    beyond = (person[1] == 0) & (cv2.dilate(person[1], np.ones((9, 9))) > 0.99)
    hair, shirt = beyond.copy(), beyond.copy()
    hair[120:], shirt[:420] = False, False
    assert abs(cut[0][hair] * 255 - (60, 42, 30)).max(1).mean() < 30
    assert abs(cut[0][shirt] * 255 - (244, 243, 248)).max(1).mean() < 8


def test_the_frame_cuts_the_body_without_a_soft_edge(person: tuple[Array, Array], cut: tuple[Array, Array]) -> None:
    inner = cv2.erode(person[1], np.ones((1, 9)))[-1] > 0.99
    assert inner.sum() > 300
    assert cut[1][-1, inner].min() > 0.99


def test_a_cut_has_the_same_bytes_twice(portrait: NDArray[np.uint8], cut: tuple[Array, Array]) -> None:
    again = cut_out(portrait, landmarks())
    assert np.array_equal(again[0], cut[0])
    assert np.array_equal(again[1], cut[1])
    assert again[0].dtype == again[1].dtype == np.float32
    first, second = (cut_out_of_clutter(portrait, landmarks()) for _ in range(2))
    assert np.array_equal(first[1], second[1])


def test_a_person_is_cut_out_of_clutter(person: tuple[Array, Array]) -> None:
    random = np.random.default_rng(5)
    clutter = cv2.resize(
        random.uniform(0, 1, (16, 16, 3)).astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC
    )
    clutter = clutter * (40, 160, 190) + (0, 40, 60)
    portrait = photograph(*person, clutter.astype(np.float32))
    assert fit_backdrop(portrait.astype(np.float32), landmarks()) is None
    colour, alpha = cut_out(portrait, landmarks())
    assert colour.dtype == alpha.dtype == np.float32
    assert abs(alpha - person[1]).mean() < 0.04
    assert alpha[-1, 200:300].min() > 0.99


def test_a_face_that_fills_the_frame_is_all_person() -> None:
    points = (landmarks() - CENTRE) * 6 + 250
    _, alpha = cut_out_of_clutter(np.full((SIDE, SIDE, 3), 120, np.uint8), points)
    assert alpha.min() == 1
