"""Dense autoencoder: the whole beat through a stack of fully connected layers and back."""

from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from ecgad.models.autoencoder import Autoencoder

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
}


class DenseAutoencoder(Autoencoder):
    """Fully connected encoder and its mirror image.

    Beats have the shape (n_beats, n_leads, n_samples), codes (n_beats, code_size). Each layer but
    the last, the code included, ends in `activation`; the last is `sigmoid` or `linear`. With
    layers (32, 16), a code of 8, ReLU and a sigmoid it is the network of TensorFlow's tutorial
    "Intro to autoencoders". Weights start as there (Glorot uniform, biases zero).
    """

    def __init__(
        self,
        n_leads: int,
        n_samples: int,
        layers: Sequence[int] = (64, 32),
        code_size: int = 8,
        activation: str = "gelu",
        output: str = "linear",
    ) -> None:
        super().__init__(n_leads, n_samples)
        widths = [n_leads * n_samples, *layers, code_size]
        self.encoder = nn.Sequential(nn.Flatten(), *_stack(widths, activation))
        decoder = _stack(widths[::-1], activation)
        decoder[-1] = nn.Sigmoid() if output == "sigmoid" else nn.Identity()
        self.decoder = nn.Sequential(*decoder, nn.Unflatten(1, (n_leads, n_samples)))


def _stack(widths: list[int], activation: str) -> list[nn.Module]:
    modules: list[nn.Module] = []
    for wide, narrow in pairwise(widths):
        linear = nn.Linear(wide, narrow)
        nn.init.xavier_uniform_(linear.weight)
        nn.init.zeros_(linear.bias)
        modules += [linear, ACTIVATIONS[activation]()]
    return modules
