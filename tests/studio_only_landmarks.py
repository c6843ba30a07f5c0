"""A small model in dlib's format, trained on the studio and useless on photographs: DlibLandmarks is tested with it."""

from __future__ import annotations

from pathlib import Path

import cv2
import dlib
import numpy as np

from datamodules.atomic import appearing
from datamodules.studio.people import Person
from datamodules.studio.portrait import make_portrait
from datamodules.studio.scene import shoot
from datamodules.studio.shot import direct, thin


def portraits(
    people: list[Person], seed: int, count: int
) -> tuple[list[np.ndarray], list[list[dlib.full_object_detection]]]:
    """Pictures whose faces dlib finds, with their exact points."""
    detector = dlib.get_frontal_face_detector()
    pictures, objects = [], []
    for i in range(count):
        rng = np.random.default_rng([seed, 2, i])
        shot = thin(direct(rng, 240, 216, 96), 24)
        for picture, points in shoot(make_portrait(people[i % len(people)], cut=False), shot):
            grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
            boxes = detector(grey)
            if len(boxes) == 1:
                # twice the size: dlib keeps landmarks as whole pixels
                pictures.append(cv2.resize(grey, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR))
                exact = [dlib.point(int(x), int(y)) for x, y in np.rint(2 * points + 0.5)]
                objects.append([dlib.full_object_detection(dlib.scale_rect(boxes[0], 2), exact)])
    return pictures, objects


def train_predictor(path: Path, people: list[Person], seed: int, count: int) -> None:
    cv2.setNumThreads(1)
    if path.exists():
        return
    options = dlib.shape_predictor_training_options()
    options.oversampling_amount, options.nu = 6, 0.1
    options.tree_depth, options.cascade_depth, options.num_trees_per_cascade_level = 4, 8, 100
    options.feature_pool_size, options.num_test_splits = 200, 20
    options.num_threads = 1
    options.random_seed = str(seed)
    predictor = dlib.train_shape_predictor(*portraits(people, seed, count), options)
    with appearing(path) as part:
        predictor.save(str(part))
