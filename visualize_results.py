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
    from ecgad.report.gallery import draw, render
    from ecgad.runtime.workers import in_order

    drawn = ((*parts, experiment.figures.dpi) for parts in draw(experiment, run_dir))
    figures = {name: (caption, png) for name, caption, png in in_order(render, drawn)}
    metrics = files.load_json(run_dir / runs.METRICS)
    report = page.render(metrics, stage.needed["train"], figures)
    outputs = [runs.REPORT, *map(runs.figure_file, figures)]
    stage.begin(outputs)
    for name, (_, png) in figures.items():
        files.save_bytes(run_dir / runs.figure_file(name), png)
    files.save_bytes(run_dir / runs.REPORT, report.encode())
    summary = {
        "name": experiment.name,
        "seed": experiment.seed,
        "report": str(run_dir / runs.REPORT),
        "figures": [str(run_dir / runs.figure_file(name)) for name in figures],
    }
    stage.finish(outputs, summary)
    run.result(summary, visualize_tables(summary))


if __name__ == "__main__":
    script(visualize)
