"""Command line of the suite: ``python -m suite <verb> ...``."""

import os
import sys
from difflib import get_close_matches
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

# verb -> (module that owns it, help). The module is imported only once its verb is chosen.
VERBS = {
    "studio": ("suite.studio", "film and forge a generated data set"),
    "prepare": ("suite.prepare", "find, track and crop the faces of a data set"),
    "fit": ("suite.train", "train a method on a data set"),
    "validate": ("suite.train", "one pass over the validation split"),
    "test": ("suite.train", "one pass over the test split"),
    "predict": ("suite.train", "score the test split, without metrics"),
}


def check_siblings() -> None:
    """The packages beside this one have common names; refuse to run with somebody else's."""
    home = Path(__file__).resolve().parents[1]
    for name in ("lightning_modules", "datamodules", "callbacks"):
        spec = find_spec(name)
        found = Path(spec.origin).resolve().parents[1] if spec and spec.origin else None
        if found != home:
            refuse(f"{name!r} comes from {found}, not from {home}; another package of that name shadows it")


def usage() -> str:
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  {verb:<{width}}  {text}" for verb, (_, text) in VERBS.items())
    return f"usage: python -m suite <verb> [--help] ...\n\n{verbs}"


def refuse(reason: str) -> None:
    print(f"suite: {reason}", file=sys.stderr)
    sys.exit(2)


def main(argv: list[str] | None = None) -> None:
    argv = sys.argv[1:] if argv is None else argv
    if not argv or argv[0] in ("-h", "--help"):
        print(usage())
        return
    verb = argv[0]
    if verb not in VERBS:
        close = get_close_matches(verb, VERBS, n=1)
        refuse(
            f"unknown verb {verb!r}" + (f", did you mean {close[0]!r}?" if close else "; see python -m suite --help")
        )
    check_siblings()
    try:
        import_module(VERBS[verb][0]).main(argv)
    except KeyboardInterrupt:
        print(f"suite: {verb} interrupted", file=sys.stderr)
        sys.exit(130)
    except (ValueError, OSError) as error:
        from datamodules.errors import Refused

        if os.environ.get("SUITE_TRACEBACK") or not isinstance(error, (Refused, OSError)):
            raise
        refuse(str(error))


if __name__ == "__main__":
    main()
