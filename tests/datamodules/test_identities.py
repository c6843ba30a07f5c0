"""Who is in a video."""

from __future__ import annotations

import pytest

from datamodules.identities import list_people


@pytest.mark.parametrize(
    ("identities", "people"),
    [
        ("id0_0001 id0 id1", ["id0", "id1"]),
        ("01__walking 01 02", ["01", "02"]),
        ("anna anna_maria", ["anna", "anna_maria"]),
        ("clip ann ann_b", ["clip", "ann", "ann_b"]),
        ("1 1_2", ["1", "1_2"]),
        ("000 003", ["000", "003"]),
        ("", []),
    ],
)
def test_the_first_word_alone_may_be_a_clip_that_is_called_after_a_person(identities: str, people: list[str]) -> None:
    assert list_people(identities) == people
