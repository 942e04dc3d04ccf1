"""Stage 1: raw ECG to scaled training, validation and test beats."""

from ecgad.cli import Run, script


def preprocess(run: Run) -> None:
    """Read a source, split its beats, scale them, and write the splits.

    The scaling is fitted on the normal beats of the training split alone.
    """
    from ecgad.artifacts import files, manifest, processed
    from ecgad.data import load_beats, not_as_published, raw_files
    from ecgad.data.scaling import Scaler, out_of_range
    from ecgad.data.splits import split_beats
    from ecgad.summaries import preprocess_tables

    experiment = run.experiment
    raw = raw_files(experiment)
    stage = manifest.Stage(
        name="preprocess",
        folder=experiment.processed_dir,
        settings=experiment.data_settings,
        inputs={file.name: files.sha256(file) for file in raw},
    )
    if not run.overwrite and (summary := stage.finished()) is not None:
        run.say(f"{stage.folder} is finished already: made from the same data and settings")
        run.result(summary, *preprocess_tables(summary))
        return
    files.check_writable(stage.folder)
    for name in not_as_published(experiment, stage.inputs):
        run.say(f"note: {name} is not the published file (its checksum differs); reading it anyway")

    beats = load_beats(experiment, raw)
    split = experiment.data.split
    splits = split_beats(beats, split.fractions, experiment.seed, split.method == "source")
    train = beats.take(splits["train"])
    fitted = train.beats[train.normals]
    scaling = experiment.data.scaling
    scaler = Scaler.fit(fitted, scaling.method, scaling.per)

    stage.begin()
    processed.save_splits(stage.folder, beats, splits, scaler)
    summary = {
        "name": experiment.name,
        "seed": experiment.seed,
        "source": experiment.data.source,
        "processed_dir": str(stage.folder),
        "n_beats": len(beats),
        "n_leads": beats.beats.shape[1],
        "n_samples": beats.beats.shape[2],
        "labelled": beats.labels is not None,
        "class_names": beats.class_names,
        "splits": {
            name: {
                "n_beats": len(places),
                "n_normal": len(beats.take(places).normals),
                "n_by_class": beats.take(places).class_counts,
                "out_of_range": out_of_range(beats.beats[places], fitted, scaling.per),
            }
            for name, places in splits.items()
        },
    }
    stage.finish(experiment, processed.OUTPUTS, summary)
    run.result(summary, *preprocess_tables(summary))


if __name__ == "__main__":
    script(preprocess)
