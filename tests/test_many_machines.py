"""Two nodes on one host: what they train and prepare is what one machine does."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import yaml

from tests.conftest import ROOT, preparing, small_fit
from tests.fixtures.processes import run_ranks

pytestmark = pytest.mark.slow
# without batch norm, whose statistics are those of a rank, and in double precision, in which sums of parts agree
ALIKE = ["--model.backbone", "test_convnext", "--trainer.precision", "64", "--trainer.max_epochs", "1"]
ALIKE += ["--model.optimizer", "torch.optim.SGD", "--model.optimizer.lr", "0.01"]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def train_on_nodes(arguments: list[str], nodes: int) -> None:
    """By a torchrun for each node, which meet at a port of the first."""
    port = free_port()
    started = []
    for node in range(nodes):
        launch = ["--nnodes", str(nodes), "--node-rank", str(node), "--nproc-per-node", "1"]
        launch += ["--master-addr", "127.0.0.1", "--master-port", str(port), "-m", "--", "suite", *arguments]
        launch += ["--trainer.num_nodes", str(nodes), "--trainer.devices", "1", "--trainer.strategy", "ddp"]
        command = [sys.executable, "-m", "torch.distributed.run", *launch]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        started.append(subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True))
    said = [process.communicate(timeout=600)[1] for process in started]
    assert all(process.returncode == 0 for process in started), said[0][-3000:]


def test_two_nodes_train_from_shards_what_one_process_trains_from_files_with_batches_of_twice_the_size(
    studio: Path, prepared: Path, tmp_path: Path
) -> None:
    shards = tmp_path / "shards"
    done = run_ranks(*preparing(studio, shards), "--store", "shards", ranks=1, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    train_on_nodes(small_fit(shards, tmp_path / "nodes", *ALIKE, "--data.batch_size", "4"), nodes=2)
    alone = run_ranks(*small_fit(prepared, tmp_path / "one", *ALIKE, "--data.batch_size", "8"), ranks=1, timeout=600)
    assert alone.returncode == 0, alone.stderr[-3000:]
    one, nodes = (
        torch.load(tmp_path / name / "checkpoints/last.ckpt", weights_only=True)["state_dict"]
        for name in ("one", "nodes")
    )
    assert one.keys() == nodes.keys()
    for name, value in one.items():
        torch.testing.assert_close(nodes[name], value, rtol=1e-9, atol=1e-12, equal_nan=True)


@pytest.fixture
def cluster() -> Iterator[object]:
    """Two nodes of Ray, the second with a core of its own."""
    cluster_utils = pytest.importorskip("ray.cluster_utils")
    os.environ.update(RAY_worker_niceness="0")
    made = cluster_utils.Cluster(
        initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False, "object_store_memory": 10**8}
    )
    yield made
    made.shutdown()


def test_a_node_that_dies_while_a_cluster_prepares_changes_nothing(
    cluster: object, swaps: Path, prepared_swaps: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    second = cluster.add_node(num_cpus=1, object_store_memory=10**8)  # type: ignore[attr-defined]
    command = [sys.executable, "-m", "suite", *preparing(swaps, out), "--cluster", cluster.address]  # type: ignore[attr-defined]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 300
    while len(list((out / "parts").glob("[!.]*"))) < 4 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert process.poll() is None, process.communicate()[1][-3000:]
    cluster.remove_node(second, allow_graceful=False)  # type: ignore[attr-defined]
    _, said = process.communicate(timeout=600)
    assert process.returncode == 0, said[-3000:]
    assert (out / "manifest.csv").read_text() == (prepared_swaps / "manifest.csv").read_text()
    for table in ("crops", "faces", "tracks"):
        assert (out / f"{table}.arrow").read_bytes() == (prepared_swaps / f"{table}.arrow").read_bytes()


def test_a_node_that_dies_while_a_cluster_trains_a_sweep_changes_nothing(
    cluster: object, prepared: Path, tmp_path: Path
) -> None:
    studio = {"data": str(ROOT / "configs/data/studio.yaml"), "overrides": {"prepared": str(prepared), "root": None}}
    small = {"num_workers": 0, "clips_per_face": 2, "eval_clips": 2, "batch_size": 8}
    content = {
        "methods": {"plain": {"config": [str(ROOT / "configs/classifier.yaml")]}},
        "train": {"studio": studio},
        "test": {"studio": studio},
        "seeds": [0, 1],
        "overrides": {
            "model": {"init_args": {"backbone": "test_efficientnet"}},
            "data": small,
            "trainer": {"max_epochs": 3, "accelerator": "cpu", "enable_progress_bar": False},
        },
        "min_validation_auroc": 0.0,  # nothing is, in three epochs
    }
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(content))
    command = [sys.executable, "-m", "suite", "benchmark", "--config", str(tmp_path / "sweep.yaml"), "--out"]
    alone = subprocess.run([*command, str(tmp_path / "alone")], cwd=ROOT, capture_output=True, text=True, check=False)
    assert alone.returncode == 0, alone.stderr[-3000:]

    second = cluster.add_node(num_cpus=1, object_store_memory=10**8)  # type: ignore[attr-defined]
    out, address = tmp_path / "out", cluster.address  # type: ignore[attr-defined]
    process = subprocess.Popen(
        [*command, str(out), "--cluster", address], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 300
    while len(list(out.glob("runs/*/*/*/checkpoints/last.ckpt"))) < 2 and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()[1][-3000:]
        time.sleep(0.02)
    assert not list(out.glob("runs/*/*/*/tests/*/predictions.parquet"))  # both are in training, one on each node
    cluster.remove_node(second, allow_graceful=False)  # type: ignore[attr-defined]
    _, said = process.communicate(timeout=600)
    assert process.returncode == 0, said[-3000:]
    expected, found = (
        [drop_times(row) for row in json.loads((folder / "results.json").read_text())]
        for folder in (tmp_path / "alone", out)
    )
    assert found == expected


def drop_times(row: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in row.items() if not name.endswith("_seconds")}
