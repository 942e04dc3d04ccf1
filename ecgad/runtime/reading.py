"""Reading from files that need not fit into memory: rows of an array, and one item ahead."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from ecgad.errors import MismatchError

# Scattered rows read at a time; the system reads tens of kilobytes around each.
ROWS_READ = 256

T = TypeVar("T")
U = TypeVar("U")


def read_rows(array: np.ndarray, rows: slice | np.ndarray) -> np.ndarray:
    """Copy rows of an array; of a memory-mapped one, the pages read do not stay in memory.

    Raises MismatchError where the file has become shorter since it was mapped.
    """
    in_file = isinstance(array, np.memmap) and array.filename is not None
    if not in_file or not array.flags.c_contiguous:
        return np.array(array[rows])
    assert isinstance(array, np.memmap)
    assert array.filename is not None
    whole = array
    while isinstance(whole.base, np.memmap):
        whole = whole.base
    file, offset = array.filename, array.offset + array.ctypes.data - whole.ctypes.data

    if isinstance(rows, slice):
        # Twice as fast as by a mapping.
        start, stop, _ = rows.indices(len(array))
        width = int(np.prod(array.shape[1:]))
        at = offset + start * width * array.itemsize
        n = max(0, stop - start)
        part = np.fromfile(file, array.dtype, n * width, offset=at)
        if len(part) < n * width:
            raise _replaced(file)
        return part.reshape(n, *array.shape[1:])
    copied = np.empty((len(rows), *array.shape[1:]), array.dtype)
    for start in range(0, len(rows), ROWS_READ):
        # By a mapping of its own, which ends at once.
        try:
            mapped = np.memmap(file, array.dtype, "r", offset, array.shape)
        except ValueError:
            raise _replaced(file) from None
        copied[start : start + ROWS_READ] = mapped[rows[start : start + ROWS_READ]]
        del mapped
    return copied


def _replaced(file: object) -> MismatchError:
    return MismatchError(f"{file} was replaced while it was being read; run this again")


def read_ahead(read: Callable[[T], U], items: Iterable[T]) -> Iterator[U]:
    """Give `read(item)` of each item, in order; a thread is one item ahead."""
    with ThreadPoolExecutor(1) as reader:
        ahead: Future[U] | None = None
        for item in items:
            following = reader.submit(read, item)
            if ahead is not None:
                yield ahead.result()
            ahead = following
        if ahead is not None:
            yield ahead.result()
