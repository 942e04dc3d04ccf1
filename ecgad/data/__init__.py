"""Sources of beats, and what is done to beats before training."""

from pathlib import Path

from ecgad.config import Experiment
from ecgad.data.beats import Beats

__all__ = ["Beats", "load_beats", "not_as_published", "raw_files"]


def raw_files(experiment: Experiment) -> list[Path]:
    """The files that the experiment's source is read from; public ones are downloaded if missing.

    Raises FileError where one is missing.
    """
    from ecgad.data import tables, ucr

    match experiment.data.source:
        case "synthetic":
            return []
        case "ecg5000":
            return ucr.ecg5000_files(experiment.raw_dir)
        case "ecg_csv":
            return [tables.ecg_csv_file(experiment.raw_dir)]
        case "csv":
            assert experiment.data.csv.file is not None
            return [tables.own_csv_file(experiment.raw_dir, experiment.data.csv.file)]


def not_as_published(experiment: Experiment, sha256: dict[str, str]) -> list[str]:
    """Names of files that differ from those which the source is published as."""
    from ecgad.data import tables, ucr

    remotes = {"ecg5000": ucr.REMOTE, "ecg_csv": tables.ECG_CSV}
    if experiment.data.source not in remotes:
        return []
    published = remotes[experiment.data.source].sha256
    return [name for name, digest in sha256.items() if published[name] != digest]


def load_beats(experiment: Experiment, files: list[Path]) -> Beats:
    """The beats of the experiment's source, from its `raw_files`. Raises FileError."""
    from ecgad.data import synthetic, tables, ucr

    data = experiment.data
    match data.source:
        case "synthetic":
            return synthetic.synthesise(
                n_beats=data.synthetic.beats,
                anomalous_fraction=data.synthetic.anomalous_fraction,
                n_samples=data.synthetic.samples,
                sampling_rate=data.synthetic.sampling_rate,
                heart_rate=data.synthetic.heart_rate,
                noise=data.synthetic.noise,
                seed=experiment.seed,
            )
        case "ecg5000":
            return ucr.read_ecg5000(*files)
        case "ecg_csv":
            return tables.read_ecg_csv(*files)
        case "csv":
            (file,) = files
            csv = data.csv
            return tables.read_csv(file, csv.label_column, csv.normal_label, csv.header)
