"""YAML to checked settings: what is wrong is told in one line, by the key's full path."""

import difflib
import re
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ecgad.errors import ConfigError

M = TypeVar("M", bound=BaseModel)

# Characters of a file, and values in it once every alias is written out: no experiment needs more,
# and an alias of aliases of aliases may stand for more than any memory holds.
LONGEST, MOST_VALUES = 2**18, 100_000
# Mistakes that a message names.
MOST_NAMED = 3


class _Loader(yaml.SafeLoader):
    """YAML as people write it: 1e-3 is a number, and a key given twice is a mistake."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = key_node.value
            # What is merged stands below the mapping's own keys.
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag == MERGE:
                continue
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {_shown(key)} is given twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Put what `<<` merges before a mapping's own keys, which come to hold in its stead.

        Of several merged mappings the first holds. PyYAML's versions differ in that.
        """
        merged: list[tuple[yaml.Node, yaml.Node]] = []
        own = []
        for key, value in node.value:
            if key.tag != MERGE:
                own.append((key, value))
                continue
            several = isinstance(value, yaml.SequenceNode)
            for other in reversed(value.value) if several else [value]:
                if not isinstance(other, yaml.MappingNode):
                    raise yaml.constructor.ConstructorError(
                        None, None, "<< merges a mapping, or a list of them", other.start_mark
                    )
                self.flatten_mapping(other)
                merged += other.value
        node.value = merged + own


MERGE = "tag:yaml.org,2002:merge"
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def parse_yaml(text: str, where: str) -> Any:
    """Read YAML text as plain Python values. Raises ConfigError, with `where` and the line."""
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if _n_values(node, {}) > MOST_VALUES:
            raise ValueError(f"it stands for more than {MOST_VALUES:,} values")
        return None if node is None else loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError(f"{where}{line}: not valid YAML: {error.problem}") from None
    except RecursionError:
        raise ConfigError(f"{where}: not valid YAML: it is nested too deeply") from None
    except (
        yaml.YAMLError,
        TypeError,
        ValueError,
        KeyError,
        AttributeError,
        ArithmeticError,
    ) as error:
        # A date in month 13, a tag on something else: the constructors raise as they will.
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ConfigError(f"{where}: not valid YAML: {reason}") from None


def _n_values(node: yaml.Node | None, known: dict[int, int]) -> int:
    """Count the values that a node stands for. known: by identity, those counted already."""
    if id(node) not in known:
        # An alias of what it stands in has no end.
        known[id(node)] = MOST_VALUES + 1
        children: list[yaml.Node] = []
        if isinstance(node, yaml.MappingNode):
            children = [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            children = node.value
        known[id(node)] = 1 + sum(_n_values(child, known) for child in children)
    return known[id(node)]


def read_settings(path: Path) -> dict[str, Any]:
    """Read the sections of a config file, as plain values. Raises ConfigError."""
    if path.exists() and not path.is_file():
        # A pipe would be waited for.
        raise ConfigError(f"cannot read the config file {path}: it is no file")
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(LONGEST + 1)
    except FileNotFoundError:
        near = difflib.get_close_matches(path.stem, [p.stem for p in path.parent.glob("*.yaml")], 1)
        hint = f"; did you mean {path.with_name(near[0] + '.yaml')}?" if near else ""
        raise ConfigError(f"no such config file: {path}{hint}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the config file {path}: {error}") from None
    if len(text) > LONGEST:
        raise ConfigError(f"{path} is no config: it has more than {LONGEST // 1024} kB")
    settings = parse_yaml(text, str(path))
    if settings is None:
        return {}
    if not isinstance(settings, dict):
        raise ConfigError(f"{path}: a config is a mapping of sections, such as 'training:'")
    # A section whose every key is commented out reads as null.
    return {key: value for key, value in settings.items() if value is not None}


def override(settings: dict[str, Any], change: str) -> None:
    """Put SECTION.KEY=VALUE into settings, its value read as YAML. Raises ConfigError."""
    key, equals, text = change.partition("=")
    if not equals or not key:
        raise ConfigError(f"--set {_short(change)}: write SECTION.KEY=VALUE")
    *sections, last = key.split(".")
    inner = settings
    for section in sections:
        # A section that the file leaves empty reads as null.
        within = inner.get(section)
        if within is not None and not isinstance(within, dict):
            raise ConfigError(f"--set {_short(change)}: {_short(section)} is not a section")
        # A copy: by an alias, it may be the same as another section.
        inner[section] = dict(within or {})
        inner = inner[section]
    inner[last] = parse_yaml(text, f"--set {_short(change)}")


def validated(section: type[M], settings: Mapping[str, Any], prefix: str = "") -> M:
    """Return a section from plain values. prefix: of its keys. Raises ConfigError, in one line."""
    try:
        return section.model_validate(settings)
    except ValidationError as error:
        keys, mistakes = list(_keys(section)), error.errors(include_url=False)
        told = [prefix + _explain(details, keys) for details in mistakes[:MOST_NAMED]]
        if more := len(mistakes) - len(told):
            told.append(f"and {more} more")
        raise ConfigError("; ".join(told)) from None


class _Brief(reprlib.Repr):
    """Values as they stand in messages: their beginning alone is looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxlist, self.maxdict, self.maxstring = 2, 4, 4, 60

    def repr_int(self, value: int, level: int) -> str:
        """Show a number; Python refuses to write thousands of digits."""
        return repr(value) if value.bit_length() < 200 else "a number of many digits"


_shown = _Brief().repr


def _short(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "..."


def _explain(error: ErrorDetails, keys: Sequence[str]) -> str:
    # Pydantic marks the branches of a union in the location ('str', 'int'): they are no keys.
    key = _short(".".join(str(part) for part in error["loc"]))
    for end in range(len(error["loc"]), 0, -1):
        candidate = ".".join(str(part) for part in error["loc"][:end])
        if candidate in keys:
            key = candidate
            break
    if error["type"] == "extra_forbidden":
        key = _short(".".join(str(part) for part in error["loc"]))
        return f"{key}: unknown key{_nearest_key(key, keys)}"
    got = "" if error["type"] == "missing" else f", got {_shown(error['input'])}"
    if error["type"] == "value_error":
        return f"{key}: {error['msg'].removeprefix('Value error, ')}" if key else error["msg"]
    if error["type"] in ("model_type", "model_attributes_type"):
        return f"{key}: expected a section with keys of its own{got}"
    message = error["msg"][0].lower() + error["msg"][1:]
    near = ""
    if error["type"] == "literal_error":
        names = re.findall(r"'(\w+)'", error["msg"])
        close = difflib.get_close_matches(_short(str(error["input"])), names, 1)
        near = f"; did you mean {close[0]}?" if close else ""
    return f"{key}: {message}{got}{near}"


def _nearest_key(key: str, keys: Sequence[str]) -> str:
    section, _, last = key.rpartition(".")
    # A typo beside its own kind first; then a key that stands in the wrong section.
    siblings = {k.rpartition(".")[2]: k for k in keys if k.rpartition(".")[0] == section}
    for names, cutoff in ((siblings, 0.5), ({k.rpartition(".")[2]: k for k in keys}, 0.75)):
        if close := difflib.get_close_matches(last, names, 1, cutoff):
            return f"; did you mean {names[close[0]]}?"
    return f"; {section or 'the top level'} has {', '.join(siblings)}" if siblings else ""


def _keys(section: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in section.model_fields.items():
        yield prefix + name
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _keys(field.annotation, f"{prefix}{name}.")
