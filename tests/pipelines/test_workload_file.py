"""workload.yaml keeps its author's comments."""

from __future__ import annotations

import pathlib

import pytest

from pipelines import workload_file
from spec.errors import InputError
from spec.workload import load_workload

TEXT = """\
name: mine
task: binary # of two
data: {label: {column: y}}
training:
  epochs: 3
  # As the paper has it.
  batch_size: 64   # fits the cache
  hyperparameters:
    units: 16 # measured
    optimizer: "adam"
"""


def test_values_are_replaced_and_added_and_all_else_stays(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "mine" / "workload.yaml"
    file.parent.mkdir()
    file.write_text(TEXT)
    own = ("training", "hyperparameters")
    workload_file.write(
        file,
        {
            ("training", "batch_size"): 32,
            (*own, "units"): 24,
            (*own, "optimizer"): "sgd",
            (*own, "learning_rate"): 1e-05,
            ("training", "weight_decay"): 0.01,
        },
    )
    wanted = TEXT.replace("64   #", "32   #").replace("16 #", "24 #").replace('"adam"', "sgd")
    wanted = wanted.replace("    units", "    learning_rate: 1.0e-05\n    units")
    assert file.read_text() == wanted.replace("  epochs", "  weight_decay: 0.01\n  epochs")
    training = load_workload(file.parent).training
    assert training.hyperparameters == {"learning_rate": 1e-05, "units": 24, "optimizer": "sgd"}


def test_sections_that_are_missing_or_on_one_line() -> None:
    path = ("training", "hyperparameters", "learning_rate")
    assert workload_file.edited("training: {epochs: 3} # short\n", {path: 0.1}) == (
        "training: {hyperparameters: {learning_rate: 0.1}, epochs: 3} # short\n"
    )


def test_what_a_program_cannot_edit_is_left_alone(tmp_path: pathlib.Path) -> None:
    text = TEXT.replace("hyperparameters:", "hyperparameters: &all") + "  class_weights: none\n"
    text = text.replace("batch_size: 64", "batch_size: &size 64").replace("units: 16", "units: *size")
    file = tmp_path / "mine" / "workload.yaml"
    file.parent.mkdir()
    file.write_text(text)
    with pytest.raises(InputError, match=r"Write: training.hyperparameters.units: 8"):
        workload_file.write(file, {("training", "hyperparameters", "units"): 8})
    assert file.read_text() == text
