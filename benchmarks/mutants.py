"""Which small changes of the code, made on purpose, the tests notice.

    python benchmarks/mutants.py --minutes 5 --modules scoring,metrics

Changes are drawn by the seed, from each module in turn, until the minutes are over. A change is
noticed where a test fails, or hangs, that runs the changed line; the fastest of these tests run,
as many as take twelve seconds. Those of `mutants_equivalent.txt` change nothing that anybody could
notice, and are not tried.
"""

import hashlib
import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Annotated, Any

import typer
from mutants_run import Bench, Task, Test, Tests
from mutations import Mutant, mutants

REPOSITORY = Path(__file__).resolve().parent.parent
EQUIVALENT = Path(__file__).with_name("mutants_equivalent.txt")
MODULES = {
    "scoring": ["scoring/*.py"],
    "thresholds": ["scoring/thresholds.py"],
    "metrics": ["evaluation/metrics.py"],
    "training": ["training/*.py"],
    "recordings": ["recordings/*.py"],
    "artifacts": ["artifacts/*.py"],
    "detector": ["detection/*.py"],
}
# Seconds of tests a mutant; and how much longer than they take it may take, and seconds besides.
TESTS_FOR, TIMES, BESIDES = 12.0, 4.0, 15.0
QUICK = 0.3
BEGIN, END = "<!-- mutants: begin -->", "<!-- mutants: end -->"

Outcome = dict[str, Any]


def main(
    seed: int = 0,
    minutes: float = 5.0,
    modules: Annotated[str, typer.Option(help="names, or paths below ecgad")] = ",".join(MODULES),
    jobs: Annotated[int, typer.Option(help="mutants at a time")] = 1,
    file: Annotated[
        Path | None, typer.Option("--json", help="results; those of earlier runs there are kept")
    ] = None,
    page: Annotated[
        Path | None, typer.Option(help="page that has the markers of the table")
    ] = None,
) -> None:
    """Change the code, run the tests, and say what went unnoticed."""
    drawn = {name: draw(files, seed) for name, files in files_of(modules.split(",")).items()}
    known = earlier(file)
    equivalent = read_equivalent()
    sources = {m.file: digest(m.file) for of_module in drawn.values() for m in of_module}
    bench = Bench(REPOSITORY, REPOSITORY / ".mutants", jobs)
    tests = bench.tests()
    end = time.monotonic() + 60 * minutes
    waiting = order(drawn, known, equivalent)
    tried_by: dict[str, list[str]] = {}

    def tries() -> Iterator[Task]:
        for mutant in waiting:
            if time.monotonic() > end:
                return
            groups, seconds = groups_for(mutant, tests)
            files = {name.partition("::")[0] for group in groups for name in group}
            tried_by[mutant.name] = sorted(bench.digests[file] for file in files)
            if known.get(mutant.name, {}).get("tests") != tried_by[mutant.name]:
                yield mutant, groups, TIMES * seconds + BESIDES

    for mutant, code, seconds in bench.run(tries()):
        outcome = {0: "unnoticed", None: "noticed (too slow)"}.get(code, "noticed")
        known[mutant.name] = {
            "line": mutant.line,
            "outcome": outcome,
            "seconds": round(seconds, 1),
            "source": sources[mutant.file],
            "tests": tried_by[mutant.name],
        }
        print(f"{outcome}: line {mutant.line}, {mutant.name}", flush=True)
        if file is not None:
            file.write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n")
    found = {name: counts(of_module, known, equivalent) for name, of_module in drawn.items()}
    show(drawn, known, equivalent, found)
    text = table(found)
    print(text)
    if page is not None:
        write_page(page, text, seed)


def files_of(names: list[str]) -> dict[str, list[str]]:
    """Return the files of each module, relative to the repository; each is of one module."""
    found: dict[str, list[str]] = {}
    package = REPOSITORY / "ecgad"
    # The narrower first: thresholds are not counted among the rest of scoring.
    taken: set[Path] = set()
    for name in sorted(names, key=lambda name: any("*" in p for p in MODULES.get(name, [name]))):
        patterns = MODULES.get(name) or [name if name.endswith(".py") else f"{name}/**/*.py"]
        there = {path for pattern in patterns for path in package.glob(pattern)} - taken
        if not there:
            raise typer.BadParameter(f"--modules: {name} is none of {', '.join(MODULES)}, no path")
        taken |= there
        found[name] = sorted(str(path.relative_to(REPOSITORY)) for path in there)
    return {name: found[name] for name in names}


def draw(files: list[str], seed: int) -> list[Mutant]:
    """Return the mutants of a module in random order."""
    found = [mutant for file in files for mutant in mutants(REPOSITORY, file)]
    random.Random(seed).shuffle(found)
    return found


def order(
    drawn: dict[str, list[Mutant]], known: dict[str, Outcome], equivalent: dict[str, str]
) -> list[Mutant]:
    """Return those to be tried, of each module in turn.

    What went unnoticed before comes first, where there are other tests now.
    """
    in_turn = [mutant for some in zip_longest(*drawn.values()) for mutant in some if mutant]
    in_turn = [mutant for mutant in in_turn if mutant.name not in equivalent]
    before = [m for m in in_turn if known.get(m.name, {}).get("outcome") == "unnoticed"]
    return before + [mutant for mutant in in_turn if mutant.name not in known]


def groups_for(mutant: Mutant, tests: Tests) -> tuple[list[list[str]], float]:
    """Return the tests that may notice, in the order in which to run them, and their seconds.

    The quick ones of each file come first, so that few files are collected for most mutants.
    """
    able = {name: test for name, test in tests.items() if may_notice(test, mutant)}
    chosen: dict[tuple[bool, str], list[str]] = {}
    so_far = 0.0
    for name, test in sorted(able.items(), key=lambda item: item[1].seconds):
        if so_far + test.seconds > TESTS_FOR:
            break
        so_far += test.seconds
        chosen.setdefault((test.seconds > QUICK, name.partition("::")[0]), []).append(name)

    def cost(group: tuple[bool, str]) -> tuple[bool, float]:
        return group[0], sum(tests[name].seconds for name in chosen[group])

    return [chosen[group] for group in sorted(chosen, key=cost)], so_far


def may_notice(test: Test, mutant: Mutant) -> bool:
    """Tell whether a test runs a changed line.

    Where that is for the whole file: whether it runs or imports any of it.
    """
    lines = test.lines.get(mutant.file, frozenset())
    if not mutant.lines:
        return bool(lines) or Path(mutant.file).stem in test.imports
    return any(line in lines for line in mutant.lines)


def digest(file: str) -> str:
    """Return what tells whether a file has changed since."""
    return hashlib.sha256((REPOSITORY / file).read_bytes()).hexdigest()[:16]


def earlier(file: Path | None) -> dict[str, Outcome]:
    """Return the results of earlier runs, of files that are as they were then."""
    if file is None or not file.exists():
        return {}
    known = json.loads(file.read_text())
    now = {name: name.partition(":")[0] for name in known}
    return {
        name: outcome
        for name, outcome in known.items()
        if (REPOSITORY / now[name]).exists() and digest(now[name]) == outcome["source"]
    }


def read_equivalent() -> dict[str, str]:
    """Return the reasons of the mutants that were judged equivalent.

    In the file, a line is a mutant as it is shown without its line, and its reason is indented
    below it.
    """
    found: dict[str, str] = {}
    names: list[str] = []
    for line in EQUIVALENT.read_text(encoding="utf-8").splitlines():
        if line.startswith("    "):
            found |= dict.fromkeys(names, line.strip())
            names = []
        elif line and not line.startswith("#"):
            names.append(line)
    return found


def counts(
    of_module: list[Mutant], known: dict[str, Outcome], equivalent: dict[str, str]
) -> Counter[str]:
    """Count the mutants of a module by what came of them."""
    found = Counter(equivalent=0, noticed=0, unnoticed=0, all=len(of_module))
    for mutant in of_module:
        if mutant.name in equivalent:
            found["equivalent"] += 1
        elif mutant.name in known:
            found[known[mutant.name]["outcome"].split()[0]] += 1
    return found


def show(
    drawn: dict[str, list[Mutant]],
    known: dict[str, Outcome],
    equivalent: dict[str, str],
    found: dict[str, Counter[str]],
) -> None:
    """Print what went unnoticed, and what of the list of equivalent ones is out of date."""
    for name, of_module in drawn.items():
        if found[name]["unnoticed"]:
            print(f"\n{name}, unnoticed:")
        for mutant in sorted(of_module, key=lambda mutant: (mutant.file, mutant.line)):
            if mutant.name not in equivalent and (
                known.get(mutant.name, {}).get("outcome") == "unnoticed"
            ):
                print(f"{mutant.file}:{mutant.line}: {mutant.where}: {mutant.change}")
    files = {mutant.file for of_module in drawn.values() for mutant in of_module}
    there = {mutant.name for of_module in drawn.values() for mutant in of_module}
    for name in sorted(equivalent.keys() - there):
        if name.partition(":")[0] in files:
            print(f"\n{EQUIVALENT.name} names what is not there any more: {name}")
    print()


def table(found: dict[str, Counter[str]]) -> str:
    """Show how many were noticed, by module; the share is of those that are not equivalent."""
    lines = ["| module | mutants | tried | noticed | unnoticed | equivalent | share noticed |"]
    lines.append("|---|---|---|---|---|---|---|")
    total: Counter[str] = sum(found.values(), Counter())
    for name, n in [*found.items(), ("all", total)]:
        tried = n["noticed"] + n["unnoticed"]
        share = f"{n['noticed'] / tried:.0%}" if tried else ""
        cells = (n["all"], tried, n["noticed"], n["unnoticed"], n["equivalent"], share)
        lines.append(f"| {name} | " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def write_page(page: Path, text: str, seed: int) -> None:
    """Put the table between the markers of a page."""
    content = page.read_text(encoding="utf-8")
    before, begin, rest = content.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise typer.BadParameter(f"--page: {page} has no {BEGIN} and {END}")
    made = f"Made by `python benchmarks/mutants.py`, seed {seed}."
    page.write_text(f"{before}{BEGIN}\n{made}\n\n{text}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
