"""Convolutional autoencoder: pooled convolutions down to a code, transposed or upsampled back."""

from torch import nn

from ecgad.errors import ConfigError
from ecgad.models.autoencoder import Autoencoder


class CnnAutoencoder(Autoencoder):
    """`depth` times convolution, batch normalisation, ReLU and max pooling by 2; then the way back.

    Beats have the shape (n_beats, n_leads, n_samples), codes (n_beats, code_size). The decoder
    doubles the length `depth` times, with transposed convolutions (`transposed`) or with
    nearest-neighbour upsampling followed by a convolution (`upsampling`), each with batch
    normalisation and ReLU. A last dense layer maps its output, whose length pooling has rounded,
    to the beat, so that every beat comes back at its own length. Without a `code_size` there is no
    dense layer in the middle: the last feature map, flattened, is the code.

    Layers are those for images, of height 1, since only these can be had in channels-last order.
    """

    scored_at_once = 1024
    mixed_precision_pays = True

    def __init__(
        self,
        n_leads: int,
        n_samples: int,
        filters: int = 32,
        kernel_size: int = 7,
        depth: int = 3,
        code_size: int | None = 8,
        decoder: str = "transposed",
        output: str = "linear",
    ) -> None:
        super().__init__(n_leads, n_samples)
        length = n_samples >> depth
        if length < 1:
            raise ConfigError(
                f"a CNN of depth {depth} halves the beat {depth} times and needs beats of at least "
                f"{2**depth} samples, not {n_samples}; lower model.cnn.depth"
            )
        kernel, same = (1, kernel_size), (0, kernel_size // 2)

        def normalised(layer: nn.Module) -> list[nn.Module]:
            return [layer, nn.BatchNorm2d(filters), nn.ReLU()]

        down: list[nn.Module] = []
        up: list[nn.Module] = []
        for level in range(depth):
            channels = n_leads if level == 0 else filters
            down += normalised(nn.Conv2d(channels, filters, kernel, padding=same))
            down += [nn.MaxPool2d((1, 2))]
            if decoder == "transposed":
                # Out: (length - 1) * 2 - 2 * same + kernel_size + 1 = 2 * length for an odd kernel.
                up += normalised(
                    nn.ConvTranspose2d(
                        filters, filters, kernel, (1, 2), padding=same, output_padding=(0, 1)
                    )
                )
            else:
                up += [nn.Upsample(scale_factor=(1, 2))]
                up += normalised(nn.Conv2d(filters, filters, kernel, padding=same))
        to_code: list[nn.Module] = []
        from_code: list[nn.Module] = []
        if code_size is not None:
            to_code = [nn.Linear(filters * length, code_size)]
            from_code = [nn.Linear(code_size, filters * length), nn.ReLU()]
        self.encoder = nn.Sequential(nn.Unflatten(2, (1, n_samples)), *down, nn.Flatten(), *to_code)
        self.decoder = nn.Sequential(
            *from_code,
            nn.Unflatten(1, (filters, 1, length)),
            *up,
            nn.Conv2d(filters, n_leads, kernel, padding=same),
            nn.Flatten(),
            nn.Linear(n_leads * (length << depth), n_leads * n_samples),
            nn.Sigmoid() if output == "sigmoid" else nn.Identity(),
            nn.Unflatten(1, (n_leads, n_samples)),
        )
