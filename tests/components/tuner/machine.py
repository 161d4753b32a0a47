"""A machine of a search on several: the participant of a pod, without TFX. Its argument is the job."""

from __future__ import annotations

import sys

from components import border
from components.tuner import _crew, _running
from components.tuner._job import Job

if __name__ == "__main__":
    _crew._MODULE = "tests.components.tuner.sleepy"
    _running.take_part(border.load(Job, sys.argv[1]), lambda: None)
