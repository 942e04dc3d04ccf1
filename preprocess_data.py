"""Stage 1: raw ECG to scaled training, validation and test beats."""

from collections.abc import Iterator
from typing import Annotated

import typer

from ecgad.commands.script import Run, script

# Of records, to look at; some kilobytes each.
MOST_STRETCHES = 64


def preprocess(
    run: Run,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes that read.  [default: one for each core]")
    ] = None,
) -> None:
    """Read a source, split its beats, scale them, and write the splits.

    The scaling is fitted on the normal beats of the training split alone.
    """
    from collections import Counter
    from contextlib import closing

    from ecgad.artifacts import files, manifest, processed
    from ecgad.data.scaling import Spread
    from ecgad.data.sources import Part, Stretch, open_source, read_beats
    from ecgad.data.splits import Dealer, hide_anomalies, sides_of_recordings
    from ecgad.report.tables import preprocess_tables

    experiment = run.experiment
    config = experiment.data
    source = open_source(experiment, run.console)
    sides = sides_of_recordings(source.recordings, config.split, experiment.seed)
    stage = manifest.Stage(
        name="preprocess",
        folder=experiment.processed_dir,
        settings=experiment.data_settings,
        inputs={name: files.sha256(path) for name, path in source.files.items()},
    )
    if not run.overwrite and (summary := stage.finished()) is not None:
        run.say(f"{stage.folder} is finished already: made from the same data and settings")
        run.result(summary, *preprocess_tables(summary))
        return
    files.check_writable(stage.folder)
    for name, digest in stage.inputs.items():
        if source.published.get(name, digest) != digest:
            run.say(f"note: {name} is not the published file (its checksum differs); reading it")

    dealer = Dealer(config.split, experiment.seed, sides)
    spread = Spread(config.scaling.per)
    left_out: Counter[str] = Counter()
    stretches: list[Stretch] = []
    with (
        closing(read_beats(source, jobs)) as parts,
        processed.SplitWriter(stage.folder) as writer,
    ):
        shown: Iterator[Part] = parts
        if source.recordings:
            shown = run.counted(parts, len(source.recordings), "record")
        for part in shown:
            for split, places in dealer.deal(part.beats).items():
                beats = part.beats.take(places)
                if split == "train":
                    beats = hide_anomalies(beats, config.split.hidden_anomalies, experiment.seed)
                writer.add(split, beats)
                if split == "train":
                    spread.add(beats.beats[beats.normals])
                if split == "test" and part.stretch and len(beats):
                    stretches = [*stretches, part.stretch][:MOST_STRETCHES]
            left_out.update(part.left_out)
        dealer.check()
        writer.add_stretches(stretches)
        outside = writer.finish(spread.scaler(config.scaling.method), spread, part.beats)
        stage.begin()

    tallies = dealer.tallies
    summary = {
        "name": experiment.name,
        "seed": experiment.seed,
        "source": config.source,
        "processed_dir": str(stage.folder),
        "n_beats": sum(tally.total for tally in tallies.values()),
        "n_leads": part.beats.beats.shape[1],
        "n_samples": part.beats.beats.shape[2],
        "labelled": part.beats.labels is not None,
        "class_names": part.beats.class_names,
        **config.classes,
        "left_out": dict(left_out),
        "splits": {
            name: {
                "n_beats": tally.total,
                "n_normal": tally.normal,
                "n_by_class": dict(tally.by_class.most_common()),
                "out_of_range": outside[name],
            }
            for name, tally in tallies.items()
        },
    }
    stage.finish(experiment, writer.outputs, summary)
    run.result(summary, *preprocess_tables(summary))


if __name__ == "__main__":
    script(preprocess)
