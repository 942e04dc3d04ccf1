"""How every script and command ends: one line on stderr, and the exit code that goes with it."""

import signal
import sys
from collections.abc import Callable
from typing import NoReturn

import typer

from ecgad.errors import ConfigError, UserError
from ecgad.runtime import processes

INTERRUPTED = 130


def exit_code(work: Callable[[], None], interrupted: str) -> int:
    """Do the work, and return the exit code that it ends with.

    interrupted: how to go on after an interruption.
    """
    try:
        work()
    except UserError as error:
        return fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        return fail(f"interrupted; {interrupted}", INTERRUPTED)
    except MemoryError as error:
        return fail(f"out of memory: {error}", 1)
    except OSError as error:
        return fail(f"{error.filename or 'a file'}: {error.strerror or error}", 1)
    return 0


def run_app(app: typer.Typer) -> NoReturn:
    """Run a command line, and exit with its code."""
    # A job that is told to end, by a scheduler or by `timeout`, ends as with Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code = app(standalone_mode=False)
    except typer.TyperException as error:
        message = error.format_message().rstrip(".")
        code = fail(f"{message}; --help shows the options", ConfigError.exit_code)
    sys.exit(code)


def fail(message: str, code: int) -> int:
    """Print the one line that says what is wrong, and return the code."""
    if processes.RANK == 0:
        print("error: " + " ".join(message.split()), file=sys.stderr)
    return code
