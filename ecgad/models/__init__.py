"""The autoencoders, by the name that `model.kind` gives them."""

from typing import Any

from ecgad.models.autoencoder import Autoencoder
from ecgad.models.cnn import CnnAutoencoder
from ecgad.models.dense import DenseAutoencoder
from ecgad.models.lstm import LstmAutoencoder

__all__ = ["MODELS", "Autoencoder", "build_model"]

MODELS: dict[str, type[Autoencoder]] = {
    "dense": DenseAutoencoder,
    "cnn": CnnAutoencoder,
    "lstm": LstmAutoencoder,
}


def build_model(kind: str, n_leads: int, n_samples: int, parameters: dict[str, Any]) -> Autoencoder:
    """An untrained autoencoder for beats of shape (n_beats, n_leads, n_samples).

    `parameters` are the keyword arguments of the model's class. Raises ConfigError where the beats
    are too short for the network.
    """
    return MODELS[kind](n_leads, n_samples, **parameters)
