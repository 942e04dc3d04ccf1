"""The same work on many records, blocks of beats or figures, by several processes."""

import ctypes
import multiprocessing
import os
import pickle
import signal
import sys
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from itertools import islice
from multiprocessing.connection import Connection
from queue import SimpleQueue
from threading import Lock
from typing import Any, TypeVar

from ecgad.errors import UserError

T = TypeVar("T")
PR_SET_PDEATHSIG = 1  # of Linux's prctl
ENDED = "a process was ended from outside, probably for lack of memory"


def in_order(
    function: Callable[..., T],
    calls: Iterable[tuple],
    jobs: int | None = None,
    lost: Callable[..., T] | None = None,
) -> Iterator[T]:
    """Give the results of `function(*call)`, in the order of the calls.

    jobs: how many processes, but no more than there are cores; None: as many. lost: gives the
    result of a call whose process was ended from outside; without it, that ends all with UserError.
    With it, results come as they are done, so that a long call holds up no others. Only a few calls
    are ever waiting, so that memory does not grow with their number. What a call raises is raised
    here.
    """
    calls = iter(calls)
    n_processes = min(jobs or _cores(), _cores())
    first = list(islice(calls, 2))
    # What is not to be lost with a call is in another process than that.
    if len(first) < 2 or (n_processes == 1 and lost is None):
        for call in (*first, *calls):
            yield function(*call)
        return
    workers = [_Worker() for _ in range(n_processes)]
    idle: SimpleQueue[_Worker] = SimpleQueue()
    for worker in workers:
        idle.put(worker)

    def work(call: tuple) -> T:
        worker = idle.get()
        try:
            return worker.call(function, call)
        except _EndedError:
            if lost is None:
                raise UserError(f"{ENDED}; give more of it, or fewer processes by --jobs") from None
            return lost(*call)
        finally:
            idle.put(worker)

    with ThreadPoolExecutor(n_processes) as pool:
        waiting: deque[Future[T]] = deque(pool.submit(work, call) for call in first)
        try:
            for call in islice(calls, n_processes):
                waiting.append(pool.submit(work, call))
            while waiting:
                next_done = waiting[0]
                if lost is not None:
                    wait(waiting, return_when=FIRST_COMPLETED)
                    next_done = next(of for of in waiting if of.done())
                waiting.remove(next_done)
                done = next_done.result()
                for call in islice(calls, 1):
                    waiting.append(pool.submit(work, call))
                yield done
        finally:
            pool.shutdown(cancel_futures=True)
            for worker in workers:
                worker.end()


class _EndedError(Exception):
    """The process that did a call was ended from outside."""


class _Worker:
    """A process that does one call after the other. Where it is ended, another takes its place."""

    # A process that is forked in between would hold the ends of another one's pipe open.
    forking = Lock()

    def __init__(self) -> None:
        # Forked, a process has the imported libraries at once; elsewhere than on Linux it is not
        # safe.
        self.context: Any = multiprocessing.get_context("fork" if sys.platform == "linux" else None)
        self._start()

    def _start(self) -> None:
        with self.forking:
            self.pipe, theirs = self.context.Pipe()
            arguments = (theirs, self.pipe, os.getpid())
            self.process = self.context.Process(target=_serve, args=arguments, daemon=True)
            self.process.start()
            theirs.close()

    def call(self, function: Callable[..., T], call: tuple) -> T:
        """Return the result of a call, or raise what it raises."""
        try:
            try:
                self.pipe.send((function, call))
            except OSError:
                # It was ended when it had nothing to do.
                self._replace()
                self.pipe.send((function, call))
            result, error = self.pipe.recv()
        except (EOFError, OSError):
            self._replace()
            raise _EndedError from None
        if error is not None:
            raise error
        return result

    def _replace(self) -> None:
        self.pipe.close()
        self.process.join()
        self._start()

    def end(self) -> None:
        """End the process, which has nothing to do."""
        with suppress(OSError):
            self.pipe.send(None)
        self.process.join()
        self.pipe.close()


def _serve(pipe: Connection, theirs: Connection, parent: int) -> None:
    """Do what is asked through a pipe, until its other end, which is the parent's, is closed."""
    theirs.close()
    _leave_signals_to_parent()
    if os.getppid() != parent:
        # It was gone before anybody could be told.
        return
    with suppress(EOFError, OSError):
        while (asked := pipe.recv()) is not None:
            answer = _answer(*asked)
            try:
                pipe.send(answer)
            except (AttributeError, TypeError, pickle.PicklingError) as error:
                # A result that cannot be sent.
                pipe.send((None, error))


def _answer(function: Callable[..., T], call: tuple) -> tuple[T | None, Exception | None]:
    """Return the result of a call, or what it raises."""
    try:
        return function(*call), None
    except Exception as error:
        error.add_note("".join(traceback.format_exception(error)))
        return None, error


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _leave_signals_to_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if sys.platform == "linux":
        # Die with the parent, however it dies.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
