"""Stage 2: scaled normal beats to a trained autoencoder."""

from ecgad.commands.script import Run, script  # first: it catches interruptions

# isort: split
from typing import Annotated

import typer

from ecgad.runtime import processes


def train(
    run: Run,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last checkpoint, where there is one.")
    ] = False,
) -> None:
    """Train an autoencoder on the normal beats of the training split."""
    from ecgad.artifacts import processed, runs, training
    from ecgad.artifacts.checkpoint import restore_model
    from ecgad.report.tables import train_tables

    experiment, config = run.experiment, run.experiment.training
    with processes.fail_together():
        stage = run.stage("train")
        found = training.find_training(stage, resume, run.overwrite)
    summary, training_state = processes.broadcast(found)
    if summary is not None:
        run.already(stage, summary, train_tables(summary))
        return

    from ecgad.report.summaries import train_summary
    from ecgad.runtime.devices import pick_device, prepare
    from ecgad.scoring.reference_beats import check_size, choose_reference_beats
    from ecgad.training.feeding import feed
    from ecgad.training.fit import TrainingState, fit

    with processes.fail_together():
        device = pick_device(run.device)
        prepare(device, experiment.seed)
        beats, held_out = (
            processed.load_split(experiment.processed_dir, name) for name in ("train", "validation")
        )
        normals, validation = feed(beats, held_out, device, config.memory_budget_mb * 2**20)
        check_size(config.coreset, normals.n)
        checkpoint = training.new_checkpoint(stage, beats)
        state = TrainingState(**training_state)
        model = restore_model(checkpoint).to(device)
        if state.epoch:
            run.console.say(f"going on after epoch {state.epoch} of {config.epochs}")

    epochs = fit(model, normals, validation, config, experiment.seed, state)
    with (
        run.console.progress(state.epoch, config.epochs, "epoch") as show,
        training.TrainingWriter(stage, checkpoint, state) as write,
    ):
        for state in epochs:
            write(state)
            losses = [state.history[-1][f"{split}_loss"] for split in ("train", "validation")]
            show(state.epoch, f"{config.loss} {losses[0]:.5f}, validation {losses[1]:.5f}")
    if processes.RANK > 0:
        return

    model.load_state_dict(state.best_weights)
    reference = choose_reference_beats(model, beats, config, experiment.seed)
    training.save_best(stage, checkpoint, state, reference)
    labelled = beats.labels is not None
    sizes = {"n_train": normals.n, "n_validation": validation.n, "n_coreset": len(reference)}
    summary = train_summary(experiment, run.run_dir, state, model, device.type, sizes, labelled)
    stage.finish(runs.TRAINING_OUTPUTS, summary)
    run.result(summary, train_tables(summary))


if __name__ == "__main__":
    script(train, by_ranks=True, interrupted="train_model.py goes on with --resume")
