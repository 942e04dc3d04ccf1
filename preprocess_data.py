"""Stage 1: raw ECG to scaled training, validation and test beats."""

from ecgad.cli import Run, script


def preprocess(run: Run) -> None:
    """Read a source, split its beats, scale them, and write the splits.

    The scaling is fitted on the normal beats of the training split alone.
    """
    from ecgad import artifacts
    from ecgad.data import load_beats, raw_files
    from ecgad.data.scaling import Scaler
    from ecgad.data.splits import split_beats
    from ecgad.summaries import preprocess_tables

    experiment = run.experiment
    files = raw_files(experiment)
    stage = artifacts.Stage(
        name="preprocess",
        folder=experiment.processed_dir,
        settings=experiment.data_settings,
        inputs={file.name: artifacts.sha256(file) for file in files},
    )
    if not run.overwrite and (summary := stage.finished()):
        run.say(f"{stage.folder} is finished already: made from the same data and settings")
        run.result(summary, *preprocess_tables(summary))
        return
    artifacts.check_writable(stage.folder)

    beats = load_beats(experiment, files)
    split = experiment.data.split
    splits = split_beats(beats, split.fractions, experiment.seed, split.method == "source")
    train_normals = beats.take(splits["train"][beats.take(splits["train"]).normals])
    scaling = experiment.data.scaling
    scaler = Scaler.fit(train_normals.beats, scaling.method, scaling.per)

    artifacts.save_splits(stage.folder, beats, splits, scaler)
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
                "out_of_range": scaler.out_of_range(scaler.transform(beats.beats[places])),
            }
            for name, places in splits.items()
        },
    }
    stage.finish(experiment, artifacts.splits_outputs(), summary)
    run.result(summary, *preprocess_tables(summary))


if __name__ == "__main__":
    script(preprocess)
