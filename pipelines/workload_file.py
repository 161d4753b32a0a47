"""workload.yaml, edited: values are replaced or added, and all else stays as its author wrote it, comments included."""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import yaml

from spec.errors import InputError
from spec.workload import Value, load_workload, parse_yaml

Path = tuple[str, ...]


def write(file: pathlib.Path, values: Mapping[Path, Value]) -> None:
    """Puts values into a workload.yaml.

    Args:
        values: by the path of their field, `("training", "batch_size")`.

    Raises:
        InputError: they cannot be put there without rewriting the file; it is left as it was.
    """
    before = file.read_text(encoding="utf-8")
    wanted = parse_yaml(before)
    for path, value in values.items():
        _put(wanted, path, value)
    after = edited(before, values)
    if _parsed(after) != wanted:
        lines = "; ".join(f"{'.'.join(path)}: {value}" for path, value in values.items())
        raise InputError(
            f"cannot be edited by a program (an anchor, or a section without a value). Write: {lines}", file=file
        )
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    partial.write_text(after, encoding="utf-8")
    partial.replace(file)
    load_workload(file.parent)


def edited(text: str, values: Mapping[Path, Value]) -> str:
    """The text with values set.

    Example:
        >>> edited("a: 1 # one\\n", {("a",): 2})
        'a: 2 # one\\n'
    """
    with contextlib.suppress(yaml.YAMLError):  # of an anchor that is no longer there
        for path, value in values.items():
            text = _set(text, path, value)
    return text


def _parsed(text: str) -> Any:
    try:
        return parse_yaml(text)
    except ValueError:
        return None


def _set(text: str, path: Path, value: Value) -> str:
    node: Any = yaml.compose(text, yaml.SafeLoader)
    for depth, name in enumerate(path):
        if not isinstance(node, yaml.MappingNode) or not node.value:
            return text
        child = next((child for key, child in node.value if key.value == name), None)
        if child is None:
            return _insert(text, node, path[depth:], value)
        node = child
    return text[: node.start_mark.index] + _scalar(value) + text[node.end_mark.index :]


def _insert(text: str, section: yaml.MappingNode, path: Path, value: Value) -> str:
    """Adds a field ahead of the others of its section."""
    written = f"{path[-1]}: {_scalar(value)}"
    for name in reversed(path[:-1]):
        written = f"{name}: {{{written}}}"
    first = section.value[0][0].start_mark
    between = ", " if section.flow_style else "\n" + " " * first.column
    return text[: first.index] + written + between + text[first.index :]


def _scalar(value: Value) -> str:
    """As YAML reads it back: 1e-05 would be a text."""
    return yaml.safe_dump(value, width=10_000).partition("\n")[0]


def _put(raw: Any, path: Path, value: Value) -> None:
    for name in path[:-1]:
        raw = raw.setdefault(name, {})
    raw[path[-1]] = value
