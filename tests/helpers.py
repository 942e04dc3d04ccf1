"""What several tests make: beats, models, recordings, sources read whole."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from ecgad.data.beats import BeatFormat, Beats, Part
from ecgad.data.sources import SOURCES
from ecgad.models import Autoencoder, build_model
from ecgad.processing.evidence import EVIDENCE

Save = Callable[..., Path]

# An easy recording: a beat every 0.8 s, every fifth early and inverted.
RATE = 200.0
PERIOD = 160
EARLY = 60
SYMBOLS = "NNNNV"


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


def with_evidence(beats: Beats, seed: int = 0) -> Beats:
    """The same beats with leads of evidence behind, which networks do not see."""
    rng = np.random.default_rng(seed)
    evidence = rng.normal(size=(len(beats), len(EVIDENCE), 1)).astype(np.float32)
    # How early a beat comes is never less than 0.
    evidence[:, :5] = np.abs(evidence[:, :5]) / 10
    drawn = np.repeat(evidence, beats.waveforms.shape[2], axis=2)
    known = replace(
        beats.format, leads=(*beats.format.leads, *EVIDENCE.values()), evidence=tuple(EVIDENCE)
    )
    return replace(beats, waveforms=np.concatenate([beats.waveforms, drawn], axis=1), format=known)


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


def easy_recording(n_beats: int = 40) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """ECG (n_samples,) in mV, R peaks (n_beats,) in samples and their symbols."""
    samples = PERIOD * (1 + np.arange(n_beats))
    symbols = [SYMBOLS[beat % len(SYMBOLS)] for beat in range(n_beats)]
    samples[np.array(symbols) == "V"] -= EARLY
    # A little of something, as in every real lead that is connected.
    ecg = 0.01 * np.sin(np.arange(PERIOD * (n_beats + 1)) / 7)
    pulse = np.exp(-0.5 * (np.arange(-20, 21) / 4) ** 2)
    for sample, symbol in zip(samples, symbols, strict=True):
        ecg[sample - 20 : sample + 21] += pulse if symbol == "N" else -pulse
    return ecg, samples, symbols


def set_options(folder: Path, options: Mapping[str, object]) -> list[str]:
    """The options of a script for the records in a folder."""
    settings = {"data.source": "wfdb", "data.raw_dir": str(folder), **options}
    pairs = [f"{key}={json.dumps(value)}" for key, value in settings.items()]
    return [option for pair in pairs for option in ("--set", pair)]
