"""Ways to damage a file: each takes the file's bytes and gives others, drawn by a seeded generator.

A way may also give a `Special`: the file is made something else than a file. What keeps the
meaning of a file is in `same_meaning`; after it, results have to be those of the whole file.
"""

import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
import yaml


@dataclass(frozen=True)
class Special:
    """Something in the place of a file: missing, folder, pipe, loop, dangling (both are links)."""

    what: str


Content = bytes | Special
Way = Callable[[Random, bytes], Content]

# A folder that exists once one of these has been unpickled.
PICKLED = "PICKLED"
PICKLE = b"cos\nmkdir\n(V" + PICKLED.encode() + b"\ntR."
NUMBERS = (
    *("nan", "inf", "-inf", "1e308", "-1e308", "1e-320", "-1", "0", "-0.0", "1e400", "0x10"),
    *("9" * 30, "9" * 5000, "2147483648", "1_000", "1,5", "", "x", "1e6", "32768", "-32768", "3"),
)
CHARACTERS = "\0\t \"',;:#\\/\x1b\x7f\xe9\u2028\u03bc[]{}()%&*!|>@`"
TEXTS = ("", " ", "x", "nan", "None", "../outside/x", "a\0b", "\n", "\x1b[31m", "é", "9" * 40)
VALUES: tuple[Any, ...] = (
    *(None, True, False, [], {}, 0, 1, 2, 3, -1, 5, 10, 2**31, 2**63, 10**30, 10**400),
    *(0.0, -0.0, 0.1, 0.5, 0.9999, 1.5, 1e308, -1e308, 1e-300, float("nan"), float("inf")),
    *TEXTS,
    *("x" * 100_000, [None], [[]], [{}], [0.6, 0.2, 0.2], [0, 0, 1], ["a"] * 1000, [1] * 5000),
    *({"a": 1}, {"": None}, {"mae": 1e308, "mse": 1e308}, {"mae": 1e-300}),
)


def ways(form: str) -> dict[str, Way]:
    """Return the ways to damage a file of that form, by name."""
    return {**SPECIALS, **BYTES, **FORMS[form]}


def same_meaning(form: str) -> dict[str, Way]:
    """Return the ways to write a file of that form otherwise, with the same meaning."""
    return SAME.get(form, {})


# Bytes


def _span(rng: Random, content: bytes, most: int = 64) -> tuple[int, int]:
    start = rng.randrange(len(content) + 1)
    return start, min(len(content), start + rng.randint(1, most))


def _flip(rng: Random, content: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 8)) if content else 0):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _delete(rng: Random, content: bytes) -> bytes:
    start, stop = _span(rng, content)
    return content[:start] + content[stop:]


def _duplicate(rng: Random, content: bytes) -> bytes:
    start, stop = _span(rng, content, 500)
    return content[:stop] + content[start:]


def _insert(rng: Random, content: bytes) -> bytes:
    start, _ = _span(rng, content)
    return content[:start] + rng.randbytes(rng.choice((1, 2, 16, 300))) + content[start:]


def _zero(rng: Random, content: bytes) -> bytes:
    start, stop = _span(rng, content, 500)
    return content[:start] + bytes(stop - start) + content[stop:]


def _cut(rng: Random, content: bytes) -> bytes:
    return content[: rng.randrange(len(content))] if content else b""


def _splice(rng: Random, content: bytes) -> bytes:
    first, second = sorted(rng.randrange(len(content) + 1) for _ in range(2))
    return content[second:] + content[first:second] + content[:first]


def _append(rng: Random, content: bytes) -> bytes:
    return content + rng.choice((b"\0", b"\n", rng.randbytes(50), content))


BYTES: dict[str, Way] = {
    "bits flipped": _flip,
    "bytes deleted": _delete,
    "bytes repeated": _duplicate,
    "bytes inserted": _insert,
    "bytes zeroed": _zero,
    "cut short": _cut,
    "parts swapped": _splice,
    "bytes appended": _append,
    "empty": lambda *_: b"",
    "a pickle": lambda *_: PICKLE,
}
SPECIALS: dict[str, Way] = {
    name: lambda *_, name=name: Special(name)
    for name in ("missing", "folder", "pipe", "loop", "dangling")
}

# Text

NUMBER = re.compile(r"[-+]?\d+\.?\d*(?:[eE][-+]?\d+)?")
WORD = re.compile(r"[^\s,:()/]+")


def _text(content: bytes) -> str:
    return content.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _replace(pattern: re.Pattern[str], rng: Random, content: bytes, by: Callable[[], str]) -> bytes:
    text = _text(content)
    if found := list(pattern.finditer(text)):
        one = rng.choice(found)
        text = text[: one.start()] + by() + text[one.end() :]
    return _bytes(text)


def _number(rng: Random, content: bytes) -> bytes:
    return _replace(NUMBER, rng, content, lambda: rng.choice(NUMBERS))


def _numbers(rng: Random, content: bytes) -> bytes:
    share, by = rng.choice((0.02, 0.3, 1.0)), rng.choice(NUMBERS)

    def one(found: re.Match[str]) -> str:
        return by if rng.random() < share else found.group()

    return _bytes(NUMBER.sub(one, _text(content)))


def _word(rng: Random, content: bytes) -> bytes:
    words = WORD.findall(_text(content)) or [""]
    return _replace(WORD, rng, content, lambda: rng.choice((*words, *TEXTS)))


def _character(rng: Random, content: bytes) -> bytes:
    text = _text(content)
    at = rng.randrange(len(text) + 1)
    return _bytes(text[:at] + rng.choice(CHARACTERS) + text[at + rng.randrange(2) :])


def _lines(rng: Random, content: bytes) -> bytes:
    lines = content.splitlines(keepends=True) or [b""]
    first, second = (rng.randrange(len(lines)) for _ in range(2))
    match rng.choice(("delete", "repeat", "swap", "many")):
        case "delete":
            del lines[first]
        case "repeat":
            lines.insert(second, lines[first])
        case "swap":
            lines[first], lines[second] = lines[second], lines[first]
        case "many":
            del lines[min(first, second) : max(first, second)]
    return b"".join(lines)


def _encoding(rng: Random, content: bytes) -> bytes:
    text = content.decode("latin-1")
    match rng.choice(("utf-16", "utf-8-sig", "utf-32", "latin-1")):
        case "latin-1":
            return content.replace(b"e", b"\xe9", 1)
        case name:
            return text.encode(name)


def _packed(rng: Random, content: bytes) -> bytes:
    import bz2
    import gzip
    import lzma

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("x.csv", content)
    packed = rng.choice(
        (
            gzip.compress(content, mtime=0),
            bz2.compress(content),
            lzma.compress(content),
            buffer.getvalue(),
        )
    )
    return packed[: rng.choice((len(packed), len(packed) // 2))]


TEXT: dict[str, Way] = {
    "a number": _number,
    "many numbers": _numbers,
    "a word": _word,
    "a character": _character,
    "lines": _lines,
    "encoding": _encoding,
    "compressed": _packed,
}

# Trees of plain values: JSON and YAML


def _paths(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    inner: Sequence[tuple[Any, Any]] = ()
    if isinstance(tree, dict):
        inner = list(tree.items())
    elif isinstance(tree, (list, tuple)):
        inner = list(enumerate(tree))[:20]
    for key, value in inner:
        yield from _paths(value, (*path, key))


def change_tree(rng: Random, tree: Any, value: Callable[[tuple[Any, ...]], Any]) -> Any:
    """Replace, remove or add a value somewhere in a tree, which is changed; return the tree.

    value: gives a new one for a path of keys.
    """
    path = rng.choice(list(_paths(tree)))
    if not path:
        return value(path) if rng.random() < 0.3 else tree
    inner = tree
    for key in path[:-1]:
        inner = inner[key]
    match rng.choice(("replace", "replace", "replace", "remove", "add")):
        case "remove":
            del inner[path[-1]]
        case "add" if isinstance(inner, dict):
            inner[rng.choice((*TEXTS, "seed", f"{path[-1]}s"))] = value(path)
        case "add":
            inner.append(value(path))
        case _:
            inner[path[-1]] = value(path)
    return tree


def _json_value(rng: Random, content: bytes) -> bytes:
    tree = change_tree(rng, json.loads(content), lambda _: rng.choice(VALUES))
    return json.dumps(tree, indent=2).encode()


def _json_nesting(rng: Random, content: bytes) -> bytes:
    depth = rng.choice((50, 1000, 100_000))
    deep = "[" * depth + "]" * rng.choice((depth, 0))
    return _replace(NUMBER, rng, content, lambda: deep) if rng.random() < 0.5 else deep.encode()


HOSTILE_NAMES = (
    *(
        "../outside/mine",
        "../../outside/mine",
        "/outside/mine",
        "figures/../../outside/mine",
        "",
        ".",
    ),
    *("..", "exp.yaml", "../exp.yaml", "config.yaml", "a/b", "a\0b", "figures", "x" * 300, "a\nb"),
)


def _manifest_forged(rng: Random, content: bytes) -> bytes:
    """Have it name other files as written by ecgad, with the digest that goes with that."""
    from ecgad.artifacts.manifest import _digest

    tree = json.loads(content)
    tree.pop("sha256")
    name = rng.choice(HOSTILE_NAMES)
    stage = rng.choice(list(tree["files"]))
    tree["files"][stage].append(name)
    if stage in tree["stages"] and rng.random() < 0.5:
        tree["stages"][stage]["outputs"][name] = "0" * 64
    return json.dumps({"sha256": _digest(tree), **tree}).encode()


def _json_rewritten(rng: Random, content: bytes) -> bytes:
    tree = json.loads(content)
    keys = list(tree)
    rng.shuffle(keys)
    return json.dumps({key: tree[key] for key in keys}, indent=rng.choice((None, 1, 8))).encode()


JSON: dict[str, Way] = {"a value": _json_value, "deep nesting": _json_nesting}

BOMB = "&a0 [x,x,x,x,x,x,x,x,x]"
ATTACKS = (
    "[" + BOMB + "".join(f",&a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)) + "]",
    "{" + ",".join(f"k{n}: 1" for n in range(60_000)) + "}",
    *("[" * 3000, "[" * 3000 + "]" * 3000, "{a: " * 500 + "}" * 500),
    *(":".join(["1"] * 3000), "1:" * 50 + "0", "9" * 5000, "0x" + "f" * 5000, "0b2", "0o9"),
    *("&a [*a]", "&a {b: *a}", "*nothing", "<<: 1", "{<<: {a: 1}}", "{<<: [1]}", "{<<: *a}"),
    *(f"!!python/object/apply:os.mkdir [{PICKLED}]", "!!binary x", "!!set {a, b}", "!x y"),
    *("!!int x", "!!float x", "!!timestamp x", "!!omap [1]", "!!pairs [1]", "!!null x", "!!bool x"),
    *("!!str []", '"a\\0b"', '"\\ud800"', '"\\U00110000"', "2001-13-41", "2001-01-01", "12:30:45"),
    *("=", "~", "- a\nb: c", "? [a]\n: b", "? {a: 1}\n: b", "a: 1\na: 2", "--- 1\n--- 2"),
    *("%YAML 9.9\n--- 1", "\ta: 1", "a:\n\t- 1", "'x", '"x', "|", ">", "@x", "`x", "%x", "{", "}"),
    *("[a", "a: b: c", "?", "\0", "\ufeff", "\ud7ff", "{1: 2}", "{null: 1}", "{true: 1}"),
    *("{[a]: 1}", "{{a: 1}: 2}", ": 1", ".inf", "-.inf", ".nan", "1e400", "1_000", "+1", "1."),
    *(".5", "1e3", "010", "0.1e-5", "yes", "N"),
)


class Yaml:
    """Ways to change an experiment.

    settings: all of an experiment, defaults included. choices: by path, words that are allowed.
    """

    def __init__(
        self, settings: Mapping[str, Any], choices: Mapping[tuple[str, ...], Sequence[Any]]
    ) -> None:
        self.paths = [path for path in _paths(settings) if path and isinstance(path[-1], str)]
        self.choices = choices

    @property
    def ways(self) -> dict[str, Way]:
        """Return the ways, by name."""
        return {"settings": self.settings, "a value": self.tree, "hostile YAML": self.attack}

    def settings(self, rng: Random, content: bytes) -> bytes:
        """Set one to three settings, of all that there are."""
        tree = yaml.safe_load(content)
        for _ in range(rng.choice((1, 1, 2, 3))):
            path = rng.choice(self.paths)
            inner = tree
            for key in path[:-1]:
                if not isinstance(inner.get(key), dict):
                    inner[key] = {}
                inner = inner[key]
            inner[path[-1]] = self._value(rng, path)
        return _dumped(tree)

    def tree(self, rng: Random, content: bytes) -> bytes:
        """Change what the file says."""
        tree = yaml.safe_load(content)
        return _dumped(change_tree(rng, tree, lambda path: self._value(rng, path)))

    def attack(self, rng: Random, content: bytes) -> bytes:
        """Put something in the place of a setting, or of the whole, that is hard to read."""
        attack, path = rng.choice(ATTACKS), rng.choice(self.paths)
        if rng.random() < 0.1:
            return attack.encode("utf-8", "surrogatepass")
        nested = f"\n{attack}" if "\n" in attack else attack
        for depth in reversed(range(len(path))):
            after = " " if depth == len(path) - 1 else "\n"
            nested = f"{'  ' * depth}{path[depth]}:{after}{nested}"
        tree = yaml.safe_load(content)
        tree.pop(path[0], None)
        return _dumped(tree) + nested.encode("utf-8", "surrogatepass") + b"\n"

    def option(self, rng: Random, _: bytes) -> bytes:
        """Write what follows `--set`."""
        path = rng.choice(self.paths)
        key = ".".join(path)
        match rng.choice(("value", "value", "value", "attack", "key")):
            case "value":
                text = _dumped(self._value(rng, path)).decode().removesuffix("...\n").strip()
            case "attack":
                text = rng.choice(ATTACKS)
            case _:
                key, text = rng.choice((key[:-1], key + ".x", "", ".", key + ".", "a.b.c")), "1"
        text = f"{key}{rng.choice(('=', '=', '=', '=', '=', '==', '', ' = '))}{text}"
        # No command line can hold these.
        return text.replace("\0", "").encode("utf-8", "replace")[:100_000]

    def _value(self, rng: Random, path: tuple[Any, ...]) -> Any:
        if (known := self.choices.get(path)) and rng.random() < 0.7:
            return rng.choice(known)
        return rng.choice(VALUES)


def _dumped(tree: Any) -> bytes:
    return yaml.dump(tree, Dumper=_Dumper, sort_keys=False, allow_unicode=True).encode()


class _Dumper(yaml.SafeDumper):
    """YAML without aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _yaml_rewritten(rng: Random, content: bytes) -> bytes:
    tree = yaml.safe_load(content)
    keys = list(tree)
    rng.shuffle(keys)
    tree = {key: tree[key] for key in keys}
    match rng.choice(("block", "flow", "json", "merged")):
        case "block":
            return b"---\n" + _dumped(tree).replace(b"\n", b" # same\n")
        case "flow":
            return yaml.safe_dump(tree, default_flow_style=True, sort_keys=False).encode()
        case "json":
            return json.dumps(tree).encode()
        case _:
            text = yaml.safe_dump(tree["training"], default_flow_style=True, width=1000).strip()
            rest = {key: value for key, value in tree.items() if key != "training"}
            return f"training:\n  <<: {text}\n".encode() + _dumped(rest)


# Arrays

TYPES = ("|O", "<f8", "<i8", ">f4", "<U4", "|S3", "|V4", "<f2", "<c8", "|b1", "<M8[s]", "x", "<f4")
NO_HEADER = ("{'descr':", "", "{}", "[1]", "{" * 5000, "()", '"""', "x", "{'a': 1}", "\0")


def _with_header(content: bytes, header: str) -> bytes:
    old = int.from_bytes(content[8:10], "little")
    text = header.encode("latin-1") + b"\n"
    return b"\x93NUMPY\1\0" + len(text).to_bytes(2, "little") + text + content[10 + old :]


def _npy_header(rng: Random, content: bytes) -> bytes:
    array = np.load(io.BytesIO(content))
    n, rest = len(array), array.shape[1:]
    shapes: tuple[Any, ...] = (
        *((), (0,), (n,), (n + 1, *rest), (n - 1, *rest), (-1, *rest), array.shape[::-1]),
        *((10**12, *rest), (n, 10**6, 10**6, 10**6), (2**63, 2), "x", None, (1.5,), (n, *rest, 1)),
    )
    header: dict[str, Any] = {
        "descr": array.dtype.str,
        "fortran_order": False,
        "shape": array.shape,
    }
    match rng.choice(("shape", "type", "order", "syntax", "version")):
        case "shape":
            header["shape"] = rng.choice(shapes)
        case "type":
            header["descr"] = rng.choice(TYPES)
        case "order":
            header["fortran_order"] = rng.choice((True, None, 1, "x"))
        case "syntax":
            return _with_header(content, rng.choice(NO_HEADER))
        case _:
            return content[:6] + rng.choice((b"\2\0", b"\3\0", b"\11\0", b"\1\5")) + content[8:]
    return _with_header(content, repr(header))


def _npy_values(rng: Random, content: bytes) -> bytes:
    array = np.load(io.BytesIO(content)).copy()
    match rng.choice(("value", "rows", "all", "object")):
        case "value":
            flat = array.reshape(-1)
            value = rng.choice((0, 1, -1, 2, 127, "nan", "inf", 1e30, 1e308, "x", 10**6))
            try:
                with np.errstate(all="ignore"):
                    flat[rng.randrange(len(flat) or 1)] = value
            except (ValueError, OverflowError, IndexError):
                flat[...] = flat[:1]
        case "rows":
            array = array[rng.choice((slice(0), slice(1), slice(-1), slice(None, None, -1)))]
        case "all":
            array = np.zeros_like(array)
        case _:
            header = repr({"descr": "|O", "fortran_order": False, "shape": array.shape})
            return _with_header(content, header)[: 11 + len(header)] + PICKLE
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


# Tensors


def _repacked(content: bytes, change: Callable[[str, bytes], bytes], packed: bool = False) -> bytes:
    """Return a zip with its members changed, and with checksums that fit."""
    buffer = io.BytesIO()
    how = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(buffer, "w", how) as new:
        for name in old.namelist():
            if made := change(name, old.read(name)):
                new.writestr(zipfile.ZipInfo(name), made, how)
    return buffer.getvalue()


def _tensors_value(rng: Random, content: bytes) -> bytes:
    import torch

    tree = torch.load(io.BytesIO(content), weights_only=True)

    def value(path: tuple[Any, ...]) -> Any:
        old = tree
        for key in path:
            old = old[key]
        if not isinstance(old, torch.Tensor) or rng.random() < 0.2:
            return rng.choice(VALUES)
        changed = [old.double(), old[:0] if old.dim() else old, old.reshape(-1), old[..., None]]
        changed.append(torch.zeros_like(old))
        if old.is_floating_point():
            bad = old.clone()
            if bad.numel():
                bad.view(-1)[0] = rng.choice((float("nan"), float("inf"), 1e30))
            changed += [bad, bad, old * 1e20, old.long(), old.to(torch.bfloat16)]
        return rng.choice(changed)

    buffer = io.BytesIO()
    torch.save(change_tree(rng, tree, value), buffer)
    return buffer.getvalue()


def _tensors_zip(rng: Random, content: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        one = rng.choice(file.namelist())
    match rng.choice(("pickle", "gone", "changed", "packed")):
        case "pickle":
            return _repacked(content, lambda name, of: PICKLE if name.endswith(".pkl") else of)
        case "gone":
            return _repacked(content, lambda name, of: b"" if name == one else of)
        case "changed":
            return _repacked(content, lambda name, of: _flip(rng, of) if name == one else of)
        case _:
            return _repacked(content, lambda _, of: of, packed=True)


# WFDB

HEADERS = (
    *("{name} 2 360 14400\n", "{name}\n", "\n", "# only a comment\n", "{name} 0 360 14400\n"),
    *("{name}/2 2 100 3000\na 1500\nb 1500\n", "{name} 1 1e9 3000\n{name}.dat 212\n"),
    *("{name} 1 100 3000\n../../outside/secret 16\n", "{name} 1 100\n{name}.dat 16\n"),
    *("{name} 1 100 3000\n~ 16\n", "{name} 1 100 3000\n{name}.dat 16x4 200 16 0 0 0 0 I\n"),
    *("{name} 1 -100 3000\n{name}.dat 16\n", "{name} 1 100 99999999999\n{name}.dat 16\n"),
    *("{name} 999999999 100 3000\n{name}.dat 16\n", "{name} 1 100 3000\n{name}.dat 999\n"),
    "{name} 1 100 3000\n{name}.dat 16 0/mV 16 0 0 0 0 I\n",
    "{name} 1 100 3000\n{name}.dat 16 1e-300(0)/mV 16 0 0 0 0 I\n",
    "{name} 1 100 3000\n{name}.dat 516 200/mV 16 0 0 0 0 I\n",
    "{name} 2 100000 3000000\n{name}.dat 16 200/mV 16 0 0 0 0 I\n",
)


def _header(rng: Random, content: bytes) -> bytes:
    name = _text(content).partition(" ")[0]
    return rng.choice(HEADERS).replace("{name}", name).encode()


def _annotation(rng: Random, content: bytes) -> bytes:
    """Change the time or the type of an annotation."""
    words = np.frombuffer(content[: len(content) // 2 * 2], "<u2").copy()
    if len(words):
        at = rng.randrange(len(words))
        time, kind = int(words[at]) & 0x3FF, int(words[at]) >> 10
        if rng.random() < 0.5:
            time = rng.choice((0, 1, 1023, time + 1, rng.randrange(1024))) & 0x3FF
        else:
            kind = rng.choice((0, 1, 5, 8, 14, 22, 28, 59, 60, 61, 62, 63, rng.randrange(64)))
        words[at] = kind << 10 | time
    return words.tobytes()


# Of each form of file: what is done to it, beside what is done to bytes.
FORMS: dict[str, dict[str, Way]] = {
    "bytes": {},
    "text": TEXT,
    "yaml": TEXT,
    "json": {**TEXT, **JSON},
    "manifest": {**TEXT, **JSON, "forged": _manifest_forged},
    "npy": {"header of the array": _npy_header, "values": _npy_values},
    "tensors": {"a value": _tensors_value, "members of the zip": _tensors_zip},
    "header": {**TEXT, "another header": _header},
    "annotations": {"an annotation": _annotation},
}


def _crlf(_: Random, content: bytes) -> bytes:
    return content.replace(b"\n", b"\r\n")


def _no_last_line_end(_: Random, content: bytes) -> bytes:
    return content.removesuffix(b"\n")


LINE_ENDS: dict[str, Way] = {"line ends": _crlf, "no last line end": _no_last_line_end}
SAME: dict[str, dict[str, Way]] = {
    "text": LINE_ENDS,
    "yaml": {**LINE_ENDS, "written otherwise": _yaml_rewritten},
    "manifest": {**LINE_ENDS, "written otherwise": _json_rewritten},
    "header": {**LINE_ENDS, "a comment": lambda _, content: content + b"# a comment\n"},
}

# Shrinking

UNITS = re.compile(rb"\w+|\s+|.", re.DOTALL)
Edit = tuple[int, int, bytes]


def edits(before: bytes, after: bytes) -> list[Edit]:
    """Return what to replace in `before` to get `after`: (start, stop, by), ascending."""
    if len(before) == len(after):
        a, b = np.frombuffer(before, np.uint8), np.frombuffer(after, np.uint8)
        return [(int(i), int(i) + 1, after[i : i + 1]) for i in np.flatnonzero(a != b)]
    limit = min(len(before), len(after))
    start = next((i for i in range(limit) if before[i] != after[i]), limit)
    most = limit - start
    end = next((i for i in range(most) if before[-1 - i] != after[-1 - i]), most)
    by = UNITS.findall(after[start : len(after) - end])
    stop = len(before) - end
    # One by one, so that they can be left out one by one.
    return [(start, stop, b""), *((stop, stop, unit) for unit in by)]


def applied(before: bytes, changes: Sequence[Edit]) -> bytes:
    """Return the bytes with these edits."""
    parts, at = [], 0
    for start, stop, by in changes:
        parts += [before[at:start], by]
        at = stop
    return b"".join([*parts, before[at:]])


def shrink(before: bytes, after: bytes, still_wrong: Callable[[bytes], bool], tries: int) -> bytes:
    """Return a smaller change of `before` that is still wrong, found by bisection."""
    changes = edits(before, after)
    step = len(changes) // 2
    while step and tries > 0:
        at = 0
        while at < len(changes) and tries > 0:
            fewer = changes[:at] + changes[at + step :]
            tries -= 1
            if fewer and still_wrong(applied(before, fewer)):
                changes = fewer
            else:
                at += step
        step = min(step, len(changes)) // 2
    return applied(before, changes)
