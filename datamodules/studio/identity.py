"""Who is filmed: the shape and the colours of a generated person."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

Part = Literal["eyes", "nose", "lips", "cheek", "jaw", "forehead"]

Colour = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """Lengths are in half face widths (u) or half face heights (v), colours in [0, 1]."""

    face_width: float
    jaw: float  # width of the jaw over that of the temples
    eye_u: float
    eye_v: float
    eye_width: float
    eye_height: float
    iris: Colour
    nose_length: float
    nose_width: float
    mouth_v: float
    mouth_width: float
    lip: float  # thickness
    lip_colour: Colour
    brow_v: float  # above the eye
    brow_thickness: float
    hair: Colour
    fringe: float  # how far the hair comes down
    skin: Colour
    blush: float
    forehead_tone: float
    seed: int  # of pores, freckles and moles

    @property
    def tone(self) -> Literal["dark", "medium", "light"]:
        """Of the skin, about a third of the people each."""
        red, green, blue = self.skin
        grey = 0.3 * red + 0.59 * green + 0.11 * blue
        return "dark" if grey < 0.53 else "medium" if grey < 0.64 else "light"


# What a local edit exchanges, and nothing else.
FIELDS: dict[Part, tuple[str, ...]] = {
    "eyes": ("eye_u", "eye_width", "eye_height", "iris"),
    "nose": ("nose_length", "nose_width"),
    "lips": ("mouth_width", "lip", "lip_colour"),
    "cheek": ("blush",),
    "jaw": ("jaw",),
    "forehead": ("fringe", "forehead_tone"),
}


def _triple(a: np.ndarray) -> Colour:
    return (float(a[0]), float(a[1]), float(a[2]))


def draw(rng: np.random.Generator) -> Identity:
    u = rng.uniform
    skin = np.array([0.86, 0.66, 0.55]) * u(0.6, 1.08) + rng.normal(0, 0.02, 3)
    hair = u(0.04, 0.32) * np.array([1.0, u(0.7, 0.95), u(0.45, 0.9)])
    iris = [np.array([0.25, 0.15, 0.08]), np.array([0.22, 0.36, 0.46]), np.array([0.25, 0.36, 0.2])][rng.integers(3)]
    return Identity(
        face_width=u(0.92, 1.06),
        jaw=u(0.66, 0.86),
        eye_u=u(0.37, 0.43),
        eye_v=u(-0.2, -0.15),
        eye_width=u(0.16, 0.19),
        eye_height=u(0.065, 0.09),
        iris=_triple(iris * u(0.7, 1.3)),
        nose_length=u(0.9, 1.12),
        nose_width=u(0.8, 1.25),
        mouth_v=u(0.5, 0.56),
        mouth_width=u(0.27, 0.34),
        lip=u(0.8, 1.25),
        lip_colour=_triple(np.clip(skin * np.array([0.95, u(0.52, 0.68), u(0.55, 0.68)]), 0, 1)),
        brow_v=u(0.19, 0.23),
        brow_thickness=u(0.035, 0.055),
        hair=_triple(hair),
        fringe=u(-0.08, 0.06),
        skin=_triple(np.clip(skin, 0.2, 0.95)),
        blush=u(0.0, 0.5),
        forehead_tone=u(0.94, 1.06),
        seed=int(rng.integers(2**31)),
    )


def exchange(target: Identity, source: Identity, part: Part, least: float) -> Identity:
    """The target with one part of the source, pushed away where the two happen to be alike."""
    changed: dict[str, object] = {}
    for name in FIELDS[part]:
        a, b = getattr(target, name), getattr(source, name)
        if isinstance(a, float):
            floor = least * max(abs(a), 0.1)
            changed[name] = float(a + np.copysign(max(abs(b - a), floor), b - a))
        else:
            changed[name] = b
    return replace(target, **changed)  # type: ignore[arg-type]
