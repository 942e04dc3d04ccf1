"""`ecgad detect`: recordings in, pages, annotations, tables and summaries out."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ecgad.commands.exits import exit_code, fail
from ecgad.commands.options import Json, Quiet, check_annotator, seconds
from ecgad.errors import ConfigError, FileError, UserError
from ecgad.runtime import processes

if TYPE_CHECKING:
    from ecgad.detection.archive import Outcome
    from ecgad.runtime.console import Console

# Of several recordings that failed, the exit code of the first of these that there is.
GRAVEST = (3, 2, 4, 1)


def detect(
    recordings: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="RECORDING",
            help="WFDB records, EDF files, tables, or folders of these.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The folder for what is found.")
    ] = Path(),
    detector: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE|RUN_DIR",
            help="Of `ecgad export`, or a run dir.  [default: the one that comes with ecgad]",
        ),
    ] = None,
    leads: Annotated[
        str | None,
        typer.Option(metavar="NAME[,NAME]", help="The lead to judge, such as II or V5."),
    ] = None,
    annotator: Annotated[
        str | None,
        typer.Option(metavar="EXT", help="Beats are where RECORDING.EXT has them, not sought."),
    ] = None,
    from_: Annotated[
        str | None, typer.Option("--from", metavar="[[H:]M:]S", help="Begin there.")
    ] = None,
    to: Annotated[str | None, typer.Option("--to", metavar="[[H:]M:]S", help="End there.")] = None,
    rate: Annotated[float | None, typer.Option(help="Of tables: the sampling rate in Hz.")] = None,
    unit: Annotated[
        str | None, typer.Option(metavar="mV|uV|V", help="Of tables: the unit.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes.  [default and most: one for each core]")
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(metavar="I/N", help="Of N shares of the recordings, only number I, from 1."),
    ] = None,
    summary: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Join what is there; what is of RECORDING and is not there, failed."
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Make anew what is there already.")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Find the beats of recordings, and say which of them are anomalous.

    Of each recording NAME it writes NAME.html (a page to look at), NAME.ecgad (WFDB annotations),
    NAME.beats.csv, NAME.events.csv and NAME.json; of several together, summary.csv and index.html.
    For research and education only; not a medical device.
    """
    code = 0

    def work() -> None:
        nonlocal code
        processes.check()
        if summary is not None:
            if shard is not None or processes.SIZE > 1:
                raise ConfigError(
                    "--summary joins what is there, by one process: leave out --shard, and start "
                    "it without a launcher"
                )
            code = _join(summary, recordings or [], rate is not None, json, quiet)
            return
        if not recordings:
            raise ConfigError("RECORDING is missing: name a record, an EDF file, a table, a folder")
        share, of = _share(shard)
        wanted_leads = None
        if leads is not None:
            wanted_leads = tuple(name.strip() for name in leads.split(","))
            if not all(wanted_leads):
                raise ConfigError(f"--leads {leads}: a name is empty; give one such as II")
        if annotator is not None:
            check_annotator(annotator, "--annotator")
        start = None if from_ is None else seconds(from_, "--from")
        stop = None if to is None else seconds(to, "--to")
        if start is not None and stop is not None and start >= stop:
            raise ConfigError(f"--to {to} is not after --from {from_}")

        from ecgad.detection.archive import Job, Outcome, run
        from ecgad.detection.whole import Wanted
        from ecgad.recordings.find import (
            SUMMARY_TABLE,
            distinct,
            found_at,
            is_summary_table,
            share_of,
        )
        from ecgad.runtime.console import Console

        if output.exists() and not output.is_dir():
            raise ConfigError(f"--output {output} is a file; name a folder")
        there, lost = [], []
        for path in recordings:
            try:
                there += found_at(path, tables=rate is not None)
            except FileError as error:
                if processes.SIZE > 1:
                    # One that ends later with another code than 0 would end all others.
                    raise
                lost.append(Outcome(str(path), error=error))
        found = share_of(distinct(there), share, of)
        job = Job(
            folder=output,
            detector=detector,
            wanted=Wanted(wanted_leads, annotator, start, stop),
            sampling_rate=rate,
            unit=unit,
            overwrite=overwrite,
        )
        # By a launcher, each is one process of several already.
        n_processes = jobs or (1 if processes.SIZE > 1 else None)
        console = Console(quiet or processes.RANK > 0)
        outcomes = [*lost, *(run(found, job, n_processes, console) if found else [])]
        joined_before = is_summary_table(output / SUMMARY_TABLE)
        if of == 1 and found and (len(found) > 1 or joined_before):
            _join_beside(output, outcomes, console)
        _print(outcomes, output, json)
        code = _told(outcomes)

    ended = exit_code(work, "recordings that are done are kept; run it again for the others")
    return ended or code


def _share(shard: str | None) -> tuple[int, int]:
    """Return which share of the recordings is to be done, from 0, and of how many.

    Raises ConfigError.
    """
    if shard is None:
        return processes.RANK, processes.SIZE
    if processes.SIZE > 1:
        raise ConfigError(
            "--shard, and RANK and WORLD_SIZE, which a launcher has set, both deal out the "
            "recordings; leave one of them out"
        )
    match = re.fullmatch(r"(\d{1,9})/(\d{1,9})", shard.strip(), re.ASCII)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise ConfigError(f"--shard {shard}: I/N is needed, I from 1 to N, such as 1/10")
    return int(match[1]) - 1, int(match[2])


def _join(folder: Path, recordings: Sequence[Path], tables: bool, json: bool, quiet: bool) -> int:
    """Join the recordings of a folder, say what they are, and return the exit code.

    recordings: what ought to be there; tables: whether these are tables.
    """
    from ecgad.detection.joined import join
    from ecgad.recordings.find import find_recordings
    from ecgad.runtime.console import Console

    joined = join(folder, None, [found.name for found in find_recordings(recordings, tables)])
    Console(quiet).say(f"in {folder}: {' and '.join(joined.files)}")
    if json:
        import json as jsonlib

        print(jsonlib.dumps(joined.to_dict(), allow_nan=False))
    else:
        print(joined.words)
    errors = [(f"{of['recording']}: {of['error']}", of["exit_code"]) for of in joined.failed]
    return _failed(errors, len(joined.rows))


def _join_beside(folder: Path, outcomes: "Sequence[Outcome]", console: "Console") -> None:
    """Join recordings with those before them, where nothing of somebody else is in the way."""
    from ecgad.detection.joined import join

    try:
        joined = join(folder, [of.name for of in outcomes])
        console.say(f"{' and '.join(joined.files)} lead to {len(joined.rows)} recordings")
    except UserError as error:
        console.say(f"not joined: {error}")


def _print(outcomes: "Sequence[Outcome]", folder: Path, json: bool) -> None:
    done = [of for of in outcomes if of.summary is not None]
    if json:
        import json as jsonlib

        from ecgad.artifacts.files import load_json
        from ecgad.detection.outputs import SUMMARY

        # One at a time: they may hold long lists.
        print('{"recordings": [', end="")
        for number, outcome in enumerate(done):
            summary = load_json(folder / f"{outcome.name}{SUMMARY}")
            print(", " if number else "", jsonlib.dumps(summary, allow_nan=False), sep="", end="")
        failed = [
            {"recording": of.name, "error": str(of.error)}
            for of in outcomes
            if of.error is not None
        ]
        print(f'], "failed": {jsonlib.dumps(failed)}}}')
        return
    summaries = [of.summary for of in done if of.summary is not None]
    width = max((len(of["recording"]) for of in summaries), default=0)
    for of_recording in summaries:
        print(_line(of_recording, width))


def _line(summary: dict[str, Any], width: int) -> str:
    """Say in a line what was found in a recording."""
    if not summary["beats"]:
        what = "no beats"
    else:
        what = (
            f"{summary['anomalous']:>6} of {summary['beats']:>6} beats anomalous,"
            f"{summary['events']['all']:>5} events"
        )
    return (
        f"{summary['recording']:<{width}} {what}, {summary['share_readable']:>4.0%} readable, "
        f"lead {summary['lead']}"
    )


def _told(outcomes: "Sequence[Outcome]") -> int:
    """Say what became of the recordings that failed, in one line, and return the exit code.

    A launcher ends all processes where one of them ends with another code than 0.
    """
    errors = [(str(of.error), of.error.exit_code) for of in outcomes if of.error is not None]
    code = _failed(errors, len(outcomes))
    return 0 if processes.SIZE > 1 else code


def _failed(errors: Sequence[tuple[str, int]], n: int) -> int:
    """Say in one line which recordings failed, and return the exit code of the gravest.

    errors: what is to be said, and the exit code, of each. n: how many recordings there are.
    """
    if not errors:
        return 0
    told = "; ".join(words for words, _ in errors[:3])
    if n > 1:
        more = f"; and {len(errors) - 3} more" if len(errors) > 3 else ""
        told = f"{len(errors)} of {n} recordings failed: {told}{more}"
    codes = {code for _, code in errors}
    return fail(told, next(code for code in GRAVEST if code in codes), of_rank=True)
