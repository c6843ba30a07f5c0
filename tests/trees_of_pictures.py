"""Small copies of the published data sets that are pictures, made from the studio, each with traps of its own."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import cv2
import numpy as np

from tests.trees import Material, text


def picture(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), pixels[..., ::-1] if pixels.ndim == 3 else pixels)
    return path


def faces(m: Material, folder: Path, size: int = 256, numbers: tuple[int, ...] = (0, 10, 20)) -> Path:
    """Pictures of a face that is already cut out, numbered as frames of a video."""
    for number, frame in zip(numbers, m.frames(count=len(numbers)), strict=True):
        picture(folder / f"{number:03d}.png", cv2.resize(frame[:, 32:224], (size, size)))
    return folder


def processed(m: Material, home: Path, stem: str, mask: bool = False) -> Path:
    """As DeepfakeBench leaves them: frames, 81 landmarks in whole pixels, masks."""
    folder = faces(m, home / "frames" / stem)
    for path in folder.iterdir():
        points = np.stack([np.arange(81) + 80, np.arange(81) + 60], 1).astype(np.int64)
        (home / "landmarks" / stem).mkdir(parents=True, exist_ok=True)
        np.save(home / "landmarks" / stem / f"{path.stem}.npy", points)
        if mask:
            region = np.zeros((256, 256, 3), np.uint8)
            region[100:150, 100:150] = 255
            picture(home / "masks" / stem / path.name, region)
    return folder


def wilddeepfake(m: Material, root: Path) -> None:
    """An archive, one unpacked, one cut short, a hidden file, a fake sequence among the real ones."""
    for folder in ("real_train", "real_test", "fake_train", "fake_test"):
        kind = folder.partition("_")[0]
        work = root.parent / "work" / folder
        faces(m, work / "1" / kind / "7", 224, (3, 4, 9))
        if folder == "real_train":
            faces(m, work / "1" / "fake" / "8", 224)
        (root / folder).mkdir(parents=True)
        if folder == "fake_test":
            shutil.copytree(work / "1", root / folder / "1")
            continue
        with tarfile.open(root / folder / "1.tar.gz", "w:gz") as tar:
            tar.add(work / "1", "1" if folder != "fake_train" else "./1")
    whole = (root / "real_test/1.tar.gz").read_bytes()
    (root / "real_test/2.tar.gz").write_bytes(whole[: len(whole) // 2])
    (root / "real_test/.DS_Store").touch()
    (root / "real_test/notes.txt").touch()


def df40(m: Material, root: Path) -> None:
    """Both spellings of a domain, a method with folders of its own, an empty video, reals of one domain absent."""
    processed(m, root / "DF40/simswap/ff", "000_003")
    faces(m, root / "DF40/uniface/ffpp/000_003")
    faces(m, root / "DF40/simswap/cdf/id0_id1_0000")
    faces(m, root / "DF40/heygen/real/talk")
    faces(m, root / "DF40/heygen/fake/talk2")
    (root / "DF40/heygen/fake/hollow").mkdir()
    processed(m, root / "DF40_train/simswap/ff", "010_011")
    (root / "DF40_train/nothing").mkdir()
    for stem in ("000", "010", "500"):
        processed(m, root / "FaceForensics++/original_sequences/youtube/c23", stem)


def openforensics(m: Material, root: Path) -> None:
    """A forged face and a real one in one picture; a picture that is absent; a category that is none."""
    frame = m.frames(count=1)[0]
    picture(root / "Images/Train/aa.jpg", np.hstack([frame, frame]))
    picture(root / "Images/Test-Dev/bb.jpg", frame)
    outline = [[80, 40, 176, 40, 176, 150, 80, 150]]
    face = {"bbox": [80, 40, 96, 110], "image_id": 1, "segmentation": outline}
    kinds = [{"id": 0, "name": "Real"}, {"id": 1, "name": "Fake"}]
    text(
        root / "Train_poly.json",
        {
            "categories": kinds,
            "images": [
                {"id": 1, "file_name": "Images/Train/aa.jpg", "height": 192, "width": 512},
                {"id": 2, "file_name": "Images/Train/gone.jpg", "height": 192, "width": 512},
            ],
            "annotations": [
                face | {"id": 11, "category_id": 1},
                face | {"id": 12, "category_id": 0, "bbox": [336, 40, 96, 110]},
                face | {"id": 13, "category_id": 5},
            ],
        },
    )
    test = {"id": 1, "file_name": "bb.jpg", "height": 192, "width": 256}
    text(
        root / "Test-Dev_poly.json",
        {"categories": kinds, "images": [test], "annotations": [face | {"id": 11, "category_id": 1}]},
    )


def folder(m: Material, root: Path) -> None:
    """Videos and pictures, a mask by name, one without, a mask of nothing, a hidden file."""
    m.real(root / "real/ann.mp4")
    picture(root / "real/photo.png", m.frames(count=1)[0])
    m.fake(root / "fake/swap/ann.mp4")
    picture(root / "fake/edit.png", m.frames("LocalEdit", 1)[0])
    m.mask(root / "masks/swap/ann.mp4")
    picture(root / "masks/nobody.png", m.masks(1)[0])
    (root / "real/.hidden.mp4").touch()


def deepfakebench(m: Material, root: Path) -> None:
    """Paths of another machine; a video in all splits; a compression level; frames that are absent."""
    home = root / "UADFV"
    processed(m, home / "real", "0000")
    processed(m, home / "fake", "0000_fake")

    def entry(label: str, folder: str, stem: str) -> dict[str, object]:
        frames = [f"D:\\work\\rgb\\{folder}\\frames\\{stem}\\{n:03d}.png".replace("/", "\\") for n in (0, 10, 20)]
        return {stem: {"label": label, "frames": frames}}

    real, fake = entry("UADFV_Real", "UADFV/real", "0000"), entry("UADFV_Fake", "UADFV/fake", "0000_fake")
    fake |= entry("UADFV_Fake", "UADFV/fake", "0048_fake")
    splits = ("train", "val", "test")
    content = {"UADFV_Real": dict.fromkeys(splits, real), "UADFV_Fake": dict.fromkeys(splits, fake)}
    text(root / "dataset_json/UADFV.json", {"UADFV": content})
    forged = root / "FaceForensics++/manipulated_sequences/Deepfakes/c23"
    original = root / "FaceForensics++/original_sequences/youtube/c23"
    processed(m, forged, "000_003", mask=True)
    processed(m, original, "000")
    where = "FaceForensics++/{}/c23"
    ff_fake = entry("FF-DF", where.format("manipulated_sequences/Deepfakes"), "000_003")
    ff_real = entry("FF-real", where.format("original_sequences/youtube"), "000")
    content = {"FF-DF": {"test": {"c23": ff_fake}, "dev": {"c23": {}}}, "FF-real": {"test": {"c23": ff_real}}}
    text(root / "dataset_json/FaceForensics++.json", {"FaceForensics++": content})
