"""Source `wfdb`: a folder of records with annotated beats, MIT-BIH Arrhythmia first of all."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ecgad.config.experiment import WfdbConfig
from ecgad.data.beats import ANOMALOUS, NORMAL, Beats, Part
from ecgad.data.leads import check_rates, prepare_leads
from ecgad.data.splits import Recording
from ecgad.processing import rr_intervals as timing
from ecgad.processing import segmentation as cutting
from ecgad.recordings.beat_classes import CLASS_MAPS, CLASSES
from ecgad.recordings.wfdb import Header, annotation_file, read_annotations, require_files
from ecgad.runtime.workers import in_order

# Records whose headers begin alike in age, sex and numbers of the tape: 202 of MIT-BIH, says its
# header, was taken from the tape of 201.
SAME_TAPE = {"68 M 1960 2851 x1": "201"}


def wfdb_files(headers: Sequence[Header], annotator: str) -> list[Path]:
    """All files of these records: headers, signals and annotations.

    Raises FileError where one is not there.
    """
    for header in headers:
        require_files(header, annotator)
    return [
        file for header in headers for file in (*header.files, annotation_file(header, annotator))
    ]


def wfdb_recordings(headers: Sequence[Header]) -> list[Recording]:
    """The records with their patients."""
    return [Recording(header.name, patient_of(header)) for header in headers]


def patient_of(header: Header) -> str:
    """Whose record it is: its folder, where that is named after a patient; else one of its own.

    Folders of patients are called `patient001` or, with digits alone after it, `p10014`.
    """
    for folder in reversed(Path(header.name).parts[:-1]):
        if re.fullmatch(r"patient.+|p\d+", folder):
            return folder
    tape = header.comments[0] if header.comments else ""
    return SAME_TAPE.get(tape, header.name)


def read_wfdb(
    headers: Sequence[Header], config: WfdbConfig, jobs: int | None = None
) -> Iterator[Part]:
    """The beats of records, a part a record, read by so many processes; None: one for each core.

    Raises FileError where a record is malformed, and ConfigError where sampling rates differ and
    the config names none.
    """
    check_rates(headers, config)
    width = max(len(name) for h in headers for name in (h.name, patient_of(h)))
    yield from in_order(read_record, [(header, config, width) for header in headers], jobs)


def read_record(header: Header, config: WfdbConfig, name_width: int = 0) -> Part:
    """The beats of one record. name_width: of the arrays of names, to be the same for all."""
    annotations = read_annotations(header, config.annotator)
    leads = prepare_leads(header, config)
    centres = leads.places(annotations.samples)
    rr = timing.rr_intervals(annotations.samples, header.sampling_rate)
    class_map = CLASS_MAPS[config.class_map]
    classes = np.array([class_map[symbol] for symbol in annotations.symbols.tolist()], "<U1")
    anomalous = np.isin(classes, config.anomalous)
    wanted = anomalous | np.isin(classes, config.normal)
    cut = cutting.cut_beats(leads.values, leads.missing, centres, rr, leads.sampling_rate, config)
    rows = np.flatnonzero(cut.kept & wanted)
    patient = patient_of(header)
    width = max(name_width, len(header.name), len(patient))
    beats = Beats(
        beats=cut.beats[wanted[cut.kept]],
        symbols=classes[rows],
        labels=np.where(anomalous, ANOMALOUS, NORMAL).astype(np.int8)[rows],
        rows=rows,
        records=np.full(len(rows), header.name, f"<U{width}"),
        patients=np.full(len(rows), patient, f"<U{width}"),
        samples=annotations.samples[rows],
        times=annotations.samples[rows] / header.sampling_rate,
        annotations=annotations.symbols[rows],
        rr=rr[rows],
        lengths=None if cut.lengths is None else cut.lengths[wanted[cut.kept]],
        class_names=CLASSES,
        sampling_rate=leads.sampling_rate,
        unit=cutting.unit_of(config),
        leads=cutting.lead_names(config),
        n_timing=len(config.timing),
    )
    left_out = {
        "annotation of no beat": annotations.n_others,
        "second annotation of a beat": annotations.n_repeated,
        **cut.left_out,
        "beat of a class that is left out": int((cut.kept & ~wanted).sum()),
    }
    return Part(beats, left_out, leads.stretch(centres, anomalous))
