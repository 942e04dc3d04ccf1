"""How well R peaks are found in a folder of records, such as MIT-BIH (Moody & Mark 2001).

    python benchmarks/r_peaks.py [FOLDER]

Ours are found with a view of the whole record, and as they come, with 1.1 s of what follows. Beside
them stands sleepecg with its defaults, on the first lead alone. The whole of every record
counts, ventricular flutter included. A peak is right within 150 ms of an annotated beat, one to
one, as in ANSI/AAMI EC57.
"""

import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
import wfdb
from sleepecg.heartbeats import detect_heartbeats
from wfdb.processing import xqrs_detect

from ecgad.evaluation.matching import match_beats
from ecgad.processing.causal.r_peaks import CausalRPeaks
from ecgad.processing.r_peaks import find_r_peaks
from ecgad.recordings.beat_classes import BEATS

TOLERANCE, CLOSE = 0.15, 0.02  # s
TIMED_WITH_XQRS = 2  # records, for it is slow
METHODS = ("ours, whole record", "ours, as they come", "sleepecg, first lead")
HEADER = f"{'TP':>7}{'FP':>6}{'FN':>6}{'Se %':>8}{'PPV %':>8}"


def main(folder: Annotated[Path, typer.Argument()] = Path("data/raw/mitdb")) -> None:
    """Print counts, sensitivity and positive predictivity per record and gross, and times."""
    names = sorted(path.stem for path in folder.glob("*.hea"))
    if not names:
        raise typer.BadParameter(f"no records (*.hea) in {folder}")
    print(f"{'':14}" + "".join(f"{title:^36}" for title in METHODS))
    print(f"{'record':<8}{'beats':>6}" + HEADER * len(METHODS))
    counts = np.zeros((3, 3), np.int64)
    unreadable, n_close = np.zeros(2), np.zeros(2, np.int64)
    n_samples = 0
    seconds: list[tuple[float, float, float]] = []
    xqrs_seconds: list[float] = []
    for name in names:
        record = wfdb.rdrecord(str(folder / name))
        annotation = wfdb.rdann(str(folder / name), "atr")
        beats = annotation.sample[np.isin(annotation.symbol, list(BEATS))]
        rate, signals = record.fs, np.ascontiguousarray(record.p_signal.T)

        start = time.perf_counter()
        whole = find_r_peaks(signals, rate)
        second = time.perf_counter()
        causal = as_they_come(signals, rate)
        third = time.perf_counter()
        theirs = detect_heartbeats(signals[0], rate)
        seconds.append((second - start, third - second, time.perf_counter() - third))
        if len(xqrs_seconds) < TIMED_WITH_XQRS:
            start = time.perf_counter()
            xqrs_detect(signals[0], rate, verbose=False)
            xqrs_seconds.append(time.perf_counter() - start)

        of_record = []
        for method, found in enumerate((whole.samples, causal[0], theirs)):
            pairs = match_beats(beats, found, TOLERANCE * rate)
            of_record.append((len(pairs), len(found) - len(pairs), len(beats) - len(pairs)))
            if method < len(n_close):
                distances = np.abs(beats[pairs[:, 0]] - found[pairs[:, 1]])
                n_close[method] += (distances <= CLOSE * rate).sum()
        for method, stretches in enumerate((whole.unreadable, causal[1])):
            unreadable[method] += sum(stop - begin for begin, stop in stretches)
        n_samples += signals.shape[1]
        print(_row(name, np.array(of_record)))
        counts += of_record
    print(_row("gross", counts))

    for title, close, n_right, lost in zip(
        METHODS, n_close, counts[:, 0], unreadable, strict=False
    ):
        print(
            f"{title}: {close / n_right:.1%} within {CLOSE * 1000:.0f} ms of the annotation; "
            f"{lost / n_samples:.2%} of the time unreadable"
        )
    totals = np.sum(seconds, axis=0)
    print(
        "seconds, without reading: "
        + ", ".join(f"{title} {total:.1f}" for title, total in zip(METHODS, totals, strict=True))
    )
    ratios = sum(xqrs_seconds) / np.sum(seconds[: len(xqrs_seconds)], axis=0)
    print(
        f"times faster than wfdb's xqrs_detect on the first lead of {len(xqrs_seconds)} records: "
        + ", ".join(f"{title} {ratio:.0f}" for title, ratio in zip(METHODS, ratios, strict=True))
    )


def as_they_come(signals: np.ndarray, rate: float) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Return R peaks and unreadable stretches, found a minute at a time."""
    finder, size = CausalRPeaks(len(signals), rate), round(60 * rate)
    parts = [
        finder.push(signals[:, start : start + size]) for start in range(0, signals.shape[1], size)
    ]
    parts.append(finder.finish())
    stretches = [stretch for part in parts for stretch in part.unreadable]
    return np.concatenate([part.samples for part in parts]), stretches


def _row(name: str, counts: np.ndarray) -> str:
    """Show a line of the table; counts: (3, 3), of each method: true, false, missed."""
    methods = "".join(
        f"{true:>7}{false:>6}{missed:>6}"
        f"{_percent(true, true + missed):>8}{_percent(true, true + false):>8}"
        for true, false, missed in counts
    )
    return f"{name:<8}{counts[0, 0] + counts[0, 2]:>6}{methods}"


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.2f}" if whole else "-"


if __name__ == "__main__":
    typer.run(main)
