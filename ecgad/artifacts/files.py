"""Single files: written under a temporary name, flushed, then renamed; read without pickle.

A process that is killed leaves its temporary file behind. It is locked as long as it is written, so
that a later process can tell.
"""

import errno
import hashlib
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from ecgad.errors import ConfigError, FileError, UserError
from ecgad.runtime import interruption, locks

# A temporary file is hidden, .NAME.xxxxxxxx.ecgad
TEMPORARY = ".ecgad"


def make_folder(folder: Path) -> None:
    """Make a folder, where it is not there. Raises ConfigError."""
    with _writing_into(folder):
        folder.mkdir(parents=True, exist_ok=True)


def check_writable(folder: Path) -> None:
    """Raise ConfigError where nothing can be written into a folder."""
    with _writing_into(folder), tempfile.TemporaryFile(dir=folder):
        pass


@contextmanager
def _writing_into(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"cannot write into {folder}: {error.strerror}; choose another folder"
        ) from None


@contextmanager
def written(path: Path, size: int | None = None) -> Iterator[IO[bytes]]:
    """Open a file that takes the place of `path` once it is whole.

    size: how many bytes it will have, where that is known. Raises UserError, with the space that is
    needed, where the disk is full; what was at `path` stays then.
    """
    with _temporary(path, size, lasting=True) as (_, file):
        yield file


@contextmanager
def scratch(path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Open a hidden file beside `path`, which is gone at the end of this context.

    Gives where it is, and the file. Raises UserError as `written`.
    """
    with _temporary(path, None, lasting=False) as known:
        yield known


@contextmanager
def _temporary(path: Path, size: int | None, lasting: bool) -> Iterator[tuple[str, IO[bytes]]]:
    """Open a temporary file, which takes the place of `path` in the end where it is `lasting`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    so_far = free = 0
    temporary = str(path.with_name(f".{path.name}.{secrets.token_hex(4)}{TEMPORARY}"))
    # Before it is there: an interruption may come between.
    interruption.temporaries.add(temporary)
    # O_BINARY: on Windows, which would write line ends of its own.
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    descriptor = os.open(temporary, flags, 0o666)
    try:
        with os.fdopen(descriptor, "w+b") as file:
            with suppress(OSError):
                locks.lock(descriptor)
            try:
                yield temporary, file
                if lasting:
                    file.flush()
                    os.fsync(descriptor)
            except BaseException:
                so_far = os.fstat(descriptor).st_size
                free = shutil.disk_usage(path.parent).free
                # Closing it writes what is still buffered, and a full disk has no room for that.
                os.ftruncate(descriptor, 0)
                raise
        if lasting:
            Path(temporary).replace(path)
        else:
            Path(temporary).unlink()
        interruption.temporaries.discard(temporary)
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        interruption.temporaries.discard(temporary)
        if _is_full(error, path):
            raise _full(path, so_far, free, size) from None
        raise


@contextmanager
def room(path: Path, file: IO[bytes]) -> Iterator[None]:
    """Raise UserError where the disk is full within this context, before the file is closed.

    path: as given to `scratch`.
    """
    try:
        yield
    except OSError as error:
        if not _is_full(error, path):
            raise
        so_far, free = os.fstat(file.fileno()).st_size, shutil.disk_usage(path.parent).free
        raise _full(path, so_far, free, None) from None


def _is_full(error: BaseException, path: Path) -> bool:
    # Of several files that are open, each is thrown what befell one of them.
    return (
        isinstance(error, OSError)
        and error.errno in (errno.ENOSPC, errno.EDQUOT)
        and error.filename in (None, str(path))
    )


def _full(path: Path, so_far: int, free: int, size: int | None) -> UserError:
    needed = f"more than {so_far / 1e3:,.0f}" if size is None else f"{size / 1e3:,.0f}"
    return UserError(
        f"the disk is full: {path} needs {needed} kB, and {free / 1e3:,.0f} kB are left; "
        f"make room, or choose another folder"
    )


def remove_abandoned(folder: Path) -> None:
    """Remove the temporary files of processes that were killed."""
    for path in folder.glob(f".*.????????{TEMPORARY}"):
        if path.is_symlink() or not path.is_file():
            continue
        # What cannot be locked may still be written.
        with suppress(OSError), path.open("r+b") as file:
            if locks.lock(file.fileno()):
                path.unlink()


def save_bytes(path: Path, content: bytes) -> None:
    """Write a file whole, or not at all."""
    with written(path, len(content)) as file:
        file.write(content)


def save_json(path: Path, content: Any) -> None:
    """Write plain values as JSON."""
    save_bytes(path, json_bytes(content))


def json_bytes(content: Any) -> bytes:
    """Return plain values as JSON, which has no NaN and no infinity."""
    return (json.dumps(content, indent=2, allow_nan=False) + "\n").encode()


def check_file(path: Path) -> None:
    """Raise FileError where there is something else than a file: a pipe would be waited for."""
    if path.exists() and not path.is_file():
        raise FileError(f"cannot read {path}: it is no file")


def load_json(path: Path) -> Any:
    """Read plain values from JSON. Raises FileError."""
    check_file(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
    except RecursionError:
        raise FileError(f"cannot read {path}: it is nested too deeply") from None
    except (OSError, ValueError) as error:
        raise FileError(f"cannot read {path}: {error}") from None


def _refuse(constant: str) -> None:
    raise ValueError(f"it holds {constant}, which is no number of JSON")


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal. Raises FileError."""
    check_file(path)
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror}") from None
