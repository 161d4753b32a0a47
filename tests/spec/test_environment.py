"""Environment variables are named in one place, and the page about them is made of it."""

from __future__ import annotations

import ast
import pathlib

import pytest

from pipelines import reference
from spec import environment, home

NAMES = {value for value in vars(environment).values() if str(value).startswith("TRAINYARD_")}
ROOMS = ("cli", "components", "dags", "embedded", "landing", "model_store", "pipelines", "quality", "serving", "spec")


def test_the_reference_page_is_current() -> None:
    assert NAMES and all(f"| `{name}` | " in reference.environment_page() for name in NAMES)
    page = (home.ROOT / "docs" / "reference" / "environment.md").read_text()
    assert page == reference.environment_page(), "run: python -m pipelines.reference"


@pytest.mark.parametrize("room", ROOMS)
def test_nobody_else_spells_a_variable(room: str) -> None:
    spelled = [
        f"{path}:{node.lineno}"
        for path in (home.ROOT / room).rglob("*.py")
        if path != pathlib.Path(environment.__file__)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in NAMES
    ]
    assert spelled == [], "use spec.environment"
