"""docs/guides/data-quality-catalogue.md, from the cases."""

from __future__ import annotations

from collections.abc import Iterator

from spec import home
from tests.catalogue.damage import DAMAGE
from tests.catalogue.harmless import HARMLESS

PAGE = home.ROOT / "docs" / "guides" / "data-quality-catalogue.md"
_HEAD = f"""# Damage that is found, and changes that are not damage

Written by `python -m tests.catalogue`; `tests/catalogue` delivers each of these cases as span 2 of the taxi workload, after an
untouched span 1, and runs ingestion and every data gate on it. Of the {len(DAMAGE)} kinds of damage each has to fail exactly the
critical checks named here, with these words and with rows or figures that show it; of the {len(HARMLESS)} harmless changes none may
fail a check, not even give a warning.

A **bold** check stops the run, the others warn. `schemas/taxi` has the contracts; what is compared with the span before has its
limits in workload.yaml ([Drift](data-quality.md#drift)).
"""


def render() -> str:
    """The page."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield _HEAD
    yield "## Damage\n"
    yield "| damage | | found by | it says |"
    yield "|---|---|---|---|"
    for case in DAMAGE:
        found = [f"**{_check(name)}**" for name in case.stops] + [_check(name) for name in case.warns]
        yield f"| {case.name} | {_cell(case.what)} | {'<br>'.join(found)} | {_cell(case.says)} |"
    yield "\n## Harmless\n"
    yield "| change | |"
    yield "|---|---|"
    for case in HARMLESS:
        yield f"| {case.name} | {_cell(case.what)} |"


def _check(name: str) -> str:
    gate, _, check = name.partition(" ")
    columns = check.partition("(")[2].count(", ")
    shown = check if columns < 3 else f"{check.partition('(')[0]}({columns + 1} columns)"
    return f"{gate} `{shown}`" if shown else gate


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
