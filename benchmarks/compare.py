"""`ecgad compare` beside wfdb's reading of the same annotation files, whole processes in turn.

    python benchmarks/compare.py REFERENCE TEST [--test tst] [--rounds 5]

REFERENCE is a folder of records with annotations (atr), such as MIT-BIH; TEST one with those to
test. wfdb reads both files of each record, its import included, and does no more.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer
from detect import compare

READ = """
import sys, wfdb
from pathlib import Path
reference, test, suffix = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
for file in sorted(reference.glob("*.atr")):
    wfdb.rdann(str(file.with_suffix("")), "atr")
    wfdb.rdann(str(test / file.stem), suffix)
"""


def main(
    reference: Path,
    tested: Annotated[Path, typer.Argument(metavar="TEST")],
    test: Annotated[str, typer.Option(help="Suffix of the annotations to test.")] = "ecgad",
    rounds: Annotated[int, typer.Option(help="How often each is run.")] = 5,
) -> None:
    """Print the ratio that docs/compare.md has."""
    folders = [str(reference.resolve()), str(tested.resolve())]
    ecgad = [sys.executable, "-m", "ecgad", "compare", *folders, "--test", test, "--quiet"]
    wfdb = [sys.executable, "-c", READ, *folders, test]
    compare(f"{len(list(reference.glob('*.atr')))} records", ecgad, "wfdb's rdann", wfdb, rounds)


if __name__ == "__main__":
    typer.run(main)
