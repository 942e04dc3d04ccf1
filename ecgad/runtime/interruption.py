"""What is to be in order when a process is interrupted.

An exception that may come anywhere breaks what cannot be broken: locks of libraries, destructors,
code of other languages. So `ecgad.commands` ends an interrupted process where it is, once its
temporary files are removed. Work that has something to keep defers that, and checks where it can
end.
"""

from collections.abc import Iterator
from contextlib import contextmanager

# Of files that are being written.
temporaries: set[str] = set()


class _State:
    deferred = False
    pending = False


state = _State()


@contextmanager
def deferred() -> Iterator[None]:
    """Within this context, an interruption waits for `check`, and for the context's end."""
    state.deferred = True
    try:
        yield
    finally:
        state.deferred = False
    check()


def check() -> None:
    """Raise KeyboardInterrupt where an interruption waits."""
    if state.pending:
        state.pending = False
        raise KeyboardInterrupt
