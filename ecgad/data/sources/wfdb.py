"""Source `wfdb`: a folder of records with annotated beats, MIT-BIH Arrhythmia first of all."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from ecgad.data.beats import ANOMALOUS, NORMAL
from ecgad.data.sources.records import LabelledPeaks, RecordsConfig, RecordSource
from ecgad.data.sources.source import Record
from ecgad.recordings.beat_classes import CLASS_MAPS, CLASSES

if TYPE_CHECKING:
    from ecgad.recordings.recording import Recording
    from ecgad.recordings.wfdb import Header

# Two records of one person: 201 and 202 of MIT-BIH are from the same tape, as their headers say.
# By how a header begins (age, sex, numbers of the tape): the patient.
SAME_TAPE = {"68 M 1960 2851 x1": "201"}

# The classes of ANSI/AAMI EC57, see `ecgad.recordings.beat_classes`.
BeatClass = Literal["N", "S", "V", "F", "Q"]


class WfdbConfig(RecordsConfig):
    """A folder of WFDB records with annotated beats, as PhysioNet publishes them."""

    database: Literal["mitdb", "svdb", "mitdb+svdb"] | None = Field(
        None,
        description="fetched from PhysioNet where data.raw_dir lacks it, both into a folder each; "
        "null: never",
    )
    annotator: str = Field(
        "atr", pattern=r"^[A-Za-z0-9_-]+$", description="suffix of the annotation files"
    )
    class_map: Literal["aami", "ml_literature"] = "aami"
    normal: list[BeatClass] = Field(["N"], min_length=1)
    anomalous: list[BeatClass] = Field(
        ["S", "V", "F"], description="classes neither here nor normal are left out"
    )

    @model_validator(mode="after")
    def _classes(self) -> Self:
        if both := set(self.normal) & set(self.anomalous):
            raise ValueError(f"{', '.join(sorted(both))} is both normal and anomalous")
        return self


def label_annotated(recording: "Recording", settings: WfdbConfig) -> LabelledPeaks:
    """Return the annotated beats, and the class of each by the map of the settings."""
    annotations = recording.annotations
    assert annotations is not None
    class_map = CLASS_MAPS[settings.class_map]
    classes = np.array([class_map[symbol] for symbol in annotations.symbols.tolist()], "<U1")
    anomalous = np.isin(classes, settings.anomalous)
    return LabelledPeaks(
        samples=annotations.samples,
        symbols=classes,
        labels=np.where(anomalous, ANOMALOUS, NORMAL).astype(np.int8),
        wanted=anomalous | np.isin(classes, settings.normal),
        annotations=annotations.symbols,
        class_names=CLASSES,
        left_out=annotations.left_out,
    )


class Wfdb(RecordSource[WfdbConfig]):
    """Records with annotated beats."""

    name = "wfdb"
    settings_class = WfdbConfig
    label = staticmethod(label_annotated)

    @classmethod
    def folder_name(cls, settings: WfdbConfig) -> str:
        if settings.database is not None and "+" in settings.database:
            return "physionet"
        return settings.database or cls.name

    @classmethod
    def licence(cls, settings: WfdbConfig) -> str:
        from ecgad.data.download import physionet

        if settings.database is None:
            return super().licence(settings)
        names = settings.database.split("+")
        return " ".join(physionet.DATABASES[name].licence for name in names)

    @classmethod
    def classes(cls, settings: WfdbConfig) -> dict[str, Any]:
        return {
            "class_map": settings.class_map,
            "normal_classes": settings.normal,
            "anomalous_classes": settings.anomalous,
        }

    @property
    def database(self) -> str | None:
        return self.settings.database

    @property
    def annotator(self) -> str | None:
        return self.settings.annotator

    def record_of(self, header: "Header") -> Record:
        return Record(header.name, patient_of(header))


def patient_of(header: "Header") -> str:
    """Return whose record it is: the folder named after a patient, else the record itself.

    Folders of patients are called `patient001` or, with digits alone after it, `p10014`.
    """
    for folder in reversed(Path(header.name).parts[:-1]):
        if re.fullmatch(r"patient.+|p\d+", folder):
            return folder
    tape = header.comments[0] if header.comments else ""
    return SAME_TAPE.get(tape, header.name)
