"""Break every kind of file that ecgad reads, kill its stages, fill the disk: docs/reliability.md.

    python benchmarks/faults.py [--seed 0] [--minutes 60] [--cases 10000] [--kills 100] [-o faults]

A case damages one file and runs the stages that read it, or kills a stage, fills the disk, or runs
two stages at once. It is right when every stage ends in time, with an exit code of the contract and
one line on stderr where it fails, when nothing on disk is lost or left over, and when what ends
well is of what it says: `fault_cases` and `fault_disasters` say how. The same seed gives the same
cases, but for the moments of kills.

The same command can be given again after a break: what is done is kept in the folder of `-o`, with
the input of each failure, made smaller. Changes of the code do not count: after one, give another
folder. Linux only.
"""

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

# Tiny networks gain nothing from threads, and forked processes cannot use those of their parent.
os.environ["OMP_NUM_THREADS"] = "1"
# What is tried is the code beside this file, whichever is installed.
sys.path.insert(0, str(Path(__file__).parent.parent))

import fault_runs
import faults_page
import typer
from fault_bases import Bases, make_bases
from fault_cases import Case, draw, run_case
from fault_disasters import run_full_disk, run_kill, run_two
from fault_mutations import shrink

from ecgad.runtime.workers import in_order

# Of so many cases, these are no damaged file.
CYCLE = 50
DISASTERS = {3: "kill", 17: "kill", 29: "disk", 41: "two"}
# Of so many kills of processes, one is two sweeps at once.
SWEEPS = 10
SHOWN = 30
TRIES = 40


def main(
    seed: Annotated[int, typer.Option(help="of all cases")] = 0,
    minutes: Annotated[float, typer.Option(help="after which no further case begins")] = 60.0,
    cases: Annotated[int, typer.Option(help="in this process and its children")] = 10_000,
    kills: Annotated[int, typer.Option(help="of processes of their own")] = 100,
    json_: Annotated[bool, typer.Option("--json", help="one object on one line")] = False,
    out: Annotated[Path, typer.Option("--output", "-o", help="gets results and failures")] = Path(
        "faults"
    ),
    page: Annotated[Path | None, typer.Option(help="gets the table of all results")] = None,
) -> None:
    """Run what is missing, and say what was tried, right and wrong."""
    end = time.monotonic() + 60 * minutes
    kept = out / f"seed-{seed}.jsonl"
    out.mkdir(parents=True, exist_ok=True)
    done = {(row["what"], row["number"]) for row in read(kept)}
    missing = [job for job in all_jobs(cases, kills) if job not in done]
    if missing:
        fault_runs.warm_up()
        folder = Path(tempfile.mkdtemp(prefix="ecgad-bases-"))
        try:
            bases = make_bases(folder)
            run_all(seed, missing, bases, kept, end)
            keep_failures(seed, kept, bases, out / "failures", end)
        finally:
            shutil.rmtree(folder)
    rows = [row for file in sorted(out.glob("seed-*.jsonl")) for row in read(file)]
    if page is not None:
        faults_page.write(page, rows)
    mine = read(kept)
    print(json.dumps(summary(seed, mine)) if json_ else faults_page.text(mine))
    sys.exit(1 if any(row["wrong"] for row in mine) else 0)


def all_jobs(cases: int, kills: int) -> list[tuple[str, int]]:
    """Return what to run, as (what, number), kills evenly among the cases."""
    jobs = [(n / cases, DISASTERS.get(n % CYCLE, "file"), n) for n in range(cases)]
    jobs += [
        (n / kills, "sweeps" if n % SWEEPS == SWEEPS - 1 else "process", n) for n in range(kills)
    ]
    return [(what, number) for _, what, number in sorted(jobs)]


def run_all(seed: int, jobs: list[tuple[str, int]], bases: Bases, kept: Path, end: float) -> None:
    """Run the jobs until the time is over, and keep what becomes of each."""

    def calls() -> Iterator[tuple[int, str, int, Bases]]:
        for what, number in jobs:
            if time.monotonic() > end:
                return
            yield seed, what, number, bases

    with kept.open("a", encoding="utf-8") as file:
        for n, row in enumerate(in_order(run_job, calls()), 1):
            file.write(json.dumps(row) + "\n")
            file.flush()
            if n % max(1, len(jobs) // 20) == 0:
                print(f"{n} of {len(jobs)}", file=sys.stderr)


def run_job(seed: int, what: str, number: int, bases: Bases) -> dict[str, Any]:
    """Run one job; return what became of it, as plain values."""
    started = time.monotonic()
    own = False
    match what:
        case "file":
            case = draw(seed, number, bases)
            own, verdict = case.own, run_case(case, bases)
        case "kill":
            verdict = run_kill(seed, number, bases, own=False)
        case "disk":
            verdict = run_full_disk(seed, number, bases)
        case "two":
            verdict = run_two(seed, number, bases)
        case "process":
            own, verdict = True, run_kill(seed, number, bases, own=True)
        case _:
            own, verdict = True, run_two(seed, number, bases, own=True)
    seconds = round(time.monotonic() - started, 3)
    row = {"what": what, "number": number, **asdict(verdict), "own": own, "seconds": seconds}
    row["signature"] = verdict.signature if verdict.wrong else ""
    row["told"] = verdict.told[-3000:] if verdict.wrong else ""
    return row


def keep_failures(seed: int, kept: Path, bases: Bases, folder: Path, end: float) -> None:
    """Write the input of each failure, and of one with each signature a smaller one."""
    shrunk: set[str] = set()
    for row in read(kept):
        here = folder / f"{seed}-{row['what']}-{row['number']}"
        if not row["wrong"]:
            continue
        if here.exists():
            shrunk.add(row["signature"])
            continue
        here.mkdir(parents=True)
        (here / "verdict.json").write_text(json.dumps(row, indent=2), encoding="utf-8")
        if row["what"] != "file":
            continue
        case = draw(seed, row["number"], bases)
        name = Path(case.target).name or "options"
        what = {"base": case.base, "state": case.state, "steps": case.steps, "file": case.target}
        (here / "case.json").write_text(json.dumps(what), encoding="utf-8")
        if not isinstance(case.content, bytes):
            continue
        (here / name).write_bytes(case.content)
        if row["signature"] not in shrunk and case.target and time.monotonic() < end + 60:
            shrunk.add(row["signature"])
            (here / f"shrunk-{name}").write_bytes(smaller(case, row["signature"], bases))


def smaller(case: Case, signature: str, bases: Bases) -> bytes:
    """Return the file of a case that went wrong, with less of it changed, and wrong likewise."""
    assert isinstance(case.content, bytes)

    def still_wrong(content: bytes) -> bool:
        return run_case(replace(case, content=content), bases).signature == signature

    return shrink(case.original, case.content, still_wrong, 4 if "hang" in signature else TRIES)


def read(kept: Path) -> list[dict[str, Any]]:
    """Return what became of the jobs that are done."""
    if not kept.exists():
        return []
    return [json.loads(line) for line in kept.read_text(encoding="utf-8").splitlines()]


def summary(seed: int, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return counts by kind and way, and the failures by what they have in common."""
    kinds: dict[str, dict[str, dict[str, int]]] = {}
    failures: dict[str, dict[str, Any]] = {}
    for row in rows:
        counts = kinds.setdefault(row["kind"], {}).setdefault(
            row["way"], {"tried": 0, "right": 0, "wrong": 0}
        )
        counts["tried"] += 1
        counts["wrong" if row["wrong"] else "right"] += 1
        if row["wrong"]:
            known = failures.setdefault(
                row["signature"], {"n": 0, "first": [row["what"], row["number"]]}
            )
            known["n"] += 1
    wrong = sum(bool(row["wrong"]) for row in rows)
    return {
        "seed": seed,
        "tried": len(rows),
        "right": len(rows) - wrong,
        "wrong": wrong,
        "seconds": round(sum(row["seconds"] for row in rows)),
        "kinds": kinds,
        "failures": failures,
    }


if __name__ == "__main__":
    typer.run(main)
