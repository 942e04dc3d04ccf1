"""Stage 3: a trained autoencoder to scores, a threshold and metrics."""

import time

from ecgad.commands.script import Run, script
from ecgad.runtime import ranks


def evaluate(run: Run) -> None:
    """Score every split, choose the threshold, and measure how well anomalies are told apart.

    The threshold is chosen on training or validation beats; test beats are only measured.
    """
    from ecgad.artifacts import files, manifest, processed, runs
    from ecgad.detection.detector import restore_model, restore_scorer
    from ecgad.report.tables import evaluate_tables

    experiment = run.experiment
    metrics = None
    with ranks.together():
        splits = manifest.require(experiment.processed_dir, "preprocess", experiment.data_settings)
        path = run.run_dir / runs.BEST
        checkpoint = runs.load_checkpoint(path)
        model = restore_model(checkpoint, path)
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
            metrics = files.load_json(run.run_dir / runs.METRICS)
        elif ranks.RANK == 0:
            files.check_writable(run.run_dir)
    if metrics is not None:
        run.say(f"{run.run_dir} is evaluated already, with the same model, splits and settings")
        run.result(metrics, *evaluate_tables(metrics))
        return

    from ecgad.data.splits import SPLITS
    from ecgad.evaluation.baselines import run_baselines
    from ecgad.evaluation.examples import choose_examples, choose_to_encode
    from ecgad.evaluation.metrics import baseline_entries, evaluate_scores, patients_in_both
    from ecgad.scoring.scorer import adapted_scores, encode, reconstruct, shared_scores
    from ecgad.scoring.thresholds import choose_threshold, relative_to_record, to_dict
    from ecgad.training.fit import pick_device

    config = experiment.evaluation
    with ranks.together():
        model.to(pick_device(run.device))
        scorer = restore_scorer(model, checkpoint, path, config.components, config.neighbours)
        beats = {split: processed.load_split(experiment.processed_dir, split) for split in SPLITS}
    started = time.perf_counter()
    scores = {split: shared_scores(scorer, beats[split]) for split in SPLITS}
    if minutes := config.adaptation_minutes:
        for split in ("validation", "test"):
            scores[split] = adapted_scores(scorer, beats[split], minutes)
    seconds = time.perf_counter() - started
    if ranks.RANK > 0:
        return
    if running := config.running_beats:
        scores = {
            split: relative_to_record(of_split, beats[split].records, running)
            for split, of_split in scores.items()
        }
    threshold = choose_threshold(
        config,
        scores["train"][beats["train"].normals],
        scores["validation"],
        beats["validation"].labels,
    )
    examples = choose_examples(scores["test"], beats["test"], threshold)
    encoded = choose_to_encode(beats["test"])
    metrics = {
        "name": experiment.name,
        "seed": experiment.seed,
        "source": experiment.data.source,
        "model": experiment.model.kind,
        "score": config.score_name,
        "threshold": vars(threshold),
        "class_names": beats["test"].class_names,
        **experiment.data.classes,
        "seconds": {"training": trained["summary"]["seconds"], "scoring": seconds},
        "padded": beats["test"].lengths is not None,
        "patients_in_training_and_test": patients_in_both(beats["train"], beats["test"]),
    }
    for split in ("validation", "test"):
        metrics[split] = evaluate_scores(
            scores[split], beats[split], threshold, config.bootstrap, experiment.seed
        )
    baselines = run_baselines(config.baselines, beats, experiment.seed)
    metrics["baselines"] = baseline_entries(baselines, beats, config)

    stage.begin()
    for split in SPLITS:
        files.save_array(run.run_dir / runs.SCORES[split], scores[split])
    runs.save_baselines(run.run_dir, [found.scores["test"] for found in baselines.values()])
    codes = encode(model, beats["test"].take(encoded).beats)
    runs.save_codes(run.run_dir, encoded, codes)
    runs.save_examples(
        run.run_dir, examples, lambda places: reconstruct(model, beats["test"].take(places).beats)
    )
    digest = stage.inputs[runs.BEST]
    files.save_json(run.run_dir / runs.THRESHOLD, to_dict(threshold, config, digest))
    files.save_json(run.run_dir / runs.METRICS, metrics)
    runs.save_config(run.run_dir, experiment)
    stage.finish(experiment, runs.EVALUATION_OUTPUTS, summary={})
    run.result(metrics, *evaluate_tables(metrics))


if __name__ == "__main__":
    script(evaluate, by_ranks=True)
