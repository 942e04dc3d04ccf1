"""Source `ptbdb`: raw records of the PTB Diagnostic ECG Database (Bousseljot et al. 1995).

There are no beat annotations: R peaks are found, and every beat of a record has the class of its
patient's diagnosis, the "Reason for admission" in the header's comments.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from ecgad.config.experiment import PtbdbConfig
from ecgad.data.beats import ANOMALOUS, NORMAL, Beats, Part
from ecgad.data.leads import check_rates, prepare_leads
from ecgad.data.splits import Recording
from ecgad.errors import ConfigError, FileError
from ecgad.processing import rr_intervals as timing
from ecgad.processing import segmentation as cutting
from ecgad.processing.r_peaks import MIN_RATE, find_r_peaks
from ecgad.recordings.wfdb import Header
from ecgad.runtime.workers import in_order

HEALTHY = "Healthy control"
UNKNOWN = "n/a"
# Characters of a diagnosis or name; the database's own are shorter.
WIDTH = 40


def diagnosis_of(header: Header) -> str:
    """The reason for admission that a header gives. Raises FileError where it gives none."""
    for comment in header.comments:
        key, colon, reason = comment.partition(":")
        if colon and key.strip().casefold() == "reason for admission":
            reason = reason.strip()[:WIDTH] or UNKNOWN
            return HEALTHY if reason.casefold() == HEALTHY.casefold() else reason
    raise FileError(
        f"record {header.name}: its header has no line 'Reason for admission', which says whether "
        f"the patient is healthy; records of other databases are read by data.source: wfdb"
    )


def patient_of(header: Header) -> str:
    """Whose record it is: its folder; without one, whoever has the same header but for the date."""
    folder, slash, _ = header.name.rpartition("/")
    if slash:
        return folder.rpartition("/")[2][:WIDTH]
    about = [comment for comment in header.comments if not comment.startswith("ECG date")]
    return "header " + hashlib.sha256("\n".join(about).encode()).hexdigest()[:8]


def wanted_headers(headers: Sequence[Header], config: PtbdbConfig) -> list[Header]:
    """The records of healthy controls and of patients with the diagnoses that the config names.

    Raises ConfigError where no record has a diagnosis that it names.
    """
    there = {diagnosis_of(header) for header in headers}
    if unknown := [name for name in config.anomalous or () if name not in there]:
        raise ConfigError(
            f"data.ptbdb.anomalous: no record has the reason for admission {unknown[0]!r}; there "
            f"are {', '.join(sorted(there))}"
        )
    return [header for header in headers if _is_wanted(diagnosis_of(header), config)]


def ptbdb_recordings(headers: Sequence[Header]) -> list[Recording]:
    """The records with their patients, grouped by diagnosis."""
    return [Recording(h.name, patient_of(h), diagnosis_of(h)) for h in headers]


def read_ptbdb(
    headers: Sequence[Header], config: PtbdbConfig, jobs: int | None = None
) -> Iterator[Part]:
    """The beats of records, a part a record, read by so many processes; None: one for each core.

    Raises FileError where a record is malformed, and ConfigError where sampling rates differ and
    the config names none.
    """
    wanted = wanted_headers(headers, config)
    if not wanted:
        found = ", ".join(f"{reason} ({n})" for reason, n in _diagnoses(headers).items())
        raise FileError(f"no record of a diagnosis that data.ptbdb wants; there are: {found}")
    check_rates(wanted, config)
    width = max(len(header.name) for header in wanted)
    not_wanted = {"record of a diagnosis that is left out": len(headers) - len(wanted)}
    for part in in_order(read_record, [(header, config, width) for header in wanted], jobs):
        yield replace(part, left_out=part.left_out | not_wanted)
        not_wanted = dict.fromkeys(not_wanted, 0)


def read_record(header: Header, config: PtbdbConfig, name_width: int = 0) -> Part:
    """The beats of one record. name_width: of the array of names, to be the same for all."""
    if header.sampling_rate < MIN_RATE:
        raise FileError(
            f"record {header.name} has {header.sampling_rate:g} Hz; to find R peaks, {MIN_RATE:g} "
            f"are needed"
        )
    leads = prepare_leads(header, config)
    peaks = find_r_peaks(leads.recorded, header.sampling_rate)
    rr = timing.rr_intervals(peaks.samples, header.sampling_rate)
    centres = leads.places(peaks.samples)
    cut = cutting.cut_beats(leads.values, leads.missing, centres, rr, leads.sampling_rate, config)
    diagnosis = diagnosis_of(header)
    label = NORMAL if diagnosis == HEALTHY else ANOMALOUS
    rows = np.flatnonzero(cut.kept)
    beats = Beats(
        beats=cut.beats,
        symbols=np.full(len(rows), diagnosis, f"<U{WIDTH}"),
        labels=np.full(len(rows), label, np.int8),
        rows=rows,
        records=np.full(len(rows), header.name, f"<U{max(name_width, len(header.name))}"),
        patients=np.full(len(rows), patient_of(header), f"<U{WIDTH}"),
        samples=peaks.samples[rows],
        times=peaks.samples[rows] / header.sampling_rate,
        rr=rr[rows],
        lengths=cut.lengths,
        sampling_rate=leads.sampling_rate,
        unit=cutting.unit_of(config),
        leads=cutting.lead_names(config),
        n_timing=len(config.timing),
    )
    unreadable = sum(stop - start for start, stop in peaks.unreadable)
    left_out = {
        "second of unreadable ECG": round(unreadable / header.sampling_rate),
        **cut.left_out,
    }
    return Part(beats, left_out, leads.stretch(centres, np.ones(len(centres), bool)))


def _is_wanted(diagnosis: str, config: PtbdbConfig) -> bool:
    if diagnosis == HEALTHY:
        return True
    return diagnosis != UNKNOWN if config.anomalous is None else diagnosis in config.anomalous


def _diagnoses(headers: Sequence[Header]) -> Counter[str]:
    return Counter(diagnosis_of(header) for header in headers)
