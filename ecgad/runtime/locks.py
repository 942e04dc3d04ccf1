"""Locks on folders and files, which end with the process that holds them, however it ends."""

import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

if sys.platform != "win32":
    import fcntl

# How often, and after up to how many seconds, a folder that others read is asked for again: they
# may be about to ask for it themselves.
TRIES, PAUSE = 5, 0.1


class FolderLock:
    """Holds a folder to write into it alone, or to read in it beside others that read.

    alone: whether nobody else holds it. Where others write, it waits for them; where others only
    read, one that is to write does not get the folder alone, but reads as they do. Where the system
    has no locks, such as some network file systems, whoever is to write counts as alone.
    """

    def __init__(self, folder: Path, write: bool, say: Callable[[str], None]) -> None:
        """Wait for the lock. say: tells the user that it takes a while. Raises OSError."""
        self.descriptor = _opened(folder)
        self.alone = write
        if self.descriptor is not None:
            with suppress(OSError):
                self.alone = _wait(self.descriptor, folder, write, say)

    def close(self) -> None:
        """Give the folder back."""
        if self.descriptor is not None:
            os.close(self.descriptor)


def _wait(descriptor: int, folder: Path, write: bool, say: Callable[[str], None]) -> bool:
    for _ in range(TRIES):
        if write and lock(descriptor):
            return True
        if not lock(descriptor, shared=True):
            say(f"waiting for another process that writes into {folder}")
            lock(descriptor, shared=True, wait=True)
        if not write:
            return False
        # Whoever waited beside this one is to have its turn.
        unlock(descriptor)
        time.sleep(PAUSE * random.random())  # noqa: S311
    lock(descriptor, shared=True, wait=True)
    return False


@contextmanager
def in_turn(folder: Path, say: Callable[[], None]) -> Iterator[None]:
    """Hold a folder alone within this context, after all others that do. Raises OSError.

    say: tells the user that another one is waited for.
    """
    descriptor = _opened(folder)
    if descriptor is None:
        yield
        return
    try:
        with suppress(OSError):
            if not lock(descriptor):
                say()
                lock(descriptor, wait=True)
        yield
    finally:
        os.close(descriptor)


def _opened(folder: Path) -> int | None:
    # Windows opens no folders, and does not rename a file that is open elsewhere.
    return None if sys.platform == "win32" else os.open(folder, os.O_RDONLY)


def lock(descriptor: int, shared: bool = False, wait: bool = False) -> bool:
    """Lock an open file or folder, alone or `shared`; return whether that went well.

    wait: until it does. Raises OSError where the system has no locks.
    """
    if sys.platform == "win32":
        raise OSError("no locks")
    how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(descriptor, how if wait else how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def unlock(descriptor: int) -> None:
    """Give up the lock on an open file or folder."""
    if sys.platform != "win32":
        fcntl.flock(descriptor, fcntl.LOCK_UN)
