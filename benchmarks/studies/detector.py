"""What the detector that comes with the suite says of people and forgeries that it has not seen.

python -m benchmarks.studies.detector --photographs people=PHOTOGRAPHS --tested studio=RUN --prior studio=RUN

A folder of photographs is one that it may have been trained on: its test split is taken; or one of anything else
(--others). A tested run is one of "python -m suite test" with its checkpoint, a prior such a run of
"configs/face_prior.yaml" on the same videos; of a studio whose people were not trained on, the data's index is
"benchmarks.studies.detector.index_unseen". Test eight frames of a video or more (--data.eval_clips 8): in its first
and last one, real faces of the studio look less forged to the detector in the box than in others. A copy by "python -m
suite degrade" has the index "datamodules.datasets.table.index". Of a prepared folder (--edited), the faces of the test
split are edited with OpenCV. Its card gets the tables.
"""

from __future__ import annotations

import tempfile
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from statsmodels.stats.proportion import proportion_confint

from benchmarks.record import record, round_interval
from benchmarks.studies.edits import QUALITIES, measure_edits
from datamodules.datasets import ffpp, photographs
from datamodules.manifest import Video
from datamodules.media.image_sequence import IMAGE_SUFFIXES
from datamodules.runtime.errors import UserError
from datamodules.studio.people import read_table
from lightning_modules.hub_folder import round_to_half
from lightning_modules.trained_method import Trained, load
from suite.detect.analyzer import DEFAULT, Analyzer, DetectSettings
from suite.detect.thresholds import Rates, thresholds_of
from suite.pretrained import from_pretrained
from suite.run_metrics import Run, localization, measure_forgeries, pool_manipulations, read_run, verdict, videos

VERDICTS = ("forged", "unclear", "no forgery found", "no verdict")
GROUPS = ("gender", "group", "age_band")
START, END = "<!-- measured by benchmarks/studies/detector.py -->", "<!-- end -->"


def index_unseen(root: Path) -> Iterator[Video]:
    """A studio of people who were not trained on: all of it is for testing."""
    for video in ffpp.index(root):
        yield replace(video, split="test")


def measure_share(share: float, people: int) -> list[float]:
    """With its 95 % interval, Wilson's: photographs of one person say no more than one."""
    low, high = proportion_confint(share * people, people, method="wilson")
    return [round(float(v), 4) for v in (share, low, high)]


def count_verdicts(faces: Iterable[str], people: int | None = None) -> dict[str, Any]:
    """
    Args:
        people: How many these are; as many as faces without.
    """
    counted = Counter(faces)
    total = sum(counted.values())
    number = min(total, people or total)
    shares = {name: measure_share(counted[name] / total, number) for name in VERDICTS} if total else {}
    return {"faces": total} | shares


def judge(analyzer: Analyzer, files: Iterable[Path]) -> dict[Path, list[str]]:
    """The verdict of every face."""
    with tempfile.TemporaryDirectory() as folder:
        return {
            path: [face.verdict for face in analyzer.analyze(path, Path(folder) / "out", False, lambda *_: None).faces]
            for path in files
        }


def judge_photographs(analyzer: Analyzer, folder: Path) -> dict[str, Any]:
    """Of the test split, all of them real; by group where a table names groups."""
    rows = [row for row in photographs.index(folder) if row.split == "test"]
    found = judge(analyzer, [folder / row.path for row in rows])
    out: dict[str, Any] = {"photographs": len(rows), "people": len({row.identities for row in rows})}
    out["without_a_face"] = sum(not faces for faces in found.values())
    out |= count_verdicts((verdict for faces in found.values() for verdict in faces), out["people"])
    if (table := folder / "people.csv").is_file():
        about = read_table(table)
        out["groups"] = {}
        for name in GROUPS:
            for value in sorted({about.get(row.identities, {}).get(name, "") for row in rows} - {""}):
                mine = [row for row in rows if about.get(row.identities, {}).get(name) == value]
                people = len({row.identities for row in mine})
                verdicts = (v for row in mine for v in found[folder / row.path])
                out["groups"][f"{name} {value}"] = count_verdicts(verdicts, people)
    return out


def judge_others(analyzer: Analyzer, folder: Path) -> dict[str, Any]:
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    found = judge(analyzer, files)
    out = {"photographs": len(files), "without_a_face": sum(not faces for faces in found.values())}
    return out | count_verdicts(verdict for faces in found.values() for verdict in faces)


def describe_test(run: Run, prior: Run | None) -> dict[str, Any]:
    """Video AUROC of each kind of forgery with its interval, and how well its map does beside a face prior's."""
    v, metrics = videos(run), verdict(run)
    out: dict[str, Any] = {"reals": v.reals, "fakes": v.fakes, "frames": round(len(run.table["label"]) / len(v.label))}
    out["kinds"] = {
        row.method: {"seen": row.seen, "videos": row.count, "video_auroc": round_interval(row.metrics["video_auroc"])}
        for row in measure_forgeries(run)
    }
    for name in ("seen", "unseen"):
        if (found := pool_manipulations(run, seen=name == "seen")) is not None:
            out[f"video_auroc_{name}"] = round_interval(found)
    out |= {name: round_interval(metrics[name]) for name in ("video_auroc", "pixel_auroc")}
    if prior is not None:
        every = np.ones(len(prior.table["label"]), bool)
        out["pixel_auroc_of_the_face_prior"] = round_interval(localization(prior, every)["pixel_auroc"])
    return out


def count_real_videos(run: Run, trained: Trained) -> dict[str, Any]:
    """Verdicts on the real videos of a test, by the thresholds of validation."""
    v, thresholds = videos(run), thresholds_of([trained], Rates())
    return count_verdicts(thresholds.verdict(trained.calibrate(score)) for score in v.score[v.label == 0].tolist())


def check_weights(tests: dict[str, Run], checkpoint: Path, run: Path | None) -> None:
    """Refuses tests of other weights than the detector's, or than those it was rounded from."""
    ours = load(checkpoint).digest
    known = {ours}
    if run is not None:
        if round_to_half(load(run)).digest != ours:
            raise UserError(f"{run}: {checkpoint} was not exported from it")
        known.add(load(run).digest)
    for name, test in tests.items():
        if test.about.get("weights") not in known:
            raise UserError(f"{name}: was tested with other weights; test those of {checkpoint}, or give --run")


def percent(share: list[float]) -> str:
    return f"{100 * share[0]:.1f} [{100 * share[1]:.1f}, {100 * share[2]:.1f}]"


def auroc(value: list[float]) -> str:
    return f"{value[0]:.3f} [{value[1]:.3f}, {value[2]:.3f}]"


def write_tables(result: dict[str, Any]) -> str:
    lines = ["## On people and forgeries that it has not seen", ""]
    lines += ["Verdicts on real faces, in percent, with 95 % intervals (of people, where several faces are one's):", ""]
    lines += [f"| real faces | faces | {' | '.join(VERDICTS)} |", "| --- " * 6 + "|"]
    for name, one in result["real_faces"].items():
        rows = {name: one} | {f"{name}, {group}": found for group, found in one.get("groups", {}).items()}
        for title, found in rows.items():
            lines.append(f"| {title} | {found['faces']} | {' | '.join(percent(found[v]) for v in VERDICTS)} |")
    for name, test in result["forgeries"].items():
        counts = f"{test['reals']} real and {test['fakes']} forged videos, {test['frames']} frames of each"
        lines += ["", f"Video AUROC on {name}, {counts}:", ""]
        lines += ["| forgery | in training | video AUROC |", "| --- | --- | --- |"]
        for kind, found in sorted(test["kinds"].items(), key=lambda one: (not one[1]["seen"], one[0])):
            lines.append(f"| {kind} | {'yes' if found['seen'] else 'no'} | {auroc(found['video_auroc'])} |")
        known = {"all in training": "video_auroc_seen", "all others": "video_auroc_unseen"}
        lines += [f"| {title} | | {auroc(test[key])} |" for title, key in known.items() if key in test]
        if blind := sorted(kind for kind, found in test["kinds"].items() if found["video_auroc"][1] <= 0.5):
            lines += ["", f"It does not tell these from real videos, as far as can be said here: {', '.join(blind)}."]
        prior = test.get("pixel_auroc_of_the_face_prior")
        beside = f"; a map that only marks faces: {auroc(prior)}" if prior else ""
        lines += ["", f"Pixel AUROC of its map: {auroc(test['pixel_auroc'])}{beside}."]
    for name, found in result["edits"].items():
        lines += [
            "",
            f"AUROC on {name}, {found['faces']} faces of {found['people']} people, edited with OpenCV or not,",
        ]
        lines += [f"saved as {' and as '.join(QUALITIES)}, and the pixel AUROC of its map:", ""]
        lines += [f"| edit |{' AUROC | pixel AUROC |' * len(QUALITIES)}", "| --- " * (1 + 2 * len(QUALITIES)) + "|"]
        for edit in found[next(iter(QUALITIES))]["edits"]:
            cells = (found[quality]["edits"][edit] for quality in QUALITIES)
            lines.append(f"| {edit} |" + "".join(f" {auroc(c['auroc'])} | {c['pixel_auroc']:.3f} |" for c in cells))
    return "\n".join(lines)


def write_card(card: Path, text: str) -> None:
    """Puts it before the licence, in place of what was there."""
    content = card.read_text()
    if START in content:
        before, rest = content.split(START, 1)
        content = before + rest.split(END, 1)[1].lstrip("\n")
    before, heading, after = content.partition("## What it must be shown")
    card.write_text(f"{before}{START}\n\n{text}\n\n{END}\n\n{heading}{after}")


def parse_named(texts: Iterable[str]) -> dict[str, Path]:
    return {name: Path(path) for name, _, path in (text.partition("=") for text in texts)}


def main() -> None:
    parser = ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, default=DEFAULT)
    parser.add_argument("--run", type=Path, help="that the checkpoint was exported from, where tests are of that")
    for option in ("photographs", "others", "tested", "prior", "edited"):
        parser.add_argument(f"--{option}", nargs="*", default=[], metavar="NAME=FOLDER")
    given = parser.parse_args()
    analyzer, priors = Analyzer([given.checkpoint], DetectSettings()), parse_named(given.prior)
    runs = {name: read_run(path) for name, path in parse_named(given.tested).items()}
    check_weights(runs, given.checkpoint, given.run)
    real = {name: judge_photographs(analyzer, folder) for name, folder in parse_named(given.photographs).items()}
    real |= {name: judge_others(analyzer, folder) for name, folder in parse_named(given.others).items()}
    tests = {name: describe_test(run, read_run(priors[name]) if name in priors else None) for name, run in runs.items()}
    real |= {f"real videos of {name}": count_real_videos(run, analyzer.methods[0]) for name, run in runs.items()}
    result: dict[str, Any] = {"weights": load(given.checkpoint).digest, "saw": analyzer.methods[0].training_summary}
    detector = from_pretrained(given.checkpoint)
    edits = {name: measure_edits(detector, folder) for name, folder in parse_named(given.edited).items()}
    result |= {"real_faces": real, "forgeries": tests, "edits": edits}
    record("detector", result)
    text = write_tables(result)
    print(text)
    write_card(given.checkpoint / "README.md", text)


if __name__ == "__main__":
    main()
