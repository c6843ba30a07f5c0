"""Every reader lists its tree as its owners mean it, and says what is amiss: one line for each trap."""

from __future__ import annotations

from pathlib import Path

import pytest

from datamodules import manifest
from tests.conftest import ROOT
from tests.fixtures.reading import TREES, examine, reader, said
from tests.fixtures.trees import Material


def test_every_config_of_a_published_data_set_has_a_tree() -> None:
    same_reader = {"studio", "ffpp_c40", "ffpp_raw", "celeb_df_v1", "photographs"}
    assert {path.stem for path in (ROOT / "configs/data").glob("*.yaml")} == set(TREES) | same_reader


@pytest.mark.parametrize("config", TREES)
def test_doctor_lists_what_is_there_and_has_a_line_for_every_trap(
    config: str, material: Material, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tree, rows, traps = TREES[config]
    root = tmp_path / "root"
    root.mkdir()
    tree(material, root)
    before = sorted(path for path in root.rglob("*"))
    report = examine(config, root)
    lines = said(report)
    for trap in traps.splitlines():
        kind_and_path, _, text = trap.strip().partition(": ")
        assert any(line.startswith(f"{kind_and_path}: ") and text in line for line in lines), (trap, lines)
    listed = [row for row in reader(config)(root) if row.compression != "c40"]
    assert sorted(f"{row.split} {row.key}" for row in listed) == sorted(" ".join(r.split()) for r in rows.split(","))
    for row in listed:
        assert manifest.resolve_inside(root, row.path)
    assert sorted(path for path in root.rglob("*")) == before  # the owners' folder is never written to
    assert bool(report["wrong"]) == (config not in ("folder", "manualfake"))  # whose traps make nothing wrong
    assert ("training on this copy would be wrong" in capsys.readouterr().out) == bool(report["wrong"])
