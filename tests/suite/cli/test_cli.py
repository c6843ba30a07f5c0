"""The command line: instant help, short refusals, every config runs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
import torch
import yaml

from lightning_modules.mae.network import MAE
from suite.__main__ import VERSION, main
from tests.fixtures.configs import read_config
from tests.fixtures.refusing import refused
from tests.fixtures.second_proofs import mark_slow

ROOT = Path(__file__).parents[3]
CONFIGS = sorted([*(ROOT / "configs").glob("*.yaml"), ROOT / "configs/studio/demo.yaml"])
TRAINING = [path for path in CONFIGS if "model" in read_config(path)]
CLASSIFIER = str(ROOT / "configs/classifier.yaml")
QUICK = ["--trainer.accelerator", "cpu", "--data.num_workers", "0", "--data.batch_size", "4", "--data.eval_clips", "2"]


def run(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "suite", *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )


def test_help_is_instant() -> None:
    best = min(_seconds("--help") for _ in range(3))
    assert best < 0.2


def _seconds(*arguments: str) -> float:
    start = time.perf_counter()
    assert run(*arguments).returncode == 0
    return time.perf_counter() - start


def test_a_missing_checkpoint_is_one_line(prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["test", "--config", CLASSIFIER, "--data.prepared", str(prepared), *QUICK, "--run", str(tmp_path)]
    said = refused(capsys, *arguments, "--model.backbone", "test_efficientnet", "--ckpt_path", "none.ckpt")
    assert "none.ckpt" in said


OVERLAYS = {
    "classifier_blend": ("classifier_blend", []),
    "classifier_clip": ("classifier_vit", []),
    "classifier_effort": ("classifier_vit", []),
    "classifier_fs_vfm": ("classifier_vit", []),
    "classifier_gend_clip": ("classifier_vit", []),
    "classifier_gend_dinov3": ("classifier_vit", ["--model.backbone", "vit_tiny_patch16_dinov3_qkvb"]),
    "classifier_gend_pe": ("classifier_vit", ["--model.backbone", "vit_pe_core_tiny_patch16_384"]),
    "classifier_probe": ("classifier_vit", []),
    "fakestormer": ("fakestormer", []),
    "forada": ("forada", []),
    "classifier_sbi": ("classifier_sbi", []),
    "delocate": ("delocate", ["--model.margin", "0.1"]),
    "delocate_pretrain": ("mae", []),
    "laa_net": ("laa_net", ["--model.size", "64"]),
    "laa_net_bi": ("laa_net", ["--model.size", "64"]),
    "lae": ("lae", []),
    "localizer": ("classifier_sbi", []),
    "rffr": ("rffr", []),
    "rffr_pretrain": ("mae", ["--model.masking.grid", "{patches: 8, block: 2, border: 0}"]),
    "st_ddl": ("st_ddl", ["--data.image_size", "64"]),
}


def reduced(config: str, tmp_path: Path) -> list[str]:
    """Options that make a published config small enough."""
    if config not in OVERLAYS:
        small = ["--model.backbone", "test_efficientnet", "--model.trunk_weights", "null"]
        one_set = ["--data.sets", "null", "--data.synthesis.init_args.size", "64"]
        foreign = ["--model.detector", "tests.fixtures.green_detector:create"]
        own = {"face_prior": [], "foreign_detector": foreign, "detector": small + one_set}
        return own.get(config, small)
    overlay, options = OVERLAYS[config]
    out = ["--config", str(ROOT / f"configs/studio/scratch/{overlay}.yaml"), *options]
    if config in ("rffr", "delocate"):  # after a first stage
        torch.save(MAE(64, 8, 128, 4, 4, 96, 2, 3).state_dict(), tmp_path / "first.pt")
        out += ["--model.generator_weights", str(tmp_path / "first.pt")]
    return out


# a config that can be trained and tested can be validated, and predicted with, too: one of each kind shows it
OTHER_VERBS = {"classifier", "st_ddl", "rffr", "lae", "detector", "face_prior", "foreign_detector", "rffr_pretrain"}
VERBS = [(path, verb) for path in TRAINING for verb in ("fit", "validate", "test", "predict")]
REPEATED = {(path, verb) for path, verb in VERBS if verb in ("validate", "predict") and path.stem not in OTHER_VERBS}


@pytest.mark.parametrize("case", mark_slow(VERBS, REPEATED), ids=lambda case: f"{case[0].stem}-{case[1]}")
def test_every_config_runs(case: tuple[Path, str], studio: Path, prepared: Path, tmp_path: Path) -> None:
    config, verb = case
    where = ["--data.root", str(studio), "--data.prepared", str(prepared), "--data.compression", "c23"]
    where += ["--run", str(tmp_path)]
    command = [verb, "--config", str(config), *reduced(config.stem, tmp_path), *where, *QUICK]
    if verb == "fit" and config.stem in ("face_prior", "foreign_detector"):
        with pytest.raises(SystemExit):
            main(command)
    else:
        main([*command, "--trainer.fast_dev_run", "1"])


@pytest.mark.parametrize("name", ["studio", "studio_m15", "studio_aligned"])
def test_a_preparing_config_prepares_a_studio(name: str, studio: Path, tmp_path: Path) -> None:
    pair = json.loads((studio / "test.json").read_text())[0]
    root = tmp_path / "studio"
    for split in ("train", "val", "test"):
        path = root / f"{split}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps([pair] if split == "test" else []))
    shutil.copy(studio / "studio.json", root)
    for path in studio.rglob("*.mp4"):
        if path.stem.split("_")[0] == pair[0] and ("Swap" in str(path) or "original" in str(path)):
            (root / path.relative_to(studio)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, root / path.relative_to(studio))
    config = read_config(ROOT / f"configs/prepare/{name}.yaml")
    where = ["--data.root", str(root), "--data.prepared", str(tmp_path / "out")]
    where += ["--workers", "1"]
    main(["prepare", "--config", str(ROOT / f"configs/prepare/{name}.yaml"), *where])
    rows = (tmp_path / "out/manifest.csv").read_text().splitlines()
    assert len(rows) == 3  # the head, a real video and a fake one, of one compression
    contract = json.loads((tmp_path / "out/contract.json").read_text())
    assert contract["size"] == config["size"]
    assert contract["margin"] == config.get("margin", 1.3)
    assert contract["alignment"] == config.get("alignment", "none")


@pytest.mark.parametrize("config", sorted((ROOT / "configs/data").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_data_config_is_accepted(config: Path, prepared: Path, tmp_path: Path) -> None:
    where = ["--data", str(config), "--data.prepared", str(prepared), "--run", str(tmp_path)]
    where += ["--data.compression", "c23"]  # of the prepared studio
    main(
        [
            "fit",
            "--config",
            CLASSIFIER,
            *where,
            *QUICK,
            "--model.backbone",
            "test_efficientnet",
            "--trainer.fast_dev_run",
            "1",
        ]
    )


def test_a_run_is_a_folder_and_testing_keeps_its_configuration(prepared: Path, tmp_path: Path) -> None:
    common = ["--config", CLASSIFIER, "--data.prepared", str(prepared), "--run", str(tmp_path), *QUICK]
    common += ["--model.backbone", "test_efficientnet", "--data.clips_per_face", "1"]
    main(["fit", *common, "--trainer.max_epochs", "1"])
    assert {"config.yaml", "metrics.csv", "checkpoints"} <= {p.name for p in tmp_path.iterdir()}
    assert {p.name for p in (tmp_path / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    config = (tmp_path / "config.yaml").read_text()
    assert yaml.safe_load(config)["data"]["prepared"] == str(prepared)
    main(["test", *common, "--ckpt_path", str(tmp_path / "checkpoints/best.ckpt")])
    assert (tmp_path / "config.yaml").read_text() == config


def test_the_seed_of_the_run_is_the_seed_of_the_draws(prepared: Path, tmp_path: Path) -> None:
    from suite.train import main as train

    where = ["--data.prepared", str(prepared), "--run", str(tmp_path), *QUICK, "--model.backbone", "test_efficientnet"]
    cli = train(["fit", "--seed_everything", "7", "--config", CLASSIFIER, *where, "--trainer.fast_dev_run", "1"])
    assert cli.datamodule.seed == 7


def test_a_stranger_package_of_the_same_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "datamodules").mkdir()
    (tmp_path / "datamodules" / "__init__.py").touch()
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-m", "suite", "fit"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "another package of that name shadows it" in done.stderr


def test_the_wheel_works_outside_the_clone(tmp_path: Path) -> None:
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(tmp_path),
        str(ROOT),
    ]
    subprocess.run(build, check=True, cwd=tmp_path)
    (wheel,) = tmp_path.glob(f"deepfake_suite-{VERSION}-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name.split("/")[0] for name in archive.namelist()}
        scripts = next(archive.read(name).decode() for name in archive.namelist() if name.endswith("entry_points.txt"))
        archive.extractall(tmp_path / "site")
    assert "deepfake-suite = suite.__main__:main" in scripts
    assert {"suite", "datamodules", "lightning_modules", "callbacks"} <= names
    assert not names & {"tests", "benchmarks", "configs"}
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "site")}
    for arguments in (["--help"], ["studio", "--help"]):
        done = subprocess.run(
            [sys.executable, "-P", "-m", "suite", *arguments]
            if sys.version_info >= (3, 11)
            else [sys.executable, "-m", "suite", *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "usage" in done.stdout


def test_the_citation_file_is_valid_and_cites_the_five_papers_and_the_photographs() -> None:
    from cffconvert.citation import Citation

    text = (ROOT / "CITATION.cff").read_text()
    citation = Citation(text, src="CITATION.cff")
    citation.validate()
    titles = " ".join(reference["title"] for reference in yaml.safe_load(text)["references"])
    for word in ("LAA-Net", "Spatial-Temporal", "Real Face Foundation", "Delocate", "Locality-aware", "London Set"):
        assert word in titles
