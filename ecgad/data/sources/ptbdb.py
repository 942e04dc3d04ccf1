"""Source `ptbdb`: raw records of the PTB Diagnostic ECG Database (Bousseljot et al. 1995).

There are no beat annotations: R peaks are found, and every beat of a record has the class of its
patient's diagnosis, the "Reason for admission" in the header's comments.
"""

import hashlib
from collections import Counter
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from ecgad.config.segmentation import FilterConfig, Leads
from ecgad.data.beats import ANOMALOUS, NORMAL
from ecgad.data.sources.records import LabelledPeaks, RecordsConfig, RecordSource
from ecgad.data.sources.source import Record
from ecgad.errors import ConfigError, FileError

if TYPE_CHECKING:
    from ecgad.recordings.recording import Recording
    from ecgad.recordings.wfdb import Header

HEALTHY = "Healthy control"
UNKNOWN = "n/a"
# Characters of a diagnosis or name; the database's own are shorter.
WIDTH = 40
LEAD_II: Leads = ["ii"]


class PtbdbConfig(RecordsConfig):
    """Raw records of the PTB Diagnostic ECG Database; the header says the diagnosis."""

    leads: Leads | None = LEAD_II
    filter: FilterConfig = FilterConfig(band=None)
    form: Literal["window", "heartbeat"] = "heartbeat"
    anomalous: list[str] | None = Field(
        None, description="reasons for admission; null: all but healthy control"
    )


def label_found(recording: "Recording", settings: PtbdbConfig) -> LabelledPeaks:
    """Find the R peaks, and label all by the diagnosis."""
    from ecgad.processing.r_peaks import MIN_RATE, find_r_peaks

    if recording.sampling_rate < MIN_RATE:
        raise FileError(
            f"record {recording.name} has {recording.sampling_rate:g} Hz; to find R peaks, "
            f"{MIN_RATE:g} are needed"
        )
    peaks = find_r_peaks(recording.leads, recording.sampling_rate)
    n_peaks, diagnosis = len(peaks.samples), diagnosis_of(recording)
    label = NORMAL if diagnosis == HEALTHY else ANOMALOUS
    unreadable = sum(stop - start for start, stop in peaks.unreadable)
    return LabelledPeaks(
        samples=peaks.samples,
        symbols=np.full(n_peaks, diagnosis, f"<U{WIDTH}"),
        labels=np.full(n_peaks, label, np.int8),
        wanted=np.ones(n_peaks, bool),
        annotations=None,
        class_names={},
        left_out={"second of unreadable ECG": round(unreadable / recording.sampling_rate)},
    )


class Ptbdb(RecordSource[PtbdbConfig]):
    """Records whose header says the diagnosis."""

    name = "ptbdb"
    settings_class = PtbdbConfig
    label = staticmethod(label_found)
    database = "ptbdb"

    @classmethod
    def licence(cls, settings: PtbdbConfig) -> str:
        from ecgad.data.download import physionet

        return physionet.PTBDB.licence

    def wanted(self, headers: "list[Header]") -> "list[Header]":
        """Return the records of healthy controls and of patients with the diagnoses that are asked
        for.

        Raises ConfigError where no record has a diagnosis that the settings name, and FileError
        where no record is left.
        """
        diagnoses = Counter(map(diagnosis_of, headers))
        asked = self.settings.anomalous
        if unknown := [name for name in asked or () if name not in diagnoses]:
            raise ConfigError(
                f"data.ptbdb.anomalous: no record has the reason for admission {unknown[0]!r}; "
                f"there are {', '.join(sorted(diagnoses))}"
            )
        chosen = diagnoses.keys() - {UNKNOWN} if asked is None else {HEALTHY, *asked}
        found = [header for header in headers if diagnosis_of(header) in chosen]
        if not found:
            there = ", ".join(f"{reason} ({n})" for reason, n in diagnoses.items())
            raise FileError(f"no record of a diagnosis that data.ptbdb wants; there are: {there}")
        self.left_out["record of a diagnosis that is left out"] = len(headers) - len(found)
        return found

    def record_of(self, header: "Header") -> Record:
        return Record(header.name, patient_of(header), diagnosis_of(header))


def diagnosis_of(header: "Header | Recording") -> str:
    """Return the reason for admission that a header gives. Raises FileError where it gives none."""
    for comment in header.comments:
        key, colon, reason = comment.partition(":")
        if colon and key.strip().casefold() == "reason for admission":
            reason = reason.strip()[:WIDTH] or UNKNOWN
            return HEALTHY if reason.casefold() == HEALTHY.casefold() else reason
    raise FileError(
        f"record {header.name}: its header has no line 'Reason for admission', which says whether "
        f"the patient is healthy; records of other databases are read by data.source: wfdb"
    )


def patient_of(header: "Header") -> str:
    """Return whose record it is: its folder, or else whoever has this header but for the date."""
    folder, slash, _ = header.name.rpartition("/")
    if slash:
        return folder.rpartition("/")[2][:WIDTH]
    about = [comment for comment in header.comments if not comment.startswith("ECG date")]
    return "header " + hashlib.sha256("\n".join(about).encode()).hexdigest()[:8]
