"""A source read by several ranks: what each has read is on disk until the first rank joins it.

The records are dealt, one to each rank in turn. A rank keeps the parts that it reads in a hidden
file of its own, which is gone when all are done. The first rank takes the parts from these files in
the order of the records: what it makes of them is what one process makes, to the byte.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import cycle, islice
from pathlib import Path
from typing import IO, Any

import numpy as np

from ecgad.artifacts import files
from ecgad.data.beats import BeatFormat, Beats, Part, Strip
from ecgad.data.sources.records import RecordSource
from ecgad.data.sources.source import Source
from ecgad.runtime import processes
from ecgad.runtime.console import Console


@contextmanager
def reading(
    source: Source[Any], folder: Path, jobs: int | None, console: Console
) -> Iterator[Iterator[Part]]:
    """Read a source within this context, by all ranks, and give its parts to the first of them.

    What is no record is read by the first rank alone. folder: where ranks keep what they have read.
    jobs: processes of each rank; None: one for each core, and of several ranks one each. Raises
    FileError where a file is malformed, and RankError where another rank fails.
    """
    if processes.SIZE == 1 or not isinstance(source, RecordSource):
        with source.reading(jobs, console) as parts:
            yield parts if processes.RANK == 0 else iter(())
        return
    share = slice(processes.RANK, None, processes.SIZE)
    path = folder / f"share-{processes.RANK}"
    with files.scratch(path) as (name, file):
        with processes.fail_together(), files.room(path, file):
            parts = source.read(jobs or 1, share)
            for part in console.counted(parts, len(source.records[share]), "record of its share"):
                save_part(file, part)
            file.flush()
        names = processes.gather(name)
        with ExitStack() as stack:
            if processes.RANK == 0:
                opened = [stack.enter_context(Path(name).open("rb")) for name in names]
                in_turn = islice(cycle(opened), len(source.records))
                yield source.counted(load_part(file) for file in in_turn)
            else:
                yield iter(())
        # The first rank reads what the others hold.
        processes.gather(None)


def save_part(file: IO[bytes], part: Part) -> None:
    """Append a part: a line of plain values, then its arrays as `.npy`, one after the other."""
    arrays = part.beats.per_beat
    known = {
        "fields": list(arrays),
        "format": part.beats.format.to_dict(),
        "left_out": part.left_out,
        "strip": part.strip and {**vars(part.strip), "ecg": None},
    }
    file.write(json.dumps(known, allow_nan=False).encode() + b"\n")
    for array in (*arrays.values(), *([part.strip.ecg] if part.strip else [])):
        np.lib.format.write_array(file, array, allow_pickle=False)


def load_part(file: IO[bytes]) -> Part:
    """Read the next part of a file."""
    known = json.loads(file.readline())

    def array() -> np.ndarray:
        return np.lib.format.read_array(file, allow_pickle=False)

    fields: dict[str, Any] = {name: array() for name in known["fields"]}
    fields.setdefault("labels", None)
    beats = Beats(**fields, format=BeatFormat.from_dict(known["format"]))
    strip = known["strip"] and Strip(**{**known["strip"], "ecg": array()})
    return Part(beats, known["left_out"], strip)
