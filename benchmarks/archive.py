"""`ecgad detect` over archives of more and more records, and what follows for a large study.

    python benchmarks/archive.py FOLDER [--sizes 48,480,4800] [--page docs/scale.md]

FOLDER holds MIT-BIH. An archive is made of symbolic links to its 48 records under other names, each
with a header of its own, and is judged by one process a core. Before and after each, an archive of
48 is judged: seconds of CPU are of little use without something beside them. Then the archive is
judged again, with nothing to do, and joined. Memory is looked at twenty times a second: of the
process that deals the records, and the largest of those that judge them. A patient of two weeks is
14 times 24 hours of two leads at 250 Hz, joined of these records; that needs 2 GB of disk.

What was measured is kept in the folder of `-o`, and not measured again. `--page` writes the tables.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import typer
from detect import join, repeated
from measured import load, save

from ecgad.artifacts.files import load_json

BEGIN, END = "<!-- archive: begin -->", "<!-- archive: end -->"
OF_MITDB = 48
# The study that the page has in mind: patients, days, and, of these days, the beats that are given.
PATIENTS, DAYS, BEATS = 11_000, 14, 2.7e9
DAY = 24  # hours
PAUSE = 0.05  # s between two looks at the memory
KINDS = {".beats.csv": "beats", ".events.csv": "events", ".ecgad": "annotations", ".html": "pages",
         ".json": "summaries"}  # fmt: skip

Figures = dict[str, Any]


def main(
    folder: Path,
    sizes: Annotated[str, typer.Option(help="How many records the archives have.")] = "48,480,4800",
    output: Annotated[Path, typer.Option("-o", help="Where figures are kept.")] = Path(
        "performance", "archive"
    ),
    page: Annotated[Path | None, typer.Option(help="Write the tables into this page.")] = None,
) -> None:
    """Measure archives of these sizes, and print the tables of docs/scale.md."""
    folder = folder.resolve()
    found = []
    for size in map(int, sizes.split(",")):
        found.append(kept(output / f"{size}.json", archive, folder, size))
        print(f"{size} records: {found[-1]}", file=sys.stderr)
    patient = kept(output / "patient.json", two_weeks, folder)
    text = "\n".join([growth(found), "", study(found, patient)])
    print(text)
    if page is not None:
        before, _, rest = page.read_text("utf-8").partition(BEGIN)
        after = rest.partition(END)[2]
        page.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", "utf-8")


def kept(file: Path, measure: Any, *arguments: Any) -> Figures:
    """Return what is kept in a file; measure it where there is none."""
    made_by = {"what": measure.__name__, "cores": len(os.sched_getaffinity(0))}
    figures = load(file, made_by)
    if figures is None:
        figures = measure(*arguments)
        save(file, made_by, figures)
    return figures


def archive(folder: Path, size: int) -> Figures:
    """Measure an archive of so many records."""
    with tempfile.TemporaryDirectory() as scratch:
        records, few = Path(scratch, "records"), Path(scratch, "few")
        link(folder, records, size)
        link(folder, few, OF_MITDB)
        out, other = str(Path(scratch, "out")), str(Path(scratch, "other"))
        before = watched("detect", str(few), "-o", other)
        figures = watched("detect", str(records), "-o", out)
        after = watched("detect", str(few), "-o", other, "--overwrite")
        return {
            **figures,
            **content(Path(out)),
            "records": size,
            "beside": {
                name: (before[name] + after[name]) / 2 / OF_MITDB for name in ("wall", "cpu")
            },
            "again": watched("detect", str(records), "-o", out)["wall"],
            "joined": watched("detect", "--summary", out)["wall"],
            "index": Path(out, "index.html").stat().st_size,
        }


def two_weeks(folder: Path) -> Figures:
    """Measure a patient of DAYS days."""
    with tempfile.TemporaryDirectory() as scratch, ProcessPoolExecutor(1) as pool:
        # By a process of its own: what a process starts counts its memory as theirs.
        day = pool.submit(join, folder, Path(scratch)).result()
        record, out = repeated(day, DAYS), Path(scratch, "out")
        figures = watched("detect", str(record), "-o", str(out))
        size = record.with_suffix(".dat").stat().st_size
        return {**figures, **content(out), "hours": DAYS * DAY, "signal": size}


def link(folder: Path, records: Path, size: int) -> None:
    """Make an archive out of the records of a folder, which come again and again."""
    records.mkdir()
    headers = sorted(folder.glob("*.hea"))
    for number in range(size):
        header = headers[number % len(headers)]
        name = f"p{number:05d}"
        (records / f"{name}.dat").symlink_to(header.with_suffix(".dat"))
        lines = header.read_text("ascii").splitlines()
        lines[0] = lines[0].replace(header.stem, name, 1)
        text = "\n".join(line.replace(f"{header.stem}.dat", f"{name}.dat") for line in lines)
        (records / f"{name}.hea").write_text(f"{text}\n", "ascii")


def watched(*words: str) -> Figures:
    """Run ecgad, and return what it took: wall and cpu in s; dealer and worker in MB."""
    command = [sys.executable, "-m", "ecgad", *words, "--quiet"]
    started = time.perf_counter()
    before = os.times()
    # More threads would only wait for each other, where there is a process for each core.
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
    dealer = worker = 0.0
    while process.poll() is None:
        dealer = max(dealer, memory(process.pid))
        worker = max([worker, *map(memory, children(process.pid))])
        time.sleep(PAUSE)
    wall, after = time.perf_counter() - started, os.times()
    if process.returncode:
        raise typer.Exit(1)
    cpu = after.children_user + after.children_system
    cpu -= before.children_user + before.children_system
    return {"wall": wall, "cpu": cpu, "dealer": dealer, "worker": worker}


def memory(process: int) -> float:
    """Return the most memory that a process has had, in MB; 0 where it is gone."""
    with suppress(OSError):
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return 0.0


def children(process: int) -> Iterator[int]:
    """Give the processes that a process has started."""
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(OSError):
            yield from map(int, task.read_text().split())


def content(out: Path) -> Figures:
    """Return how much a folder holds: beats, hours, and bytes by kind of file."""
    disk = dict.fromkeys(KINDS.values(), 0)
    beats = seconds = 0
    for path in out.iterdir():
        if path.name in ("index.html", "summary.csv"):
            continue
        kind = next(kind for suffix, kind in KINDS.items() if path.name.endswith(suffix))
        disk[kind] += path.stat().st_size
        if kind == "summaries":
            summary = load_json(path)
            beats += summary["beats"]
            seconds += summary["seconds"]
    return {"disk": disk, "beats": beats, "hours": seconds / 3600}


def growth(found: Sequence[Figures]) -> str:
    """Return the table of archives of several sizes."""
    rows = {
        "CPU, a record": [f"{each(of, 'cpu'):.3f} s" for of in found],
        f"to one of {OF_MITDB} beside it": [f"{relative(of, 'cpu'):.2f}" for of in found],
        "CPU, a further record": ["", *(f"{further(*two):.3f} s" for two in pairwise(found))],
        f"to one of {OF_MITDB}, as above": [
            "",
            *(f"{further(*two) / two[1]['beside']['cpu']:.2f}" for two in pairwise(found)),
        ],
        "wall, a record": [f"{each(of, 'wall'):.3f} s" for of in found],
        f"to one of {OF_MITDB}, in wall": [f"{relative(of, 'wall'):.2f}" for of in found],
        "memory of the process that deals": [f"{of['dealer']:.0f} MB" for of in found],
        "memory of one that judges": [f"{of['worker']:.0f} MB" for of in found],
        "called again, all done, a record": [f"{1000 * each(of, 'again'):.1f} ms" for of in found],
        "`--summary`, a record": [f"{1000 * each(of, 'joined'):.1f} ms" for of in found],
        "files, a record": [f"{written(of) / of['records'] / 1000:.0f} kB" for of in found],
        "index page, a record": [f"{each(of, 'index'):.0f} bytes" for of in found],
    }
    return table(["", *(f"{of['records']:,} records" for of in found)], rows)


def each(of: Figures, name: str) -> float:
    """Return a figure of an archive by its records."""
    return of[name] / of["records"]


def further(few: Figures, many: Figures) -> float:
    """Return the CPU of a record that the larger of two archives has and the smaller has not."""
    return (many["cpu"] - few["cpu"]) / (many["records"] - few["records"])


def relative(of: Figures, name: str) -> float:
    """Return the seconds of a record to those of one of the small archives beside it."""
    return each(of, name) / of["beside"][name]


def written(of: Figures) -> int:
    """Return how many bytes were written, the index aside."""
    return sum(of["disk"].values())


def study(found: Sequence[Figures], patient: Figures) -> str:
    """Return the table of a large study: of its beats that are given, and of all its days.

    found: archives, by which the process that deals and the index grow.
    """
    # How often the patient that was measured. There is one page a patient, of the same size.
    times = [BEATS / patient["beats"], float(PATIENTS)]
    pages = PATIENTS * patient["disk"]["pages"]
    others = written(patient) - patient["disk"]["pages"]
    first, largest = found[0], found[-1]
    index = PATIENTS * each(largest, "index")
    more = (largest["dealer"] - first["dealer"]) / max(1, largest["records"] - first["records"])
    dealer = largest["dealer"] + more * (PATIENTS - largest["records"])
    rows = {
        "hours of ECG": [f"{n * patient['hours'] / 1e6:.2f} million" for n in times],
        "beats": [f"{n * patient['beats'] / 1e9:.1f} thousand million" for n in times],
        "core-hours": [f"{n * patient['cpu'] / 3600:,.0f}" for n in times],
        "days, on 64 cores": [f"{n * patient['cpu'] / 3600 / 64 / 24:.1f}" for n in times],
        "signals that are read": [f"{n * patient['signal'] / 1e12:.1f} TB" for n in times],
        "files that are written": [f"{(n * others + pages) / 1e12:.2f} TB" for n in times],
        "of these, `NAME.beats.csv`": [
            f"{n * patient['disk']['beats'] / 1e12:.2f} TB" for n in times
        ],
        "of these, `NAME.html`": [f"{pages / 1e12:.2f} TB"] * 2,
        "index page": [f"{index / 1e6:.1f} MB"] * 2,
        "memory of the process that deals": [f"{dealer:.0f} MB"] * 2,
        "memory of one that judges": [f"{patient['dealer']:.0f} MB"] * 2,
    }
    return table(["11,000 patients", "the beats that are given", "all of two weeks"], rows)


def table(head: Sequence[str], rows: dict[str, list[str]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *([name, *cells] for name, cells in rows.items())]
    return "\n".join(f"| {' | '.join(cells)} |".replace("|  |", "| |") for cells in lines)


if __name__ == "__main__":
    typer.run(main)
