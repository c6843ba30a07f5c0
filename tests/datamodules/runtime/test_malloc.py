"""What becomes of freed memory."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT

WORK = """
import resource
import numpy as np
from datamodules.runtime import malloc
{first}
def count():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
np.ones(10_000_000)
before = count()
for _ in range(20):
    np.ones(10_000_000)
print(count() - before)
"""


def count_faults(first: str, **environment: str) -> int:
    said = subprocess.run(
        [sys.executable, "-c", WORK.format(first=first)],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")} | environment,
        check=True,
        capture_output=True,
        text=True,
    )
    return int(said.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="of glibc")
def test_kept_memory_is_taken_again_without_new_pages_unless_its_user_has_set_it() -> None:
    assert count_faults("malloc.keep()") < 20  # pages that the system gives are of 4 KB or 2 MB
    assert count_faults("") > 200
    assert count_faults("malloc.keep()", MALLOC_ARENA_MAX="2") > 200
