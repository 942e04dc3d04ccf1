"""Runs of the scripts: in a child forked off this process, or as processes of their own.

A forked child has all libraries imported, and saves the seconds that this takes.
"""

import contextlib
import ctypes
import gc
import importlib
import os
import pkgutil
import resource
import runpy
import select
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

REPOSITORY = Path(__file__).parent.parent
# Of a case: seconds until it counts as hanging, and bytes beyond those of the libraries.
SECONDS = 20.0
# Seconds in which it does nothing at all, after which it counts as hanging as well.
IDLE = 3.0
PR_SET_PDEATHSIG = 1  # of Linux's prctl
MEMORY = 3 * 2**30
CAUGHT = (signal.SIGINT, signal.SIGTERM)
# Nothing is downloaded: there is nobody at this address.
NOWHERE = "http://127.0.0.1:9"
ENVIRONMENT = {
    **{f"{scheme}_proxy": NOWHERE for scheme in ("http", "https", "HTTP", "HTTPS")},
    "OMP_NUM_THREADS": "1",
    "NO_COLOR": "1",
}


@dataclass(frozen=True)
class Outcome:
    """How a run ended. code: negative where a signal ended it, None where it had to be killed."""

    code: int | None
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Kill:
    """A signal, some seconds after the start, or after something in `folder` is made or renamed.

    What can be caught is sent once the process catches it: while Python itself starts, it cannot.
    """

    signal: signal.Signals
    after: float
    folder: Path | None = None


def warm_up() -> None:
    """Import what the scripts import, so that a forked child has it."""
    import matplotlib

    matplotlib.use("Agg")
    import ecgad

    for module in pkgutil.walk_packages(ecgad.__path__, "ecgad."):
        if "__main__" not in module.name and not module.name.startswith("ecgad.commands"):
            importlib.import_module(module.name)
    for name in (
        *("matplotlib.backends.backend_agg", "matplotlib.pyplot", "rich.progress", "rich.console"),
        *("rich.table", "sklearn.decomposition", "sklearn.ensemble", "sklearn.metrics"),
        *("sklearn.neighbors", "sklearn.svm", "torch.utils.serialization", "typer", "requests"),
        *("pyarrow", "pyarrow.parquet"),
    ):
        importlib.import_module(name)


class Running:
    """A run that goes on: a child of this process, with what it prints kept in files."""

    def __init__(self) -> None:
        # They are closed as this is forgotten.
        self.streams = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115
        self.process = 0

    def wait(
        self, kill: Kill | None = None, seconds: float = SECONDS, idle: float = IDLE
    ) -> Outcome:
        """Wait until it ends; end it after so many seconds, or so many in which it did nothing."""
        code = _ended(self.process, kill, seconds, idle)
        told = [_read(stream) for stream in self.streams]
        return Outcome(code, *told)


def start_forked(
    script: str,
    arguments: Sequence[str],
    folder: Path,
    prepare: Callable[[], None] | None = None,
    work: Callable[[], int] | None = None,
) -> Running:
    """Start a script in a forked child, which works in `folder`.

    prepare: what the child does first. work: what it does instead, and ends with.
    """
    running = Running()
    # A signal is to find the child ready.
    usual = signal.pthread_sigmask(signal.SIG_BLOCK, CAUGHT)
    running.process = os.fork()
    if running.process == 0:
        _child(script, arguments, folder, running.streams, prepare, work)
    signal.pthread_sigmask(signal.SIG_SETMASK, usual)
    return running


def start_process(command: Sequence[str | Path], folder: Path) -> Running:
    """Start a process of its own, which works in `folder`."""
    running = Running()
    stdout, stderr = running.streams
    process = subprocess.Popen(
        list(map(str, command)),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        env={**os.environ, **ENVIRONMENT, "PYTHON": sys.executable},
        start_new_session=True,
        preexec_fn=_as_started_by_hand,  # noqa: PLW1509, this process has no threads
    )
    # It is waited for by its number.
    process.returncode = 0
    running.process = process.pid
    return running


def _as_started_by_hand() -> None:
    # Ctrl-C is ignored in the processes that run cases, and those that they start would inherit it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    _die_with_parent()


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def start(script: str, arguments: Sequence[str], folder: Path, own: bool) -> Running:
    """Start a script. own: as a process of its own."""
    if own:
        return start_process([sys.executable, REPOSITORY / script, *arguments], folder)
    return start_forked(script, arguments, folder)


def _child(
    script: str,
    arguments: Sequence[str],
    folder: Path,
    streams: tuple[IO[bytes], IO[bytes]],
    prepare: Callable[[], None] | None,
    work: Callable[[], int] | None,
) -> None:
    """Be the child; does not return."""
    code = 1
    try:
        # What was imported is not garbage; looking through it would copy its memory.
        gc.freeze()
        os.setsid()
        _die_with_parent()
        for stream, descriptor in zip(streams, (1, 2), strict=True):
            os.dup2(stream.fileno(), descriptor)
        sys.stdin = open(os.devnull)  # noqa: SIM115, PTH123
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
        os.chdir(folder)
        most = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (_size() + MEMORY, most))
        _as_new()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, CAUGHT)
        if prepare is not None:
            prepare()
        code = _work(script, arguments, work)
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _as_new() -> None:
    """Leave nothing of what this process has that a new one has not."""
    from ecgad.data.download import http
    from ecgad.runtime import workers

    os.environ.update(ENVIRONMENT)
    # Nobody answers, however often one asks.
    http.PAUSES = ()  # type: ignore[assignment]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # Signals are caught from the first import on.
    for name in [name for name in sys.modules if name.startswith("ecgad.commands")]:
        del sys.modules[name]
    importlib.import_module("ecgad.commands")
    # Processes would cost more than the work.
    workers._cores = lambda: 1


def _work(script: str, arguments: Sequence[str], work: Callable[[], int] | None) -> int:
    if work is not None:
        return work()
    sys.argv = [str(REPOSITORY / script), *arguments]
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    return 0


def _size() -> int:
    """Return how many bytes of addresses this process has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


def _ended(process: int, kill: Kill | None, seconds: float, idle: float) -> int | None:
    """Wait for a child; return its exit code, or None where it has to be killed.

    seconds: that it may take. idle: of them, those in which it may do nothing.
    """
    descriptor = os.pidfd_open(process)
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        if kill is not None:
            if kill.signal in CAUGHT:
                _wait_until_caught(process, poll)
            if kill.folder is not None:
                _wait_for_change(kill.folder, poll, seconds)
            if not poll.poll(kill.after * 1000):
                os.kill(process, kill.signal)
        in_time = _poll(process, poll, seconds, idle)
        if not in_time:
            os.killpg(process, signal.SIGKILL)
        _, status = os.waitpid(process, 0)
        return os.waitstatus_to_exitcode(status) if in_time else None
    finally:
        os.close(descriptor)


def _poll(process: int, poll: select.poll, seconds: float, idle: float) -> bool:
    """Wait until a process has ended; return False where it takes too long."""
    end = time.monotonic() + seconds
    used, since = -1.0, 0.0
    while (now := time.monotonic()) < end:
        if poll.poll(min(500, idle * 500)):
            return True
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        # Ticks of itself and of its children; one that runs, or could, is not idle.
        ticks = sum(map(float, fields[11:15]))
        if ticks != used or fields[0] not in "SD":
            used, since = ticks, now
        elif now - since > idle:
            return False
    return False


def _wait_until_caught(process: int, poll: select.poll) -> None:
    """Wait until a process catches SIGTERM, or has ended."""
    bit = 1 << (signal.SIGTERM - 1)
    while not poll.poll(1):
        status = Path(f"/proc/{process}/status").read_text()
        if int(status.partition("SigCgt:")[2].split()[0], 16) & bit:
            return


def _wait_for_change(folder: Path, poll: select.poll, seconds: float) -> None:
    """Wait until something in a folder is made, removed or renamed, or the process has ended."""

    def state() -> tuple[int, ...]:
        with contextlib.suppress(OSError):
            return (folder.stat().st_mtime_ns,)
        return ()

    before = state()
    for _ in range(int(seconds * 1000)):
        if poll.poll(1) or state() != before:
            return


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read(4_000_000).decode("utf-8", "replace")
