"""Stage 3: a trained autoencoder to scores, a threshold and metrics."""

from ecgad.cli import Run, script


def evaluate(run: Run) -> None:
    """Score every split, choose the threshold, and measure how well anomalies are told apart.

    The threshold is chosen on training or validation beats; test beats are only measured.
    """
    from ecgad.artifacts import files, manifest, processed, runs
    from ecgad.detector import restore_model
    from ecgad.summaries import evaluate_tables

    experiment = run.experiment
    splits = manifest.require(experiment.processed_dir, "preprocess", experiment.data_settings)
    path = run.run_dir / runs.BEST
    model = restore_model(runs.load_checkpoint(path), path)
    trained = manifest.require(run.run_dir, "train", experiment.training_settings)
    manifest.check_same(
        trained["inputs"], splits["outputs"], f"{path} was trained on", "train_model.py"
    )
    stage = manifest.Stage(
        "evaluate",
        run.run_dir,
        experiment.evaluation_settings,
        inputs={runs.BEST: trained["outputs"][runs.BEST], **splits["outputs"]},
    )
    if not run.overwrite and stage.finished() is not None:
        run.say(f"{run.run_dir} is evaluated already, with the same model, splits and settings")
        metrics = files.load_json(run.run_dir / runs.METRICS)
        run.result(metrics, *evaluate_tables(metrics))
        return
    files.check_writable(run.run_dir)

    from ecgad.data.splits import SPLITS
    from ecgad.examples import choose_examples, choose_to_encode
    from ecgad.metrics import evaluate_scores, patients_in_both
    from ecgad.scoring import encode, reconstruct, score_beats
    from ecgad.thresholds import choose_threshold, to_dict
    from ecgad.training import pick_device

    config = experiment.evaluation
    model.to(pick_device(run.device))
    beats = {split: processed.load_split(experiment.processed_dir, split) for split in SPLITS}
    scores = {
        split: score_beats(model, part.beats, config.score, part.lengths)
        for split, part in beats.items()
    }
    threshold = choose_threshold(
        config.threshold,
        scores["train"][beats["train"].normals],
        scores["validation"],
        beats["validation"].labels,
    )
    metrics = {
        "name": experiment.name,
        "seed": experiment.seed,
        "source": experiment.data.source,
        "model": experiment.model.kind,
        "score": config.score,
        "threshold": vars(threshold),
        "class_names": beats["test"].class_names,
        **experiment.data.classes,
        "padded": beats["test"].lengths is not None,
        "patients_in_training_and_test": patients_in_both(beats["train"], beats["test"]),
    }
    for split in ("validation", "test"):
        metrics[split] = evaluate_scores(
            scores[split], beats[split], threshold, config.bootstrap, experiment.seed
        )
    examples = choose_examples(scores["test"], beats["test"], threshold)
    encoded = choose_to_encode(beats["test"])

    stage.begin()
    for split in SPLITS:
        files.save_array(run.run_dir / runs.SCORES[split], scores[split])
    codes = encode(model, beats["test"].beats[encoded])
    runs.save_codes(run.run_dir, encoded, codes)
    runs.save_examples(
        run.run_dir, examples, lambda places: reconstruct(model, beats["test"].beats[places])
    )
    digest = stage.inputs[runs.BEST]
    files.save_json(run.run_dir / runs.THRESHOLD, to_dict(threshold, config.score, digest))
    files.save_json(run.run_dir / runs.METRICS, metrics)
    runs.save_config(run.run_dir, experiment)
    stage.finish(experiment, runs.EVALUATION_OUTPUTS, summary={})
    run.result(metrics, *evaluate_tables(metrics))


if __name__ == "__main__":
    script(evaluate)
