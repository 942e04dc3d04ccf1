"""Single files: written under a temporary name, flushed, then renamed; read without pickle."""

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from ecgad.errors import ConfigError, FileError, UserError


def check_writable(folder: Path) -> None:
    """Make the folder, and raise ConfigError where nothing can be written into it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ConfigError(
            f"cannot write into {folder}: {error.strerror}; choose another folder"
        ) from None


@contextmanager
def written(path: Path, size: int | None = None) -> Iterator[IO[bytes]]:
    """A file that takes the place of `path` once it is whole.

    size: how many bytes it will have, where that is known. Raises UserError, with the space that is
    needed, where the disk is full; what was at `path` stays then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    so_far = free = 0
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w+b") as file:
            try:
                yield file
                file.flush()
                os.fsync(descriptor)
            except BaseException:
                so_far = os.fstat(descriptor).st_size
                free = shutil.disk_usage(path.parent).free
                # Closing it writes what is still buffered, and a full disk has no room for that.
                os.ftruncate(descriptor, 0)
                raise
        # mkstemp lets only the owner read; a file that takes its place is as open as others are.
        Path(temporary).chmod(0o666 & ~_umask())
        Path(temporary).replace(path)
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        # Of several files that are open, each is thrown what befell one of them.
        if (
            isinstance(error, OSError)
            and error.errno in (errno.ENOSPC, errno.EDQUOT)
            and error.filename in (None, str(path))
        ):
            needed = f"more than {so_far / 1e3:,.0f}" if size is None else f"{size / 1e3:,.0f}"
            raise UserError(
                f"the disk is full: {path} needs {needed} kB, and {free / 1e3:,.0f} kB are left; "
                f"make room, or choose another folder"
            ) from None
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def save_bytes(path: Path, content: bytes) -> None:
    """Write a file whole, or not at all."""
    with written(path, len(content)) as file:
        file.write(content)


def save_json(path: Path, content: Any) -> None:
    """Write plain values as JSON."""
    save_bytes(path, json_bytes(content))


def json_bytes(content: Any) -> bytes:
    """Plain values as JSON; NaN and infinities have no place in it."""
    return (json.dumps(content, indent=2, allow_nan=False) + "\n").encode()


def load_json(path: Path) -> Any:
    """Plain values from JSON. Raises FileError."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FileError(f"cannot read {path}: {error}") from None


def save_array(path: Path, array: np.ndarray) -> None:
    """Write an array as `.npy`, without pickle."""
    # np.save would hide that a disk is full.
    with written(path, array.nbytes) as file:
        growing = GrowingArray(file, path)
        growing.append(array)
        growing.finish()


class GrowingArray:
    """A `.npy` file that grows along its first axis, so that it need not fit into memory."""

    def __init__(self, file: IO[bytes], path: Path) -> None:
        """path: where the file will be."""
        self.file = file
        self.path = path
        self.length = 0
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
        """Put `change(rows)` in the place of the rows of a finished array, `rows` at a time."""
        assert self.dtype is not None
        width = self.dtype.itemsize * int(np.prod(self.shape))
        begin = self.file.tell()
        for start in range(0, self.length, rows):
            n = min(rows, self.length - start)
            self.file.seek(begin + start * width)
            block = np.frombuffer(self.file.read(n * width), self.dtype)
            changed = change(block.reshape(n, *self.shape))
            self.file.seek(begin + start * width)
            self.file.write(np.ascontiguousarray(changed, self.dtype).data)

    def _write_header(self) -> None:
        # NumPy leaves room for the first axis to grow, so that the header keeps its length.
        assert self.dtype is not None
        header = {
            "descr": np.lib.format.dtype_to_descr(self.dtype),
            "fortran_order": False,
            "shape": (self.length, *self.shape),
        }
        np.lib.format.write_array_header_1_0(self.file, header)


def load_array(path: Path) -> np.ndarray:
    """A memory-mapped array. Raises FileError."""
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise FileError(f"cannot read {path}: {' '.join(str(error).split())}") from None


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal. Raises FileError."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror}") from None
