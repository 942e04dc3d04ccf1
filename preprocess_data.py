"""Stage 1: raw ECG to scaled training, validation and test beats."""

from ecgad.commands.script import Run, script  # first: it catches interruptions

# isort: split
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from ecgad.runtime import processes

if TYPE_CHECKING:
    from ecgad.artifacts.stages import Stage
    from ecgad.data.beats import Part
    from ecgad.data.sources import Source
    from ecgad.data.splits import SplitAssignment


def preprocess(
    run: Run,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, help="Processes that read.  [default and most: one for each core]"),
    ] = None,
) -> None:
    """Read a source, split its beats, scale them, and write the splits.

    The scaling is fitted on the normal beats of the training split alone.
    """
    from ecgad.artifacts import shards

    source = run.experiment.source
    with processes.fail_together():
        begun = begin(run, source) if processes.RANK == 0 else None
    shared = processes.broadcast(begun and (source, begun[0].folder))
    if shared is None:
        return
    with shards.reading(*shared, jobs, run.console) as parts:
        if begun is not None:
            write(run, source, *begun, parts)


def begin(run: Run, source: "Source") -> "tuple[Stage, SplitAssignment] | None":
    """Find the source, and see whether there is something to do; None where all is done."""
    from ecgad.data.splits import SplitAssignment, splits_of_records
    from ecgad.report.tables import preprocess_tables

    split, seed = run.experiment.data.split, run.experiment.seed
    source.find(run.console)
    by_record = splits_of_records(source.records, split, seed)
    stage = run.stage("preprocess", source.files)
    if run.finished(stage, preprocess_tables):
        return None
    if changed := source.changed(stage.inputs):
        run.console.say(changed)
    return stage, SplitAssignment(split, seed, by_record)


def write(
    run: Run,
    source: "Source",
    stage: "Stage",
    assignment: "SplitAssignment",
    parts: "Iterator[Part]",
) -> None:
    """Split what was read, scale it, and write it."""
    from ecgad.artifacts import processed
    from ecgad.data.scaling import RunningStatistics
    from ecgad.report.summaries import preprocess_summary
    from ecgad.report.tables import preprocess_tables

    experiment, data = run.experiment, run.experiment.data
    statistics = RunningStatistics(data.scaling.per)
    with processed.SplitWriter(stage.folder) as writer:
        for part in parts:
            for name, beats in assignment.assign(part.beats):
                writer.add(name, beats)
                if name == "train":
                    statistics.add(beats.waveforms[beats.normals], len(beats.format.evidence))
                if name == "test" and len(beats):
                    writer.add_strip(part.strip)
        assignment.check()
        if share := data.split.hidden_anomalies:
            # Once all beats are there; what is hidden counts as normal, in the scaling as well.
            assignment.tallies["train"].normal = writer.hide_anomalies(share, experiment.seed)
            statistics = RunningStatistics(data.scaling.per)
            for normals in writer.training_normals():
                statistics.add(normals, len(writer.format.evidence))
        outside = writer.finish(statistics.scaler(data.scaling.method), statistics)
        stage.begin(writer.outputs)
    summary = preprocess_summary(experiment, writer, source.left_out, assignment.tallies, outside)
    stage.finish(writer.outputs, summary)
    run.result(summary, preprocess_tables(summary))


if __name__ == "__main__":
    script(preprocess, by_ranks=True, on_device=False)
