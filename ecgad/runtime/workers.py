"""The same work on many records, blocks of beats or figures, by several processes."""

import ctypes
import multiprocessing
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import TypeVar

from ecgad.errors import UserError

T = TypeVar("T")
PR_SET_PDEATHSIG = 1  # of Linux's prctl


def in_order(
    function: Callable[..., T], calls: Iterable[tuple], jobs: int | None = None
) -> Iterator[T]:
    """Give the results of `function(*call)`, in the order of the calls.

    jobs: how many processes, but no more than there are cores; None: as many. Only a few calls are
    ever waiting, so that memory does not grow with their number. What a call raises is raised here;
    UserError where a process is ended from outside.
    """
    calls = iter(calls)
    n_processes = min(jobs or _cores(), _cores())
    first = list(islice(calls, 2))
    if n_processes == 1 or len(first) == 1:
        for call in (*first, *calls):
            yield function(*call)
        return
    # Forked, a process has the imported libraries at once; elsewhere than on Linux it is not safe.
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else None)
    with ProcessPoolExecutor(n_processes, context, initializer=_leave_signals_to_parent) as pool:
        waiting: deque[Future[T]] = deque(pool.submit(function, *call) for call in first)
        try:
            for call in islice(calls, n_processes):
                waiting.append(pool.submit(function, *call))
            while waiting:
                done = waiting.popleft().result()
                for call in islice(calls, 1):
                    waiting.append(pool.submit(function, *call))
                yield done
        except BrokenProcessPool:
            raise UserError(
                "a process was ended from outside, probably for lack of memory; "
                "give more of it, or fewer processes by --jobs"
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)


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
