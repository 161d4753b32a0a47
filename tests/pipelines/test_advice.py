"""What messages advise can be done: the fields of workload.yaml that they name are there."""

from __future__ import annotations

import ast
import pathlib
import re
import typing
from collections.abc import Iterator

from pydantic import BaseModel

from spec.tasks import TASKS, find
from spec.workload import Workload

ROOT = pathlib.Path(__file__).parents[2]
SECTIONS = [name for name in Workload.model_fields if name not in ("name", "task", "owner", "description", "beam")]
NAMED = re.compile(rf"(?<![\w./-])(?:{'|'.join(SECTIONS)})(?:\.[a-z_]+)+\b(?![(./])")


def texts() -> Iterator[tuple[str, str]]:
    """The texts of the product, which are sentences: file, text."""
    for room in ("components", "dags", "landing", "pipelines"):
        for path in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
                    yield str(path.relative_to(ROOT)), node.value


def exists(path: str) -> bool:
    first, _, rest = path.partition(".")
    if first == "task_options":
        return any(is_field(find(name).Options, rest) for name in TASKS)
    return is_field(Workload, path)


def is_field(section: typing.Any, path: str) -> bool:
    for part in path.split("."):
        fields = getattr(section, "model_fields", None)
        if fields is None:
            return True  # below a dictionary's key anything may stand
        if part not in fields:
            return False
        kinds = [fields[part].annotation, *typing.get_args(fields[part].annotation)]
        section = next((k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)), None)
    return True


def test_fields_that_messages_name_are_there() -> None:
    named = {(file, found[0]) for file, text in texts() for found in NAMED.finditer(text)}
    assert {"data.ignore", "data.max_bad_fraction", "data.split"} <= {field for _, field in named}
    files = (".py", ".md", ".sqlite", ".json", ".jsonl", ".yaml", ".csv", ".html", ".io")
    assert not sorted(one for one in named if not exists(one[1]) and not one[1].endswith(files))
