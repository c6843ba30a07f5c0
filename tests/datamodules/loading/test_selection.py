"""What is said of a split in which nothing is wanted."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from datamodules.loading.selection import select_rows
from datamodules.runtime.errors import UserError
from suite.__main__ import main
from tests.conftest import small_fit
from tests.fixtures.prepared_sets import rename


def test_fakes_alone_are_no_real_videos_and_no_lack_of_videos() -> None:
    table = pa.table({"split": ["train"], "label": [1], "method": ["Swap"], "compression": ["c23"]})
    for split, said in (("train", "no real train video"), ("val", "no val video")):
        with pytest.raises(UserError, match=f"{said}$"):
            select_rows(table, Path(), split, None, None, only_real=True)


def test_a_set_without_videos_to_validate_on_is_refused_before_training_where_validation_is_rare(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unvalidated = rename(prepared, tmp_path / "set", "set", lambda row: None if row.split == "val" else {})
    rare = ["--trainer.check_val_every_n_epoch", "2", "--trainer.max_epochs", "1"]
    with pytest.raises(SystemExit):
        main(small_fit(unvalidated, tmp_path / "run", *rare))
    assert "no val video" in capsys.readouterr().err
    assert not (tmp_path / "run/checkpoints").exists()
