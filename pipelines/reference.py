"""Writes the pages of docs/reference/ that are made of code: `python -m pipelines.reference`."""

from __future__ import annotations

import ast
import inspect
import itertools
import types
import typing
from enum import StrEnum
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from spec import environment, home
from spec.tasks import TASKS, find
from spec.words import one_line
from spec.workload import Workload

_HEAD = """\
# workload.yaml

Written by `python -m pipelines.reference`; the descriptions live in `spec/workload/`. An unknown field or a value out
of range is refused with file, field and what was received.
"""


_ENVIRONMENT_HEAD = """\
# Environment variables

Written by `python -m pipelines.reference`; the descriptions live in `spec/environment.py`.

| variable | |
|---|---|
"""


def environment_page() -> str:
    """environment.md: every variable that `spec/environment.py` names, with the docstring below it."""
    body = ast.parse(inspect.getsource(environment)).body
    rows = [
        f"| `{ast.literal_eval(line.value)}` | {ast.literal_eval(below.value)} |"
        for line, below in itertools.pairwise(body)
        if isinstance(line, ast.Assign) and isinstance(line.value, ast.Constant) and isinstance(below, ast.Expr)
    ]
    return _ENVIRONMENT_HEAD + "\n".join(rows) + "\n"


def workload_page() -> str:
    """workload.md: every field of the workload model."""
    options = {name: found.Options for name in TASKS if (found := find(name)).Options.model_fields}
    of_tasks = [line for name, section in options.items() for line in _section(section, f"task_options of {name}.")]
    return "\n".join([_HEAD, *_section(Workload, ""), *of_tasks]).rstrip() + "\n"


def _section(section: type[BaseModel], path: str) -> list[str]:
    lines = [f"## {path.rstrip('.') or 'Top level'}", "", "| field | type | default | |", "|---|---|---|---|"]
    nested: list[tuple[type[BaseModel], str]] = []
    for name, field in section.model_fields.items():
        inner = _inner_section(field.annotation)
        if inner is not None and inner.model_fields:
            nested.append((inner, f"{path}{name}{_suffix(field.annotation)}."))
        default = "required" if field.is_required() else _default(field.default, inner)
        text = one_line(field.description or "")
        lines.append(f"| `{name}` | {_type_name(field.annotation, field.metadata)} | {default} | {text} |")
    lines.append("")
    for inner, inner_path in nested:
        lines += _section(inner, inner_path)
    return lines


def _inner_section(annotation: Any) -> type[BaseModel] | None:
    for candidate in (annotation, *typing.get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _suffix(annotation: Any) -> str:
    return {tuple: "[]", dict: ".<name>"}.get(typing.get_origin(annotation), "")


def _default(value: Any, inner: type[BaseModel] | None) -> str:
    if value is PydanticUndefined or (inner is not None and isinstance(value, BaseModel)):
        return ""
    return f"`{'null' if value is None else list(value) if isinstance(value, tuple) else value}`"


def _type_name(annotation: Any, metadata: list[Any]) -> str:
    bounds = [
        f"{sign} {getattr(m, name):g}"
        for m in metadata
        for name, sign in (("ge", ">="), ("gt", ">"), ("le", "<="), ("lt", "<"))
        if isinstance(getattr(m, name, None), int | float)
    ]
    return ", ".join([_plain(annotation), *bounds])


def _plain(annotation: Any) -> str:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return " or ".join(str(a) for a in arguments)
    if origin is typing.Annotated:
        return _type_name(arguments[0], [m for a in arguments[1:] for m in (getattr(a, "metadata", None) or [a])])
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_plain(a) for a in arguments if a is not type(None))
    if origin is tuple:
        return f"list of {_plain(arguments[0])}"
    if origin is dict:
        return "section by name" if _inner_section(annotation) else "map"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "section"
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return " or ".join(annotation)
    return {"str": "text", "int": "whole number", "float": "number", "bool": "true or false"}.get(
        annotation.__name__, str(annotation)
    )


if __name__ == "__main__":
    folder = home.ROOT / "docs" / "reference"
    (folder / "environment.md").write_text(environment_page(), encoding="utf-8")
    (folder / "workload.md").write_text(workload_page(), encoding="utf-8")
