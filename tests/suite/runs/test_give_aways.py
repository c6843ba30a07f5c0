"""What doctor says of a data set that can be told apart without a look at a face."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from callbacks.predictions import read_give_aways
from datamodules.datasets.trait_sample import draw_files
from datamodules.loading.prepared_set import PreparedSet
from datamodules.manifest import Video
from suite.__main__ import main
from tests.fixtures import clips
from tests.fixtures.runs import change, write_run
from tests.fixtures.trees import text
from tests.fixtures.trees_with_sound import FAKEAVCELEB_HEADER, columns

pytestmark = pytest.mark.usefixtures("few_resamples")
PEOPLE = 12


def shifted(person: int) -> Any:
    """Of each person other frames, and of real and fake ones alike."""
    return lambda number, *size: np.roll(clips.barcode(number, *size), 7 * person, 1)


def fakeavceleb(root: Path) -> None:
    """As its copies are: real videos in H.264, forged ones in MPEG-4 Part 2, but for one."""
    rows = []
    for person in range(PEOPLE):
        place = f"African/men/id{person:05d}"
        for kind, method, name in (
            ("RealVideo-RealAudio", "real", "00001.mp4"),
            ("FakeVideo-RealAudio", "wav2lip", "00001_wavtolip.mp4"),
            ("FakeVideo-FakeAudio", "fsgan-wav2lip", "00001_2_wavtolip.mp4"),
        ):
            path = root / f"FakeAVCeleb_v1.2/{kind}/{place}/{name}"
            path.parent.mkdir(parents=True, exist_ok=True)
            is_odd = method == "real" or (method == "wav2lip" and person == 3)
            clips.write(
                path, "libx264" if is_odd else "mpeg4", length=14, draw=shifted(person + 20 * (method != "real"))
            )
            rows.append((f"id{person:05d},-,-,{method},A", kind, place, name))
    lines = [",".join(columns(one)) for one in rows]
    text(root / "FakeAVCeleb_v1.2/meta_data.csv", FAKEAVCELEB_HEADER + "\n".join(lines) + "\n")


def examined(config: str, root: Path, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[Any, str]:
    where = ["--data.root", str(root), "--data.prepared", str(root / "prepared"), "--workers", "1"]
    with contextlib.suppress(SystemExit):  # of a copy that is not complete
        main(["doctor", "--data", f"configs/data/{config}.yaml", *where, *options])
    return json.loads((root / "prepared/doctor.json").read_text()), capsys.readouterr().out


def aurocs(report: Any, trait: str) -> dict[tuple[str, str], float]:
    rows = [row for row in report["give_aways"]["rows"] if row["trait"] == trait]
    return {(row["split"], row["forgery"]): row["auroc"][0] for row in rows}


def test_the_codec_of_fakeavceleb_gives_the_class_away_until_it_is_levelled(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fakeavceleb(tmp_path)
    report, said = examined("fakeavceleb", tmp_path, capsys)
    found = aurocs(report, "codec")
    # one in twelve of the one forgery has the codec of the reals
    assert found["all", "wav2lip"] == pytest.approx(1 - 1 / (2 * PEOPLE), abs=0.02)
    assert found["all", "fsgan-wav2lip"] == 1
    assert "codec alone tells real from fake" in said
    assert "a fixed draw of at most 200 of each split" in said
    assert any(one["kind"] == "give-away" and "codec" in one["text"] for one in report["findings"])
    assert not any("give-away" in reason for reason in report["wrong"])  # it can be levelled

    level = ["--kind", "h264", "--severity", "1", "--out", str(tmp_path / "level"), "--workers", "1"]
    main(["degrade", "--data", "configs/data/fakeavceleb.yaml", "--data.root", str(tmp_path), *level])
    report, said = examined("table", tmp_path / "level", capsys)
    assert set(aurocs(report, "codec").values()) == set(aurocs(report, "pixel format").values()) == {0.5}
    assert "codec alone" not in said


def test_the_studio_gives_nothing_away(studio: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--data.root", str(studio), "--data.prepared", str(tmp_path), "--workers", "2"]
    main(["doctor", "--data", "configs/data/studio.yaml", "--data.compression", "c23", *options])
    report = json.loads((tmp_path / "doctor.json").read_text())
    assert [one for one in report["findings"] if one["kind"] == "give-away"] == []
    assert {row["auroc"][0] for row in report["give_aways"]["rows"] if row["trait"] == "codec"} - {None} == {0.5}
    assert "To be had without a look at a face" in capsys.readouterr().out
    assert report["give_aways"]["files"] == 80


def video(method: str, number: int, split: str) -> Video:
    name, label = str(number), int(method != "real")
    return Video(dataset="d", method=method, label=label, split=split, stem=name, path=f"{name}.mp4", identities=name)


def test_a_large_set_is_not_read_whole() -> None:
    rows = [video("real", i, split) for split in ("train", "test") for i in range(100)]
    rows += [video(method, i, "train") for method in ("a", "b", "c") for i in range(300)]
    rows += [video("a", 1000 + i, "test") for i in range(3)]
    drawn = draw_files(rows, 40)
    train = [row.method for row in drawn if row.split == "train"]
    assert {name: train.count(name) for name in ("real", "a", "b", "c")} == {"real": 20, "a": 7, "b": 7, "c": 6}
    test = [row.method for row in drawn if row.split == "test"]
    assert {name: test.count(name) for name in ("real", "a")} == {"real": 37, "a": 3}
    assert draw_files(rows[::-1], 40) == drawn
    assert draw_files(rows, 0) == []


def test_a_test_keeps_what_doctor_found_and_the_report_shows_it(
    tmp_path: Path, prepared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fakeavceleb(tmp_path / "root")
    report, _ = examined("fakeavceleb", tmp_path / "root", capsys)
    shutil.copytree(prepared, tmp_path / "prepared", copy_function=os.link)
    one = PreparedSet(prepared=tmp_path / "prepared", name="FakeAVCeleb")
    assert read_give_aways([one]) == {}
    shutil.copy(tmp_path / "root/prepared/doctor.json", one.prepared)
    assert read_give_aways([one]) == {"FakeAVCeleb": report["give_aways"]}

    about = {b"give_aways": json.dumps(read_give_aways([one])).encode()}
    runs = [write_run(tmp_path / name) for name in ("known", "unknown")]
    change(runs[0], lambda table: table.replace_schema_metadata({**table.schema.metadata, **about}))
    for run in runs:
        main(["report", str(run)])
    known, unknown = ((run / "report.html").read_text() for run in runs)
    assert "<td>codec</td><td>0.9" in known
    assert re.search(r"fsgan-wav2lip: [a-z ]+ 1\.000 \[1", known)
    assert "36 files, a fixed draw" in known
    assert "Not known: before the test nobody has called" in unknown
