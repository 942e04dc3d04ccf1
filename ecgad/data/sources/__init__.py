"""Sources of beats, and what is done to beats before training."""

from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ecgad.config.experiment import Experiment
from ecgad.data.beats import Beats, Part, Stretch
from ecgad.data.splits import Recording

if TYPE_CHECKING:
    from rich.console import Console

    from ecgad.recordings.wfdb import Header

__all__ = ["Beats", "Part", "Source", "Stretch", "open_source", "read_beats"]


@dataclass(frozen=True)
class Source:
    """Where an experiment's beats come from, found but not yet read.

    files: by the name that a manifest gives them. published: SHA-256 of files that the source is
    published with, by the same name. recordings: none where the source is a table of beats.
    """

    experiment: Experiment
    files: dict[str, Path] = field(default_factory=dict)
    published: dict[str, str] = field(default_factory=dict)
    headers: "list[Header]" = field(default_factory=list)
    recordings: list[Recording] = field(default_factory=list)


def open_source(experiment: Experiment, console: "Console | None" = None) -> Source:
    """Find the files of the experiment's source; public ones are downloaded if missing.

    console: where a download shows how far it is. Raises FileError where a file is missing.
    """
    from ecgad.data import tables
    from ecgad.data.sources import ecg5000 as ucr
    from ecgad.data.sources import heartbeat_csv

    folder = experiment.raw_dir
    match experiment.data.source:
        case "synthetic":
            return Source(experiment)
        case "ecg5000":
            return _of_files(experiment, ucr.ecg5000_files(folder), ucr.REMOTE.sha256)
        case "ecg_csv":
            return _of_files(experiment, [tables.ecg_csv_file(folder)], tables.ECG_CSV.sha256)
        case "csv":
            assert experiment.data.csv.file is not None
            return _of_files(experiment, [tables.own_csv_file(folder, experiment.data.csv.file)])
        case "heartbeat_csv":
            files = heartbeat_csv.heartbeat_files(folder, experiment.data.heartbeat_csv.database)
            return _of_files(experiment, files, heartbeat_csv.SHA256)
        case "wfdb" | "ptbdb":
            return _of_records(experiment, console)


def read_beats(source: Source, jobs: int | None = None) -> Generator[Part]:
    """The beats of a source, in parts; records and synthetic blocks by so many processes.

    jobs: None: one for each core. Raises FileError where a file is malformed.
    """
    from ecgad.data import tables
    from ecgad.data.sources import ecg5000 as ucr
    from ecgad.data.sources import heartbeat_csv, synthetic

    data, files = source.experiment.data, list(source.files.values())
    match data.source:
        case "synthetic":
            yield from synthetic.read_synthetic(data.synthetic, source.experiment.seed, jobs)
        case "ecg5000":
            yield Part(ucr.read_ecg5000(*files))
        case "ecg_csv":
            yield Part(tables.read_ecg_csv(*files))
        case "csv":
            (file,), csv = files, data.csv
            yield Part(tables.read_csv(file, csv.label_column, csv.normal_label, csv.header))
        case "heartbeat_csv":
            yield Part(heartbeat_csv.read_heartbeat_csv(files, data.heartbeat_csv.database))
        case "wfdb":
            from ecgad.data.sources.wfdb import read_wfdb

            yield from read_wfdb(source.headers, data.wfdb, jobs)
        case "ptbdb":
            from ecgad.data.sources.ptbdb import read_ptbdb

            yield from read_ptbdb(source.headers, data.ptbdb, jobs)


def _of_files(
    experiment: Experiment, files: list[Path], published: dict[str, str] | None = None
) -> Source:
    return Source(experiment, {file.name: file for file in files}, published or {})


def _of_records(experiment: Experiment, console: "Console | None") -> Source:
    from ecgad.data.download import physionet
    from ecgad.recordings.wfdb import read_header, record_names

    data, folder = experiment.data, experiment.raw_dir
    config = data.wfdb if data.source == "wfdb" else data.ptbdb
    names = config.records
    if data.split.records is not None:
        lists = data.split.records
        names = [*lists.train, *lists.validation, *lists.test]
    database = data.wfdb.database if data.source == "wfdb" else "ptbdb"
    if database is not None:
        physionet.fetch_database(physionet.DATABASES[database], folder, names, console)
    headers = [read_header(folder, name) for name in names or record_names(folder)]
    if data.source == "wfdb":
        from ecgad.data.sources import wfdb as wfdb_source

        paths = wfdb_source.wfdb_files(headers, data.wfdb.annotator)
        recordings = wfdb_source.wfdb_recordings(headers)
    else:
        from ecgad.data.sources import ptbdb

        wanted = ptbdb.wanted_headers(headers, data.ptbdb)
        paths = [file for header in wanted for file in header.files]
        recordings = ptbdb.ptbdb_recordings(wanted)
    files = {str(path.relative_to(folder)): path for path in paths}
    published = physionet.published_checksums(folder)
    return Source(experiment, files, published, headers, recordings)
