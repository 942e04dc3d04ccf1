"""Segmentation: a recording and its R peaks to beats."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ecgad.config.segmentation import SegmentationConfig, WindowConfig
from ecgad.processing.evidence import EVIDENCE
from ecgad.processing.leads import (
    HEARTBEAT_RATE,
    PreparedLeads,
    chosen_leads,
    prepare_leads,
    rate_of_beats,
)
from ecgad.processing.rr_intervals import RR_FEATURES, rr_features, rr_intervals, running_median
from ecgad.processing.template import templates
from ecgad.recordings.recording import Recording

# The form of beats of Kachuee et al. 2018.
HEARTBEAT_SAMPLES = 187
HEARTBEAT_INTERVALS = 1.2  # median RR intervals from the R peak on
# A window that spans less of the median span of its record's windows holds no beat.
FLAT = 1e-3


@dataclass(frozen=True)
class Segments:
    """The beats of a recording, those that could be cut.

    waveforms: float32, (n_cut, n_leads, n_samples), RR features as the last leads. kept: bool,
    (n_peaks,), which peaks these beats are of. rr: float32, (n_peaks, 2), previous and next
    interval in seconds. lengths: int32, (n_cut,), samples before padding; None where nothing is
    padded. left_out: how many beats could not be cut, by reason. leads: what they were cut out of.
    """

    waveforms: np.ndarray
    kept: np.ndarray
    rr: np.ndarray
    lengths: np.ndarray | None
    left_out: dict[str, int]
    leads: PreparedLeads


def segment(recording: Recording, peaks: np.ndarray, settings: SegmentationConfig) -> Segments:
    """Cut a beat at each R peak, normalise it, compare it with its record's template, and add RR
    features as further leads.

    peaks: int, (n_peaks,), ascending, in samples of the recording. Raises FileError where a lead is
    not there, and ConfigError where the filter does not suit the recording's sampling rate.
    """
    if settings.causal:
        return _segment_causally(recording, peaks, settings)
    leads = prepare_leads(recording, settings)
    rr = rr_intervals(peaks, recording.sampling_rate)
    return _cut(leads, leads.indices(peaks), rr, settings)


def _segment_causally(
    recording: Recording, peaks: np.ndarray, settings: SegmentationConfig
) -> Segments:
    from ecgad.processing.causal.beats import REASONS, CausalBeats
    from ecgad.processing.causal.segmenter import Segmenter

    chosen = chosen_leads(recording, settings)
    rate = recording.sampling_rate
    segmenter = Segmenter(settings, len(recording.leads), chosen, rate, peaks)
    pieces = [segmenter.push(recording.leads), segmenter.finish()]
    beats = CausalBeats.concatenate([piece.beats for piece in pieces])
    return Segments(
        waveforms=beats.waveforms,
        kept=beats.kept,
        rr=beats.rr,
        lengths=None,
        left_out={reason: int((beats.left_out == reason).sum()) for reason in REASONS},
        leads=PreparedLeads(
            name=recording.lead_names[chosen[0]],
            values=np.concatenate([piece.leads for piece in pieces], axis=1),
            missing=np.concatenate([piece.missing for piece in pieces]),
            sampling_rate=rate_of_beats(rate, settings),
            ratio=segmenter.ratio,
        ),
    )


def _cut(
    leads: PreparedLeads, centres: np.ndarray, rr: np.ndarray, settings: SegmentationConfig
) -> Segments:
    """Cut beats around their centres, int (n_peaks,), in samples of the prepared leads."""
    n_samples = leads.values.shape[1]
    if settings.form == "heartbeat":
        median = np.nan_to_num(running_median(rr), nan=HEARTBEAT_SAMPLES / HEARTBEAT_RATE)
        lengths = np.rint(HEARTBEAT_INTERVALS * median * leads.sampling_rate).astype(np.int32)
        lengths = np.clip(lengths, 2, HEARTBEAT_SAMPLES)
        offsets = np.arange(HEARTBEAT_SAMPLES)
    else:
        before, after = window_samples(settings.window, leads.sampling_rate)
        lengths = np.full(len(centres), before + after, np.int32)
        offsets = np.arange(-before, after)
    starts = centres + offsets[0]
    ends = starts + lengths

    inside = (starts >= 0) & (ends <= n_samples)
    gaps = np.r_[0, np.cumsum(leads.missing)]
    real = inside.copy()
    real[inside] = gaps[ends[inside]] == gaps[starts[inside]]
    indices = np.minimum(centres[real, None] + offsets, n_samples - 1)
    beats = np.take(leads.values.astype(np.float32), indices, axis=1).transpose(1, 0, 2)
    low, high = beats, beats
    padding = np.arange(len(offsets)) >= lengths[real, None]
    if settings.form == "heartbeat":
        low = np.where(padding[:, None], np.float32(np.inf), beats)
        high = np.where(padding[:, None], np.float32(-np.inf), beats)
    low = low.min(axis=2, keepdims=True)
    span = high.max(axis=2, keepdims=True) - low
    typical = np.array([[typical_span(of_lead)] for of_lead in span[:, :, 0].T], np.float32)
    moving = (span > FLAT * typical).all(axis=(1, 2))
    kept = real.copy()
    kept[real] = moving

    beats, low, span = beats[moving], low[moving], span[moving]
    if settings.form == "heartbeat":
        beats = np.where(padding[moving, None], 0, (beats - low) / span)
    elif settings.normalisation == "beat":
        beats = (beats - low) / span
    elif settings.normalisation == "record":
        beats = beats / typical
    if settings.template != "none":
        template = templates(beats)
        added = template if settings.template == "added" else beats - template
        beats = np.concatenate([beats, added], axis=1)
    features = settings.timing_weight * rr_features(rr, settings.timing)[kept]
    timed = np.broadcast_to(features[:, :, None], (*features.shape, len(offsets)))
    return Segments(
        waveforms=np.concatenate([beats, timed], axis=1),
        kept=kept,
        rr=rr,
        lengths=lengths[kept] if settings.form == "heartbeat" else None,
        left_out={
            "window beyond the record": int((~inside).sum()),
            "window with missing samples": int((inside & ~real).sum()),
            "flat window": int((real & ~kept).sum()),
        },
        leads=leads,
    )


def typical_span(spans: np.ndarray) -> float:
    """Return the median span of a lead's windows that are not flat; 1 where all are."""
    moving = spans[spans > 0]
    return float(np.median(moving)) if len(moving) else 1.0


def window_samples(window: WindowConfig, sampling_rate: float) -> tuple[int, int]:
    """Return how many samples a beat has before its R peak, and from it on."""
    per_unit = 1.0 if window.unit == "samples" else sampling_rate / 1000
    return round(window.before * per_unit), max(1, round(window.after * per_unit))


def lead_names(settings: SegmentationConfig) -> tuple[str, ...]:
    """Return what the leads of the beats are called: of preferred ones, all that may be meant."""
    chosen: Sequence[str | Sequence[str]] = settings.leads or ["first lead"]
    names = [name if isinstance(name, str) else " or ".join(name) for name in chosen]
    if settings.template != "none":
        form = "template of {}" if settings.template == "added" else "{}, less template"
        names += [form.format(name) for name in names]
    names += [RR_FEATURES[name].title for name in settings.timing]
    return (*names, *(EVIDENCE.values() if settings.evidence else ()))


def unit_of(settings: SegmentationConfig) -> str:
    """Return the unit of the beats' amplitude."""
    if settings.form == "heartbeat" or settings.normalisation == "beat":
        return "relative to beat"
    return "mV" if settings.normalisation == "none" else "relative to record"
