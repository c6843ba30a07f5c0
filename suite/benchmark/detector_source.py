"""The file that the factory of a detector outside the suite is in, found without running it."""

from __future__ import annotations

import importlib.util
import sys
from hashlib import blake2b
from importlib.machinery import PathFinder
from pathlib import Path


def hash_source(detector: str, where: Path) -> str | None:
    """None where there is no such module: the command that imports it says so.

    Args:
        detector: package.module:factory.
        where: The folder that the command is given in, which comes before what is installed.
    """
    top, *inner = detector.partition(":")[0].split(".")
    if not all(part.isidentifier() for part in (top, *inner)):
        return None
    PathFinder.invalidate_caches()
    spec = PathFinder.find_spec(top, [str(where), *sys.path]) or importlib.util.find_spec(top)
    if spec is None:
        return None
    if spec.submodule_search_locations is None:
        files = [Path(spec.origin)] if spec.origin and not inner else []
    else:
        modules = [Path(folder, *inner) for folder in spec.submodule_search_locations]
        files = [file for module in modules for file in (module / "__init__.py", module.with_suffix(".py"))]
    source = next((file for file in files if file.is_file()), None)
    return None if source is None else blake2b(source.read_bytes(), digest_size=16).hexdigest()
