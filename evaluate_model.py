"""Stage 3: a trained autoencoder to scores, a threshold and metrics, and a detector in one file."""

from ecgad.commands.script import Run, script  # first: it catches interruptions

# isort: split
import time

from ecgad.runtime import processes


def evaluate(run: Run) -> None:
    """Score every split, choose the threshold, and measure how well anomalies are told apart.

    The threshold is chosen on training or validation beats; test beats are only measured.
    """
    from ecgad.artifacts import checkpoint, files, processed, runs
    from ecgad.report.tables import evaluate_tables

    experiment, config = run.experiment, run.experiment.evaluation
    metrics = None
    with processes.fail_together():
        stage = run.stage("evaluate")
        if not run.overwrite and stage.finished() is not None:
            metrics = files.load_json(run.run_dir / runs.METRICS)
        elif processes.RANK == 0:
            stage.check_writable()
    if metrics is not None:
        run.already(stage, metrics, evaluate_tables(metrics))
        return

    from ecgad.data.splits import SPLITS
    from ecgad.detection.trained import TrainedDetector
    from ecgad.evaluation.baselines import run_baselines
    from ecgad.evaluation.examples import choose_examples, choose_to_encode, take_examples
    from ecgad.evaluation.results import evaluate_run
    from ecgad.evaluation.score_table import score_rows
    from ecgad.scoring.inference import encode, reconstruct

    with processes.fail_together():
        trained = checkpoint.load_checkpoint(run.run_dir / runs.BEST)
        detector = TrainedDetector.of_checkpoint(trained, config, run.device)
        beats = {split: processed.load_split(experiment.processed_dir, split) for split in SPLITS}
    started = time.perf_counter()
    # Training beats are what the detector compares with: it does not adapt to them.
    scores = {split: detector.score_split(beats[split], adapt=split != "train") for split in SPLITS}
    scoring = time.perf_counter() - started
    if processes.RANK > 0:
        return
    scores = detector.follow_records(config.record_level, scores, beats)
    normals = beats["train"].normals
    detector.calibrate(config, scores["train"][normals], beats["validation"], scores["validation"])
    assert detector.threshold is not None
    baselines = run_baselines(config.baselines, beats, experiment.seed)
    seconds = {"training": stage.needed["train"]["seconds"], "scoring": scoring}
    metrics = evaluate_run(experiment, beats, scores, detector.threshold, baselines, seconds)

    stage.begin(runs.EVALUATION_OUTPUTS)
    test, encoded = beats["test"], choose_to_encode(beats["test"])
    runs.save_scores(run.run_dir, scores, [found.scores["test"] for found in baselines.values()])
    runs.save_codes(run.run_dir, encoded, encode(detector.model, test.take(encoded).waveforms))
    runs.save_score_table(run.run_dir, score_rows(beats, scores, detector.threshold))
    runs.save_examples(
        run.run_dir,
        choose_examples(scores, beats, detector.threshold),
        lambda indices: reconstruct(detector.model, take_examples(beats, indices).waveforms),
    )
    detector.save(run.run_dir / runs.DETECTOR)
    files.save_json(run.run_dir / runs.THRESHOLD, detector.threshold_json())
    files.save_json(run.run_dir / runs.METRICS, metrics)
    stage.finish(runs.EVALUATION_OUTPUTS, summary={})
    run.result(metrics, evaluate_tables(metrics))


if __name__ == "__main__":
    script(evaluate, by_ranks=True)
