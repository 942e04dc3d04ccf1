"""Tensors and plain values in one file, written by `torch.save`, read without pickled code."""

import io
import math
import zipfile
from pathlib import Path
from typing import Any

from ecgad.artifacts import files
from ecgad.errors import FileError


def save_tensors(path: Path, content: dict[str, Any]) -> None:
    """Write tensors and plain values, for `torch.load` with `weights_only=True`."""
    import torch

    # Not straight into the file: PyTorch would hide that a disk is full.
    buffer = io.BytesIO()
    torch.save(content, buffer)
    files.save_bytes(path, buffer.getvalue())


def load_tensors(path: Path, what: str, number: int, again: str) -> dict[str, Any]:
    """Read what `save_tensors` wrote, on the CPU.

    what: what the file is to be. number: of the form that it has to say it has. again: how to
    make it anew. Raises FileError where it is damaged, of another form, or holds a number that is
    not finite.
    """
    import torch

    files.check_file(path)
    try:
        # A file of `torch.save` is a zip, whose checksums PyTorch writes and does not read.
        with zipfile.ZipFile(path) as file:
            if damaged := file.testzip():
                raise ValueError(f"the checksum of {damaged} differs")
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises what it will: RuntimeError, EOFError, UnpicklingError
        reason = (str(error) or type(error).__name__).splitlines()[0][:150]
        raise FileError(
            f"{path} is damaged or no {what} ({reason}); restore it, or {again}"
        ) from None
    found = content.pop("format", None) if isinstance(content, dict) else None
    if found != number:
        raise FileError(
            f"{path} is no {what} of format {number}, which this version of ecgad reads, but of "
            f"format {found}; {again}"
        )
    if not _finite(content):
        raise FileError(f"{path} holds a number that is not finite; {again}")
    return content


def _finite(content: Any) -> bool:
    """Return whether every number in tensors and plain values is finite."""
    import torch

    match content:
        case torch.Tensor():
            return bool(torch.isfinite(content).all())
        case float():
            return math.isfinite(content)
        case dict():
            return all(map(_finite, content.values()))
        case list() | tuple():
            return all(map(_finite, content))
    return True
