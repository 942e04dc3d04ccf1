"""Stage 1: raw ECG to scaled training, validation and test beats."""

from ecgad.commands.script import Run, script  # first: it catches interruptions

# isort: split
from typing import Annotated

import typer


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
    from ecgad.artifacts import processed
    from ecgad.data.scaling import RunningStatistics
    from ecgad.data.splits import SplitAssignment, splits_of_records
    from ecgad.report.summaries import preprocess_summary
    from ecgad.report.tables import preprocess_tables

    experiment, data = run.experiment, run.experiment.data
    source = experiment.source
    source.find(run.console)
    by_record = splits_of_records(source.records, data.split, experiment.seed)
    stage = run.stage("preprocess", source.files)
    if run.finished(stage, preprocess_tables):
        return
    if changed := source.changed(stage.inputs):
        run.console.say(changed)

    assignment = SplitAssignment(data.split, experiment.seed, by_record)
    statistics = RunningStatistics(data.scaling.per)
    with source.reading(jobs, run.console) as parts, processed.SplitWriter(stage.folder) as writer:
        for part in parts:
            for name, beats in assignment.assign(part.beats):
                writer.add(name, beats)
                if name == "train":
                    statistics.add(beats.waveforms[beats.normals])
                if name == "test" and len(beats):
                    writer.add_strip(part.strip)
        assignment.check()
        if share := data.split.hidden_anomalies:
            # Once all beats are there; what is hidden counts as normal, in the scaling as well.
            assignment.tallies["train"].normal = writer.hide_anomalies(share, experiment.seed)
            statistics = RunningStatistics(data.scaling.per)
            for normals in writer.training_normals():
                statistics.add(normals)
        outside = writer.finish(statistics.scaler(data.scaling.method), statistics)
        stage.begin(writer.outputs)
    summary = preprocess_summary(experiment, writer, source.left_out, assignment.tallies, outside)
    stage.finish(writer.outputs, summary)
    run.result(summary, preprocess_tables(summary))


if __name__ == "__main__":
    script(preprocess)
