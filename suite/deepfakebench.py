"""The verb that hands prepared faces to DeepfakeBench."""

from __future__ import annotations

from pathlib import Path

from jsonargparse import auto_cli

from datamodules.datasets.deepfakebench_export import write
from datamodules.runtime.errors import UserError
from datamodules.runtime.folder_lock import hold_folder
from suite.cli.parser import Parser
from suite.cli.progress import bar


def deepfakebench(prepared: Path, out: Path) -> None:
    """Write a prepared folder as DeepfakeBench's processed tree and the JSON files that list it.

    To read such a tree instead, prepare configs/data/deepfakebench.yaml.

    Args:
        prepared: Folder that 'python -m suite prepare' filled; with --alignment deepfakebench, and the size of
            256 that it expects, crops are as DeepfakeBench cuts its own.
        out: Folder to fill: dataset_json, and a folder for each data set.
    """
    if not (prepared / "manifest.csv").exists():
        raise UserError(f"{prepared}: holds no manifest.csv; run 'python -m suite prepare'")
    with hold_folder(out, "deepfakebench"), bar("writing") as show:
        for done, total in write(prepared, out):
            show(done, total)


def main(argv: list[str]) -> None:
    auto_cli(
        deepfakebench, args=argv[1:], as_positional=False, parser_class=Parser, prog="python -m suite deepfakebench"
    )
