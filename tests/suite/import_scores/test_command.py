"""A table of somebody else's scores becomes a run."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from datamodules.datasets.ffpp import index
from datamodules.manifest import Video
from suite.__main__ import main
from suite.import_scores.names import Names, split_name
from suite.run_metrics import read_run, verdict
from tests.conftest import ROOT
from tests.fixtures.rows import video


@pytest.fixture(scope="module")
def tested(studio: Path) -> list[Video]:
    return [row for row in index(studio) if row.split == "test" and row.compression == "c23"]


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    with path.open("w", newline="") as f:
        table = csv.DictWriter(f, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    return path


def run_import(scores: Path, studio: Path, run: Path, *options: str) -> None:
    data = ["--data", str(ROOT / "configs/data/studio.yaml"), "--data.root", str(studio)]
    main(["import-scores", "--scores", str(scores), *data, "--run", str(run), *options])


def draw(tested: list[Video]) -> list[float]:
    rng = np.random.default_rng(0)
    return [round(float(value), 4) for value in rng.uniform(0, 0.6, len(tested)) + [0.4 * row.label for row in tested]]


def test_scores_of_videos_have_the_auroc_of_scikit_learn_and_a_page(
    studio: Path, tested: list[Video], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn = draw(tested)
    rows = [{"video": row.path, "score": score} for row, score in zip(tested, drawn, strict=True)]
    run_import(write(tmp_path / "scores.csv", rows), studio, tmp_path / "theirs")
    assert f"{len(tested)} of {len(tested)} test videos are scored" in capsys.readouterr().out
    metrics = verdict(read_run(tmp_path / "theirs"))
    expected = roc_auc_score([row.label for row in tested], drawn)
    assert metrics["video_auroc"].value == pytest.approx(expected, abs=1e-6)
    main(["report", str(tmp_path / "theirs")])
    page = (tmp_path / "theirs/report.html").read_text()
    assert "test videos are scored" in page
    assert f"{expected:.3f}" in page
    assert "NEW_RUN" not in page  # there is nothing to train


def test_logits_of_frames_are_pooled_as_asked_and_other_splits_are_left_out(
    studio: Path, tested: list[Video], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal([[2.0 * row.label] for row in tested], 3, (len(tested), 3))
    rows = [
        {"path": f"/their/disk/{row.path}", "frame": frame, "score": logits[i, frame]}
        for i, row in enumerate(tested)
        for frame in range(3)
    ]
    other = next(row for row in index(studio) if row.split == "train")
    rows.append({"path": other.path, "frame": 0, "score": 1.0})
    options = ["--scale", "logit", "--score_pooling", "logit"]
    run_import(write(tmp_path / "scores.csv", rows), studio, tmp_path / "theirs", *options)
    assert "1 scores of other splits are left out" in capsys.readouterr().out
    expected = roc_auc_score([row.label for row in tested], logits.mean(1))
    assert verdict(read_run(tmp_path / "theirs"))["video_auroc"].value == pytest.approx(expected, abs=1e-6)


def test_logits_that_single_precision_would_tie_are_refused_unless_all_are_of_one_class(
    studio: Path, tested: list[Video], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    real = next(i for i, row in enumerate(tested) if not row.label)
    rows = [{"video": row.path, "score": 30 + i if row.label else -i} for i, row in enumerate(tested)]
    run_import(write(tmp_path / "scores.csv", rows), studio, tmp_path / "theirs", "--scale", "logit")
    assert verdict(read_run(tmp_path / "theirs"))["video_auroc"].value == 1
    rows[real]["score"] = 25.5
    with pytest.raises(SystemExit):
        run_import(write(tmp_path / "scores.csv", rows), studio, tmp_path / "tied", "--scale", "logit")
    assert f"lines {real + 2} and " in (said := capsys.readouterr().err)
    assert "25.5 and " in said
    assert "are the same score in single precision" in said


def test_logits_that_pooling_would_tie_are_refused_where_logits_are_pooled_alone(
    studio: Path, tested: list[Video], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows: list[dict[str, object]] = [{"video": row.path, "score": -17 if row.label else -20} for row in tested]
    scores, pooled = write(tmp_path / "scores.csv", rows), ["--scale", "logit", "--score_pooling"]
    run_import(scores, studio, tmp_path / "theirs", *pooled, "score")
    assert verdict(read_run(tmp_path / "theirs"))["video_auroc"].value == 1
    with pytest.raises(SystemExit):
        run_import(scores, studio, tmp_path / "tied", *pooled, "logit")
    said = capsys.readouterr().err
    assert "-20 and -17 are the same score in single precision, or log odds further from 0 than 16" in said
    assert "give log odds from -16 to 16" in said
    near = write(tmp_path / "near.csv", [row | {"score": 0.8 * float(str(row["score"]))} for row in rows])
    run_import(near, studio, tmp_path / "near", *pooled, "logit")
    assert verdict(read_run(tmp_path / "near"))["video_auroc"].value == 1


@pytest.mark.parametrize(("rule", "count"), [("leave_out", -1), ("undecided", 0)])
def test_videos_without_a_score_are_refused_left_out_or_undecided(
    rule: str, count: int, studio: Path, tested: list[Video], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"video": row.key, "score": 0.25} for row in tested[1:]]
    scores = write(tmp_path / "scores.csv", rows)
    with pytest.raises(SystemExit):
        run_import(scores, studio, tmp_path / "theirs")
    assert f"1 of {len(tested)} test videos have no score ({tested[0].path})" in capsys.readouterr().err
    run_import(scores, studio, tmp_path / "theirs", "--missing", rule)
    table = read_run(tmp_path / "theirs").table
    assert len(table["video"]) == len(tested) + count
    assert table["score"][table["video"] == tested[0].key].tolist() == [0.5] * (count + 1)


def test_a_name_is_a_key_a_path_or_as_much_of_its_end_as_tells_videos_apart() -> None:
    rows = [video(name, "test", "p", path=f"{name}.mp4") for name in ("real/a", "fake/a", "fake/b.1")]
    names = Names(rows)
    assert [row.stem for row in names.find("d/real/c23/real/a")] == ["real/a"]
    assert [row.stem for row in names.find(r"D:\their\fake\a.avi")] == ["fake/a"]
    assert [row.stem for row in names.find("b.1")] == ["fake/b.1"]
    assert {row.stem for row in names.find("a.mp4")} == {"real/a", "fake/a"}
    assert names.find("c.mp4") == []
    assert split_name("./x/y.tar.gz") == ("x", "y.tar")


def test_a_video_under_two_names_is_refused_unless_its_frames_or_faces_are_others(
    studio: Path, tested: list[Video], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"video": row.path, "track": 0, "frame": 0, "score": 0.1} for row in tested]
    again = {"video": tested[0].key, "track": 0, "frame": 0, "score": 0.9}
    with pytest.raises(SystemExit):
        run_import(write(tmp_path / "scores.csv", [*rows, again]), studio, tmp_path / "theirs")
    said = f"line {len(rows) + 2}: {tested[0].path}, track 0, frame 0 stands in line 2 already ({tested[0].path!r})"
    assert said in capsys.readouterr().err
    others = [again | {"frame": 1}, again | {"track": 1}]
    run_import(write(tmp_path / "scores.csv", rows + others), studio, tmp_path / "theirs")
    assert len(read_run(tmp_path / "theirs").table["video"]) == len(rows) + 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("clip,score\na,0.5\n", "must have video (or path) and score"),
        ("video,score\nnone.mp4,0.5\n", "1 of its 1 videos are not in the data set (line 2: 'none.mp4'"),
        ("video,score\nx,high\n", "line 2: score must be a number"),
        ("video,score\nx,3\n", "line 2: score 3 must be from 0, real, to 1; '--scale logit' takes any number"),
        ("video,score\nx,nan\n", "line 2: score nan must be from 0"),
        ("video,score\nx,0.1\nx,0.2\n", "line 3: x, track 0, frame 0 stands in line 2 already"),
        ("video,score\n", "has no scores"),
        ("", "must have video (or path) and score"),
    ],
)
def test_a_wrong_table_is_refused_by_its_line(
    content: str, message: str, studio: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "scores.csv").write_text(content)
    with pytest.raises(SystemExit):
        run_import(tmp_path / "scores.csv", studio, tmp_path / "theirs")
    assert message in capsys.readouterr().err
    assert not (tmp_path / "theirs").exists()


def test_a_run_that_is_there_is_left_alone(studio: Path, tested: list[Video], tmp_path: Path) -> None:
    scores = write(tmp_path / "scores.csv", [{"video": row.path, "score": 0.5} for row in tested])
    run_import(scores, studio, tmp_path / "theirs")
    before = (tmp_path / "theirs/predictions.parquet").read_bytes()
    with pytest.raises(SystemExit):
        run_import(scores, studio, tmp_path / "theirs")
    assert (tmp_path / "theirs/predictions.parquet").read_bytes() == before
