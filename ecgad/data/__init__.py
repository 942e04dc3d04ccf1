"""Sources of beats, and what is done to beats before training."""

from pathlib import Path

from ecgad.config import Experiment
from ecgad.data.beats import Beats

__all__ = ["Beats", "load_beats", "raw_files"]


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
            return tables.read_csv(
                *files, data.csv.label_column, data.csv.normal_label, data.csv.header
            )
