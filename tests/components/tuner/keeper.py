"""The Tuner of a search on several machines, without TFX; its machines are processes, which start again when they die.

Arguments: the job, and the address at which it answers. `machines.json` in the job's folder has the machines' process ids.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

from components import border
from components.tuner import _outcome, _running
from components.tuner._job import Job
from spec import environment as env

SILENT_S = 6.0


class Processes:
    def __init__(self, job: Job, host: str) -> None:
        self.name, self.count, self.host = job.study, job.machines, host
        self._job, self._file = job, pathlib.Path(job.folder, "machines.json")
        self._processes: list[subprocess.Popen[bytes]] = []

    def clear(self) -> None:
        for process in json.loads(self._file.read_text()) if self._file.exists() else []:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    def start(self, proxy: str) -> None:
        told = dataclasses.replace(self._job, proxy=proxy, folder=f"{self._job.folder}-elsewhere")
        self._told = border.dump(told)
        self._processes = [self._start() for _ in range(self.count)]
        self._note()

    def check(self) -> None:
        for index, one in enumerate(self._processes):
            if one.poll():
                self._processes[index] = self._start()
                self._note()

    def dismiss(self, patience_s: float) -> None:
        for one in self._processes:
            assert one.wait(patience_s) == 0

    def _start(self) -> subprocess.Popen[bytes]:
        environment = {name: value for name, value in os.environ.items() if name != env.SEARCH_STORAGE}
        return subprocess.Popen([sys.executable, "-m", "tests.components.tuner.machine", self._told], env=environment)

    def _note(self) -> None:
        partial = self._file.with_suffix(".partial")
        partial.write_text(json.dumps([one.pid for one in self._processes]))
        partial.replace(self._file)


if __name__ == "__main__":
    _running._SILENT_S = SILENT_S
    job = border.load(Job, sys.argv[1])
    pathlib.Path(job.folder).mkdir(parents=True, exist_ok=True)
    study = _running.search_on(Processes(job, sys.argv[2]), job, lambda: None)
    found = _outcome.outcome(study, job, {"train": 80, "eval": 20}, time.monotonic())
    found.write(pathlib.Path(job.folder, "found"))
