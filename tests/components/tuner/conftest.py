from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

import pytest

from components.trainer import TrainingConfig
from components.trainer.sources import Sources
from components.tuner._job import Job
from spec.workload import Search

SPACE = {"rate": {"type": "float", "low": 0.1, "high": 1.0}}


@pytest.fixture
def job(tmp_path: pathlib.Path) -> Callable[..., Job]:
    """A job of 16 epochs a trial, with fields of `training.search`."""

    def made(**search: Any) -> Job:
        config = TrainingConfig(task="binary", label="y", epochs=16)
        fields = Search.model_validate({"space": SPACE, **search})
        return Job(str(tmp_path / "search"), "search", fields, config, "auc", Sources("", "", "", "", ""))

    return made
