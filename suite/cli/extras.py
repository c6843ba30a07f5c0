"""What only some verbs need, and pip brings when it is asked to."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec

from datamodules.runtime.errors import UserError


def require_extra(who: str, modules: Iterable[str], extra: str) -> None:
    """
    Args:
        who: Says what asks for them, for the message.
    """
    for name in modules:
        if find_spec(name) is None:
            raise UserError(f"{who}: needs {name}: pip install -e '.[{extra}]' in the clone")
