"""The table of `faults.py`, on a page between two marks."""

from collections import Counter
from pathlib import Path
from typing import Any

BEGIN, END = "<!-- faults: begin -->", "<!-- faults: end -->"
COLUMNS = ("what is broken", "ways", "tried", "refused", "read all the same", "wrong")


def write(page: Path, rows: list[dict[str, Any]]) -> None:
    """Put the table in the place between the marks of a page."""
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not begin or not mark:
        raise SystemExit(f"{page} lacks the marks {BEGIN} and {END}")
    page.write_text(f"{before}{BEGIN}\n{table(rows)}\n{END}{after}", encoding="utf-8")


def table(rows: list[dict[str, Any]]) -> str:
    """Return the counts by what is broken, in Markdown."""
    own = sum(row["own"] for row in rows)
    seeds = f"{len(rows):,} cases, {own:,} of them with real processes"
    lines = [seeds + ":", "", f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
    for kind in sorted({row["kind"] for row in rows}, key=str.casefold):
        lines.append(_line(kind, [row for row in rows if row["kind"] == kind]))
    return "\n".join([*lines, _line("**all**", rows)])


def _line(kind: str, rows: list[dict[str, Any]]) -> str:
    ended = Counter(
        "wrong" if row["wrong"] else "read" if set(row["codes"]) == {0} else "refused"
        for row in rows
    )
    ways = len({(row["kind"], row["way"]) for row in rows})
    cells = [len(rows), ended["refused"], ended["read"], ended["wrong"]]
    return f"| {kind} | {ways} | {' | '.join(f'{n:,}' for n in cells)} |"


def text(rows: list[dict[str, Any]]) -> str:
    """Return the table, and the failures by what they have in common, the most frequent first."""
    failures = Counter(row["signature"] for row in rows if row["wrong"])
    lines = [table(rows), ""]
    for signature, n in failures.most_common():
        first = next(row for row in rows if row["wrong"] and row["signature"] == signature)
        where = f"{first['kind']}, {first['way']}: {first['what']} {first['number']}"
        lines.append(f"{n} wrong: {signature} ({where})")
    return "\n".join(lines)
