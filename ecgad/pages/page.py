"""A page as one HTML file, which needs nothing else and asks for nothing over a network."""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any

# Before the scripts and styles of each page.
BASE_STYLE, BASE_SCRIPT = "base.css", "base.js"
NOTICE = "For research and education only; not a medical device."

HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>{title}</title>
"""


def page(
    title: str,
    body: str,
    styles: Sequence[str] = (),
    scripts: Sequence[str] = (),
    data: Any = None,
    blobs: Mapping[str, bytes] | None = None,
) -> Iterator[str]:
    """Give a page piece by piece.

    title: as text. body: HTML, between the skip link and the footer. styles, scripts: names of
    files of this folder, in their order. data: what the scripts get by `pageData()`, as JSON.
    blobs: bytes that they get by `pageBytes(name)`, by their name.

    What is inline is named by its checksum in the page's policy: nothing else runs, whatever a
    recording is called, and nothing is loaded from anywhere.
    """
    styles = [_content(name) for name in (BASE_STYLE, *styles)]
    scripts = [_content(name) for name in (BASE_SCRIPT, *scripts)] if scripts else []
    policy = (
        f"default-src 'none'; img-src data:; style-src {_checksums(styles)}; "
        f"script-src {_checksums(scripts)}; base-uri 'none'; form-action 'none'"
    )
    yield HEAD.format(policy=policy, title=escape(title))
    for style in styles:
        yield f"<style>{style}</style>\n"
    yield '</head>\n<body>\n<a class="skip" href="#content">To the content</a>\n'
    yield f'<main id="content">\n{body}\n</main>\n<footer>{NOTICE}</footer>\n'
    if data is not None:
        # `<` would end the element.
        text = json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
        yield f'<script type="application/json" id="data">{text}</script>\n'
    for name, content in (blobs or {}).items():
        text = base64.b64encode(content).decode("ascii")
        yield f'<script type="application/octet-stream" id="{escape(name)}">{text}</script>\n'
    for script in scripts:
        yield f"<script>{script}</script>\n"
    yield "</body>\n</html>\n"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], caption: str = "") -> str:
    """Return a table as HTML. Cells are text; the first of each row is its heading."""
    words = f"<caption>{escape(caption)}</caption>" if caption else ""
    cells = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    top = f"<thead><tr>{cells}</tr></thead>" if head else ""
    lines = "\n".join(
        f'<tr><th scope="row">{escape(first)}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in others)
        + "</tr>"
        for first, *others in rows
    )
    return f'<div class="scroll"><table>{words}{top}<tbody>\n{lines}\n</tbody></table></div>\n'


def _content(name: str) -> str:
    return (files("ecgad.pages") / name).read_text("utf-8")


def _checksums(texts: Sequence[str]) -> str:
    """Name inline content as a policy does, by SHA-256; with none, nothing is allowed."""
    sums = (base64.b64encode(hashlib.sha256(text.encode()).digest()) for text in texts)
    return " ".join("'sha256-" + of.decode("ascii") + "'" for of in sums) or "'none'"
