from __future__ import annotations

import ast
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
ELSEWHERE = {"storage", "tests", "benchmarks"}


def test_stores_are_reached_through_storage_alone() -> None:
    """A second way to a store would have its own retries, errors and ideas of what a write is."""
    callers = [
        str(path.relative_to(ROOT))
        for room in ROOT.iterdir()
        if room.is_dir() and room.name not in ELSEWHERE and not room.name.startswith(".")
        for path in room.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""])
        if name.split(".")[0] in ("fsspec", "fcntl", "tenacity")
    ]
    assert callers == []
