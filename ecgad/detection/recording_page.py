"""The page of a recording: what was found, to look at."""

import math
from collections.abc import Sequence
from datetime import datetime
from html import escape
from typing import Any

import numpy as np

from ecgad.detection.course import course_of
from ecgad.detection.drawing import STRIP, VOLTAGE_STEP, Drawing, UsualBeat
from ecgad.detection.findings import Findings
from ecgad.pages.page import NOTICE, page, table
from ecgad.recordings.lead_names import is_ecg
from ecgad.recordings.reader import Reader

STYLES = ("recording.css",)
SCRIPTS = ("ecg.js", "course.js", "events.js", "viewer.js", "recording.js")
# Leads that are drawn: those judged, and one beside it.
LEADS = 2
# Events that are listed, and what one takes.
MOST_EVENTS, BYTES_AN_EVENT = 20_000, 60
# Bytes of a page of strips, and of what it has beside ECG, beats and events.
LARGEST, BESIDE = 10_000_000, 300_000
# Of what a detector was measured by, the names.
MEASURES = {
    "auroc": "AUROC",
    "average_precision": "average precision",
    "recall": "sensitivity (recall)",
}


def recording_page(
    findings: Findings, reader: Reader, summary: dict[str, Any], reasons: Sequence[str]
) -> list[str]:
    """Return the page of a recording, in pieces.

    reader: of the same recording; it is read again. summary: as in NAME.json. reasons: of each
    beat. Raises FileError where the recording cannot be read any more.
    """
    leads = _drawn_leads(findings, reader)
    drawing = Drawing(findings, reader, leads)
    events = _Events(findings)
    body = _body(findings, reader, summary, drawing.continuous)
    usual, course = _usual(drawing.usual_beat()), _course(findings)
    most_bytes = float(LARGEST - BESIDE - BYTES_AN_EVENT * len(events.peak))
    while True:
        stretches = drawing.stretches(events.strip_centres(), most_bytes)
        data = {
            "name": findings.name,
            "leads": [reader.lead_names[lead] for lead in leads],
            "first": _rounded(findings.first / findings.sampling_rate),
            "seconds": _rounded(findings.n_samples / findings.sampling_rate),
            "clock": _clock(findings),
            "threshold": summary["detector"]["threshold"],
            "course": course,
            "unreadable": summary["unreadable"],
            **_beats_and_events(findings, events, stretches, reasons),
            "ecg": {
                "rate": drawing.rate,
                "step": VOLTAGE_STEP,
                "pieces": [
                    [_rounded(start / findings.sampling_rate), drawing.length(start, stop)]
                    for start, stop in stretches
                ],
            },
            "continuous": drawing.continuous,
            "usual": usual,
        }
        title = f"{findings.name}: ECG anomalies"
        blobs = {"ecg": drawing.deflated(stretches)}
        pieces = list(page(title, body, STYLES, SCRIPTS, data, blobs))
        size = sum(map(len, pieces))
        # Without any strip, nothing is left to be cut.
        if drawing.continuous or size <= LARGEST or not stretches:
            return pieces
        # The ECG is harder to deflate than most.
        most_bytes *= 0.98 * LARGEST / size


def _beats_and_events(
    findings: Findings,
    events: "_Events",
    stretches: Sequence[tuple[int, int]],
    reasons: Sequence[str],
) -> dict[str, Any]:
    """Return events, the beats of these stretches, and the reasons that both refer to."""
    shown = np.zeros(len(findings.beats), bool)
    for stretch in stretches:
        first, last = np.searchsorted(findings.beats.samples, stretch)
        shown[first:last] = True
    words: dict[str, int] = {}
    return {
        "events": events.columns(reasons, words),
        "beats": _beats(findings, np.flatnonzero(shown), reasons, words),
        "reasons": list(words),
    }


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


def _usual(beat: UsualBeat | None) -> dict[str, Any] | None:
    if beat is None:
        return None
    return {
        "before": beat.before,
        "beats": beat.n_beats,
        "low": [_list(lead, 3) for lead in beat.low],
        "middle": [_list(lead, 3) for lead in beat.middle],
        "high": [_list(lead, 3) for lead in beat.high],
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


def _body(findings: Findings, reader: Reader, summary: dict[str, Any], continuous: bool) -> str:
    """Return what the page says without its scripts."""
    name, detector = escape(findings.name), summary["detector"]
    told = ""
    if findings.n_samples < reader.n_samples:
        ends = (findings.first, findings.first + findings.n_samples)
        from_, to = (_clock_words(sample / findings.sampling_rate) for sample in ends)
        told += f", from {from_} to {to} of a recording"
    if (start := findings.start) is not None:
        told += f" that began {_start_words(start)}" if told else f", begun {_start_words(start)}"
    which = findings.lead if findings.lead.startswith("lead") else f"lead {findings.lead}"
    annotator = summary["made_by"].get("annotator")
    peaks = f" Its R peaks are those of the annotations {annotator}." if annotator else ""
    lead = (
        f"{_length_words(summary['seconds'])} of ECG{told}, judged in {escape(which)} at "
        f"{findings.sampling_rate:g} Hz.{escape(peaks)}"
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
    share = f"{summary['anomalous'] / summary['judged']:.1%}" if summary["judged"] else "–"
    shown = [
        (f"{summary['anomalous']:,}", f"anomalous of {summary['judged']:,} judged beats"),
        (share, "of judged beats anomalous"),
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
    couplets, runs = (
        f"{events[kind]:,} {kind}{'' if events[kind] == 1 else 's'}" for kind in ("couplet", "run")
    )
    return f"events: {events['single']:,} single, {couplets}, {runs}"


def _rate(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}"


def _clock_words(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def _length_words(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.3g} seconds"
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
