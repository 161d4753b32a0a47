"""What each machine of a search on several runs in the place of the Tuner's executor."""

from __future__ import annotations

import pathlib
import tempfile
from typing import Any

from tfx.dsl.components.base import base_executor

from components.artifacts import Artifacts
from components.trainer.sources import Sources
from components.tuner.machines import PROXY, STUDY


class Participant(base_executor.BaseExecutor):
    """Holds the same rows out as the Tuner, and tries trials of its until none is left. It leaves no artifacts."""

    def Do(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]) -> None:
        from components.tuner import _holdout, _running
        from components.tuner._job import Job

        sources = Sources.of(input_dict, exec_properties)
        with tempfile.TemporaryDirectory() as folder:
            study, proxy = exec_properties[STUDY], exec_properties[PROXY]
            job = Job.of(sources, exec_properties, pathlib.Path(folder), study, proxy=proxy)
            _running.take_part(job, lambda: _holdout.write_for(job, sources.examples, exec_properties["key"]))
