"""Beats cut from the leads of a recording."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ecgad.config.experiment import CuttingConfig, WindowConfig
from ecgad.processing import rr_intervals as timing
from ecgad.processing.template import templates

# The heartbeat form of Kachuee et al. 2018.
HEARTBEAT_RATE = 125.0  # Hz
HEARTBEAT_SAMPLES = 187
HEARTBEAT_INTERVALS = 1.2  # median RR intervals from the R peak on
# A window that spans less of the median span of its record's windows holds no beat.
FLAT = 1e-3


@dataclass(frozen=True)
class Cut:
    """Beats of a recording, those that could be cut.

    beats: float32, (n_cut, n_leads, n_samples). kept: bool, (n_beats,), which beats these are.
    lengths: int32, (n_cut,), samples before padding; None where nothing is padded. left_out: how
    many beats could not be cut, by reason.
    """

    beats: np.ndarray
    kept: np.ndarray
    lengths: np.ndarray | None
    left_out: dict[str, int]


def cut_beats(
    leads: np.ndarray,
    missing: np.ndarray,
    centres: np.ndarray,
    rr: np.ndarray,
    sampling_rate: float,
    config: CuttingConfig,
) -> Cut:
    """Cut a beat at each centre, normalise it, compare it with its record's template, and add the
    timing features as further leads.

    leads: float, (n_leads, n_samples), at `sampling_rate` (Hz). missing: bool, (n_samples,), where
    samples are not real. centres: int, (n_beats,), of the R peaks. rr: (n_beats, 2), in seconds.
    """
    if config.form == "heartbeat":
        median = np.nan_to_num(timing.running_median(rr), nan=HEARTBEAT_SAMPLES / HEARTBEAT_RATE)
        lengths = np.rint(HEARTBEAT_INTERVALS * median * sampling_rate).astype(np.int32)
        lengths = np.clip(lengths, 2, HEARTBEAT_SAMPLES)
        offsets = np.arange(HEARTBEAT_SAMPLES)
    else:
        before, after = window_samples(config.window, sampling_rate)
        lengths = np.full(len(centres), before + after, np.int32)
        offsets = np.arange(-before, after)
    starts = centres + offsets[0]
    ends = starts + lengths

    inside = (starts >= 0) & (ends <= leads.shape[1])
    gaps = np.r_[0, np.cumsum(missing)]
    real = inside.copy()
    real[inside] = gaps[ends[inside]] == gaps[starts[inside]]
    places = np.minimum(centres[real, None] + offsets, leads.shape[1] - 1)
    beats = np.take(leads.astype(np.float32), places, axis=1).transpose(1, 0, 2)
    low, high = beats, beats
    padding = np.arange(len(offsets)) >= lengths[real, None]
    if config.form == "heartbeat":
        low = np.where(padding[:, None], np.float32(np.inf), beats)
        high = np.where(padding[:, None], np.float32(-np.inf), beats)
    low = low.min(axis=2, keepdims=True)
    span = high.max(axis=2, keepdims=True) - low
    typical = np.array([[_typical(of_lead)] for of_lead in span[:, :, 0].T], np.float32)
    alive = (span > FLAT * typical).all(axis=(1, 2))
    kept = real.copy()
    kept[real] = alive

    beats, low, span = beats[alive], low[alive], span[alive]
    if config.form == "heartbeat":
        beats = np.where(padding[alive, None], 0, (beats - low) / span)
    elif config.normalisation == "beat":
        beats = (beats - low) / span
    elif config.normalisation == "record":
        beats = beats / typical
    if config.template != "none":
        template = templates(beats)
        added = template if config.template == "added" else beats - template
        beats = np.concatenate([beats, added], axis=1)
    features = config.timing_weight * timing.timing_features(rr, config.timing)[kept]
    timed = np.broadcast_to(features[:, :, None], (*features.shape, len(offsets)))
    return Cut(
        beats=np.concatenate([beats, timed], axis=1),
        kept=kept,
        lengths=lengths[kept] if config.form == "heartbeat" else None,
        left_out={
            "window beyond the record": int((~inside).sum()),
            "window with missing samples": int((inside & ~real).sum()),
            "flat window": int((real & ~kept).sum()),
        },
    )


def _typical(spans: np.ndarray) -> float:
    """The median of the spans of a lead's windows that are not flat; 1 where all are."""
    moving = spans[spans > 0]
    return float(np.median(moving)) if len(moving) else 1.0


def window_samples(config: WindowConfig, sampling_rate: float) -> tuple[int, int]:
    """Samples before a beat's centre, and from it on."""
    per_unit = 1.0 if config.unit == "samples" else sampling_rate / 1000
    return round(config.before * per_unit), max(1, round(config.after * per_unit))


def lead_names(config: CuttingConfig) -> tuple[str, ...]:
    """What the leads of the beats are called: of preferred ones, all that may stand there."""
    chosen: Sequence[str | Sequence[str]] = config.leads or ["first lead"]
    names = [name if isinstance(name, str) else " or ".join(name) for name in chosen]
    if config.template != "none":
        form = "template of {}" if config.template == "added" else "{}, less template"
        names += [form.format(name) for name in names]
    return (*names, *(timing.NAMES[name] for name in config.timing))


def unit_of(config: CuttingConfig) -> str:
    """The unit of the beats' amplitude."""
    if config.form == "heartbeat" or config.normalisation == "beat":
        return "relative to beat"
    return "mV" if config.normalisation == "none" else "relative to record"
