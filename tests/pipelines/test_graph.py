"""What every component's record promises to those who read it instead of the component."""

from __future__ import annotations

import importlib

import pytest

from spec import graph


@pytest.mark.parametrize("package", graph.TRAINING)
def test_a_record_fits_its_component(package: str) -> None:
    record, module = graph.record_of(package), importlib.import_module(f"{package}.component")
    component = getattr(module, record.id)
    outputs = component.SPEC_CLASS.OUTPUTS
    assert set(record.reported) <= set(outputs)
    if record.gate:
        assert record.gate.output in outputs and record.section
        assert record.gate.blessing in outputs if record.gate.blessing else record.gate.task
        assert record.gate.output in record.reported, "the report, the history and the Pusher ask for it"
    if record.page:
        assert record.page.output in outputs
    assert not record.run_parameter or record.run_parameter in component.SPEC_CLASS.PARAMETERS
    if record.shown_by:
        maker, _, name = record.shown_by.rpartition(".")
        assert callable(getattr(importlib.import_module(maker), name))


def test_names_are_unique() -> None:
    records = graph.records()
    for names in (
        [one.id for one in records],
        [name for one in records for name in one.reported.values()],
        [one.section for one in graph.gates()],
        [one.gate.task for one in graph.data_gates() if one.gate],
    ):
        assert len(set(names)) == len(names)
