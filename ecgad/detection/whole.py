"""A detector at work on a whole recording, read a stretch at a time."""

from dataclasses import dataclass

from ecgad.detection.detector import Detector
from ecgad.detection.findings import Findings
from ecgad.detection.live import JudgedBeats, LiveDetector
from ecgad.errors import ConfigError, FileError
from ecgad.processing.causal.r_peaks import MIN_RATE
from ecgad.recordings.lead_names import choose_ecg_leads, is_ecg
from ecgad.recordings.reader import Reader

# s that are read at a time; memory is that of one stretch.
STRETCH = 2000.0
# Leads that R peaks are sought in; more of them say nothing new.
MOST_LEADS = 4


@dataclass(frozen=True)
class Wanted:
    """What is wanted of a recording.

    leads: names of the leads to judge; None: those that the detector was trained on, or what comes
    near. annotator: suffix of the annotations that say where the beats are; None: they are found.
    start, stop: in seconds; None: all.
    """

    leads: tuple[str, ...] | None = None
    annotator: str | None = None
    start: float | None = None
    stop: float | None = None


def detect(detector: Detector, reader: Reader, wanted: Wanted) -> Findings:
    """Judge the beats of a recording.

    Raises FileError where the recording cannot be read or is of no use, and ConfigError where what
    is wanted does not suit it or the detector.
    """
    rate = reader.sampling_rate
    if rate < MIN_RATE:
        raise FileError(
            f"{reader.name} is sampled at {rate:g} Hz; {MIN_RATE:g} Hz or more are needed to tell "
            f"QRS complexes"
        )
    first = round((wanted.start or 0.0) * rate)
    stop = reader.n_samples
    if wanted.stop is not None:
        stop = min(stop, round(wanted.stop * rate))
    if first >= stop:
        raise ConfigError(
            f"--from, --to: {reader.name} has nothing there; it is "
            f"{reader.n_samples / rate:.1f} s long"
        )
    judged = _judged_leads(detector, reader, wanted.leads)
    others = [i for i, name in enumerate(reader.lead_names) if is_ecg(name) and i not in judged]
    leads = [*judged, *others][: max(MOST_LEADS, len(judged))]
    peaks = None
    if wanted.annotator is not None:
        samples = reader.annotations(wanted.annotator).samples
        peaks = samples[(samples >= first) & (samples < stop)] - first
        leads = judged
    live = LiveDetector(detector, len(leads), list(range(len(judged))), rate, peaks)
    found = []
    size = max(1, round(STRETCH * rate))
    for begin in range(first, stop, size):
        found.append(live.push(reader.read(leads, begin, min(begin + size, stop))))
    found.append(live.finish())
    beats = JudgedBeats.concatenate([of_stretch for of_stretch, _ in found]).shifted(first)
    unreadable = [(a + first, b + first) for _, stretches in found for a, b in stretches]
    return Findings(
        name=reader.name,
        lead=", ".join(reader.lead_names[index] for index in judged),
        channel=reader.channel(judged[0]),
        judged=tuple(judged),
        sampling_rate=rate,
        first=first,
        n_samples=stop - first,
        start=reader.start,
        beats=beats,
        unreadable=unreadable,
        usual_shares=detector.usual_shares,
    )


def _judged_leads(detector: Detector, reader: Reader, names: tuple[str, ...] | None) -> list[int]:
    settings = detector.beat_format.segmentation
    assert settings is not None
    known = settings.leads or ["II"]
    wanted = [(name,) if isinstance(name, str) else tuple(name) for name in known]
    if names is not None:
        if len(names) != len(wanted):
            raise ConfigError(
                f"--leads: this detector judges {len(wanted)} leads together, and {len(names)} "
                f"are named"
            )
        wanted = [(name,) for name in names]
    return choose_ecg_leads(reader.name, reader.lead_names, wanted, exactly=names is not None)
