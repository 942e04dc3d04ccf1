"""How every script and command ends: one line on stderr, and the exit code that goes with it."""

import errno
import os
import sys
import warnings
from collections.abc import Callable
from io import TextIOWrapper
from typing import NoReturn

import typer

from ecgad.commands import interrupts
from ecgad.errors import ConfigError, FileError, UserError
from ecgad.runtime import processes

# A file or folder is not there, cannot be read, or is another thing than it should be.
NO_FILE = {
    errno.EACCES,
    errno.EEXIST,
    errno.EISDIR,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EPERM,
}

# Characters of a message.
LONGEST = 1000


def exit_code(work: Callable[[], None], interrupted: str) -> int:
    """Do the work, and return the exit code that it ends with.

    interrupted: how to go on after an interruption.
    """
    interrupted = f"interrupted; {interrupted}"
    try:
        # What a library warns of either does not matter, or ends as an error of our own.
        with interrupts.caught(interrupted), warnings.catch_warnings():
            if not sys.warnoptions:
                warnings.simplefilter("ignore")
            work()
    except UserError as error:
        return fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        return fail(interrupted, interrupts.INTERRUPTED)
    except MemoryError as error:
        return fail(f"out of memory: {error}", 1)
    except BrokenPipeError:
        # Whoever read the results has gone, such as `head`; nobody is there to be told.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        code = FileError.exit_code if error.errno in NO_FILE else 1
        return fail(f"{error.filename or 'a file'}: {error.strerror or error}", code)
    return 0


def run_app(app: typer.Typer) -> NoReturn:
    """Run a command line, and exit with its code."""
    for stream in (sys.stdout, sys.stderr):
        # Names of files may hold bytes that are no text.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = app(standalone_mode=False)
    except typer.TyperException as error:
        message = error.format_message().rstrip(".")
        code = fail(f"{message}; --help shows the options", ConfigError.exit_code)
    sys.exit(code)


def fail(message: str, code: int, of_rank: bool = False) -> int:
    """Print the one line that says what is wrong, and return the code.

    of_rank: whether it is of this rank alone. Else the first says it for all.
    """
    line = " ".join(message.split())
    if len(line) > LONGEST:
        # Of a name of thousands of characters, say.
        line = f"{line[: LONGEST // 2]} ... {line[-LONGEST // 2 :]}"
    if of_rank or processes.FIRST:
        print("error:", line.encode("utf-8", "backslashreplace").decode(), file=sys.stderr)
    return code
