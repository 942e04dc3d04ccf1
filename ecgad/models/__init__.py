"""The autoencoders, by the name that `model.kind` gives them."""

from typing import Any

from ecgad.models.autoencoder import Autoencoder
from ecgad.models.cnn import CnnAutoencoder
from ecgad.models.dense import DenseAutoencoder
from ecgad.models.ensemble import Ensemble
from ecgad.models.lstm import LstmAutoencoder

__all__ = ["MODELS", "Autoencoder", "Ensemble", "build_model"]

MODELS: dict[str, type[Autoencoder]] = {
    "dense": DenseAutoencoder,
    "cnn": CnnAutoencoder,
    "lstm": LstmAutoencoder,
}


def build_model(
    kind: str, n_leads: int, n_samples: int, parameters: dict[str, Any], members: int = 1
) -> Autoencoder:
    """Build an untrained autoencoder for beats of shape (n_beats, n_leads, n_samples).

    `parameters` are the keyword arguments of the model's class. members: an Ensemble of so many,
    where more than one; the first of them is the very network that would be built alone. The model
    keeps these arguments as its `description`. Raises ConfigError where the beats are too short for
    the network.
    """
    built = [MODELS[kind](n_leads, n_samples, **parameters) for _ in range(members)]
    model = built[0] if members == 1 else Ensemble(built)
    model.description = {
        "kind": kind,
        "n_leads": n_leads,
        "n_samples": n_samples,
        "parameters": dict(parameters),
        "members": members,
    }
    return model
