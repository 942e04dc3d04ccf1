"""The three parts of a beat, before, at and after its QRS complex, that say where errors lie."""

from ecgad.data.beats import BeatFormat

# Around the R peak, in seconds: a narrow QRS complex lies within.
BEFORE_R, AFTER_R = 0.060, 0.100
PARTS = ("before QRS", "QRS", "after QRS")


def part_bounds(beat_format: BeatFormat, n_samples: int) -> tuple[int, int]:
    """Return the samples at which the second and the third part of a beat begin.

    Beats of a table, whose R peak is not known, have thirds.
    """
    from ecgad.processing.segmentation import window_samples

    settings, rate = beat_format.segmentation, beat_format.sampling_rate
    if settings is None or rate is None:
        return n_samples // 3, 2 * n_samples // 3
    peak = 0 if settings.form == "heartbeat" else window_samples(settings.window, rate)[0]
    first, last = peak - round(BEFORE_R * rate), peak + round(AFTER_R * rate)
    return max(0, min(first, n_samples)), min(last, n_samples)
