"""Stage 4: what the other stages wrote, as pictures and one report."""

from ecgad.commands.script import Run, script


def visualize(run: Run) -> None:
    """Draw the data, the training, the reconstructions and the results, and write a report."""
    from ecgad.artifacts import files, runs
    from ecgad.report.tables import visualize_tables

    experiment, run_dir = run.experiment, run.run_dir
    stage = run.stage("visualize")
    if run.finished(stage, visualize_tables):
        return

    from ecgad.report import page
    from ecgad.report.gallery import draw
    from ecgad.report.mistakes import lost_words, mistakes_of_run
    from ecgad.report.picture import render
    from ecgad.runtime.workers import in_order

    mistakes = mistakes_of_run(experiment, run_dir, stage.made_from["preprocess"])
    if mistakes and mistakes.lost:
        run.console.say(f"note: {lost_words(mistakes)}")
    figures = draw(experiment, run_dir, mistakes.worst if mistakes else [])
    calls = ((*parts, experiment.figures.dpi) for parts in figures)
    pictures = list(in_order(render, calls))
    metrics = files.load_json(run_dir / runs.METRICS)
    report = page.render(metrics, stage.needed["train"], pictures, mistakes)
    names = [runs.figure_file(picture.name) for picture, _ in pictures]
    outputs = [runs.REPORT, *names]
    stage.begin(outputs)
    for name, (_, png) in zip(names, pictures, strict=True):
        files.save_bytes(run_dir / name, png)
    files.save_bytes(run_dir / runs.REPORT, report.encode())
    summary = {
        "name": experiment.name,
        "seed": experiment.seed,
        "report": str(run_dir / runs.REPORT),
        "figures": [str(run_dir / name) for name in names],
    }
    stage.finish(outputs, summary)
    run.result(summary, visualize_tables(summary))


if __name__ == "__main__":
    script(visualize)
