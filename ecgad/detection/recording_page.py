"""The page of a recording: what was found, to look at."""

import math
import zlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from html import escape
from typing import Any

import numpy as np

from ecgad.detection.course import course_of
from ecgad.detection.findings import Findings
from ecgad.detection.whole import STRETCH
from ecgad.pages.page import NOTICE, page, table
from ecgad.recordings.lead_names import is_ecg
from ecgad.recordings.reader import Reader

STYLES = ("recording.css",)
SCRIPTS = ("ecg.js", "course.js", "events.js", "viewer.js", "recording.js")
# s; up to here the whole ECG is on the page, beyond it the strips of events.
CONTINUOUS = 3600.0
STRIP = 10.0
# Leads that are drawn: those judged, and one beside it.
LEADS = 2
# What the ECG is drawn from: steps in mV, and about so many samples a second.
VOLTAGE_STEP, DRAWN_RATE = 0.005, 250.0
MISSING = -(2**15)
# The largest that the ECG may be, in bytes as deflated: a page of 10 MB with all else. A sample
# takes about so many bytes.
LARGEST_ECG, BYTES_A_SAMPLE = 5_600_000, 0.6
# s; stretches that are nearer are read together, which is faster than to read them apart.
NEAR = 120.0
# Events that are listed.
MOST_EVENTS = 20_000
# The usual beat: seconds around the R peak, and of how many normal beats it is the middle, of which
# so many come in a row.
BEFORE_R, AFTER_R = 0.3, 0.4
N_USUAL, IN_A_ROW = 200, 8
MEASURES = {
    "auroc": "AUROC",
    "average_precision": "average precision",
    "recall": "sensitivity (recall)",
}
USUAL_QUANTILES = (0.05, 0.5, 0.95)


def recording_page(
    findings: Findings, reader: Reader, summary: dict[str, Any], reasons: Sequence[str]
) -> Iterator[str]:
    """Give the page of a recording piece by piece.

    reader: of the same recording; it is read again. summary: as in NAME.json. reasons: of each
    beat. Raises FileError where the recording cannot be read any more.
    """
    leads = _drawn_leads(findings, reader)
    events = _Events(findings)
    drawing = _Drawing(findings, reader, leads)
    pieces, ecg = drawing.pieces(events)
    shown = np.zeros(len(findings.beats), bool)
    for start, stop in pieces:
        first, last = np.searchsorted(findings.beats.samples, (start, stop))
        shown[first:last] = True
    words: dict[str, int] = {}
    data = {
        "name": findings.name,
        "leads": [reader.lead_names[lead] for lead in leads],
        "first": _rounded(findings.first / findings.sampling_rate),
        "seconds": _rounded(findings.n_samples / findings.sampling_rate),
        "clock": _clock(findings),
        "threshold": summary["detector"]["threshold"],
        "course": _course(findings),
        "unreadable": summary["unreadable"],
        "events": events.columns(reasons, words),
        "beats": _beats(findings, np.flatnonzero(shown), reasons, words),
        "reasons": list(words),
        "ecg": {
            "rate": drawing.rate,
            "step": VOLTAGE_STEP,
            "pieces": [
                [_rounded(start / findings.sampling_rate), drawing.length(start, stop)]
                for start, stop in pieces
            ],
        },
        "continuous": drawing.continuous,
        "usual": drawing.usual_beat(),
    }
    yield from page(
        f"{findings.name}: ECG anomalies",
        _body(findings, summary, drawing.continuous),
        STYLES,
        SCRIPTS,
        data,
        {"ecg": ecg},
    )


def _drawn_leads(findings: Findings, reader: Reader) -> list[int]:
    """Return the leads that are drawn, the judged ones first."""
    others = [
        index
        for index, name in enumerate(reader.lead_names)
        if is_ecg(name) and index not in findings.judged
    ]
    return [*findings.judged, *others][: max(LEADS, len(findings.judged))]


class _Events:
    """Events of a recording, the most anomalous first: arrays (n_events,) of indices of beats.

    first, last, peak: the first beat of each, the last and that with the highest score.
    """

    def __init__(self, findings: Findings) -> None:
        beats = findings.beats
        found = findings.events()
        peaks = np.array([a + int(beats.scores[a:b].argmax()) for a, b in found], np.int64)
        order = np.argsort(-beats.scores[peaks], kind="stable") if found else peaks
        self.findings = findings
        self.n_all = len(found)
        order = order[:MOST_EVENTS]
        self.peak = peaks[order]
        self.first = np.array([a for a, _ in found], np.int64)[order]
        self.last = np.array([b - 1 for _, b in found], np.int64)[order]

    def strip_centres(self) -> np.ndarray:
        """Return where the strip of each event has its centre, in samples."""
        samples, rate = self.findings.beats.samples, self.findings.sampling_rate
        first, last = samples[self.first], samples[self.last]
        # A long run does not fit.
        fits = last - first <= 0.8 * STRIP * rate
        return np.where(fits, (first + last) // 2, samples[self.peak])

    def columns(self, reasons: Sequence[str], words: dict[str, int]) -> dict[str, Any]:
        """Return the events as columns. words: gets the reasons, each with its number."""
        beats, seconds = self.findings.beats, self.findings.seconds
        return {
            "all": self.n_all,
            "first": _list(seconds[self.first], 3),
            "last": _list(seconds[self.last], 3),
            "beats": (self.last - self.first + 1).tolist(),
            "peak": _list(seconds[self.peak], 3),
            "centre": _list(self.strip_centres() / self.findings.sampling_rate, 3),
            "score": _significant(beats.scores[self.peak]),
            "reason": [words.setdefault(reasons[i], len(words)) for i in self.peak.tolist()],
        }


class _Drawing:
    """The ECG as it is drawn: fewer samples, whole steps of voltage."""

    def __init__(self, findings: Findings, reader: Reader, leads: Sequence[int]) -> None:
        self.findings, self.reader, self.leads = findings, reader, list(leads)
        # Means of so many samples.
        self.every = max(1, round(findings.sampling_rate / DRAWN_RATE))
        self.rate = findings.sampling_rate / self.every
        self.first, self.stop = findings.first, findings.first + findings.n_samples
        self.continuous = findings.n_samples <= CONTINUOUS * findings.sampling_rate

    def length(self, start: int, stop: int) -> int:
        """Return how many samples are drawn of a stretch."""
        return (stop - start) // self.every

    def pieces(self, events: _Events) -> tuple[list[tuple[int, int]], bytes]:
        """Return the stretches that are drawn, in samples, and their ECG."""
        if self.continuous:
            stretches = [(self.first, self.stop)]
            return stretches, self._deflated(stretches)
        n_events = len(events.peak)
        while True:
            stretches = self._strips(events.strip_centres()[:n_events])
            n_samples = sum(self.length(*of) for of in stretches) * len(self.leads)
            share = LARGEST_ECG / max(1.0, n_samples * BYTES_A_SAMPLE)
            if share >= 1:
                ecg = self._deflated(stretches)
                if len(ecg) <= LARGEST_ECG:
                    return stretches, ecg
                share = LARGEST_ECG / len(ecg)
            n_events = int(n_events * share * 0.98)

    def _strips(self, centres: np.ndarray) -> list[tuple[int, int]]:
        """Return the strips around these samples in time, joined where they overlap."""
        width = round(STRIP * self.findings.sampling_rate) // self.every * self.every
        found: list[tuple[int, int]] = []
        for start in np.clip(np.sort(centres) - width // 2, self.first, self.stop - width).tolist():
            # All on one grid, so that joined ones are.
            begin = start - (start - self.first) % self.every
            if found and begin <= found[-1][1]:
                found[-1] = found[-1][0], begin + width
            else:
                found.append((begin, begin + width))
        return found

    def _deflated(self, stretches: Sequence[tuple[int, int]]) -> bytes:
        """Return the ECG of stretches, lead after lead, in half a byte a sample or so.

        Differences from sample to sample, modulo 2**16, with their sign in the lowest bit; first
        the lower bytes of all, then the upper ones. So prepared, runs and Huffman codes alone are
        smaller than the usual search for repeats, which takes ten times as long.
        """
        ecg = [
            np.diff(values, axis=1, prepend=np.int16(0)).ravel() for values in self._read(stretches)
        ]
        differences = np.concatenate([np.empty(0, np.int16), *ecg])
        codes = ((differences << 1) ^ (differences >> 15)).view(np.uint16)
        planes = np.stack([codes & 0xFF, codes >> 8]).astype(np.uint8)
        deflate = zlib.compressobj(1, strategy=zlib.Z_RLE)
        return deflate.compress(planes.tobytes()) + deflate.flush()

    def _read(self, stretches: Sequence[tuple[int, int]]) -> Iterator[np.ndarray]:
        """Give stretches as they are drawn, int16 (n_leads, n_samples), MISSING without a sample.

        stretches: ascending; they may overlap. Near ones are read together, long ones in parts.
        """
        rate = self.findings.sampling_rate
        near, longest = round(NEAR * rate), round(STRETCH * rate)
        begin, end, values = 0, 0, np.empty((len(self.leads), 0))
        for index, (start, stop) in enumerate(stretches):
            parts = []
            for at in range(start, stop, longest // self.every * self.every):
                last = min(at + longest // self.every * self.every, stop)
                if last > end:
                    begin, end = at, last
                    for _, further in stretches[index + 1 :] if last == stop else ():
                        if further - begin > longest or further - end > near:
                            break
                        end = max(end, further)
                    values = self.reader.read(self.leads, begin, end)
                parts.append(self._drawn(values[:, at - begin : last - begin]))
            yield np.concatenate(parts, axis=1)

    def _drawn(self, values: np.ndarray) -> np.ndarray:
        n_samples = values.shape[1] // self.every
        of_means = values[:, : n_samples * self.every].reshape(len(values), n_samples, self.every)
        steps = np.rint(of_means.mean(axis=2) / VOLTAGE_STEP)
        clipped = np.clip(steps, -(2**15) + 1, 2**15 - 1)
        return np.where(np.isnan(clipped), MISSING, clipped).astype(np.int16)

    def usual_beat(self) -> dict[str, Any] | None:
        """Return the middle of the patient's normal beats in each drawn lead, in mV.

        None where there is none. Each beat less its own median: the baseline wanders.
        """
        beats = self.findings.beats
        before = round(BEFORE_R * self.rate) * self.every
        after = round(AFTER_R * self.rate) * self.every
        within = (beats.samples - before >= self.first) & (beats.samples + after <= self.stop)
        samples = beats.samples[(beats.verdicts == 0) & within]
        if not len(samples):
            return None
        starts = np.linspace(0, max(0, len(samples) - IN_A_ROW), N_USUAL // IN_A_ROW).astype(int)
        some = np.unique(starts[:, np.newaxis] + np.arange(min(IN_A_ROW, len(samples))))
        around = [(at - before, at + after) for at in samples[some].tolist()]
        steps = np.stack(list(self._read(around)))
        values = np.where(steps == MISSING, np.nan, steps * VOLTAGE_STEP)
        complete = ~np.isnan(values).any(axis=(1, 2))
        if not complete.any():
            return None
        values = values[complete]
        values -= np.median(values, axis=2, keepdims=True)
        low, middle, high = np.quantile(values, USUAL_QUANTILES, axis=0)
        return {
            "before": before / self.findings.sampling_rate,
            "beats": int(complete.sum()),
            "low": [_list(lead, 3) for lead in low],
            "middle": [_list(lead, 3) for lead in middle],
            "high": [_list(lead, 3) for lead in high],
        }


def _course(findings: Findings) -> dict[str, Any]:
    course = course_of(findings)
    return {
        "step": course.step,
        "heart_rate": _list(course.heart_rate, 1),
        "lowest": _list(course.lowest, 1),
        "highest": _list(course.highest, 1),
        "score": _significant(course.score),
        "highest_score": _significant(course.highest_score),
        "anomalous": _list(course.anomalous, 2),
        "judged": course.judged.astype(int).tolist(),
    }


def _beats(
    findings: Findings, shown: np.ndarray, reasons: Sequence[str], words: dict[str, int]
) -> dict[str, Any]:
    """Return the beats whose ECG is drawn, as columns."""
    beats = findings.beats
    return {
        "at": _list(findings.seconds[shown], 3),
        "rr": _list(beats.rr[shown], 3),
        "score": _significant(beats.scores[shown]),
        "verdict": beats.verdicts[shown].tolist(),
        "reason": [words.setdefault(reasons[index], len(words)) for index in shown.tolist()],
    }


def _rounded(seconds: float) -> float:
    return round(seconds, 4)


def _list(values: np.ndarray, decimals: int) -> list[float | None]:
    """Return numbers for JSON; None where there is none."""
    rounded = np.round(values.astype(float), decimals).tolist()
    return [None if math.isnan(value) else value for value in rounded]


def _significant(values: np.ndarray) -> list[float | None]:
    return [None if math.isnan(value) else float(f"{value:.4g}") for value in values.tolist()]


def _clock(findings: Findings) -> float | None:
    """Return the time of day of the recording's first sample, in seconds; None if not known."""
    start = findings.start
    if start is None:
        return None
    return start.hour * 3600 + start.minute * 60 + start.second + start.microsecond / 1e6


def _body(findings: Findings, summary: dict[str, Any], continuous: bool) -> str:
    """Return what the page says without its scripts."""
    name, detector = escape(findings.name), summary["detector"]
    start = findings.start
    told = "" if start is None else f", begun {_start_words(start)}"
    lead = (
        f"{_length_words(summary['seconds'])} of ECG{told}, judged in lead "
        f"{escape(findings.lead)} at {findings.sampling_rate:g} Hz."
    )
    parts = [f"<header><h1>{name}</h1>\n<p>{lead} {NOTICE}</p></header>", _figures(summary)]
    contents = [("course", "Course"), ("events", "Events")]
    if continuous:
        contents.insert(1, ("ecg-view", "ECG"))
    contents.append(("detector", "Detector"))
    links = " · ".join(f'<a href="#{anchor}">{words}</a>' for anchor, words in contents)
    parts.append(f'<nav aria-label="Contents" class="screen"><p>{links}</p></nav>')
    parts.append(
        '<noscript><p class="note">The pictures of this page are drawn by JavaScript, which is '
        "switched off. The figures above and below need none, and the tables beside this file "
        "hold every beat.</p></noscript>"
    )
    parts.append('<section id="course" aria-labelledby="course-title"></section>')
    if continuous:
        parts.append('<section id="ecg-view" aria-labelledby="ecg-title"></section>')
    parts.append('<section id="events" aria-labelledby="events-title"></section>')
    parts.append(_detector(detector))
    return "\n".join(parts)


def _figures(summary: dict[str, Any]) -> str:
    rates, events = summary["heart_rate"], summary["events"]
    share = summary["anomalous"] / summary["judged"] if summary["judged"] else 0.0
    shown = [
        (f"{summary['anomalous']:,}", f"anomalous of {summary['judged']:,} judged beats"),
        (f"{share:.1%}", "of judged beats anomalous"),
        (f"{events['all']:,}", _event_words(events)),
        (
            _rate(rates["median"]),
            f"beats a minute; {_rate(rates['lowest'])} to "
            f"{_rate(rates['highest'])}, minute by minute",
        ),
        (f"{summary['share_readable']:.1%}", "of the recording readable"),
    ]
    items = "".join(f"<li><strong>{a}</strong><span>{b}</span></li>" for a, b in shown)
    return f'<ul class="figures">{items}</ul>'


def _event_words(events: dict[str, Any]) -> str:
    kinds = f"{events['single']:,} single, {events['couplet']:,} couplets, {events['run']:,} runs"
    return f"events: {kinds}"


def _rate(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}"


def _length_words(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} seconds"
    if seconds < 2 * 3600:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.1f} hours"


def _start_words(start: Any) -> str:
    return f"{start:%Y-%m-%d %H:%M:%S}" if isinstance(start, datetime) else f"at {start:%H:%M:%S}"


def _detector(about: dict[str, Any]) -> str:
    """Say which detector it was, what its threshold promises, and what it was measured on."""
    rows = [
        ("detector", about["name"]),
        ("threshold", f"{about['threshold']:.4g}: a beat with a higher score is anomalous"),
        ("promise", about["promise"]),
        ("trained on", about["trained_on"] or "not known"),
        ("measured on", about["measured_on"] or "not known"),
        ("checksum (SHA-256)", about["sha256"]),
    ]
    parts = [
        '<section id="detector" aria-labelledby="detector-title">',
        '<h2 id="detector-title">The detector</h2>',
        table((), rows).replace("<table>", '<table class="words">'),
    ]
    if about["measured"] is not None:
        measured = about["measured"].items()
        rows = [(MEASURES.get(name, name), f"{of:.3f}") for name, of in measured if of is not None]
        parts.append(table((), rows, "Measured on its test beats when it was made"))
    parts.append(
        "<p>It was trained on normal beats alone, and finds what differs from them; it names no "
        "rhythm and no disease. A share of normal beats is called anomalous by design, and some "
        "anomalous ones are missed.</p></section>"
    )
    return "\n".join(parts)
