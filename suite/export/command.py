"""The verb that makes of a run what others can use: a network for another engine, or a folder for the hub."""

from __future__ import annotations

import json
import platform
import time
import warnings
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jsonargparse import auto_cli

from datamodules.prepared.contract import digest
from datamodules.prepared.trained_on import write_seen
from datamodules.runtime.atomic_files import fill_folder, write_text
from datamodules.runtime.errors import UserError
from datamodules.runtime.folder_lock import hold_folder
from lightning_modules.hub_folder import round_to_half, save
from lightning_modules.metrics.bootstrap import Interval
from lightning_modules.own_validation import LIMIT, check_limit
from lightning_modules.trained_method import CONFIG, Trained, load
from suite.cli.extras import require_extra
from suite.cli.parser import Parser
from suite.cli.suggest import suggest
from suite.detect.thresholds import Performance, Rates
from suite.export.deploy import Deployed, example, trace, write
from suite.export.formats.base import Format, Run, find_formats
from suite.export.front_matter import front_matter
from suite.export.space import APP, write_app
from suite.html.render import template
from suite.run_metrics import Run as Test
from suite.run_metrics import format_metrics, read_run, verdict, videos

PARITY = 1e-4  # largest difference of any output from torch's, over its size where that is above 1
POOLING = {
    "score": "the mean over its frames of that of the most suspicious face",
    "logit": "that of the mean logit over its frames, each that of the most suspicious face",
    "suspects": "the mean of those above a half over all its faces, of all where there is none",
}
INDEX = "model.json"  # of a network
HUB, SPACE = "hub", "space"  # the formats that are no network alone
OF_SPACE = {"sdk": "gradio", "app_file": APP}


def measure_difference(trained: Trained, run: Run) -> float:
    """The largest difference of an output from torch's, over its size where that is above 1."""
    most = [0.0]
    for batch in (1, 5):
        inputs = example(trained, batch)
        with torch.inference_mode():
            wanted = Deployed(trained).eval()(*inputs)
        for ours, theirs in zip((one.numpy() for one in wanted), run(*inputs), strict=True):
            most.append(float((np.abs(ours - theirs) / np.maximum(1.0, np.abs(ours))).max()))
    return float(np.max(most))  # of which one that is no number makes none


def torch_runner(trained: Trained) -> Run:
    network = Deployed(trained).eval()

    def run(*inputs: torch.Tensor) -> Any:
        with torch.inference_mode():
            return [one.numpy() for one in network(*inputs)]

    return run


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Milliseconds a clip, of so many at a time."""

    batch: int
    torch: float
    exported: float


@dataclass(frozen=True, kw_only=True)
class EngineMetrics:
    """How an exported network did beside torch's.

    Args:
        apart: Largest difference of an output.
    """

    apart: float
    latencies: list[Latency]
    machine: str


@dataclass(frozen=True, kw_only=True)
class TestedVideos:
    """What the metrics of a card are of."""

    reals: int
    fakes: int
    forgeries: list[str]


def measure_latency(trained: Trained, run: Run, repeats: int = 10) -> list[Latency]:
    """Milliseconds a clip, the median of several calls, on this machine."""
    network, rows = Deployed(trained).eval(), []

    def milliseconds(call: Any, inputs: tuple[torch.Tensor, ...]) -> float:
        call(*inputs)  # the first one prepares
        taken = []
        for _ in range(repeats):
            start = time.perf_counter()
            call(*inputs)
            taken.append(1000 * (time.perf_counter() - start) / len(inputs[0]))
        return round(float(np.median(taken)), 3)

    for batch in (1, 8, 32):
        inputs = example(trained, batch)
        with torch.inference_mode():
            torch_takes = milliseconds(network, inputs)
        rows.append(Latency(batch=batch, torch=torch_takes, exported=milliseconds(run, inputs)))
    return rows


def test_of(trained: Trained, tested_run: Path | None, home: Path) -> Test | None:
    """That which was asked for, or that of the run itself where it was of these weights and no other checkpoint."""
    if tested_run is None and not (home / "predictions.parquet").is_file():
        return None
    test = read_run(tested_run or home)
    if test.about.get("weights") in (trained.digest, trained.tested_digest):
        return test
    if tested_run is not None:
        raise UserError(f"{tested_run}: was tested with other weights; test these, or leave out --tested_run")
    return None


def render_card(
    trained: Trained,
    test: Test | None,
    licence: str,
    format: str,
    engine: EngineMetrics | None = None,
    rounded: float | None = None,
    min_validation_auroc: float = LIMIT,
) -> str:
    """
    Args:
        test: Whose metrics it has.
        engine: Of a network for another engine.
        rounded: What rounding to half precision has changed.
    """
    own = trained.method.own_validation
    metrics: dict[str, Interval] = {}
    about = None
    if test is not None:
        v = videos(test)
        metrics = {} if own.is_below(min_validation_auroc) else verdict(test)
        forgeries = sorted(set(v.method[v.label == 1].tolist()))
        about = TestedVideos(reals=v.reals, fakes=v.fakes, forgeries=forgeries)
    return template("export/card.md").render(
        trained=trained,
        method=trained.method,
        parameters=sum(p.numel() for p in trained.method.parameters()),
        contract=trained.contract,
        pooling=POOLING[trained.method.score_pooling],
        contract_hash=digest(trained.contract),
        front_matter=front_matter(trained, test, metrics, licence, OF_SPACE if format == SPACE else {}),
        metrics=format_metrics(metrics),
        own_validation=own.describe(min_validation_auroc),
        about=about,
        did=Performance.measure(trained, Rates()),
        today=date.today().isoformat(),
        licence=licence,
        format=format,
        engine=engine,
        rounded=rounded,
    )


def export_network(trained: Trained, format: Format, out: Path) -> EngineMetrics:
    """Writes it with its index, and measures it beside torch's."""
    path = write(trained, trace(trained), format, out)
    run = format.load(path)
    apart = measure_difference(trained, run)
    if not apart <= PARITY:
        raise UserError(f"{path.name}: differs from torch by {apart:.2g}, more than {PARITY:g}; nothing was written")
    machine = f"{platform.machine()}, {torch.get_num_threads()} threads"
    found = EngineMetrics(apart=apart, latencies=measure_latency(trained, run), machine=machine)
    about = {
        "model": trained.model,
        "contract": trained.contract,
        "stored": trained.stored,
        "threshold": float(trained.method.video_threshold),
        "thresholds": {name: asdict(one) for name, one in trained.describe_thresholds().items()},
        "calibration": trained.calibration and trained.calibration._asdict(),
        "score_pooling": trained.method.score_pooling,
        "trained_on": trained.trained_on,
        "seen": None if trained.seen is None else write_seen(trained.seen),
        "weights": trained.digest,
        "apart": found.apart,
        "milliseconds": [asdict(one) for one in found.latencies],
        "machine": found.machine,
    }
    write_text(out / INDEX, json.dumps(about, indent=1) + "\n")
    print(f"{path.name}: differs from torch by at most {apart:.2g}")
    for row in found.latencies:
        print(f"  batch {row.batch:2.0f}: {row.exported:.2f} ms a clip, torch {row.torch:.2f} ms")
    return found


def export(
    checkpoint: Path,
    format: str = HUB,
    out: Path | None = None,
    tested_run: Path | None = None,
    licence: str = "unknown",
    half_precision: bool = False,
    min_validation_auroc: float = 0.9,
) -> None:
    """Write a trained method for others: with a card that says what it was trained on, and how good it is.

    Args:
        checkpoint: A run, one of its checkpoints, or an exported folder.
        format: onnx or torch.export, a network with its normalization and calibration; hub, a folder for the Hugging
            Face hub, which 'detect', 'serve' and from_pretrained take; or space, a page around it for Gradio.
        out: Folder to fill; export/<format> in the run without it.
        tested_run: A tested run, whose metrics the card has; the run itself without it, where it was tested.
        licence: Of the weights, which that of their training data may bound.
        half_precision: Round parameters to half precision, for a file of half the size; for formats hub and space.
        min_validation_auroc: Video AUROC on its own validation below which the card says 'not trained', and no
            metric of a test.
    """
    formats = find_formats()
    if format not in (names := [*formats, HUB, SPACE]):
        raise UserError(f"format {format!r}: must be one of {', '.join(names)}{suggest(format, names)}")
    if format in formats:
        require_extra(f"format {format}", formats[format].packages, "export")
    if half_precision and format in formats:
        raise UserError(f"half_precision: not with format {format}; give --format hub")
    check_limit(min_validation_auroc)
    trained = load(checkpoint)
    home = checkpoint.parent.parent if checkpoint.suffix == ".ckpt" else checkpoint
    out = out or home / "export" / format
    test = test_of(trained, tested_run, home)
    engine = rounded = None
    with hold_folder(out, "export"), fill_folder(out, INDEX if format in formats else CONFIG) as part:
        if format not in formats:
            if half_precision:
                whole, trained = trained, round_to_half(trained)
                rounded = measure_difference(trained, torch_runner(whole))
            save(trained, part, half_precision)
            load(part)  # what was written can be read
            if format == SPACE:
                write_app(part)
        else:
            engine = export_network(trained, formats[format], part)
        card = render_card(trained, test, licence, format, engine, rounded, min_validation_auroc)
        write_text(part / "README.md", card)
    print(f"{out}: {', '.join(sorted(path.name for path in out.iterdir()))}")


def main(argv: list[str]) -> None:
    warnings.filterwarnings("ignore", category=UserWarning, module=r"torch\.")
    auto_cli(export, args=argv[1:], as_positional=False, parser_class=Parser, prog="python -m suite export")
