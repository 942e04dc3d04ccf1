"""What several tests make: beats, models, sources read whole."""

from pathlib import Path

import numpy as np
import torch

from ecgad.data.beats import BeatFormat, Beats, Part
from ecgad.data.sources import SOURCES
from ecgad.models import Autoencoder, build_model


def some_beats(n: int = 200, seed: int = 0) -> Beats:
    """Two leads of noise, and an RR feature of one value a beat; every fifth anomalous."""
    rng = np.random.default_rng(seed)
    waveforms = rng.normal(size=(n, 3, 20)).astype(np.float32)
    waveforms[:, 2:] = waveforms[:, 2:, :1]
    labels = (np.arange(n) % 5 == 0).astype(np.int8)
    return Beats(
        waveforms=waveforms,
        symbols=labels.astype(str),
        labels=labels,
        rows=np.arange(n),
        format=BeatFormat(("I", "II", "log(previous RR in s)"), ("log_rr_previous",)),
    )


def small_model(members: int = 1) -> Autoencoder:
    """An untrained network for beats as above."""
    torch.manual_seed(0)
    return build_model("dense", 3, 20, {"layers": [16], "code_size": 3}, members).eval()


def parts_of(name: str, folder: Path, **settings: object) -> list[Part]:
    """What a source gives of the files in a folder."""
    made = SOURCES[name]
    source = made(made.settings_class.model_validate(settings), folder)
    source.find()
    return list(source.read(jobs=1))


def beats_of(name: str, folder: Path, **settings: object) -> Beats:
    """The beats of a source, all together."""
    return Beats.concatenate([part.beats for part in parts_of(name, folder, **settings)])
