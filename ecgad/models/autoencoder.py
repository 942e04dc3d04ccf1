"""What all autoencoders have in common."""

from typing import Any

from torch import Tensor, nn


class Autoencoder(nn.Module):
    """Beats (n_beats, n_leads, n_samples) to codes (n_beats, code_size) and back."""

    encoder: nn.Module
    decoder: nn.Module
    # The arguments of `build_model` that make another one like it.
    description: dict[str, Any]
    # The batch in scoring, at which it was fastest; fixed, since last digits may depend on it.
    scored_at_once = 2048
    # Whether bfloat16 made training faster, see docs/performance.md.
    mixed_precision_pays = False

    def __init__(self, n_leads: int, n_samples: int) -> None:
        super().__init__()
        self.n_leads = n_leads
        self.n_samples = n_samples

    @property
    def members(self) -> "list[Autoencoder]":
        """The networks that are scored one by one: of an ensemble several, else this one."""
        return [self]

    def encode(self, beats: Tensor) -> Tensor:
        """Return codes (n_beats, code_size) of beats (n_beats, n_leads, n_samples)."""
        return self.encoder(beats)

    def decode(self, codes: Tensor) -> Tensor:
        """Return beats (n_beats, n_leads, n_samples) from codes (n_beats, code_size)."""
        return self.decoder(codes)

    def forward(self, beats: Tensor) -> Tensor:
        """Return reconstructions, of the shape of `beats`."""
        return self.decode(self.encode(beats))
