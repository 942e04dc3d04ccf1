"""Tests on copies of the repository, in processes forked from one that has imported libraries."""

import hashlib
import json
import math
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any

import pytest
import traced
from mutations import Mutant

# So that a process that a test starts has the copy's package, and tells its lines.
LIBRARIES = (
    *("torch", "numpy", "pandas", "scipy.signal", "scipy.stats", "scipy.ndimage", "scipy.spatial"),
    *("sklearn.metrics", "sklearn.covariance", "sklearn.ensemble", "sklearn.neighbors"),
    *("matplotlib.pyplot", "pydantic", "typer", "rich.console", "wfdb", "requests", "yaml"),
)
# Seconds that a file of tests may take as its lines are looked at.
LONGEST = 1800.0
# How many times as long as the processor works a process may wait: others use the machine as well.
LATE = 8.0


@dataclass(frozen=True)
class Test:
    """A test. seconds: how long it takes the processor. lines: those of each file that it runs.

    imports: the modules of the package that its file imports, by their last names.
    """

    seconds: float
    lines: dict[str, frozenset[int]]
    imports: frozenset[str] = frozenset()


Tests = dict[str, Test]
Groups = list[list[str]]
# A mutant, the tests to be run on it, and for how many seconds of the processor at most.
Task = tuple[Mutant, Groups, float]


@dataclass(frozen=True)
class _Run:
    """The tests of a mutant."""

    groups: Groups
    seconds: float

    def __call__(self, copy: Path) -> int:
        limit = math.ceil(self.seconds)
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
        return _pytest(copy, self.groups)


class Bench:
    """Copies of a repository, on each of which tests run one after the other."""

    def __init__(self, repository: Path, folder: Path, jobs: int) -> None:
        """Make the copies. folder: where they are, and what is known of the tests."""
        self.repository = repository
        self.folder = folder
        data = repository.parent / "shared" / "data"
        os.environ.setdefault("ECGAD_TEST_DATA", str(data))
        os.environ["OMP_NUM_THREADS"] = "1"
        os.environ["MPLBACKEND"] = "Agg"
        # What is compiled is kept in the copies, for thousands of runs.
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        sys.dont_write_bytecode = False
        self.files = _listed(repository)
        # What tells whether a file of tests, or anything that it rests on, is another.
        self.digests: dict[str, str] = {}
        self.copies = [folder / f"copy{number}" for number in range(jobs)]
        for copy in self.copies:
            self._copy(copy)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for library in LIBRARIES:
                __import__(library)

    def _copy(self, copy: Path) -> None:
        for old in _files_below(copy) - self.files:
            (copy / old).unlink()
        for file in self.files:
            source, target = self.repository / file, copy / file
            if not target.exists() or target.read_bytes() != source.read_bytes():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)
        quiet = ["-q", "ecgad", "benchmarks"]
        subprocess.run([sys.executable, "-m", "compileall", *quiet], cwd=copy, check=True)

    def run(self, tasks: Iterable[Task]) -> Iterator[tuple[Mutant, int | None, float]]:
        """Run tests on mutants; give pytest's exit code for each, None where it took too long."""

        def runs() -> Iterator[tuple[Mutant, float, Callable[[Path], int]]]:
            for mutant, groups, limit in tasks:
                yield mutant, LATE * limit, _Run(groups, limit)

        yield from self._forked(runs(), _mutated)

    def tests(self) -> Tests:
        """Return all tests that pass, and which lines each of them runs."""
        kept = self.folder / "tests.json"
        known = json.loads(kept.read_text()) if kept.exists() else {}
        paths = sorted(file for file in self.files if Path(file).match("tests/test_*.py"))
        common = [f for f in self.files if f.startswith("ecgad/") or f.startswith("tests/")]
        of_all = _digest(self.repository, sorted(set(common) - set(paths)))
        self.digests = {path: of_all + _digest(self.repository, [path]) for path in paths}
        known = {k: v for k, v in known.items() if v["of"] == self.digests.get(k)}
        missing = [path for path in paths if path not in known]

        def runs() -> Iterator[tuple[str, float, Callable[[Path], int]]]:
            for path in missing:
                yield path, LONGEST, partial(_look, path=path)

        for path, _, seconds in self._forked(runs(), None):
            found = self.folder / f"{Path(path).name}.json"
            known[path] = {"of": self.digests[path], "tests": json.loads(found.read_text())}
            found.unlink()
            kept.write_text(json.dumps(known))
            print(f"looked at {path} for {seconds:.0f} s", file=sys.stderr, flush=True)
        return {
            name: Test(
                test["seconds"],
                {file: frozenset(numbers) for file, numbers in test["lines"].items()},
                self._imports(path),
            )
            for path, of_file in known.items()
            for name, test in of_file["tests"].items()
        }

    def _imports(self, path: str) -> frozenset[str]:
        text = (self.repository / path).read_text(encoding="utf-8")
        return frozenset(re.findall(r"^from ecgad(?:\.\w+)*\.(\w+) import", text, re.MULTILINE))

    def _forked(
        self,
        runs: Iterable[tuple[Any, float, Callable[[Path], int]]],
        around: Callable[[Path, Mutant], Callable[[], None]] | None,
    ) -> Iterator[tuple[Any, int | None, float]]:
        """Run functions of a copy in processes of their own, one on each copy at a time."""
        free, running = list(self.copies), {}
        upcoming = iter(runs)
        try:
            while True:
                while free and (run := next(upcoming, None)) is not None:
                    what, limit, function = run
                    copy = free.pop()
                    undo = around(copy, what) if around else lambda: None
                    running[_fork(function, copy)] = what, copy, undo, time.monotonic(), limit
                if not running:
                    return
                for pid, (what, copy, undo, since, limit) in list(running.items()):
                    seconds = time.monotonic() - since
                    late = seconds > limit
                    if late:
                        os.killpg(pid, signal.SIGKILL)
                    ended, status = os.waitpid(pid, 0 if late else os.WNOHANG)
                    if ended:
                        _kill_group(pid)
                        del running[pid]
                        undo()
                        free.append(copy)
                        code = os.waitstatus_to_exitcode(status)
                        late = late or code in (-signal.SIGXCPU, -signal.SIGKILL)
                        yield what, None if late else code, seconds
                time.sleep(0.02)
        finally:
            for pid, (_, _, undo, _, _) in running.items():
                _kill_group(pid)
                os.waitpid(pid, 0)
                undo()


def _listed(repository: Path) -> set[str]:
    command = ["git", "ls-files", "-co", "--exclude-standard"]
    done = subprocess.run(command, cwd=repository, check=True, capture_output=True, text=True)
    return {name for name in done.stdout.splitlines() if (repository / name).is_file()}


def _files_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*.py")}


def _digest(folder: Path, names: Iterable[str]) -> str:
    found = hashlib.sha256()
    for name in names:
        found.update(name.encode() + b"\0" + (folder / name).read_bytes())
    return found.hexdigest()[:16]


def _mutated(copy: Path, mutant: Mutant) -> Callable[[], None]:
    """Change a module of a copy; return what changes it back."""
    path = copy / mutant.file
    compiled = Path(cache_from_source(str(path)))
    original = path.read_bytes()
    path.write_bytes(mutant.source(original))
    # A file of the same second and size would pass for the one that was compiled.
    compiled.unlink(missing_ok=True)

    def undo() -> None:
        path.write_bytes(original)
        compiled.unlink(missing_ok=True)

    return undo


def _fork(function: Callable[[Path], int], copy: Path) -> int:
    """Run a function in a process, the leader of a group, whose exit code is what it returns."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        os.setpgid(0, 0)
        log = os.open(copy.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.chdir(copy)
        ours = ("", str(Path(__file__).parent))
        sys.path[:] = [str(copy), *(path for path in sys.path if path not in ours)]
        for name in ("mutants", "mutations", "mutants_run", "traced"):
            sys.modules.pop(name, None)
        hook = copy.with_suffix(".hook")
        os.environ["PYTHONPATH"] = f"{hook}{os.pathsep}{copy}"
        code = function(copy)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _kill_group(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _pytest(copy: Path, groups: Groups, *plugins: object, first: bool = True) -> int:
    options = ["-q", "--no-header", "-p", "no:cacheprovider", f"--basetemp={copy}.tmp"]
    options += ["-x"] if first else []
    for names in groups:
        code = int(pytest.main([*options, *names], list(plugins)))
        if code:
            return code
    return 0


class _Look:
    """A plugin that tells of each test the lines, whether it passes, and how long it takes."""

    def __init__(self, copy: Path) -> None:
        self.copy = copy
        self.found: dict[str, dict[str, Any]] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        folder = self.copy.with_suffix(".lines")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        package = f"{self.copy / 'ecgad'}{os.sep}"
        os.environ |= {traced.FOLDER: str(folder), traced.PACKAGE: package}
        here, test = traced.Lines(package), {"seconds": 0.0, "passed": False, "lines": {}}
        self.found[item.nodeid] = test
        # Of the processor: others use the machine as well. With the processes that it has started.
        before = sum(os.times()[:4])
        here.start()
        try:
            return (yield)
        finally:
            here.stop()
            test["seconds"] = round(sum(os.times()[:4]) - before, 2)
            lines = set(here.lines)
            for path in folder.iterdir():
                for row in path.read_text(encoding="utf-8").splitlines():
                    file, _, number = row.rpartition("\t")
                    lines.add((file, int(number)))
            of_file: dict[str, list[int]] = {}
            for file, line in sorted(lines):
                of_file.setdefault(str(Path(file).relative_to(self.copy)), []).append(line)
            test["lines"] = of_file

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":
            self.found[report.nodeid]["passed"] = report.passed


def _look(copy: Path, path: str) -> int:
    """Write down of each test of a file that passes what lines it runs, and how long it takes."""
    look = _Look(copy)
    hook = copy.with_suffix(".hook")
    hook.mkdir(exist_ok=True)
    source = Path(traced.__file__).read_text(encoding="utf-8")
    (hook / "sitecustomize.py").write_text(f"{source}\n\nstart()\n", encoding="utf-8")
    _pytest(copy, [[path]], look, first=False)
    (hook / "sitecustomize.py").unlink()
    passed = {name: test for name, test in look.found.items() if test["passed"]}
    (copy.parent / f"{Path(path).name}.json").write_text(json.dumps(passed))
    return 0
