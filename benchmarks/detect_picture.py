"""The picture of what `ecgad detect` finds, as in the README.

ecgad detect data/raw/mitdb/223 -o found
python benchmarks/detect_picture.py data/raw/mitdb/223 found/223 docs/detect.png
"""

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import matplotlib.pyplot as plt
import numpy as np
import typer
from matplotlib.axes import Axes

from ecgad.recordings.find import find_recordings
from ecgad.recordings.open import open_recording

SECONDS = 10.0
NORMAL, ANOMALOUS = "0.45", "tab:red"


@dataclass(frozen=True)
class Beats:
    """Columns of the table of beats, each (n_beats,); what is empty there is NaN."""

    seconds: np.ndarray
    rr: np.ndarray
    score: np.ndarray
    anomalous: np.ndarray


def main(
    recording: Path,
    found: Annotated[Path, typer.Argument(help="What was written of it, without suffix.")],
    output: Path,
    strips: Annotated[int, typer.Option(help="How many, each of ten seconds.")] = 2,
) -> None:
    """Draw the whole recording at a glance, and strips around its longest events."""
    rows, events = (rows_of(Path(f"{found}.{kind}.csv")) for kind in ("beats", "events"))
    names = ("seconds", "rr", "score", "anomalous")
    beats = Beats(*(np.array([float(row[name] or "nan") for row in rows]) for name in names))
    summary = json.loads(Path(f"{found}.json").read_text(encoding="utf-8"))
    figure, axes = plt.subplots(
        1 + strips, 1, figsize=(10, 2 + 1.9 * strips), dpi=110, layout="constrained",
        height_ratios=[1.1] + [1.4] * strips,
    )  # fmt: skip
    glance(axes[0], beats, summary)
    reader = open_recording(find_recordings([recording], tables=False)[0], None, None)
    lead = reader.lead_names.index(summary["lead"])
    longest = sorted(events, key=lambda row: (-int(row["beats"]), -float(row["highest_score"])))
    chosen = sorted(longest[:strips], key=lambda row: int(row["start_sample"]))
    for axis, event in zip(axes[1:], chosen, strict=True):
        middle = (float(event["start_seconds"]) + float(event["end_seconds"])) / 2
        start = float(np.clip(middle - SECONDS / 2, 0, summary["seconds"] - SECONDS))
        first, stop = (round(time * reader.sampling_rate) for time in (start, start + SECONDS))
        values = reader.read([lead], first, stop)[0]
        strip(axis, start + np.arange(len(values)) / reader.sampling_rate, values, beats)
        axis.set_title(f"{event['kind']}: {event['reason']}", loc="left", fontsize=9)
    axes[-1].set_xlabel("seconds from the start")
    figure.savefig(output)


def rows_of(path: Path) -> list[dict[str, str]]:
    """Read a table."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def glance(axis: Axes, beats: Beats, summary: dict[str, object]) -> None:
    """Draw the heart rate beat by beat, anomalous beats marked."""
    anomalous = beats.anomalous == 1
    rate = 60 / beats.rr
    for of, colour, size in ((~anomalous, NORMAL, 1), (anomalous, ANOMALOUS, 4)):
        axis.scatter(beats.seconds[of] / 60, rate[of], s=size, color=colour, linewidths=0)
    axis.set(xlabel="minutes", ylabel="beats a minute", ylim=(0, min(220, np.nanmax(rate) * 1.05)))
    axis.set_title(
        f"record {summary['recording']}, lead {summary['lead']}: {summary['anomalous']} of "
        f"{summary['beats']} beats are called anomalous (red)",
        loc="left", fontsize=9,
    )  # fmt: skip


def strip(axis: Axes, times: np.ndarray, values: np.ndarray, beats: Beats) -> None:
    """Draw ten seconds of the lead, its beats marked with their verdicts and scores."""
    axis.plot(times, values, color="0.1", linewidth=0.8)
    top = values.max() + 0.18 * np.ptp(values)
    inside = (beats.seconds > times[0] + 0.2) & (beats.seconds < times[-1] - 0.3)
    for index in np.flatnonzero(inside).tolist():
        at, anomalous = beats.seconds[index], beats.anomalous[index] == 1
        if anomalous:
            axis.axvspan(at - 0.25, at + 0.35, color=ANOMALOUS, alpha=0.12)
        colour = ANOMALOUS if anomalous else NORMAL
        axis.text(at, top, f"{beats.score[index]:.1f}", color=colour, ha="center", fontsize=8)
    axis.set(xlim=(times[0], times[-1]), ylabel="mV", ylim=(None, top + 0.15 * np.ptp(values)))


if __name__ == "__main__":
    typer.run(main)
