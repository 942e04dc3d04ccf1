"""The files that say what was found in a recording."""

import csv
import heapq
import io
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from ecgad.artifacts import files
from ecgad.detection.findings import Findings, kind_of
from ecgad.detection.live import JudgedBeats
from ecgad.detection.recording_page import recording_page
from ecgad.errors import ConfigError, FileError, UserError
from ecgad.recordings.annotations import annotation_bytes
from ecgad.recordings.reader import Reader
from ecgad.scoring.parts import PARTS

# What follows the name of a recording. The last says that all are there.
ANNOTATIONS, BEATS, EVENTS, SUMMARY = ".ecgad", ".beats.csv", ".events.csv", ".json"
EDF_ANNOTATIONS = ".ecgad.edf"
PAGE = ".html"
# Of a recording that failed.
FAILURE = ".failed.json"
# Beats whose text is made at a time.
AT_ONCE = 10_000
KINDS = (ANNOTATIONS, BEATS, EVENTS, EDF_ANNOTATIONS, PAGE, SUMMARY)
# Of annotations `~`: that nothing can be read from there on, and that it can again.
UNREADABLE, READABLE = 0x30, 0
NORMAL_BEAT, ANOMALOUS_BEAT, NOISE = "N", "Q", "~"
BEAT_COLUMNS = ["sample", "seconds", "clock", "rr", "score", "anomalous", "reason"]
EVENT_COLUMNS = [
    "kind",
    "beats",
    "start_sample",
    "end_sample",
    "start_seconds",
    "end_seconds",
    "start_clock",
    "end_clock",
    "highest_score",
    "reason",
]


def paths_of(folder: Path, name: str, edf: bool) -> list[Path]:
    """List the files of a recording, the summary last."""
    kinds = [ANNOTATIONS, BEATS, EVENTS, *([EDF_ANNOTATIONS] if edf else []), PAGE, SUMMARY]
    return [folder / f"{name}{kind}" for kind in kinds]


def save(folder: Path, findings: Findings, reader: Reader, summary: dict[str, Any]) -> None:
    """Write all files of a recording, the summary last. Raises FileError where the recording
    cannot be read again.
    """
    name, reasons = findings.name, findings.reasons()
    content: dict[str, Iterable[bytes]] = {
        # A WFDB header says the sampling rate.
        ANNOTATIONS: _annotations(findings, header=reader.format == "WFDB"),
        BEATS: _beats(findings, reasons),
        EVENTS: _events(findings, reasons),
    }
    if reader.format == "EDF":
        content[EDF_ANNOTATIONS] = [_edf(findings, reasons)]
    # Names may hold bytes that are no text.
    page = recording_page(findings, reader, summary, reasons)
    content[PAGE] = (piece.encode("utf-8", "backslashreplace") for piece in page)
    for kind, pieces in content.items():
        with files.written(folder / f"{name}{kind}") as file:
            file.writelines(pieces)
    files.save_json(folder / f"{name}{SUMMARY}", summary)


def load_summary(path: Path) -> dict[str, Any]:
    """Return what a summary holds; nothing where it is none."""
    with suppress(FileError):
        content = files.load_json(path)
        return content if isinstance(content, dict) else {}
    return {}


def failure_path(folder: Path, name: str) -> Path:
    """Return where it is kept that a recording failed."""
    return folder / f"{name}{FAILURE}"


def save_failure(path: Path, name: str, error: UserError) -> None:
    """Write what kept a recording from being judged."""
    made_by = {"ecgad": metadata.version("ecgad")}
    content = {
        "recording": name,
        "error": str(error),
        "exit_code": error.exit_code,
        "made_by": made_by,
    }
    files.save_json(path, content)


def load_failure(path: Path) -> dict[str, Any] | None:
    """Read what `save_failure` wrote; None where it is something else."""
    content = load_summary(path)
    return content if {"recording", "error", "made_by"} <= content.keys() else None


def _annotations(findings: Findings, header: bool) -> Iterator[bytes]:
    """Give the annotations: at one sample, the ends of unreadable stretches before a beat."""
    edges = (
        (sample, 0, NOISE, subtype, "")
        for stretch in findings.unreadable
        for sample, subtype in zip(stretch, (UNREADABLE, READABLE), strict=True)
    )
    rows = heapq.merge(edges, _annotated_beats(findings))
    return annotation_bytes(
        ((sample, symbol, subtype, text) for sample, _, symbol, subtype, text in rows),
        findings.channel,
        None if header else findings.sampling_rate,
    )


def _annotated_beats(findings: Findings) -> Iterator[tuple[int, int, str, int, str]]:
    for _, beats in _in_parts(findings):
        for sample, verdict, score in zip(
            beats.samples.tolist(), beats.verdicts.tolist(), beats.scores.tolist(), strict=True
        ):
            symbol = ANOMALOUS_BEAT if verdict == 1 else NORMAL_BEAT
            yield sample, 1, symbol, 0, "" if verdict < 0 else f"{score:.6g}"


def _in_parts(findings: Findings) -> Iterator[tuple[slice, JudgedBeats]]:
    """Give some beats at a time, so that their text needs little memory."""
    for start in range(0, len(findings.beats), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        yield part, findings.beats[part]


def _beats(findings: Findings, reasons: list[str]) -> Iterator[bytes]:
    yield _csv([[*BEAT_COLUMNS, *(f"share {part}" for part in PARTS)]])
    for part, beats in _in_parts(findings):
        seconds = beats.samples / findings.sampling_rate
        yield _csv(
            zip(
                beats.samples.tolist(),
                _numbers(seconds, ".3f"),
                findings.clock(seconds),
                _numbers(beats.rr, ".3f"),
                _numbers(beats.scores, ".17g"),
                ("" if value < 0 else value for value in beats.verdicts.tolist()),
                reasons[part],
                *(_numbers(of_part, ".3f") for of_part in beats.shares.T),
                strict=True,
            )
        )


def _numbers(values: np.ndarray, form: str) -> list[str]:
    """Return numbers as text; empty where there is none."""
    return ["" if math.isnan(value) else format(value, form) for value in values.tolist()]


def _events(findings: Findings, reasons: list[str]) -> Iterator[bytes]:
    beats, seconds = findings.beats, findings.seconds
    yield _csv([EVENT_COLUMNS])
    for start, stop in findings.events():
        highest = start + int(beats.scores[start:stop].argmax())
        ends = [start, stop - 1]
        row = (
            kind_of(stop - start),
            stop - start,
            *beats.samples[ends].tolist(),
            *_numbers(seconds[ends], ".3f"),
            *findings.clock(seconds[ends]),
            repr(float(beats.scores[highest])),
            reasons[highest],
        )
        yield _csv([row])


def _csv(rows: Iterable[Sequence[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _edf(findings: Findings, reasons: list[str]) -> bytes:
    """Return an EDF+ file of annotations alone: anomalous beats, and what cannot be read."""
    try:
        from edfio import Edf, EdfAnnotation, Recording
    except ImportError:
        raise ConfigError("edfio is not installed: pip install 'ecgad[edf]'") from None

    rate, beats = findings.sampling_rate, findings.beats
    notes = [
        EdfAnnotation(
            float(beats.samples[index] / rate),
            None,
            f"anomalous beat, score {beats.scores[index]:.3g}: {reasons[index]}",
        )
        for index in np.flatnonzero(beats.verdicts == 1).tolist()
    ]
    notes += [
        EdfAnnotation(start / rate, (stop - start) / rate, "unreadable")
        for start, stop in findings.unreadable
    ]
    start = findings.start
    edf = Edf([], annotations=notes)
    if isinstance(start, datetime):
        edf.recording = Recording(startdate=start.date())
    if start is not None:
        edf.starttime = start.time() if isinstance(start, datetime) else start
    return edf.to_bytes()
