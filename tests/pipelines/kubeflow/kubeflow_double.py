"""A double of what Kubeflow Pipelines does to a compiled file: order, placeholders, environment, one process a task.

It reads nothing but the file: command and args of each executor, the tasks' dependencies and inputs, the parameters' defaults.
Scheduling, images, Secrets and retries are not doubled; `environment` stands for the Secrets.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[3]
_PARAMETER = re.compile(r"\{\{\$\.inputs\.parameters\['([^']+)'\]\}\}")


@dataclasses.dataclass
class Attempt:
    """One pod's end."""

    task: str
    code: int
    output: str


class KubeflowDouble:
    """Runs compiled files.

    Args:
        compiled: the YAML.
        environment: what Secrets and the pod's `env` would set; wins over the file's.
    """

    def __init__(self, compiled: str, environment: Mapping[str, str]) -> None:
        self.spec, self.platform = list(yaml.safe_load_all(compiled))
        self.environment = environment

    def order(self) -> list[str]:
        """The tasks, each after those that it depends on."""
        tasks = self.spec["root"]["dag"]["tasks"]
        done: list[str] = []
        while len(done) < len(tasks):
            ready = [t for t in tasks if t not in done and set(tasks[t].get("dependentTasks", ())) <= set(done)]
            assert ready, "the tasks wait for each other"
            done += ready
        return done

    def run(self, run_id: str, only: Sequence[str] | None = None, **given: Any) -> list[Attempt]:
        """Runs tasks in order and stops at the first that fails."""
        attempts = []
        for task in self.order():
            if only is None or task in only:
                attempts.append(self.run_task(task, run_id, **given))
                if attempts[-1].code:
                    break
        return attempts

    def argv(self, task: str, run_id: str, **given: Any) -> list[str]:
        """The process that KFP's launcher would start."""
        spec = self.spec["root"]["dag"]["tasks"][task]
        label = self.spec["components"][spec["componentRef"]["name"]]["executorLabel"]
        container = self.spec["deploymentSpec"]["executors"][label]["container"]
        inputs = {name: self._value(source, run_id, given) for name, source in spec["inputs"]["parameters"].items()}
        words = [*container["command"], *container["args"]]
        words = [_PARAMETER.sub(lambda found: inputs[found[1]], word) for word in words]
        assert words[0] == "python", words[0]
        return [sys.executable, *words[1:]]

    def start(self, task: str, run_id: str, **given: Any) -> subprocess.Popen[str]:
        spec = self.spec["root"]["dag"]["tasks"][task]
        label = self.spec["components"][spec["componentRef"]["name"]]["executorLabel"]
        declared = self.spec["deploymentSpec"]["executors"][label]["container"].get("env", [])
        environment = {**os.environ, **{one["name"]: one["value"] for one in declared}, **self.environment}
        return subprocess.Popen(
            self.argv(task, run_id, **given),
            env=environment,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run_task(self, task: str, run_id: str, **given: Any) -> Attempt:
        process = self.start(task, run_id, **given)
        output, _ = process.communicate(timeout=600)
        return Attempt(task, process.returncode, output)

    def _value(self, source: Mapping[str, Any], run_id: str, given: Mapping[str, Any]) -> str:
        if "componentInputParameter" in source:
            name = source["componentInputParameter"]
            declared = self.spec["root"]["inputDefinitions"]["parameters"][name]
            return _text(given.get(name, declared.get("defaultValue")), declared["parameterType"])
        return str(source["runtimeValue"]["constant"]).replace("{{$.pipeline_job_uuid}}", run_id)


def _text(value: Any, kind: str) -> str:
    """As KFP's launcher writes a parameter into an argument."""
    if kind == "BOOLEAN":
        return str(bool(value)).lower()
    if kind == "NUMBER_INTEGER":
        return str(int(value))
    if kind in ("STRUCT", "LIST"):
        return json.dumps(value)
    return str(value)
