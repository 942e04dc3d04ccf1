"""Which lines of a package run: in this process, its threads, and processes that it starts."""

import inspect
import os
import sys
import threading
from multiprocessing import util
from pathlib import Path
from types import FrameType
from typing import Any

# A folder for the lines of other processes, and the package whose lines they are.
FOLDER, PACKAGE = "MUTANTS_LINES", "MUTANTS_PACKAGE"


class Lines:
    """The lines of functions that run below a folder; what runs at import is left out."""

    def __init__(self, package: str) -> None:
        self.package = package
        self.lines: set[tuple[str, int]] = set()

    def start(self) -> None:
        """Begin to look, in this thread and those to come."""
        threading.settrace(self.look)
        sys.settrace(self.look)

    def stop(self) -> None:
        """Look no more."""
        sys.settrace(None)
        threading.settrace(None)

    def look(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        """Follow the functions of the package."""
        code = frame.f_code
        if not code.co_filename.startswith(self.package):
            return None
        if not code.co_flags & inspect.CO_OPTIMIZED:
            return None
        return self.look_within(frame, "line", None)

    def look_within(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        """Keep a line of a function."""
        self.lines.add((frame.f_code.co_filename, frame.f_lineno))
        return self.look_within

    def save(self) -> None:
        """Write the lines of a process that a test has started."""
        text = "".join(f"{file}\t{line}\n" for file, line in sorted(self.lines))
        Path(os.environ[FOLDER], f"{os.getpid()}.txt").write_text(text, encoding="utf-8")


def start() -> None:
    """Look at what this process and those forked from it run, where a test is looked at."""
    if FOLDER in os.environ:
        lines = Lines(os.environ[PACKAGE])
        lines.start()
        util.Finalize(None, lines.save, exitpriority=0)
        # A forked process forgets what was to be done at its end.
        util.register_after_fork(lines, lambda here: util.Finalize(None, here.save, exitpriority=0))
