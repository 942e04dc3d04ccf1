"""How well R peaks are found in the MIT-BIH Arrhythmia Database (Moody & Mark 2001).

    python benchmarks/r_peaks.py [FOLDER]

Beside ours stands sleepecg with its defaults, on the first lead alone. The whole of every record
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
from ecgad.processing.r_peaks import find_r_peaks
from ecgad.recordings.beat_classes import BEATS

TOLERANCE, CLOSE = 0.15, 0.02  # s
TIMED_WITH_XQRS = 2  # records, for it is slow
HEADER = f"{'TP':>7}{'FP':>6}{'FN':>6}{'Se %':>8}{'PPV %':>8}"


def main(folder: Annotated[Path, typer.Argument()] = Path("data/raw/mitdb")) -> None:
    """Print counts, sensitivity and positive predictivity per record and gross, and times."""
    names = sorted(path.stem for path in folder.glob("*.hea"))
    if not names:
        raise typer.BadParameter(f"no records (*.hea) in {folder}")
    print(f"{'':20}{'ours':^35}{'':13}{'sleepecg, first lead':^35}")
    print(f"{'record':<12}{'beats':>8}{HEADER}{'unreadable %':>13}{HEADER}")
    counts = np.zeros((2, 3), np.int64)
    unreadable = n_samples = n_close = 0
    seconds: list[tuple[float, float]] = []
    xqrs_seconds: list[float] = []
    for name in names:
        record = wfdb.rdrecord(str(folder / name))
        annotation = wfdb.rdann(str(folder / name), "atr")
        beats = annotation.sample[np.isin(annotation.symbol, list(BEATS))]
        rate, signals = record.fs, np.ascontiguousarray(record.p_signal.T)

        start = time.perf_counter()
        ours = find_r_peaks(signals, rate)
        middle = time.perf_counter()
        theirs = detect_heartbeats(signals[0], rate)
        seconds.append((middle - start, time.perf_counter() - middle))
        if len(xqrs_seconds) < TIMED_WITH_XQRS:
            start = time.perf_counter()
            xqrs_detect(signals[0], rate, verbose=False)
            xqrs_seconds.append(time.perf_counter() - start)

        pairs = match_beats(beats, ours.samples, TOLERANCE * rate)
        distances = np.abs(beats[pairs[:, 0]] - ours.samples[pairs[:, 1]])
        n_close += int((distances <= CLOSE * rate).sum())
        n_theirs = len(match_beats(beats, theirs, TOLERANCE * rate))
        of_record = np.array(
            [
                (len(pairs), len(ours.samples) - len(pairs), len(beats) - len(pairs)),
                (n_theirs, len(theirs) - n_theirs, len(beats) - n_theirs),
            ]
        )
        lost = sum(stop - start for start, stop in ours.unreadable)
        print(_row(name, of_record, lost / signals.shape[1]))
        counts += of_record
        unreadable, n_samples = unreadable + lost, n_samples + signals.shape[1]
    print(_row("gross", counts, unreadable / n_samples))

    print(f"within {CLOSE * 1000:.0f} ms of the annotation: {n_close / counts[0, 0]:.1%} of ours")
    ours_seconds, theirs_seconds = np.sum(seconds, axis=0)
    print(f"seconds, without reading: ours {ours_seconds:.1f}, sleepecg {theirs_seconds:.1f}")
    ours_ratio, theirs_ratio = sum(xqrs_seconds) / np.sum(seconds[: len(xqrs_seconds)], axis=0)
    print(
        f"times faster than wfdb's xqrs_detect on the first lead of {len(xqrs_seconds)} records: "
        f"ours (all leads) {ours_ratio:.0f}, sleepecg {theirs_ratio:.0f}"
    )


def _row(name: str, counts: np.ndarray, unreadable: float) -> str:
    """Show a line of the table; counts: (2, 3), of ours and sleepecg: true, false, missed."""
    ours, theirs = (
        f"{true:>7}{false:>6}{missed:>6}"
        f"{_percent(true, true + missed):>8}{_percent(true, true + false):>8}"
        for true, false, missed in counts
    )
    return f"{name:<12}{counts[0, 0] + counts[0, 2]:>8}{ours}{100 * unreadable:>13.2f}{theirs}"


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.2f}" if whole else "-"


if __name__ == "__main__":
    typer.run(main)
