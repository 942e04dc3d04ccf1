"""All recordings of a folder together: `summary.csv`, and a page that leads to each of them."""

import csv
import io
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ecgad.artifacts import files
from ecgad.detection import outputs
from ecgad.detection.archive import UNFINISHED
from ecgad.errors import FileError, MismatchError
from ecgad.pages.page import page
from ecgad.recordings.find import SUMMARY_TABLE, files_below, is_summary_table
from ecgad.runtime.locks import in_turn

INDEX = "index.html"
# By this an index is known for one; it stands near its beginning.
MARK = '<div id="archive" data-made-by="ecgad detect">'
MARK_WITHIN = 200_000  # bytes
BODY = """{mark}
<h1>{title}</h1>
<ul class="figures">
{figures}
</ul>
<p class="note">{detectors} All figures, and more of them, are in
<a href="summary.csv">summary.csv</a>.</p>
<noscript><p>The table of this page needs JavaScript.</p></noscript>
<div id="controls"></div>
<p id="shown" class="muted" role="status"></p>
<div id="table" class="scroll"></div>
<div id="more" class="controls"></div>
</div>"""
DONE, FAILED = "done", "failed"
# Of the table: what each is in a summary, by the keys that lead to it.
FROM_SUMMARY: dict[str, tuple[str, ...]] = {
    "lead": ("lead",),
    "sampling_rate": ("sampling_rate",),
    "start": ("start",),
    "seconds": ("seconds",),
    "beats": ("beats",),
    "judged": ("judged",),
    "anomalous": ("anomalous",),
    "share_readable": ("share_readable",),
    "heart_rate_lowest": ("heart_rate", "lowest"),
    "heart_rate_median": ("heart_rate", "median"),
    "heart_rate_highest": ("heart_rate", "highest"),
    "events": ("events", "all"),
    "single": ("events", "single"),
    "couplet": ("events", "couplet"),
    "run": ("events", "run"),
    "events_per_hour": ("events", "per_hour"),
    "detector": ("detector", "name"),
    "threshold": ("detector", "threshold"),
}
# Told on the page alone.
PROMISE = ("detector", "promise")
WORDS = {"lead", "start", "name", "promise"}  # by the last key; all others are numbers
LARGEST = 1e15
COLUMNS = ("recording", "state", "share_anomalous", *FROM_SUMMARY, "error")
# Of the page, in this order; `archive.js` shows them.
SHOWN = (
    "recording",
    "state",
    "share_anomalous",
    "share_readable",
    "seconds",
    "beats",
    "anomalous",
    "events_per_hour",
    "heart_rate_lowest",
    "heart_rate_median",
    "heart_rate_highest",
    "lead",
    "error",
    "page",
)

Row = dict[str, Any]


@dataclass(frozen=True)
class Joined:
    """The recordings of a folder. rows: a value a column, by `COLUMNS`; files: what was written."""

    folder: Path
    rows: list[Row]
    files: tuple[str, ...]

    @property
    def failed(self) -> list[Row]:
        """The recordings that could not be judged."""
        return [row for row in self.rows if row["state"] == FAILED]

    def total(self, column: str) -> float:
        """Return the sum over all recordings that were judged."""
        return sum(row[column] or 0 for row in self.rows)

    @property
    def words(self) -> str:
        """Say in a line what is there."""
        hours = self.total("seconds") / 3600
        return (
            f"{len(self.rows):,} recordings, {len(self.failed):,} failed, {hours:,.1f} hours, "
            f"{self.total('beats'):,} beats, {self.total('anomalous'):,} anomalous"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values: how many recordings, and which of them failed."""
        return {
            "folder": str(self.folder),
            "files": list(self.files),
            "recordings": len(self.rows),
            "hours": round(self.total("seconds") / 3600, 3),
            **{column: self.total(column) for column in ("beats", "anomalous", "events")},
            "failed": [{name: row[name] for name in ("recording", "error")} for row in self.failed],
        }


def join(folder: Path, names: Iterable[str] | None = None, expected: Iterable[str] = ()) -> Joined:
    """Write the table and the page of the recordings that were judged into a folder.

    names: of recordings, beside those that the table there has; None: all in the folder and below
    it. expected: names of those that ought to be there; what is not counts as failed. What is as it
    would be stays untouched. Raises FileError where there are none, and MismatchError where a file
    of somebody else is in the way.
    """
    if not folder.is_dir():
        raise FileError(f"no folder {folder}; name the one that `ecgad detect` has written into")
    # Two calls at once would each lack the other's recordings.
    with in_turn(folder, lambda: None):
        return _join(folder, names, expected)


def _join(folder: Path, names: Iterable[str] | None, expected: Iterable[str]) -> Joined:
    table, index = folder / SUMMARY_TABLE, folder / INDEX
    for path, ours in ((table, is_summary_table), (index, _is_index)):
        if path.exists() and not ours(path):
            raise MismatchError(
                f"{path} is there already, and not by this command; move it away, and run "
                f"`ecgad detect --summary {folder}`"
            )
    found = _below(folder) if names is None else {*names, *_in_table(table)}
    known = {name: row for name in found if (row := _row(folder, name)) is not None}
    for name in expected:
        known.setdefault(name, _failed(name, "it has not been judged yet; run ecgad detect", 1))
    rows = [row for _, row in sorted(known.items())]
    if not rows:
        raise FileError(f"{folder} has nothing that `ecgad detect` has written")
    joined = Joined(folder, rows, (SUMMARY_TABLE, INDEX))
    _update(table, _table(rows))
    _update(index, _page(joined).encode("utf-8", "backslashreplace"))
    return joined


def _failed(name: str, error: str, code: int) -> Row:
    known = {"recording": name, "state": FAILED, "error": error, "exit_code": code}
    return {**dict.fromkeys(COLUMNS), **known}


def _below(folder: Path) -> set[str]:
    """Return the names of what may be recordings."""
    there = (path.relative_to(folder).as_posix() for path in files_below(folder))
    kinds = (outputs.FAILURE, outputs.SUMMARY)
    # A failure ends with the other as well.
    of_kind = ((name, kind) for name in there for kind in kinds if name.endswith(kind))
    return {name.removesuffix(kind) for name, kind in of_kind}


def _in_table(table: Path) -> set[str]:
    """Return the names that the table has; it may have been edited."""
    with suppress(OSError, ValueError, csv.Error), table.open(newline="", encoding="utf-8") as file:
        names = {row["recording"] or "" for row in csv.DictReader(file)}
        return {name for name in names if name and not {"..", "/"} & {*Path(name).parts}}
    return set()


def _row(folder: Path, name: str) -> Row | None:
    """Return what the table says of a recording; None where nothing of it is there."""
    if failure := outputs.load_failure(outputs.failure_path(folder, name)):
        code = failure.get("exit_code")
        return _failed(name, str(failure["error"]), code if code in (1, 2, 3, 4) else 1)
    path = folder / f"{name}{outputs.SUMMARY}"
    summary = outputs.load_summary(path)
    if "made_by" not in summary or "error" in summary:
        return None
    if summary.get(UNFINISHED):
        return _failed(name, "it was interrupted; run ecgad detect again", 1)
    try:
        figures = {column: _figure(summary, keys) for column, keys in FROM_SUMMARY.items()}
        share = figures["anomalous"] / figures["judged"] if figures["judged"] else None
        shares = {"share_anomalous": None if share is None else round(share, 6)}
        known = {"recording": name, "state": DONE, "promise": _figure(summary, PROMISE)}
        return {**dict.fromkeys(COLUMNS), **figures, **shares, **known}
    except (KeyError, TypeError):
        error = f"{path} is damaged, or by another version of ecgad; give --overwrite"
        return _failed(name, error, 1)


def _figure(summary: dict[str, Any], keys: Sequence[str]) -> Any:
    """Return a value of a summary. Raises KeyError or TypeError where it is of another kind."""
    value: Any = summary
    for key in keys:
        value = value[key]
    kind = str if keys[-1] in WORDS else int | float
    if value is not None and not isinstance(value, kind):
        raise TypeError
    if isinstance(value, int | float) and not abs(value) < LARGEST:
        raise TypeError
    return value


def _table(rows: list[Row]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode("utf-8", "backslashreplace")


def _is_index(path: Path) -> bool:
    with suppress(OSError), path.open("rb") as file:
        return MARK.encode() in file.read(MARK_WITHIN)
    return False


def _update(path: Path, content: bytes) -> None:
    """Write a file, unless it holds that already."""
    if not path.exists() or path.read_bytes() != content:
        files.save_bytes(path, content)


def _page(joined: Joined) -> str:
    """Return the page that leads to the recordings."""
    rows = joined.rows
    for row in rows:
        link = f"{row['recording']}{outputs.PAGE}"
        there = row["state"] == DONE and (joined.folder / link).is_file()
        # Names may hold bytes that are no text.
        row["page"] = quote(os.fsencode(link)) if there else None
    hours, beats, judged, anomalous = map(joined.total, ("seconds", "beats", "judged", "anomalous"))
    figures = (
        (f"{len(rows) - len(joined.failed):,}", "judged"),
        (f"{len(joined.failed):,}", "failed"),
        (f"{hours / 3600:,.1f} h", "of ECG"),
        (f"{beats:,}", "beats"),
        (f"{anomalous / judged:.2%}" if judged else "none", "of those judged anomalous"),
    )
    listed = "\n".join(
        f"<li><strong>{escape(value)}</strong> <span>{escape(words)}</span></li>"
        for value, words in figures
    )
    made = sorted({f"{row['detector']}, {row['promise']}" for row in rows if row["state"] == DONE})
    more = f"; and {len(made) - 3} others" if len(made) > 3 else ""
    told = f"Detector: {'; '.join(made[:3])}{more}." if made else ""
    title = f"{len(rows):,} recordings"
    body = BODY.format(mark=MARK, title=escape(title), figures=listed, detectors=escape(told))
    data = {"columns": SHOWN, "rows": [[row[column] for column in SHOWN] for row in rows]}
    return "".join(page(title, body, ["archive.css"], ["archive.js"], data))
