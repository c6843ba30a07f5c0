"""What newer data sets mean: which of images and sound is forged, when, by what, and who is in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest

from datamodules.datasets import (
    av_deepfake1m,
    ddl,
    deepfake_eval_2024,
    deepspeak,
    dfdm,
    fakeavceleb,
    forgerynet,
    gend,
    idforge,
    kodf,
    lav_df,
    polyglotfake,
    splits,
    talking_head_bench,
)
from datamodules.datasets.listing import walk
from datamodules.face_data import FaceData
from datamodules.identities import first_person, list_people
from datamodules.issues import collect_issues
from datamodules.manifest import Video, check
from datamodules.media.mask_video import read_masks
from datamodules.media.probe import probe
from datamodules.media.video import Auto
from datamodules.runtime.errors import UserError
from datamodules.segments import find_forged
from tests.fixtures import clips, newer_trees, trees_with_sound
from tests.fixtures.reading import row
from tests.fixtures.trees import Material, text
from tests.fixtures.trees_with_sound import stub

Tree = Callable[[Material | None, Path], None]


def read(tree: Tree, index: Callable[[Path], Iterable[Video]], root: Path) -> dict[str, Video]:
    """Rows by their stems, in a manifest that is not refused."""
    tree(None, root)
    rows = list(index(root))
    check(rows, root / "m.csv")
    return {row.stem: row for row in rows}


def test_fakeavceleb_labels_images_and_names_everybody_in_them(tmp_path: Path) -> None:
    rows = read(trees_with_sound.fakeavceleb, fakeavceleb.index, tmp_path)
    about = {stem.partition("/")[0]: (one.label, one.modality) for stem, one in rows.items()}
    assert about == {
        "RealVideo-RealAudio": (0, ""),
        "RealVideo-FakeAudio": (0, "audio"),
        "FakeVideo-RealAudio": (1, "video"),
        "FakeVideo-FakeAudio": (1, "both"),
    }
    people = {Path(stem).name: one.identities for stem, one in rows.items()}
    assert people[trees_with_sound.YOUTUBE] == "id00076 id02587 id06060"
    assert people["00052_id00488_wavtolip"] == "id00052 id00488"
    assert people["00109_fake"] == "id00076"


def test_both_rules_for_forged_sound_list_what_they_say(tmp_path: Path) -> None:
    trees_with_sound.fakeavceleb(None, tmp_path)
    every, said = FaceData(prepared=tmp_path / "p", root=tmp_path, index=fakeavceleb.index).list_dataset()
    fewer, _ = FaceData(
        prepared=tmp_path / "p", root=tmp_path, index=fakeavceleb.index, audio_fakes="leave_out"
    ).list_dataset()
    assert [one.text.partition(":")[0] for one in said if one.kind == "sound"] == ["1 real videos with forged sound"]
    assert {one.modality for one in every} - {one.modality for one in fewer} == {"audio"}
    assert len(every) == len(fewer) + 1


def test_lav_df_has_segments_where_images_are_forged_and_ties_a_fake_to_its_original(tmp_path: Path) -> None:
    rows = read(trees_with_sound.lav_df, lav_df.index, tmp_path)
    assert {stem: (one.label, one.modality, one.fake_segments) for stem, one in rows.items()} == {
        "train/000001": (0, "", ""),
        "train/000002": (1, "video", "2.5-3.224"),
        "dev/000003": (0, "", ""),
        "dev/000004": (0, "audio", ""),
        "test/000005": (0, "", ""),
        "test/000006": (1, "both", "0.1-0.5 4-99"),
    }
    assert rows["train/000002"].identities == rows["train/000001"].identities == "000001"


def test_the_segments_of_lav_df_fall_on_the_frames_of_its_videos(tmp_path: Path) -> None:
    trees_with_sound.lav_df(None, tmp_path)
    clips.write(tmp_path / "LAV-DF/LAV-DF/test/000006.mp4", length=103)
    [fake] = [one for one in lav_df.index(tmp_path) if one.stem == "test/000006"]
    index = probe(tmp_path / fake.path)
    forged = np.flatnonzero(find_forged(fake.fake_segments, index.fps, range(len(index)), fake.path)).tolist()
    assert forged == [*range(2, 12), *range(100, 103)]  # at 25 a second; the second segment is longer than the video


def test_lav_df_prefers_the_whole_metadata(tmp_path: Path) -> None:
    text(tmp_path / "metadata.min.json", [])
    text(tmp_path / "metadata.json", [trees_with_sound.lav_row("test/000001.mp4", (False, False), None)])
    stub(tmp_path, "test/000001.mp4")
    assert [one.stem for one in lav_df.index(tmp_path)] == ["test/000001"]


def test_av_deepfake1m_believes_what_was_modified_before_its_segments(tmp_path: Path) -> None:
    clip = "id01/aaa/00001"
    rows = [trees_with_sound.av_row(f"{clip}/real_video_fake_audio.mp4", "audio_modified", [[0.1, 0.2]])]
    rows.append(trees_with_sound.av_row(f"{clip}/fake_video_fake_audio.mp4", "both_modified", [[0.48, 0.86]]))
    rows.append(trees_with_sound.av_row(f"{clip}/odd.mp4", "painted", []))
    text(tmp_path / "val_metadata.json", rows)
    stub(tmp_path / "val", *(str(one["file"]) for one in rows))
    with collect_issues() as findings:
        found = list(av_deepfake1m.index_1m(tmp_path))
    assert [(one.label, one.modality, one.fake_segments) for one in found] == [
        (0, "audio", ""),
        (1, "both", "0.48-0.86"),
    ]
    assert {(one.identities, first_person(one.identities)) for one in found} == {("id01_id01/aaa/00001 id01", "id01")}
    assert any(one.path == f"{clip}/odd.mp4" and "'painted'" in one.text for one in findings)


def test_speakers_that_the_owners_of_av_deepfake1m_pp_share_are_no_identities(tmp_path: Path) -> None:
    rows = read(trees_with_sound.av_deepfake1m_pp, av_deepfake1m.index_pp, tmp_path)
    assert rows["train/vox_celeb_2/id01/aaa/00001/real"].identities == "id01_vox_celeb_2/id01/aaa/00001"
    assert rows["val/val/lrs3/clip/00001/fake_video_fake_audio_p1"].modality == "both"  # however it is spelt
    assert rows["train/silent_videos/subject_1_ff_vid_1_2/fake"].identities == "silent_videos/subject_1_ff_vid_1_2"


def test_identities_of_one_split_stay_where_others_are_shared() -> None:
    rows = [row("a", [1, 2], "train"), row("b", [2, 3], "test"), row("c", [2], "test")]
    with collect_issues() as findings:
        found = splits.drop_shared(rows, "people")
    assert [one.identities for one in found] == ["p1", "p3", "c"]
    assert findings[0].videos == 1
    check(found, Path("m.csv"))


def test_forgerynet_takes_the_method_from_the_folder_and_the_mask_from_its_own(tmp_path: Path) -> None:
    rows = read(newer_trees.forgerynet_images, forgerynet.index_images, tmp_path)
    assert {stem: (one.method, one.mask, one.identities) for stem, one in rows.items()} == {
        "train_release/1/aa/bb/frame00052": (
            "FaceShifter",
            "Training/spatial_localize/train_mask_release/1/aa/bb/frame00052.jpg",
            "aa",
        ),
        "train_release/16/cc/frame00001": ("real", "", "cc"),
        "val_perturb_release/6/gg/hh/frame00049": (
            "DeepFakes-StarGAN-Stack",  # its line says 4
            "Validation/spatial_localize/6/gg/hh/frame00049.jpg",
            "gg",
        ),
        "val_perturb_release/7/ii/jj/frame00038": ("Talking-Head-Video", "", "ii"),  # its line says 15
        "val_perturb_release/19/kk/frame00000": ("real", "", "kk"),
    }


def test_the_ringing_of_a_mask_in_jpeg_is_no_forgery(tmp_path: Path) -> None:
    newer_trees.forgerynet_images(None, tmp_path)
    rows = {one.stem: one for one in forgerynet.index_images(tmp_path)}
    one = rows["train_release/1/aa/bb/frame00052"]
    mask = np.zeros((64, 64, 3), np.uint8)
    mask[16:41, 16:41] = 255
    assert cv2.imwrite(str(tmp_path / one.path), np.full((64, 64, 3), 90, np.uint8))
    assert cv2.imwrite(str(tmp_path / one.mask), mask, [cv2.IMWRITE_JPEG_QUALITY, 60])
    stored = cv2.imread(str(tmp_path / one.mask))
    assert stored is not None
    assert (stored > 0).mean() > 1.1 * (mask > 0).mean()  # what rings is not black
    [found] = read_masks(Auto(), tmp_path / one.mask, probe(tmp_path / one.path), [0], (64, 64))
    assert found is not None
    assert (found > 0).mean() == pytest.approx((mask[..., 0] > 0).mean(), rel=0.02)


def test_the_segments_of_forgerynet_are_frames(tmp_path: Path) -> None:
    rows = read(newer_trees.forgerynet_videos, forgerynet.index_videos, tmp_path)
    assert rows["val_video_release/1/aa/bb/clip"].fake_segments == "0f-10f 30f-35f"
    assert rows["val_video_release/2/cc/dd"].fake_segments == ""  # all of it is forged
    assert rows["val_video_release/2/cc/dd"].path == "Validation/video/val_video_release/2/cc/dd/video.mp4"


def test_deepspeak_takes_a_fake_where_both_its_actors_are(tmp_path: Path) -> None:
    with collect_issues() as findings:
        rows = read(newer_trees.deepspeak_v1, deepspeak.index_v1, tmp_path / "v1")
    assert [one.videos for one in findings if "an actor of train and one of test" in one.text] == [1]
    assert rows["facefusion--10-11--4100-4897--0"].identities == "11_4897 11 10"  # the target's recording first
    assert rows["10-4100"].identities == "10_4100 10"
    assert "retalking--10-12--1-2--0" not in rows
    rows = read(newer_trees.deepspeak_v2, deepspeak.index_v2, tmp_path / "v2")
    assert rows["diff2lip-3-0-playht"].identities == "87_0 87 12"
    assert rows["diff2lip-3-0-playht"].identities.split()[0] == rows["87-0"].identities.split()[0]


def test_deepspeak_refuses_a_split_of_another_name(tmp_path: Path) -> None:
    newer_trees.deepspeak_v2(None, tmp_path)
    text(tmp_path / "annotations-split-def.csv", "identity,split\n12,dev\n")
    with pytest.raises(UserError, match=r"annotations-split-def\.csv, line 2: 'dev' must be train or test"):
        list(deepspeak.index_v2(tmp_path))


def test_kodf_believes_the_code_in_a_name_before_its_folder(tmp_path: Path) -> None:
    rows = read(newer_trees.kodf, kodf.index, tmp_path)
    assert rows["audio-driven/20200101/100003/100003_100004_3_0002"].method == "fsgan"
    assert rows["fsgan/20200101/100003/100003_100004_3_0001"].identities == "100003 100004"
    assert rows["dfl/20200101/100003/1_2_3"].identities == "1_2_3"


def test_idforge_tells_types_by_their_whole_names(tmp_path: Path) -> None:
    rows = read(trees_with_sound.idforge, idforge.index, tmp_path)
    about = {stem.partition("/")[0]: (one.label, one.modality) for stem, one in rows.items()}
    assert about["tts_textgen"] == (0, "audio")
    assert about["lip_audiomismatch_textmismatch"] == (1, "video")  # its sound is genuine, of somebody else
    assert about["face_tts"] == about["face_tts_textgen"] == about["lip_rvc_textmismatch"] == (1, "both")
    pristine = rows["pristine/id00/id00_00/id00_scene_0010-12"].identities
    assert pristine == "id00_id00_scene_0010-12 id00"
    assert {one.identities for one in rows.values() if one.split == "train"} == {pristine}


def test_a_person_in_two_lists_of_idforge_is_no_identity_and_said(tmp_path: Path) -> None:
    names = ["pristine/id00/id00_00/id00_00-1.mp4", "face_tts/id00/id00_01/id00_01_0_roop.mp4"]
    stub(tmp_path, *names)
    for split, name in zip(("train", "test"), names, strict=True):
        text(tmp_path / f"{split}.csv", name)
    with collect_issues() as findings:
        rows = list(idforge.index(tmp_path))
    check(rows, tmp_path / "m.csv")
    assert [one.identities for one in rows] == ["id00_id00_00-1", "id00_id00_01_0_roop"]
    assert any(one.text.startswith("1 people are in two of the owners' splits") for one in findings)


def test_deepfake_eval_labels_images_and_takes_names_that_begin_with_a_dash(tmp_path: Path) -> None:
    rows = read(trees_with_sound.deepfake_eval_videos, deepfake_eval_2024.index_videos, tmp_path)
    assert {stem: (one.label, one.modality) for stem, one in rows.items()} == {
        "oU0MuT": (1, ""),  # nobody knows of its sound
        "N5cLQE": (0, "audio"),
        "-QVbWl": (1, "both"),
        "_real": (0, ""),
    }


def test_dfdm_is_read_without_its_real_videos_which_are_asked_for(tmp_path: Path) -> None:
    stub(tmp_path, "DFDM_crf10/a/id28_id20_0008_IAE.mp4")
    with collect_issues() as findings:
        [fake] = dfdm.index(tmp_path)
    assert (fake.method, fake.compression, fake.identities) == ("IAE", "crf10", "id28_0008 id28 id20")
    assert any(one.kind == "missing" and "Celeb-DF" in one.text for one in findings)


def test_polyglotfake_knows_a_person_by_the_owners_description(tmp_path: Path) -> None:
    rows = read(trees_with_sound.polyglotfake, polyglotfake.index, tmp_path)
    assert rows["es_1_to_ru_Xtts"].identities == rows["es_1"].identities
    assert list_people(rows["es_1"].identities) == ["URL:https://a_b/30/male"]
    assert rows["fr_2_to_en_Micro"].identities == "fr_2"
    assert rows["es_1_to_ru_Xtts"].modality == "both"


def test_names_of_talking_head_bench_are_cut_at_the_first_and_the_last_dashes() -> None:
    assert talking_head_bench.find_people("00024---xAb--9--Hallo") == ["portrait:00024", "driver:-xAb--9"]
    assert talking_head_bench.find_people("10452") == ["10452"]


def test_ddl_without_folders_of_splits_is_all_for_testing(tmp_path: Path) -> None:
    stub(tmp_path, "real/a.png", "fake/a.png", "mask/a.png")
    rows = {one.stem: one for one in ddl.index_images(tmp_path)}
    assert {stem: (one.label, one.split, one.mask) for stem, one in rows.items()} == {
        "real/a": (0, "test", ""),
        "fake/a": (1, "test", "mask/a.png"),
    }


def test_a_release_of_gend_that_is_still_packed_is_refused_with_how_to_unpack_it(tmp_path: Path) -> None:
    stub(tmp_path, "IDForge-v1-x1.3.tar.lz4.part.aa", "IDForge-v1-x1.3.tar.lz4.part.ab")
    with pytest.raises(UserError, match=r"IDForge-v1-x1\.3\.tar\.lz4\.part\.aa is still packed; join parts with cat"):
        list(gend.index(tmp_path))


def test_an_empty_folder_of_any_of_them_is_refused_in_one_line(tmp_path: Path) -> None:
    readers = [av_deepfake1m.index_pp, ddl.index_images, dfdm.index, fakeavceleb.index, forgerynet.index_images]
    readers += [gend.index, idforge.index, kodf.index, lav_df.index, talking_head_bench.index, deepspeak.index_v2]
    for index in readers:
        with pytest.raises(UserError, match=str(tmp_path)):
            list(index(tmp_path))


def test_a_walk_enters_no_link_that_leads_out_and_no_hidden_folder(tmp_path: Path) -> None:
    root = tmp_path / "root"
    stub(root, "b/2.mp4", "b/c/1.mp4", "a/.hidden/3.mp4", "a/.4.mp4", "a/5.txt", "6.mp4")
    stub(tmp_path, "elsewhere/7.mp4")
    (root / "z").symlink_to(tmp_path / "elsewhere")
    (root / "b/inside").symlink_to(root / "a")
    with collect_issues() as findings:
        found = [path.relative_to(root).as_posix() for path in walk(root, root)]
    assert found == ["6.mp4", "b/2.mp4", "b/c/1.mp4"]
    assert {(one.kind, one.path) for one in findings} == {
        ("link", "z"),
        ("unexpected", "a/.4.mp4"),
        ("unexpected", "b/inside/.4.mp4"),
    }
