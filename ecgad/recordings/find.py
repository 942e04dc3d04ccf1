"""Which recordings a user means by paths: records, EDF files, tables, folders of these."""

import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ecgad.errors import ConfigError, FileError

HEADER = ".hea"
# What a file is, by its suffix in lower case.
FORMATS = {HEADER: "WFDB", ".edf": "EDF", ".csv": "table", ".npy": "table", ".parquet": "table"}
# What `ecgad detect` writes is no recording of its own.
WRITTEN = (".ecgad.edf", ".beats.csv", ".events.csv")
# Its table of all recordings, and how that begins.
SUMMARY_TABLE, BEGINNING = "summary.csv", "recording,state,"


@dataclass(frozen=True)
class Found:
    """A recording that is there, not opened yet.

    name: what outputs are called after; below a folder that was given, relative to it. path: of a
    WFDB record, its header. format: as in `FORMATS`.
    """

    name: str
    path: Path
    format: str


def files_below(folder: Path) -> Iterator[Path]:
    """List the files in a folder and below, hidden ones left out, by name, links to folders last.

    Raises FileError where a folder cannot be listed.
    """
    visited = set()
    for here, folders, files in os.walk(folder, followlinks=True, onerror=_unlisted):
        # Links may lead in a circle.
        real = Path(here).resolve()
        if real in visited:
            folders.clear()
            continue
        visited.add(real)
        folders[:] = sorted(
            (name for name in folders if not name.startswith(".")),
            key=lambda name: (Path(here, name).is_symlink(), name),
        )
        yield from (Path(here, name) for name in sorted(files) if not name.startswith("."))


def _unlisted(error: OSError) -> None:
    raise FileError(f"{error.filename} cannot be listed ({error.strerror}); see to its permissions")


def find_recordings(paths: Sequence[Path], tables: bool) -> list[Found]:
    """Find the recordings that paths name, as `found_at` and `distinct` say."""
    return distinct([found for path in paths for found in found_at(path, tables)])


def found_at(path: Path, tables: bool) -> list[Found]:
    """Find the recordings that a path names; those of a folder by name.

    A path is a record with or without suffix, an EDF file, a table, or a folder, in which all are
    sought. tables: whether the user has said what rate and unit tables have: only then a folder is
    searched for them, and for nothing else, as many lie beside records and are none. Raises
    FileError where there is nothing.
    """
    return _in_folder(path, tables) if path.is_dir() else [_named(path)]


def distinct(recordings: Sequence[Found]) -> list[Found]:
    """Return recordings once each. Raises ConfigError where two of them have one name."""
    by_name: dict[str, Found] = {}
    for found in recordings:
        other = by_name.setdefault(found.name, found)
        if other is not found and other.path.resolve() != found.path.resolve():
            raise ConfigError(
                f"{other.path} and {found.path} are both called {found.name}, and so would be "
                f"what is written of them; rename one, or give them one at a time, into "
                f"folders of their own (--output)"
            )
    return list(by_name.values())


def share_of(recordings: Sequence[Found], share: int, n_shares: int) -> list[Found]:
    """Return the recordings of a share, from 0. Which one a recording is of, its name alone says:
    others that come and go move none.
    """
    return [
        found for found in recordings if zlib.crc32(os.fsencode(found.name)) % n_shares == share
    ]


def _named(path: Path) -> Found:
    """Return the recording that a path names. Raises FileError where there is none."""
    header = path.with_name(f"{path.name}{HEADER}")
    if header.exists() and (_format(path) is None or not path.exists()):
        return Found(path.name, header, "WFDB")
    if path.suffix == ".dat" and path.with_suffix(HEADER).exists():
        return Found(path.stem, path.with_suffix(HEADER), "WFDB")
    if not path.exists():
        raise FileError(f"no recording {path}: neither it nor {header.name} is there")
    if not path.is_file():
        raise FileError(f"{path} is no file that a recording can be read from")
    form = _format(path)
    if form is None:
        raise FileError(
            f"{path} is no recording by its name; known are records of WFDB ({HEADER}), "
            f"{', '.join(suffix for suffix in FORMATS if suffix != HEADER)}"
        )
    return Found(path.stem, path, form)


def is_summary_table(path: Path) -> bool:
    """Return whether a file is a table of all recordings of `ecgad detect`."""
    if path.name != SUMMARY_TABLE:
        return False
    with suppress(OSError), path.open("rb") as file:
        return file.read(len(BEGINNING)) == BEGINNING.encode()
    return False


def _format(path: Path) -> str | None:
    """Return what a file is by its name; None where it is no recording."""
    # wfdb finds no header of another case.
    lower = path.suffix.lower()
    return FORMATS.get(path.suffix if lower == HEADER else lower)


def _in_folder(folder: Path, tables: bool) -> list[Found]:
    """Return the recordings in a folder and below, by name. Raises FileError where there are
    none.
    """
    known = sorted(
        path
        for path in files_below(folder)
        if _format(path) is not None
        and not path.name.endswith(WRITTEN)
        and not is_summary_table(path)
    )
    headers = [path for path in known if path.suffix == HEADER and path.is_file()]
    segments = {segment for path in headers for segment in _segments(path)}
    found = [
        Found(path.relative_to(folder).with_suffix("").as_posix(), path, str(_format(path)))
        for path in known
        if path not in segments and (_format(path) == "table") == tables
    ]
    if not found:
        sought = "table (.csv, .npy, .parquet)" if tables else "record (.hea) or EDF file (.edf)"
        other = "" if tables or not known else "; tables are, which need --rate and --unit"
        raise FileError(f"no recordings in {folder}: no {sought} is there{other}")
    return found


def _segments(header: Path) -> list[Path]:
    """List the headers of the segments of a record, which are no recordings of their own."""
    try:
        with header.open(encoding="ascii", errors="replace") as file:
            lines = [line.split() for line in file if line.strip() and not line.startswith("#")]
    except OSError:
        return []  # whoever opens it says what is wrong
    if not lines or "/" not in lines[0][0]:
        return []
    return [header.parent / f"{words[0]}{HEADER}" for words in lines[1:]]
