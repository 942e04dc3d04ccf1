"""How figures look: colours, sizes, axes."""

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from ecgad.data.beats import Beats

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
    """A figure of that size in inches, and its axes as an array (rows, columns)."""
    with matplotlib.rc_context(STYLE):
        # Not by pyplot, which would keep the figure and look for a screen.
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False, **options)
    return figure, axes


def hide_unused(axes: np.ndarray, n_used: int) -> None:
    """Hide the axes after the first `n_used`; those above them show their own ticks instead."""
    columns = axes.shape[1]
    for place in range(n_used, axes.size):
        axes.flat[place].set_visible(False)
        if place >= columns:
            axes.flat[place - columns].tick_params(labelbottom=True)


def time_axis(beats: Beats) -> tuple[np.ndarray, str]:
    """Where the samples of a beat lie, (n_samples,), and what the axis is called."""
    places = np.arange(beats.waveforms.shape[2])
    if beats.format.sampling_rate is None:
        return places, "sample"
    return places / beats.format.sampling_rate, "time (s)"


def amplitude_label(beats: Beats) -> str:
    """The name of the vertical axis: the unit, and of several leads the one that is drawn."""
    lead = beats.format.leads[0] if len(beats.format.leads) > 1 else "amplitude"
    return plain(f"{lead} ({beats.format.unit})")


def class_order(beats: Beats) -> list[str]:
    """Symbols of the classes, the normal one first, then the most common."""
    counts = beats.class_counts
    normal = set(np.asarray(beats.symbols)[beats.normals].tolist())
    return sorted(counts, key=lambda symbol: (symbol not in normal, -counts[symbol]))


def class_colours(beats: Beats, order: Sequence[str]) -> dict[str, str]:
    """A colour for each class; blue for normal."""
    normal = set(np.asarray(beats.symbols)[beats.normals].tolist())
    others = [symbol for symbol in order if symbol not in normal]
    colours = {symbol: CLASS_COLOURS[i % len(CLASS_COLOURS)] for i, symbol in enumerate(others)}
    return colours | dict.fromkeys(normal, NORMAL_COLOUR)


def class_label(beats: Beats, symbol: str) -> str:
    """The symbol and what it means."""
    name = beats.format.class_names.get(symbol)
    return plain(f"{symbol}: {name}" if name else symbol)


def plain(text: str) -> str:
    """Text as it is, where matplotlib would see a formula between dollar signs."""
    return text.replace("$", r"\$")


def score_label(score: str) -> str:
    """What a score is."""
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
    """A dashed vertical line at a threshold."""
    axes.axvline(value, color=BLACK, linestyle="--", linewidth=1.2, label=f"{label} {value:.3g}")
