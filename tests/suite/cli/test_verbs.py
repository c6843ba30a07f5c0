"""A verb of training reads its own options."""

from __future__ import annotations

from typing import Any

import pytest

from suite.__main__ import main
from suite.train import SuiteCLI


@pytest.mark.parametrize("verb", ["fit", "predict"])
def test_no_time_goes_to_the_options_of_another_verb(
    verb: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    read: list[str] = []
    add = SuiteCLI._prepare_subcommand_parser

    def prepare(self: SuiteCLI, trainer: type, name: str, **kwargs: Any) -> Any:
        read.append(name)
        return add(self, trainer, name, **kwargs)

    monkeypatch.setattr(SuiteCLI, "_prepare_subcommand_parser", prepare)
    with pytest.raises(SystemExit):
        main([verb, "--help"])
    assert read == [verb]
    assert "--trainer.max_epochs" in capsys.readouterr().out
