"""All scores as a table for people: where a beat is, what it is, and what it is called."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ecgad.data.beats import ANOMALOUS, Beats
from ecgad.scoring.thresholds import Threshold

# Rows made at a time.
BLOCK = 10_000
WORDS = ("normal", "anomalous")
RECORDED = ("records", "samples", "times")
# By the field of Beats: the column.
FIELDS = {
    "rows": "row",
    "records": "record",
    "samples": "sample",
    "times": "seconds",
    "symbols": "class",
    "labels": "label",
}

Row = dict[str, Any]


def score_rows(
    splits: Mapping[str, Beats], scores: Mapping[str, np.ndarray], threshold: Threshold
) -> Iterator[Row]:
    """Give a row for each beat of all splits: in their order, or the highest score first where the
    beats have no labels.

    scores: by split, (n_beats,). A row has `split`; of a table of beats `file` and `row`, as the
    file counts it (`BeatFormat.place`), and of recordings `record`, `sample` and `seconds`; then
    `class` and `label`, where there are labels, `score` and `verdict`.
    """
    names = list(splits)
    every = np.concatenate([scores[name] for name in names])
    split_of = np.repeat(np.arange(len(names)), [len(scores[name]) for name in names])
    within = np.concatenate([np.arange(len(scores[name])) for name in names])
    order = np.arange(len(every))
    if splits[names[0]].labels is None:
        order = np.argsort(-every, kind="stable")
    for start in range(0, len(order), BLOCK):
        block = order[start : start + BLOCK]
        columns = {name: _taken(splits, split_of[block], within[block], name) for name in FIELDS}
        known = {name: values for name, values in columns.items() if values is not None}
        flagged = threshold.predict(every[block]) == ANOMALOUS
        place = splits[names[0]].format.place
        for index, (score, anomalous) in enumerate(
            zip(every[block].tolist(), flagged.tolist(), strict=True)
        ):
            values = {name: of_field[index] for name, of_field in known.items()}
            row: Row = {"split": names[split_of[block[index]]]}
            if "records" in values:
                row |= {FIELDS[name]: values[name] for name in RECORDED if name in values}
            else:
                row |= dict(zip(("file", "row"), place(values["rows"]), strict=True))
            if "labels" in values:
                row |= {"class": values["symbols"], "label": WORDS[values["labels"]]}
            yield {**row, "score": score, "verdict": WORDS[anomalous]}


def _taken(
    splits: Mapping[str, Beats], split_of: np.ndarray, within: np.ndarray, field: str
) -> list[Any] | None:
    """Return a field of beats, given the number of their split and their index in it."""
    taken: np.ndarray | None = None
    for number, beats in enumerate(splits.values()):
        values = getattr(beats, field)
        if values is None:
            return None
        chosen = values[within[split_of == number]]
        if taken is None:
            taken = np.empty(len(split_of), object)
        taken[split_of == number] = np.round(chosen, 4) if field == "times" else chosen
    assert taken is not None
    return taken.tolist()
