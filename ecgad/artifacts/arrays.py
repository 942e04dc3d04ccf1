"""Arrays as plain `.npy` files, whole or growing; read memory-mapped, without pickle."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import numpy as np

from ecgad.artifacts import files
from ecgad.errors import FileError


def save_array(path: Path, array: np.ndarray) -> None:
    """Write an array as `.npy`, without pickle."""
    # np.save would hide that a disk is full.
    with files.written(path, array.nbytes) as file:
        growing = GrowingArray(file, path)
        growing.append(array)
        growing.finish()


class GrowingArray:
    """A `.npy` file that grows along its first axis, so that it need not fit into memory."""

    def __init__(self, file: IO[bytes], path: Path) -> None:
        """Begin an array. path: where the file will be."""
        self.file = file
        self.path = path
        self.length = 0
        self.header = 0
        self.dtype: np.dtype | None = None
        self.shape: tuple[int, ...] = ()

    def append(self, array: np.ndarray) -> None:
        """Add the rows of an array; all have the same type and shape but for the first axis."""
        if self.dtype is None:
            self.dtype, self.shape = array.dtype, array.shape[1:]
            self._write_header()
        assert (array.dtype, array.shape[1:]) == (self.dtype, self.shape)
        try:
            self.file.write(np.ascontiguousarray(array).data if array.size else b"")
        except OSError as error:
            error.filename = str(self.path)
            raise
        self.length += len(array)

    def finish(self) -> None:
        """Write the length that the array has come to."""
        self.file.seek(0)
        self._write_header()

    def rewrite(self, change: Callable[[np.ndarray], np.ndarray], rows: int) -> None:
        """Replace the rows of a finished array by `change(rows)`, `rows` at a time."""
        for start, block in self.blocks(rows):
            self.file.seek(self._offset(start))
            self.file.write(np.ascontiguousarray(change(block), self.dtype).data)

    def blocks(self, rows: int) -> Iterator[tuple[int, np.ndarray]]:
        """Read the rows of a finished array again, `rows` at a time, each with its first row."""
        assert self.dtype is not None
        for start in range(0, self.length, rows):
            n = min(rows, self.length - start)
            self.file.seek(self._offset(start))
            content = self.file.read(self._offset(start + n) - self._offset(start))
            yield start, np.frombuffer(content, self.dtype).reshape(n, *self.shape)

    def _offset(self, row: int) -> int:
        """Return where in the file a row begins."""
        assert self.dtype is not None
        return self.header + row * self.dtype.itemsize * int(np.prod(self.shape))

    def _write_header(self) -> None:
        # NumPy leaves room for the first axis to grow, so that the header keeps its length.
        assert self.dtype is not None
        header = {
            "descr": np.lib.format.dtype_to_descr(self.dtype),
            "fortran_order": False,
            "shape": (self.length, *self.shape),
        }
        np.lib.format.write_array_header_1_0(self.file, header)
        self.header = self.file.tell()


def load_array(path: Path) -> np.ndarray:
    """Open a memory-mapped array. Raises FileError."""
    files.check_file(path)
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(array, np.ndarray):
            raise ValueError("it holds several arrays")
        return array
    except Exception as error:  # of a damaged header NumPy raises what Python's parser does
        raise FileError(f"cannot read {path}: {' '.join(str(error).split())}") from None
