"""`ecgad detect`: recordings in, annotations, tables and a summary out."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ecgad.commands.exits import exit_code
from ecgad.commands.options import Json, Quiet, check_annotator, seconds
from ecgad.errors import ConfigError, FileError, MismatchError, UserError

if TYPE_CHECKING:
    from ecgad.detection.archive import Outcome


def detect(
    recordings: Annotated[
        list[Path],
        typer.Argument(
            metavar="RECORDING",
            help="WFDB records, EDF files, tables, or folders of these.",
        ),
    ],
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
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Make anew what is there already.")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Find the beats of recordings, and say which of them are anomalous.

    Of each recording NAME it writes NAME.ecgad (WFDB annotations), NAME.beats.csv, NAME.events.csv
    and NAME.json. For research and education only; not a medical device.
    """

    def work() -> None:
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
        from ecgad.recordings.find import distinct, found_at
        from ecgad.runtime.console import Console

        if output.exists() and not output.is_dir():
            raise ConfigError(f"--output {output} is a file; name a folder")
        there, lost = [], []
        for path in recordings:
            try:
                there += found_at(path, tables=rate is not None)
            except FileError as error:
                lost.append(Outcome(str(path), error=error))
        found = distinct(there)
        job = Job(
            folder=output,
            detector=detector,
            wanted=Wanted(wanted_leads, annotator, start, stop),
            sampling_rate=rate,
            unit=unit,
            overwrite=overwrite,
        )
        outcomes = [*lost, *(run(found, job, jobs, Console(quiet)) if found else [])]
        _print(outcomes, json)
        _raise(outcomes)

    return exit_code(work, "recordings that are done are kept; run it again for the others")


def _print(outcomes: "Sequence[Outcome]", json: bool) -> None:
    if json:
        import json as jsonlib

        result: dict[str, Any] = {
            "recordings": [of.summary for of in outcomes if of.summary is not None],
            "failed": [
                {"recording": of.name, "error": str(of.error)}
                for of in outcomes
                if of.error is not None
            ],
        }
        print(jsonlib.dumps(result, allow_nan=False))
        return
    done = [of.summary for of in outcomes if of.summary is not None]
    width = max((len(summary["recording"]) for summary in done), default=0)
    for summary in done:
        print(_line(summary, width))


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


def _raise(outcomes: "Sequence[Outcome]") -> None:
    """Raise what became of the recordings that failed, as one error."""
    errors = [of.error for of in outcomes if of.error is not None]
    if not errors:
        return
    if len(outcomes) == 1:
        raise errors[0]
    kinds = (UserError, MismatchError, ConfigError, FileError)
    kind = next(kind for kind in reversed(kinds) if any(isinstance(e, kind) for e in errors))
    told = "; ".join(str(error) for error in errors[:3])
    more = f"; and {len(errors) - 3} more" if len(errors) > 3 else ""
    raise kind(f"{len(errors)} of {len(outcomes)} recordings failed: {told}{more}")
