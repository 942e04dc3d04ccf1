"""Checkpoints: a trained model with all that scoring a raw beat needs."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecgad.artifacts.tensors import load_tensors, save_tensors
from ecgad.errors import FileError

if TYPE_CHECKING:
    import torch

    from ecgad.models import Autoencoder

CHECKPOINT_FORMAT = 4


@dataclass(frozen=True)
class Checkpoint:
    """A trained model with all that scoring a raw beat needs, and what it was made from.

    path: where it was read, or will be written. model: kind, n_leads, n_samples and parameters of
    `ecgad.models.build_model`. weights: of the best epoch. scaler, beat_format: as `to_dict` of
    `Scaler` and `BeatFormat` gives them. reference: the same of `ReferenceBeats`; None until the
    training is finished. training: fields of `TrainingState`; None in the best checkpoint.
    """

    path: Path
    model: dict[str, Any]
    weights: "dict[str, torch.Tensor]"
    scaler: dict[str, Any]
    beat_format: dict[str, Any]
    settings: dict[str, Any]
    inputs: dict[str, str]
    reference: dict[str, Any] | None = None
    training: dict[str, Any] | None = None


def save_checkpoint(checkpoint: Checkpoint) -> None:
    """Write a checkpoint to its path."""
    content = {name: value for name, value in vars(checkpoint).items() if name != "path"}
    save_tensors(checkpoint.path, {**content, "format": CHECKPOINT_FORMAT})


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint, on the CPU.

    Raises FileError where it is missing, damaged or of another form.
    """
    again = "train again with train_model.py --overwrite"
    if not path.exists():
        raise FileError(f"no checkpoint {path}; run train_model.py first")
    content = load_tensors(path, "checkpoint", CHECKPOINT_FORMAT, again)
    try:
        return Checkpoint(path=path, **content)
    except TypeError as error:
        reason = str(error).partition("() ")[2] or str(error)
        raise FileError(f"{path} is no checkpoint of this version of ecgad: {reason}") from None


def restore_model(checkpoint: Checkpoint) -> "Autoencoder":
    """Return the trained model. Raises FileError where the checkpoint's parts do not fit."""
    from ecgad.models import build_model

    try:
        model = build_model(**checkpoint.model)
        model.load_state_dict(checkpoint.weights)
    except (RuntimeError, TypeError, KeyError, ValueError, AttributeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise FileError(
            f"{checkpoint.path} holds no model that fits its description: {reason}"
        ) from None
    return model.eval()
