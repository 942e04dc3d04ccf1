"""`ecgad compare`: test annotations against reference annotations, as ANSI/AAMI EC57 has it."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ecgad.commands.exits import exit_code
from ecgad.commands.options import Json, Quiet, check_annotator, seconds
from ecgad.errors import ConfigError, FileError, MismatchError

if TYPE_CHECKING:
    from ecgad.evaluation.ec57 import Comparison
    from ecgad.recordings.annotation_pairs import Pairs
    from ecgad.runtime.console import Console


class Format(StrEnum):
    """What is printed; lines are bxb's -L, with SVEBs, and its -l, without."""

    table = "table"
    report = "report"
    lines = "lines"
    lines_veb = "lines-veb"


def compare(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="FOLDER|RECORD",
            help="Folders or records with annotations, such as: mitdb found. Those of a record are "
            "found by its name, in one folder or in two.",
        ),
    ],
    reference: Annotated[
        str, typer.Option(metavar="EXT", help="The reference is in RECORD.EXT.")
    ] = "atr",
    test: Annotated[
        str, typer.Option(metavar="EXT", help="What is tested is in RECORD.EXT.")
    ] = "ecgad",
    start: Annotated[
        str, typer.Option(metavar="[[H:]M:]S", help="Nothing before counts.")
    ] = "5:00",
    format_: Annotated[
        Format,
        typer.Option(
            "--format", help="A table; or as bxb of WFDB: reports, lines (-L), or (-l) lines-veb."
        ),
    ] = Format.table,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Compare annotations beat by beat, as ANSI/AAMI EC57 has it; counts and figures are those of
    bxb. Gross: all beats count alike; average: all records do.
    """

    def work() -> None:
        check_annotator(reference, "--reference")
        check_annotator(test, "--test")
        begin = seconds(start, "--start")

        from ecgad.evaluation import ec57
        from ecgad.recordings.annotation_pairs import find_pairs, read_pair
        from ecgad.runtime.console import Console

        console = Console(quiet)
        pairs = find_pairs(paths, reference, test)
        _say_what_is_left_out(pairs, reference, test, console)
        comparisons, tests, errors = {}, [], []
        for pair in pairs.pairs:
            try:
                read = read_pair(pair)
            except (FileError, MismatchError) as error:
                errors.append(error)
                continue
            if read.counted_at[0] != read.counted_at[1]:
                console.say(
                    f"{pair.name}: {pair.reference} counts at {read.counted_at[0]:g} Hz, "
                    f"{pair.test} at {read.counted_at[1]:g} Hz; both are taken at "
                    f"{read.sampling_rate:g} Hz"
                )
            comparisons[pair.name] = ec57.compare(
                read.reference, read.test, read.sampling_rate, begin, read.n_samples
            )
            tests.append(read.test)
        if errors:
            # Gross figures that lack a record would be those of others.
            more = f"; and {len(errors) - 3} more" if len(errors) > 3 else ""
            raise type(errors[0])("; ".join(map(str, errors[:3])) + more)
        verdicts = ec57.says_verdicts(tests)
        total = ec57.gross(comparisons.values())
        if not total.hours:
            raise ConfigError(f"--start {start}: the recordings end before; give an earlier time")
        mean = ec57.average([of.figures(verdicts) for of in comparisons.values()])
        if json:
            import json as jsonlib

            result = {
                "records": {
                    name: _record(name, of, reference, test, verdicts)
                    for name, of in comparisons.items()
                },
                "gross": _counts(total, verdicts),
                "average": mean,
                "without_test": pairs.without_test,
                "without_reference": pairs.without_reference,
            }
            print(jsonlib.dumps(result, allow_nan=False))
        else:
            print(_text(format_, comparisons, total, mean, reference, test, verdicts), end="")

    return exit_code(work, "run it again")


def _say_what_is_left_out(pairs: "Pairs", reference: str, test: str, console: "Console") -> None:
    for names, suffix in ((pairs.without_test, test), (pairs.without_reference, reference)):
        if names:
            more = ", ..." if len(names) > 5 else ""
            console.say(
                f"left out, without .{suffix}: {len(names)} records ({', '.join(names[:5])}{more})"
            )


def _counts(comparison: "Comparison", verdicts: bool) -> dict[str, Any]:
    """Return what the JSON has of a record, and of all together."""
    from ecgad.evaluation import ec57, ec57_text

    parts = comparison.parts()
    return {
        "matrix": comparison.matrix.tolist(),
        "ratios": [[parts[name][0], int(parts[name][1])] for name in ec57.SHARES[:6]],
        ec57.RR_ERROR: ec57_text.rr_error(comparison),
        "shutdown_seconds": ec57_text.whole_seconds(comparison),
        "figures": comparison.figures(verdicts),
    }


def _record(
    name: str, comparison: "Comparison", reference: str, test: str, verdicts: bool
) -> dict[str, Any]:
    from ecgad.evaluation import ec57_text

    return _counts(comparison, verdicts) | {
        "text": ec57_text.report(f"record {name}", reference, test, comparison),
        "line_format": {
            form: ec57_text.line_format(name, form, comparison) for form in ec57_text.FORMS
        },
    }


def _text(
    format_: Format,
    comparisons: Mapping[str, "Comparison"],
    total: "Comparison",
    mean: Mapping[str, float | None],
    reference: str,
    test: str,
    verdicts: bool,
) -> str:
    """Return what is printed; of one record, only what bxb prints of it."""
    from ecgad.evaluation import ec57_text

    if format_ == Format.table:
        return ec57_text.table(comparisons, total, mean, verdicts)
    if format_ == Format.report:
        reports = [
            ec57_text.report(f"record {name}", reference, test, of)
            for name, of in comparisons.items()
        ]
        if len(reports) > 1:
            what = f"{len(reports)} records as one"
            reports.append(ec57_text.report(what, reference, test, total))
            reports.append(ec57_text.average_report(len(reports) - 1, mean))
        return "\n".join(reports)
    return ec57_text.lines(comparisons, "-L" if format_ == Format.lines else "-l", total, mean)
