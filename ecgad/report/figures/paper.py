"""ECG paper: 25 mm a second and 10 mm a millivolt, a line every millimetre."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator

from ecgad.data.beats import ANOMALOUS, Beats, Strip
from ecgad.report.figures.classes import Classes
from ecgad.report.figures.recordings import SHADED, in_strip
from ecgad.report.figures.style import ANOMALOUS_COLOUR, BLACK, new_figure, plain

SPEED, GAIN = 25.0, 10.0  # mm/s, mm/mV
BOX = 5.0  # mm, between the thick lines
INCH = 25.4  # mm
LEFT, RIGHT, ABOVE, BELOW = 3.0, 3.0, 12.0, 9.5  # mm around the paper
# mV: lower paper looks lost, and higher is an artefact's, which is cut off.
LOWEST, HIGHEST = 2.0, 8.0
GROUND, THIN, THICK = "#fffcfa", "#f7dcd6", "#eaaea2"
# Longer names of classes would lie over one another.
SHORT = 2


def clock(seconds: float) -> str:
    """Return a time as H:MM:SS."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def paper_strip(
    strip: Strip, beats: Beats, predicted: np.ndarray, classes: Classes, marked: int, score: float
) -> Figure:
    """Draw a strip on ECG paper, in the size of the real one, with its beats and verdicts.

    beats: those in the strip. predicted: their predicted labels, (n_beats,). classes: of the split
    that they are from. marked: the sample of the beat that the strip is shown for; score: its own.
    """
    assert beats.records is not None
    assert beats.samples is not None
    seconds = strip.start + np.arange(len(strip.ecg)) / strip.sampling_rate
    low, high = _amplitudes(strip.ecg)
    width, height = SPEED * (seconds[-1] - seconds[0]), GAIN * (high - low)
    full = width + LEFT + RIGHT, height + ABOVE + BELOW
    figure, axes = new_figure(width=full[0] / INCH, height=full[1] / INCH)
    # Millimetres count, so that the axes are placed and not fitted.
    figure.set_layout_engine("none")
    axis = axes[0, 0]
    axis.set_position((LEFT / full[0], BELOW / full[1], width / full[0], height / full[1]))
    axis.set_xlim(seconds[0], seconds[-1])
    axis.set_ylim(low, high)
    _rule(axis)
    _label_seconds(axis, height)
    axis.plot(seconds, strip.ecg, color=BLACK, linewidth=0.9)
    colours, above = classes.colours, axis.get_xaxis_transform()
    for index in np.flatnonzero(in_strip(strip, beats.records, beats.samples)):
        symbol, time = str(beats.symbols[index]), beats.samples[index] / strip.record_rate
        word = plain(symbol) if len(symbol) <= SHORT else "•"
        at: dict[str, Any] = {
            "ha": "center",
            "va": "bottom",
            "transform": above,
            "fontweight": "bold",
        }
        axis.text(time, 1 + 1.2 / height, word, color=colours[symbol], fontsize=10, **at)
        if predicted[index] == ANOMALOUS:
            axis.axvspan(time - SHADED, time + SHADED, color=ANOMALOUS_COLOUR, alpha=0.2, lw=0)
    time = marked / strip.record_rate
    axis.plot(time, 1 + 6.8 / height, "v", color=BLACK, transform=above, clip_on=False)
    # Beside the mark, on the side with more room.
    near_end = time > seconds[len(seconds) * 3 // 4]
    axis.annotate(
        f"score {score:.4g}",
        (time, 1 + 6.8 / height),
        (-8 if near_end else 8, 0),
        xycoords=above,
        textcoords="offset points",
        ha="right" if near_end else "left",
        va="center",
    )
    words = f"{strip.lead}   {SPEED:g} mm/s   {GAIN:g} mm/{strip.unit}"
    axis.text(
        1, -5 / height, plain(words), fontsize=9, ha="right", va="top", transform=axis.transAxes
    )
    return figure


def _amplitudes(ecg: np.ndarray) -> tuple[float, float]:
    """Return where the paper ends, in mV, on thick lines."""
    low, high = float(ecg.min()), float(ecg.max())
    if high - low > HIGHEST:
        middle = float(np.median(ecg))
        low, high = middle - HIGHEST / 2, middle + HIGHEST / 2
    spare = max(0.1, (LOWEST - (high - low)) / 2)
    box = BOX / GAIN
    return np.floor((low - spare) / box) * box, np.ceil((high + spare) / box) * box


def _rule(axis: Axes) -> None:
    axis.set_facecolor(GROUND)
    for of_axis, a_millimetre in ((axis.xaxis, 1 / SPEED), (axis.yaxis, 1 / GAIN)):
        of_axis.set_minor_locator(MultipleLocator(a_millimetre))
        of_axis.set_major_locator(MultipleLocator(BOX * a_millimetre))
        of_axis.grid(True, which="minor", color=THIN, linewidth=0.5, zorder=0.5)
        of_axis.grid(True, which="major", color=THICK, linewidth=0.8, zorder=0.6)
        of_axis.set_tick_params(which="both", length=0)
    axis.yaxis.set_major_formatter("")
    axis.xaxis.set_major_formatter("")
    axis.spines[:].set_visible(False)


def _label_seconds(axis: Axes, height: float) -> None:
    """Label every other second below paper of a height in mm, but for labels that would reach
    beyond its ends.
    """
    start, stop = axis.get_xlim()
    below: dict[str, Any] = {"transform": axis.get_xaxis_transform(), "ha": "center", "va": "top"}
    for second in 2 * np.arange(np.ceil((start + 0.4) / 2), np.floor((stop - 0.4) / 2) + 1):
        axis.text(second, -1.2 / height, clock(second), **below)
