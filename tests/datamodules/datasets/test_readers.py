"""Every reader lists its tree as its owners mean it, and says what is amiss: one line for each trap."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
import yaml

from datamodules import manifest
from datamodules.manifest import Video
from suite.doctor import main as doctor
from tests.fixtures import trees, trees_of_pictures
from tests.fixtures.trees import Material

ROOT = Path(__file__).parents[3]
# config: (its tree, what the reader yields as "split key", what it notes as "kind path: text")
TREES: dict[str, tuple[Callable[[Material, Path], None], str, str]] = {
    "ffpp_c23": (
        trees.ffpp,
        """train ffpp/real/c23/000, train ffpp/real/c23/003, val ffpp/real/c23/010, val ffpp/real/c23/011,
        test ffpp/real/c23/020, train ffpp/Deepfakes/c23/000_003, train ffpp/Deepfakes/c23/003_000,
        val ffpp/Deepfakes/c23/010_011, val ffpp/Deepfakes/c23/011_010, test ffpp/Deepfakes/c23/020_021,
        train ffpp/Face2Face/c23/000_003, train ffpp/NeuralTextures/c23/000_003""",
        """missing original_sequences/youtube/c23/videos/021.mp4: 021 is in test.json
        missing manipulated_sequences/Deepfakes/c23/videos/021_020.mp4: 021_020 is in test.json
        unexpected original_sequences/youtube/c23/videos/777.mp4: in none of the official lists
        unexpected original_sequences/youtube/c23/videos/._000.mp4: hidden
        unexpected manipulated_sequences/Mine: not one of Deepfakes, Face2Face, FaceSwap, NeuralTextures
        no mask manipulated_sequences/Deepfakes/c23/videos/020_021.mp4: masks of Deepfakes are here, but not this one
        no mask manipulated_sequences/Face2Face: not a single mask
        link manipulated_sequences/FaceSwap/c23/videos: outside the data set: not followed
        corrupt manipulated_sequences/Deepfakes/c23/videos/003_000.mp4: is empty
        count c23: 2 train real videos here, 720 by the owners' count""",
    ),
    "faceshifter": (
        trees.faceshifter,
        """train faceshifter/real/c23/000, train faceshifter/real/c23/003, val faceshifter/real/c23/010,
        val faceshifter/real/c23/011, test faceshifter/real/c23/020, train faceshifter/FaceShifter/c23/000_003,
        val faceshifter/FaceShifter/c23/011_010, test faceshifter/FaceShifter/c23/020_021""",
        """unexpected manipulated_sequences/FaceShifter/c23/videos/readme.mp4: not a pair
        missing original_sequences/youtube/c23/videos/021.mp4: 021 is in test.json""",
    ),
    "dfd": (
        trees.dfd,
        """test dfd/real/c23/01__walking, test dfd/DeepFakeDetection/c23/01_02__walking__ABCDEF12,
        test dfd/DeepFakeDetection/c23/02_01__meeting__YR5OVD4S""",
        """unexpected original_sequences/actors/c23/videos/holiday.mp4: its name is not ACTOR__SCENE
        no mask manipulated_sequences/DeepFakeDetection/c23/videos/01_02__walking__ABCDEF12.mp4: nothing says which""",
    ),
    "celeb_df_v2": (
        trees.celeb_df,
        """test celeb_df_v2/real//00170, test celeb_df_v2/Celeb-synthesis//id1_id0_0000,
        test celeb_df_v2/Celeb-synthesis//id4_id5_0001, train celeb_df_v2/real//id2_0000,
        train celeb_df_v2/real//id9_0000, train celeb_df_v2/real//00000""",
        """unexpected List_of_testing_videos.txt: line 2 is blank
        list List_of_testing_videos.txt: line 5 is 'Celeb-real/id9_0000.mp4', not '1 PATH' (real) or '0 PATH' (fake)
        label Celeb-synthesis/id4_id5_0001.mp4: says real (1), its folder the opposite
        missing Celeb-real/id0_0099.mp4: in List_of_testing_videos.txt, but not here
        held out Celeb-real/id1_0000.mp4: not in the test list, but 'id1' is
        held out Celeb-synthesis/id0_id2_0000.mp4: not in the test list, but 'id0' is
        count .: 1 test real videos here, 178 by the owners' count""",
    ),
    "celeb_df_pp": (
        trees.celeb_df_pp,
        """test celeb_df_pp/real//00170, test celeb_df_pp/FaceSwap-BlendFace//id1_id0_0000,
        test celeb_df_pp/FaceSwap-GHOST//id1_id0_0000, test celeb_df_pp/FaceSwap-Celeb-DF-v2//id1_id0_0000,
        test celeb_df_pp/TalkingFace-FLOAT//id29_0002_test_id08701_aaa,
        train celeb_df_pp/real//id7_0003, train celeb_df_pp/FaceReenact-LIA//id7_id8_0003""",
        """missing Celeb-synthesis/FaceSwap/GHOST/id1_id0_0099.mp4: in List_of_testing_videos.txt, but not here
        held out Celeb-real/id1_0000.mp4: not in the test list, but 'id1' is
        count .: 1 test FaceSwap-BlendFace videos here, 200 by the owners' count
        count .: 1 test FaceSwap-Celeb-DF-v2 videos here, 340 by the owners' count
        count .: 1 test TalkingFace-FLOAT videos here, 300 by the owners' count
        count .: 3 real videos here, 890 by the owners' count
        count .: 5 fake videos here, 53196 by the owners' count""",
    ),
    "dfdc": (
        trees.dfdc,
        """test dfdc/real//test1, test dfdc/dfdc//test2, train dfdc/real//aaaaaaaaaa, train dfdc/dfdc//bbbbbbbbbb""",
        """list train/dfdc_train_part_0/cccccccccc.mp4: names no original of this fake
        list train/dfdc_train_part_0/dddddddddd.mp4: labels it 'UNSURE', not REAL or FAKE
        missing train/dfdc_train_part_0/eeeeeeeeee.mp4: in metadata.json, but not here
        unexpected train/dfdc_train_part_0/zzzzzzzzzz.mp4: not in metadata.json
        unexpected test/test3.mp4: has no label
        missing test/test9.mp4: has a label, but is not here""",
    ),
    "dfdcp": (
        trees.dfdcp,
        """test dfdcp/real//20_A_001, test dfdcp/method_B//21_20_B_001, train dfdcp/real//10_A_001,
        train dfdcp/method_A//11_10_A_001""",
        """list method_B/30/30_B/31_30_B_001.mp4: puts it in 'validation', which is not one of train, val, test
        label method_B/30/30_B/32_30_B_001.mp4: labels it 'real', its folder the opposite
        missing method_A/90/90_A/91_90_A_001.mp4: in dataset.json, but not here""",
    ),
    "deeperforensics": (
        trees.deeperforensics,
        """train deeperforensics/real//000, train deeperforensics/real//001, val deeperforensics/real//100,
        test deeperforensics/real//201, train deeperforensics/end_to_end//000_M004,
        train deeperforensics/end_to_end//001_W010, val deeperforensics/end_to_end//100_M104,
        test deeperforensics/end_to_end//200_M004""",
        """leak DeeperForensics-1.0/manipulated_videos/end_to_end/200_M004.mp4: 'M004' of deeperforensics is in 'train'
        unexpected val.txt: line 2 is blank
        missing FaceForensics++/original_sequences/youtube/c23/videos/200.mp4: the original of 200_M004
        missing DeeperForensics-1.0/manipulated_videos/end_to_end/201_W111.mp4: in test.txt, but not here
        unexpected DeeperForensics-1.0/manipulated_videos/end_to_end/300_M300.mp4: in none of the official lists""",
    ),
    "uadfv": (
        trees.uadfv,
        "test uadfv/real//0000, test uadfv/uadfv//0000_fake",
        """unexpected real/0001_fake.mp4: a fake is called NAME_fake and lies in fake/
        count .: 1 fake videos here, 49 by the owners' count""",
    ),
    "ffiw": (
        trees.ffiw,
        """train ffiw/real//train/00000 a, val ffiw/real//val/00000 a, test ffiw/real//test/00000 a,
        test ffiw/real//test/00001, train ffiw/ffiw//train/00000 a, val ffiw/ffiw//val/00000 a,
        test ffiw/ffiw//test/00000 a""",
        """duplicate source/test/videos/00001.mp4: has the content of source/train/videos/00000 a.mp4: in train
        count .: 2 test real videos here, 1738 by the owners' count""",
    ),
    "manualfake": (
        trees.manualfake,
        """test manualfake/real//interview, test manualfake/real/wechat/interview,
        test manualfake/manualfake//interview, test manualfake/manualfake/wechat/interview,
        test manualfake/manualfake/tiktok/dance, test manualfake/manualfake/ground_truth/dance""",
        """no mask fake/tiktok/dance.mp4: masks are here, but none of this name
        unexpected fake/masks/gone.mp4: a mask of nothing in fake/""",
    ),
    "table": (
        trees.table,
        "train table/real//a/one, test table/swap//b/two",
        """list b/two.mp4: line 4 of videos.csv puts it in 'dev', which is not one of train, val, test
        missing c/gone.mp4: in line 5 of videos.csv, but not here""",
    ),
    "wilddeepfake": (
        trees_of_pictures.wilddeepfake,
        """test wilddeepfake/real//real_test/1/1/real/7, test wilddeepfake/real//real_test/2/1/real/7,
        test wilddeepfake/wilddeepfake//fake_test/1/fake/7, val wilddeepfake/real//real_train/1/1/real/7,
        train wilddeepfake/wilddeepfake//fake_train/1/1/fake/7""",
        """label real_train/1.tar.gz::/1/fake/8: lies in real_train, but is called the opposite
        corrupt real_test/2.tar.gz: cannot be read to its end
        unexpected real_test/notes.txt: neither an archive nor a folder""",
    ),
    "df40": (
        trees_of_pictures.df40,
        """test df40/simswap/ff/000_003, test df40/uniface/ff/000_003, test df40/simswap/cdf/id0_id1_0000,
        test df40/heygen/own/talk2, test df40/real/own/heygen/talk, test df40/real/ff/000,
        train df40/simswap/ff/010_011, train df40/real/ff/010""",
        """corrupt DF40/heygen/fake/hollow: a folder without pictures
        unexpected DF40_train/nothing: holds no folder ff, cdf, real or fake
        missing Celeb-DF-v2/Celeb-real/frames: the real videos of domain cdf""",
    ),
    "openforensics": (
        trees_of_pictures.openforensics,
        """train openforensics/openforensics/train/aa_11, train openforensics/real/train/aa_12,
        test openforensics/openforensics/test-dev/bb_11""",
        """list Images/Train/aa.jpg: gives category 5
        missing Images/Train/gone.jpg: in Train_poly.json, but not here""",
    ),
    "folder": (
        trees_of_pictures.folder,
        "test folder/real//ann, test folder/real//photo, test folder/swap//ann, test folder/fake//edit",
        """unexpected real/.hidden.mp4: hidden
        no mask fake/edit.png: masks are here, but none of this name
        unexpected masks/nobody.png: a mask of nothing in fake/""",
    ),
    "deepfakebench": (
        trees_of_pictures.deepfakebench,
        """test uadfv/real//0000, test uadfv/uadfv//0000_fake, test ffpp/Deepfakes/c23/000_003,
        test ffpp/real/c23/000""",
        """held out UADFV/real/frames/0000: UADFV.json has it in 'train' and 'val': kept for the last
        list FaceForensics++.json: FF-DF has a split 'dev'
        missing D:\\work\\rgb\\UADFV\\fake\\frames\\0048_fake\\000.png: 0048_fake of UADFV_Fake in UADFV.json""",
    ),
}


def reader(config: str) -> Callable[[Path], Iterable[Video]]:
    path = yaml.safe_load((ROOT / f"configs/data/{config}.yaml").read_text())["init_args"]["index"]
    module, _, name = path.rpartition(".")
    index: Callable[[Path], Iterable[Video]] = getattr(importlib.import_module(module), name)
    return index


def examine(config: str, root: Path, *options: str) -> dict[str, object]:
    where = ["--data.root", str(root), "--data.prepared", str(root.parent / "prepared")]
    try:
        doctor(["doctor", "--data", str(ROOT / f"configs/data/{config}.yaml"), *where, *options])
        code = 0
    except SystemExit as end:
        code = int(str(end.code))
    report: dict[str, object] = json.loads((root.parent / "prepared/doctor.json").read_text())
    assert code == bool(report["wrong"])
    return report


def said(report: dict[str, object]) -> set[str]:
    findings: Iterable[dict[str, str]] = report["findings"]  # type: ignore[assignment]
    return {f"{one['kind']} {one['path']}: {one['text']}" for one in findings}


def test_every_config_of_a_published_data_set_has_a_tree() -> None:
    same_reader = {"studio", "ffpp_c40", "ffpp_raw", "celeb_df_v1", "photographs"}
    assert {path.stem for path in (ROOT / "configs/data").glob("*.yaml")} == set(TREES) | same_reader


@pytest.mark.parametrize("config", TREES)
def test_doctor_lists_what_is_there_and_has_a_line_for_every_trap(
    config: str, material: Material, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tree, rows, traps = TREES[config]
    root = tmp_path / "root"
    root.mkdir()
    tree(material, root)
    before = sorted(path for path in root.rglob("*"))
    report = examine(config, root)
    lines = said(report)
    for trap in traps.splitlines():
        kind_and_path, _, text = trap.strip().partition(": ")
        assert any(line.startswith(f"{kind_and_path}: ") and text in line for line in lines), (trap, lines)
    listed = [row for row in reader(config)(root) if row.compression != "c40"]
    assert sorted(f"{row.split} {row.key}" for row in listed) == sorted(" ".join(r.split()) for r in rows.split(","))
    for row in listed:
        assert manifest.resolve_inside(root, row.path)
    assert sorted(path for path in root.rglob("*")) == before  # the owners' folder is never written to
    assert bool(report["wrong"]) == (config not in ("folder", "manualfake"))  # whose traps make nothing wrong
    assert ("training on this copy would be wrong" in capsys.readouterr().out) == bool(report["wrong"])
