"""One CSV row a run from `evaluate_model.py --json` lines, and mean ± deviation by experiment."""

import csv
import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

SHOWN = ("auroc", "average_precision", "accuracy", "specificity", "recall")


def main(lines: Path, table: Path) -> None:
    """Write the table, and print the test metrics of each experiment over its seeds."""
    runs = sorted(read_runs(lines), key=lambda run: (run["name"], run["seed"]))
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        rows = [
            {
                **{key: run[key] for key in ("name", "seed", "model", "score")},
                **{
                    f"{split}_{column}": value
                    for split in ("validation", "test")
                    for column, value in _plain(run[split]).items()
                },
            }
            for run in runs
        ]
        columns = list(dict.fromkeys(column for row in rows for column in row))
        writer.writerow(columns)
        writer.writerows([row.get(column) for column in columns] for row in rows)

    print("| experiment | seeds | " + " | ".join(f"test {name}" for name in SHOWN) + " |")
    print("|---" * (2 + len(SHOWN)) + "|")
    for name in sorted({run["name"] for run in runs}):
        entries = [run["test"] for run in runs if run["name"] == name]
        cells = [spread([entry[column] for entry in entries]) for column in SHOWN]
        print(f"| {name} | {len(entries)} | " + " | ".join(cells) + " |")


def read_runs(lines: Path) -> list[dict]:
    """Read the metrics of each run."""
    return [json.loads(line) for line in lines.read_text(encoding="utf-8").splitlines()]


def spread(values: Sequence[float | None], sign: str = "") -> str:
    """Return mean ± standard deviation, without the runs that have no value.

    sign: `+` where the sign of the mean is always shown.
    """
    there = [value for value in values if value is not None]
    if not there:
        return "-"
    if len(there) == 1:
        return f"{there[0]:{sign}.4f}"
    return f"{statistics.mean(there):{sign}.4f} ± {statistics.stdev(there):.4f}"


def _plain(entry: dict) -> dict:
    """Return what is one value; matrices and values by record stay in metrics.json."""
    values = {k: v for k, v in entry.items() if not isinstance(v, (list, dict))}
    for group in ("recall_by_class", "mean_over_records"):
        values |= {f"{group}_{k}": v for k, v in (entry.get(group) or {}).items()}
    return values


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
