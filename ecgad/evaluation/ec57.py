"""Test annotations against reference annotations, beat by beat, as ANSI/AAMI EC57 has it.

Counts and figures are those of `bxb` of the WFDB software package, version 10.7.0, whose rules are
finer than its manual says; docs/compare.md has them all.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from ecgad.recordings.annotations import Annotations
from ecgad.recordings.beat_classes import CLASS_MAPS

# Rows and columns of a matrix. O: no beat; X: no beat, where the file says that nothing is read.
LABELS = "NSVFQOX"
N, S, V, F, Q, O, X = range(7)
# Waves of ventricular flutter are paired as beats are, and count as none.
LABEL_OF = {symbol: LABELS.index(label) for symbol, label in CLASS_MAPS["aami"].items()} | {"!": O}
# Seconds: from which on beats are compared; how far apart the beats of a pair may be.
START = 300.0
WINDOW = 0.15
# Bits of the subtype of ~ that say that nothing is read from there on.
UNREADABLE = 0x30
# A sample beyond all others.
NEVER = 1 << 62

# The figures of a record that are so many of so many, and one that is a time.
SHARES = (
    "qrs_sensitivity",
    "qrs_positive_predictivity",
    "veb_sensitivity",
    "veb_positive_predictivity",
    "sveb_sensitivity",
    "sveb_positive_predictivity",
    "veb_false_positive_rate",
)
RR_ERROR = "rms_rr_error_ms"
# Those of a detector that only says normal or anomalous. Sensitivity: the share of all beats of a
# class, missed ones too, that are called anomalous. Specificity: of the N beats that are found, the
# share that are called normal. False alarms: N beats that are called anomalous, and anomalous beats
# where there are none.
FALSE_ALARMS = "false_alarms_an_hour"
VERDICTS = (
    "sensitivity_S",
    "sensitivity_V",
    "sensitivity_F",
    "sensitivity_Q",
    "specificity",
    FALSE_ALARMS,
)


@dataclass(frozen=True)
class Comparison:
    """What became of the beats of a record, or of several together.

    matrix: int64, (7, 7), rows the reference's, columns the test's, as in `LABELS`.
    squared_rr_errors, rr_errors: sum in s² and number of differences between the two RR intervals.
    unreadable: seconds in which the test annotations say that nothing is read. hours: compared.
    """

    matrix: np.ndarray
    squared_rr_errors: float
    rr_errors: int
    unreadable: float
    hours: float

    def parts(self) -> dict[str, tuple[int, float]]:
        """Return what each of `SHARES` and `VERDICTS` is: so many of so many; hours at the last."""
        m = self.matrix
        beats = m[: Q + 1, : Q + 1].sum()
        # A false alarm as a V is no fault where the beat is F or Q, as an S none where it is Q.
        false_v = m[[N, S, O, X], V].sum()
        false_s = m[[N, V, F, O, X], S].sum()
        not_v = m[[N, S, F, Q, O, X]][:, [N, S, F, Q]].sum()
        counts = (
            (beats, m[: Q + 1].sum()),
            (beats, m[:, : Q + 1].sum()),
            (m[V, V], m[V].sum()),
            (m[V, V], m[V, V] + false_v),
            (m[S, S], m[S].sum()),
            (m[S, S], m[S, S] + false_s),
            (false_v, false_v + not_v),
            # The detector says Q of what is anomalous, and else N.
            *((m[row, Q], m[row].sum()) for row in (S, V, F, Q)),
            (m[N, N], m[N, N] + m[N, Q]),
        )
        names = (*SHARES, *VERDICTS[:-1])
        parts = {name: (int(a), float(b)) for name, (a, b) in zip(names, counts, strict=True)}
        return parts | {FALSE_ALARMS: (int(m[[N, O, X], Q].sum()), self.hours)}

    def rms_rr_error(self) -> float | None:
        """Return the RMS difference of RR intervals in ms; None where there are none."""
        if not self.rr_errors:
            return None
        return 1000.0 * float(np.sqrt(self.squared_rr_errors / self.rr_errors))

    def figures(self, verdicts: bool = False) -> dict[str, float | None]:
        """Return the `SHARES`, from 0 to 1, and `RR_ERROR`; None where nothing is to be counted.

        verdicts: whether `VERDICTS` as well, as for a detector that only says normal or anomalous.
        """
        names = (*SHARES, *VERDICTS) if verdicts else SHARES
        parts = {name: part for name, part in self.parts().items() if name in names}
        shares = {name: part / of if of else None for name, (part, of) in parts.items()}
        return shares | {RR_ERROR: self.rms_rr_error()}


def compare(
    reference: Annotations,
    test: Annotations,
    sampling_rate: float,
    start: float = START,
    n_samples: int | None = None,
) -> Comparison:
    """Compare the annotations of a record beat by beat.

    sampling_rate: in Hz, at which the samples of both are counted. start: in seconds; what is
    before does not count. n_samples: of the record; None: it ends with the last annotation of the
    reference.
    """
    window = int(WINDOW * sampling_rate + 0.5)
    first = int(start * sampling_rate + 0.5)
    beats, found = _read(reference, window), _read(test, window)
    end = n_samples or int(np.max(reference.samples, initial=0))

    counted = slice(*np.searchsorted(beats.samples, (first, end + 1)))
    beats_at, labels, rr = (of[counted] for of in (beats.samples, beats.labels, beats.rr))
    begin = _first_found(found.samples, first, window, beats_at[0] if len(beats_at) else NEVER)
    found_at, found_labels, found_rr = (
        of[begin:] for of in (found.samples, found.labels, found.rr)
    )

    steps = np.array(_steps(beats_at.tolist(), found_at.tolist(), window), np.int64).reshape(-1, 4)
    i, j, took, took_found = steps.T
    paired = (took & took_found).astype(bool)
    missed, extra = ~took_found.astype(bool), ~took.astype(bool)
    matrix = np.zeros((7, 7), np.int64)
    np.add.at(matrix, (labels[i[paired]], found_labels[j[paired]]), 1)
    unread = _within(found.unreadable, beats_at[i[missed]])
    np.add.at(matrix, (labels[i[missed]], np.where(unread, X, O)), 1)
    extra_at = found_at[j[extra]]
    counts = (extra_at >= first) & (extra_at <= end) & ~_within(beats.fibrillation, extra_at)
    unread = _within(beats.unreadable, extra_at)
    np.add.at(matrix, (np.where(unread, X, O)[counts], found_labels[j[extra]][counts]), 1)
    matrix[O:, O:] = 0

    # Both RR intervals are compared at each step, whether or not their beats are a pair.
    of_rr = ~extra
    of_rr[extra] = extra_at >= first
    errors = np.append(rr, np.nan)[i[of_rr]] - np.append(found_rr, np.nan)[j[of_rr]]
    errors = errors[np.isfinite(errors)] / sampling_rate
    return Comparison(
        matrix=matrix,
        squared_rr_errors=float((errors**2).sum()),
        rr_errors=len(errors),
        unreadable=float((found.unreadable[:, 1] - found.unreadable[:, 0]).sum() / sampling_rate),
        hours=max(0, end - first) / sampling_rate / 3600,
    )


def gross(comparisons: Iterable[Comparison]) -> Comparison:
    """Return records as one, in which each beat counts alike."""
    every = list(comparisons)
    return Comparison(
        matrix=sum((of.matrix for of in every), np.zeros((7, 7), np.int64)),
        squared_rr_errors=sum(of.squared_rr_errors for of in every),
        rr_errors=sum(of.rr_errors for of in every),
        unreadable=sum(of.unreadable for of in every),
        hours=sum(of.hours for of in every),
    )


def average(figures: Sequence[dict[str, float | None]]) -> dict[str, float | None]:
    """Return the mean of each figure over records, of which each counts alike; those that lack a
    figure are left out of it.
    """
    known = {name: [of[name] for of in figures] for name in figures[0]}
    present = {name: [v for v in values if v is not None] for name, values in known.items()}
    return {name: fmean(values) if values else None for name, values in present.items()}


def says_verdicts(tests: Iterable[Annotations]) -> bool:
    """Return whether test annotations are those of a detector that says normal or anomalous: their
    beats are N and Q, and both are there.
    """
    symbols = {str(symbol) for test in tests for symbol in np.unique(test.symbols)}
    return symbols & {*CLASS_MAPS["aami"]} == {"N", "Q"}


@dataclass(frozen=True)
class _Beats:
    """What a file says of beats, and of where there is none to be sought; all in samples.

    samples, labels: int64, (n_beats,), flutter waves among them. rr: float64, (n_beats,), the RR
    interval before each; NaN where something lies in between. fibrillation, unreadable: int64,
    (n, 2), first and last sample of stretches.
    """

    samples: np.ndarray
    labels: np.ndarray
    rr: np.ndarray
    fibrillation: np.ndarray
    unreadable: np.ndarray


def _read(annotations: Annotations, window: int) -> _Beats:
    order = np.argsort(annotations.samples, kind="stable")
    samples = np.asarray(annotations.samples, np.int64)[order]
    symbols = np.asarray(annotations.symbols)[order]
    subtypes = np.zeros(len(samples), np.int8)
    if annotations.subtypes is not None:
        subtypes = np.asarray(annotations.subtypes)[order]
    known, inverse = np.unique(symbols, return_inverse=True)
    labels = np.array([LABEL_OF.get(str(symbol), -1) for symbol in known], np.int64)[inverse]

    on, off = symbols == "[", symbols == "]"
    # Of each annotation, the last [ or ] until then.
    last = np.maximum.accumulate(np.where(on | off, np.arange(len(samples)), -1))
    fibrillates = (last >= 0) & on[last] if len(samples) else on
    noise, silent = symbols == "~", subtypes & UNREADABLE == UNREADABLE
    resumes, silent = noise & ~silent, noise & silent
    breaks = on | (silent & ~fibrillates)

    is_beat = labels >= 0
    counted = is_beat & ~fibrillates
    broken = np.diff(np.cumsum(breaks)[counted]) > 0
    rr = np.full(int(counted.sum()), np.nan)
    rr[1:] = np.where(broken, np.nan, np.diff(samples[counted]))
    return _Beats(
        samples=samples[counted],
        labels=labels[counted],
        rr=rr,
        fibrillation=_fibrillation(samples, fibrillates),
        unreadable=_unreadable(samples, silent & ~fibrillates, resumes, is_beat, window),
    )


def _fibrillation(samples: np.ndarray, fibrillates: np.ndarray) -> np.ndarray:
    """Return stretches of fibrillation. The last one, where no ] ends it, is one only where none
    was before, as in bxb.
    """
    edges = np.diff(np.r_[False, fibrillates].astype(np.int8))
    starts, ends = samples[edges == 1], samples[edges == -1]
    if len(starts) > len(ends) == 0:
        ends = np.array([NEVER])
    return np.stack([starts[: len(ends)], ends], axis=1)


def _unreadable(
    samples: np.ndarray, silent: np.ndarray, resumes: np.ndarray, is_beat: np.ndarray, window: int
) -> np.ndarray:
    """Return stretches in which nothing is read, one for each annotation of `silent`.

    Where one of `resumes` comes next, it is from one to the other. Else the annotation stands
    somewhere within: from a window after the beat before to a window before what comes next.
    """
    beats = np.flatnonzero(is_beat)
    stretches = []
    for at in np.flatnonzero(silent[:-1]):
        begin, end = samples[at], samples[at + 1]
        if not resumes[at + 1]:
            before = np.searchsorted(beats, at)
            begin = (samples[beats[before - 1]] if before else 0) + window
            end = max(begin, end - window)
        stretches.append((begin, end))
    return np.array(stretches, np.int64).reshape(-1, 2)


def _within(stretches: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """Return which samples lie in a stretch, both ends in."""
    # Of all stretches that begin until then, whether one lasts until there.
    order = np.argsort(stretches[:, 0], kind="stable")
    begins, ends = stretches[order, 0], np.maximum.accumulate(stretches[order, 1])
    last = np.searchsorted(begins, samples, side="right") - 1
    inside = last >= 0
    inside[inside] = samples[inside] <= ends[last[inside]]
    return inside


def _first_found(found: np.ndarray, first: int, window: int, beat: int) -> int:
    """Return the index of the test beat with which to begin: the last one before the start, which
    may be that of the first reference beat; or one of the next, within a window of the start, if it
    is nearer to it.
    """
    begin = max(0, int(np.searchsorted(found, first)) - 1)
    while (
        begin + 1 < len(found)
        and found[begin] <= first + window
        and abs(found[begin + 1] - beat) < abs(found[begin] - beat)
    ):
        begin += 1
    return begin


def _steps(beats: list[int], found: list[int], window: int) -> list[tuple[int, int, int, int]]:
    """Go through both files at once, and say of each step at which beats it is, and whether it
    takes each: both are a pair, one alone is missed or found where there is none.

    The earlier of the two beats takes the later one where that is within the window, unless the
    next beat of its own file is as near to that or nearer; and even then, if that next beat is
    nearer still to the beat after.
    """
    a, b = [*beats, NEVER, NEVER], [*found, NEVER, NEVER]
    steps = []
    i = j = 0
    while i < len(beats) or j < len(found):
        at, found_at = a[i], b[j]
        if found_at < at:
            early, late, after_early, after_late = found_at, at, b[j + 1], a[i + 1]
        else:
            early, late, after_early, after_late = at, found_at, a[i + 1], b[j + 1]
        rival = abs(after_early - late)
        if late - early <= window and (
            late - early < rival or abs(after_late - after_early) < rival
        ):
            steps.append((i, j, 1, 1))
            i, j = i + 1, j + 1
        elif found_at < at:
            steps.append((i, j, 0, 1))
            j += 1
        else:
            steps.append((i, j, 1, 0))
            i += 1
    return steps
