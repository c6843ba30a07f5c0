"""A method that waits for another is trained on what that one ended with."""

from __future__ import annotations

import json
from pathlib import Path

from suite.benchmark.plan import DatasetSpec, MethodSpec, Sweep
from suite.benchmark.runner import BEGUN, DONE, create_fit, run_job
from tests.conftest import ROOT

STUDIO = DatasetSpec(data=ROOT / "configs/data/studio.yaml")


def test_nothing_is_trained_on_a_first_stage_that_failed_half_way(tmp_path: Path) -> None:
    early = MethodSpec(config=[ROOT / "configs/classifier.yaml"])
    late = MethodSpec(config=early.config, generator_from="early")
    methods, sets = {"early": early, "late": late}, {"studio": STUDIO}
    sweep = Sweep(methods=methods, train=sets, test=sets, seeds=[0], overrides={})
    first, second = sweep.jobs()
    folder = first.run(tmp_path)
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "checkpoints/best.ckpt").touch()
    (folder / BEGUN).write_text(create_fit(sweep, first, tmp_path).identity(ROOT))
    [failure] = run_job(sweep, second, tmp_path, ROOT, set()).failures
    assert str(failure) == f"{second}: its first stage (early, trained on studio, seed 0) did not come to its end"
    assert not second.run(tmp_path).exists()
    (folder / DONE).write_text(json.dumps({"seconds": 1}))
    command = create_fit(sweep, first, tmp_path)
    assert command.is_done(command.identity(ROOT))
    (folder / BEGUN).write_text("of other settings")
    assert not command.is_done(command.identity(ROOT))
