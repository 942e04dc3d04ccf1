"""What the stages found, as plain values: what `--json` prints and the manifest keeps."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecgad.artifacts.processed import SplitWriter
from ecgad.data.splits import Tally
from ecgad.experiment import Experiment

if TYPE_CHECKING:
    from ecgad.models import Autoencoder
    from ecgad.training.fit import TrainingState


def preprocess_summary(
    experiment: Experiment,
    writer: SplitWriter,
    left_out: Mapping[str, int],
    tallies: Mapping[str, Tally],
    outside: Mapping[str, float],
) -> dict[str, Any]:
    """Return what `preprocess_data.py` found.

    outside: the share of each split's samples beyond the range of the normal training beats.
    """
    n_leads, n_samples = writer.shape
    return {
        "name": experiment.name,
        "seed": experiment.seed,
        "source": experiment.data.source,
        "processed_dir": str(writer.folder),
        "n_beats": sum(tally.total for tally in tallies.values()),
        "n_leads": n_leads,
        "n_samples": n_samples,
        "labelled": writer.labelled,
        "class_names": dict(writer.format.class_names),
        **experiment.classes,
        "classes_called_anomalous": sorted(
            set[str]().union(*(tally.anomalous for tally in tallies.values()))
        ),
        "left_out": dict(left_out),
        "splits": {
            name: {
                "n_beats": tally.total,
                "n_normal": tally.normal,
                "n_by_class": dict(tally.by_class.most_common()),
                "out_of_range": outside[name],
            }
            for name, tally in tallies.items()
        },
    }


def train_summary(
    experiment: Experiment,
    run_dir: Path,
    state: "TrainingState",
    model: "Autoencoder",
    device: str,
    sizes: Mapping[str, int],
    labelled: bool,
) -> dict[str, Any]:
    """Return how the training of `train_model.py` went. sizes: how many beats it saw, by use."""
    return {
        "name": experiment.name,
        "seed": experiment.seed,
        "run_dir": str(run_dir),
        "model": experiment.model.kind,
        "members": experiment.training.members,
        "device": device,
        "labelled": labelled,
        "n_weights": sum(weights.numel() for weights in model.parameters()),
        **sizes,
        "loss": experiment.training.loss,
        "epochs": state.epoch,
        "stopped_early": state.epoch < experiment.training.epochs,
        "best_epoch": state.best_epoch,
        "best_loss": state.best_loss,
        "seconds": sum(row["seconds"] for row in state.history),
    }
