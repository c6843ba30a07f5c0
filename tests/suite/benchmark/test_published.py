"""Numbers of others, as a page about a sweep shows them."""

from __future__ import annotations

import csv

from suite.benchmark.page import render_published
from suite.benchmark.published import PUBLISHED, PUBLISHED_BY
from tests.fixtures.sweeps import make_row


def test_numbers_of_others_stand_beside_test_sets_of_their_name_alone() -> None:
    found = render_published(["DFDC", "my own"])
    assert found is not None
    head, rows = found.tables[0].head, found.tables[0].rows
    assert head[-1] == "DFDC"
    said = {tuple(cell.text for cell in row[:-1]): row[-1].text for row in rows}
    rule = "mean of the three best values of each test set over training"
    assert said["Xception", "DeepfakeBench (README)", "FF++ c23", "frame", rule] == "0.708"
    assert said["SBI", "Effort (ICML 2025), Table 1", "FF++ c23", "video", "not stated"] == "0.717"
    assert render_published(["my own"]) is None


def test_frame_and_video_metrics_of_one_detector_and_its_trainings_are_lines_of_their_own() -> None:
    found = render_published(["Celeb-DF v2", "DFDC"])
    assert found is not None
    lines = [tuple(cell.text for cell in row) for row in found.tables[0].rows]
    twice = {line[3]: line[5:] for line in lines if line[1] == "DFA (arXiv 2603.01450), abstract"}
    assert twice == {"frame": ("-", "0.816"), "video": ("-", "0.836")}
    sbi = {line[2]: line[5] for line in lines if line[1] == "SelfBlendedImages README, released weights"}
    assert sbi == {"FF++ raw reals": "0.938", "FF++ c23 reals": "0.929"}
    assert not found.tables[0].note.startswith("Trained on")  # what each was trained on is in its line


def test_numbers_of_single_forgeries_stand_beside_those_of_the_sweep() -> None:
    rows = [
        make_row("Xception", {"video_auroc": 0.8 + seed / 10}, seed, test="DF40", forgery=forgery)
        for seed in (0, 1)
        for forgery in ("uniface", "e4s", "sadtalker")
    ]
    found = render_published(["DF40"], rows)
    assert found is not None
    head, lines = found.tables[0].head, [tuple(cell.text for cell in row) for row in found.tables[0].rows]
    assert head[5:] == ["DF40 uniface", "DF40 e4s"]  # of the third nobody has published anything
    assert lines[0] == ("Xception", "this sweep", rows[0].train, "video", "validation", "0.850", "0.850")
    [theirs] = [line for line in lines if line[:2] == ("F3Net", "Effort (ICML 2025), Table 1, cross-method")]
    assert theirs[5:] == ("0.809", "0.494")
    assert "Lines of this sweep" in found.tables[0].note


def test_every_published_number_says_where_it_is_from_and_what_it_is() -> None:
    with PUBLISHED.open(newline="") as f:
        rows = list(csv.DictReader(f))
    assert len(rows) == 487
    assert all(row[name] for row in rows for name in row)
    assert {row["unit"] for row in rows} == {"frame", "video"}
    assert all(0 <= float(row["auroc"]) <= 1 for row in rows)
    keys = [tuple(row[name] for name in (*PUBLISHED_BY, "test")) for row in rows]
    assert len(set(keys)) == len(keys)
