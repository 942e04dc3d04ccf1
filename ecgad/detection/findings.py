"""What a detector has found in a recording, in words and figures that a person can use."""

import math
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

import numpy as np

from ecgad.detection.live import LEFT_OUT, JudgedBeats
from ecgad.processing.evidence import EVIDENCE
from ecgad.scoring.parts import PARTS

# How much earlier or later than usual a beat has to come for that to be worth a word, how much
# later than that the next one, and how many times as far from its template as usual a beat has to
# be, where it is early or late anyway.
EARLY, LATE, PAUSE, APART = 0.9, 1.25, 1.15, 1.5
MINUTE = 60.0
# The share of a step of time that RR intervals have to cover, for a heart rate over it.
COVERED = 0.5
KINDS = {1: "single", 2: "couplet"}


@dataclass(frozen=True)
class Findings:
    """The beats of a recording with their verdicts, and where it could not be read.

    lead: which one was judged; channel: its number among the signals of the file; judged: of those
    judged, their indices among the leads of the recording's reader. first, n_samples:
    the stretch that was looked at, in samples of the recording. start: when the recording's first
    sample was taken. unreadable: stretches [start, stop), in samples. usual_shares: of the error by
    the part of a beat, of normal beats; None where not known.
    """

    name: str
    lead: str
    channel: int
    judged: tuple[int, ...]
    sampling_rate: float
    first: int
    n_samples: int
    start: datetime | time | None
    beats: JudgedBeats
    unreadable: list[tuple[int, int]]
    usual_shares: tuple[float, ...] | None

    @property
    def seconds(self) -> np.ndarray:
        """When each beat comes, in seconds from the start of the recording."""
        return self.beats.samples / self.sampling_rate

    def clock(self, seconds: np.ndarray) -> list[str]:
        """Return clock times, to the millisecond; empty where the recording has none."""
        if self.start is None:
            return [""] * len(seconds)
        start = self.start
        dated = start if isinstance(start, datetime) else datetime.combine(date.min, start)
        times = np.datetime64(dated, "us") + np.rint(seconds * 1e6).astype("timedelta64[us]")
        rounded = (times + np.timedelta64(500, "us")).astype("datetime64[ms]")
        words = np.datetime_as_string(rounded).tolist()
        return words if isinstance(start, datetime) else [word.split("T")[1] for word in words]

    def reasons(self) -> list[str]:
        """Say of each beat why it is anomalous, or why it was not judged; else nothing."""
        beats = self.beats
        words = [LEFT_OUT[why] for why in beats.left_out.tolist()]
        anomalous = np.flatnonzero(beats.verdicts == 1)
        pauses, apart = (self._evidence(name) for name in ("pause_after", "template_error_ratio"))
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = beats.rr / beats.usual_rr
            shares = beats.shares / np.asarray(self.usual_shares or (1, 1, 1), np.float32)
        for index in anomalous.tolist():
            found = []
            if ratio[index] < EARLY:
                found.append(f"early by {1 - ratio[index]:.0%}")
            elif ratio[index] > LATE:
                found.append(f"late by {ratio[index] - 1:.0%}")
            if pauses[index] > np.log(PAUSE):
                found.append("a pause follows")
            if not found or not apart[index] < np.log(APART):
                found.append(PARTS[int(np.nan_to_num(shares[index]).argmax())])
            words[index] = "; ".join(found)
        return words

    def _evidence(self, name: str) -> np.ndarray:
        """Return evidence by its name, (n_beats,); NaN where the detector looks at none."""
        if not self.beats.evidence.shape[1]:
            return np.full(len(self.beats), np.nan)
        return self.beats.evidence[:, list(EVIDENCE).index(name)]

    def events(self) -> list[tuple[int, int]]:
        """Return runs of anomalous beats, each as [first, last) of the beats.

        A beat that was not judged ends a run, and so does an unreadable stretch.
        """
        anomalous = self.beats.verdicts == 1
        new = np.r_[True, anomalous[1:] != anomalous[:-1]]
        if self.unreadable and len(anomalous):
            stops = np.searchsorted(self.beats.samples, [stop for _, stop in self.unreadable])
            new[stops[stops < len(new)]] = True
        edges = np.r_[np.flatnonzero(new[: len(anomalous)]), len(anomalous)]
        return [
            (start, stop)
            for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
            if anomalous[start]
        ]

    def steps(self, step: float) -> np.ndarray:
        """Return in which step of time each beat lies, int64, from 0. step: in seconds."""
        since = self.seconds - self.first / self.sampling_rate
        return (since // step).astype(np.int64)

    def heart_rates(self, step: float = MINUTE) -> np.ndarray:
        """Return the heart rate over each step of time, in beats a minute.

        step: in seconds. NaN where RR intervals do not cover enough of it.
        """
        length = self.n_samples / self.sampling_rate
        n_steps = max(1, math.ceil(length / step))
        there = ~np.isnan(self.beats.rr)
        steps = self.steps(step)[there]
        total = np.bincount(steps, self.beats.rr[there].astype(float), n_steps)
        n_intervals = np.bincount(steps, minlength=n_steps)
        # A recording may be shorter than that.
        enough = total >= min(COVERED * step, length / 2)
        return np.where(enough, 60 * n_intervals / np.maximum(total, 1e-9), np.nan)

    def summary(self) -> dict[str, Any]:
        """Return the figures that a person asks for first, as plain values."""
        beats, events = self.beats, self.events()
        duration = self.n_samples / self.sampling_rate
        lost = sum(stop - start for start, stop in self.unreadable)
        readable = 1 - lost / self.n_samples if self.n_samples else 0.0
        rates = self.heart_rates()
        rates = rates[~np.isnan(rates)]
        lengths = np.array([stop - start for start, stop in events], int)
        hours = duration * readable / 3600
        return {
            "recording": self.name,
            "lead": self.lead,
            "sampling_rate": self.sampling_rate,
            "start": None if self.start is None else self.start.isoformat(),
            "from_seconds": self.first / self.sampling_rate,
            "seconds": duration,
            "beats": len(beats),
            "judged": int((beats.verdicts >= 0).sum()),
            "anomalous": int((beats.verdicts == 1).sum()),
            "share_readable": round(readable, 6),
            "heart_rate": {
                name: round(float(of(rates)), 1) if len(rates) else None
                for name, of in (("lowest", np.min), ("median", np.median), ("highest", np.max))
            },
            "events": {
                "all": len(events),
                "single": int((lengths == 1).sum()),
                "couplet": int((lengths == 2).sum()),
                "run": int((lengths > 2).sum()),
                "per_hour": round(len(events) / hours, 2) if hours > 0 else None,
            },
            "unreadable": [
                [round(edge / self.sampling_rate, 3) for edge in stretch]
                for stretch in self.unreadable
            ],
        }


def kind_of(n_beats: int) -> str:
    """Return what so many anomalous beats in a row are called."""
    return KINDS.get(n_beats, f"run of {n_beats}")
