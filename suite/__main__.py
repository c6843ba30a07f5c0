"""Command line of the suite: ``python -m suite <verb> ...``."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import NoReturn

from suite.cli.suggest import suggest, suggest_file

VERSION = "0.1.0"  # setup.cfg reads it from here: asking the installed metadata would take longer than --help

# verb -> (module that owns it, help). The module is imported only once its verb is chosen.
VERBS = {
    "studio": ("suite.studio", "render videos of people from photographs, and forge them"),
    "doctor": ("suite.doctor", "compare a copy of a data set with what its owners list"),
    "prepare": ("suite.prepare", "find, track and crop the faces of a data set"),
    "deepfakebench": ("suite.deepfakebench", "write prepared faces as DeepfakeBench's tree and JSON"),
    "degrade": ("suite.degrade", "pass the test videos of a data set through a degradation"),
    "fit": ("suite.train", "train a method on a data set"),
    "validate": ("suite.train", "one pass over the validation split"),
    "test": ("suite.train", "one pass over the test split"),
    "predict": ("suite.train", "score the test split, without metrics"),
    "detect": ("suite.detect.crash_guard", "score anybody's videos and images, and show where and why"),
    "serve": ("suite.serve.command", "the same as a page to drop a video on"),
    "export": ("suite.export.command", "make of a run what other engines and people can use"),
    "annotate": ("suite.annotate.command", "let people draw the masks that a training asks for"),
    "convert": ("suite.convert", "turn an official checkpoint into weights of ours"),
    "benchmark": ("suite.benchmark.command", "train and test methods against data sets, and tabulate"),
    "import-scores": ("suite.import_scores.command", "make a run of somebody else's table of scores"),
    "report": ("suite.report.command", "one page about a run, or comparing several"),
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
    return f"usage: python -m suite <verb> [--help] ...\n       python -m suite --version\n\n{verbs}"


def refuse(reason: str) -> NoReturn:
    print(f"suite: {reason}", file=sys.stderr)
    sys.exit(2)


def terminate(number: int, frame: FrameType | None) -> NoReturn:
    """As Ctrl-C does: what is half written is removed, and no process is left behind."""
    sys.exit(128 + number)


@contextmanager
def announce(verb: str) -> Iterator[None]:
    """Says at once what takes seconds, where somebody waits: importing PyTorch and Lightning."""
    waits = sys.stderr.isatty()
    if waits:
        print(f"suite: {verb}: starting ...", end="", file=sys.stderr, flush=True)
    try:
        yield
    finally:
        if waits:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def main(argv: list[str] | None = None) -> None:
    argv = sys.argv[1:] if argv is None else argv
    if not argv or argv[0] in ("-h", "--help"):
        print(usage())
        return
    if argv[0] == "--version":
        print(f"deepfake-suite {VERSION}")
        return
    verb = argv[0]
    if verb not in VERBS:
        refuse(f"unknown verb {verb!r}" + (suggest(verb, VERBS) or "; see python -m suite --help"))
    for option, value in pairwise(argv):  # before anything heavy is imported
        if option == "--config" and not Path(value).exists():
            refuse(f"{value}: no such file" + suggest_file(value))
    check_siblings()
    is_own = threading.current_thread() is threading.main_thread()
    is_own &= signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if is_own:
        signal.signal(signal.SIGTERM, terminate)
    try:
        run(verb, argv)
    finally:
        if is_own:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def run(verb: str, argv: list[str]) -> None:
    try:
        with announce(verb):
            module = import_module(VERBS[verb][0])
        module.main(argv)
    except KeyboardInterrupt:
        print(f"suite: {verb} interrupted", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    except SystemExit as ended:
        if ended.code == 128 + signal.SIGTERM:
            print(f"suite: {verb} terminated", file=sys.stderr)
        raise
    except (ValueError, OSError) as error:
        from datamodules.runtime.errors import UserError
        from suite.cli.explain import explain

        raised_while_built = "Does not validate against" in str(error)
        if os.environ.get("SUITE_TRACEBACK") or not (isinstance(error, (UserError, OSError)) or raised_while_built):
            raise
        refuse(explain(str(error), []) if raised_while_built else str(error))


if __name__ == "__main__":
    main()
