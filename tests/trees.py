"""Small copies of the published data sets as videos, made from the studio, each with traps of its own."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from datamodules.encode import write_h264
from datamodules.video import Decord
from tests import clips


@dataclass
class Material:
    """Videos of the studio that a tree is made from; each is used under many names."""

    studio: Path

    @cached_property
    def videos(self) -> list[Path]:
        """The real ones, those of 256 x 192 first."""
        every = sorted((self.studio / "original_sequences/youtube/c23/videos").glob("*.mp4"))
        return sorted(every, key=lambda path: Decord().read(path, [0]).shape[1:3] != (192, 256))

    def forgery(self, method: str = "Swap", kind: str = "c23") -> Path:
        """Made from the first of them."""
        folder = self.studio / f"manipulated_sequences/{method}/{kind}/videos"
        [path] = folder.glob(f"{self.videos[0].stem}_*.mp4")
        return path

    def real(self, path: Path, person: int = 0) -> Path:
        return self.copy(self.videos[person], path)

    def fake(self, path: Path, method: str = "Swap") -> Path:
        return self.copy(self.forgery(method), path)

    def mask(self, path: Path) -> Path:
        return self.copy(self.forgery(kind="masks"), path)

    @staticmethod
    def copy(source: Path, path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, path)
        with path.open("ab") as f:  # content of its own under each name, in a box that players pass over
            name = str(path).encode()
            f.write((8 + len(name)).to_bytes(4, "big") + b"free" + name)
        return path

    def frames(self, method: str = "Swap", count: int = 3) -> np.ndarray:
        return Decord().read(self.forgery(method), range(count)).numpy()

    def masks(self, count: int = 3) -> np.ndarray:
        return Decord().read(self.forgery(kind="masks"), range(count)).numpy()


def empty(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def text(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def ffpp_lists(root: Path) -> None:
    for split, pair in {"train": ["000", "003"], "val": ["010", "011"], "test": ["020", "021"]}.items():
        text(root / f"{split}.json", [pair])


def youtube(m: Material, root: Path, ids: list[str]) -> None:
    for i, id in enumerate(ids):
        m.real(root / f"original_sequences/youtube/c23/videos/{id}.mp4", i)


def ffpp(m: Material, root: Path) -> None:
    """021 is missing, 777 unlisted; an empty video, a short one, no mask for one, a mask of other length, links."""
    ffpp_lists(root)
    youtube(m, root, ["000", "003", "010", "011", "020", "777"])
    empty(root / "original_sequences/youtube/c23/videos/._000.mp4")
    m.real(root / "original_sequences/youtube/c40/videos/000.mp4")
    forged = root / "manipulated_sequences"
    for stem in ("000_003", "010_011", "020_021"):
        m.fake(forged / f"Deepfakes/c23/videos/{stem}.mp4")
    empty(forged / "Deepfakes/c23/videos/003_000.mp4")
    clips.write(forged / "Deepfakes/c23/videos/011_010.mp4", length=5, size=(256, 192))
    for stem in ("000_003", "003_000", "011_010"):
        m.mask(forged / f"Deepfakes/masks/videos/{stem}.mp4")
    write_h264(forged / "Deepfakes/masks/videos/010_011.mp4", m.masks(40)[..., 0], 25, 20)
    m.fake(forged / "Face2Face/c23/videos/000_003.mp4")
    m.fake(root.parent / "elsewhere/videos/000_003.mp4")
    (forged / "FaceSwap").mkdir()
    (forged / "FaceSwap/c23").symlink_to(root.parent / "elsewhere")
    m.fake(root / "disk2/videos/000_003.mp4")
    (forged / "NeuralTextures").mkdir()
    (forged / "NeuralTextures/c23").symlink_to(root / "disk2")
    m.fake(forged / "Mine/c23/videos/000_003.mp4")


def faceshifter(m: Material, root: Path) -> None:
    """Without 021 among the originals."""
    ffpp_lists(root)
    youtube(m, root, ["000", "003", "010", "011", "020"])
    for stem in ("000_003", "011_010", "020_021", "readme"):
        m.fake(root / f"manipulated_sequences/FaceShifter/c23/videos/{stem}.mp4")


def dfd(m: Material, root: Path) -> None:
    """Two people in one picture, of whom the mask chooses the smaller; a name that is none; one without a mask."""
    m.real(root / "original_sequences/actors/c23/videos/01__walking.mp4")
    m.real(root / "original_sequences/actors/c23/videos/holiday.mp4")
    forged = root / "manipulated_sequences/DeepFakeDetection"
    m.fake(forged / "c23/videos/01_02__walking__ABCDEF12.mp4")
    both = forged / "c23/videos/02_01__meeting__YR5OVD4S.mp4"
    both.parent.mkdir(parents=True, exist_ok=True)
    frames, masks = m.frames(count=10), m.masks(10)[..., 0]
    large = frames.repeat(2, 1).repeat(2, 2)
    small = np.zeros((10, 384, 256, 3), np.uint8)
    small[:, :192] = frames
    forged_part = np.zeros((10, 384, 768), np.uint8)
    forged_part[:, :192, 512:] = masks
    write_h264(both, np.concatenate([large, small], 2), 25, 15)
    (forged / "masks/videos").mkdir(parents=True)
    write_h264(forged / "masks/videos" / both.name, forged_part, 25, 10)


def celeb_df(m: Material, root: Path) -> None:
    """A blank line, one that is none, an absent video, a contradicted label; id1 is tested, so he cannot train."""
    for name in ("id0_0000", "id1_0000", "id2_0000", "id9_0000"):
        m.real(root / f"Celeb-real/{name}.mp4")
    for name in ("00000", "00170"):
        m.real(root / f"YouTube-real/{name}.mp4")
    for name in ("id0_id2_0000", "id1_id0_0000", "id4_id5_0001"):
        m.fake(root / f"Celeb-synthesis/{name}.mp4")
    lines = ["1 YouTube-real/00170.mp4", "", "0 Celeb-synthesis/id1_id0_0000.mp4", "1 Celeb-real/id0_0099.mp4"]
    lines += ["Celeb-real/id9_0000.mp4", "1 Celeb-synthesis/id4_id5_0001.mp4"]
    text(root / "List_of_testing_videos.txt", "\n".join(lines) + "\n")


def celeb_df_pp(m: Material, root: Path) -> None:
    """One stem in three methods, one of which has two names; a talking face, an absent video."""
    for name in ("id1_0000", "id7_0003"):
        m.real(root / f"Celeb-real/{name}.mp4")
    m.real(root / "YouTube-real/00170.mp4")
    forged = ["FaceSwap/BlendFace/id1_id0_0000", "FaceSwap/GHOST/id1_id0_0000"]
    forged += ["FaceReenact/LIA/id7_id8_0003", "TalkingFace/FLOAT/id29_0002_test_id08701_aaa"]
    forged += ["FaceSwap/Celeb-DF/id1_id0_0000"]  # which copies call Celeb-DF-v2
    for name in forged:
        m.fake(root / f"Celeb-synthesis/{name.replace('/Celeb-DF/', '/Celeb-DF-v2/')}.mp4")
    listed = ["1 YouTube-real/00170.mp4", *(f"0 Celeb-synthesis/{name}.mp4" for name in forged)]
    text(
        root / "List_of_testing_videos.txt",
        "\n".join([*listed[:3], *listed[4:], "0 Celeb-synthesis/FaceSwap/GHOST/id1_id0_0099.mp4"]),
    )


def dfdc(m: Material, root: Path) -> None:
    """A real video without an original, a fake without one, a label that is none, one absent, one unlisted."""
    part = root / "train/dfdc_train_part_0"
    entries: dict[str, dict[str, str]] = {
        "aaaaaaaaaa.mp4": {"label": "REAL", "split": "train"},
        "bbbbbbbbbb.mp4": {"label": "FAKE", "split": "train", "original": "aaaaaaaaaa.mp4"},
        "cccccccccc.mp4": {"label": "FAKE", "split": "train"},
        "dddddddddd.mp4": {"label": "UNSURE", "split": "train"},
        "eeeeeeeeee.mp4": {"label": "REAL", "split": "train"},
    }
    text(part / "metadata.json", entries)
    for name in list(entries)[:4]:
        (m.real if entries[name]["label"] == "REAL" else m.fake)(part / name)
    m.real(part / "zzzzzzzzzz.mp4")
    for name in ("test1.mp4", "test2.mp4", "test3.mp4"):
        m.real(root / "test" / name)
    text(root / "test/labels.csv", "filename,label\ntest1.mp4,0\ntest2.mp4,1\ntest9.mp4,1\n")


def dfdcp(m: Material, root: Path) -> None:
    """A split word that is none, an absent path, a contradicted label; one file in the folder that a copy adds."""
    m.real(root / "original_videos/10/10_A_001.mp4")
    m.real(root / "original_videos/20/20_A_001.mp4")
    m.fake(root / "method_A/10/10_A/11_10_A_001.mp4")
    m.fake(root / "method_B/videos/20/20_B/21_20_B_001.mp4")
    m.fake(root / "method_B/30/30_B/31_30_B_001.mp4")
    m.fake(root / "method_B/30/30_B/32_30_B_001.mp4")
    entry: dict[str, object] = {"target_id": "10", "swapped_id": None, "augmentations": []}
    fake = entry | {"label": "fake", "swapped_id": "11", "set": "train"}
    content = {
        "original_videos/10/10_A_001.mp4": entry | {"label": "real", "set": "train"},
        "original_videos/20/20_A_001.mp4": entry | {"label": "real", "set": "test", "target_id": "20"},
        "method_A/10/10_A/11_10_A_001.mp4": fake,
        "method_B/20/20_B/21_20_B_001.mp4": fake | {"set": "test", "target_id": "20", "swapped_id": "21"},
        "method_B/30/30_B/31_30_B_001.mp4": fake | {"set": "validation", "target_id": "30"},
        "method_B/30/30_B/32_30_B_001.mp4": fake | {"label": "real", "target_id": "30"},
        "method_A/90/90_A/91_90_A_001.mp4": fake,
    }
    text(root / "dataset.json", content)


def deeperforensics(m: Material, root: Path) -> None:
    """The lists name actor M004 in two splits; the original 200 is absent; studio recordings lie beside."""
    home = root / "DeeperForensics-1.0"
    lists = {"train": ["000_M004.mp4", "001_W010.mp4"], "val": ["100_M104.mp4"], "test": ["200_M004.mp4", "201_W111"]}
    for split, lines in lists.items():
        text(home / f"lists/splits/{split}.txt", "\n".join(lines) + ("\n\n" if split == "val" else "\n"))
    for stem in ("000_M004", "001_W010", "100_M104", "200_M004", "300_M300"):
        m.fake(home / f"manipulated_videos/end_to_end/{stem}.mp4")
    m.real(home / "source_videos/M004/light_down/neutral/camera_front/M004_light_down_neutral_camera_front.mp4")
    for i, id in enumerate(("000", "001", "100", "201")):
        m.real(root / f"FaceForensics++/original_sequences/youtube/c23/videos/{id}.mp4", i)


def uadfv(m: Material, root: Path) -> None:
    """A fake that lies among the real ones."""
    m.real(root / "real/0000.mp4")
    m.fake(root / "real/0001_fake.mp4")
    m.fake(root / "fake/0000_fake.mp4")


def ffiw(m: Material, root: Path) -> None:
    """The same names are counted anew in each split; one content is in two of them."""
    for split in ("train", "val", "test"):
        for folder in ("source", "target"):
            (m.real if folder == "source" else m.fake)(root / f"{folder}/{split}/videos/00000 a.mp4")
    shutil.copy(root / "source/train/videos/00000 a.mp4", root / "source/test/videos/00001.mp4")


def manualfake(m: Material, root: Path) -> None:
    """Masks among the fakes; one video through two networks, one without a mask, a mask of nothing, one left astray."""
    m.real(root / "real/videos/interview.mp4")
    m.real(root / "real/wechat/videos/interview.mp4", 1)
    m.fake(root / "fake/videos/interview.mp4")
    m.fake(root / "fake/videos/wechat/interview.mp4", "Reenactment")
    m.fake(root / "fake/tiktok/dance.mp4", "LocalEdit")
    m.mask(root / "fake/masks/interview.mp4")
    m.mask(root / "fake/masks/gone.mp4")
    m.mask(root / "fake/ground_truth/dance.mp4")


def table(m: Material, root: Path) -> None:
    """An absent video and a split word that is none."""
    m.real(root / "a/one.mp4")
    m.fake(root / "b/two.mp4")
    m.mask(root / "m/two.mp4")
    with (root / "videos.csv").open("w", newline="", encoding="utf-8-sig") as f:  # as spreadsheets save it
        writer = csv.writer(f)
        writer.writerow(["path", "label", "method", "split", "identities", "mask"])
        writer.writerow(["a/one.mp4", "real", "", "train", "ann", ""])
        writer.writerow(["b/two.mp4", "fake", "swap", "test", "bob cid", "m/two.mp4"])
        writer.writerow(["b/two.mp4", "fake", "swap", "dev", "bob cid", ""])
        writer.writerow(["c/gone.mp4", "0", "", "test", "dan", ""])
