"""The picture of a page of `ecgad detect`, as in the README: its upper part, with an event.

    ecgad detect data/raw/mitdb/223 -o found
    python benchmarks/detect_picture.py found/223.html docs/detect.png --event 2

It needs Chromium, at `CHROMIUM` or where the system has it.
"""

import os
import shutil
from pathlib import Path
from typing import Annotated

import typer
from playwright.sync_api import sync_playwright

WIDTH = 1280


def main(
    page_file: Path,
    output: Path,
    event: Annotated[int, typer.Option(help="Which event is shown, by its number.")] = 1,
) -> None:
    """Take the picture."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if path is None:
        raise typer.BadParameter("there is no Chromium; install it, or set CHROMIUM to its path")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-background-networking"]
        )
        page = browser.new_page(viewport={"width": WIDTH, "height": 1000})
        page.goto(page_file.resolve().as_uri())
        page.wait_for_selector("html[data-ready=yes]")
        # One event, and the continuous ECG left out.
        others = f"#ecg-view, .events > li:not(:nth-child({event})), #events > button, #detector"
        page.locator(f"{others}, footer").evaluate_all("nodes => nodes.forEach(n => n.remove())")
        page.screenshot(path=output, full_page=True)
        browser.close()


if __name__ == "__main__":
    typer.run(main)
