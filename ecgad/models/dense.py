"""Dense autoencoder: the whole beat through a stack of fully connected layers and back."""

from collections.abc import Sequence

from torch import Tensor, nn

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "elu": nn.ELU,
    "tanh": nn.Tanh,
}


class DenseAutoencoder(nn.Module):
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
        super().__init__()
        widths = [n_leads * n_samples, *layers, code_size]
        self.encoder = nn.Sequential(nn.Flatten(), *_stack(widths, activation))
        decoder = _stack(widths[::-1], activation)
        decoder[-1] = nn.Sigmoid() if output == "sigmoid" else nn.Identity()
        self.decoder = nn.Sequential(*decoder, nn.Unflatten(1, (n_leads, n_samples)))

    def encode(self, beats: Tensor) -> Tensor:
        """Codes (n_beats, code_size) of beats (n_beats, n_leads, n_samples)."""
        return self.encoder(beats)

    def decode(self, codes: Tensor) -> Tensor:
        """Beats (n_beats, n_leads, n_samples) from codes (n_beats, code_size)."""
        return self.decoder(codes)

    def forward(self, beats: Tensor) -> Tensor:
        """Reconstructions, of the shape of `beats`."""
        return self.decode(self.encode(beats))


def _stack(widths: list[int], activation: str) -> list[nn.Module]:
    modules: list[nn.Module] = []
    for wide, narrow in zip(widths, widths[1:], strict=False):
        linear = nn.Linear(wide, narrow)
        nn.init.xavier_uniform_(linear.weight)
        nn.init.zeros_(linear.bias)
        modules += [linear, ACTIVATIONS[activation]()]
    return modules
