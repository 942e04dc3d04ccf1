"""The worst misses and false alarms in their recordings, where those are still to be had.

Which beats these are is known after evaluation alone, and the stages keep no whole recordings. So
the records are read again, if their files are those that the beats were cut from.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ecgad.artifacts import arrays, files, processed, runs
from ecgad.data.beats import ANOMALOUS, NORMAL, Beats, Strip
from ecgad.data.sources.records import STRIP_SECONDS, RecordSource
from ecgad.errors import FileError
from ecgad.experiment import Experiment
from ecgad.report.picture import FALSE_ALARMS, MISSES
from ecgad.runtime.reading import read_rows
from ecgad.runtime.workers import in_order

# By group, the label of the beats that were called otherwise.
LABELS = {MISSES: ANOMALOUS, FALSE_ALARMS: NORMAL}
# What has become of the files of a record.
MISSING, CHANGED = "are missing or damaged", "have changed since its beats were cut"


@dataclass(frozen=True)
class Mistake:
    """A beat that was called wrongly.

    group: MISSES or FALSE_ALARMS. number: its place there, from 1. sample: in the record as
    published; time: the same in seconds. strip: ten seconds of the record with the beat in their
    middle; None where the record could not be read again.
    """

    group: str
    number: int
    record: str
    sample: int
    time: float
    symbol: str
    score: float
    strip: Strip | None = None


@dataclass(frozen=True)
class Mistakes:
    """The worst of what was called wrongly, with their strips.

    counts: how many there are in each group, and in how many records. lost: why a record could not
    be read again, by its name.
    """

    counts: Mapping[str, tuple[int, int]]
    worst: list[Mistake]
    lost: Mapping[str, str]


def mistakes_of_run(
    experiment: Experiment, run_dir: Path, sha256: Mapping[str, str]
) -> Mistakes | None:
    """Return the mistakes of a run, as `read_mistakes`; None where the source has no recordings."""
    source = experiment.source
    if not isinstance(source, RecordSource):
        return None
    test = processed.load_split(experiment.processed_dir, "test")
    scores = np.asarray(arrays.load_array(run_dir / runs.SCORES["test"]))
    threshold = files.load_json(run_dir / runs.METRICS)["threshold"]["value"]
    return read_mistakes(source, test, scores, threshold, sha256, experiment.figures.examples)


def read_mistakes(
    source: RecordSource,
    test: Beats,
    scores: np.ndarray,
    threshold: float,
    sha256: Mapping[str, str],
    n: int,
) -> Mistakes:
    """Find the worst misses and false alarms, `n` of each, and read their strips.

    test, scores: the beats, labelled, and (n_beats,). sha256: of the source's files when the beats
    were cut, by name.
    """
    assert test.records is not None
    counts: dict[str, tuple[int, int]] = {}
    worst: list[Mistake] = []
    for group in LABELS:
        wrong = _called_wrongly(test, scores, threshold, group)
        records = read_rows(test.records, wrong)
        counts[group] = len(wrong), len(np.unique(records))
        worst += _worst(test, scores, wrong, records, group, n)
    by_record: dict[str, list[int]] = {}
    for mistake in worst:
        by_record.setdefault(mistake.record, []).append(mistake.sample)
    calls = [(source, record, samples, sha256) for record, samples in by_record.items()]
    read = dict(zip(by_record, in_order(_strips_or_reason, calls), strict=True))
    strips = {
        (record, sample): strip
        for record, of_record in read.items()
        if not isinstance(of_record, str)
        for sample, strip in zip(by_record[record], of_record, strict=True)
    }
    return Mistakes(
        counts,
        [replace(of, strip=strips.get((of.record, of.sample))) for of in worst],
        {record: reason for record, reason in read.items() if isinstance(reason, str)},
    )


def _called_wrongly(test: Beats, scores: np.ndarray, threshold: float, group: str) -> np.ndarray:
    """Return the indices of the beats of a group, the score furthest from the threshold first."""
    label = LABELS[group]
    called = scores > threshold
    wrong = np.flatnonzero((np.asarray(test.labels) == label) & (called != label))
    badness = scores[wrong] if label == ANOMALOUS else -scores[wrong]
    return wrong[np.argsort(badness, kind="stable")]


def _worst(
    test: Beats, scores: np.ndarray, wrong: np.ndarray, records: np.ndarray, group: str, n: int
) -> Iterator[Mistake]:
    assert test.times is not None
    assert test.samples is not None
    chosen = in_turns(records, read_rows(test.times, wrong), n)
    rows = wrong[chosen]
    of_rows = zip(
        records[chosen].tolist(),
        read_rows(test.samples, rows).tolist(),
        read_rows(test.times, rows).tolist(),
        read_rows(test.symbols, rows).tolist(),
        scores[rows].tolist(),
        strict=True,
    )
    for number, known in enumerate(of_rows, 1):
        yield Mistake(group, number, *known)


def in_turns(records: np.ndarray, times: np.ndarray, n: int) -> np.ndarray:
    """Choose beats to be drawn, `n` at most: of each record the first, then the second of each, and
    so on, but none that the strip of an earlier one shows already.

    records, times: str and float64 (s), (n_beats,), the worst first. Returns indices of them.
    """
    left = np.arange(len(records))
    chosen: list[int] = []
    while len(left) and len(chosen) < n:
        _, firsts, of_beat = np.unique(records[left], return_index=True, return_inverse=True)
        chosen += left[np.sort(firsts)].tolist()
        shown = np.abs(times[left] - times[left[firsts]][of_beat]) < STRIP_SECONDS / 2
        left = left[~shown]
    return np.array(chosen[:n], int)


def _strips_or_reason(
    source: RecordSource, record: str, samples: list[int], sha256: Mapping[str, str]
) -> list[Strip] | str:
    """Return the strips around samples of a record, or what has become of its files."""
    try:
        for name, path in source.files_of(record).items():
            if files.sha256(path) != sha256.get(name):
                return CHANGED
        return source.strips(record, samples)
    except (FileError, OSError):
        return MISSING


def lost_words(mistakes: Mistakes, group: str = "") -> str:
    """Say of which records no strips could be read, of one group or of all; empty where of none."""
    of_group = [of.record for of in mistakes.worst if group in ("", of.group)]
    parts = []
    for reason in (MISSING, CHANGED):
        names = [name for name in mistakes.lost if name in of_group]
        names = [name for name in names if mistakes.lost[name] == reason]
        if names:
            records = "record" if len(names) == 1 else "records"
            parts.append(f"{records} {', '.join(names)}, whose files in data.raw_dir {reason}")
    return f"no strips are shown of {'; '.join(parts)}" if parts else ""
