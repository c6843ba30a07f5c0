"""A connection that does nothing is closed, and never keeps others out."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from suite.serve.limits import Bounds

HEADER_BYTES = 16 * 1024  # of a request line and its headers; more is answered with 400


def limit_connections(bounds: Bounds) -> type[H11Protocol]:
    """The protocol for uvicorn, which has no limit on the time of headers, of a response, or of a refused body."""
    idle: dict[LimitedConnection, None] = {}  # without a request, oldest first
    busy: set[LimitedConnection] = set()

    class LimitedConnection(H11Protocol):
        timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            if len(idle) + len(busy) >= bounds.max_connections:
                if not idle:
                    transport.abort()
                    return
                next(iter(idle)).abort()
            self.begin_idle()

        def begin_idle(self) -> None:
            """Until the headers of a request have come; the rest of a refused body must end by then, too."""
            busy.discard(self)
            idle[self] = None
            self.arm()

        def arm(self) -> None:
            self.disarm()
            self.timer = self.loop.call_later(bounds.idle_seconds, self.abort)

        def disarm(self) -> None:
            if self.timer is not None:
                self.timer.cancel()
                self.timer = None

        def abort(self) -> None:
            self.leave()
            self.transport.abort()

        def leave(self) -> None:
            self.disarm()
            idle.pop(self, None)
            busy.discard(self)

        def connection_lost(self, exc: Exception | None) -> None:
            self.leave()
            super().connection_lost(exc)

        def handle_events(self) -> None:
            before = self.cycle
            super().handle_events()
            if self.cycle is not before and not self.transport.is_closing():  # its headers are complete
                self.disarm()
                idle.pop(self, None)
                busy.add(self)

        def on_response_complete(self) -> None:
            self.begin_idle()  # also where it is closing: what was sent may never be read
            super().on_response_complete()  # may begin the next request, if it has come already

        def pause_writing(self) -> None:
            super().pause_writing()
            self.arm()  # whoever does not read what was asked for

        def resume_writing(self) -> None:
            super().resume_writing()
            if self in busy:
                self.disarm()

    return LimitedConnection
