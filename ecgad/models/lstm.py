"""LSTM autoencoder: the beat read step by step into a code, and written out again from it."""

from torch import Tensor, nn
from torch.nn import functional

from ecgad.models.autoencoder import Autoencoder


class LstmAutoencoder(Autoencoder):
    """LSTM encoder to a code, one LSTM layer that unrolls the code into the beat.

    Beats have the shape (n_beats, n_leads, n_samples), codes (n_beats, code_size). The code comes
    from the last state of the encoder, and is the decoder's input at every step; nothing is fed
    back, unlike in Malhotra et al. 2016. Each step reads `patch_size` samples of all leads: 1 is
    the classic form, and a patch of 5 or 10 shortens the chain of steps by that factor, and with it
    the training. A beat that is no multiple of the patch is continued with its last sample, and cut
    again at the end.
    """

    def __init__(
        self,
        n_leads: int,
        n_samples: int,
        hidden_size: int = 64,
        layers: int = 1,
        code_size: int = 8,
        patch_size: int = 10,
    ) -> None:
        super().__init__(n_leads, n_samples)
        self.patch_size = patch_size
        self.n_steps = -(-n_samples // patch_size)
        width = n_leads * patch_size
        self.encoder = nn.LSTM(width, hidden_size, layers, batch_first=True)
        self.to_code = nn.Linear(hidden_size, code_size)
        self.decoder = nn.LSTM(code_size, hidden_size, batch_first=True)
        self.to_patch = nn.Linear(hidden_size, width)

    def encode(self, beats: Tensor) -> Tensor:
        """Return codes (n_beats, code_size) of beats (n_beats, n_leads, n_samples)."""
        beats = functional.pad(
            beats, (0, self.n_steps * self.patch_size - self.n_samples), mode="replicate"
        )
        patches = beats.unflatten(2, (self.n_steps, self.patch_size)).transpose(1, 2).flatten(2)
        _, (hidden, _) = self.encoder(patches)
        return self.to_code(hidden[-1])

    def decode(self, codes: Tensor) -> Tensor:
        """Return beats (n_beats, n_leads, n_samples) from codes (n_beats, code_size)."""
        hidden, _ = self.decoder(codes.unsqueeze(1).expand(-1, self.n_steps, -1))
        patches = self.to_patch(hidden).unflatten(2, (self.n_leads, self.patch_size))
        return patches.transpose(1, 2).flatten(2)[:, :, : self.n_samples]
