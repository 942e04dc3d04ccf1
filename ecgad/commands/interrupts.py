"""Ctrl-C, and the signal by which schedulers and `timeout` end a job: one line, exit code 130.

That holds from the first import on. While work goes on, an interruption is a KeyboardInterrupt, so
that everything is left in order; before that, and the second time, the process ends where it is.
Once the work is over, what is to be said is said.
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

INTERRUPTED = 130


def catch() -> None:
    """End at once where the process is interrupted."""
    _handle(_end_at_once)


@contextmanager
def raised() -> Iterator[None]:
    """Raise KeyboardInterrupt where this context is interrupted; after it, nothing interrupts."""
    here, usual = os.getpid(), sys.unraisablehook

    def raise_once(*_: Any) -> None:
        if os.getpid() != here:
            # Forked off a moment ago, with handlers of its own to come; the parent says it.
            os._exit(INTERRUPTED)
        _handle(_end_at_once)
        raise KeyboardInterrupt

    def not_lost(what: Any) -> None:
        # It fell into a destructor or the like, which goes on.
        if what.exc_type is KeyboardInterrupt:
            _end_at_once()
        usual(what)

    sys.unraisablehook = not_lost
    _handle(raise_once)
    try:
        yield
    finally:
        _handle(signal.SIG_IGN)
        sys.unraisablehook = usual


def _handle(handler: Any) -> None:
    # A job in the background may have been started so that Ctrl-C does not reach it.
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, handler)
    signal.signal(signal.SIGTERM, handler)


def _end_at_once(*_: Any) -> None:
    if os.environ.get("RANK", "0") == "0":
        os.write(2, b"error: interrupted\n")
    os._exit(INTERRUPTED)
