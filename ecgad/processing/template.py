"""The template of a record: the beat that is the rule in it at a time, whatever its class."""

import numpy as np

# A template is the median of so many beats, a minute or two, and a new one is made every so many.
TEMPLATE_BEATS = 101
TEMPLATE_STEP = 25


def templates(beats: np.ndarray) -> np.ndarray:
    """Return the template at each beat, float32, of the shape (n_beats, n_leads, n_samples).

    beats: of one record, in time. Each sample of a template is the median over the TEMPLATE_BEATS
    beats around the beat, or around another less than TEMPLATE_STEP beats away; fewer in a record
    that has no more.
    """
    found = np.empty_like(beats)
    for start in range(0, len(beats), TEMPLATE_STEP):
        middle = min(start + TEMPLATE_STEP // 2, len(beats) - 1)
        first = max(0, min(middle - TEMPLATE_BEATS // 2, len(beats) - TEMPLATE_BEATS))
        around = beats[first : first + TEMPLATE_BEATS]
        found[start : start + TEMPLATE_STEP] = np.median(around, axis=0)
    return found
