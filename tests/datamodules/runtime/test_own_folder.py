"""No verb fills a folder that somebody keeps something else in."""

from __future__ import annotations

from pathlib import Path

import pytest

from datamodules.runtime.atomic_files import write_atomically
from datamodules.runtime.errors import UserError
from datamodules.runtime.own_folder import check_own
from tests.conftest import preparing, suite


def test_a_folder_of_somebody_else_is_refused_and_left_as_it_was(studio: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("keep")
    done = suite(*preparing(studio, tmp_path))
    assert done.returncode == 2
    assert f"{tmp_path}: not empty and not of 'prepare', holds thesis.txt" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("name", [".lock", "asked.json", "settings.yaml", "prepare.log", "contract.json"])
def test_what_is_of_a_lock_of_a_sweep_or_its_own_is_no_reason(name: str, tmp_path: Path) -> None:
    check_own(tmp_path / "new", "contract.json", "prepare")
    check_own(tmp_path, "contract.json", "prepare")
    (tmp_path / name).touch()
    check_own(tmp_path, "contract.json", "prepare")


def test_a_verb_that_was_killed_at_its_first_file_begins_anew(tmp_path: Path) -> None:
    with write_atomically(tmp_path / "contract.json") as part:
        part.touch()
        check_own(tmp_path, "contract.json", "prepare")  # as a kill leaves it


@pytest.mark.parametrize("name", ["degrade.log", ".DS_Store"])
def test_the_log_of_another_verb_and_what_is_hidden_are_reasons(name: str, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    with pytest.raises(UserError, match=f"holds {name}"):
        check_own(tmp_path, "contract.json", "prepare")
