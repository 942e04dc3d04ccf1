"""Ctrl-C, and the signal by which schedulers and `timeout` end a job: one line, exit code 130.

That holds from the first import on, and until the work is over; what is to be said then is said.
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from ecgad.runtime import interruption

INTERRUPTED = 130
SHOW_CURSOR = b"\x1b[?25h"


def catch() -> None:
    """End where the process is interrupted."""
    _handle(lambda *_: _end("interrupted"))


@contextmanager
def caught(message: str) -> Iterator[None]:
    """End with this message where the context is interrupted; after it, nothing interrupts."""
    here, state = os.getpid(), interruption.state

    def handler(*_: Any) -> None:
        if os.getpid() != here:
            # Forked off a moment ago, with handlers of its own to come; the parent says it.
            os._exit(INTERRUPTED)
        if state.deferred and not state.pending:
            state.pending = True
        else:
            _end(message)

    state.pending = False
    _handle(handler)
    try:
        yield
    finally:
        _handle(signal.SIG_IGN)


def _handle(handler: Any) -> None:
    # A job in the background may have been started so that Ctrl-C does not reach it.
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, handler)
    signal.signal(signal.SIGTERM, handler)


def _end(message: str) -> None:
    if "multiprocessing" in sys.modules:
        from multiprocessing import active_children

        with suppress(Exception):
            for child in active_children():
                child.kill()
    for path in list(interruption.temporaries):
        with suppress(OSError):
            os.unlink(path)  # noqa: PTH108
    if os.environ.get("RANK", "0") == "0":
        # A bar of progress hides the cursor.
        os.write(2, SHOW_CURSOR if os.isatty(2) else b"")
        os.write(2, f"error: {message}\n".encode())
    os._exit(INTERRUPTED)
