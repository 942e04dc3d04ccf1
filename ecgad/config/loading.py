"""YAML to checked settings: what is wrong is told in one line, by the key's full path."""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ecgad.errors import ConfigError

M = TypeVar("M", bound=BaseModel)


class _Loader(yaml.SafeLoader):
    """YAML as people write it: 1e-3 is a number, and a key given twice is a mistake."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for number, key in enumerate(keys):
            if key in keys[:number]:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key} is given twice", node.value[number][0].start_mark
                )
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def parse_yaml(text: str, where: str) -> Any:
    """Read YAML text as plain Python values. Raises ConfigError, with `where` and the line."""
    try:
        return _Loader(text).get_single_data()
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError(f"{where}{line}: not valid YAML: {error.problem}") from None
    except (yaml.YAMLError, TypeError, ValueError, KeyError, AttributeError) as error:
        # A date in month 13, a tag on something else: the constructors raise as they will.
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ConfigError(f"{where}: not valid YAML: {reason}") from None


def read_settings(path: Path) -> dict[str, Any]:
    """Read the sections of a config file, as plain values. Raises ConfigError."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        near = difflib.get_close_matches(path.stem, [p.stem for p in path.parent.glob("*.yaml")], 1)
        hint = f"; did you mean {path.with_name(near[0] + '.yaml')}?" if near else ""
        raise ConfigError(f"no such config file: {path}{hint}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the config file {path}: {error}") from None
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
        raise ConfigError(f"--set {change}: write SECTION.KEY=VALUE")
    *sections, last = key.split(".")
    inner = settings
    for section in sections:
        # A section that the file leaves empty reads as null.
        if inner.get(section) is None:
            inner[section] = {}
        inner = inner[section]
        if not isinstance(inner, dict):
            raise ConfigError(f"--set {change}: {section} is not a section")
    inner[last] = parse_yaml(text, f"--set {change}")


def validated(section: type[M], settings: Mapping[str, Any], prefix: str = "") -> M:
    """Return a section from plain values. prefix: of its keys. Raises ConfigError, in one line."""
    try:
        return section.model_validate(settings)
    except ValidationError as error:
        keys = list(_keys(section))
        raise ConfigError(
            "; ".join(prefix + _explain(details, keys) for details in error.errors())
        ) from None


def _explain(error: ErrorDetails, keys: Sequence[str]) -> str:
    # Pydantic marks the branches of a union in the location ('str', 'int'): they are no keys.
    key = ".".join(str(part) for part in error["loc"])
    for end in range(len(error["loc"]), 0, -1):
        candidate = ".".join(str(part) for part in error["loc"][:end])
        if candidate in keys:
            key = candidate
            break
    if error["type"] == "extra_forbidden":
        key = ".".join(str(part) for part in error["loc"])
        return f"{key}: unknown key{_nearest_key(key, keys)}"
    got = "" if error["type"] == "missing" else f", got {error['input']!r}"
    if error["type"] == "value_error":
        return f"{key}: {error['msg'].removeprefix('Value error, ')}" if key else error["msg"]
    if error["type"] in ("model_type", "model_attributes_type"):
        return f"{key}: expected a section with keys of its own{got}"
    message = error["msg"][0].lower() + error["msg"][1:]
    near = ""
    if error["type"] == "literal_error":
        names = re.findall(r"'(\w+)'", error["msg"])
        close = difflib.get_close_matches(str(error["input"]), names, 1)
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
