"""What every component's record promises to those who read it instead of the component."""

from __future__ import annotations

import importlib
import pathlib
import textwrap

import pytest

from spec import graph
from spec.nodes import GateRecord

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("package", graph.TRAINING)
def test_a_record_fits_its_component(package: str) -> None:
    record, module = graph.record_of(package), importlib.import_module(f"{package}.component")
    component = getattr(module, record.id)
    outputs = component.SPEC_CLASS.OUTPUTS
    assert set(record.reported) <= set(outputs)
    if isinstance(record, GateRecord):
        assert record.result in outputs
        assert record.result in record.reported, "the report, the history and the Pusher ask for it"
        assert record.blessing in outputs if record.blessing else record.task
    if record.page:
        assert record.page.output in outputs
    assert not record.run_parameter or record.run_parameter in component.SPEC_CLASS.PARAMETERS
    if record.shown_by:
        maker, _, name = record.shown_by.partition(":")
        assert callable(getattr(importlib.import_module(maker), name))


def test_names_are_unique() -> None:
    records = graph.records()
    for names in (
        [one.id for one in records],
        [name for one in records for name in one.reported.values()],
        [one.section for one in graph.gates()],
        [one.task for one in graph.data_gates()],
    ):
        assert len(set(names)) == len(names)


def test_the_guide_shows_the_example_that_the_tests_run() -> None:
    guide = (ROOT / "docs" / "guides" / "add-a-component.md").read_text()
    example = ROOT / "tests" / "added_component"
    wiring = (example / "component.py").read_text().partition("def node")[2]
    for code in ((example / "record.py").read_text(), f"def node{wiring}"):
        assert textwrap.indent(code, "    ") in guide
