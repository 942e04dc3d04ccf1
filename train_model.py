"""Stage 2: scaled normal beats to a trained autoencoder."""

import time
from typing import Annotated

import typer

from ecgad.cli import Run, script

# A killed run loses no more than this, and small models do not spend their time on writing.
SECONDS_BETWEEN_CHECKPOINTS = 5.0


def train(
    run: Run,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last checkpoint, where there is one.")
    ] = False,
) -> None:
    """Train an autoencoder on the normal beats of the training split."""
    from ecgad import artifacts
    from ecgad.errors import ConfigError, MismatchError
    from ecgad.summaries import train_tables

    if resume and run.overwrite:
        raise ConfigError("--resume goes on, --overwrite starts again: give one of them")
    experiment = run.experiment
    splits = artifacts.require(experiment.processed_dir, "preprocess", experiment.data_settings)
    stage = artifacts.Stage(
        "train", run.run_dir, experiment.training_settings, inputs=splits["outputs"]
    )
    last = run.run_dir / artifacts.LAST
    going_on = resume and last.exists()
    if not run.overwrite and not going_on:
        if summary := stage.finished():
            run.say(f"{run.run_dir} is trained already, from the same splits and settings")
            run.result(summary, *train_tables(summary))
            return
        if last.exists():
            raise MismatchError(
                f"{run.run_dir} holds an unfinished training; give --resume to go on with it, or "
                f"--overwrite to start again"
            )
    artifacts.check_writable(run.run_dir)

    import torch

    from ecgad import training
    from ecgad.models import build_model

    config = experiment.training
    device = training.pick_device(run.device)
    training.prepare(device, experiment.seed)
    state = training.TrainingState()
    if going_on:
        checkpoint = artifacts.load_checkpoint(last)
        artifacts.check_resumable(checkpoint, stage, last)
        state = training.TrainingState(**checkpoint.training or {})
        run.say(f"going on after epoch {state.epoch}")

    normals = {}
    for split in ("train", "validation"):
        beats = artifacts.load_split(experiment.processed_dir, split)
        normals[split] = torch.from_numpy(beats.beats[beats.normals]).to(device)
    _, n_leads, n_samples = normals["train"].shape
    description = {
        "kind": experiment.model.kind,
        "n_leads": n_leads,
        "n_samples": n_samples,
        "parameters": experiment.model.parameters,
    }
    model = build_model(**description).to(device)
    scaler = artifacts.load_scaler(experiment.processed_dir).to_dict()

    def save(state: training.TrainingState) -> None:
        common = (description, state.best_weights, scaler, stage.settings, stage.inputs)
        artifacts.save_training(run.run_dir, artifacts.Checkpoint(*common), vars(state))

    saved_epoch, saved_at = state.epoch, time.monotonic()
    say_every = -(-config.epochs // 10)
    try:
        with run.progress() as progress:
            bar = progress.add_task("training", total=config.epochs, completed=state.epoch)
            for state in training.fit(
                model, normals["train"], normals["validation"], config, experiment.seed, state
            ):
                row = state.history[-1]
                losses = f"{row['train_loss']:.5f}, validation {row['validation_loss']:.5f}"
                progress.update(bar, completed=state.epoch, losses=losses)
                if progress.disable and state.epoch % say_every == 0:
                    run.say(f"epoch {state.epoch} of {config.epochs}: {config.loss} {losses}")
                if time.monotonic() - saved_at > SECONDS_BETWEEN_CHECKPOINTS:
                    save(state)
                    saved_epoch, saved_at = state.epoch, time.monotonic()
    finally:
        # Also when the user interrupts or the loss diverges: the last good epoch is kept.
        if state.epoch > saved_epoch:
            save(state)
        if state.epoch and not state.finished(config):
            run.say(f"stopped after epoch {state.epoch}; --resume goes on from there")

    summary = {
        "name": experiment.name,
        "seed": experiment.seed,
        "run_dir": str(run.run_dir),
        "model": experiment.model.kind,
        "device": device.type,
        "n_weights": sum(weights.numel() for weights in model.parameters()),
        "n_train": len(normals["train"]),
        "n_validation": len(normals["validation"]),
        "loss": config.loss,
        "epochs": state.epoch,
        "stopped_early": state.epoch < config.epochs,
        "best_epoch": state.best_epoch,
        "best_loss": state.best_loss,
        "seconds": sum(row["seconds"] for row in state.history),
    }
    artifacts.save_config(run.run_dir, experiment)
    stage.finish(experiment, (artifacts.BEST, artifacts.LAST, artifacts.HISTORY), summary)
    run.result(summary, *train_tables(summary))


if __name__ == "__main__":
    script(train)
