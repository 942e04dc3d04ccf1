"""Stages that are killed, that find the disk full, or that run two at once on one folder.

Whatever happens, the next run has to end well, with the bytes of an undisturbed one, and nothing
left over.
"""

import ctypes
import os
import resource
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from random import Random

from fault_bases import (
    DATA,
    EVALUATE,
    OPTIONS,
    PREPROCESS,
    RUN,
    STAGES,
    TRAIN,
    VISUALIZE,
    Bases,
)
from fault_cases import ENDS, SHARED, Verdict, consistent, judge_files, judge_words
from fault_compare import differences, snapshot
from fault_runs import REPOSITORY, Kill, Outcome, start, start_forked, start_process

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
BEFORE = dict(zip(STAGES, ("raw", "preprocessed", "trained", "evaluated"), strict=True))
# Seconds that a stage takes, roughly: forked, and as a process of its own.
FORKED = {PREPROCESS: 0.1, TRAIN: 0.12, EVALUATE: 0.2, VISUALIZE: 4.0}
OWN = {PREPROCESS: 1.2, TRAIN: 2.5, EVALUATE: 3.5, VISUALIZE: 4.0}
NEW_USER, NEW_MOUNTS = 0x10000000, 0x00020000
PAGE = 4096
REMOUNT = 32
KILLED, FULL, TWO, SWEEP = "killed stage", "full disk", "two at once", "sweep"


def in_folder(work: Callable[[Path], Verdict]) -> Verdict:
    """Work in a folder of its own, which is removed afterwards."""
    top = Path(tempfile.mkdtemp(prefix="ecgad-fault-", dir=SHARED if SHARED.is_dir() else None))
    try:
        return work(top)
    finally:
        shutil.rmtree(top)


def run_kill(seed: int, number: int, bases: Bases, own: bool) -> Verdict:
    """Kill a stage at a random time, once or twice, and run it again to its end.

    own: as processes of their own.
    """
    rng = Random(f"{seed} {number} kill")
    if own and rng.random() < 0.05:
        return in_folder(lambda top: _sweep(rng, top, bases, killed=True))
    base = rng.choice(("synthetic", "wfdb"))
    scripts = STAGES if own and bases.of(base, "drawn").is_dir() else STAGES[:3]
    script = rng.choice(scripts)

    def work(top: Path) -> Verdict:
        here = top / "work"
        shutil.copytree(bases.of(base, BEFORE[script]), here)
        kind = f"{KILLED}, process" if own else KILLED
        verdict = Verdict(kind, "")
        folder = here / (DATA if script == PREPROCESS else RUN)
        more: tuple[str, ...] = ()
        for _ in range(rng.choice((1, 1, 2))):
            one = rng.choice(SIGNALS)
            verdict.way = verdict.way or one.name
            seconds = (OWN if own else FORKED)[script]
            kill = Kill(one, rng.uniform(0, 1.2) * seconds)
            if rng.random() < 0.5:
                # Where it writes, much happens in little time.
                watched = folder if folder.is_dir() else here
                kill = Kill(one, rng.uniform(0, 0.2) * seconds, watched)
            before = snapshot(top)
            outcome = start(script, (*OPTIONS, *more), here, own).wait(kill, seconds=120, idle=15)
            verdict.codes.append(outcome.code)
            verdict.wrong = _judge_killed(outcome, one) or judge_files(
                outcome, before, snapshot(top), script, killed=True
            )
            verdict.told = outcome.stderr
            if verdict.wrong:
                return verdict
            more = ("--resume",) if script == TRAIN else ()
        return _again(verdict, top, script, more, own, bases.of(base, ENDS[script]))

    return in_folder(work)


def _judge_killed(outcome: Outcome, by: signal.Signals) -> str:
    """Say what is wrong about how a run ended that was sent a signal."""
    if by is signal.SIGKILL and outcome.code == -by:
        return ""
    if outcome.code not in (0, 130):
        return f"exit code {outcome.code} by {by.name}"
    if outcome.code == 0:
        return judge_words(outcome, "")
    lines = outcome.stderr.splitlines()
    if len([line for line in lines if line.startswith("error: ")]) != 1:
        return f"not one line of error by {by.name}"
    return judge_words(Outcome(130, "", outcome.stderr), "")


def _again(
    verdict: Verdict, top: Path, script: str, more: tuple[str, ...], own: bool, end: Path
) -> Verdict:
    """Run a stage that was disturbed to its end, and compare what is there with `end`."""
    before = snapshot(top)
    outcome = start(script, (*OPTIONS, *more), top / "work", own).wait(seconds=120, idle=15)
    verdict.codes.append(outcome.code)
    verdict.told = outcome.stderr
    verdict.wrong = judge_words(outcome, script)
    if not verdict.wrong and outcome.code != 0:
        verdict.wrong = f"exit code {outcome.code} of the next run"
    verdict.wrong = (
        verdict.wrong
        or judge_files(outcome, before, snapshot(top), script)
        or differences(top / "work", end)
        or consistent(top / "work")
    )
    return verdict


def run_full_disk(seed: int, number: int, bases: Bases) -> Verdict:
    """Run a stage where the disk has too little room, and again where it has enough."""
    rng = Random(f"{seed} {number} disk")
    base, script = rng.choice(("synthetic", "wfdb")), rng.choice(STAGES[:3])
    room = rng.randrange(60)

    def work(top: Path) -> Verdict:
        def inside() -> int:
            verdict = _full_disk(top, script, bases, base, room)
            print(verdict.codes, verdict.wrong, sep="\n")
            print(verdict.told, file=sys.stderr)
            return 0

        # The mount is seen by this child alone, and ends with it.
        outcome = start_forked("", (), top, work=inside).wait(seconds=120, idle=60)
        lines = [*outcome.stdout.splitlines(), "", ""]
        verdict = Verdict(FULL, STAGES[STAGES.index(script)], told=outcome.stderr)
        if lines[0].startswith("["):
            verdict.codes = [int(code) for code in lines[0].strip("[]").split(",") if code.strip()]
            verdict.wrong = lines[1]
        else:
            verdict.wrong = f"the disk could not be filled: exit code {outcome.code}"
        return verdict

    return in_folder(work)


def _full_disk(top: Path, script: str, bases: Bases, base: str, room: int) -> Verdict:
    """room: pages that are left."""
    verdict = Verdict(FULL, script)
    start_from = bases.of(base, BEFORE[script])
    mounted = mount(top, 2**30)
    here = top / "work"
    shutil.copytree(start_from, here)
    before = snapshot(top)
    if mounted:
        left = os.statvfs(top)
        used = (left.f_blocks - left.f_bfree) * left.f_frsize
        mount(top, used + room * PAGE, again=True)
        outcome = start(script, OPTIONS, here, own=False).wait()
        mount(top, 2**30, again=True)
    else:
        # Not as root, and without namespaces of users: files may not grow beyond so much.
        def limit() -> None:
            most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
            resource.setrlimit(resource.RLIMIT_FSIZE, (room * 100, most))

        outcome = start_forked(script, OPTIONS, here, limit).wait()
    verdict.codes.append(outcome.code)
    verdict.told = outcome.stderr
    # What cannot be written at all is for the user to choose: 2.
    verdict.wrong = judge_words(outcome, script) or judge_files(
        outcome, before, snapshot(top), script
    )
    if verdict.wrong:
        return verdict
    more = ("--resume",) if script == TRAIN else ()
    return _again(verdict, top, script, more, False, bases.of(base, ENDS[script]))


def mount(folder: Path, size: int, again: bool = False) -> bool:
    """Mount a file system of so many bytes in memory, for this process and its children alone.

    again: change the size of the one that is there. Returns False where that is not allowed.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if not again:
        user, group = os.getuid(), os.getgid()
        if libc.unshare(NEW_MOUNTS if user == 0 else NEW_USER | NEW_MOUNTS) != 0:
            return False
        if user != 0:
            Path("/proc/self/setgroups").write_text("deny")
            Path("/proc/self/uid_map").write_text(f"0 {user} 1")
            Path("/proc/self/gid_map").write_text(f"0 {group} 1")
        private = 1 << 18 | 1 << 14
        if libc.mount(b"none", b"/", None, private, None) != 0:
            return False
    flags, options = REMOUNT if again else 0, f"size={size}".encode()
    return bool(libc.mount(b"tmpfs", str(folder).encode(), b"tmpfs", flags, options) == 0)


def run_two(seed: int, number: int, bases: Bases, own: bool = False) -> Verdict:
    """Run two stages at once on one folder: the same twice, or one that would disturb the other.

    own: two sweeps, as processes of their own.
    """
    rng = Random(f"{seed} {number} two")
    if own:
        return in_folder(lambda top: _sweep(rng, top, bases, killed=False))
    base = rng.choice(("synthetic", "wfdb"))
    kind = rng.choice(("the same twice", "splits replaced", "model replaced"))

    def work(top: Path) -> Verdict:
        if kind == "the same twice":
            return _same_twice(rng, top, bases, base)
        return _disturbed(rng, top, bases, base, kind)

    return in_folder(work)


def _both(top: Path, pair: list[tuple[str, tuple[str, ...]]], pause: float) -> list[Outcome]:
    """Run two scripts at once, the second `pause` seconds after the first."""
    import time

    first = start_forked(pair[0][0], (*OPTIONS, *pair[0][1]), top / "work")
    time.sleep(pause)
    second = start_forked(pair[1][0], (*OPTIONS, *pair[1][1]), top / "work")
    return [running.wait(seconds=60, idle=20) for running in (first, second)]


def _same_twice(rng: Random, top: Path, bases: Bases, base: str) -> Verdict:
    script = rng.choice(STAGES[:3])
    verdict = Verdict(TWO, f"{script} twice")
    shutil.copytree(bases.of(base, BEFORE[script]), top / "work")
    outcomes = _both(top, [(script, ()), (script, ())], rng.uniform(0, 0.2))
    verdict.codes = [outcome.code for outcome in outcomes]
    verdict.told = "\n".join(outcome.stderr for outcome in outcomes)
    for outcome in outcomes:
        verdict.wrong = verdict.wrong or judge_words(outcome, script)
        if outcome.code not in (0, 4):
            verdict.wrong = verdict.wrong or f"exit code {outcome.code}"
    if not verdict.wrong and 0 not in verdict.codes:
        verdict.wrong = "neither of two has ended well"
    verdict.wrong = verdict.wrong or differences(top / "work", bases.of(base, ENDS[script]))
    return verdict


def _disturbed(rng: Random, top: Path, bases: Bases, base: str, kind: str) -> Verdict:
    """Replace what a stage reads while it reads it."""
    reader, writer = (TRAIN, PREPROCESS) if kind == "splits replaced" else (EVALUATE, TRAIN)
    verdict = Verdict(TWO, kind)
    shutil.copytree(bases.of(base, BEFORE[reader]), top / "work")
    other = ("--overwrite", "--set", "data.scaling.method=minmax")
    if writer == TRAIN:
        other = ("--overwrite", "--set", "training.epochs=1")
    pair: list[tuple[str, tuple[str, ...]]] = [(reader, ()), (writer, other)]
    if rng.random() < 0.5:
        pair.reverse()
    outcomes = _both(top, pair, rng.uniform(0, 0.2))
    verdict.codes = [outcome.code for outcome in outcomes]
    verdict.told = "\n".join(outcome.stderr for outcome in outcomes)
    for (script, _), outcome in zip(pair, outcomes, strict=True):
        verdict.wrong = verdict.wrong or judge_words(outcome, script)
        # The reader may find that what it needs is gone for a moment: 3.
        if outcome.code not in (0, 3, 4):
            verdict.wrong = verdict.wrong or f"exit code {outcome.code}"
    read = outcomes[[script for script, _ in pair].index(reader)]
    if not verdict.wrong and read.code == 0 and reader == TRAIN:
        verdict.wrong = _of_what_it_says(top / "work", bases.of(base, "trained"))
    verdict.wrong = verdict.wrong or consistent(top / "work")
    return verdict


def _of_what_it_says(work: Path, end: Path) -> str:
    """Say where a training is not of the splits that its manifest names, of which `end` is one."""
    from ecgad.artifacts.files import load_json

    made, undisturbed = (
        load_json(folder / RUN / "manifest.json")["stages"]["train"] for folder in (work, end)
    )
    same_inputs = made["inputs"] == undisturbed["inputs"]
    best = "checkpoint_best.pt"
    same_model = made["outputs"][best] == undisturbed["outputs"][best]
    return "" if same_inputs == same_model else "a model of other splits than its manifest names"


def _sweep(rng: Random, top: Path, bases: Bases, killed: bool) -> Verdict:
    """Run a sweep as a process: killed and run again, or two at once."""
    verdict = Verdict(SWEEP, "killed" if killed else "two at once")
    shutil.copytree(bases.of("synthetic", "raw"), top / "work")
    command: list[str | Path] = [
        REPOSITORY / "sweeps" / "grid.sh",
        "-f",
        "-o",
        "out",
        "-s",
        "0 1",
        "exp.yaml",
    ]
    if killed:
        first = start_process(command, top / "work")
        one = rng.choice((signal.SIGTERM, signal.SIGINT))
        verdict.codes.append(first.wait(Kill(one, rng.uniform(0, 12)), seconds=120, idle=60).code)
        runs = [start_process(command, top / "work")]
    else:
        runs = [start_process(command, top / "work") for _ in range(2)]
    outcomes = [running.wait(seconds=300, idle=120) for running in runs]
    verdict.codes += [outcome.code for outcome in outcomes]
    verdict.told = "\n".join(outcome.stderr for outcome in outcomes)
    if outcomes[-1].code != 0 and outcomes[0].code != 0:
        verdict.wrong = f"exit code {outcomes[0].code}"
    elif any("Traceback" in outcome.stderr for outcome in outcomes):
        verdict.wrong = "traceback"
    elif any(path.suffix == ".ecgad" for path in top.rglob(".*")):
        verdict.wrong = "a hidden temporary file is left"
    elif len((top / "work" / "out" / "results.csv").read_text().splitlines()) != 3:
        verdict.wrong = "not one row of results for each run"
    return verdict
