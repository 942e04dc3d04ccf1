"""How figures look: colours, sizes, axes."""

from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from ecgad.data.beats import BeatFormat

# Okabe & Ito 2008: told apart with every common form of colour blindness.
BLUE, ORANGE, GREEN = "#0072B2", "#E69F00", "#009E73"
VERMILION, PURPLE, SKY, YELLOW = "#D55E00", "#CC79A7", "#56B4E9", "#B8A800"
BLACK, GREY = "#222222", "#767676"
NORMAL_COLOUR, ANOMALOUS_COLOUR = BLUE, VERMILION
# With the colours, so that points can be told apart without them.
MARKERS = "osD^vPX"
CLASS_COLOURS = (VERMILION, GREEN, PURPLE, ORANGE, SKY, YELLOW, BLACK)

STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "axes.axisbelow": True,
}


def new_figure(
    rows: int = 1, columns: int = 1, width: float = 7.0, height: float = 4.2, **options: Any
) -> tuple[Figure, np.ndarray]:
    """Return a figure of that size in inches, and its axes as an array (rows, columns)."""
    with matplotlib.rc_context(STYLE):
        # Not by pyplot, which would keep the figure and look for a screen.
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False, **options)
    return figure, axes


def hide_unused(axes: np.ndarray, n_used: int) -> None:
    """Hide the axes after the first `n_used`; those above them show their own ticks instead."""
    columns = axes.shape[1]
    for index in range(n_used, axes.size):
        axes.flat[index].set_visible(False)
        if index >= columns:
            axes.flat[index - columns].tick_params(labelbottom=True)


def time_axis(beat_format: BeatFormat, n_samples: int) -> tuple[np.ndarray, str]:
    """Return where the samples of a beat lie, (n_samples,), and the axis label."""
    samples = np.arange(n_samples)
    if beat_format.sampling_rate is None:
        return samples, "sample"
    return samples / beat_format.sampling_rate, "time (s)"


def amplitude_label(beat_format: BeatFormat) -> str:
    """Return the label of the vertical axis: the unit, and of several leads the one drawn."""
    lead = beat_format.leads[0] if len(beat_format.leads) > 1 else "amplitude"
    return plain(f"{lead} ({beat_format.unit})")


def plain(text: str) -> str:
    """Escape dollar signs, between which matplotlib would see a formula."""
    return text.replace("$", r"\$")


def score_label(score: str) -> str:
    """Return the label of an axis of scores."""
    errors = {"mae": "mean absolute", "mse": "mean squared", "max": "maximum"}
    if score in errors:
        return f"score: {errors[score]} error of the scaled beat (logarithmic)"
    return f"score: {score.replace('_', ' ')}, 1 = typical normal beat (logarithmic)"


def plain_numbers(axis: Axis) -> None:
    """Write the ticks of a logarithmic axis as 0.1, 0.2, 0.5, not as powers of ten."""
    axis.set_minor_locator(LogLocator(subs=(2, 5)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter("{x:g}")
    axis.set_tick_params(which="both", length=3.5, pad=3.5)


def threshold_line(axes: Axes, value: float, label: str = "threshold") -> None:
    """Draw a dashed vertical line at a threshold."""
    axes.axvline(value, color=BLACK, linestyle="--", linewidth=1.2, label=f"{label} {value:.3g}")
