"""Reference and test annotations of the same records, which may lie in different folders."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ecgad.errors import ConfigError, FileError, MismatchError
from ecgad.recordings.annotations import (
    Annotations,
    read_annotation_file,
    require_inside,
    rescaled,
)
from ecgad.recordings.find import HEADER, files_below
from ecgad.recordings.recording import HIGHEST_RATE, LOWEST_RATE

# Of a header that does not say it, as WFDB has it.
DEFAULT_RATE = 250.0
# Name, signals, and if they are there: rate with what belongs to it, samples.
RECORD_LINE = re.compile(r"\S+\s+\d+(?:\s+([\d.eE+-]+)(?:/\S+)?(?:\s+(\d+))?(?:\s.*)?)?\s*")
# Seconds by which the lengths of one recording in two headers may differ.
SAME_LENGTH = 1.0


@dataclass(frozen=True)
class Pair:
    """Where the two annotation files of a record are."""

    name: str
    reference: Path
    test: Path


@dataclass(frozen=True)
class Pairs:
    """What was found: records with both files, and the names of those with one of them."""

    pairs: list[Pair]
    without_test: list[str]
    without_reference: list[str]


@dataclass(frozen=True)
class PairedAnnotations:
    """The annotations of a record, both counted at `sampling_rate`, in Hz.

    n_samples: of the recording; None where no header says it. counted_at: the rates at which the
    files count, reference and test.
    """

    reference: Annotations
    test: Annotations
    sampling_rate: float
    n_samples: int | None
    counted_at: tuple[float, float]


def find_pairs(paths: Sequence[Path], reference: str, test: str) -> Pairs:
    """Find records that have annotations of both suffixes.

    A path is a record, with or without suffix, or a folder, in which all are sought. In a folder
    and below, a record's name is its path from there. Raises FileError where there is no record, or
    one that is named lacks annotations; ConfigError where two files are of one name and suffix.
    """
    found: dict[str, dict[str, Path]] = {reference: {}, test: {}}
    named = []
    for path in paths:
        if path.is_dir():
            files = sorted(files_below(path))
            for suffix, of_suffix in found.items():
                for file in files:
                    if file.name.endswith(f".{suffix}"):
                        name = file.relative_to(path).as_posix().removesuffix(f".{suffix}")
                        _add(of_suffix, name, file)
            continue
        record = _record(path, reference, test)
        named.append(record.name)
        for suffix, of_suffix in found.items():
            file = _beside(record, suffix)
            if file.is_file():
                _add(of_suffix, record.name, file)
    references, tests = found[reference], found[test]
    for name in named:
        for suffix, of_suffix in found.items():
            if name not in of_suffix:
                raise FileError(
                    f"record {name} lacks annotations: no {name}.{suffix} is in the folders given, "
                    f"nor beside the record; add the folder where it is"
                )
    there = f"{len(references)} files end in .{reference} and {len(tests)} in .{test}"
    if not references or not tests:
        where = ", ".join(map(str, paths))
        raise FileError(
            f"no pair of annotations in {where}: {there}; give the folders of both, and their "
            f"suffixes by --reference and --test"
        )
    common = sorted(references.keys() & tests.keys())
    if not common:
        raise FileError(
            f"no record has both annotations: {there}, but their names differ, such as "
            f"{min(references)} and {min(tests)}; names are paths from the folders given"
        )
    return Pairs(
        pairs=[Pair(name, references[name], tests[name]) for name in common],
        without_test=sorted(references.keys() - tests.keys()),
        without_reference=sorted(tests.keys() - references.keys()),
    )


def read_pair(pair: Pair) -> PairedAnnotations:
    """Read the annotations of a record.

    A file counts at the rate that it says, else at that of the header beside it, else at that of
    the other file; what is returned counts at that of the header, the reference's first. Raises
    FileError where a file is malformed, of another record, or no rate is known; MismatchError where
    both have headers, and these are of recordings of different lengths.
    """
    files = (pair.reference, pair.test)
    read = [read_annotation_file(file) for file in files]
    headers = [_header(file.with_suffix(HEADER)) for file in files]
    said = [of.sampling_rate for of in read]
    known = [header and header[0] for header in headers]
    rate = next((value for value in (*known, *said) if value), None)
    if rate is None:
        raise FileError(
            f"record {pair.name}: its sampling rate is unknown; put {pair.name}{HEADER} beside "
            f"{pair.reference} or {pair.test}"
        )
    lengths = [header[1] / header[0] for header in headers if header and header[1]]
    if lengths and max(lengths) - min(lengths) > SAME_LENGTH:
        raise MismatchError(
            f"record {pair.name}: by the headers beside them, {pair.reference} is of "
            f"{lengths[0]:.1f} s and {pair.test} of {lengths[1]:.1f} s; give annotations of the "
            f"same recording"
        )
    n_samples = round(lengths[0] * rate) if lengths else None
    at = [by_file or by_header or rate for by_file, by_header in zip(said, known, strict=True)]
    for index, (file, counted_at) in enumerate(zip(files, at, strict=True)):
        samples = rescaled(read[index].samples, counted_at, rate)
        if n_samples is not None:
            require_inside(samples, file, pair.name, n_samples, rate)
        read[index] = replace(read[index], samples=samples, sampling_rate=rate)
    return PairedAnnotations(read[0], read[1], rate, n_samples, (at[0], at[1]))


def _add(files: dict[str, Path], name: str, file: Path) -> None:
    other = files.setdefault(name, file)
    if other.resolve() != file.resolve():
        raise ConfigError(
            f"{other} and {file} are both of a record {name}; give one of them, or the folder "
            f"above both, from where names begin"
        )


def _record(path: Path, reference: str, test: str) -> Path:
    """Return the path of a record without suffix. Raises FileError where it has no annotations."""
    endings = (HEADER, ".dat", f".{reference}", f".{test}")
    stems = [path, *([path.with_suffix("")] if path.suffix in endings else [])]
    for stem in stems:
        if any(_beside(stem, suffix).is_file() for suffix in (reference, test)):
            return stem
    raise FileError(
        f"no folder and no record {path}: neither {stems[-1].name}.{reference} nor "
        f"{stems[-1].name}.{test} is there"
    )


def _beside(record: Path, suffix: str) -> Path:
    return record.with_name(f"{record.name}.{suffix}")


def _header(path: Path) -> tuple[float, int] | None:
    """Return sampling rate and length of a record in samples, 0 where it is not said; None where
    there is no header.

    Importing wfdb takes as long as comparing 48 records. Raises FileError where it is malformed.
    """
    if not path.is_file():
        return None
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    first = next((line for line in lines if line.strip() and not line.startswith("#")), "")
    match = RECORD_LINE.fullmatch(first.strip())
    try:
        if match is None:
            raise ValueError
        rate = float(match[1] or DEFAULT_RATE)
    except ValueError:
        raise FileError(f"{path} is no WFDB header: its first line gives no rate") from None
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise FileError(f"{path}: a sampling rate of {rate:g} Hz cannot be right; mend it")
    return rate, int(match[2] or 0)
