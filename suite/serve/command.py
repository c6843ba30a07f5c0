"""The verb that offers 'detect' as a page in a browser, to this machine alone unless told otherwise."""

from __future__ import annotations

import socket
from pathlib import Path

from datamodules.runtime.errors import UserError
from suite.cli.extras import require_extra
from suite.cli.parser import Parser
from suite.detect.analyzer import Analyzer, DetectSettings, add_arguments, introduce, settings_of
from suite.serve.limits import Bounds
from suite.serve.worker import Analyze, Worker

LOOPBACK = ["127.0.0.1", "localhost", "[::1]"]
SHORT = {"seconds": 600.0, "frame_pixels": 4096 * 2304}  # of what strangers send, see Limits


def create_analysis(checkpoints: list[Path], settings: DetectSettings) -> Analyze:
    """What the worker does with each file."""
    analyzer = Analyzer(checkpoints, settings)
    return lambda file, progress: analyzer.analyze(file.path, file.out, True, progress, file.name)


def serve(
    checkpoint: list[Path], settings: DetectSettings, bounds: Bounds, host: str, port: int, names: list[str]
) -> None:
    require_extra("serve", ("starlette", "uvicorn"), "serve")
    import uvicorn

    from suite.serve.app import Server, application
    from suite.serve.connection import HEADER_BYTES, limit_connections

    methods = Analyzer(checkpoint, settings).methods  # what cannot be asked is refused before anybody sends a file
    lead = " ".join(introduce(methods, settings.rates))
    server = Server(Worker(create_analysis, bounds, checkpoint, settings), bounds, lead)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family)
    except OSError as error:
        raise UserError(f"serve: {host}, port {port}: {error.strerror}") from error
    name = f"[{host}]" if ":" in host else host
    app = application(server, [*LOOPBACK, name, *names])
    at = f"http://{name}:{listening.getsockname()[1]}/"
    print(f"serve: {at} takes files up to {bounds.max_megabytes:g} MB; Ctrl-C ends it", flush=True)
    config = uvicorn.Config(
        app,
        http=limit_connections(bounds),
        ws="none",
        h11_max_incomplete_event_size=HEADER_BYTES,
        log_level="error",  # a line for each broken request would fill a disk
        timeout_keep_alive=5,
        timeout_graceful_shutdown=5,
    )
    uvicorn.Server(config).run(sockets=[listening])


def main(argv: list[str]) -> None:
    about = "Offer 'detect' as a page in a browser: drop a video, and see whether, when and where it looks forged."
    parser = Parser(prog="python -m suite serve", description=about)
    add_arguments(parser)
    parser.add_argument("--host", type=str, default="127.0.0.1", help="Address to listen at; this machine's alone.")
    parser.add_argument("--port", type=int, default=8000, help="Port to listen at.")
    more = "Other names of this machine that browsers may call it by, where --host is not the loopback."
    parser.add_argument("--names", type=list[str], default=[], help=more)
    parser.add_class_arguments(Bounds, "bounds")
    parser.set_defaults({"limits": SHORT})
    given = parser.instantiate_classes(parser.parse_args(argv[1:]))
    serve(given.checkpoint, settings_of(given), given.bounds, given.host, given.port, given.names)
